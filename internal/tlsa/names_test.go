package tlsa

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
)

// TestReferenceNames checks RFC 7672 sections 3.2.2 and 3.2.3 through Match.
func TestReferenceNames(t *testing.T) {
	ca := issue(t, nil, "ca", asCA())
	long := strings.Repeat("a", 64) + ".example.com"
	for _, tc := range []struct {
		reason     string
		commonName []string
		dns        []string
		references []string
		want       bool
	}{
		{"DNS-ID", nil, []string{host}, []string{host}, true},
		{"second DNS-ID", nil, []string{"a.example", host}, []string{host}, true},
		{"TLSA base domain or next-hop", nil, []string{"example.com"}, []string{host, "example.com"}, true},
		{"case does not matter", nil, []string{"MX1.Example.COM"}, []string{"mx1.eXample.com"}, true},
		{"final dot of the reference", nil, []string{host}, []string{host + "."}, true},
		{"another host", nil, []string{"mx2.example.com"}, []string{host}, false},
		{"no reference", nil, []string{host}, nil, false},
		{"empty reference", []string{""}, nil, []string{"", "."}, false},
		{"common name without DNS-ID", []string{host}, nil, []string{host}, true},
		{"second common name", []string{"x", host}, nil, []string{host}, true},
		{"common name beside a DNS-ID", []string{host}, []string{"mx2.example.com"}, []string{host}, false},
		{"wildcard", nil, []string{"*.example.com"}, []string{host}, true},
		{"wildcard in the common name", []string{"*.example.com"}, nil, []string{host}, true},
		{"wildcard stands for one label", nil, []string{"*.com"}, []string{host}, false},
		{"wildcard does not stand for two labels", nil, []string{"*.example.com"}, []string{"a.mx1.example.com"}, false},
		{"wildcard does not stand for nothing", nil, []string{"*.example.com"}, []string{"example.com"}, false},
		{"wildcard over a top-level domain", nil, []string{"*.com"}, []string{"example.com"}, false},
		{"wildcard as part of a label", nil, []string{"mx*.example.com", "*1.example.com", "m*1.example.com"}, []string{host}, false},
		{"wildcard in a later label", nil, []string{"mx1.*.com"}, []string{host}, false},
		{"two wildcards", nil, []string{"*.*.com"}, []string{host}, false},
		{"wildcard as reference", nil, []string{"*.example.com"}, []string{"*.example.com"}, false},
		{"wildcard for an A-label", nil, []string{"*.example.com"}, []string{"xn--bcher-kva.example.com"}, true},
		{"leading dot is nothing of the RFC's", nil, []string{host}, []string{".example.com"}, false},
		{"label too long", []string{long}, nil, []string{long}, false},
		{"not ASCII", []string{"bücher.example"}, nil, []string{"bücher.example"}, false},
		{"a NUL ends nothing", []string{host + "\x00.evil.example"}, nil, []string{host}, false},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			leaf := issue(t, ca, "", func(c *x509.Certificate) {
				c.DNSNames = tc.dns
				c.Subject = pkix.Name{}
				for _, n := range tc.commonName {
					c.Subject.ExtraNames = append(c.Subject.ExtraNames, pkix.AttributeTypeAndValue{Type: oidCommonName, Value: n})
				}
			})
			got := Match([]Record{recordOf(t, "2 1 1", ca)}, chainOf(leaf, ca), tc.references, now).Records[0]
			want := ReasonNameMismatch
			if tc.want {
				want = ReasonMatched
			}
			if got.Reason != want {
				t.Errorf("want %s, got %v", want, got)
			}
		})
	}
}

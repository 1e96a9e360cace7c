package delegation

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// TestLimits: more records than a validator looks at are not compared with each other.
func TestLimits(t *testing.T) {
	fill := func(set []dns.RR, n int) []dns.RR {
		for i := 0; len(set) < n; i++ {
			rr := dns.Copy(set[0])
			switch r := rr.(type) {
			case *dns.DNSKEY:
				r.PublicKey = fmt.Sprintf("%086d==", i)
			case *dns.CDS:
				r.Digest = fmt.Sprintf("%064x", i)
			case *dns.CDNSKEY:
				r.PublicKey = fmt.Sprintf("%086d==", i)
			}
			set = append(set, rr)
		}
		return set
	}
	sets := map[string]func(*Child) *Set{
		"DNSKEY":  func(c *Child) *Set { return &c.DNSKEY },
		"CDS":     func(c *Child) *Set { return &c.CDS },
		"CDNSKEY": func(c *Child) *Set { return &c.CDNSKEY },
	}
	for kind, set := range sets {
		for _, n := range []int{dnssec.MaxKeys, dnssec.MaxKeys + 1} {
			f := good().facts()
			for i := range f.Children {
				s := set(&f.Children[i])
				s.Records = fill(slices.Clone(s.Records), n)
			}
			d := Decide(f)
			refused := d.Reason == Malformed && d.Server == "child0" && strings.Contains(d.Message, fmt.Sprintf("shows %d %s records of %s; at most 64", n, kind, zoneName))
			if d.Action != Keep || refused != (n > dnssec.MaxKeys) {
				t.Errorf("%d %s records: %s, %s", n, kind, d.Reason, d.Message)
			}
		}
	}
}

// TestSignaturesAreLimited: those over CDS that are by no key that matters count too.
func TestSignaturesAreLimited(t *testing.T) {
	for n, want := range map[int]Reason{dnssec.MaxSignatures: Asked, dnssec.MaxSignatures + 1: NotValidated} {
		f := good().facts()
		for i := range f.Children {
			sigs := &f.Children[i].CDS.Signatures
			for len(*sigs) < n {
				junk := *(*sigs)[0]
				junk.KeyTag = 0
				*sigs = append(*sigs, &junk)
			}
		}
		if d := Decide(f); d.Reason != want || want == NotValidated && !strings.Contains(d.Message, "at most 32") {
			t.Errorf("%d signatures: %s, %s", n, d.Reason, d.Message)
		}
	}
}

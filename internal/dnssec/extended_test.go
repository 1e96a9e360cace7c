package dnssec

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// saying adds an extended error to a message.
func saying(m *dns.Msg, text string) *dns.Msg {
	m.SetEdns0(1232, true)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeOther, ExtraText: text})
	return m
}

// TestExtendedErrorsAreShown: the cause tells the extended errors of the answer that it is about, and of no other.
func TestExtendedErrorsAreShown(t *testing.T) {
	bad := func(s *dns.RRSIG) { s.OrigTtl++ }
	for _, c := range []struct {
		reason string
		spoil  func(*world)
		name   string
		state  State
		says   string
		// extended are those of the result.
		extended []string
	}{
		{"none", func(w *world) { w.give(firstServer, "mx.example.test.", dns.TypeA, w.signed(w.example, bad, mxA)) },
			"mx.example.test.", Bogus, "does not verify", nil},
		{"of a bogus answer", func(w *world) {
			w.give(firstServer, "mx.example.test.", dns.TypeA, saying(w.signed(w.example, bad, mxA), "first"))
			w.give(secondServer, "mx.example.test.", dns.TypeA, saying(w.signed(w.example, bad, mxA), "second"))
		}, "mx.example.test.", Bogus, "server 192.0.2.3:53: mx.example.test. A: the signature by key", []string{"Other: first"}},
		{"of an answer that is not even an alias", func(w *world) {
			two := w.signed(w.example, nil, "mx.example.test. 300 CNAME a.test.", "mx.example.test. 300 CNAME b.test.")
			w.give(firstServer, "mx.example.test.", dns.TypeA, saying(two, "first"))
		}, "mx.example.test.", Bogus, "more than one alias", []string{"Other: first"}},
		{"of the keys, and not of the answer that they do not fit", func(w *world) {
			w.give(firstServer, "example.test.", dns.TypeDNSKEY, saying(&dns.Msg{Answer: []dns.RR{w.example.key}}, "keys"))
			w.give(secondServer, "example.test.", dns.TypeDNSKEY, &dns.Msg{Answer: []dns.RR{w.example.key}})
			w.give(firstServer, "mx.example.test.", dns.TypeA, saying(w.signed(w.example, nil, mxA), "answer"))
		}, "mx.example.test.", Bogus, "example.test. DNSKEY", []string{"Other: keys"}},
		{"of the proof that makes it insecure", func(w *world) {
			unsigned(w)
			saying(w.answers[testServer+" open.test. DS"], "proof")
			saying(w.answers["192.0.2.5 www.open.test. A"], "answer")
		}, "www.open.test.", Insecure, "proves that it has no DS record", []string{"Other: answer"}},
	} {
		w := newWorld(t)
		c.spoil(w)
		r := w.validator().Lookup(t.Context(), c.name, dns.TypeA)
		if r.State != c.state || !slices.Equal(r.Extended, c.extended) {
			t.Errorf("%s: %s, %q", c.reason, r.State, r.Extended)
			continue
		}
		text, want := r.Cause.Error(), strings.Join(c.extended, "")
		if r.State == Insecure {
			want = "Other: proof"
		}
		if !strings.Contains(text, c.says) || strings.Contains(text, "the server says") != (want != "") || want != "" && !strings.Contains(text, "(the server says: "+want+")") {
			t.Errorf("%s: %q", c.reason, text)
		}
	}
}

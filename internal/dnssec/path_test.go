package dnssec

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestPath breaks either the way to DNS or the domain that is asked for, and wants the former alone to be told.
func TestPath(t *testing.T) {
	const name = "example.test."
	for _, c := range []struct {
		reason  string
		spoil   func(*world)
		because Reason
		says    string
	}{
		{"all is well", func(*world) {}, "", ""},
		{"nobody answers", func(w *world) { w.silence(rootServer) }, Unreachable, "no route to host"},
		{"signatures are dropped", func(w *world) { w.bare(rootServer) }, NoSignature, "zone .: "},
		{"signatures are dropped where it is not about keys", func(w *world) {
			w.give(rootServer, ".", dns.TypeSOA, &dns.Msg{Answer: rrset(w.t, ". 300 SOA ns. h. 1 2 3 4 60")})
		}, NoSignature, ". SOA"},
		{"proofs are dropped", func(w *world) {
			w.give(rootServer, ".", dns.TypeTLSA, w.denied(w.root, dns.RcodeSuccess))
		}, NoSignature, ". TLSA (denial)"},
		{"questions for TLSA do not pass", func(w *world) { delete(w.answers, rootServer+" . TLSA") }, Unreachable, ". TLSA"},
		{"the clock is a year behind", func(w *world) { w.now = at.AddDate(-1, 0, 0) }, NotYetValid, "zone .: "},
		{"the keys are those of another root", func(w *world) { w.root = newZone(w.t, "."); w.keys(rootServer, w.root) }, AnchorMismatch, "zone .: "},
		{"the domain is bogus", func(w *world) { w.bare(firstServer); w.bare(secondServer) }, "", ""},
		{"the domain's servers are silent", func(w *world) { w.silence(firstServer); w.silence(secondServer) }, "", ""},
	} {
		w := newWorld(t)
		w.give(rootServer, ".", dns.TypeSOA, w.signed(w.root, nil, ". 300 SOA ns. h. 1 2 3 4 60"))
		w.give(rootServer, ".", dns.TypeTLSA, w.denied(w.root, dns.RcodeSuccess, ". 300 NSEC test. NS SOA RRSIG NSEC DNSKEY"))
		v := w.validator()
		c.spoil(w)
		switch err := v.Path(t.Context(), name); {
		case c.because == "":
			if err != nil {
				t.Errorf("%s: %v", c.reason, err)
			}
		case err == nil || err.Reason != c.because || !strings.Contains(err.Error(), c.says):
			t.Errorf("%s: %v, want %s and %q", c.reason, err, c.because, c.says)
		}
	}
}

// TestPathByOtherAnchors: a trust anchor of the domain itself leaves nobody to ask about who is to blame, and without
// one that is what is wrong.
func TestPathByOtherAnchors(t *testing.T) {
	w := newWorld(t)
	v := w.validator(func(c *Config) { c.Anchors = []Anchor{w.example.anchor()}; c.Now = func() time.Time { return at } })
	if err := v.Path(t.Context(), "Example.test"); err != nil || w.asks() != "" {
		t.Errorf("the anchor's own zone: %v", err)
	}
	w.give(testServer, "other.test.", dns.TypeSOA, &dns.Msg{Answer: rrset(t, "other.test. 300 SOA ns. h. 1 2 3 4 60")})
	if err := v.Path(t.Context(), "other.test"); err == nil || err.Reason != NoAnchor {
		t.Errorf("no anchor at or above: %v", err)
	}
}

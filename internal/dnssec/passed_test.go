package dnssec

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestZonesOnTheWay: the answer about DS records tells of the zones above, and soon of what changes there, whatever the
// TTLs; what still counts goes on to count while nobody there answers.
func TestZonesOnTheWay(t *testing.T) {
	w := newWorld(t)
	v := w.validator()
	look := func() []string {
		t.Helper()
		r := v.LookupDS(t.Context(), "Example.test")
		w.is(r, Secure, "")
		var out []string
		for _, p := range r.Above {
			out = append(out, p.String())
			if again, err := ParsePassed(p.String()); err != nil || again != p {
				t.Errorf("%q is read as %+v (%v)", p, again, err)
			}
		}
		return out
	}
	first := look()
	for i, want := range []string{". DNSKEY 3600 ", "test. DNSKEY 3600 ", "test. DS 3600 "} {
		if len(first) != 3 || !strings.HasPrefix(first[i], want) || len(first[i]) != len(want)+16 {
			t.Fatalf("%q, want number %d to begin with %q", first, i, want)
		}
	}
	w.asks()
	// Another key beside the first, and another set of DS records.
	old := *w.test
	more := newZone(t, "test.")
	set := []dns.RR{old.key, more.key}
	w.give(testServer, "test.", dns.TypeDNSKEY, &dns.Msg{Answer: append(set, old.sign(set))})
	for _, step := range []struct {
		after   time.Duration
		changed string
		asked   string
	}{
		{maxAge - time.Second, "", "192.0.2.2 example.test. DS"},
		{maxAge, "test. DNSKEY", "192.0.2.2 example.test. DS, 192.0.2.1 . DNSKEY, 192.0.2.1 test. DS, 192.0.2.2 test. DNSKEY"},
		{maxAge + time.Second, "test. DNSKEY", "192.0.2.2 example.test. DS"},
	} {
		w.now = at.Add(step.after)
		var changed []string
		for i, text := range look() {
			if text != first[i] {
				changed = append(changed, strings.Join(strings.Fields(text)[:2], " "))
			}
		}
		if asked := w.asks(); strings.Join(changed, ", ") != step.changed || asked != step.asked {
			t.Errorf("after %s: changed are %q, asked was %q; want %q and %q", step.after, changed, asked, step.changed, step.asked)
		}
	}
	both := []dns.RR{old.key.ToDS(dns.SHA256), old.key.ToDS(dns.SHA384)}
	for _, ds := range both {
		ds.Header().Ttl = 7200
	}
	w.give(rootServer, "test.", dns.TypeDS, &dns.Msg{Answer: append(both, w.root.sign(both))})
	w.now = at.Add(2 * maxAge)
	if got := look(); got[1] == first[1] || !strings.HasPrefix(got[2], "test. DS 7200 ") {
		t.Errorf("with other DS records: %q", got)
	}
	second := look()
	w.answers = map[string]*dns.Msg{testServer + " example.test. DS": w.answers[testServer+" example.test. DS"]}
	w.now = at.Add(3 * maxAge)
	if got := look(); !slices.Equal(got, second) {
		t.Errorf("while nobody above answers: %q", got)
	}
	// What says otherwise is heard.
	w.give(rootServer, ".", dns.TypeDNSKEY, &dns.Msg{Answer: []dns.RR{w.root.key}})
	w.now = at.Add(3*maxAge + time.Minute)
	w.is(v.LookupDS(t.Context(), "example.test."), Bogus, NoSignature)
}

// TestWayIsOfSecureAnswers: where the way ends early nothing is told of it.
func TestWayIsOfSecureAnswers(t *testing.T) {
	w := newWorld(t)
	w.give(testServer, "example.test.", dns.TypeDS, w.signed(w.example, nil, mxA))
	if r := w.validator().LookupDS(t.Context(), "example.test."); r.State == Secure || len(r.Above) > 0 {
		t.Errorf("%s, %v", r.State, r.Above)
	}
	// A trust anchor is in no cache; the keys that it leads to are.
	w = newWorld(t)
	v := w.validator(func(c *Config) { c.Anchors = []Anchor{w.test.anchor()} })
	if r := v.LookupDS(t.Context(), "example.test."); r.State != Secure || len(r.Above) != 1 || r.Above[0].Type != dns.TypeDNSKEY || r.Above[0].Zone != "test." {
		t.Errorf("%s, %v (%v)", r.State, r.Above, r.Cause)
	}
}

func TestParsePassed(t *testing.T) {
	for _, text := range []string{
		"", "test. DNSKEY 3600", "test. DNSKEY 3600 ab cd", "test. DNSKEY -1 ab", "test. DNSKEY 4294967296 ab", "test. A 3600 ab", "test. WHAT 3600 ab",
	} {
		if p, err := ParsePassed(text); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
			t.Errorf("%q is read as %+v (%v)", text, p, err)
		}
	}
}

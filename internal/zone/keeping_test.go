package zone

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const (
	siteToken = `"site-verification=abc  def" " and more"`
	spfText   = `"v=spf1 mx -all"`
)

// texts is a zone with two TXT records at its apex, one of them in two strings with two spaces in a row.
func texts(t *testing.T) *fakeServer {
	t.Helper()
	s := newFakeServer(t)
	s.set(apexText(t, siteToken), apexText(t, `"v=spf1 a -all"`))
	return s
}

func apexText(t *testing.T, data string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(testZone + " 77 IN TXT " + data)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

func publishSet(t *testing.T, a *Actor, c SetChange) Result {
	t.Helper()
	ch := make(chan Result, 1)
	a.PublishSet(c, func(r Result) { ch <- r })
	return wait(t, ch)
}

// TestPublishSet: one string of a TXT RRset is replaced, and what somebody else has beside it stays as it is, octet by
// octet, with the TTL of all.
func TestPublishSet(t *testing.T) {
	for _, c := range []struct {
		reason  string
		prepare func(*fakeServer)
		change  func(*SetChange)
		class   Class
		stands  []string
		ttl     uint32
		message string
	}{
		{reason: "one of two is replaced", class: Applied, stands: []string{siteToken, spfText}, ttl: 77},
		{reason: "ours is removed", change: func(c *SetChange) { c.Want = []string{siteToken} }, class: Applied, stands: []string{siteToken}, ttl: 77},
		{reason: "the order is nobody's", change: func(c *SetChange) { slices.Reverse(c.Expect) }, class: Applied, stands: []string{siteToken, spfText}, ttl: 77},
		{reason: "what stands already", change: func(c *SetChange) { c.Want = c.Expect }, class: Unchanged, stands: []string{siteToken, `"v=spf1 a -all"`}, ttl: 77},
		{reason: "a new RRset has the TTL asked for", prepare: func(s *fakeServer) { delete(s.sets, setKey{testZone, dns.TypeTXT}) },
			change: func(c *SetChange) { c.Expect, c.Want = nil, []string{spfText} }, class: Applied, stands: []string{spfText}, ttl: 3600},
		{reason: "a space more is another text", change: func(c *SetChange) { c.Expect[0] = strings.Replace(siteToken, "  ", " ", 1) },
			class: Conflict, stands: []string{siteToken, `"v=spf1 a -all"`}, ttl: 77, message: "site-verification"},
		{reason: "other strings are another record", change: func(c *SetChange) { c.Expect[0] = `"site-verification=abc  def and more"` },
			class: Conflict, stands: []string{siteToken, `"v=spf1 a -all"`}, ttl: 77},
		{reason: "somebody added one", prepare: func(s *fakeServer) {
			s.sets[setKey{testZone, dns.TypeTXT}] = append(s.sets[setKey{testZone, dns.TypeTXT}], &dns.TXT{Hdr: header(testZone, dns.TypeTXT, 77), Txt: []string{"new"}})
		}, class: Conflict, stands: []string{`"new"`, siteToken, `"v=spf1 a -all"`}, ttl: 77, message: `"new"`},
		{reason: "NOERROR and ignored", prepare: onUpdate(ignoreUpdate), class: NotStored, stands: []string{siteToken, `"v=spf1 a -all"`}, ttl: 77, message: "said NOERROR"},
		{reason: "carried out, the reply lost", prepare: onUpdate(applyThenSilence), class: Applied, stands: []string{siteToken, spfText}, ttl: 77},
		{reason: "refused", prepare: onUpdate(replyRefused), class: NotPermitted, stands: []string{siteToken, `"v=spf1 a -all"`}, ttl: 77, message: "grant tlsa-key name example.test. TXT;"},
		{reason: "refused, for its host has no address", prepare: onUpdate(replyRefused), change: func(c *SetChange) {
			c.Type, c.Expect, c.Want = MX, nil, []string{"10 mx1.example.test."}
		}, class: NotPermitted, stands: []string{siteToken, `"v=spf1 a -all"`}, ttl: 77, message: "has no address there"},
		{reason: "in another zone", change: func(c *SetChange) { c.Owner = "other.test." }, class: NotInZone, stands: []string{siteToken, `"v=spf1 a -all"`}, ttl: 77},
		{reason: "no data of such a record", change: func(c *SetChange) { c.Want = []string{"10"}; c.Type = MX }, class: Malformed, stands: []string{siteToken, `"v=spf1 a -all"`}, ttl: 77},
		{reason: "a type that is not kept", change: func(c *SetChange) { c.Type, c.Want = "A", []string{"192.0.2.1"} }, class: Malformed, stands: []string{siteToken, `"v=spf1 a -all"`}, ttl: 77},
	} {
		t.Run(c.reason, func(t *testing.T) {
			s := texts(t)
			if c.prepare != nil {
				c.prepare(s)
			}
			s.startTCP()
			change := SetChange{SetName: SetName{testZone, TXT}, Expect: []string{siteToken, `"v=spf1 a -all"`}, Want: []string{siteToken, spfText}, TTL: time.Hour}
			if c.change != nil {
				c.change(&change)
			}
			r := publishSet(t, startActor(t, testConfig(s), quick()), change)
			if r.Class != c.class || !strings.Contains(r.Message, c.message) {
				t.Errorf("got %s (%s), want %s with %q", r.Class, r.Message, c.class, c.message)
			}
			set := s.get(testZone, dns.TypeTXT)
			if got := setWords(set); !slices.Equal(got, slices.Sorted(slices.Values(c.stands))) {
				t.Errorf("there stands %v, want %v", got, c.stands)
			}
			for _, rr := range set {
				if rr.Header().Ttl != c.ttl {
					t.Errorf("its TTL is %d, want %d", rr.Header().Ttl, c.ttl)
				}
			}
		})
	}
}

// TestSweepSets: all of it is asked over one connection, and each answer is judged by itself.
func TestSweepSets(t *testing.T) {
	s := texts(t)
	s.rr(testZone + " 60 MX 10 MX1." + testZone)
	s.rr("_dmarc." + testZone + " 60 CNAME dmarc." + testZone)
	s.before = func(kind uint16, sig *dns.RRSIG) {
		if kind == dns.TypeMX {
			sig.Expiration = sig.Inception + 60
		}
	}
	s.startTCP()
	cfg := testConfig(s)
	cfg.Primary, cfg.Static = s.addr, append(cfg.Static, s.addrPort())
	a := startActor(t, cfg, quick())
	ch := make(chan []SetSweep, 1)
	a.SweepSets([]SetName{{testZone, TXT}, {testZone, MX}, {"_Dmarc." + testZone, TXT}, {"_smtp._tls." + testZone, TXT}}, true, func(s []SetSweep) { ch <- s })
	var got []SetAnswer
	for i, sweep := range wait(t, ch) {
		if len(sweep.Answers) != 1 || sweep.End.IsZero() {
			t.Fatalf("sweep %d: %+v", i, sweep)
		}
		got = append(got, sweep.Answers[0])
	}
	if a := got[0]; !a.Reachable || !a.Signed || !a.Primary || !slices.Equal(a.Data, []string{siteToken, `"v=spf1 a -all"`}) || a.TTL != 77*time.Second {
		t.Errorf("TXT: %+v", a)
	}
	if a := got[1]; !a.Reachable || a.Signed || !slices.Equal(a.Data, []string{"10 mx1." + testZone}) || !strings.Contains(a.Message, "does not validate") {
		t.Errorf("MX with a signature that ran out: %+v", a)
	}
	if a := got[2]; !a.Reachable || a.Alias != "dmarc."+testZone || len(a.Data) > 0 {
		t.Errorf("an alias: %+v", a)
	}
	if a := got[3]; !a.Reachable || !a.Signed || len(a.Data) > 0 {
		t.Errorf("nothing there: %+v", a)
	}
}

// TestSetsAfterClose: whoever asks is told that there is nobody any more.
func TestSetsAfterClose(t *testing.T) {
	s := texts(t).startTCP()
	a := startActor(t, testConfig(s), quick())
	a.Close(t.Context())
	ch := make(chan []SetSweep, 1)
	a.SweepSets([]SetName{{testZone, TXT}}, false, func(s []SetSweep) { ch <- s })
	if got := wait(t, ch); len(got) != 1 || got[0].Answers[0].Reachable || got[0].Answers[0].Message == "" {
		t.Errorf("%+v", got)
	}
	if r := publishSet(t, a, SetChange{SetName: SetName{testZone, TXT}, Want: []string{spfText}}); r.Class != Unreachable {
		t.Errorf("%+v", r)
	}
}

// TestParseData: the form of what is written is that of what is read.
func TestParseData(t *testing.T) {
	for _, c := range []struct {
		reason    string
		kind      Type
		in, want  string
		notParsed bool
	}{
		{"a text", TXT, `"v=spf1  mx"`, `"v=spf1  mx"`, false},
		{"without quotes", TXT, `abc`, `"abc"`, false},
		{"several strings", TXT, `"a" "b"`, `"a" "b"`, false},
		{"a name in capitals", MX, "10 MX1.Example.Test.", "10 mx1.example.test.", false},
		{"no preference", MX, "mx1.example.test.", "", true},
		{"two records", TXT, "a\n. 0 IN TXT b", "", true},
		{"nothing", TXT, "", "", true},
	} {
		got, err := ParseData(c.kind, c.in)
		if got != c.want && !c.notParsed || (err != nil) != c.notParsed {
			t.Errorf("%s: %q, %v", c.reason, got, err)
		}
	}
}

// FuzzTextData: whatever octets a TXT record has, its data as text is read back as the same octets: a compare-and-swap
// keeps what is somebody else's.
func FuzzTextData(f *testing.F) {
	for _, seed := range []string{"abc", `a"b\c`, "\x00\xff;", "a  b", strings.Repeat("\xfe", 255)} {
		f.Add(seed, "second")
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		wire := []byte{0, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0}
		var data []byte
		for _, s := range []string{first[:min(len(first), 255)], second[:min(len(second), 255)]} {
			data = append(append(data, byte(len(s))), s...)
		}
		wire[9], wire[10] = byte(len(data)>>8), byte(len(data))
		wire = append(wire, data...)
		rr, _, err := dns.UnpackRR(wire, 0)
		if err != nil {
			t.Skip(err)
		}
		set, err := parseSet(TXT, []string{rdata(rr)})
		if err != nil {
			t.Fatalf("%q: %v", rdata(rr), err)
		}
		out := make([]byte, len(wire)+10)
		n, err := dns.PackRR(placed(".", set, 0)[0], out, 0, nil, false)
		if err != nil || string(out[:n]) != string(wire) {
			t.Fatalf("%q became %x, want %x (%v)", rdata(rr), out[:n], wire, err)
		}
	})
}

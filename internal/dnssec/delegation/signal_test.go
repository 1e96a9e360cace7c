package delegation

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

const (
	ns1, ns2, inside, evil = "ns1.provider.example.", "ns2.other.example.", "ns.child.example.", "ns.evil.example."
)

// vouched is a zone without DS records that is delegated to two name servers outside and one inside, all of
// which do as RFC 9615 says.
func vouched() *scene {
	s := good()
	s.parentsShow()
	s.delegatedTo(ns1, ns2, inside)
	s.each(func(c *server) { c.ns = []string{ns1, ns2, inside} })
	s.signals = []Signal{s.signal(ns1), s.signal(ns2)}
	return s
}

func (s *scene) delegatedTo(names ...string) {
	for i := range s.parents {
		s.parents[i].Nameservers = names
	}
}

// signal is one that says what the zone says.
func (s *scene) signal(ns string) Signal {
	c := s.servers[0].child("")
	return Signal{Nameserver: ns, State: dnssec.Secure, Zone: "_signal." + ns, CDS: c.CDS.Records, CDNSKEY: c.CDNSKEY.Records}
}

// TestSignals: the first DS records begin by the word of all name servers of the delegation outside the zone,
// and of no others (RFC 9615 section 4.2).
func TestSignals(t *testing.T) {
	// second changes the second signal: the first one alone is not enough.
	second := func(change func(*Signal)) func(*scene) {
		return func(s *scene) { change(&s.signals[1]) }
	}
	for _, c := range []struct {
		reason string
		change func(*scene)
		begins bool
		// says are parts of the message where it does not begin.
		says []string
	}{
		{"all vouch; the one inside need not", func(*scene) {}, true, nil},
		{"the order and the case of names mean nothing", func(s *scene) {
			s.each(func(c *server) { c.ns = []string{inside, strings.ToUpper(ns2), ns1} })
			s.signals[0].Nameserver = strings.ToUpper(ns1)
		}, true, nil},
		{"one that is no name server of the zone does not count against it", func(s *scene) {
			s.signals = append(s.signals, Signal{Nameserver: evil, State: dnssec.Bogus})
		}, true, nil},
		{"one name server outside is enough", func(s *scene) {
			s.delegatedTo(ns1, inside)
			s.each(func(c *server) { c.ns = []string{inside, ns1} })
			s.signals = s.signals[:1]
		}, true, nil},
		{"CDS alone", func(s *scene) {
			s.each(func(c *server) { c.cdnskey = nil })
			s.signals = []Signal{s.signal(ns1), s.signal(ns2)}
		}, true, nil},

		{"the zone's answers are forged and name a server of the forger, who vouches", func(s *scene) {
			s.each(func(c *server) { c.ns = []string{evil} })
			s.signals = []Signal{s.signal(evil)}
		}, false, []string{"the parent has NS records for", ns1, "child0 for " + evil, "forges"}},
		{"they name it besides", func(s *scene) {
			s.each(func(c *server) { c.ns = append(c.ns, evil) })
			s.signals = append(s.signals, s.signal(evil))
		}, false, []string{"child0 for", evil}},
		{"at one server", func(s *scene) {
			s.servers[1].ns = []string{ns1, ns2, inside, evil}
			s.signals = append(s.signals, s.signal(evil))
		}, false, []string{"child1 for", evil}},
		{"one server of the zone does not say what it has", func(s *scene) {
			s.servers[1].ns, s.servers[1].nsProblem = nil, "no answer: timeout"
		}, false, []string{"could not be read from child1", "no answer: timeout", "mend that server"}},
		{"the zone has no NS records", func(s *scene) { s.servers[1].ns = nil }, false, []string{"child1 for none"}},
		{"a server of the parent delegates it to another one", func(s *scene) {
			s.parents[1].Nameservers = []string{ns1, inside}
		}, false, []string{"servers of the parent zone do not agree", "parent1 for ns.child.example., ns1.provider.example.;"}},
		{"servers of the parent name nobody", func(s *scene) {
			s.delegatedTo()
			s.each(func(c *server) { c.ns = nil })
		}, false, []string{"below the zone, none", "RFC 9615 section 4.4"}},
		{"all name servers are inside, and one signals", func(s *scene) {
			s.delegatedTo(inside)
			s.each(func(c *server) { c.ns = []string{inside} })
			s.signals = []Signal{s.signal(inside)}
		}, false, []string{"below the zone, " + inside, "RFC 9615 section 4.4"}},
		{"one of two is silent", func(s *scene) { s.signals = s.signals[:1] }, false, []string{"the signal of " + ns2 + " was not looked up"}},
		{"no signals at all", func(s *scene) { s.signals = nil }, false, []string{"the signal of " + ns1 + " was not looked up"}},
		{"one does not answer", second(func(g *Signal) { *g = Signal{Nameserver: ns2, State: dnssec.Indeterminate, Message: "timeout"} }),
			false, []string{ns2, "not secure (Indeterminate): timeout", "sign the zone of _dsboot.child.example._signal." + ns2}},
		{"one is not signed", second(func(g *Signal) { g.State, g.Message = dnssec.Insecure, "not signed" }), false, []string{ns2, "not secure (Insecure): not signed"}},
		{"one is bogus", second(func(g *Signal) { g.State, g.Message = dnssec.Bogus, "expired" }), false, []string{ns2, "not secure (Bogus): expired"}},
		{"one is an alias", second(func(g *Signal) { g.Alias = "elsewhere.example." }), false, []string{ns2, "is an alias of elsewhere.example.", "put the records themselves at _dsboot.child.example._signal." + ns2}},
		{"one is the apex of a zone", second(func(g *Signal) { g.Zone = "_dsboot.child.example._signal." + ns2 }), false, []string{ns2, "apex of a zone", "without a zone cut"}},
		{"one says another key", second(func(g *Signal) { g.CDS = cdsRecords([]string{"old"}) }), false, []string{ns2, "CDS records", strings.ToLower(presentDS(dsOf("old")[0]))}},
		{"one says another CDNSKEY", second(func(g *Signal) { g.CDNSKEY = cdnskeyRecords([]string{"old"}) }), false, []string{ns2, "CDNSKEY records"}},
		{"one says one key more", second(func(g *Signal) { g.CDS = cdsRecords([]string{"new", "old"}) }), false, []string{ns2, "CDS records"}},
		{"one lacks CDNSKEY", second(func(g *Signal) { g.CDNSKEY = nil }), false, []string{ns2, "CDNSKEY records none"}},
		{"one has CDNSKEY, which the zone has not", func(s *scene) {
			s.each(func(c *server) { c.cdnskey = nil })
			s.signals[0].CDNSKEY = nil
		}, false, []string{ns2, "CDNSKEY records", "the zone has none"}},
		{"one has nothing", second(func(g *Signal) { g.CDS, g.CDNSKEY = nil, nil }), false, []string{ns2, "CDS records none"}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			s := vouched()
			c.change(s)
			d := Decide(s.facts())
			if c.begins {
				if d.Action != Begin || d.Reason != InitialAccepted || !sameDS(d.Want, dsOf("new")) || !sameNames(d.Nameservers, s.parents[0].Nameservers) {
					t.Errorf("got %s, %s with %v: %s", d.Action, d.Reason, d.Nameservers, d.Message)
				}
				return
			}
			if d.Action != Keep || d.Reason != InitialNotAccepted || d.Nameservers != nil {
				t.Errorf("got %s, %s with %v: %s", d.Action, d.Reason, d.Nameservers, d.Message)
			}
			for _, part := range append(c.says, "acceptInitialDS") {
				if !strings.Contains(d.Message, part) {
					t.Errorf("%q does not say %q", d.Message, part)
				}
			}
		})
	}
}

// TestTheListGoesBeforeSignals: what the owner of the zone lists begins whatever the name servers say, and rests on no
// delegation; and nothing else begins, even if all of them vouch for it.
func TestTheListGoesBeforeSignals(t *testing.T) {
	for _, c := range []struct {
		reason string
		list   []*dns.DS
		change func(*scene)
		begins bool
	}{
		{"the key of the list, for which nobody vouches", dsOf("new"), func(s *scene) { s.signals, s.servers[1].ns = nil, []string{evil} }, true},
		{"the key of the list, for which all vouch", dsOf("new"), func(*scene) {}, true},
		{"another key, for which all vouch", dsOf("old"), func(*scene) {}, false},
		{"a list of several keys, without the one for which all vouch", dsOf("old", "other"), func(*scene) {}, false},
	} {
		s := vouched()
		s.policy.AcceptInitial = c.list
		c.change(s)
		d := Decide(s.facts())
		if d.Nameservers != nil || c.begins && (d.Action != Begin || d.Reason != InitialAccepted) {
			t.Errorf("%s: %s, %s with %v: %s", c.reason, d.Action, d.Reason, d.Nameservers, d.Message)
		}
		if !c.begins && (d.Action != Keep || d.Reason != InitialNotAccepted || !strings.Contains(d.Message, "does not list") || !strings.Contains(d.Message, "only without a list")) {
			t.Errorf("%s: %s, %s: %s", c.reason, d.Action, d.Reason, d.Message)
		}
	}
}

// TestSignalsOfAForeignParent: nobody validated what such a parent says, so that signals mean nothing.
func TestSignalsOfAForeignParent(t *testing.T) {
	if d := Compare(vouched().facts()); d.Action != Keep || d.Reason != InitialNotAccepted {
		t.Errorf("got %s, %s: %s", d.Action, d.Reason, d.Message)
	}
}

func TestSignallers(t *testing.T) {
	for _, c := range []struct {
		reason string
		change func(*scene)
		want   []string
	}{
		{"those outside, by the parent's word", func(s *scene) { s.each(func(c *server) { c.ns = []string{evil} }) }, []string{ns1, ns2}},
		{"each once, in lower case", func(s *scene) { s.delegatedTo(ns2, strings.ToUpper(ns2), inside) }, []string{ns2}},
		{"a name that only looks like one below the zone", func(s *scene) { s.delegatedTo("nschild.example.") }, []string{"nschild.example."}},
		{"all are inside", func(s *scene) { s.delegatedTo(inside, zoneName) }, nil},
		{"the parent has DS records", func(s *scene) { s.parentsShow("old") }, nil},
		{"one of its servers does", func(s *scene) { s.parents[1].DS = dsOf("old") }, nil},
		{"one names others", func(s *scene) { s.parents[1].Nameservers = []string{evil} }, nil},
		{"one is silent", func(s *scene) { s.parents[1].Problem = "no answer" }, nil},
		{"there is none", func(s *scene) { s.parents = nil }, nil},
	} {
		s := vouched()
		c.change(s)
		if got := Signallers("CHILD.example.", s.parents); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.reason, got, c.want)
		}
	}
}

func TestSignalName(t *testing.T) {
	if got := SignalName("example.co.uk", "ns1.example.net"); got != "_dsboot.example.co.uk._signal.ns1.example.net." || !dns.IsFqdn(got) {
		t.Errorf("got %s", got)
	}
}

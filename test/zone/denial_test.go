package zone_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// onEveryDenial runs a test on each make, with NSEC and with NSEC3, whose proofs take other ways. Behind
// the primary are secondaries of each make: all give the proofs that the primary made, each by its own rules.
func onEveryDenial(t *testing.T, absent string, records []string, test func(t *testing.T, r *rig)) {
	onEvery(t, func(t *testing.T, m servers.Make) {
		for _, hashed := range []bool{false, true} {
			t.Run(fmt.Sprintf("NSEC3 %t", hashed), func(t *testing.T) {
				t.Parallel()
				r := newRigOf(t, m, servers.Options{NSEC3: hashed, Records: records}).withEverySecondary()
				if hashed {
					servers.Eventually(t, "the zone has its NSEC3 chain", func() error { return hasNSEC3(r.primary, absent) })
					for _, s := range r.secondaries {
						s.CatchUp()
					}
				}
				test(t, r.start(zone.Options{}))
			})
		}
	})
}

// What servers prove of names that are not there must validate, or a removal would never count as seen.
func TestDenialsOfRealServersValidate(t *testing.T) {
	onEveryDenial(t, "nothere."+apex, []string{
		"mx1 A 192.0.2.1", "_25._tcp.mx2 A 192.0.2.1", "_443._tcp.mx3 A 192.0.2.1", "*._tcp.wild A 192.0.2.1",
		"*.wider TXT x", "_25._tcp.alias CNAME nothere",
	}, func(t *testing.T, r *rig) {
		for reason, owner := range map[string]string{
			"a host without the name below":        "_25._tcp.mx1.example.test.",
			"a name with another type":             "_25._tcp.mx2.example.test.",
			"a name beside another below the host": "_25._tcp.mx3.example.test.",
			"an empty non-terminal":                "_tcp.mx3.example.test.",
			"a host that is not there":             "_25._tcp.nothere.example.test.",
			"a wildcard without the type":          "_25._tcp.wild.example.test.",
			"a wildcard further up":                "_25._tcp.mx.wider.example.test.",
			"an alias to nothing":                  "_25._tcp.alias.example.test.",
			"the apex":                             "example.test.",
		} {
			s := r.sweep(owner)
			if len(s.Answers) != 4 {
				t.Errorf("%s: %d answers", reason, len(s.Answers))
			}
			if err := green(s); err != nil {
				t.Errorf("%s: %v", reason, err)
			}
		}
		// What was there and goes is denied by a chain that the server mended as it went.
		r.insist(zone.Change{Owner: mx1, Want: []tlsa.Record{record(1)}})
		r.eventuallyGreen(mx1, 4, record(1))
		r.insist(zone.Change{Owner: mx1, Expect: []tlsa.Record{record(1)}})
		r.eventuallyGreen(mx1, 4)
	})
}

func hasNSEC3(p *servers.Primary, absent string) error {
	m, err := servers.Ask(p.Addr, absent, dns.TypeTLSA, false)
	if err != nil {
		return err
	}
	for _, rr := range m.Ns {
		if rr.Header().Rrtype == dns.TypeNSEC3 {
			return nil
		}
	}
	return fmt.Errorf("no NSEC3 in the denial yet")
}

// Answers made from a wildcard come with the proof that nothing closer is there, one label below the
// wildcard's parent or more; so do aliases that are made from one. What an alias leads to is asked for by itself.
func TestWildcardAnswersOfRealServersValidate(t *testing.T) {
	onEveryDenial(t, "nothere.mx1."+apex, []string{
		"* 60 TLSA 3 1 1 " + record(1).Data, "*._tcp.mx2 60 TLSA 3 1 1 " + record(2).Data, "mx1 A 192.0.2.1",
		"_25._tcp.alias 60 CNAME _25._tcp.mx3", "_25._tcp.mx3 60 TLSA 3 1 1 " + record(3).Data,
		"_25._tcp.twice 60 CNAME _25._tcp.alias", "_25._tcp.towild 60 CNAME _25._tcp.nothere", "*._tcp.wildalias 60 CNAME _25._tcp.mx3",
	}, func(t *testing.T, r *rig) {
		cases := []struct {
			reason, owner string
			want          []tlsa.Record
		}{
			{"one label below", "nothere." + apex, []tlsa.Record{record(1)}},
			{"two labels below", "_tcp.nothere." + apex, []tlsa.Record{record(1)}},
			{"three labels below", "_25._tcp.nothere." + apex, []tlsa.Record{record(1)}},
			{"a closer wildcard", "_25._tcp.mx2." + apex, []tlsa.Record{record(2)}},
			{"below a host there is no wildcard", mx1, nil},
		}
		for _, c := range cases {
			if err := green(r.sweep(c.owner), c.want...); err != nil {
				t.Errorf("%s: %v", c.reason, err)
			}
		}
		for owner, target := range map[string]string{
			"_25._tcp.alias." + apex:     "_25._tcp.mx3." + apex,
			"_25._tcp.twice." + apex:     "_25._tcp.alias." + apex,
			"_25._tcp.towild." + apex:    "_25._tcp.nothere." + apex,
			"_25._tcp.wildalias." + apex: "_25._tcp.mx3." + apex,
		} {
			s := r.sweep(owner)
			if err := green(s); err != nil {
				t.Errorf("the alias %s: %v", owner, err)
			}
			for _, a := range s.Answers {
				if a.Alias != target || len(s.Answers) != 4 {
					t.Errorf("the alias %s leads to %q in %d answers", owner, a.Alias, len(s.Answers))
				}
			}
		}
	})
}

// A wildcard's record and signature given for a name below a host, with a proof that is the server's own
// and says only that the name itself is not there.
func TestReplayedWildcardOfBINDDoesNotValidate(t *testing.T) {
	r := newRig(t, servers.Options{Records: []string{"* 60 TLSA 3 1 1 " + record(1).Data, "mx1 A 192.0.2.1"}})
	ask := func(name string, qtype uint16) *dns.Msg {
		t.Helper()
		m, err := servers.Ask(r.primary.Addr, name, qtype, false)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	split := func(section []dns.RR) (set []dns.RR, sigs []*dns.RRSIG) {
		for _, rr := range section {
			if sig, ok := rr.(*dns.RRSIG); ok {
				sigs = append(sigs, sig)
			} else {
				set = append(set, rr)
			}
		}
		return set, sigs
	}
	now := time.Now()
	set, sigs := split(ask(apex, dns.TypeDNSKEY).Answer)
	keys, err := dnssec.NewCache().KeysFor(apex, set, sigs, r.config.Anchors, now)
	if err != nil {
		t.Fatal(err)
	}
	made, denied := ask("_25._tcp.nothere."+apex, dns.TypeTLSA), ask(mx1, dns.TypeTLSA)
	cases := []struct {
		reason, name string
		proof        []dns.RR
		good         bool
	}{
		{"as it was asked for", "_25._tcp.nothere." + apex, made.Ns, true},
		{"for another name that is not there, with the same proof", "_25._tcp.nothere2." + apex, made.Ns, true},
		{"for a name below a host, with the proof of the host", mx1, denied.Ns, false},
	}
	for _, c := range cases {
		set, sigs := split(made.Answer)
		for _, rr := range append(slices.Clone(set), sigs[0]) {
			rr.Header().Name = c.name
		}
		sig, err := keys.Verify(set, sigs, now)
		if err != nil || !sig.Wildcard {
			t.Fatalf("%s: the signature is good for any name: %v", c.reason, err)
		}
		if _, err := keys.VerifyExpansion(c.name, sig, c.proof, now); (err == nil) != c.good {
			t.Errorf("%s: %v", c.reason, err)
		}
	}
}

// A wildcard's TLSA record answers for the owner; published records take its place, and when they
// go the wildcard shows again. Both count as done.
func TestWildcardRecordIsNotTheOwners(t *testing.T) {
	r := newRig(t, servers.Options{Records: []string{"*._tcp.mx1 60 TLSA 3 1 1 " + record(7).Data}}).withSecondaries().start(zone.Options{})
	r.eventuallyGreen(mx1, 3, record(7))
	r.mustPublish(zone.Change{Owner: mx1, Expect: []tlsa.Record{record(7)}, Want: []tlsa.Record{record(1)}})
	r.eventuallyGreen(mx1, 3, record(1))
	r.mustPublish(zone.Change{Owner: mx1, Expect: []tlsa.Record{record(1)}})
	r.eventuallyGreen(mx1, 3, record(7))
}

// BIND with inline-signing says NOERROR before it serves the change.
func TestInlineSigningIsWaitedFor(t *testing.T) {
	r := newRig(t, servers.Options{InlineSigning: true}).start(zone.Options{ReadBackFor: 20 * time.Second})
	var before []tlsa.Record
	for i := range 20 {
		want := []tlsa.Record{record(i)}
		r.mustPublish(zone.Change{Owner: mx1, Expect: before, Want: want})
		before = want
	}
}

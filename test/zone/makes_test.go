package zone_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// A change is seen, signed, at secondaries of each make behind a primary of each, and so is its removal.
func TestEveryMakeBehindEveryMake(t *testing.T) {
	onEvery(t, func(t *testing.T, m servers.Make) {
		r := newRigOf(t, m, servers.Options{Records: []string{"mx1 A 192.0.2.1"}}).withEverySecondary().start(zone.Options{})
		r.eventuallyGreen(mx1, 4)
		r.insist(zone.Change{Owner: mx1, Want: recs(1)})
		r.eventuallyGreen(mx1, 4, record(1))
		r.insist(zone.Change{Owner: mx1, Expect: recs(1), Want: recs(1, 2)})
		r.eventuallyGreen(mx1, 4, record(1), record(2))
		r.insist(zone.Change{Owner: mx1, Expect: recs(1, 2)})
		r.eventuallyGreen(mx1, 4)
		h := r.check()
		if h.PrimaryAccepts.Class != zone.Applied || h.DNSSEC.State != dnssec.Secure || len(h.Servers) != 4 {
			t.Errorf("%+v", h)
		}
		for _, s := range h.Servers {
			if !s.Reachable || s.Serial != h.Serial {
				t.Errorf("%+v, want serial %d", s, h.Serial)
			}
		}
	})
}

// Updates go over UDP and TCP, with every algorithm.
func TestTransportsAndAlgorithmsOnEveryMake(t *testing.T) {
	onEvery(t, func(t *testing.T, m servers.Make) {
		for _, algorithm := range []string{"hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"} {
			t.Run(algorithm, func(t *testing.T) {
				s := newSite(t, m, servers.Options{TSIGAlgorithm: algorithm})
				for i, protocol := range []zone.Protocol{zone.UDP, zone.TCP} {
					r := s.with(func(c *zone.Config) { c.Protocol = protocol }, zone.Options{})
					s.ends(t, s.publishBy(r, zone.Change{Owner: owner(i), Want: recs(i)}), every("Applied"))
					if h := r.check(); h.PrimaryAccepts.Class != zone.Applied {
						t.Errorf("%s: %+v", protocol, h.PrimaryAccepts)
					}
				}
			})
		}
	})
}

// A zone that an administrator holds still is told as such, and written when it moves again. PowerDNS
// knows nothing like it.
func TestFrozenZones(t *testing.T) {
	t.Parallel()
	// Knot's own tool returns at once unless told to wait.
	for m, words := range map[servers.Make][2][]string{servers.BIND: {{"freeze", apex}, {"thaw", apex}}, servers.Knot: {{"-b", "zone-freeze", apex}, {"-b", "zone-thaw", apex}}} {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, m, servers.Options{})
			s.p.Control(words[0]...)
			s.does(t, "a frozen zone", s.op.send(s.op.add(tl("_25._tcp.frozen", 60, 1))), every("REFUSED"))
			change := zone.Change{Owner: mx1, Want: recs(1)}
			got := s.actor.publish(change)
			s.ends(t, got, every("NotPermitted"), mx1, "see that the zone is not frozen", "rndc thaw", "knotc zone-thaw")
			if !got.CurrentKnown {
				t.Error("what stands is not told")
			}
			s.p.Control(words[1]...)
			s.ends(t, s.actor.publish(change), every("Applied"))
		})
	}
}

// A server that is started again in the middle of many changes loses none of them.
func TestServerStartedAgainInTheMiddle(t *testing.T) {
	onEvery(t, func(t *testing.T, m servers.Make) {
		const owners = 120
		s := newSite(t, m, servers.Options{})
		type ended struct {
			i      int
			result zone.Result
		}
		results := make(chan ended, owners)
		publish := func(i int) {
			s.actor.actor.Publish(zone.Change{Owner: owner(i), Want: recs(i), TTL: time.Minute}, func(r zone.Result) { results <- ended{i, r} })
		}
		for i := range owners {
			publish(i)
		}
		again, left := 0, owners
		for left > 0 {
			switch got := receive(t, results); {
			case got.result.Class == zone.Applied || got.result.Class == zone.Unchanged:
				if left--; left == owners-1 {
					s.p.Stop()
					s.p.Start()
				}
			case !got.result.Retryable:
				t.Fatalf("%s: %s", got.result.Class, got.result.Message)
			default:
				again++
				time.Sleep(10 * time.Millisecond)
				publish(got.i)
			}
		}
		t.Logf("%d changes were tried again", again)
		for i := range owners {
			s.does(t, owner(i), s.shows(t, strings.TrimSuffix(owner(i), "."+apex)), every(fmt.Sprintf("60: %d", i)))
		}
	})
}

// PowerDNS signs as it answers, for three weeks that begin on a Thursday: what is left at any time is one
// week to two, and all signatures end at once.
func TestSignatureWindowOfPowerDNS(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	s := newSite(t, servers.PowerDNS, servers.Options{})
	s.ends(t, s.publish("_25._tcp.mx1", 60, nil, recs(1)), every("Applied"))
	for _, a := range s.actor.sweep(mx1).Answers {
		left := time.Until(a.SignatureExpires)
		if a.SignatureValidity != 21*day || left < 7*day-time.Hour || left > 14*day+time.Hour || a.SignatureExpires.UTC().Weekday() != time.Thursday {
			t.Errorf("signed for %s, until %s", a.SignatureValidity, a.SignatureExpires)
		}
	}
	if h := s.actor.check(); time.Until(h.DNSSEC.SignaturesExpire) < 7*day-time.Hour {
		t.Errorf("%+v", h.DNSSEC)
	}
}

// PowerDNS serves what stands below a DNAME, and a secondary of another make does not: the sweep shows it.
func TestBelowDNAMEOfPowerDNS(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, servers.PowerDNS, servers.Options{Records: []string{"mx1 60 DNAME other"}})
	nsd := servers.StartNSDSecondary(t, r.primary, "")
	r.config.Static = append(r.config.Static, nsd.Addr)
	r.start(zone.Options{})
	r.insist(zone.Change{Owner: mx1, Want: recs(1)})
	nsd.CatchUp()
	servers.Eventually(t, "the secondary follows the DNAME", func() error {
		m, err := servers.Ask(nsd.Addr, mx1, dns.TypeTLSA, false)
		if err == nil && len(rrset(m, "mx1."+apex, dns.TypeDNAME)) == 0 {
			err = errors.New("no DNAME in its answer")
		}
		return err
	})
	for _, a := range r.sweep(mx1).Answers {
		if primary := a.Address == r.primary.Addr.String(); primary != (len(a.Records) == 1) {
			t.Errorf("%+v", a)
		}
	}
}

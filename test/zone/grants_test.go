package zone_test

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// notGranted is how a change ends that the key may not make.
var notGranted = by{servers.BIND: "NotPermitted", servers.Knot: "BadKeyOrACL", servers.PowerDNS: "NotStored"}

// grantHints are what a person is told to do then.
var grantHints = map[servers.Make][]string{
	servers.BIND:     {"tlsa-key.", "update-policy { grant tlsa-key name ", "TLSA"},
	servers.Knot:     {"tlsa-key.", "acl that does not match", "update-type", "update-owner-name"},
	servers.PowerDNS: {"tlsa-key.", "ignored the update", "lua-dnsupdate-policy-script"},
}

// A key that may write one name writes that one, and a person is told of the others. What is granted in
// the meantime counts with the next try, and so does what is revoked.
func TestNarrowGrants(t *testing.T) {
	onEvery(t, func(t *testing.T, m servers.Make) {
		mx2 := owner(2)
		s := newSite(t, m, servers.Options{Grants: narrow[m](mx1)})
		mine, others := make(chan zone.Result, 1), make(chan zone.Result, 1)
		s.actor.actor.Publish(zone.Change{Owner: mx1, Want: recs(1), TTL: 60e9}, func(r zone.Result) { mine <- r })
		s.actor.actor.Publish(zone.Change{Owner: mx2, Want: recs(1), TTL: 60e9}, func(r zone.Result) { others <- r })
		// Whether they share a message or not, one does not suffer from the other, unless the server locks just then.
		got := receive(t, mine)
		receive(t, others)
		if got.Class == zone.ServerFailure && s.op.locks {
			got = s.publishBy(s.actor, zone.Change{Owner: mx1, Want: recs(1), TTL: 60e9})
		}
		s.ends(t, got, every("Applied"))
		s.ends(t, s.publishBy(s.actor, zone.Change{Owner: mx1, Want: recs(1)}), every("Unchanged"))
		refused := func(owner string, expect ...int) {
			t.Helper()
			got := s.publishBy(s.actor, zone.Change{Owner: owner, Expect: recs(expect...), Want: recs(3)})
			s.ends(t, got, notGranted, append(grantHints[m], owner)...)
		}
		refused(mx2)
		s.p.Grant(narrow[m](mx2)...)
		refused(mx1, 1)
		s.ends(t, s.publishBy(s.actor, zone.Change{Owner: mx2, Want: recs(2)}), every("Applied"))
		s.p.Grant(narrow[m](mx1)...)
		s.ends(t, s.publishBy(s.actor, zone.Change{Owner: mx1, Expect: recs(1), Want: recs(2)}), every("Applied"))
		refused(mx2, 2)
	})
}

// A policy script turns every other check of PowerDNS off, so that it must look for the key itself.
// Without one, a listed key may write everything, and everybody else is refused.
func TestWhoMayWriteOnPowerDNS(t *testing.T) {
	t.Parallel()
	for _, without := range []bool{false, true} {
		name, unsigned, other, address := "with a policy script", "NOERROR unsigned", "NOERROR", 0
		if without {
			name, unsigned, other, address = "without", "REFUSED unsigned", "REFUSED", 1
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, servers.PowerDNS, servers.Options{WithoutPolicy: without})
			bare, wrong, stranger, transfer := s.op, s.op, s.op, s.op
			bare.key = ""
			wrong.secret = otherSecret
			stranger.key = "stranger."
			transfer.key, transfer.secret = s.p.TransferKey()
			for _, c := range []struct {
				about string
				r     raw
				want  string
			}{
				{"no key", bare, unsigned}, {"another secret", wrong, "REFUSED unsigned"},
				{"a key that the server does not know", stranger, "REFUSED unsigned"}, {"a key that it knows for transfers", transfer, other},
			} {
				if got := c.r.send(c.r.add(tl("_25._tcp.secret", 60, 1))); got != c.want {
					t.Errorf("%s: %s, want %s", c.about, got, c.want)
				}
				s.does(t, c.about, s.shows(t, "_25._tcp.secret"), every("nothing"))
			}
			s.op.send(s.op.add("host 60 A 192.0.2.1"))
			if got := len(rrset(answer(t, s.p.Addr, full("host"), dns.TypeA), full("host"), dns.TypeA)); got != address {
				t.Errorf("the operator's key wrote %d addresses, want %d", got, address)
			}
			s.ends(t, s.publish("_25._tcp.secret", 60, nil, recs(1)), every("Applied"))
		})
	}
}

// Knot 3.2 knows no patterns in owners: what is below one name, or a list of names.
func TestOwnersInGrantsOfKnot(t *testing.T) {
	t.Parallel()
	cases := []struct {
		about  string
		grants []string
		may    []string
		mayNot []string
	}{
		{"everything below the zone", []string{"update-type: [TLSA]", "update-owner: zone", "update-owner-match: sub"},
			[]string{"_25._tcp.mx1", "_465._tcp.mx9"}, []string{"@"}},
		{"everything below one host", []string{"update-type: [TLSA]", "update-owner: name", "update-owner-match: sub", "update-owner-name: [mx1]"},
			[]string{"_25._tcp.mx1", "_465._tcp.mx1"}, []string{"_25._tcp.mx2", "mx1"}},
		{"a list of names", []string{"update-type: [TLSA]", "update-owner: name", "update-owner-match: equal", "update-owner-name: [_25._tcp.mx1, _25._tcp.mx2]"},
			[]string{"_25._tcp.mx1", "_25._tcp.mx2"}, []string{"_25._tcp.mx3", "_465._tcp.mx1"}},
		{"a pattern is a name like any other", []string{"update-type: [TLSA]", "update-owner: name", "update-owner-match: equal", "update-owner-name: [_25._tcp.*]"},
			nil, []string{"_25._tcp.mx1"}},
	}
	s := newSite(t, servers.Knot, servers.Options{})
	for _, c := range cases {
		s.p.Grant(c.grants...)
		for _, name := range c.may {
			s.does(t, c.about+": "+name, s.op.send(s.op.replace(tl(name, 60, 1))), every("NOERROR"))
		}
		for _, name := range c.mayNot {
			s.does(t, c.about+": "+name, s.op.send(s.op.replace(tl(name, 60, 1))), every("NOTAUTH BADKEY"))
		}
	}
	err := s.p.Refuses("update-type: [TLSA]", "update-owner: name", "update-owner-match: pattern", "update-owner-name: [_25._tcp.*]")
	if err == nil || !strings.Contains(err.Error(), "update-owner-match") {
		t.Errorf("this version of Knot takes patterns: %v", err)
	}
}

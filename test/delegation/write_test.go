package delegation_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// parentOnly is a parent of a make with a secondary, and two children of which the key may write one.
type parentOnly struct {
	*testing.T
	primary *servers.Primary
	actor   *zone.Actor
}

func newParent(t *testing.T, m servers.Make, nsec3 bool) *parentOnly {
	t.Helper()
	p := &parentOnly{T: t}
	p.primary = servers.StartPrimary(t, m, servers.Options{
		Zone: parentApex, Grants: grants[m], NegativeTTL: 1, NSEC3: nsec3,
		Records: []string{"child 60 NS ns1.child", "ns1.child 60 A 127.0.0.1", "other 60 NS ns1.other", "ns1.other 60 A 127.0.0.1"},
	})
	secondary := servers.StartNSDSecondary(t, p.primary, "")
	anchor, err := dnssec.ParseDS(p.primary.DS, parentApex)
	if err != nil {
		t.Fatal(err)
	}
	p.actor = zone.NewActor(zone.Config{
		Zone: parentApex, Primary: p.primary.Addr.String(), Protocol: zone.TCP, Static: []netip.AddrPort{p.primary.Addr, secondary.Addr},
		TSIG:    &zone.TSIG{Name: p.primary.TSIGName, Algorithm: p.primary.TSIGAlgorithm, Secret: p.primary.TSIGSecret},
		Anchors: []dnssec.Anchor{anchor},
	}, zone.Options{})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		p.actor.Close(ctx)
	})
	return p
}

func record(n int) *dns.DS {
	return &dns.DS{KeyTag: uint16(n), Algorithm: dns.ECDSAP256SHA256, DigestType: dns.SHA256, Digest: fmt.Sprintf("%064x", n)}
}

func records(numbers ...int) []*dns.DS {
	var out []*dns.DS
	for _, n := range numbers {
		out = append(out, record(n))
	}
	return out
}

// publish tries again what may be tried again: PowerDNS with SQLite is busy now and then.
func (p *parentOnly) publish(child string, expect, want []*dns.DS) zone.Result {
	p.Helper()
	return p.change(zone.DSChange{Child: child, Expect: expect, Want: want, TTL: time.Minute})
}

func (p *parentOnly) change(c zone.DSChange) zone.Result {
	p.Helper()
	results := make(chan zone.Result, 1)
	for n := 0; ; n++ {
		p.actor.PublishDS(c, func(r zone.Result) { results <- r })
		r := <-results
		if n == 20 || r.Class != zone.ServerFailure && r.Class != zone.Unreachable {
			return r
		}
	}
}

// shows waits until both servers show these records for the child, by answers that validate.
func (p *parentOnly) shows(want []*dns.DS) {
	p.Helper()
	servers.Eventually(p, "both servers show "+text(want), func() error {
		sweeps := make(chan zone.DSSweep, 1)
		p.actor.SweepDS(childApex, func(s zone.DSSweep) { sweeps <- s })
		s := <-sweeps
		if len(s.Answers) != 2 {
			return fmt.Errorf("%d servers were asked", len(s.Answers))
		}
		for _, a := range s.Answers {
			if len(a.Nameservers) != 1 || a.Nameservers[0] != "ns1."+childApex {
				return fmt.Errorf("%s delegates it to %v", a.Server, a.Nameservers)
			}
			if a.Problem != "" || a.State != dnssec.Secure || text(a.DS) != text(want) {
				return fmt.Errorf("%s: %s %s: %s %s", a.Server, a.State, text(a.DS), a.Message, a.Problem)
			}
		}
		return nil
	})
}

// TestDSIsWritten: on every make of primary, with the least that the key needs, and no more than that.
func TestDSIsWritten(t *testing.T) {
	for _, m := range servers.Makes {
		for _, nsec3 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s NSEC3 %t", m, nsec3), func(t *testing.T) {
				t.Parallel()
				// PowerDNS with a policy script says NOERROR to what that refuses.
				refused := []zone.Class{zone.NotPermitted, zone.BadKeyOrACL, zone.NotStored}
				p := newParent(t, m, nsec3)
				p.shows(nil)
				p.beginsByTheDelegation()
				for _, c := range []struct {
					reason        string
					child         string
					expect, want  []*dns.DS
					class         []zone.Class
					shows         []*dns.DS
					messageToHave string
				}{
					{"the first record", childApex, nil, records(1), []zone.Class{zone.Applied}, records(1), ""},
					{"nobody may expect that there is none", childApex, nil, records(2), []zone.Class{zone.Conflict}, records(1), "1 13 2"},
					{"nor another one", childApex, records(3), records(2), []zone.Class{zone.Conflict}, records(1), "1 13 2"},
					{"two in place of one", childApex, records(1), records(1, 2), []zone.Class{zone.Applied}, records(1, 2), ""},
					{"the same again", childApex, records(1, 2), records(1, 2), []zone.Class{zone.Unchanged}, records(1, 2), ""},
					{"part of what is there is not what is there", childApex, records(1), records(2), []zone.Class{zone.Conflict}, records(1, 2), ""},
					{"another one", childApex, records(1, 2), records(2), []zone.Class{zone.Applied}, records(2), ""},
					{"another child", "other." + parentApex, nil, records(1), refused, records(2), "other.parent.test."},
					{"a name that is no delegation", "www." + childApex, nil, records(1), append(refused, zone.OwnerIsAlias), records(2), ""},
					{"none", childApex, records(2), nil, []zone.Class{zone.Applied}, nil, ""},
				} {
					r := p.publish(c.child, c.expect, c.want)
					if !slices.Contains(c.class, r.Class) || !strings.Contains(r.Message, c.messageToHave) {
						t.Errorf("%s: %s: %s; want %v", c.reason, r.Class, r.Message, c.class)
					}
					p.shows(c.shows)
				}
				if m, err := servers.Ask(p.primary.Addr, "other."+parentApex, dns.TypeDS, false); err != nil || len(m.Answer) > 0 {
					t.Errorf("the other child has %v (%v)", m, err)
				}
			})
		}
	}
}

// beginsByTheDelegation: a change that rests on the delegation is carried out if the primary has that delegation,
// which it says to signed queries on every make.
func (p *parentOnly) beginsByTheDelegation() {
	p.Helper()
	for _, c := range []struct {
		reason      string
		nameservers []string
		class       zone.Class
		shows       []*dns.DS
	}{
		{"another name server", []string{"ns.evil.test."}, zone.Conflict, nil},
		{"one more", []string{"ns.evil.test.", "ns1." + childApex}, zone.Conflict, nil},
		{"the one that is there", []string{"ns1." + childApex}, zone.Applied, records(4)},
	} {
		r := p.change(zone.DSChange{Child: childApex, Want: records(4), Nameservers: c.nameservers, TTL: time.Minute})
		if r.Class != c.class {
			p.Errorf("%s: %s: %s; want %s", c.reason, r.Class, r.Message, c.class)
		}
		p.shows(c.shows)
	}
	if r := p.publish(childApex, records(4), nil); r.Class != zone.Applied {
		p.Fatalf("%s: %s", r.Class, r.Message)
	}
	p.shows(nil)
}

// TestPageShowsTheGrants: what the page tells administrators to configure is what is tested here.
func TestPageShowsTheGrants(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "delegation.md"))
	if err != nil {
		t.Fatal(err)
	}
	names := strings.NewReplacer("tlsa-key", "dane-operator", "child.parent.test.", "mail.example.com.", "[child]", "[mail]")
	for m, lines := range grants {
		for _, line := range lines {
			if want := "\n    " + names.Replace(line) + "\n"; !strings.Contains(string(page), want) {
				t.Errorf("%s: docs/delegation.md does not have the line %q", m, want)
			}
		}
	}
}

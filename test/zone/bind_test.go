package zone_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

func TestAnotherTTLAloneIsAChange(t *testing.T) {
	r := newRig(t, servers.Options{}).withSecondaries().start(zone.Options{})
	two := []tlsa.Record{record(1), record(2)}
	r.mustPublish(zone.Change{Owner: mx1, Want: two})
	for _, ttl := range []time.Duration{10 * time.Minute, 30 * time.Second} {
		r.mustPublish(zone.Change{Owner: mx1, Expect: two, Want: two, TTL: ttl})
		for _, s := range r.secondaries {
			s.CatchUp()
		}
		for _, a := range r.sweep(mx1).Answers {
			if a.TTL != ttl || a.CacheTTL != ttl || !a.Signed || !slices.Equal(a.Records, tlsa.Normalize(two)) {
				t.Errorf("with TTL %s: %+v", ttl, a)
			}
		}
	}
}

// Names are one name in capitals and not, in the zone file as in a change.
func TestMixedCaseOwners(t *testing.T) {
	const mixed = "_25._TCP.Mx1.EXAMPLE.test."
	r := newRig(t, servers.Options{Records: []string{"_25._TCP.MX1 60 TLSA 3 1 1 " + record(1).Data}}).withSecondaries().start(zone.Options{})
	r.eventuallyGreen(mx1, 3, record(1))
	r.mustPublish(zone.Change{Owner: mixed, Expect: []tlsa.Record{record(1)}, Want: []tlsa.Record{record(1), record(2)}})
	r.eventuallyGreen(mx1, 3, record(1), record(2))
	r.eventuallyGreen(mixed, 3, record(1), record(2))
	r.mustPublish(zone.Change{Owner: mx1, Expect: []tlsa.Record{record(1), record(2)}})
	r.eventuallyGreen(mixed, 3)
}

// interposed is a connection that does something before the first update goes out.
type interposed struct {
	net.Conn
	before func()
}

func (c interposed) Write(octets []byte) (int, error) {
	if len(octets) > 14 && binary.BigEndian.Uint16(octets[4:])>>11&0xf == dns.OpcodeUpdate {
		c.before()
	}
	return c.Conn.Write(octets)
}

// Somebody else writes between our look and our update: the server's answer is NXRRSET or YXRRSET, for
// the whole message.
func TestRaceWithAnotherWriter(t *testing.T) {
	other := "_25._tcp.mx2.example.test."
	cases := []struct {
		reason string
		// before stands at mx1, race is what the other writer does there.
		before []tlsa.Record
		race   string
		want   zone.Class
		after  []tlsa.Record
	}{
		{"a first record of somebody else's (YXRRSET)", nil, "add " + mx1 + " 60 TLSA 3 1 1 " + record(9).Data, zone.Conflict, []tlsa.Record{record(9)}},
		{"one more record (NXRRSET)", []tlsa.Record{record(1)}, "add " + mx1 + " 60 TLSA 3 1 1 " + record(9).Data, zone.Conflict, []tlsa.Record{record(1), record(9)}},
		{"the records are gone (NXRRSET)", []tlsa.Record{record(1)}, "delete " + mx1 + " TLSA", zone.Conflict, nil},
		{"just what we want", nil, "add " + mx1 + " 60 TLSA 3 1 1 " + record(2).Data, zone.Applied, []tlsa.Record{record(2)}},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			r := newRig(t, servers.Options{})
			if len(c.before) > 0 {
				r.primary.Update("add " + mx1 + " 60 TLSA 3 1 1 " + c.before[0].Data)
			}
			race := sync.OnceFunc(func() { r.primary.Update(c.race) })
			r.start(zone.Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
				return interposed{conn, race}, err
			}})
			results := make(chan zone.Result, 2)
			r.actor.Publish(zone.Change{Owner: mx1, Expect: c.before, Want: []tlsa.Record{record(2)}, TTL: time.Minute}, func(result zone.Result) { results <- result })
			r.actor.Publish(zone.Change{Owner: other, Want: []tlsa.Record{record(3)}, TTL: time.Minute}, func(result zone.Result) { results <- result })
			got := receive(t, results)
			if got.Class != c.want || !got.CurrentKnown || !slices.Equal(got.Current, tlsa.Normalize(c.after)) || (got.Class == zone.Conflict) != got.Retryable {
				t.Errorf("got %+v", got)
			}
			if neighbour := receive(t, results); neighbour.Class != zone.Applied {
				t.Errorf("a change of another owner suffers: %+v", neighbour)
			}
			log, err := os.ReadFile(r.primary.LogFile())
			if err != nil || !strings.Contains(string(log), "prerequisite not satisfied") {
				t.Errorf("the server did not refuse: %v", err)
			}
			r.eventuallyGreen(mx1, 1, c.after...)
		})
	}
}

// Every message that changes an unsigned zone raises the serial by one.
func TestOwnersShareMessages(t *testing.T) {
	const owners = 100
	r := newRig(t, servers.Options{Unsigned: true}).start(zone.Options{})
	before := r.check().Serial
	results := make(chan zone.Result, owners)
	for i := range owners {
		r.actor.Publish(zone.Change{Owner: owner(i), Want: []tlsa.Record{record(i)}, TTL: time.Minute}, func(result zone.Result) { results <- result })
	}
	for range owners {
		if got := receive(t, results); got.Class != zone.Applied {
			t.Fatalf("%s: %s", got.Class, got.Message)
		}
	}
	if n := r.check().Serial - before; n < 2 || n > 10 {
		t.Errorf("%d messages for %d owners", n, owners)
	} else {
		t.Logf("%d messages for %d owners", n, owners)
	}
}

// A batch of RRsets of twelve SHA-512 digests is more than 64 KiB hold.
func TestLargeRRsetsGoInSeveralMessages(t *testing.T) {
	const owners = zone.BatchSize
	r := newRig(t, servers.Options{Unsigned: true}).start(zone.Options{})
	digests := func(from int) []tlsa.Record {
		var out []tlsa.Record
		for i := range 12 {
			out = append(out, tlsa.Record{Parameters: tlsa.Parameters{Usage: 3, Selector: 1, MatchingType: 2}, Data: record(from+i).Data + record(0).Data})
		}
		return tlsa.Normalize(out)
	}
	for _, change := range []zone.Change{{Want: digests(1)}, {Expect: digests(1), Want: digests(101)}, {Expect: digests(101)}} {
		results := make(chan zone.Result, owners)
		for i := range owners {
			change.Owner, change.TTL = owner(i), time.Minute
			r.actor.Publish(change, func(result zone.Result) { results <- result })
		}
		for range owners {
			if got := receive(t, results); got.Class != zone.Applied {
				t.Fatalf("%s: %s", got.Class, got.Message)
			}
		}
	}
}

// BIND with inline-signing may take longer to serve a change than is waited for: then trying again is
// what brings it home.
func TestInlineSigningIsTriedUntilItShows(t *testing.T) {
	r := newRig(t, servers.Options{InlineSigning: true}).start(zone.Options{})
	var before []tlsa.Record
	for i := range 20 {
		want := []tlsa.Record{record(i)}
		servers.Eventually(t, "the change is served", func() error {
			got := r.publish(zone.Change{Owner: mx1, Expect: before, Want: want})
			if got.Class == zone.Applied || got.Class == zone.Unchanged {
				return nil
			}
			if !got.Retryable {
				t.Fatalf("change %d: %s: %s", i, got.Class, got.Message)
			}
			t.Logf("change %d: %s: %s", i, got.Class, got.Message)
			return errors.New(got.Message)
		})
		before = want
	}
	r.eventuallyGreen(mx1, 1, before...)
}

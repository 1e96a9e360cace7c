// Package zone_test runs the zone actor against real name servers: BIND, Knot and PowerDNS as primaries
// that sign, BIND, NSD and Knot as secondaries.
package zone_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

const (
	apex = "example.test."
	mx1  = "_25._tcp.mx1.example.test."
)

func record(n int) tlsa.Record {
	return tlsa.Record{Parameters: tlsa.Parameters{Usage: 3, Selector: 1, MatchingType: 1}, Data: fmt.Sprintf("%064x", n)}
}

// rig is a primary with its secondaries and an actor that manages the zone.
type rig struct {
	t           *testing.T
	primary     *servers.Primary
	secondaries []*servers.Secondary
	config      zone.Config
	actor       *zone.Actor
}

func newRig(t *testing.T, o servers.Options) *rig {
	t.Helper()
	return newRigOf(t, servers.BIND, o)
}

// newRigOf is newRig with a primary of another make.
func newRigOf(t *testing.T, m servers.Make, o servers.Options) *rig {
	t.Helper()
	r := &rig{t: t, primary: servers.StartPrimary(t, m, o)}
	r.config = configOf(t, r.primary)
	return r
}

// withEverySecondary adds a BIND, an NSD and a Knot.
func (r *rig) withEverySecondary() *rig {
	r.withSecondaries()
	knot := servers.StartKnotSecondary(r.t, r.primary, "")
	r.secondaries, r.config.Static = append(r.secondaries, knot), append(r.config.Static, knot.Addr)
	return r
}

// withSecondaries adds a BIND and an NSD.
func (r *rig) withSecondaries() *rig {
	r.secondaries = []*servers.Secondary{
		servers.StartBINDSecondary(r.t, r.primary, ""), servers.StartNSDSecondary(r.t, r.primary, ""),
	}
	for _, s := range r.secondaries {
		r.config.Static = append(r.config.Static, s.Addr)
	}
	return r
}

func (r *rig) start(opts zone.Options) *rig {
	if opts.QueryTimeout == 0 {
		opts.QueryTimeout = 2 * time.Second
	}
	r.actor = zone.NewActor(r.config, opts)
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		r.actor.Close(ctx)
	})
	return r
}

func configOf(t *testing.T, p *servers.Primary) zone.Config {
	t.Helper()
	c := zone.Config{
		Zone: p.Zone, Primary: p.Addr.String(), Protocol: zone.TCP, Static: []netip.AddrPort{p.Addr},
		TSIG: &zone.TSIG{Name: p.TSIGName, Algorithm: p.TSIGAlgorithm, Secret: p.TSIGSecret},
	}
	if p.DS != "" {
		ds, err := dnssec.ParseDS(p.DS, p.Zone)
		if err != nil {
			t.Fatal(err)
		}
		c.Anchors = []dnssec.Anchor{ds}
	}
	return c
}

func (r *rig) publish(c zone.Change) zone.Result {
	r.t.Helper()
	if c.TTL == 0 {
		c.TTL = time.Minute
	}
	ch := make(chan zone.Result, 1)
	r.actor.Publish(c, func(result zone.Result) { ch <- result })
	return receive(r.t, ch)
}

func (r *rig) mustPublish(c zone.Change) {
	r.t.Helper()
	if got := r.publish(c); got.Class != zone.Applied {
		r.t.Fatalf("publish %s: %s: %s", c.Owner, got.Class, got.Message)
	}
}

// insist is mustPublish that tries again what may be tried again: PowerDNS with SQLite says SERVFAIL to an
// update while it notes that its secondaries were told of the one before.
func (r *rig) insist(c zone.Change) {
	r.t.Helper()
	servers.Eventually(r.t, "the change is made", func() error {
		got := r.publish(c)
		switch {
		case got.Class == zone.Applied || got.Class == zone.Unchanged:
			return nil
		case !got.Retryable:
			r.t.Fatalf("publish %s: %s: %s", c.Owner, got.Class, got.Message)
		}
		return fmt.Errorf("%s: %s", got.Class, got.Message)
	})
}

func (r *rig) sweep(owner string) zone.Sweep {
	r.t.Helper()
	ch := make(chan zone.Sweep, 1)
	r.actor.Sweep(owner, func(s zone.Sweep) { ch <- s })
	return receive(r.t, ch)
}

func (r *rig) check() zone.Health {
	r.t.Helper()
	ch := make(chan zone.Health, 1)
	r.actor.Check(func(h zone.Health) { ch <- h })
	return receive(r.t, ch)
}

func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(time.Minute):
		t.Fatal("nothing came back")
		panic("unreachable")
	}
}

// green says what keeps a sweep from showing exactly these records, signed, at every server.
func green(s zone.Sweep, want ...tlsa.Record) error {
	for _, a := range s.Answers {
		switch {
		case !a.Reachable || !a.Signed || a.Message != "":
			return fmt.Errorf("%s: %s", a.Address, a.Message)
		case !slices.Equal(a.Records, tlsa.Normalize(want)):
			return fmt.Errorf("%s shows %v", a.Address, a.Records)
		case len(want) > 0 && (a.TTL != time.Minute || a.CacheTTL != time.Minute):
			return fmt.Errorf("%s: TTL %s, cached for %s", a.Address, a.TTL, a.CacheTTL)
		case a.SignatureExpires.Before(s.End.Add(24 * time.Hour)):
			return fmt.Errorf("%s: signatures expire at %s", a.Address, a.SignatureExpires)
		}
	}
	return nil
}

func (r *rig) eventuallyGreen(owner string, servedBy int, want ...tlsa.Record) {
	r.t.Helper()
	servers.Eventually(r.t, "every server shows "+owner, func() error {
		s := r.sweep(owner)
		if len(s.Answers) != servedBy {
			r.t.Fatalf("%d answers: %+v", len(s.Answers), s.Answers)
		}
		return green(s, want...)
	})
}

func TestPublishIsSeenEverywhereSigned(t *testing.T) {
	r := newRig(t, servers.Options{}).withSecondaries().start(zone.Options{})
	r.eventuallyGreen(mx1, 3)
	r.mustPublish(zone.Change{Owner: mx1, Want: []tlsa.Record{record(1)}})
	r.eventuallyGreen(mx1, 3, record(1))
	if got := r.publish(zone.Change{Owner: mx1, Want: []tlsa.Record{record(1)}}); got.Class != zone.Unchanged {
		t.Errorf("what is there is sent again: %s %s", got.Class, got.Message)
	}
	r.mustPublish(zone.Change{Owner: mx1, Expect: []tlsa.Record{record(1)}, Want: []tlsa.Record{record(1), record(2)}})
	r.eventuallyGreen(mx1, 3, record(1), record(2))
	r.mustPublish(zone.Change{Owner: mx1, Expect: []tlsa.Record{record(2), record(1)}})
	r.eventuallyGreen(mx1, 3)
}

func TestSomebodyElseWritesBehindOurBack(t *testing.T) {
	r := newRig(t, servers.Options{}).start(zone.Options{})
	r.mustPublish(zone.Change{Owner: mx1, Want: []tlsa.Record{record(1)}})
	r.primary.Update("add " + mx1 + " 60 TLSA 3 1 1 " + record(9).Data)
	got := r.publish(zone.Change{Owner: mx1, Expect: []tlsa.Record{record(1)}, Want: []tlsa.Record{record(2)}})
	if got.Class != zone.Conflict || !got.Retryable || !got.CurrentKnown {
		t.Fatalf("got %+v", got)
	}
	if want := tlsa.Normalize([]tlsa.Record{record(1), record(9)}); !slices.Equal(got.Current, want) {
		t.Errorf("current is %v, want %v", got.Current, want)
	}
	r.eventuallyGreen(mx1, 1, record(1), record(9))
}

func TestSecondaryThatLagsOrIsDown(t *testing.T) {
	r := newRig(t, servers.Options{}).withSecondaries().start(zone.Options{})
	bind, nsd := r.secondaries[0], r.secondaries[1]
	nsd.Pause()
	bind.Stop()
	r.mustPublish(zone.Change{Owner: mx1, Want: []tlsa.Record{record(1)}})
	for _, a := range r.sweep(mx1).Answers {
		if cutOff := a.Address != r.primary.Addr.String(); a.Reachable == cutOff || cutOff == (a.Message == "") {
			t.Errorf("%+v", a)
		}
	}
	nsd.Resume()
	bind.Start()
	r.eventuallyGreen(mx1, 3, record(1))
}

func TestRefusals(t *testing.T) {
	p := servers.StartBINDPrimary(t, servers.Options{
		Grants:  []string{"grant tlsa-key name " + mx1 + " TLSA(2);", "grant tlsa-key name _25._tcp.alias.example.test. TLSA;", "grant tlsa-key name _25._tcp.deep.dname.example.test. TLSA;", "grant tlsa-key name _25._tcp.mx.sub.example.test. TLSA;"},
		Records: []string{"_25._tcp.alias CNAME elsewhere", "dname DNAME other", "sub NS ns.sub", "ns.sub A 127.0.0.1"},
	})
	good := configOf(t, p)
	cases := []struct {
		reason string
		change func(*zone.Config)
		opts   zone.Options
		owner  string
		want   zone.Class
		text   string
	}{
		{"a secret that is another", func(c *zone.Config) {
			k := *c.TSIG
			k.Secret = "b3RoZXIgc2VjcmV0IHRoYXQgaXMgbG9uZyBlbm91Z2g="
			c.TSIG = &k
		}, zone.Options{}, mx1, zone.BadSecret, "tlsa-key"},
		{"a key that the server does not have", func(c *zone.Config) {
			k := *c.TSIG
			k.Name = "other-key"
			c.TSIG = &k
		}, zone.Options{}, mx1, zone.BadKeyOrACL, "other-key."},
		{"an algorithm that is another", func(c *zone.Config) {
			k := *c.TSIG
			k.Algorithm = "HMACSHA512"
			c.TSIG = &k
		}, zone.Options{}, mx1, zone.BadKeyOrACL, "algorithm"},
		{"a secret that is too short", func(c *zone.Config) {
			k := *c.TSIG
			k.Secret = "c2hvcnQ="
			c.TSIG = &k
		}, zone.Options{}, mx1, zone.ConfigError, "at least 16"},
		{"no key at all", func(c *zone.Config) { c.TSIG = nil }, zone.Options{}, mx1, zone.NotPermitted, "tsigKeyName"},
		{"an owner that the key may not write", nil, zone.Options{}, "_25._tcp.mx7.example.test.", zone.NotPermitted, "grant tlsa-key name _25._tcp.mx7.example.test. TLSA"},
		{"a CNAME at the owner", nil, zone.Options{}, "_25._tcp.alias.example.test.", zone.OwnerIsAlias, "CNAME"},
		{"a DNAME above the owner", nil, zone.Options{}, "_25._tcp.deep.dname.example.test.", zone.OwnerIsAlias, "DNAME"},
		{"a zone cut above the owner", nil, zone.Options{}, "_25._tcp.mx.sub.example.test.", zone.OwnerIsAlias, "delegated"},
		{"a zone that the server does not serve", func(c *zone.Config) { c.Zone = "other.test." }, zone.Options{}, "_25._tcp.mx1.other.test.", zone.NotPrimary, "not the primary"},
		{"a zone that is not an apex", func(c *zone.Config) { c.Zone = "mx1.example.test." }, zone.Options{}, mx1, zone.NotPrimary, "not the primary"},
		{"an owner outside the zone", nil, zone.Options{}, "_25._tcp.mx.evilexample.test.", zone.NotInZone, "not below"},
		{"a clock ten minutes ahead", nil, zone.Options{Clock: shifted{by: 10 * time.Minute}}, mx1, zone.ClockSkew, "behind"},
		{"a clock ten minutes behind", nil, zone.Options{Clock: shifted{by: -10 * time.Minute}}, mx1, zone.ClockSkew, "ahead of"},
		{"no server at that address", func(c *zone.Config) { c.Primary = "127.0.0.1:1" }, zone.Options{}, mx1, zone.Unreachable, "refused"},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			config := good
			if c.change != nil {
				c.change(&config)
			}
			r := (&rig{t: t, primary: p, config: config}).start(c.opts)
			got := r.publish(zone.Change{Owner: c.owner, Want: []tlsa.Record{record(1)}})
			if got.Class != c.want || !strings.Contains(got.Message, c.text) {
				t.Errorf("got %s: %s; want %s with %q", got.Class, got.Message, c.want, c.text)
			}
		})
	}
	t.Run("more records than the grant allows are dropped without a word", func(t *testing.T) {
		r := (&rig{t: t, primary: p, config: good}).start(zone.Options{})
		got := r.publish(zone.Change{Owner: mx1, Want: []tlsa.Record{record(1), record(2), record(3)}})
		if got.Class != zone.NotStored || !strings.Contains(got.Message, "only 2 of the 3") {
			t.Errorf("got %s: %s", got.Class, got.Message)
		}
	})
}

// shifted is a clock that is wrong.
type shifted struct {
	clock.RealClock
	by time.Duration
}

func (c shifted) Now() time.Time                  { return c.RealClock.Now().Add(c.by) }
func (c shifted) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

func TestClockSkewIsShown(t *testing.T) {
	p := servers.StartBINDPrimary(t, servers.Options{})
	r := (&rig{t: t, primary: p, config: configOf(t, p)}).start(zone.Options{Clock: shifted{by: 10 * time.Minute}})
	got := r.publish(zone.Change{Owner: mx1, Want: []tlsa.Record{record(1)}})
	if !strings.Contains(got.Message, " is 10 minutes behind") {
		t.Errorf("the skew is not told: %s", got.Message)
	}
}

func TestServerThatLowersTTLs(t *testing.T) {
	r := newRig(t, servers.Options{Unsigned: true, MaxZoneTTL: 600}).start(zone.Options{})
	got := r.publish(zone.Change{Owner: mx1, Want: []tlsa.Record{record(1)}, TTL: time.Hour})
	if got.Class != zone.NotStored || !strings.Contains(got.Message, "TTL 600 instead of 3600") {
		t.Errorf("got %s: %s", got.Class, got.Message)
	}
}

func TestManyOwnersGoInFewMessages(t *testing.T) {
	const owners = 200
	r := newRig(t, servers.Options{}).withSecondaries().start(zone.Options{})
	results := make(chan zone.Result, owners)
	for i := range owners {
		r.actor.Publish(zone.Change{Owner: owner(i), Want: []tlsa.Record{record(i)}, TTL: time.Minute}, func(result zone.Result) { results <- result })
	}
	for range owners {
		if got := receive(t, results); got.Class != zone.Applied {
			t.Fatalf("%s: %s", got.Class, got.Message)
		}
	}
	// Every message that changes the zone raises the serial by one; some rise by signing.
	for _, s := range r.secondaries {
		s.CatchUp()
	}
	sweeps := make(chan zone.Sweep, owners)
	for i := range owners {
		r.actor.Sweep(owner(i), func(s zone.Sweep) { sweeps <- s })
	}
	for range owners {
		s := receive(t, sweeps)
		for _, a := range s.Answers {
			if !a.Reachable || !a.Signed || len(a.Records) != 1 {
				t.Fatalf("%+v", a)
			}
		}
	}
}

func owner(i int) string { return fmt.Sprintf("_25._tcp.mx%d.%s", i, apex) }

func TestHealthOfAZone(t *testing.T) {
	r := newRig(t, servers.Options{}).withSecondaries().start(zone.Options{})
	h := r.check()
	if h.PrimaryAccepts.Class != zone.Applied || h.Serial == 0 || len(h.Servers) != 3 {
		t.Errorf("%+v", h)
	}
	if h.DNSSEC.State != dnssec.Secure || h.DNSSEC.KeysChanging || h.DNSSEC.SignaturesExpire.IsZero() {
		t.Errorf("%+v", h.DNSSEC)
	}
	if !slices.Equal(h.DNSSEC.DS, []string{r.primary.DS}) || !slices.Equal(h.DNSSEC.Algorithms, []string{"ECDSAP256SHA256"}) {
		t.Errorf("%+v, want DS %s", h.DNSSEC, r.primary.DS)
	}
	r.config.Anchors = nil
	r.actor.Configure(r.config)
	h = r.check()
	if h.DNSSEC.State != dnssec.Indeterminate || !strings.Contains(h.DNSSEC.Message, r.primary.DS) {
		t.Errorf("without an anchor the DS to copy is missing: %+v", h.DNSSEC)
	}
}

func TestAddressesOfAHost(t *testing.T) {
	r := newRig(t, servers.Options{Records: []string{"mx1 A 192.0.2.1", "mx1 AAAA 2001:db8::1", "mx2 CNAME mx1"}}).withSecondaries().start(zone.Options{})
	for _, host := range []string{"mx1.example.test.", "mx2.example.test"} {
		ch := make(chan zone.Address, 1)
		r.actor.Addresses(host, func(a zone.Address) { ch <- a })
		got := receive(t, ch)
		if fmt.Sprint(got.Addrs) != "[192.0.2.1 2001:db8::1]" || !got.Signed || got.Message != "" {
			t.Errorf("%s: %+v", host, got)
		}
	}
}

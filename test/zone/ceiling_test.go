package zone_test

import (
	"net/netip"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
	"github.com/dane-operator/dane-operator/test/wire"
)

// However much there is to ask, no server gets more than the ceiling lets through, of all zones together: the
// queries are counted on their way to it. All of it is asked all the same, and validates.
func TestCeilingOfRealServers(t *testing.T) {
	onEvery(t, func(t *testing.T, m servers.Make) {
		const perSecond, zones, owners = 40, 2, 80
		s := newSite(t, m, servers.Options{})
		at := netip.AddrPortFrom(s.p.Addr.Addr(), servers.FreePort(t, s.p.Addr.Addr().String()))
		way, err := wire.StartDNS(s.p.Addr.String(), at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(way.Stop)
		ceiling := zone.NewCeiling(perSecond, clock.RealClock{})
		begun := time.Now()
		sweeps := make(chan zone.Sweep, zones*owners)
		for range zones {
			r := s.with(func(c *zone.Config) { c.Static = []netip.AddrPort{at} }, zone.Options{Ceiling: ceiling})
			for i := range owners {
				r.actor.Sweep(owner(i), func(sweep zone.Sweep) { sweeps <- sweep })
			}
		}
		for range zones * owners {
			if err := green(receive(t, sweeps)); err != nil {
				t.Error(err)
			}
		}
		took, asked := time.Since(begun), way.Counts().Queries
		t.Logf("%d queries in %s", asked, took.Round(time.Millisecond))
		// A busy machine takes longer, and may ask for more in that time.
		if most := perSecond * (1 + took.Seconds()); float64(asked) > most {
			t.Errorf("%d queries in %s: no more than %.0f may be", asked, took, most)
		}
		if asked < zones*owners {
			t.Errorf("%d queries for %d owners in %d zones: not all were counted", asked, owners, zones)
		}
	})
}

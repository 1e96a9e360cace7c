package zone_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/health"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// grave are the findings that are more than notices, as "Code" or "Code@Address".
func grave(h zone.Health) []string {
	var out []string
	for _, f := range h.Findings {
		word := string(f.Code)
		if f.Server != "" {
			word += "@" + f.Server
		}
		if f.Severity != health.Notice && !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	slices.Sort(out)
	return out
}

// finds wants exactly these findings besides notices.
func finds(t *testing.T, h zone.Health, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := grave(h); !slices.Equal(got, want) {
		t.Errorf("findings %v, want %v", got, want)
		for _, f := range h.Findings {
			t.Logf("    %s %s %s: %s", f.Severity, f.Code, f.Server, f.Message)
		}
	}
}

// A zone that each make signs and serves by itself is well: whatever is found in it would be found in
// every zone, and nobody would look at findings any more.
func TestHealthyZonesHaveNoFindings(t *testing.T) {
	onEveryDenial(t, "nothere."+apex, []string{"@ MX 10 mx1", "mx1 A 192.0.2.1", "*.wild A 192.0.2.1"}, func(t *testing.T, r *rig) {
		r.insist(zone.Change{Owner: mx1, Want: recs(1)})
		r.eventuallyGreen(mx1, 4, record(1))
		r.sweep("_25._tcp.mx.wild." + apex)
		h := r.check()
		finds(t, h)
		for _, s := range h.Servers {
			if time.Until(s.SignaturesExpire) < 24*time.Hour {
				t.Errorf("%s: signatures expire at %s", s.Addr, s.SignaturesExpire)
			}
		}
	})
}

// A server of another zone in the list, one that is gone, and one that lags.
func TestFindingsOfServers(t *testing.T) {
	other := servers.StartBINDPrimary(t, servers.Options{Zone: "other.test.", Unsigned: true})
	r := newRig(t, servers.Options{Records: []string{"mx1 A 192.0.2.1"}}).withSecondaries()
	bind, nsd := r.secondaries[0], r.secondaries[1]
	r.config.Static = append(r.config.Static, other.Addr)
	now := clocktesting.NewFakeClock(time.Now())
	r.start(zone.Options{Clock: now, QueryTimeout: 10 * time.Second})
	lame := "ServerLame@" + other.Addr.String()
	finds(t, r.check(), lame)

	nsd.Lag()
	r.primary.Update("add " + mx1 + " 60 TLSA 3 1 1 " + record(1).Data)
	bind.CatchUp()
	finds(t, r.check(), lame)
	now.Step(11 * time.Minute)
	finds(t, r.check(), lame, "SerialSpread@"+nsd.Addr.String())
	nsd.Follow()
	finds(t, r.check(), lame)

	bind.Stop()
	finds(t, r.check(), lame, "ServerUnreachable@"+bind.Addr.String())
	r.config.Ignore = []string{bind.Addr.String(), other.Addr.String()}
	r.actor.Configure(r.config)
	finds(t, r.check())
}

// TestFindingsOfServersThatAreGone: one after the other, until nobody serves the zone, and back. Resolvers meet one address alone
// where there is no other.
func TestFindingsOfServersThatAreGone(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.Options{Records: []string{"mx1 A 192.0.2.1"}}).withSecondaries()
	names := map[string]string{r.primary.Addr.String(): "primary", r.secondaries[0].Addr.String(): "bind", r.secondaries[1].Addr.String(): "nsd"}
	r.start(zone.Options{QueryTimeout: 10 * time.Second})
	tells(t, r.check(), names, "")
	r.secondaries[0].Stop()
	r.secondaries[1].Stop()
	tells(t, r.check(), names, "ServerUnreachable@bind ServerUnreachable@nsd")
	r.primary.Stop()
	tells(t, r.check(), names, "NoServerAnswers ServerUnreachable@bind ServerUnreachable@nsd ServerUnreachable@primary")
	r.config.Static = r.config.Static[:1]
	r.actor.Configure(r.config)
	tells(t, r.check(), names, "NoServerAnswers ServerUnreachable@primary SingleServer")
	r.primary.Start()
	tells(t, r.check(), names, "SingleServer")
}

// stamp is a time as dnssec-signzone reads it.
func stamp(at time.Time) string { return at.UTC().Format("20060102150405") }

// Zones that dnssec-signzone has signed in ways that are wrong.
func TestFindingsOfSigning(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Now()
	dated := func(begin, end time.Duration) []string {
		return []string{"-s", stamp(now.Add(begin)), "-e", stamp(now.Add(end))}
	}
	cases := []struct {
		reason string
		args   []string
		anchor string
		want   []string
	}{
		{"well signed", nil, "", nil},
		{"expired", dated(-30*day, -day), "", []string{"SignatureExpired"}},
		{"not valid yet", dated(day, 30*day), "", []string{"SignatureNotYetValid"}},
		{"one day left of thirty", dated(-29*day, day+time.Hour), "", []string{"RefreshOverdue"}},
		{"ten hours left of thirty days", dated(-29*day, 10*time.Hour), "", []string{"SignaturesExpiring"}},
		{"NSEC3 iterations", []string{"-3", "-", "-H", "60"}, "", []string{"NSEC3Iterations"}},
		{"more NSEC3 iterations than are computed", []string{"-3", "-", "-H", "120"}, "", []string{"NSEC3IterationsExcessive"}},
		{"NSEC3 salt", []string{"-3", "abcd", "-H", "0"}, "", []string{"NSEC3Salt"}},
		{"opt-out", []string{"-3", "-", "-H", "0", "-A"}, "", nil},
		{"a DS record of another key", nil, "12345 13 2 " + strings.Repeat("ab", 32), []string{"DSMatchesNoKey"}},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			p := servers.StartPresigned(t, apex, []string{"mx1 A 192.0.2.1", "_25._tcp.mx1 TLSA 3 1 1 " + record(1).Data, "@ MX 10 mx1"}, c.args...)
			anchor := c.anchor
			if anchor == "" {
				anchor = p.DS
			}
			ds, err := dnssec.ParseDS(anchor, p.Zone)
			if err != nil {
				t.Fatal(err)
			}
			r := &rig{t: t, config: zone.Config{Zone: p.Zone, Primary: p.Addr.String(), Protocol: zone.TCP, Static: []netip.AddrPort{p.Addr}, Anchors: []dnssec.Anchor{ds}}}
			r.start(zone.Options{QueryTimeout: 10 * time.Second})
			r.sweep(mx1)
			h := r.check()
			finds(t, h, c.want...)
			if !slices.Equal(grave(r.check()), grave(h)) {
				t.Error("a second look finds something else")
			}
			t.Log(fmt.Sprint(h.Findings))
		})
	}
}

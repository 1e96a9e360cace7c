package e2e

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
)

// point is a moment of a rollover; reached returns nil when it has come.
type point struct {
	name    string
	reached func(s *site, before, published string) error
	// prepare makes sure before the rollover that the moment comes, and follow undoes that after it.
	prepare, follow func(s *site)
}

// The points of a rollover with strategy Gate and without a standby key, in their order. Some are over
// within milliseconds: what comes next counts as well.
var (
	requested = point{name: "the request is there", reached: func(s *site, _, _ string) error {
		return unless(s.request() != nil, "no request")
	}}
	planned = point{name: "the new version is noted, and its update may be on its way", reached: func(s *site, _, published string) error {
		md, err := s.lab.Domain(s.Context(), s.lab.Namespace)
		s.must(err)
		noted := slices.ContainsFunc(md.Status.MailServers[0].Versions, func(v v1alpha1.VersionStatus) bool { return v.Planned })
		return unless(noted || s.differs(published) == nil, "no version is planned")
	}}
	written = point{name: "the new record is written", reached: func(s *site, _, published string) error { return s.differs(published) }}
	partly  = point{
		name: "the new record is on some servers and not on all", prepare: func(s *site) { s.nsd.Lag() }, follow: func(s *site) { s.nsd.Follow() },
		reached: func(s *site, _, published string) error { return s.differs(published) },
	}
	shown    = point{name: "every server shows the new record", reached: func(s *site, _, published string) error { return s.allDiffer(published) }}
	halfOver = point{name: "half of the wait for the caches is over", reached: func(s *site, before, _ string) error {
		md, err := s.lab.Domain(s.Context(), s.lab.Namespace)
		s.must(err)
		next := lab.Keys(md, mx, v1alpha1.RoleNext)
		half := slices.ContainsFunc(next, func(k v1alpha1.KeyStatus) bool {
			return k.DeployableAt != nil && time.Until(k.DeployableAt.Time) < caches/2
		})
		return unless(half || s.servesAnother(md, before), "it is not known when the key may be deployed, or late")
	}}
	approved     = point{name: "the request is approved", reached: func(s *site, _, _ string) error { return unless(s.approved(), "it is not") }}
	renewed      = point{name: "the new certificate is in its Secret", reached: func(s *site, _, _ string) error { return unless(s.revisionOf("mx1") > s.from, "it is not") }}
	served       = point{name: "Postfix serves the new key", reached: func(s *site, before, _ string) error { return unless(s.postfix.Served() != before, "it does not") }}
	removalWaits = point{name: "the old key is seen to be gone", prepare: func(s *site) { s.editDomain(longRetirement) }, follow: (*site).shortenRetirement, reached: func(s *site, before, _ string) error {
		md, err := s.lab.Domain(s.Context(), s.lab.Namespace)
		s.must(err)
		waits := slices.ContainsFunc(lab.Keys(md, mx, v1alpha1.RolePrevious), func(k v1alpha1.KeyStatus) bool {
			return k.SPKISHA256 == before && k.RemovableAt != nil
		})
		return unless(waits, "the old key does not wait for its removal")
	}}
	removed = point{name: "the old record is removed", reached: func(s *site, before, _ string) error { return s.lacks(before) }}
)

// unless returns an error while something does not hold.
func unless(holds bool, missing string) error {
	if holds {
		return nil
	}
	return errors.New(missing)
}

// servesAnother says whether another key than before may be served.
func (s *site) servesAnother(md *v1alpha1.MailDomain, before string) bool {
	return slices.ContainsFunc(lab.Keys(md, mx, v1alpha1.RoleCurrent), func(k v1alpha1.KeyStatus) bool { return k.SPKISHA256 != before })
}

// The operator is killed at every point of a rollover, at each second one in the first and at the others in
// the next, is away for a while in which caches forget, and comes back.
func TestKilledAtEveryPoint(t *testing.T) { alone(t, bind, killedAtEveryPoint) }

func killedAtEveryPoint(t *testing.T, m servers.Make) {
	s := gated(t, m, false)
	s.killedAt(nil, requested, partly, halfOver, renewed, removalWaits)
	s.killedAt(nil, planned, shown, approved, served, removed)
	s.must(s.lab.Operator.Kill())
	before := s.startRenewal() // whose request nobody sees
	time.Sleep(caches / 2)
	s.must(s.lab.Operator.Start())
	s.settleBeyond(before, false)
	s.verdict()
}

// With Stage a kill falls before or after the new chain is handed to Postfix.
func TestKilledWithStage(t *testing.T) { alone(t, knot, killedWithStage) }

func killedWithStage(t *testing.T, m servers.Make) {
	s := newSite(t, m, "mx1-live")
	s.createZone()
	s.certificate("selfsigned", nil)
	s.domain(func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.Strategy = v1alpha1.StrategyStage
		md.Spec.MailServers[0].Certificates[0].ServingSecretName = "mx1-live"
	})
	s.settle(false)
	s.judges()
	live, _ := s.lab.TLSSecret(t.Context(), "mx1-live")
	handed := point{name: "the new chain is in the serving Secret", reached: func(s *site, _, _ string) error {
		now, _ := s.lab.TLSSecret(s.Context(), "mx1-live")
		return unless(!bytes.Equal(now, live), "it is not")
	}}
	s.killedAt(nil, renewed, shown, halfOver, handed, served, removalWaits)
	s.verdict()
}

// A lost status makes a rollover slower and never unsafe: what the operator finds in DNS counts as
// known to caches for a time that it cannot tell.
func TestKilledAndStatusLost(t *testing.T) { alone(t, powerDNS, killedAndStatusLost) }

func killedAndStatusLost(t *testing.T, m servers.Make) {
	s := gated(t, m, false)
	for _, p := range []point{written, approved, served} {
		s.killedAt(s.wipeStatus, p)
	}
	s.verdict()
}

// killedAt rolls over once. At each point the operator is killed, and started again after a while.
func (s *site) killedAt(meanwhile func(), points ...point) {
	s.Helper()
	for _, p := range points {
		if p.prepare != nil {
			p.prepare(s)
		}
	}
	published := s.published()
	before := s.startRenewal()
	for _, p := range points {
		s.eventuallyQuickly(p.name, func() error { return p.reached(s, before, published) })
		s.must(s.lab.Operator.Kill())
		s.Logf("killed when %s", p.name)
		if meanwhile != nil {
			meanwhile()
		}
		time.Sleep(caches / 2)
		s.must(s.lab.Operator.Start())
		if p.follow != nil {
			p.follow(s)
		}
	}
	s.settleBeyond(before, false)
}

// eventuallyQuickly waits as servers.Eventually does, in smaller steps, for a kill at the point.
func (s *site) eventuallyQuickly(what string, done func() error) {
	s.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err = done(); err == nil {
			return
		}
	}
	s.Fatalf("waited for: %s: %v", what, err)
}

// wipeStatus loses the status of the MailDomain, as a restore from a backup without status does.
func (s *site) wipeStatus() {
	s.Helper()
	servers.Eventually(s, "the status is lost", func() error {
		md, err := s.lab.Domain(s.Context(), s.lab.Namespace)
		if err != nil {
			return err
		}
		md.Status = v1alpha1.MailDomainStatus{}
		return s.lab.Client.Status().Update(s.Context(), md)
	})
}

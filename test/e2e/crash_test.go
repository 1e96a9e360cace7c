package e2e

import (
	"errors"
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
}

var points = []point{
	{"the request is there", func(s *site, _, _ string) error {
		if s.request() == nil || s.approved() {
			return errors.New("no request that waits")
		}
		return nil
	}},
	{"the new record is written", func(s *site, _, published string) error { return s.differs(published) }},
	{"the request is approved", func(s *site, _, _ string) error {
		if !s.approved() {
			return errors.New("the request is not approved")
		}
		return nil
	}},
	{"Postfix serves the new key", func(s *site, before, _ string) error {
		if s.postfix.Served() == before {
			return errors.New("Postfix serves the old key")
		}
		return nil
	}},
	{"the old key is seen to be gone", func(s *site, before, _ string) error {
		md, err := s.lab.Domain(s.Context(), s.lab.Namespace)
		if err != nil {
			return err
		}
		for _, k := range lab.Keys(md, mx, v1alpha1.RolePrevious) {
			if k.SPKISHA256 == before && k.RemovableAt != nil {
				return nil
			}
		}
		return errors.New("the old key does not wait for its removal")
	}},
}

// The operator is killed at each point of a rollover, is away while the caches forget, and comes back.
func TestKilledAtEveryPoint(t *testing.T) { alone(t, bind, killedAtEveryPoint) }

func killedAtEveryPoint(t *testing.T, m servers.Make) {
	s := gated(t, m, false)
	for _, p := range points {
		t.Logf("killed when %s", p.name)
		s.killAt(p, nil)
	}
	s.verdict()
}

// A lost status makes a rollover slower and never unsafe: what the operator finds in DNS counts as
// known to caches for a time that it cannot tell.
func TestKilledAndStatusLost(t *testing.T) { alone(t, powerDNS, killedAndStatusLost) }

func killedAndStatusLost(t *testing.T, m servers.Make) {
	s := gated(t, m, false)
	for _, p := range points[1:4] {
		t.Logf("killed when %s, and the status lost", p.name)
		s.killAt(p, s.wipeStatus)
	}
	s.verdict()
}

// killAt renews, kills the operator at a point, and starts it again after a while.
func (s *site) killAt(p point, meanwhile func()) {
	s.Helper()
	published := s.published()
	before := s.startRenewal()
	s.eventuallyQuickly(p.name, func() error { return p.reached(s, before, published) })
	s.must(s.lab.Operator.Kill())
	if meanwhile != nil {
		meanwhile()
	}
	time.Sleep(caches / 2)
	s.must(s.lab.Operator.Start())
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

package servers_test

import (
	"errors"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/test/servers"
)

const zoneName = "example.test."

// every is a primary of a make with a secondary of each make.
func every(t *testing.T, m servers.Make) (*servers.Primary, []*servers.Secondary, *servers.Resolver) {
	t.Helper()
	p := servers.StartPrimary(t, m, servers.Options{Zone: zoneName, Records: []string{"mx1 A 127.0.0.1"}})
	secondaries := []*servers.Secondary{
		servers.StartBINDSecondary(t, p, ""), servers.StartNSDSecondary(t, p, ""), servers.StartKnotSecondary(t, p, ""),
	}
	u := servers.StartUnbound(t, servers.ResolverOptions{Stubs: []servers.Stub{servers.StubOf(p, secondaries...)}})
	return p, secondaries, u
}

// onEvery runs a test on a primary of each make.
func onEvery(t *testing.T, test func(t *testing.T, m servers.Make)) {
	for _, m := range servers.Makes {
		t.Run(string(m), func(t *testing.T) { test(t, m) })
	}
}

func TestEveryServerServesAndValidates(t *testing.T) {
	onEvery(t, func(t *testing.T, m servers.Make) {
		p, secondaries, u := every(t, m)
		p.Update("add _25._tcp.mx1.example.test. 60 TLSA 3 1 1 " + hex64)
		for _, s := range append([]servers.Server{p}, all(secondaries)...) {
			servers.Eventually(t, s.Name()+" serves the record", func() error { return shows(s, false) })
		}
		servers.Eventually(t, "unbound validates the record", func() error { return shows(u, true) })
		p.Admin("add mx2.example.test. 60 A 127.0.0.2")
		servers.Eventually(t, "the administrator's record is served", func() error {
			m, err := servers.Ask(secondaries[0].Addr, "mx2.example.test.", dns.TypeA, false)
			if err == nil && len(m.Answer) == 0 {
				err = errors.New("no answer")
			}
			return err
		})
	})
}

func all(secondaries []*servers.Secondary) []servers.Server {
	var out []servers.Server
	for _, s := range secondaries {
		out = append(out, s)
	}
	return out
}

const hex64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// shows says whether a server serves the record, validated if asked of a resolver.
func shows(s servers.Server, recurse bool) error {
	m, err := servers.Ask(s.Address(), "_25._tcp.mx1.example.test.", dns.TypeTLSA, recurse)
	switch {
	case err != nil:
		return err
	case recurse && !m.AuthenticatedData:
		return errors.New("the answer is not validated")
	case !recurse && !m.Authoritative:
		return errors.New("the answer is not authoritative")
	}
	for _, rr := range m.Answer {
		if r, ok := rr.(*dns.TLSA); ok && r.Certificate == hex64 {
			return nil
		}
	}
	return errors.New("no record in the answer")
}

func TestServersStopStartAndPause(t *testing.T) {
	onEvery(t, stopStartAndPause)
}

func stopStartAndPause(t *testing.T, m servers.Make) {
	p, secondaries, _ := every(t, m)
	for _, s := range append([]servers.Server{p}, all(secondaries)...) {
		s.Pause()
		if _, err := servers.AskWithin(2*time.Second, s.Address(), zoneName, dns.TypeSOA, false); err == nil {
			t.Errorf("%s answers while it is paused", s.Name())
		}
		s.Resume()
		servers.Eventually(t, s.Name()+" answers again", func() error {
			_, err := servers.Ask(s.Address(), zoneName, dns.TypeSOA, false)
			return err
		})
		s.Stop()
		if _, err := servers.Ask(s.Address(), zoneName, dns.TypeSOA, false); err == nil {
			t.Errorf("%s answers after it was stopped", s.Name())
		}
		s.Start()
		if _, err := servers.Ask(s.Address(), zoneName, dns.TypeSOA, false); err != nil {
			t.Errorf("%s does not answer after it was started again: %v", s.Name(), err)
		}
	}
}

func TestSecondaryCatchesUpAfterAPause(t *testing.T) {
	onEvery(t, catchUpAfterAPause)
}

func catchUpAfterAPause(t *testing.T, m servers.Make) {
	p := servers.StartPrimary(t, m, servers.Options{})
	n := servers.StartNSDSecondary(t, p, "")
	n.Pause()
	p.Update("add _25._tcp.mx1.example.test. 60 TLSA 3 1 1 " + hex64)
	n.Resume()
	n.CatchUp()
	if err := shows(n, false); err != nil {
		t.Error(err)
	}
}

// A secondary that no NOTIFY reaches keeps what it has, until it is told again.
func TestSecondaryThatLags(t *testing.T) {
	onEvery(t, func(t *testing.T, m servers.Make) {
		p := servers.StartPrimary(t, m, servers.Options{})
		n, b := servers.StartNSDSecondary(t, p, ""), servers.StartBINDSecondary(t, p, "")
		n.Lag()
		p.Update("add _25._tcp.mx1.example.test. 60 TLSA 3 1 1 " + hex64)
		b.CatchUp()
		if err := shows(n, false); err == nil {
			t.Error("the secondary follows although it lags")
		}
		n.Follow()
		if err := shows(n, false); err != nil {
			t.Error(err)
		}
	})
}

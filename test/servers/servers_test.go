package servers_test

import (
	"errors"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/test/servers"
)

const zoneName = "example.test."

// every is a server of each kind.
func every(t *testing.T) (*servers.Primary, *servers.Secondary, *servers.Secondary, *servers.Resolver) {
	t.Helper()
	p := servers.StartBINDPrimary(t, servers.Options{Zone: zoneName, Records: []string{"mx1 A 127.0.0.1"}})
	b := servers.StartBINDSecondary(t, p, "")
	n := servers.StartNSDSecondary(t, p, "")
	u := servers.StartUnbound(t, servers.ResolverOptions{Stubs: []servers.Stub{servers.StubOf(p, b, n)}})
	return p, b, n, u
}

func TestEveryServerServesAndValidates(t *testing.T) {
	p, b, n, u := every(t)
	p.Update("add _25._tcp.mx1.example.test. 60 TLSA 3 1 1 " + hex64)
	for _, s := range []servers.Server{p, b, n} {
		servers.Eventually(t, s.Name()+" serves the record", func() error { return shows(s, false) })
	}
	servers.Eventually(t, "unbound validates the record", func() error { return shows(u, true) })
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
	p, b, n, _ := every(t)
	for _, s := range []servers.Server{p, b, n} {
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
	p := servers.StartBINDPrimary(t, servers.Options{})
	n := servers.StartNSDSecondary(t, p, "")
	n.Pause()
	p.Update("add _25._tcp.mx1.example.test. 60 TLSA 3 1 1 " + hex64)
	n.Resume()
	n.CatchUp()
	if err := shows(n, false); err != nil {
		t.Error(err)
	}
}

package e2e

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/dane-operator/dane-operator/test/judge"
	"github.com/dane-operator/dane-operator/test/servers"
)

// judges starts both senders; they check until the test ends or calls verdict.
func (s *site) judges() {
	s.Helper()
	if s.tree != nil {
		// The operator has asked for the first records before they were published, as senders do, and a denial is kept for its time.
		servers.Eventually(s, "the senders' resolver shows the first records", s.resolves)
	}
	s.judgesOf(mx, s.postfix)
}

// judgesOf starts both senders for a host, at one of its mail servers.
func (s *site) judgesOf(host string, at *judge.Postfix) {
	s.Helper()
	port := int(at.Addr().Port())
	s.stops = append(s.stops,
		judge.StartFinger(s, s.checks, judge.FingerOptions{
			Resolver: s.unbound.Addr, Host: host, Port: port, Interval: tick,
		}),
		judge.StartReplay(s, s.checks, judge.ReplayOptions{
			Servers: func() []netip.AddrPort { return s.authoritative() },
			Owner:   ownerOf(host, port), Host: host, Addr: at.Addr(), Interval: tick,
			SignatureAlgorithms: s.algorithms,
		}))
}

// stopJudges waits until each judge has made a check that began after the call, so that what was done
// last is judged too, and ends them.
func (s *site) stopJudges() []judge.Check {
	s.Helper()
	from := time.Now()
	servers.Eventually(s, "each judge has checked once more", func() error {
		since := s.checksFrom(from)
		for _, name := range judge.Names {
			if len(since[name]) == 0 {
				return errors.New(name + " has not")
			}
		}
		return nil
	})
	for _, stop := range s.stops {
		stop()
	}
	s.stops = nil
	s.Log(s.checks.Summary())
	return s.checks.Checks()
}

// checksFrom are the checks of each judge that began after an instant.
func (s *site) checksFrom(instant time.Time) map[string][]judge.Check {
	since := map[string][]judge.Check{}
	for _, c := range s.checks.Checks() {
		if c.At.After(instant) {
			since[c.Judge] = append(since[c.Judge], c)
		}
	}
	return since
}

// allOf returns nil when something holds for every judge.
func allOf(judges map[string]bool) error {
	for _, name := range judge.Names {
		if !judges[name] {
			return errors.New("not yet for " + name)
		}
	}
	return nil
}

// enough is how many good checks of a judge are enough to judge by.
const enough = 5

// judged returns nil when each judge has made enough good checks.
func (s *site) judged() error {
	good := map[string]int{}
	for _, c := range s.checks.Checks() {
		if c.OK {
			good[c.Judge]++
		}
	}
	for _, name := range judge.Names {
		if good[name] < enough {
			return fmt.Errorf("%s made %d good checks", name, good[name])
		}
	}
	return nil
}

// verdict ends the judges and wants that each of them has checked, and that no check failed.
func (s *site) verdict() {
	s.Helper()
	s.verdictBut(func(judge.Check) bool { return false })
}

// verdictBut is verdict where some checks may end otherwise.
func (s *site) verdictBut(excused func(judge.Check) bool) {
	s.Helper()
	good := map[string]int{}
	for _, c := range s.stopJudges() {
		if c.OK {
			good[c.Judge]++
		}
		if c.OK || excused(c) {
			continue
		}
		s.Errorf("%s %s: %s: %s", c.At.Format("15:04:05.000"), c.Judge, c.Class, c.Detail)
	}
	for _, name := range judge.Names {
		if good[name] < enough {
			s.Errorf("%s made %d good checks: too few to judge by", name, good[name])
		}
	}
}

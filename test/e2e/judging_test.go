package e2e

import (
	"net/netip"
	"time"

	"github.com/dane-operator/dane-operator/test/judge"
)

// judges starts both senders; they check until the test ends or calls verdict.
func (s *site) judges() {
	s.Helper()
	s.stops = append(s.stops,
		judge.StartFinger(s, s.checks, judge.FingerOptions{
			Resolver: s.unbound.Addr, Host: mx, Port: int(s.port()), Interval: tick,
		}),
		judge.StartReplay(s, s.checks, judge.ReplayOptions{
			Servers: func() []netip.AddrPort { return s.authoritative() },
			Owner:   s.owner(), Host: mx, Addr: s.postfix.Addr(), Interval: tick,
		}))
}

// stopJudges waits for a last look of both, so that what was done last is judged too, and ends them.
func (s *site) stopJudges() []judge.Check {
	s.Helper()
	seen := len(s.checks.Checks())
	deadline := time.Now().Add(patience)
	for len(s.checks.Checks()) < seen+6 && time.Now().Before(deadline) {
		time.Sleep(tick)
	}
	for _, stop := range s.stops {
		stop()
	}
	s.stops = nil
	s.Log(s.checks.Summary())
	return s.checks.Checks()
}

// verdict ends the judges and wants that each of them has checked, and that no check failed.
func (s *site) verdict() {
	s.Helper()
	good := map[string]int{}
	for _, c := range s.stopJudges() {
		if c.OK {
			good[c.Judge]++
			continue
		}
		s.Errorf("%s %s: %s: %s", c.At.Format("15:04:05.000"), c.Judge, c.Class, c.Detail)
	}
	for _, name := range []string{"postfix", "libssl"} {
		if good[name] < 5 {
			s.Errorf("%s made %d good checks: too few to judge by", name, good[name])
		}
	}
}

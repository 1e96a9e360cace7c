package soak

import (
	"time"

	"github.com/dane-operator/dane-operator/test/judge"
	"github.com/dane-operator/dane-operator/test/servers"
)

// interval between two checks of a sender.
const interval = time.Second

// check starts the senders: for each host one that replays every answer that a cache may still hold to libssl, and for
// one host of each make Postfix's own DANE code behind unbound.
func (w *world) check() {
	w.Helper()
	var stubs []servers.Stub
	for _, f := range w.farms {
		stubs = append(stubs, servers.StubOf(f.primary, f.secondary))
	}
	unbound := servers.StartUnbound(w, servers.ResolverOptions{Address: servers.PublicAddress(w).String(), Port: 53, Stubs: stubs})
	for _, f := range w.farms {
		w.stops = append(w.stops, judge.StartFinger(w, w.checks, judge.FingerOptions{
			Resolver: unbound.Addr, Host: f.hosts[0].name, Port: int(w.mail.addr.Port()), Interval: interval,
		}))
	}
	for _, h := range w.hosts {
		w.stops = append(w.stops, judge.StartReplay(w, w.checks, judge.ReplayOptions{
			Servers: h.farm.authoritative, Owner: h.owner(w.mail.addr.Port()), Host: h.name, Addr: w.mail.addr,
			Interval: interval,
		}))
	}
}

func (w *world) stopChecking() {
	for _, stop := range w.stops {
		stop()
	}
}

// verdict wants that every sender has checked, that nobody met a key that does not match, and that nobody found a
// host without records. That no name server or mail server could be asked for a moment is no fault of records, and
// is told.
func (w *world) verdict() {
	w.Helper()
	classes := map[string]int{}
	for _, c := range w.checks.Checks() {
		classes[c.Judge+" "+c.Class]++
		if c.Class == judge.ClassMismatch || c.Class == judge.ClassNoDANE {
			w.Errorf("%s %s: %s: %s", c.At.Format("15:04:05.000"), c.Judge, c.Class, c.Detail)
		}
	}
	w.say("checks by judge and class: %v", classes)
	for _, name := range judge.Names {
		if good := classes[name+" "+judge.ClassOK]; good < int(w.duration/interval/2) {
			w.Errorf("%s made %d good checks: too few to judge by", name, good)
		}
	}
}

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

// verdict wants that every sender has checked every host, that nobody met a key that does not match, and that nobody found a
// host without records. That no name server or mail server could be asked for a moment is no fault of records, and
// is told.
func (w *world) verdict() {
	w.Helper()
	classes, good := map[string]int{}, map[string]int{}
	for _, c := range w.checks.Checks() {
		classes[c.Judge+" "+c.Class]++
		if c.Class == judge.ClassOK {
			good[c.Judge+" "+c.Host]++
		}
		if c.Class == judge.ClassMismatch || c.Class == judge.ClassNoDANE {
			w.Errorf("%s %s: %s: %s", c.At.Format("15:04:05.000"), c.Judge, c.Class, c.Detail)
		}
	}
	w.say("checks by judge and class: %v", classes)
	// A check takes longer than the interval on a busy machine, and faults keep some from asking.
	least := int(w.duration / interval / 5)
	for _, f := range w.farms {
		if name := f.hosts[0].name; good["postfix "+name] < least {
			w.Errorf("postfix made %d good checks of %s: too few to judge by", good["postfix "+name], name)
		}
	}
	for _, h := range w.hosts {
		if n := good["libssl "+h.name]; n < least {
			w.Errorf("libssl made %d good checks of %s: too few to judge by", n, h.name)
		}
	}
}

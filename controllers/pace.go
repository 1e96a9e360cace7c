package controllers

import (
	"bytes"
	"hash/fnv"
	"reflect"
	"slices"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/rollover"
)

// This file says how often a host is looked at, and whether what was seen is anything new.

// pace is how often a host is looked at.
type pace struct {
	key hostKey
	// interval is the pace of what moves, soak that of what waits for a known instant, idle that of the
	// sweeps of what waits for nothing, and probes that of its probes, which cost more.
	interval, soak, idle, probes time.Duration
	// owners are the paces of the sweeps, in the order of the decision's owners; endpoints is that of the
	// probes.
	owners    []time.Duration
	endpoints time.Duration
	// quiet says that nothing moves, imminent that an instant that was waited for has almost come.
	quiet, imminent bool
}

// Multiples of propagation.interval: with its default of ten seconds a host that waits for caches is
// looked at every minute; of one at rest the name servers are asked every five minutes, and the mail
// servers every fifteen.
const (
	soakIntervals  = 6
	idleIntervals  = 30
	probeIntervals = 90
)

// What is at rest costs no more than six sweeps and three rounds of probes a second, however many hosts there
// are: beyond two thousand, each waits longer for its turn. What moves does not.
const (
	sweepShare = 160 * time.Millisecond
	probeShare = 360 * time.Millisecond
)

// paceOf is the pace of one of so many hosts.
func paceOf(now time.Time, h *hostRun, hosts int) pace {
	interval := max(h.zone.Spec.Propagation.Interval.Or(10*time.Second), 100*time.Millisecond)
	atLeast := func(n, least time.Duration) time.Duration { return min(max(n*interval, least), time.Hour) }
	p := pace{
		key: h.key, interval: interval, quiet: true,
		soak: atLeast(soakIntervals, 2*time.Second), idle: atLeast(idleIntervals, 30*time.Second), probes: atLeast(probeIntervals, 30*time.Second),
	}
	p.idle = min(max(p.idle, time.Duration(hosts)*sweepShare), time.Hour)
	p.probes = min(max(p.probes, time.Duration(hosts)*probeShare), time.Hour)
	sweeps, probes := p.idle, p.probes
	if !h.notManaged {
		sweeps, probes = p.ofManaged(now, h)
	}
	if h.unsure() {
		probes, p.quiet = interval, false
	}
	p.endpoints = probes
	for _, o := range h.decision.Owners {
		every := sweeps
		if !h.notManaged && (o.Write || !o.InSync) {
			every, p.quiet = interval, false
		}
		p.owners = append(p.owners, every)
	}
	return p
}

// ofManaged is how often the owners and the endpoints of a host of ours are looked at, for what concerns
// the host as a whole.
func (p *pace) ofManaged(now time.Time, h *hostRun) (sweeps, probes time.Duration) {
	sweeps, probes = p.idle, p.probes
	if !h.decision.Next.IsZero() {
		sweeps, probes = p.soak, p.soak
		p.imminent = h.decision.Next.Sub(now) <= p.ahead()
	}
	if h.inMotion(now, p.ahead()) {
		sweeps, p.quiet = p.interval, false
	}
	if h.endpointsMatter(now, p.ahead()) {
		probes, p.quiet = p.interval, false
	}
	return sweeps, probes
}

// endpointsMatter says whether what the endpoints present can bring the host on.
func (h *hostRun) endpointsMatter(now time.Time, ahead time.Duration) bool {
	if h.decision.NeedProbe || !h.decision.Published || h.removing || h.keysChanging() {
		return true
	}
	return slices.ContainsFunc(h.decision.Waits, func(w rollover.Wait) bool {
		return (w.Code == rollover.WaitServers || w.Code == rollover.WaitEndpoints || w.Code == rollover.WaitRetire) && isNear(w, now, ahead)
	})
}

// ahead is how long before an instant that is waited for a host is looked at often again: what is done
// then has to rest on fresh sweeps and probes.
func (p pace) ahead() time.Duration { return 2 * p.interval }

// resting says that nothing is waited for but time.
func (p pace) resting() bool { return p.quiet }

// due says how long the next look can wait. A host that does not move has instants of its own: however
// many began at once, from then on no second asks more than its share. Two looks are never further apart
// than the pace.
func (p pace) due(now, last time.Time, every time.Duration) time.Duration {
	if last.IsZero() || every <= p.interval {
		return dueIn(now, last, every)
	}
	return nextTurn(last, every, p.key).Sub(now)
}

// nextTurn is the first instant of a host after another one.
func nextTurn(after time.Time, every time.Duration, key hostKey) time.Time {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key.domain.Namespace + "/" + key.domain.Name + "/" + key.host)) // never fails
	turn := time.Duration(h.Sum64() % uint64(every))                                      //nolint:gosec // positive
	since := time.Duration(after.UnixNano() % int64(every))
	wait := (turn - since + every) % every
	if wait == 0 {
		wait = every
	}
	return after.Add(wait)
}

// inMotion says whether the host waits for something that sweeps and probes can bring nearer, or for an
// instant that is at most ahead away.
func (h *hostRun) inMotion(now time.Time, ahead time.Duration) bool {
	return h.removing || h.versionsClosing() || h.keysChanging() ||
		slices.ContainsFunc(h.decision.Waits, func(w rollover.Wait) bool { return isNear(w, now, ahead) })
}

// isNear says whether a wait may end by what is seen next.
func isNear(w rollover.Wait, now time.Time, ahead time.Duration) bool {
	switch w.Code {
	case rollover.WaitSuspended, rollover.WaitCertificate, rollover.WaitCompromised, rollover.WaitTooManyRecords:
		return false // what ends it is an event
	}
	return w.Until.Sub(now) <= ahead
}

// versionsClosing says whether some server may still show an older answer.
func (h *hostRun) versionsClosing() bool {
	return slices.ContainsFunc(h.decision.Owners, func(o rollover.OwnerDecision) bool {
		open := 0
		for _, v := range o.Versions {
			if v.Open {
				open++
			}
		}
		return open > 1
	})
}

// keysChanging says that a new key of a Certificate was handed to the servers, and not every endpoint has
// taken it yet.
func (h *hostRun) keysChanging() bool {
	current := map[string]int{}
	for _, k := range h.decision.Keys {
		if v1alpha1.KeyRole(k.Role) == v1alpha1.RoleCurrent {
			current[k.Certificate]++
		}
	}
	for _, n := range current {
		if n > 1 {
			return true
		}
	}
	return false
}

// sameSweep says whether two sweeps of an owner found the same.
func sameSweep(a, b *rollover.Sweep) bool {
	if a == nil || b == nil {
		return a == b
	}
	return slices.EqualFunc(a.Answers, b.Answers, sameAnswer)
}

func sameAnswer(a, b rollover.Answer) bool {
	if !slices.Equal(a.Records, b.Records) || !a.SignatureExpires.Equal(b.SignatureExpires) {
		return false
	}
	// The rest can be compared as it is.
	a.Records, b.Records = nil, nil
	a.SignatureExpires, b.SignatureExpires = time.Time{}, time.Time{}
	return reflect.DeepEqual(a, b)
}

// sameProbes says whether two rounds of probes, as they are kept, found the same.
func sameProbes(a, b []endpointProbe) bool {
	return slices.EqualFunc(a, b, func(x, y endpointProbe) bool {
		return x.address == y.address && x.port == y.port && slices.EqualFunc(x.results, y.results, sameResult) &&
			slices.EqualFunc(x.chains, y.chains, sameChain)
	})
}

func sameResult(a, b probe.Result) bool { return a.Outcome == b.Outcome && a.Message == b.Message }

func sameChain(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }

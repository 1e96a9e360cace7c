package controllers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// hostKey names a host of a MailDomain.
type hostKey struct {
	domain types.NamespacedName
	host   string
}

// ownerObservation is what was seen of one TLSA owner since the last stored decision.
type ownerObservation struct {
	sweeps []rollover.Sweep
	// last is the newest sweep, kept after it was handed to the rule.
	last *rollover.Sweep
	// stale says that an update came after the newest sweep, which thus says nothing any more.
	stale bool
	// sweeping and publishing say that an answer is awaited.
	sweeping, publishing bool
	// result is how the last update ended, and at is when.
	result zone.Result
	// doubt says that an update since the last success may have been carried out although it failed.
	doubt bool
	// retryAt is when a failed update may be tried again.
	retryAt  time.Time
	failures int
	// outOfSyncSince is when the servers began to differ from what is wanted.
	outOfSyncSince time.Time
}

// newest is the newest sweep that counts.
func (o ownerObservation) newest() *rollover.Sweep {
	if o.stale {
		return nil
	}
	return o.last
}

// hostObservation is what was seen of one host.
type hostObservation struct {
	owners map[string]*ownerObservation
	rounds []rollover.ProbeRound
	last   *rollover.ProbeRound
	probes []endpointProbe
	// probing says that a round is under way.
	probing bool
}

// observer keeps what sweeps and probes have seen until a decision that rests on it is stored. It
// is a cache of the outside world and nothing more: losing it costs time, never safety.
type observer struct {
	mu    sync.Mutex
	hosts map[hostKey]*hostObservation
	// wake enqueues the MailDomain.
	wake func(types.NamespacedName)
}

func newObserver(wake func(types.NamespacedName)) *observer {
	return &observer{hosts: map[hostKey]*hostObservation{}, wake: wake}
}

// host returns the observation of a host; the caller holds the lock.
func (o *observer) host(key hostKey) *hostObservation {
	h, ok := o.hosts[key]
	if !ok {
		h = &hostObservation{owners: map[string]*ownerObservation{}}
		o.hosts[key] = h
	}
	return h
}

func (o *observer) owner(key hostKey, owner string) *ownerObservation {
	h := o.host(key)
	w, ok := h.owners[owner]
	if !ok {
		w = &ownerObservation{}
		h.owners[owner] = w
	}
	return w
}

// forget drops what is known of the hosts of a MailDomain but those named.
func (o *observer) forget(domain types.NamespacedName, keep map[string]bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for key := range o.hosts {
		if key.domain == domain && !keep[key.host] {
			delete(o.hosts, key)
		}
	}
}

// hostView is a copy of an observation, safe to use without the lock.
type hostView struct {
	owners  map[string]ownerObservation
	rounds  []rollover.ProbeRound
	last    *rollover.ProbeRound
	probes  []endpointProbe
	probing bool
}

func (o *observer) view(key hostKey) hostView {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.host(key)
	v := hostView{owners: map[string]ownerObservation{}, last: h.last, probes: h.probes, probing: h.probing}
	v.rounds = append(v.rounds, h.rounds...)
	for name, w := range h.owners {
		c := *w
		c.sweeps = append([]rollover.Sweep(nil), w.sweeps...)
		v.owners[name] = c
	}
	return v
}

// consumed drops what the view held: the decision that rests on it is stored.
func (o *observer) consumed(key hostKey, v hostView) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.host(key)
	h.rounds = h.rounds[min(len(v.rounds), len(h.rounds)):]
	for name, seen := range v.owners {
		if w, ok := h.owners[name]; ok {
			w.sweeps = w.sweeps[min(len(seen.sweeps), len(w.sweeps)):]
		}
	}
}

// beginSweep says whether a sweep may be started now, and notes that it is.
func (o *observer) beginSweep(key hostKey, owner string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := o.owner(key, owner)
	if w.sweeping || w.publishing {
		return false
	}
	w.sweeping = true
	return true
}

func (o *observer) endSweep(key hostKey, owner string, sweep zone.Sweep) {
	seen := ruleSweep(sweep)
	o.mu.Lock()
	w := o.owner(key, owner)
	w.sweeping = false
	w.sweeps = append(w.sweeps, seen)
	w.last, w.stale = &seen, false
	o.mu.Unlock()
	o.wake(key.domain)
}

// beginPublish says whether an update may be sent now, and notes that it is.
func (o *observer) beginPublish(key hostKey, owner string, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := o.owner(key, owner)
	if w.publishing || now.Before(w.retryAt) {
		return false
	}
	w.publishing = true
	return true
}

// endPublish notes how an update ended. After a failure the next try waits longer each time, up to
// five minutes; a success or a conflict calls for a sweep at once.
func (o *observer) endPublish(key hostKey, owner string, result zone.Result, now time.Time) {
	o.mu.Lock()
	w := o.owner(key, owner)
	w.publishing = false
	w.result = result
	if result.Class == zone.Applied || result.Class == zone.Unchanged {
		w.failures, w.retryAt, w.doubt = 0, time.Time{}, false
	} else {
		w.failures++
		w.doubt = w.doubt || result.Retryable
		w.retryAt = now.Add(backoff(w.failures))
	}
	w.stale = true
	o.mu.Unlock()
	o.wake(key.domain)
}

// backoff is 1s, 2s, 4s … and at most five minutes.
func backoff(failures int) time.Duration {
	const longest = 5 * time.Minute
	if failures > 9 {
		return longest
	}
	return min(time.Second<<max(failures-1, 0), longest)
}

// beginProbe says whether a probe round may be started now, and notes that it is.
func (o *observer) beginProbe(key hostKey) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.host(key)
	if h.probing {
		return false
	}
	h.probing = true
	return true
}

func (o *observer) endProbe(key hostKey, round rollover.ProbeRound, probes []endpointProbe) {
	o.mu.Lock()
	h := o.host(key)
	h.probing = false
	h.rounds = append(h.rounds, round)
	h.last = &round
	h.probes = probes
	o.mu.Unlock()
	o.wake(key.domain)
}

// noteSync remembers since when an owner is out of sync.
func (o *observer) noteSync(key hostKey, owner string, inSync bool, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := o.owner(key, owner)
	switch {
	case inSync:
		w.outOfSyncSince = time.Time{}
	case w.outOfSyncSince.IsZero():
		w.outOfSyncSince = now
	}
}

// ruleSweep is the zone's sweep in the words of the rule.
func ruleSweep(s zone.Sweep) rollover.Sweep {
	out := rollover.Sweep{Start: s.Start, End: s.End}
	for _, a := range s.Answers {
		out.Answers = append(out.Answers, rollover.Answer(a))
	}
	return out
}

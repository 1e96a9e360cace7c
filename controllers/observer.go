package controllers

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
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
	// last is the newest sweep, kept after it was handed to the rule, and zones are the DNSZones whose
	// servers were asked in it.
	last  *rollover.Sweep
	zones []types.NamespacedName
	// words are, where records are named by digests, those in the newest sweep as they stand in a zone file.
	words map[tlsa.Record]string
	// stale says that an update came after the newest sweep, which thus says nothing any more.
	stale bool
	// changed is the end of the first sweep that showed what the newest shows.
	changed time.Time
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
	// stirred says that the endpoints have changed since the newest round began.
	stirred bool
	// resting says that the host waits for nothing: what is seen anew matters only if it differs.
	resting bool
}

// observer keeps what sweeps and probes have seen until a decision that rests on it is stored. It
// is a cache of the outside world and nothing more: losing it costs time, never safety.
type observer struct {
	mu sync.Mutex
	// hosts of each MailDomain by their names.
	hosts map[types.NamespacedName]map[string]*hostObservation
	// known counts them all.
	known int
	// wake enqueues the MailDomain.
	wake func(types.NamespacedName)
	// moving bounds the hosts that are looked at often.
	moving *admission
}

func newObserver(wake func(types.NamespacedName)) *observer {
	return &observer{hosts: map[types.NamespacedName]map[string]*hostObservation{}, wake: wake, moving: newAdmission(maxMoving, wake)}
}

// host returns the observation of a host; the caller holds the lock.
func (o *observer) host(key hostKey) *hostObservation {
	of, ok := o.hosts[key.domain]
	if !ok {
		of = map[string]*hostObservation{}
		o.hosts[key.domain] = of
	}
	h, ok := of[key.host]
	if !ok {
		h = &hostObservation{owners: map[string]*ownerObservation{}}
		of[key.host] = h
		o.known++
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

// probesOf is what the newest probes of a host found, if it was probed.
func (o *observer) probesOf(key hostKey) []endpointProbe {
	o.mu.Lock()
	var kept []endpointProbe
	if h := o.hosts[key.domain][key.host]; h != nil {
		kept = h.probes
	}
	o.mu.Unlock()
	var out []endpointProbe
	for _, e := range kept {
		out = append(out, e.parsed())
	}
	return out
}

// count is how many hosts are observed.
func (o *observer) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.known
}

// forget drops what is known of the hosts of a MailDomain but those named.
func (o *observer) forget(domain types.NamespacedName, keep map[string]bool, now time.Time) {
	for _, host := range o.drop(domain, keep) {
		o.moving.leave(hostKey{domain: domain, host: host}, now)
	}
}

// drop is forget; it returns the names of the hosts dropped.
func (o *observer) drop(domain types.NamespacedName, keep map[string]bool) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var dropped []string
	of := o.hosts[domain]
	for host := range of {
		if !keep[host] {
			delete(of, host)
			o.known--
			dropped = append(dropped, host)
		}
	}
	if len(of) == 0 {
		delete(o.hosts, domain)
	}
	return dropped
}

// hostView is a copy of an observation, safe to use without the lock.
type hostView struct {
	owners  map[string]ownerObservation
	rounds  []rollover.ProbeRound
	last    *rollover.ProbeRound
	probes  []endpointProbe
	probing bool
	stirred bool
}

func (o *observer) view(key hostKey) hostView {
	v, kept := o.copyOf(key)
	for _, e := range kept {
		v.probes = append(v.probes, e.parsed())
	}
	return v
}

// copyOf is the view without its probes, and those as they are kept.
func (o *observer) copyOf(key hostKey) (hostView, []endpointProbe) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.host(key)
	v := hostView{owners: map[string]ownerObservation{}, last: h.last, probing: h.probing, stirred: h.stirred}
	v.rounds = append(v.rounds, h.rounds...)
	for name, w := range h.owners {
		c := *w
		c.sweeps = append([]rollover.Sweep(nil), w.sweeps...)
		v.owners[name] = c
	}
	return v, h.probes
}

// consumed drops what the view held: the decision that rests on it is stored.
func (o *observer) consumed(key hostKey, v hostView) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.host(key)
	h.rounds = slices.Clone(h.rounds[min(len(v.rounds), len(h.rounds)):])
	for name, seen := range v.owners {
		if w, ok := h.owners[name]; ok {
			w.sweeps = slices.Clone(w.sweeps[min(len(seen.sweeps), len(w.sweeps)):])
		}
	}
}

// settle notes whether the host waits for nothing that is seen, and says whether it may be looked at: one
// that moves, and is not about to do what cannot wait, has to be let in.
func (o *observer) settle(key hostKey, p pace, now time.Time) bool {
	o.mu.Lock()
	o.host(key).resting = p.resting()
	o.mu.Unlock()
	if p.resting() {
		o.moving.leave(key, now)
		return true
	}
	return p.imminent || o.moving.enter(key, now)
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

func (o *observer) endSweep(key hostKey, owner string, found trail) {
	if o.noteSweep(key, owner, found) {
		o.wake(key.domain)
	}
}

// noteSweep takes over what a sweep has seen, and says whether it is news.
func (o *observer) noteSweep(key hostKey, owner string, found trail) bool {
	seen := found.sweep
	o.mu.Lock()
	defer o.mu.Unlock()
	w := o.owner(key, owner)
	w.sweeping = false
	if o.host(key).resting && !w.stale && sameSweep(w.last, &seen) && slices.Equal(w.zones, found.zones) {
		w.last = &seen
		return false
	}
	w.sweeps = append(w.sweeps, seen)
	if w.last == nil || !slices.Equal(recordsShown(w.last), recordsShown(&seen)) {
		w.changed = seen.End
	}
	w.last, w.zones, w.words, w.stale = &seen, found.zones, found.words, false
	return true
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
// five minutes. Either way a sweep is called for at once: it shows what stands now.
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
	h.probing, h.stirred = true, false
	return true
}

// stir notes that endpoints of a MailDomain's hosts have changed: they are probed soon.
func (o *observer) stir(domain types.NamespacedName) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, h := range o.hosts[domain] {
		h.stirred = true
	}
}

func (o *observer) endProbe(key hostKey, round rollover.ProbeRound, found []endpointProbe) {
	var probes []endpointProbe
	for _, e := range found {
		probes = append(probes, e.kept())
	}
	if o.noteProbe(key, round, probes) {
		o.wake(key.domain)
	}
}

// noteProbe takes over what a round of probes has seen, and says whether it is news.
func (o *observer) noteProbe(key hostKey, round rollover.ProbeRound, probes []endpointProbe) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.host(key)
	h.probing = false
	if h.resting && h.last != nil && h.last.Complete == round.Complete && sameProbes(h.probes, probes) {
		// What is known of the chains stays, with the time of the newest round.
		h.last = &rollover.ProbeRound{Start: round.Start, End: round.End, Presented: h.last.Presented, Complete: round.Complete}
		return false
	}
	h.rounds = append(h.rounds, round)
	h.last = &round
	h.probes = probes
	return true
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

package controllers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// maxMoving is how many hosts are looked at often at a time. What is decided about one rests on a sweep and
// a probe that are both fresh: if ten thousand began at once, each sweep would have grown old before the
// probe came to its turn, and none would ever get on. A thousand take five seconds of each name server
// at the default of --queries-per-server.
const maxMoving = 1000

// turnOf is how long a host may keep its place while others wait: one that waits for a server that is down
// holds up nobody for longer.
const turnOf = time.Minute

// admission lets hosts in, those that have waited longest first.
type admission struct {
	limit int
	// wake enqueues the MailDomain of a host that was let in.
	wake func(types.NamespacedName)

	mu sync.Mutex
	// in holds since when each host is in; line those that wait, with possible gaps, and waiting the same
	// as a set.
	in      map[hostKey]time.Time
	line    []hostKey
	waiting map[hostKey]bool
}

func newAdmission(limit int, wake func(types.NamespacedName)) *admission {
	return &admission{limit: limit, wake: wake, in: map[hostKey]time.Time{}, waiting: map[hostKey]bool{}}
}

// enter says whether a host is in. One that is not is woken when it is.
func (a *admission) enter(key hostKey, now time.Time) bool {
	a.mu.Lock()
	since, in := a.in[key]
	if in && (len(a.waiting) == 0 || now.Sub(since) < turnOf) {
		a.mu.Unlock()
		return true
	}
	if !in && len(a.in) < a.limit {
		a.in[key] = now
		a.mu.Unlock()
		return true
	}
	if !a.waiting[key] {
		a.waiting[key] = true
		a.line = append(a.line, key)
	}
	var let []hostKey
	if in {
		let = a.dismiss(key, now)
	}
	a.mu.Unlock()
	a.tell(let)
	return false
}

// leave gives the place of a host, in or in line, to the next one.
func (a *admission) leave(key hostKey, now time.Time) {
	a.mu.Lock()
	delete(a.waiting, key)
	let := a.dismiss(key, now)
	a.mu.Unlock()
	a.tell(let)
}

// dismiss takes a host out and lets others in; the lock is held.
func (a *admission) dismiss(key hostKey, now time.Time) []hostKey {
	delete(a.in, key)
	var let []hostKey
	for len(a.in) < a.limit && len(a.line) > 0 {
		next := a.line[0]
		a.line = a.line[1:]
		if a.waiting[next] {
			delete(a.waiting, next)
			a.in[next] = now
			let = append(let, next)
		}
	}
	return let
}

func (a *admission) tell(let []hostKey) {
	for _, key := range let {
		a.wake(key.domain)
	}
}

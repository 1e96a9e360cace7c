package controllers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// contestOver is how long nobody else has to write an object for its pace to be forgotten.
const contestOver = time.Minute

// contestFree is how often somebody else may write an object before that counts, as who labels it does. Edits of the spec never do.
const contestFree = 5

// contestBoard keeps two operators from writing the status of an object in turn, as fast as they can, each as it has seen the
// world: where there is no lease, or a label hands an object over, they do not see the same. What it limits is how soon after a
// write of its own an operator writes again, so that nobody else can keep it from writing. The zero value is ready for use.
type contestBoard struct {
	mu   sync.Mutex
	rows map[types.NamespacedName]*contest
}

// contest is what is known of who writes one object.
type contest struct {
	// wrote is the resourceVersion that our newest write made, at when that was, and generation that of the spec then.
	wrote      string
	at         time.Time
	generation int64
	// met is the newest resourceVersion that somebody else made, last when it was first seen, turns how many there were.
	met   string
	last  time.Time
	turns int
}

// wrote notes a write of ours.
func (b *contestBoard) wrote(o client.Object, now time.Time) {
	name := client.ObjectKeyFromObject(o)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rows == nil {
		b.rows = map[types.NamespacedName]*contest{}
	}
	c := b.rows[name]
	if c == nil {
		c = &contest{}
		b.rows[name] = c
	}
	c.wrote, c.at, c.generation = o.GetResourceVersion(), now, o.GetGeneration()
}

// wait says how long until an object may be written: not at all, unless somebody else writes it over and over;
// then twice as long after our newest write with each turn.
func (b *contestBoard) wait(o client.Object, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, version := b.rows[client.ObjectKeyFromObject(o)], o.GetResourceVersion()
	if c == nil || c.wrote == version || c.generation != o.GetGeneration() || now.Before(c.at) { // of a clock that was set back nothing is known
		return 0
	}
	if c.met != version {
		if now.Sub(c.last) > contestOver {
			c.turns = 0
		}
		const enough = 7 // doublings of retrySoon until it is retryBehind
		c.met, c.last, c.turns = version, now, min(c.turns+1, contestFree+enough)
	}
	if c.turns <= contestFree {
		return 0
	}
	pace := min(retrySoon<<(c.turns-contestFree), retryBehind)
	return max(0, c.at.Add(pace).Sub(now))
}

// forget is called when the object is gone.
func (b *contestBoard) forget(name types.NamespacedName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.rows, name)
}

package controllers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// retrySoon is how long to wait for the cache to show what was just written.
	retrySoon = 50 * time.Millisecond
	// retryBehind is how long at most. An object that the cache shows wakes its MailDomain: to look oftener finds out
	// nothing, and each look that is in vain is a write that the API server refuses, or a read.
	retryBehind = 5 * time.Second
)

// behindBoard counts, for each MailDomain, the looks in a row that came to nothing since the cache shows an older object
// than the API server has. The zero value is ready for use.
type behindBoard struct {
	mu    sync.Mutex
	looks map[types.NamespacedName]int
}

// wait counts one more, and says how long until the next look: twice as long each time.
func (b *behindBoard) wait(name types.NamespacedName) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.looks == nil {
		b.looks = map[types.NamespacedName]int{}
	}
	const enough = 7 // doublings of retrySoon until it is retryBehind
	n := b.looks[name]
	b.looks[name] = min(n+1, enough)
	return min(retrySoon<<n, retryBehind)
}

// forget ends the row: the cache has caught up, or the object is gone.
func (b *behindBoard) forget(name types.NamespacedName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.looks, name)
}

// Package crowd is for tests of what bounds how many do something at the same time.
package crowd

import (
	"context"
	"sync"
)

// Crowd lets nobody go before as many have been there at once as there are places.
type Crowd struct {
	places int
	full   chan struct{}

	mu         sync.Mutex
	here, most int
}

// New makes a Crowd with so many places.
func New(places int) *Crowd { return &Crowd{places: places, full: make(chan struct{})} }

// Join comes and goes: when the crowd is full or has been, or when the context ends.
func (c *Crowd) Join(ctx context.Context) {
	c.enter(1)
	defer c.enter(-1)
	select {
	case <-c.full:
	case <-ctx.Done():
	}
}

func (c *Crowd) enter(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.here += n; c.here == c.places && c.most < c.places {
		close(c.full)
	}
	c.most = max(c.most, c.here)
}

// Most is how many were there at once at the most.
func (c *Crowd) Most() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most
}

package zone

import (
	"context"
	"net"
	"sync"
)

// maxConnections is how many connections are held to one address at a time, over all zones. PowerDNS
// takes 20 and stalls beyond; BIND drops updates beyond 100 in flight.
const maxConnections = 16

// Connections counts the connections to each address that are open, and makes those wait that would be too
// many. Whoever holds one must not wait for another to the same address: as many that do so as there may be connections
// would wait for ever. It is safe for use by many goroutines.
type Connections struct {
	// most is how many there may be to one address.
	most int

	mu    sync.Mutex
	slots map[string]chan struct{}
}

// NewConnections counts none yet.
func NewConnections() *Connections {
	return &Connections{most: maxConnections, slots: map[string]chan struct{}{}}
}

// ofProcess is shared by all zones: many zones often have one server.
var ofProcess = NewConnections()

func (l *Connections) slot(address string) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.slots[address]
	if !ok {
		s = make(chan struct{}, l.most)
		l.slots[address] = s
	}
	return s
}

// acquire waits for a slot. The release may be called more than once.
func (l *Connections) acquire(ctx context.Context, address string) (release func(), err error) {
	s := l.slot(address)
	select {
	case s <- struct{}{}:
		return sync.OnceFunc(func() { <-s }), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// limitedConn gives its slot back when it is closed.
type limitedConn struct {
	net.Conn
	release func()
}

func (c *limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

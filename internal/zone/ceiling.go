package zone

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
)

// DefaultQueriesPerServer is a ceiling that no authoritative server notices, and that lets ten thousand
// owners be looked at in 20 s.
const DefaultQueriesPerServer = 500

// Ceiling is how many queries a second one name server gets at most, a resolver included, of all zones together that
// share the Ceiling. Sweeps, health checks, addresses, discovery and validation wait for their turn; what belongs to an
// update (the look before it and the read-back) does not: it keeps pace with the updates, one message at a time.
//
// Within any one second a server gets no more than its share, in portions of a tenth of it. What somebody
// waits for goes first, then what is asked later; among each, the zones take turns, so that a zone of ten
// thousand owners does not hold up one of a single owner.
type Ceiling struct {
	clock clock.WithTicker
	// portion is the most that is asked at once; refill comes a second. Together they are the share.
	portion int
	refill  rate.Limit

	mu    sync.Mutex
	lanes map[string]*lane
}

// NewCeiling makes a ceiling; perSecond under 1 counts as 1.
func NewCeiling(perSecond int, c clock.WithTicker) *Ceiling {
	perSecond = max(perSecond, 1)
	portion := max(perSecond/10, 1)
	refill := rate.Limit(max(float64(perSecond-portion), float64(perSecond)/2))
	return &Ceiling{clock: c, portion: portion, refill: refill, lanes: map[string]*lane{}}
}

// lane is the way to one server.
type lane struct {
	limiter *rate.Limiter
	// soon goes before later.
	soon, later line
	// moving says that a goroutine lets the next through when it is time.
	moving bool
}

// line is where requests wait: each zone has a line of its own, and the zones take turns.
type line struct {
	zones   []string
	waiting map[string][]*request
}

type request struct {
	n int
	// granted is closed when it is this one's turn; gone says that nobody waits for it any more.
	granted chan struct{}
	gone    bool
}

func (l *line) add(zone string, r *request) {
	if l.waiting == nil {
		l.waiting = map[string][]*request{}
	}
	if len(l.waiting[zone]) == 0 {
		l.zones = append(l.zones, zone)
	}
	l.waiting[zone] = append(l.waiting[zone], r)
}

// first is the request whose turn it is; nil when none waits.
func (l *line) first() *request {
	for len(l.zones) > 0 {
		if r := l.waiting[l.zones[0]][0]; !r.gone {
			return r
		}
		l.drop()
	}
	return nil
}

// drop takes the first request out, and puts its zone behind the others.
func (l *line) drop() {
	zone := l.zones[0]
	l.zones = l.zones[1:]
	if rest := l.waiting[zone][1:]; len(rest) > 0 {
		l.waiting[zone] = rest
		l.zones = append(l.zones, zone)
	} else {
		delete(l.waiting, zone)
	}
}

// turn is how the queries of one task take their turn at one server. A nil *turn does not wait.
type turn struct {
	ceiling       *Ceiling
	address, zone string
	// later lets everything go first that somebody waits for.
	later bool
}

// portion is how many queries may go at once.
func (t *turn) portion(n int) int {
	if t == nil {
		return n
	}
	return min(n, t.ceiling.portion)
}

// take takes the turn of n queries, no more than a portion, if it is their turn now.
func (t *turn) take(n int) bool {
	if t == nil {
		return true
	}
	c := t.ceiling
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lane(t.address)
	return l.soon.first() == nil && l.later.first() == nil && l.limiter.AllowN(c.clock.Now(), n)
}

// wait waits for the turn of n queries. The error is that of the context.
func (t *turn) wait(ctx context.Context, n int) error {
	if t.take(n) {
		return nil
	}
	c, r := t.ceiling, &request{n: n, granted: make(chan struct{})}
	c.mu.Lock()
	l := c.lane(t.address)
	if t.later {
		l.later.add(t.zone, r)
	} else {
		l.soon.add(t.zone, r)
	}
	if !l.moving {
		l.moving = true
		go c.move(l)
	}
	c.mu.Unlock()
	select {
	case <-r.granted:
		return nil
	case <-ctx.Done():
		c.mu.Lock()
		r.gone = true
		c.mu.Unlock()
		return ctx.Err()
	}
}

// Wait waits for the turn of one query that belongs to no zone: those by which zones are validated, whichever they
// are, take turns with those of each zone. The error is that of the context. A nil *Ceiling does not wait.
func (c *Ceiling) Wait(ctx context.Context, server netip.AddrPort) error {
	if c == nil {
		return nil
	}
	at := netip.AddrPortFrom(server.Addr().Unmap(), server.Port())
	return (&turn{ceiling: c, address: at.String()}).wait(ctx, 1)
}

// lane is called with the lock held.
func (c *Ceiling) lane(address string) *lane {
	l, ok := c.lanes[address]
	if !ok {
		l = &lane{limiter: rate.NewLimiter(c.refill, c.portion)}
		c.lanes[address] = l
	}
	return l
}

// move lets requests through until none waits. Who is first is decided when there is room, so that what
// came meanwhile and is more urgent goes first.
func (c *Ceiling) move(l *lane) {
	for {
		pause, more := c.let(l)
		if !more {
			return
		}
		if pause > 0 {
			t := c.clock.NewTimer(pause)
			<-t.C()
		}
	}
}

// let lets the next through if there is room, or says how long there is none.
func (c *Ceiling) let(l *lane) (pause time.Duration, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := &l.soon
	r := from.first()
	if r == nil {
		from = &l.later
		r = from.first()
	}
	if r == nil {
		l.moving = false
		return 0, false
	}
	now := c.clock.Now()
	if l.limiter.AllowN(now, r.n) {
		from.drop()
		close(r.granted)
		return 0, true
	}
	lack := float64(r.n) - l.limiter.TokensAt(now)
	return time.Duration(lack/float64(c.refill)*float64(time.Second)) + time.Microsecond, true
}

package receive

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
)

// Limits say how much is looked at, per second on average and at once.
type Limits struct {
	// PerSource and SourceBurst are for one source: an IPv4 address, or an IPv6 network of 64 bits.
	PerSource   float64
	SourceBurst int
	// All and AllBurst are for all sources together.
	All      float64
	AllBurst int
}

// maxSources is how many sources are remembered. One that is forgotten begins with a full burst.
const maxSources = 10_000

// quota counts what comes from each source.
type quota struct {
	limits Limits
	clock  clock.PassiveClock
	all    *rate.Limiter

	mu      sync.Mutex
	sources map[netip.Addr]*list.Element
	// recent has the source that came last in front.
	recent *list.List
}

type source struct {
	at      netip.Addr
	limiter *rate.Limiter
	// held are the bytes of its reports that are being received.
	held int64
}

// maxHeld is how many bytes of one source are received at once: one that sends slowly on purpose leaves room for others.
const maxHeld = maxWaiting / 4

func newQuota(limits Limits, clock clock.PassiveClock) *quota {
	return &quota{
		limits: limits, clock: clock, all: rate.NewLimiter(rate.Limit(limits.All), limits.AllBurst),
		sources: map[netip.Addr]*list.Element{}, recent: list.New(),
	}
}

// allow says whether something more from the address is looked at now. A source that has used up its own part does
// not use up the others'.
func (q *quota) allow(from netip.Addr) bool {
	now := q.clock.Now()
	return q.of(sourceOf(from)).limiter.AllowN(now, 1) && q.all.AllowN(now, 1)
}

// hold says whether so many bytes more are received from the address now. Whoever may calls free afterwards.
func (q *quota) hold(from netip.Addr, bytes int64) (free func(), ok bool) {
	s := q.of(sourceOf(from))
	q.mu.Lock()
	defer q.mu.Unlock()
	if s.held+bytes > maxHeld {
		return nil, false
	}
	s.held += bytes
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		s.held -= bytes
	}, true
}

// wait is how long a sender that was not allowed should wait before it comes again.
func (q *quota) wait() time.Duration {
	return max(time.Second, time.Duration(float64(time.Second)/max(q.limits.PerSource, 1e-3)))
}

func (q *quota) of(at netip.Addr) *source {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e, ok := q.sources[at]; ok {
		q.recent.MoveToFront(e)
		return e.Value.(*source)
	}
	if q.recent.Len() >= maxSources {
		oldest := q.recent.Back()
		delete(q.sources, q.recent.Remove(oldest).(*source).at)
	}
	s := &source{at: at, limiter: rate.NewLimiter(rate.Limit(q.limits.PerSource), q.limits.SourceBurst)}
	q.sources[at] = q.recent.PushFront(s)
	return s
}

// sourceOf is who is counted together: whoever has one IPv6 address has a network of 64 bits.
func sourceOf(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

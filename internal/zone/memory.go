package zone

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// rememberFor is how long it is remembered, at the least, what the primary showed at an owner; at the most
// twice as long.
const rememberFor = 30 * time.Second

// memory holds what the primary has just shown at owners where a TLSA RRset can stand, so that a change
// that follows a sweep, as they do, need not look again. It is enough to know when not to look: the
// prerequisite of the update guards what stands, and a change that finds something else than it expects
// looks first. It is safe for use by many goroutines.
type memory struct {
	seed maphash.Seed

	mu sync.Mutex
	// of is the primary and zone that was seen.
	of           Config
	newer, older map[string]trace
	since        time.Time
}

// trace is a digest of an RRset with its TTL.
type trace struct {
	records uint64
	ttl     time.Duration
}

func newMemory() *memory { return &memory{seed: maphash.MakeSeed()} }

// note remembers what stands at an owner, or forgets it.
func (m *memory) note(cfg Config, now time.Time, owner string, s stored) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(cfg, now)
	delete(m.older, owner)
	if !s.known() || s.synthesized {
		delete(m.newer, owner)
		return
	}
	m.newer[owner] = trace{m.digest(s.records), s.ttl}
}

// recall gives what stands at the owner of a change, if that is remembered, is what the change expects, and
// is not what it wants.
func (m *memory) recall(cfg Config, now time.Time, c Change) (stored, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(cfg, now)
	t, ok := m.newer[c.Owner]
	if !ok {
		t, ok = m.older[c.Owner]
	}
	s := stored{records: c.Expect, ttl: t.ttl}
	return s, ok && t.records == m.digest(c.Expect) && !s.shows(c)
}

// turn drops what is too old, or was seen elsewhere; the caller holds the lock.
func (m *memory) turn(cfg Config, now time.Time) {
	elsewhere := cfg.Zone != m.of.Zone || cfg.Primary != m.of.Primary
	age := now.Sub(m.since)
	switch {
	case elsewhere || m.newer == nil || age < 0 || age >= 2*rememberFor:
		m.newer, m.older, m.since = map[string]trace{}, nil, now
		m.of = Config{Zone: cfg.Zone, Primary: cfg.Primary}
	case age >= rememberFor:
		m.newer, m.older, m.since = map[string]trace{}, m.newer, now
	}
}

func (m *memory) digest(records []tlsa.Record) uint64 {
	var h maphash.Hash
	h.SetSeed(m.seed)
	for _, r := range records {
		_ = h.WriteByte(r.Usage)
		_ = h.WriteByte(r.Selector)
		_ = h.WriteByte(r.MatchingType)
		_, _ = h.WriteString(r.Data)
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

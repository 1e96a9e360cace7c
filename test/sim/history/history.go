package history

import (
	"math/rand/v2"
	"time"
)

const (
	namespace = "mail"
	zoneName  = "zone"
	// unknownHistory is how long what stood in DNS before a first look is believed cached: more than two of
	// the longest TTLs here.
	unknownHistory = time.Hour
)

// History is one history of the whole system.
type History struct {
	timeline
	store     *store
	servers   *nameservers
	resolvers *resolvers
	domains   []*mailDomain
	hosts     []*host
	operators []*operator
	// wire carries messages where the real zone actors run; nil where they are simulated.
	wire *wire

	// keys is how many of the pool's keys are taken; firstKey is the first of this history.
	keys, firstKey int
	// twins draws which hosts have two Certificates.
	twins     *rand.Rand
	processes int
	// slowestLoad is how long a replica takes at most to load a Secret.
	slowestLoad time.Duration

	// Until when: the API server is away, and the zone has no signatures.
	apiAway, unsigned time.Time
	// losingUpdates and losingReplies count the next messages to the primary that are lost.
	losingUpdates, losingReplies int
	// staleStart is how old the cache of the next process is when it starts.
	staleStart time.Duration
	// clockAhead is how far the clock of a process is ahead that starts, and furthestAhead how far one was at the most.
	clockAhead, furthestAhead time.Duration
	// apiAhead is how far the clock of the API server is ahead, of which the only thing that is seen is what it tells of it.
	apiAhead time.Duration
	// abandoned says that no operator is ever started again.
	abandoned bool
	// older says that processes which start are of a version that does not know every field of the status.
	older bool
	// statusGoesIn counts the effects of operators until a status is deleted, right after one.
	statusGoesIn int
	// calmed says that all faults have ended.
	calmed bool
	// length is when the last fault may begin.
	length time.Duration
	// troubled is until when the last fault lasted.
	troubled time.Time

	rollovers, checks, risked, updates, writes, reconciles, sweeps, faults int
	// seen counts what has happened, by a few words each.
	seen map[string]int

	violation *Violation
}

// newKey takes a key of the pool that this history has not used.
func (h *History) newKey() int {
	h.keys++
	return h.firstKey + h.keys
}

func (h *History) running() bool {
	for _, op := range h.operators {
		if op.live {
			return true
		}
	}
	return false
}

// effectMade deletes a status where that was waited for, right after some effect of an operator.
func (h *History) effectMade() {
	if h.statusGoesIn == 0 {
		return
	}
	if h.statusGoesIn--; h.statusGoesIn == 0 {
		d := pick(&h.timeline, h.domains...)
		h.after(h.between(0, 500*time.Millisecond), func() { h.loseStatus(d) })
	}
}

// count notes that something has happened.
func (h *History) count(what string) { h.seen[what]++ }

// keySets is how many sets of keys histories share; keysEach is how many keys each has.
const (
	keySets  = 8
	keysEach = 10000
)

// newHistory is the world at the beginning: the Certificates are issued, the replicas present them, and
// nothing is in DNS.
func newHistory(seed uint64, record, wired bool) *History {
	h := &History{timeline: timeline{now: begin, random: rand.New(rand.NewPCG(seed, 1)), record: record}, seen: map[string]int{}}
	if wired {
		h.wire = newWire(h)
		h.pass = h.wire.pass
	}
	h.twins = rand.New(rand.NewPCG(seed, 5))  //nolint:gosec // not for secrets
	h.firstKey = int(seed%keySets) * keysEach //nolint:gosec // small
	h.store = newStore(&h.timeline)
	h.store.watchers = append(h.store.watchers, h.mail, h.domainChanged, func(c *change) {
		for _, each := range h.hosts {
			each.issuer.watch(c)
		}
		for _, op := range h.operators {
			if op.live {
				op.heard(c.of.kind)
			}
		}
	})
	floor := pick(&h.timeline, 15*time.Second, time.Minute)
	h.resolvers = newResolvers(h, floor)
	h.servers = newNameservers(h)
	h.slowestLoad = pick(&h.timeline, 10*time.Second, 2*time.Minute, 10*time.Minute)
	h.found(floor)
	return h
}

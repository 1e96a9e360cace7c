package history

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// answer is what stands at one owner.
type answer struct {
	records []tlsa.Record
	ttl     time.Duration
	// byHand says that it is not what the operator wrote: somebody took records out.
	byHand bool
}

func (a answer) same(b answer) bool {
	return a.ttl == b.ttl && a.byHand == b.byHand && slices.Equal(a.records, b.records)
}

// String is short, for the timeline.
func (a answer) String() string {
	var out []string
	for _, r := range a.records {
		out = append(out, fmt.Sprintf("%d%d%d:%s", r.Usage, r.Selector, r.MatchingType, r.Data[:6]))
	}
	return fmt.Sprintf("{%s} ttl %s", strings.Join(out, " "), a.ttl)
}

// server is an authoritative server.
type server struct {
	name, addr string
	public     bool
	serves     map[string]answer
	// lag is how long a transfer takes; of the primary, how long it takes to sign.
	lag time.Duration
	// Until when: down for the operator (senders may still reach it), without transfers, silent when asked for
	// TLSA, and answering SERVFAIL.
	down, stuck, silent, failing time.Time
	// stretch is what it multiplies TTLs with.
	stretch int
}

// nameservers are the servers of the one zone.
type nameservers struct {
	h *History
	// stored is what the primary has, signed or not.
	stored map[string]answer
	all    []*server // the first is the primary
	// ignoring is until when the primary says NOERROR to updates and drops them.
	ignoring time.Time
}

func newNameservers(h *History) *nameservers {
	n := &nameservers{h: h, stored: map[string]answer{}}
	count := 1 + h.random.IntN(3)
	for i := range count {
		n.all = append(n.all, &server{
			name: fmt.Sprintf("ns%d.example.com.", i), addr: fmt.Sprintf("192.0.2.%d:53", i+1), public: i > 0 || count == 1 || h.chance(70),
			serves: map[string]answer{}, lag: h.between(100*time.Millisecond, 20*time.Second), stretch: 1,
		})
	}
	n.all[0].lag = h.between(0, 2*time.Second)
	return n
}

// write puts an answer into the primary.
func (n *nameservers) write(owner string, a answer) {
	n.stored[owner] = a
	n.h.after(n.all[0].lag, func() { n.load(n.all[0], owner, a) })
	for _, s := range n.all[1:] {
		n.h.after(n.all[0].lag+s.lag, func() { n.transfer(s) })
	}
}

// transfer brings a secondary up to what the primary serves, when it is not stuck.
func (n *nameservers) transfer(s *server) {
	if n.h.now.Before(s.stuck) {
		n.h.after(s.stuck.Sub(n.h.now), func() { n.transfer(s) })
		return
	}
	for _, owner := range n.h.owners() {
		if a, ok := n.all[0].serves[owner]; ok {
			n.load(s, owner, a)
		}
	}
}

// load lets a server serve an answer.
func (n *nameservers) load(s *server, owner string, a answer) {
	old := s.serves[owner]
	if s.stretch > 1 && s != n.all[0] {
		a.ttl *= time.Duration(s.stretch)
	}
	if old.same(a) {
		return
	}
	s.serves[owner] = a
	n.h.say(s.name[:3], "serves %s", a)
	if s.public {
		n.h.resolvers.left(owner, old)
		n.h.resolvers.appeared(owner, a)
	}
}

// edit is what a person does with the zone at the primary.
func (n *nameservers) edit(owner string, how func([]tlsa.Record) []tlsa.Record, takes bool) {
	have := n.stored[owner]
	made := answer{records: tlsa.Normalize(how(slices.Clone(have.records))), ttl: have.ttl, byHand: have.byHand || takes}
	if len(made.records) == 0 {
		made.records = nil
	}
	n.write(owner, made)
}

package history

import (
	"slices"
	"time"
)

// held is an answer that some cache may hold.
type held struct {
	answer
	// serving is how many public servers give it; when none does, it is held until an instant.
	serving int
	until   time.Time
}

// keeps is how long a cache keeps the answer.
func (v *held) keeps(floor time.Duration) time.Duration { return max(v.ttl, floor) }

// resolvers are all caches of the world: for each owner, what some of them may hold.
type resolvers struct {
	h     *History
	holds map[string][]*held
	// floor is the shortest time that any cache keeps an answer.
	floor time.Duration
}

func newResolvers(h *History, floor time.Duration) *resolvers {
	return &resolvers{h: h, holds: map[string][]*held{}, floor: floor}
}

// appeared says that one more server gives an answer.
func (r *resolvers) appeared(owner string, a answer) {
	if len(a.records) == 0 {
		return
	}
	v := r.find(owner, a)
	if v == nil {
		v = &held{answer: a}
		r.holds[owner] = append(r.holds[owner], v)
	}
	v.serving++
	r.h.answerAppeared(owner, v)
}

// left says that one server less gives an answer.
func (r *resolvers) left(owner string, a answer) {
	if len(a.records) == 0 {
		return
	}
	v := r.find(owner, a)
	if v.serving--; v.serving == 0 {
		v.until = r.h.now.Add(2 * v.keeps(r.floor))
	}
}

func (r *resolvers) find(owner string, a answer) *held {
	for _, v := range r.current(owner) {
		if v.ttl == a.ttl && v.byHand == a.byHand && slices.Equal(v.records, a.records) {
			return v
		}
	}
	return nil
}

// current are the answers that may be held now; the others are forgotten.
func (r *resolvers) current(owner string) []*held {
	r.holds[owner] = slices.DeleteFunc(r.holds[owner], func(v *held) bool { return v.serving == 0 && r.h.now.After(v.until) })
	return r.holds[owner]
}

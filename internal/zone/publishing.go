package zone

import (
	"fmt"
	"slices"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// maxReadBacks is how many messages may wait to be read back before the next is sent: a server that
// shows late what it acknowledged holds up the next messages no more than it must.
const maxReadBacks = 4

// publishing are the changes of a zone on their way through three stages, each a task beside the actor:
// a look at what stands at the owners, one message at a time, and the read-back. While a message is in
// flight the owners of the next are looked at, and those of the one before are read back.
type publishing struct {
	// queue holds by owner what is not sent yet. Owners that are not looked at are in arrived, by
	// first arrival; those that are, and are to be written, in ready.
	queue          map[string]*queued
	arrived, ready []string
	// flying are owners in a message or its read-back: a later change of them waits.
	flying           map[string]bool
	looking, sending bool
	readBacks        int
	// alone are changes of RRsets of other types, each a message of its own, that are not sent yet.
	alone []queuedAlone
}

// queued is one change and those who wait for it.
type queued struct {
	member
	// cfg is how the primary was looked at; nil before.
	cfg  *Config
	done []func(Result)
}

func newPublishing() publishing {
	return publishing{queue: map[string]*queued{}, flying: map[string]bool{}}
}

func (q *queued) finish(r Result) {
	for _, done := range q.done {
		done(r)
	}
	q.done = nil
}

// Publish implements Client. A change that was not sent yet is replaced by a later one for the same
// owner: if they are equal both get the result of the one message, else the earlier ends with
// Conflict, as it would have done after the later.
func (a *Actor) Publish(c Change, done func(Result)) {
	done = told(a, done)
	c.Owner = dns.CanonicalName(c.Owner)
	c.Expect, c.Want = tlsa.Normalize(c.Expect), tlsa.Normalize(c.Want)
	if !a.post(func(s *state) { a.enqueue(s, c, done) }) {
		go done(a.stopped())
	}
}

func (a *Actor) enqueue(s *state, c Change, done func(Result)) {
	p := &s.publishing
	q, waiting := p.queue[c.Owner]
	switch {
	case !waiting:
		q = &queued{}
		p.queue[c.Owner] = q
		if last, ok := a.know.memory.recall(*s.cfg, a.opts.Clock.Now(), c); ok && !p.flying[c.Owner] {
			q.last, q.cfg = last, s.cfg
			p.ready = append(p.ready, c.Owner)
		} else {
			p.arrived = append(p.arrived, c.Owner)
		}
	case !sameChange(q.change, c):
		q.finish(Result{Class: Conflict, Retryable: true, At: a.opts.Clock.Now(),
			Message: fmt.Sprintf("a later change of %s took the place of this one before it was sent", c.Owner)})
	}
	q.change, q.done = c, append(q.done, done)
}

func sameChange(a, b Change) bool {
	return a.TTL == b.TTL && slices.Equal(a.Expect, b.Expect) && slices.Equal(a.Want, b.Want)
}

// stop ends what is not sent yet.
func (p *publishing) stop(r Result) {
	for _, q := range p.queue {
		q.finish(r)
	}
	for _, q := range p.alone {
		q.done(r)
	}
	*p = newPublishing()
}

func (a *Actor) beginPublish(s *state) {
	a.beginLook(s)
	a.beginSend(s)
}

// beginLook looks at owners for the next message, no more than go into it.
func (a *Actor) beginLook(s *state) {
	p := &s.publishing
	if p.looking || len(p.arrived) == 0 || len(p.ready) >= BatchSize {
		return
	}
	owners := p.takeArrived(BatchSize - len(p.ready))
	if len(owners) == 0 {
		return
	}
	changes := make([]Change, len(owners))
	for i, owner := range owners {
		changes[i] = p.queue[owner].change
	}
	p.looking = true
	cfg := s.cfg
	end := func(s *state, seen func(i int) stored) {
		s.publishing.looking = false
		for i, owner := range owners {
			a.looked(s, cfg, owner, seen(i))
		}
	}
	a.beside(s, func() func(*state) {
		seen := look(a.ctx, a.opts, *cfg, &a.know.packets, changes)
		return func(s *state) { end(s, func(i int) stored { return seen[i] }) }
	}, func(s *state) {
		end(s, func(int) stored { return stored{problem: inDoubt(cfg.Zone)} })
	})
}

// takeArrived takes owners that are not flying; those that are stay in their place.
func (p *publishing) takeArrived(n int) []string {
	var owners, flying []string
	i := 0
	for ; i < len(p.arrived) && len(owners) < n; i++ {
		if owner := p.arrived[i]; p.flying[owner] {
			flying = append(flying, owner)
		} else {
			owners = append(owners, owner)
		}
	}
	p.arrived = p.arrived[i:]
	if len(flying) > 0 {
		p.arrived = append(flying, p.arrived...)
	}
	return owners
}

// looked ends changes that there is nothing to do for, and has the others sent.
func (a *Actor) looked(s *state, cfg *Config, owner string, seen stored) {
	q, ok := s.publishing.queue[owner]
	if !ok {
		return
	}
	q.last, q.cfg = seen, cfg
	if o, settled := settled(whoOf(*cfg), &q.member); settled {
		delete(s.publishing.queue, owner)
		q.end(o, a.opts.Clock.Now())
		q.finish(*q.result)
		return
	}
	s.publishing.ready = append(s.publishing.ready, owner)
}

// beginSend sends what is ready. Everything in one task was looked at with one configuration.
func (a *Actor) beginSend(s *state) {
	p := &s.publishing
	if p.sending || p.readBacks >= maxReadBacks || len(p.ready) == 0 {
		return
	}
	batch := p.takeReady()
	members := make([]*member, len(batch))
	for i, q := range batch {
		members[i] = &q.member
		p.flying[q.change.Owner] = true
	}
	p.sending = true
	cfg := batch[0].cfg
	a.beside(s, func() func(*state) {
		w := newWriter(a.opts, *cfg, &a.know.packets)
		sent := false
		defer func() {
			if !sent {
				w.close()
			}
		}()
		w.write(a.ctx, members)
		sent = true
		return func(s *state) {
			s.publishing.sending = false
			a.land(s, batch)
			a.beginReadBack(s, w, batch)
		}
	}, func(s *state) {
		s.publishing.sending = false
		a.loseAll(batch)
		a.land(s, batch)
	})
}

// takeReady takes the next members of a message out of the queue.
func (p *publishing) takeReady() []*queued {
	var batch []*queued
	for _, owner := range p.ready {
		q := p.queue[owner]
		if len(batch) == BatchSize || len(batch) > 0 && q.cfg != batch[0].cfg {
			break
		}
		batch = append(batch, q)
		delete(p.queue, owner)
	}
	p.ready = p.ready[len(batch):]
	return batch
}

// land ends what has a result.
func (a *Actor) land(s *state, batch []*queued) {
	for _, q := range batch {
		if q.result != nil && q.done != nil {
			delete(s.publishing.flying, q.change.Owner)
			seen := q.last
			if q.result.Class != Applied {
				seen = stored{problem: outcome{class: q.result.Class}}
			}
			a.know.memory.note(*q.cfg, a.opts.Clock.Now(), q.change.Owner, seen)
			q.finish(*q.result)
		}
	}
}

// beginReadBack reads back what was acknowledged.
func (a *Actor) beginReadBack(s *state, w *writer, batch []*queued) {
	if len(w.acknowledged) == 0 {
		w.close()
		return
	}
	s.publishing.readBacks++
	a.beside(s, func() func(*state) {
		defer w.close()
		w.readBack(a.ctx)
		return func(s *state) {
			s.publishing.readBacks--
			a.land(s, batch)
		}
	}, func(s *state) {
		s.publishing.readBacks--
		a.loseAll(batch)
		a.land(s, batch)
	})
}

package zone

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// maxSplits is how many messages one commit may spend on halving batches that the server fails at:
// enough to isolate a few of fifty. When there are more of them, one message a member takes fewer.
const maxSplits = 40

// member is one change on its way to the primary.
type member struct {
	change Change
	// before is what stood there when the change was sent, last what was seen last.
	before, last stored
	result       *Result
}

func (m *member) step() step {
	return step{owner: m.change.Owner, expect: m.last.own(), want: m.change.Want, ttl: m.change.TTL}
}

// end settles a member once and for all.
func (m *member) end(o outcome, now time.Time) {
	m.result = &Result{Class: o.class, Message: o.message, Retryable: o.retryable, At: now}
	if o.class == Applied || o.class == Unchanged {
		m.result.Message, m.result.Retryable = "", false
	}
	if m.last.known() {
		m.result.Current, m.result.CurrentKnown = m.last.records, true
	}
}

// settled says how a change ends that there is nothing to send for, by what stands at its owner.
func settled(w who, m *member) (outcome, bool) {
	switch {
	case !m.last.known():
		return m.last.problem, true
	case m.last.shows(m.change):
		return outcome{class: Unchanged}, true
	case !slices.Equal(m.last.records, m.change.Expect):
		return conflict(w, m), true
	}
	return outcome{}, false
}

// writer speaks with the primary of one zone: it looks what stands, sends what differs, and reads it
// back.
type writer struct {
	opts Options
	// session is nil with a configuration that cannot be used: problem says why.
	session *session
	packets *packetPath
	problem outcome
	who     who
	splits  int
	// silent is what is left unsent ends with once the server has let an update wait in vain: each
	// further one would take as long.
	silent *outcome
	// acknowledged members wait to be read back.
	acknowledged []*member
}

func newWriter(opts Options, cfg Config, packets *packetPath) *writer {
	w := &writer{opts: opts, who: whoOf(cfg), packets: packets}
	if e, err := primaryEndpoint(cfg); err != nil {
		w.problem = outcome{class: ConfigError, message: fmt.Sprintf("zone %s: %v", cfg.Zone, err)}
	} else {
		w.session = primarySession(opts, e)
	}
	return w
}

func whoOf(cfg Config) who {
	w := who{zone: cfg.Zone, server: cfg.Primary}
	if cfg.TSIG != nil {
		w.key = dns.CanonicalName(cfg.TSIG.Name)
	}
	return w
}

func (w *writer) close() {
	if w.session != nil {
		w.session.close()
	}
}

// look says what stands at the owners of changes, at the primary.
func look(ctx context.Context, opts Options, cfg Config, packets *packetPath, changes []Change) []stored {
	w := newWriter(opts, cfg, packets)
	defer w.close()
	members := make([]*member, len(changes))
	var inside []*member
	for i, c := range changes {
		members[i] = &member{change: c}
		switch {
		case w.session == nil:
			members[i].last.problem = w.problem
		case !dns.IsSubDomain(cfg.Zone, c.Owner):
			members[i].last.problem = outcome{class: NotInZone, message: fmt.Sprintf("%s is not below the zone %s: nothing was sent", c.Owner, cfg.Zone)}
		default:
			inside = append(inside, members[i])
		}
	}
	w.look(ctx, inside)
	w.explainRefusal(ctx, inside)
	out := make([]stored, len(members))
	for i, m := range members {
		out[i] = m.last
	}
	return out
}

// write sends what is to be written for members that were looked at. Afterwards each has a result or is
// acknowledged.
func (w *writer) write(ctx context.Context, members []*member) {
	var wanted []*member
	for _, m := range members {
		// The change may be another one than at the look.
		if o, settled := settled(w.who, m); settled {
			w.end(m, o)
		} else {
			wanted = append(wanted, m)
		}
	}
	w.who.keyKnown = w.who.key != ""
	for _, batch := range w.batches(wanted) {
		w.send(ctx, batch)
	}
}

// explainRefusal has an update that changes nothing tell why queries were refused: to a server that
// refuses queries it is NOERROR or REFUSED, to one that does not serve the zone at all NOTAUTH, and to
// PowerDNS REFUSED when the signature is not accepted.
func (w *writer) explainRefusal(ctx context.Context, members []*member) {
	if !slices.ContainsFunc(members, func(m *member) bool { return m.last.problem.unclear }) {
		return
	}
	r := w.session.askAll(ctx, []*dns.Msg{probeMessage(w.who.zone)})[0]
	for _, m := range members {
		about := w.who
		about.owner = m.change.Owner
		o := classify(about, r, w.opts.Clock.Now())
		tells := o.class == NotPrimary || o.class == NotPermitted
		if m.last.problem.unclear && tells && o.class != m.last.problem.class {
			m.last.problem = o
		}
	}
}

// look sees what stands at the owners of the members, and whether it is their place. Records that are
// expected are asked for with their signatures, which tell the zone and a wildcard.
func (w *writer) look(ctx context.Context, members []*member) {
	questions := make([]asked, len(members))
	for i, m := range members {
		questions[i] = aboutTLSA(m.change.Owner, len(m.change.Expect) > 0)
	}
	w.ask(ctx, questions)
	w.place(ctx, questions)
	for i, m := range members {
		m.last = questions[i].stored(w.who)
	}
}

// reread sees what stands at owners that were looked at before. What a wildcard may hide is asked for
// with the signatures.
func (w *writer) reread(ctx context.Context, members []*member) {
	questions := make([]asked, len(members))
	for i, m := range members {
		questions[i] = aboutTLSA(m.change.Owner, len(m.change.Want) == 0 || m.before.synthesized)
	}
	w.ask(ctx, questions)
	for i, m := range members {
		m.last = questions[i].stored(w.who)
	}
}

// send sends one message for the members and settles each of them.
func (w *writer) send(ctx context.Context, members []*member) {
	if len(members) == 0 {
		return
	}
	if w.silent != nil {
		w.finish(members, *w.silent)
		return
	}
	steps := make([]step, len(members))
	for i, m := range members {
		m.before, steps[i] = m.last, m.step()
	}
	w.opts.Logger.V(1).Info("update", "server", w.who.server, "owners", len(members))
	r := w.session.askAnew(ctx, updateMessage(w.who.zone, steps))
	w.noteSilence(r)
	about := w.who
	if len(members) == 1 {
		about.owner = members[0].change.Owner
	}
	o := classify(about, r, w.opts.Clock.Now())
	switch {
	case o.class == Applied:
		w.acknowledged = append(w.acknowledged, members...)
	case o.prerequisite:
		w.afterPrerequisite(ctx, members, o)
	case o.ambiguous || r.err != nil:
		// A refusal that is not signed may be anybody's.
		w.afterDoubt(ctx, members, o)
	case o.splittable && len(members) > 1:
		w.split(ctx, members)
	default:
		w.finish(members, o)
	}
}

func (w *writer) noteSilence(r reply) {
	if errors.Is(r.err, context.DeadlineExceeded) {
		w.silent = &outcome{class: Unreachable, retryable: true, message: fmt.Sprintf(
			"this change was not sent, since %s did not answer another update of the zone %s: %s", w.who.server, w.who.zone, silenceText(r.err))}
	}
}

// split sends the halves one after the other, so that a member that the server refuses fails alone;
// when that took too many messages already, each member by itself.
func (w *writer) split(ctx context.Context, members []*member) {
	if w.splits += 2; w.splits > maxSplits {
		for i := range members {
			w.send(ctx, members[i:i+1])
		}
		return
	}
	half := len(members) / 2
	w.send(ctx, members[:half])
	w.send(ctx, members[half:])
}

// afterPrerequisite looks who was meant: the reply does not say. Our own earlier success looks the
// same, and so does a change by somebody else. The others go again.
func (w *writer) afterPrerequisite(ctx context.Context, members []*member, o outcome) {
	left := w.settle(ctx, members, o)
	switch {
	case len(left) < len(members):
		w.send(ctx, left)
	case len(left) > 1:
		w.split(ctx, left)
	default:
		for _, m := range left {
			o.message = fmt.Sprintf("%s shows the expected records at %s and says all the same that they are others (NXRRSET): they come from a wildcard, or updates and queries see different views", w.who.server, m.change.Owner)
			w.end(m, o)
		}
	}
}

// afterDoubt is for SERVFAIL, timeouts and replies that cannot be believed: the message may have
// been carried out. What stands decides; what is as it was is not tried again here, unless one
// member may have spoilt it for the others.
func (w *writer) afterDoubt(ctx context.Context, members []*member, o outcome) {
	w.session.close()
	left := w.settle(ctx, members, o)
	if o.splittable && len(members) > 1 && len(left) > 0 {
		w.split(ctx, left)
		return
	}
	for _, m := range left {
		w.end(m, o)
	}
}

// settle reads the members back and ends those that are as wanted, or were changed by somebody
// else, or cannot be read: how the update ended (o) is then in doubt, whatever keeps them from being
// read. It returns those that are as they were.
func (w *writer) settle(ctx context.Context, members []*member, o outcome) []*member {
	w.look(ctx, members)
	var left []*member
	for _, m := range members {
		switch {
		case o.prerequisite && m.last.problem.class == OwnerIsAlias:
			// Nothing was carried out, and this is why.
			w.end(m, m.last.problem)
		case !m.last.known():
			w.end(m, w.unread(m, o))
		case m.last.shows(m.change):
			w.end(m, outcome{class: Applied})
		case !slices.Equal(m.last.records, m.change.Expect):
			w.end(m, conflict(w.who, m))
		default:
			left = append(left, m)
		}
	}
	return left
}

// readBack makes sure that NOERROR was meant, for the members that it was said of. A server that still
// shows the old RRset may only be late; anything else than old or new is final.
func (w *writer) readBack(ctx context.Context) {
	members := w.acknowledged
	pause := 20 * time.Millisecond
	for waited := time.Duration(0); ; waited, pause = waited+pause, 2*pause {
		w.reread(ctx, members)
		var late []*member
		for _, m := range members {
			switch {
			case !m.last.known():
				o := m.last.problem
				o.message, o.retryable = "the update was acknowledged and could not be read back: "+o.message, true
				w.end(m, o)
			case m.last.shows(m.change):
				w.end(m, outcome{class: Applied})
			case m.last.sameAs(m.before) && waited < w.opts.ReadBackFor:
				late = append(late, m)
			default:
				w.end(m, w.notStored(m))
			}
		}
		if len(late) == 0 {
			return
		}
		// Others may need the connection meanwhile.
		w.session.close()
		if !w.wait(ctx, pause) {
			w.finish(late, outcome{class: Unreachable, retryable: true, message: silenceText(ctx.Err())})
			return
		}
		members = late
	}
}

func (s stored) sameAs(o stored) bool {
	return s.ttl == o.ttl && s.synthesized == o.synthesized && slices.Equal(s.records, o.records)
}

// wait pauses by the actor's clock; it says no when the context ended first.
func (w *writer) wait(ctx context.Context, d time.Duration) bool {
	t := w.opts.Clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return true
	case <-ctx.Done():
		return false
	}
}

func (w *writer) finish(members []*member, o outcome) {
	for _, m := range members {
		w.end(m, o)
	}
}

func (w *writer) end(m *member, o outcome) { m.end(o, w.opts.Clock.Now()) }

package zone

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Keeping is the part of Client that keeps RRsets of other types than TLSA and DS: those of a mail domain, MX and TXT.
// Methods behave as those of Client do.
type Keeping interface {
	// SweepSets asks every authoritative address, and the primary, for RRsets, all over one connection. Under a Ceiling,
	// when they are asked for later, all others go before it.
	SweepSets(asked []SetName, later bool, done func([]SetSweep))
	// PublishSet replaces a whole RRset.
	PublishSet(SetChange, func(Result))
}

// Type is a type of records whose RRsets are kept.
type Type string

// The types.
const (
	MX  Type = "MX"
	TXT Type = "TXT"
)

// code is the number of a type; zero for one that is not kept.
func (t Type) code() uint16 {
	switch t {
	case MX:
		return dns.TypeMX
	case TXT:
		return dns.TypeTXT
	}
	return 0
}

// SetName names an RRset.
type SetName struct {
	// Owner, absolute and lower case.
	Owner string
	Type  Type
}

// SetChange is what is wanted as the RRset of a name: compare-and-swap of the whole of it.
type SetChange struct {
	SetName
	// Expect is the RRset that the primary must still have, and Want the RRset afterwards: the data of records as it
	// stands in a zone file, with absolute names. An empty Want removes it.
	Expect, Want []string
	// TTL of an RRset that is new. One that stands keeps the TTL that it has: its other records may be somebody else's. The
	// server may lower it: nothing rests on it here.
	TTL time.Duration
}

// SetAnswer is what one authoritative address said of one RRset in one sweep.
type SetAnswer struct {
	Name, Address string
	// Reachable, Signed, Alias, TTL, CacheTTL, Message, Ignored, Primary and Former as in Answer.
	Reachable, Signed        bool
	Alias                    string
	TTL, CacheTTL            time.Duration
	Message                  string
	Ignored, Primary, Former bool
	// Data of the records, as it stands in a zone file, sorted.
	Data []string
	// Synthesized says that it comes from a wildcard: nothing stands at the name itself.
	Synthesized bool
}

// SetSweep is one round of asking every authoritative address for one RRset.
type SetSweep struct {
	Start, End time.Time
	Answers    []SetAnswer
}

// ParseData reads the data of a record of a type, as it stands in a zone file with absolute names, and gives it in the one
// form that sweeps give it in. An error says what cannot be read.
func ParseData(t Type, data string) (string, error) {
	set, err := parseSet(t, []string{data})
	if err != nil {
		return "", err
	}
	return rdata(set[0]), nil
}

// parseSet reads the data of an RRset.
func parseSet(t Type, data []string) ([]dns.RR, error) {
	out := make([]dns.RR, 0, len(data))
	for _, text := range data {
		rr, err := dns.NewRR(". 0 IN " + string(t) + " " + text)
		if err != nil {
			return nil, fmt.Errorf("%q is no data of a record of type %s: %w", text, t, err)
		}
		if t.code() == 0 || rr == nil || rr.Header().Rrtype != t.code() || rdata(rr) == "" || strings.Contains(text, "\n") {
			return nil, fmt.Errorf("%q is no data of a record of type %s", text, t)
		}
		out = append(out, rr)
	}
	return out, nil
}

// PublishSet implements Keeping. It waits for the message that is in flight, as other changes do.
func (a *Actor) PublishSet(c SetChange, done func(Result)) {
	done = told(a, done)
	c.Owner = dns.CanonicalName(c.Owner)
	a.publishAlone(func(ctx context.Context, cfg Config) Result { return writeSet(ctx, a.opts, cfg, c) }, done)
}

func writeSet(ctx context.Context, opts Options, cfg Config, c SetChange) Result {
	refused := func(class Class, message string) Result {
		return Result{Class: class, Message: message, At: opts.Clock.Now()}
	}
	if !dns.IsSubDomain(cfg.Zone, c.Owner) {
		return refused(NotInZone, fmt.Sprintf("%s is not in the zone %s: nothing was sent", c.Owner, cfg.Zone))
	}
	change := setChange{owner: c.Owner, kind: c.Type.code(), ttl: c.TTL, keepTTL: true}
	var err error
	if change.expect, err = parseSet(c.Type, c.Expect); err == nil {
		change.want, err = parseSet(c.Type, c.Want)
	}
	if err != nil {
		return refused(Malformed, fmt.Sprintf("the update of %s was not sent: %v", c.Owner, err))
	}
	r := newSetWriter(opts, cfg, change).write(ctx)
	if r.Class == NotPermitted && c.Type == MX {
		r.Message += "; BIND refuses MX records, too, that name a host of the zone which has no address there: add its A or AAAA records first"
	}
	return r
}

// queuedAlone is one change that goes in a message of its own, and who waits for it.
type queuedAlone struct {
	write func(context.Context, Config) Result
	done  func(Result)
}

// publishAlone queues a change that goes in a message of its own.
func (a *Actor) publishAlone(write func(context.Context, Config) Result, done func(Result)) {
	ok := a.post(func(s *state) { s.publishing.alone = append(s.publishing.alone, queuedAlone{write, done}) })
	if !ok {
		go done(a.stopped())
	}
}

// beginAlone carries out one such change, while no other message is in flight.
func (a *Actor) beginAlone(s *state) {
	p := &s.publishing
	if p.sending || len(p.alone) == 0 {
		return
	}
	q := p.alone[0]
	p.alone, p.sending = p.alone[1:], true
	cfg := *s.cfg
	a.beside(s, func() func(*state) {
		r := q.write(a.ctx, cfg)
		return func(s *state) {
			s.publishing.sending = false
			q.done(r)
		}
	}, func(s *state) {
		s.publishing.sending = false
		q.done(resultInDoubt(cfg, a.opts.Clock.Now()))
	})
}

// SweepSets implements Keeping.
func (a *Actor) SweepSets(asked []SetName, later bool, done func([]SetSweep)) {
	done = told(a, done)
	asked = slices.Clone(asked)
	for i := range asked {
		asked[i].Owner = dns.CanonicalName(asked[i].Owner)
	}
	ok := a.aside(func(cfg Config) func() {
		made := a.know.sweepSets(a.ctx, cfg, later, asked)
		return func() { done(made) }
	}, func(Config) { done(a.noSets(len(asked), unforeseen)) })
	if !ok {
		go done(a.noSets(len(asked), a.stopped().Message))
	}
}

// noSets are sweeps that nobody answered, and why.
func (a *Actor) noSets(n int, why string) []SetSweep {
	now := a.opts.Clock.Now()
	out := make([]SetSweep, n)
	for i := range out {
		out[i] = SetSweep{Start: now, End: now, Answers: []SetAnswer{{Message: why}}}
	}
	return out
}

// sweepSets asks every server for the RRsets.
func (k *knowledge) sweepSets(ctx context.Context, cfg Config, later bool, asked []SetName) []SetSweep {
	start := k.opts.Clock.Now()
	// The discovery error is among the targets.
	list, _ := k.targets(ctx, cfg)
	e := k.entry(ctx, cfg)
	answers := make([][]SetAnswer, len(list))
	k.eachServer(list, func(i int) { answers[i] = k.setsAt(ctx, cfg, e, later, list[i], asked) })
	out := make([]SetSweep, len(asked))
	for i := range asked {
		out[i] = SetSweep{Start: start, End: k.opts.Clock.Now()}
		for j, of := range answers {
			if !list[j].gone(Answer{Reachable: of[i].Reachable, Message: of[i].Message}) {
				out[i].Answers = append(out[i].Answers, of[i])
			}
		}
	}
	return out
}

// setsAt asks one server for the zone's keys and all RRsets.
func (k *knowledge) setsAt(ctx context.Context, cfg Config, e entry, later bool, t target, asked []SetName) []SetAnswer {
	out := make([]SetAnswer, len(asked))
	for i := range out {
		out[i] = setAnswer(t.blank(), reading{})
	}
	if t.problem != "" {
		return out
	}
	questions := []*dns.Msg{query(cfg.Zone, dns.TypeDNSKEY)}
	for _, name := range asked {
		questions = append(questions, query(name.Owner, name.Type.code()))
	}
	s := sweepSession(k.opts, cfg.Zone, t.endpoint)
	if s.turn != nil {
		s.turn.later = later
	}
	defer s.close()
	replies := s.askAll(ctx, questions)
	keys, keyErr := k.keysFrom(cfg, e, replies[0])
	for i, name := range asked {
		k.opts.try(anOwner, name.Owner, func() {
			a := t.blank()
			got := k.judge(cfg, name.Owner, name.Type.code(), replies[i+1], keys, keyErr, &a)
			out[i] = setAnswer(a, got)
		}, func() {
			a := t.blank()
			a.Message = unforeseen
			out[i] = setAnswer(a, reading{})
		})
	}
	return out
}

// setAnswer is an answer with the records that were read.
func setAnswer(a Answer, got reading) SetAnswer {
	out := SetAnswer{
		Name: a.Name, Address: a.Address, Reachable: a.Reachable, Signed: a.Signed, Alias: a.Alias, TTL: a.TTL, CacheTTL: a.CacheTTL,
		Message: a.Message, Ignored: a.Ignored, Primary: a.Primary, Former: a.Former,
	}
	if a.Reachable && a.Alias == "" {
		out.Data, out.Synthesized = setWords(got.data()), got.synthesized
	}
	return out
}

package zone

import (
	"context"
	"sync"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/miekg/dns"
)

// maxServersAtOnce bounds how many servers of one zone are asked at the same time.
const maxServersAtOnce = 16

// sweep asks every server for the TLSA RRsets of the owners: one connection a server, all questions
// on their way at once. A server that is silent holds up nothing but its own answer.
func (k *knowledge) sweep(ctx context.Context, cfg Config, later bool, owners []string) map[string]Sweep {
	start := k.opts.Clock.Now()
	k.remembered.swept(owners, start)
	// The discovery error is among the targets.
	list, _ := k.targets(ctx, cfg)
	e := k.entry(ctx, cfg)
	answers, found := make([][]Answer, len(list)), make([]seen, len(list))
	k.eachServer(list, func(i int) { answers[i], found[i] = k.sweepServer(ctx, cfg, e, later, list[i], owners) })
	end := k.opts.Clock.Now()
	unlike, keep := k.unlike(cfg, e, found)
	out := make(map[string]Sweep, len(owners))
	for i, owner := range owners {
		s := Sweep{Start: start, End: end, Unlike: unlike, UnlikeTTL: keep}
		for j, of := range answers {
			if !list[j].gone(of[i]) {
				s.Answers = append(s.Answers, of[i])
			}
		}
		out[owner] = s
	}
	return out
}

// each runs f for 0 to n-1, maxServersAtOnce at a time, and waits.
func each(n int, f func(int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxServersAtOnce)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}

// eachServer runs f for the servers of a list.
func (k *knowledge) eachServer(list []target, f func(i int)) {
	each(len(list), func(i int) { k.tryServer(&list[i], func() { f(i) }) })
}

// tryServer runs f, which asks a server. One with which it panics is one that cannot be asked.
func (k *knowledge) tryServer(t *target, f func()) {
	k.opts.try(aServer, t.endpoint.name, f, func() {
		t.problem = unforeseen
		f()
	})
}

// blank is the answer of a server of which nothing is known.
func (t target) blank() Answer {
	a := Answer{Name: t.Name, Ignored: t.Ignored, Primary: t.primary, Former: t.isFormer(), Message: t.problem}
	if t.Addr.IsValid() {
		a.Address = t.Addr.String()
	}
	return a
}

// sweepServer asks one server for the zone's keys and all owners. It returns what it says of the keys too, nothing where that says
// nothing of the zone.
func (k *knowledge) sweepServer(ctx context.Context, cfg Config, e entry, later bool, t target, owners []string) ([]Answer, seen) {
	blank := t.blank()
	out := make([]Answer, len(owners))
	for i := range out {
		out[i] = blank
	}
	if t.problem != "" {
		return out, seen{}
	}
	questions := []*dns.Msg{query(cfg.Zone, dns.TypeDNSKEY)}
	for _, owner := range owners {
		questions = append(questions, query(owner, dns.TypeTLSA))
	}
	s := sweepSession(k.opts, cfg.Zone, t.endpoint)
	if s.turn != nil {
		s.turn.later = later
	}
	defer s.close()
	replies := s.askAll(ctx, questions)
	keys, keyErr := k.keysFrom(cfg, e, replies[0])
	for i, owner := range owners {
		k.opts.try(anOwner, owner, func() {
			got := k.judge(cfg, owner, dns.TypeTLSA, replies[i+1], keys, keyErr, &out[i])
			if out[i].Reachable {
				out[i].Records = records(got.data())
			}
			if t.primary {
				k.remember(cfg, owner, got, out[i].Signed)
			}
		}, func() {
			out[i] = blank
			out[i].Message = unforeseen
		})
	}
	var shown seen
	if !t.Ignored && !t.isFormer() {
		shown.readKeys(cfg, replies[0])
	}
	return out, shown
}

// remember notes what the primary shows, for a change that may follow. That the zone's keys sign it says
// that the owner is in the zone.
func (k *knowledge) remember(cfg Config, owner string, got reading, signed bool) {
	seen := stored{problem: outcome{class: OwnerIsAlias}}
	if signed && got.alias == "" {
		seen = stored{records: records(got.data()), ttl: answerTTL(got), synthesized: got.synthesized}
	}
	k.memory.note(cfg, k.opts.Clock.Now(), owner, seen)
}

// judge fills in what one reply says of an owner and a type, all but the records, and returns its reading.
func (k *knowledge) judge(cfg Config, owner string, qtype uint16, r reply, keys *dnssec.Keys, keyErr error, a *Answer) reading {
	if r.err != nil {
		a.Message = "no answer: " + silenceText(r.err)
		return reading{}
	}
	got, err := readAnswer(cfg.Zone, owner, qtype, r.msg)
	switch {
	case got.alias != "":
		// Where it leads out of the zone, readAnswer says so by its error.
		got, a.Alias = got.firstAlias(), got.alias
	case err != nil:
		a.Message = k.uselessText(cfg, owner, r.msg, err)
		return got
	}
	now := k.opts.Clock.Now()
	a.Reachable = true
	a.TTL, a.CacheTTL = got.ttl, got.cacheTTL
	a.SignatureExpires, a.SignatureValidity = firstExpiry(r.msg, now), longestValidity(r.msg)
	if keyErr != nil {
		a.Message = unsignedText(keyErr)
		return got
	}
	expires, err := validate(keys, got, now)
	if err != nil {
		a.Message = unsignedText(err)
		return got
	}
	a.Signed, a.SignatureExpires = true, expires
	return got
}

// uselessText says why an answer is of no use. NOTAUTH to a signed question tells of the key or of the clocks (RFC
// 8945 section 5.2), and what to do is the same as with an update.
func (k *knowledge) uselessText(cfg Config, owner string, m *dns.Msg, err error) string {
	t := m.IsTsig()
	if m.Rcode != dns.RcodeNotAuth || t == nil || t.Error == dns.RcodeSuccess {
		return err.Error()
	}
	about := whoOf(cfg)
	about.owner = owner
	return classifyNotAuth(about, m, k.opts.Clock.Now()).message
}

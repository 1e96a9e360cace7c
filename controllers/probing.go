package controllers

import (
	"cmp"
	"context"
	"crypto/x509"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/guard"
	"github.com/dane-operator/dane-operator/internal/metrics"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// endpointProbe is what the probes of one address and port found, for status.
type endpointProbe struct {
	address string
	port    int32
	results []probe.Result
	// chains are those of the results in DER, while the probe is kept between two looks at the host: a
	// parsed certificate takes ten times as much memory.
	chains [][][]byte
	// compared remembers how the results compare with records, while the probe is kept.
	compared *comparisons
}

// kept is the probe as it is kept: with chains in DER.
func (e endpointProbe) kept() endpointProbe {
	out := e
	out.results, out.chains, out.compared = slices.Clone(e.results), nil, &comparisons{}
	for i := range out.results {
		out.chains = append(out.chains, derOf(out.results[i].Chain))
		out.results[i].Chain = nil
	}
	return out
}

// parsed is a probe that was kept, with its chains.
func (e endpointProbe) parsed() endpointProbe {
	out := e
	out.results, out.chains = slices.Clone(e.results), nil
	for i, der := range e.chains {
		out.results[i].Chain = chainOfDER(der)
	}
	return out
}

func derOf(chain []*x509.Certificate) [][]byte {
	var out [][]byte
	for _, c := range chain {
		out = append(out, c.Raw)
	}
	return out
}

// chainOfDER parses a chain that was parsed before, so that it cannot fail.
func chainOfDER(der [][]byte) []*x509.Certificate {
	var out []*x509.Certificate
	for _, text := range der {
		if c, err := tlsa.ParseCertificate(text); err == nil {
			out = append(out, c)
		}
	}
	return out
}

// probeJob is one round of probing a host.
type probeJob struct {
	key    hostKey
	server v1alpha1.MailServer
	domain string
	// zone is asked for the addresses of the host, unless the endpoints come from a Service.
	zone zone.Client
	// dnssec says that addresses count only when the zone's answers validate.
	dnssec bool
	// hides says that a server of the host may have a key that it does not show (hidesKeys).
	hides bool
}

// proberPool runs probe rounds outside the reconcile workers, a bounded number at a time.
type proberPool struct {
	reader   client.Reader
	prober   probe.Prober
	clock    clock.PassiveClock
	observer *observer
	counts   *metrics.Events
	guard    *guard.Guard
	// parallel is how many rounds are under way at most.
	parallel int
	// beside runs a round beside the reconcilers.
	beside func(func())
	// ctx ends when stop is called: the operator stops.
	ctx  context.Context
	stop context.CancelFunc

	mu sync.Mutex
	// waiting are the rounds that wait for their turn, and workers how many are under way.
	waiting []probeJob
	workers int
}

func newProberPool(reader client.Reader, p probe.Prober, c clock.PassiveClock, o *observer, parallel int) *proberPool {
	ctx, stop := context.WithCancel(context.Background())
	return &proberPool{reader: reader, prober: p, clock: c, observer: o, parallel: parallel, beside: func(f func()) { go f() }, ctx: ctx, stop: stop}
}

// start begins a round unless one is under way. After a restart every host wants one: those that wait for
// their turn wait in a list.
func (p *proberPool) start(job probeJob) {
	if !p.observer.beginProbe(job.key) {
		return
	}
	p.mu.Lock()
	p.waiting = append(p.waiting, job)
	hire := p.workers < p.parallel
	if hire {
		p.workers++
	}
	p.mu.Unlock()
	if hire {
		p.beside(p.work)
	}
}

// work does the rounds that wait, until none is left or the operator stops.
func (p *proberPool) work() {
	for {
		job, ok := p.next()
		if !ok {
			return
		}
		p.do(job)
	}
}

// next takes the round that has waited longest; without one the worker goes.
func (p *proberPool) next() (probeJob, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 || p.ctx.Err() != nil {
		p.workers--
		return probeJob{}, false
	}
	job := p.waiting[0]
	p.waiting[0] = probeJob{} // let go of it
	p.waiting = p.waiting[1:]
	return job, true
}

func (p *proberPool) count(probes []endpointProbe) {
	for _, e := range probes {
		for _, r := range e.results {
			p.counts.Probe(string(r.Outcome))
		}
	}
}

// round connects to every endpoint once per key type.
func (p *proberPool) round(job probeJob) (rollover.ProbeRound, []endpointProbe) {
	round := rollover.ProbeRound{Start: p.clock.Now(), Complete: true}
	list := p.endpoints(job)
	probes := p.connect(job, list)
	for _, e := range probes {
		presented, complete := presentedBy(e, referenceNames(job.server.Hostname, job.domain), p.clock.Now())
		if complete && job.hides {
			presented, complete = withHidden(presented, e)
		}
		round.Presented = append(round.Presented, presented...)
		round.Complete = round.Complete && complete
	}
	for _, g := range list.gaps {
		round.Complete = false
		round.Presented = append(round.Presented, rollover.Presented{Port: g.port, Unreachable: true, Message: g.message})
		probes = append(probes, endpointProbe{address: job.server.Hostname, port: g.port, results: []probe.Result{{Outcome: probe.Unreachable, Message: g.message}}})
	}
	round.End = p.clock.Now()
	return round, probes
}

const (
	// maxAddresses is how many addresses of a host name are connected to. Whoever writes the zone of a host
	// decides how many there are, and thousands fit into an answer.
	maxAddresses = 64
	// maxAtOnce is how many endpoints of a host are connected to at once.
	maxAtOnce = 32
)

// connect probes all endpoints side by side, some at a time.
func (p *proberPool) connect(job probeJob, list endpointList) []endpointProbe {
	probes := make([]endpointProbe, len(list.endpoints))
	places := make(chan struct{}, maxAtOnce)
	var wg sync.WaitGroup
	for i, e := range list.endpoints {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			address := e.addr.Addr().String()
			probes[i] = notProbed(address, e.port)
			p.guard.Do(guard.Probe, func() { probes[i] = p.endpoint(job, list, e) }, "maildomain", job.key.domain, "host", job.key.host, "address", address)
		})
	}
	wg.Wait()
	slices.SortFunc(probes, func(a, b endpointProbe) int {
		return cmp.Or(strings.Compare(a.address, b.address), cmp.Compare(a.port, b.port))
	})
	return probes
}

// endpoint probes one of them.
func (p *proberPool) endpoint(job probeJob, list endpointList, e endpoint) endpointProbe {
	target := probe.Target{Host: job.server.Hostname, Addr: e.addr, Protocol: e.protocol, Proxy: proxyOf(job.server.Probe), Trusted: list.trusted}
	results := probe.EachKeyType(p.ctx, p.prober, target)
	for _, r := range results {
		for c := range r.Chain {
			r.Chain[c] = tlsa.Intern(r.Chain[c])
		}
	}
	return endpointProbe{address: e.addr.Addr().String(), port: e.port, results: results}
}

// presentedBy tells the rule what one endpoint presented, and whether that is all there is to know. A
// server that has no certificate of a key type says so, and is known; one that presented a chain and
// then could not be asked for the other type is not: what it would present may be any key.
func presentedBy(e endpointProbe, names []string, now time.Time) ([]rollover.Presented, bool) {
	var out []rollover.Presented
	seen := map[string]bool{}
	unknown := "not probed"
	complete := len(e.results) > 0
	for _, r := range e.results {
		switch {
		case r.Outcome == probe.NoSuchKeyType:
		case r.Outcome != probe.Presented || len(r.Chain) == 0:
			complete, unknown = false, r.Message
		case !seen[string(r.Chain[0].Raw)]:
			seen[string(r.Chain[0].Raw)] = true
			out = append(out, presentedChain(e, r.Chain, names, now))
		}
	}
	if complete && len(out) == 0 {
		complete, unknown = false, e.results[0].Message
	}
	if !complete {
		out = append(out, rollover.Presented{Address: e.address, Port: e.port, Unreachable: true, Message: unknown})
	}
	return out, complete
}

func presentedChain(e endpointProbe, chain []*x509.Certificate, names []string, now time.Time) rollover.Presented {
	m := &matcher{der: derOf(chain), names: names, now: now, known: map[tlsa.Record]bool{}}
	return rollover.Presented{Address: e.address, Port: e.port, SPKI: spkiOfChain(chain), Serial: serialOf(chain[0]), Matches: m.matches}
}

// matcher says which records a presented chain matches. It outlives the round, and is asked for the same few
// records at each look: what it has found out stays true. It is safe for use by many goroutines.
type matcher struct {
	der   [][]byte
	names []string
	now   time.Time

	mu    sync.Mutex
	known map[tlsa.Record]bool
}

func (m *matcher) matches(r tlsa.Record) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	hit, ok := m.known[r]
	if !ok {
		hit = tlsa.Matches(r, chainOfDER(m.der), m.names, m.now)
		m.known[r] = hit
	}
	return hit
}

package dnssec

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// firstServers of the root are asked at once to see whether iteration is possible at all.
	firstServers = 4
	// openFor and closedFor are how long that counts.
	openFor   = time.Hour
	closedFor = 5 * time.Minute
	// probeLimit is how long finding that out may take.
	probeLimit = 10 * time.Second
)

// fallback iterates where a root server is to be had, and asks recursive servers elsewhere: there are
// networks that let nobody but their resolver ask outside, and others that answer in place of the root.
type fallback struct {
	*iterator
	forward *forwarder

	mu    sync.Mutex
	until time.Time
	// closed says why no root server is to be had; nil when one is.
	closed *Error
	// probe is under way; nil when none is.
	probe *probe
}

// probe is one try to reach a root server, for all who wait for it.
type probe struct {
	done chan struct{}
	// closed is what came of it, once it is done.
	closed *Error
	// problem is what it panicked with; then nothing is known.
	problem any
}

func (f *fallback) find(ctx context.Context, l *lookup, name string, qtype uint16, accept func(reply) *Error) *Error {
	closed, ok := f.look(ctx, l)
	if !ok {
		return fail(Unreachable, name+" "+typeText(qtype), "the lookup was broken off")
	}
	if closed == nil {
		return f.iterator.find(ctx, l, name, qtype, accept)
	}
	l.unreferred = true
	err := f.forward.find(ctx, l, name, qtype, accept)
	// One that was found while this was being answered says so already.
	const because = "; that resolver was asked because no root server can be"
	if err != nil && (err.Reason == Unreachable || err.Zone == "." && err.unsigned()) && !strings.Contains(err.Detail, because) {
		err.Detail += because + " (" + closed.Error() + ")"
	}
	return err
}

// look finds out whether a root server gives signed answers, unless that is known. All who need to know wait for
// one probe, each for as long as its own context lasts; ok says that it has come to an end.
func (f *fallback) look(ctx context.Context, l *lookup) (closed *Error, ok bool) {
	f.mu.Lock()
	if l.now.Before(f.until) {
		defer f.mu.Unlock()
		return f.closed, true
	}
	p := f.probe
	if p == nil {
		p = &probe{done: make(chan struct{})}
		f.probe = p
		// Who was first may leave: the others go on waiting.
		go f.try(context.WithoutCancel(ctx), l, p)
	}
	f.mu.Unlock()
	select {
	case <-p.done:
		if p.problem != nil {
			panic(p.problem)
		}
		return p.closed, true
	case <-ctx.Done():
		return nil, false
	}
}

// try makes a probe and keeps what comes of it.
func (f *fallback) try(ctx context.Context, l *lookup, p *probe) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	p.problem = Panicked(func() { p.closed = f.askRoot(ctx, l) })
	f.mu.Lock()
	defer f.mu.Unlock()
	defer close(p.done)
	if f.probe = nil; p.problem != nil {
		return
	}
	keep := openFor
	if p.closed != nil {
		keep = closedFor
	}
	f.closed, f.until = p.closed, l.now.Add(keep)
}

// askRoot asks some of the root servers for their keys, all at once; the first that shows a signature will do.
func (f *fallback) askRoot(ctx context.Context, l *lookup) *Error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	at, _ := f.closest(".", dns.TypeDNSKEY, l.now)
	if len(at.addrs) == 0 {
		return fail(Unreachable, ". DNSKEY", "no root server is known")
	}
	servers := at.addrs[:min(len(at.addrs), firstServers)]
	type saying struct {
		err     *Error
		problem any
	}
	said := make(chan saying, len(servers))
	for _, server := range servers {
		go func() {
			var s saying
			s.problem = Panicked(func() { s.err = f.askRootAt(ctx, l, server) })
			said <- s
		}()
	}
	var failed []*Error
	for range servers {
		switch s := <-said; {
		case s.problem != nil:
			panic(s.problem)
		case s.err == nil:
			return nil
		default:
			failed = append(failed, s.err)
		}
	}
	// The same one is told every time: that which says most, of the first server.
	return slices.MinFunc(failed, func(a, b *Error) int {
		silent := func(e *Error) bool { return e.Reason == Unreachable }
		if silent(a) != silent(b) {
			return map[bool]int{true: 1, false: -1}[silent(a)]
		}
		return strings.Compare(a.Server, b.Server)
	})
}

// askRootAt says what is wrong with the answer of one root server; nil when nothing is.
func (f *fallback) askRootAt(ctx context.Context, l *lookup, server netip.AddrPort) *Error {
	m, err := l.askOne(ctx, server, question(".", dns.TypeDNSKEY, false))
	if err == nil && !slices.ContainsFunc(m.Answer, isSignature) {
		err = fail(NoSignature, ". DNSKEY", "the answer comes without signatures: something on the way intercepts DNS (port 53)").from(server.String())
	}
	return err
}

func isSignature(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG }

// unsigned says that signatures are missing altogether.
func (e *Error) unsigned() bool { return e.Reason == NoSignature || e.Reason == NoKeys }

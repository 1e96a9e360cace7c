package dnssec

import (
	"context"
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
}

func (f *fallback) find(ctx context.Context, l *lookup, name string, qtype uint16, accept func(reply) *Error) *Error {
	closed := f.look(ctx, l)
	if closed == nil {
		return f.iterator.find(ctx, l, name, qtype, accept)
	}
	err := f.forward.find(ctx, l, name, qtype, accept)
	// One that was found while this was being answered says so already.
	const because = "; that resolver was asked because no root server can be"
	if err != nil && (err.Reason == Unreachable || err.Zone == "." && err.unsigned()) && !strings.Contains(err.Detail, because) {
		err.Detail += because + " (" + closed.Error() + ")"
	}
	return err
}

func (f *fallback) deepest(name string, now time.Time) string {
	f.mu.Lock()
	closed := f.closed != nil
	f.mu.Unlock()
	if closed {
		return f.forward.deepest(name, now)
	}
	return f.iterator.deepest(name, now)
}

// look finds out whether a root server gives signed answers, unless that is known.
func (f *fallback) look(ctx context.Context, l *lookup) *Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l.now.Before(f.until) {
		return f.closed
	}
	closed, keep := f.askRoot(ctx, l), openFor
	if closed != nil {
		keep = closedFor
		if ctx.Err() != nil {
			return closed
		}
	}
	f.closed, f.until = closed, l.now.Add(keep)
	return closed
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
	said := make(chan *Error, len(servers))
	for _, server := range servers {
		go func() {
			m, err := l.askOne(ctx, server, question(".", dns.TypeDNSKEY, false))
			if err == nil && !slices.ContainsFunc(m.Answer, isSignature) {
				err = fail(NoSignature, ". DNSKEY", "the answer comes without signatures: something on the way intercepts DNS (port 53)").from(server.String())
			}
			said <- err
		}()
	}
	var failed []*Error
	for range servers {
		err := <-said
		if err == nil {
			return nil
		}
		failed = append(failed, err)
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

func isSignature(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG }

// unsigned says that signatures are missing altogether.
func (e *Error) unsigned() bool { return e.Reason == NoSignature || e.Reason == NoKeys }

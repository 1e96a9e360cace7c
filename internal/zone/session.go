package zone

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// session speaks with one server, over one connection that is opened when first needed and opened
// anew after it broke.
type session struct {
	opts     Options
	endpoint endpoint
	// dialTimeout and patience as in link.
	dialTimeout, patience time.Duration
	link                  *link
	// turn is what questions wait for; nil for those of an update.
	turn *turn
}

// primarySession is for updates and their read-backs.
func primarySession(opts Options, e endpoint) *session {
	return &session{opts: opts, endpoint: e, dialTimeout: opts.DialTimeout, patience: opts.UpdateTimeout}
}

// sweepSession is for questions that must not wait long once it is their turn.
func sweepSession(opts Options, zone string, e endpoint) *session {
	return &session{opts: opts, endpoint: e, dialTimeout: opts.QueryTimeout, patience: opts.QueryTimeout, turn: newTurn(opts, zone, e)}
}

func newTurn(opts Options, zone string, e endpoint) *turn {
	if opts.Ceiling == nil {
		return nil
	}
	return &turn{ceiling: opts.Ceiling, address: e.address, zone: zone}
}

// ask sends messages, when it is their turn, and gathers their replies, in order. After one that was not
// answered no more are sent.
func (s *session) ask(ctx context.Context, msgs ...*dns.Msg) []reply {
	out := make([]reply, 0, len(msgs))
	for len(out) < len(msgs) {
		n := s.turn.portion(len(msgs) - len(out))
		if !s.turn.take(n) {
			// No connection is held meanwhile: others may need it, and servers end idle ones.
			s.close()
			if err := s.turn.wait(ctx, n); err != nil {
				return fill(out, len(msgs), err)
			}
		}
		out = append(out, s.askNow(ctx, msgs[len(out):len(out)+n])...)
		if err := out[len(out)-1].err; err != nil {
			return fill(out, len(msgs), err)
		}
	}
	return out
}

// fill gives the rest of n replies an error.
func fill(out []reply, n int, err error) []reply {
	for len(out) < n {
		out = append(out, reply{err: err})
	}
	return out
}

func (s *session) askNow(ctx context.Context, msgs []*dns.Msg) []reply {
	if err := s.open(ctx); err != nil {
		return fill(nil, len(msgs), err)
	}
	out := s.link.exchange(ctx, msgs)
	for _, r := range out {
		if r.err != nil {
			// A stream that failed is out of step, and a reply that is not to be believed may have
			// been slipped in: never reuse either.
			s.close()
			break
		}
	}
	return out
}

// askAll is ask for questions to a server that may end a connection after a number of them, as it is
// free to: as long as each connection brings answers, the rest is asked on the next. A connection from
// before may have ended unnoticed; only a new one that brings nothing tells of the server. What is
// asked must bear being asked twice.
func (s *session) askAll(ctx context.Context, msgs []*dns.Msg) []reply {
	isNew := s.link == nil
	out := s.ask(ctx, msgs...)
	before := len(msgs)
	for left := unanswered(out); len(left) > 0 && (len(left) < before || !isNew); {
		isNew = true
		again := make([]*dns.Msg, len(left))
		for i, at := range left {
			again[i] = msgs[at]
		}
		for i, r := range s.ask(ctx, again...) {
			out[left[i]] = r
		}
		before, left = len(left), unanswered(out)
	}
	return out
}

// askAnew is for what must not be asked twice: on a connection of its own it cannot meet one that the
// server has ended unnoticed, which would leave in doubt whether it arrived.
func (s *session) askAnew(ctx context.Context, m *dns.Msg) reply {
	s.close()
	return s.ask(ctx, m)[0]
}

// askOnce asks one thing and ends the connection, whatever comes of it.
func (s *session) askOnce(ctx context.Context, m *dns.Msg) reply {
	defer s.close()
	return s.ask(ctx, m)[0]
}

func unanswered(replies []reply) []int {
	var out []int
	for i, r := range replies {
		if r.err != nil {
			out = append(out, i)
		}
	}
	return out
}

func (s *session) open(ctx context.Context) error {
	if s.link != nil {
		return nil
	}
	conn, err := connect(ctx, s.opts, s.endpoint, s.dialTimeout)
	if err != nil {
		return explain(ctx, err)
	}
	s.link = &link{
		conn: conn, in: takeReader(conn), packet: s.endpoint.protocol == UDP, signer: s.endpoint.signer,
		clock: s.opts.Clock, newID: s.opts.Rand, patience: s.patience, guard: s.opts.Guard,
	}
	return nil
}

func (s *session) close() {
	if s.link != nil {
		s.link.close()
		returnReader(s.link.in)
		s.link = nil
	}
}

// readers are buffers of connections that have ended, for the next ones: a sweep of one owner takes little more
// than one.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, streamBudget) }}

func takeReader(conn net.Conn) *bufio.Reader {
	r, _ := readers.Get().(*bufio.Reader)
	r.Reset(conn)
	return r
}

func returnReader(r *bufio.Reader) {
	r.Reset(nil) // keeps no connection alive
	readers.Put(r)
}

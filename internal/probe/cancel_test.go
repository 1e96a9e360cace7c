package probe

import (
	"context"
	"net"
	"runtime"
	"strings"
	"testing"
)

// ending is a context that ends when the test says so, by the cause it says. It stands for a deadline too,
// so that no test has to guess how long a server takes to get to a stage.
type ending struct {
	context.Context
	ended chan struct{}
	cause error
}

func (e *ending) Done() <-chan struct{} { return e.ended }

func (e *ending) Err() error {
	select {
	case <-e.ended:
		return e.cause
	default:
		return nil
	}
}

// endsAt is a context that ends when a server is at a stage, and the server, which is silent from there on.
func endsAt(t *testing.T, at stage, cause error, protocol Protocol) (*ending, *server) {
	t.Helper()
	ctx := &ending{context.Background(), make(chan struct{}), cause}
	m := usual()
	m.at = func(_ *peer, now stage) bool {
		if now == at {
			close(ctx.ended)
		}
		return now == at
	}
	if protocol == SMTPS {
		return ctx, start(t, m.implicitTLS)
	}
	return ctx, start(t, m.startTLS)
}

// nothingLeft checks that no turn is held and that nothing of a probe still runs.
func nothingLeft(t *testing.T, d *Dialer) {
	t.Helper()
	d.mu.Lock()
	if len(d.busy) != 0 {
		t.Errorf("turns are held: %v", d.busy)
	}
	d.mu.Unlock()
	eventually(t, "the end of what a probe started", func() bool {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		return !strings.Contains(string(stacks), "probe.(*Dialer)") && !strings.Contains(string(stacks), "context.(*cancelCtx).propagateCancel")
	})
}

// TestEndOfContext ends the context at each stage of a talk. A chain that is known by then is kept.
func TestEndOfContext(t *testing.T) {
	const late = "ADDR: the connection stands, and no answer comes in time"
	for _, tc := range []struct {
		reason   string
		protocol Protocol
		at       stage
		cause    error
		want     Outcome
		// text has ADDR where the address of the server stands.
		text string
	}{
		{"cancelled before the greeting", SMTP, atGreeting, context.Canceled, Unreachable, "ADDR: context canceled"},
		{"cancelled after EHLO", SMTP, atEHLO, context.Canceled, Unreachable, "ADDR: context canceled"},
		{"cancelled after STARTTLS", SMTP, atSTARTTLS, context.Canceled, Unreachable, "ADDR: context canceled"},
		{"cancelled within the handshake", SMTP, atHandshake, context.Canceled, Unreachable, "ADDR: context canceled"},
		{"cancelled within the handshake, implicit TLS", SMTPS, atHandshake, context.Canceled, Unreachable, "ADDR: context canceled"},
		{"cancelled when the chain is known", SMTP, atSecure, context.Canceled, Presented, ""},
		{"cancelled when QUIT is said", SMTP, atQUIT, context.Canceled, Presented, ""},
		{"out of time before the greeting", SMTP, atGreeting, context.DeadlineExceeded, Unreachable, late + mayWait},
		{"out of time after EHLO", SMTP, atEHLO, context.DeadlineExceeded, Unreachable, late},
		{"out of time after STARTTLS", SMTP, atSTARTTLS, context.DeadlineExceeded, Unreachable, late},
		{"the handshake is never finished", SMTP, atHandshake, context.DeadlineExceeded, HandshakeFailed, "the TLS handshake did not end in time"},
		{"the handshake is never finished, implicit TLS", SMTPS, atHandshake, context.DeadlineExceeded, HandshakeFailed, "the TLS handshake did not end in time" + mayWait},
		{"silence when the chain is known", SMTP, atSecure, context.DeadlineExceeded, Presented, ""},
		{"silence when QUIT is said, implicit TLS", SMTPS, atQUIT, context.DeadlineExceeded, Presented, ""},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			ctx, s := endsAt(t, tc.at, tc.cause, tc.protocol)
			// The connection stands whatever becomes of the context: the server may see it before this side does.
			d, target := newDialer(Options{Dial: func(_ context.Context, network, address string) (net.Conn, error) {
				return net.Dial(network, address)
			}}), s.target()
			target.Protocol = tc.protocol
			got := d.Probe(ctx, target)
			text := strings.ReplaceAll(tc.text, "ADDR", s.addr().String())
			if got.Outcome != tc.want || got.Message != text || (got.Chain != nil) != (tc.want == Presented) {
				t.Errorf("got %s: %s", got.Outcome, got.Message)
			}
			nothingLeft(t, d)
		})
	}
}

// TestEndOfContextWhileDialling checks the default dialler and one that waits.
func TestEndOfContextWhileDialling(t *testing.T) {
	for _, tc := range []struct {
		reason string
		cause  error
		text   string
	}{
		{"cancelled", context.Canceled, "context canceled"},
		{"out of time", context.DeadlineExceeded, "no connection in time"},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			s := start(t, usual().startTLS)
			ctx := &ending{context.Background(), make(chan struct{}), tc.cause}
			d := newDialer(Options{Dial: func(dialling context.Context, _, _ string) (net.Conn, error) {
				close(ctx.ended)
				<-dialling.Done()
				return nil, &net.OpError{Op: "dial", Err: dialling.Err()}
			}})
			got := d.Probe(ctx, s.target())
			if got.Outcome != Unreachable || !strings.Contains(got.Message, tc.text) {
				t.Errorf("got %s: %s", got.Outcome, got.Message)
			}
			nothingLeft(t, d)
		})
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	s, d := start(t, usual().startTLS), newDialer(Options{})
	if got := d.Probe(ended, s.target()); got.Outcome != Unreachable || s.connections() != 0 {
		t.Errorf("cancelled before: got %s: %s", got.Outcome, got.Message)
	}
	nothingLeft(t, d)
}

// TestEndOfContextWhileWaiting cancels a probe that waits for its turn: it takes nothing from the one before it.
func TestEndOfContextWhileWaiting(t *testing.T) {
	for _, cause := range []error{context.Canceled, context.DeadlineExceeded} {
		t.Run(cause.Error(), func(t *testing.T) {
			gate := newGate()
			defer gate.open()
			m := usual()
			m.at = gate.at
			s, d := start(t, m.startTLS), newDialer(Options{})
			first, second := make(chan Result, 1), make(chan Result, 1)
			go func() { first <- d.Probe(context.Background(), s.target()) }()
			eventually(t, "the first connection", func() bool { return s.connections() == 1 })
			ctx := &ending{context.Background(), make(chan struct{}), cause}
			go func() { second <- d.Probe(ctx, s.target()) }()
			eventually(t, "the second in the queue", func() bool { return inQueue(d, s.addr()) == 2 })
			close(ctx.ended)
			if got := wait(t, "the second", second); got.Outcome != Unreachable || got.Chain != nil {
				t.Errorf("the second: got %s: %s", got.Outcome, got.Message)
			}
			if n := inQueue(d, s.addr()); n != 1 {
				t.Errorf("%d are in the queue", n)
			}
			gate.open()
			if got := wait(t, "the first", first); got.Outcome != Presented {
				t.Errorf("the first: got %s: %s", got.Outcome, got.Message)
			}
			if s.connections() != 1 {
				t.Errorf("%d connections were made", s.connections())
			}
			nothingLeft(t, d)
		})
	}
}

package probe

import (
	"context"
	"net"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

// hooked is a connection with something to be done before a read or write, or at the end, once.
type hooked struct {
	net.Conn
	read, write, closed func()
}

func (h *hooked) Read(b []byte) (int, error) {
	if h.read != nil {
		h.read()
	}
	return h.Conn.Read(b)
}

func (h *hooked) Write(b []byte) (int, error) {
	if h.write != nil {
		h.write()
	}
	return h.Conn.Write(b)
}

func (h *hooked) Close() error {
	if h.closed != nil {
		h.closed()
		h.closed = nil
	}
	return h.Conn.Close()
}

// panicAt panics when it is called for the nth time.
func panicAt(n int) func() {
	return func() {
		if n--; n == 0 {
			panic("a bug in a parser, with \x1b[31m what the server said")
		}
	}
}

// TestPanic checks that a panic ends one probe: not the operator, and not the next probe of the address.
func TestPanic(t *testing.T) {
	for _, tc := range []struct {
		reason string
		conn   hooked
		dial   bool
	}{
		{"while dialling", hooked{}, true},
		{"at the greeting", hooked{read: panicAt(1)}, false},
		{"at EHLO", hooked{write: panicAt(1)}, false},
		{"at the reply to STARTTLS", hooked{read: panicAt(3)}, false},
		{"at the ClientHello", hooked{write: panicAt(3)}, false},
		{"at the ServerHello", hooked{read: panicAt(4)}, false},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			s := start(t, usual().startTLS)
			dialled, closed := 0, 0
			began := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
			clock := clocktesting.NewFakePassiveClock(began)
			d := newDialer(Options{Clock: clock, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				clock.SetTime(clock.Now().Add(time.Second))
				if dialled++; dialled > 1 {
					return (&net.Dialer{}).DialContext(ctx, network, address)
				}
				if tc.dial {
					panic("while dialling")
				}
				c, err := (&net.Dialer{}).DialContext(ctx, network, address)
				tc.conn.Conn, tc.conn.closed = c, func() { closed++ }
				return &tc.conn, err
			}})
			got := d.Probe(context.Background(), s.target())
			if got.Outcome != HandshakeFailed || got.Message != "what the server sent could not be handled" || got.Chain != nil || got.Target != s.target() {
				t.Errorf("got %s: %s", got.Outcome, got.Message)
			}
			if !got.Start.Equal(began) || !got.End.Equal(began.Add(time.Second)) {
				t.Errorf("it took from %s to %s", got.Start, got.End)
			}
			if !tc.dial && closed != 1 {
				t.Error("the connection is open")
			}
			nothingLeft(t, d)
			if got := d.Probe(context.Background(), s.target()); got.Outcome != Presented {
				t.Errorf("the next: got %s: %s", got.Outcome, got.Message)
			}
		})
	}
}

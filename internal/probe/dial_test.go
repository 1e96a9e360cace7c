package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// late is what a connection says whose time is up, as the kernel does.
type late struct{}

func (late) Error() string   { return "i/o timeout" }
func (late) Timeout() bool   { return true }
func (late) Temporary() bool { return true }

// TestDialFailures checks what is said when there is no connection: never that the server is at fault,
// since a port that is blocked on the way looks the same.
func TestDialFailures(t *testing.T) {
	refused := os.NewSyscallError("connect", syscall.ECONNREFUSED)
	for _, tc := range []struct {
		reason string
		port   uint16
		err    error
		text   string
	}{
		{"port 25 is blocked, or the server is down", 25, late{}, "192.0.2.1:25: no connection in time: the server is down, or port 25 is blocked on the way, as it is in many networks"},
		{"another port", 465, late{}, "192.0.2.1:465: no connection in time: the server is down, or the port is blocked on the way"},
		{"the kernel gave up", 25, os.NewSyscallError("connect", syscall.ETIMEDOUT), "192.0.2.1:25: no connection in time: the server is down, or port 25 is blocked on the way, as it is in many networks"},
		{"nobody listens, or a firewall says so", 25, refused, "192.0.2.1:25: connect: connection refused"},
		{"there is no way, or a firewall says so", 25, os.NewSyscallError("connect", syscall.EHOSTUNREACH), "192.0.2.1:25: connect: no route to host"},
		{"a firewall on this side", 25, os.NewSyscallError("connect", syscall.EPERM), "192.0.2.1:25: connect: operation not permitted"},
		{"an error of no known kind", 25, errors.New("a fuse\x07 blew"), "192.0.2.1:25: a fuse? blew"},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			addr := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), tc.port)
			d := New(Options{AllowCIDRs: everything, Dial: func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Source: &net.TCPAddr{Port: 40000}, Addr: net.TCPAddrFromAddrPort(addr), Err: tc.err}
			}})
			got := d.Probe(context.Background(), Target{Host: host, Addr: addr, Protocol: SMTP})
			if got.Outcome != Unreachable || got.Message != tc.text || got.Chain != nil {
				t.Errorf("got %s: %s", got.Outcome, got.Message)
			}
		})
	}
}

// TestPortThatAnswersNothing dials a socket whose queue is full: the kernel lets a SYN go unanswered, as a
// firewall does that blocks the port.
func TestPortThatAnswersNothing(t *testing.T) {
	addr := fullSocket(t)
	got := newDialer(Options{Timeout: 300 * time.Millisecond}).Probe(context.Background(), Target{Host: host, Addr: addr, Protocol: SMTP})
	if got.Outcome != Unreachable || got.Message != addr.String()+": no connection in time: the server is down, or the port is blocked on the way" {
		t.Errorf("got %s: %s", got.Outcome, got.Message)
	}
}

// fullSocket listens with room for one connection that nobody accepts, and fills it.
func fullSocket(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	err = errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0))
	if err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(name.(*syscall.SockaddrInet4).Port))
	for range 16 {
		c, err := net.DialTimeout("tcp", addr.String(), 200*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the queue of the socket does not fill")
	return addr
}

// TestTimeSpentInTheQueue checks that a probe whose turn never came does not blame the server.
func TestTimeSpentInTheQueue(t *testing.T) {
	gate := newGate()
	defer gate.open()
	m := usual()
	m.at = gate.at
	s := start(t, m.startTLS)
	d := newDialer(Options{})
	first := make(chan Result, 1)
	go func() { first <- d.Probe(context.Background(), s.target()) }()
	eventually(t, "the first connection", func() bool { return s.connections() == 1 })
	ctx := &ending{context.Background(), make(chan struct{}), context.DeadlineExceeded}
	close(ctx.ended)
	got := d.Probe(ctx, s.target())
	if got.Outcome != Unreachable || !strings.Contains(got.Message, "not probed: other probes of the address") {
		t.Errorf("got %s: %s", got.Outcome, got.Message)
	}
	gate.open()
	wait(t, "the first", first)
}

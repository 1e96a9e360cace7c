package pod

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// network is a network namespace with nothing in it but its own loopback: the ports of a pod are its own. A thread of the
// test keeps it, and whatever is to happen there happens on that thread.
type network struct {
	jobs chan func()
	// path is what nsenter(1) enters it by.
	path string
}

func newNetwork() (*network, error) {
	n := &network{jobs: make(chan func())}
	ready := make(chan error)
	go func() {
		// It is never unlocked: the thread ends with the goroutine, and is used for nothing else.
		runtime.LockOSThread()
		err := isolate()
		n.path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		ready <- err
		if err != nil {
			return
		}
		for job := range n.jobs {
			job()
		}
	}()
	return n, <-ready
}

// isolate gives the thread a network of its own, with loopback up.
func isolate() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make a network namespace, which takes root: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing is lost
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

func (n *network) stop() { close(n.jobs) }

// do does something in the namespace.
func (n *network) do(job func()) {
	done := make(chan struct{})
	n.jobs <- func() { defer close(done); job() }
	<-done
}

// dial connects to an address there, which is an IP address: a name would be looked up on another thread.
func (n *network) dial(ctx context.Context, kind, address string) (conn net.Conn, err error) {
	n.do(func() { conn, err = (&net.Dialer{}).DialContext(ctx, kind, address) })
	return conn, err
}

// forward has what connects to an address there reach another one outside, until the listener is closed. Where that cannot
// be reached, failed is told.
func (n *network) forward(address, outside string, failed func(error)) (listener net.Listener, err error) {
	n.do(func() { listener, err = net.Listen("tcp", address) })
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			inner, err := listener.Accept()
			if err != nil {
				return
			}
			go join(inner, outside, failed)
		}
	}()
	return listener, nil
}

func join(inner net.Conn, outside string, failed func(error)) {
	defer inner.Close() //nolint:errcheck // nothing is lost
	outer, err := net.Dial("tcp", outside)
	if err != nil {
		failed(err)
		return
	}
	defer outer.Close() //nolint:errcheck // nothing is lost
	go func() {
		_, _ = io.Copy(outer, inner)
		_ = outer.Close()
	}()
	_, _ = io.Copy(inner, outer)
}

// listening are the ports that are listened on in the namespace of a process, from /proc/PID/net (proc(5)).
func listening(pid int) (map[int32]bool, error) {
	out := map[int32]bool{}
	for _, file := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, file))
		if err != nil {
			return nil, err
		}
		for _, line := range strings.Split(string(text), "\n") {
			const listen = "0A"
			fields := strings.Fields(line)
			if len(fields) < 4 || fields[3] != listen {
				continue
			}
			var port int32
			if _, err := fmt.Sscanf(fields[1][strings.LastIndexByte(fields[1], ':')+1:], "%X", &port); err != nil {
				return nil, fmt.Errorf("%s: %w", line, err)
			}
			out[port] = true
		}
	}
	return out, nil
}

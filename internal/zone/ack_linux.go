package zone

import (
	"net"
	"syscall"
)

// ackingConn acknowledges at once what it reads. A server that does not switch Nagle's algorithm off
// (RFC 896) sends the second small reply only when the first is acknowledged, and the kernel puts an
// acknowledgement off for 40 ms to send it with data: each round of several questions took that long.
type ackingConn struct{ *net.TCPConn }

func acking(c net.Conn) net.Conn {
	if tcp, ok := c.(*net.TCPConn); ok {
		return ackingConn{tcp}
	}
	return c
}

// Read implements net.Conn. The kernel forgets the option by itself, so it is set each time; without it
// replies are only later.
func (c ackingConn) Read(b []byte) (int, error) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
		})
	}
	return c.TCPConn.Read(b)
}

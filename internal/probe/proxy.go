package probe

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
)

// ProxyProtocol is the version of the header that a load balancer puts before what the client says
// (PROXY protocol, https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt). A server that expects one reads
// nothing else before it.
type ProxyProtocol string

// The versions. NoProxy sends no header.
const (
	NoProxy ProxyProtocol = ""
	ProxyV1 ProxyProtocol = "V1"
	ProxyV2 ProxyProtocol = "V2"
)

// headerV2 is the signature, the version with the command LOCAL, the family UNSPEC, and a length of zero.
const headerV2 = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"

// header says that the connection is the sender's own, as the health checks of load balancers do. Version 1
// has the addresses of the connection itself: Postfix does not take the UNKNOWN that the protocol has for
// this.
func (p ProxyProtocol) header(conn net.Conn) string {
	switch p {
	case ProxyV1:
		return headerV1(conn.LocalAddr(), conn.RemoteAddr())
	case ProxyV2:
		return headerV2
	}
	return ""
}

func headerV1(from, to net.Addr) string {
	local, ok := from.(*net.TCPAddr)
	remote, alsoTCP := to.(*net.TCPAddr)
	if !ok || !alsoTCP {
		return "PROXY UNKNOWN\r\n"
	}
	src, dst := plain(local), plain(remote)
	family := "TCP6"
	if src.Is4() {
		family = "TCP4"
	}
	return fmt.Sprintf("PROXY %s %s %s %d %d\r\n", family, src, dst, local.Port, remote.Port)
}

func plain(addr *net.TCPAddr) netip.Addr { return addr.AddrPort().Addr().Unmap().WithZone("") }

func (p ProxyProtocol) send(conn net.Conn) error {
	header := p.header(conn)
	if header == "" {
		return nil
	}
	_, err := io.WriteString(conn, header)
	return err
}

// hearing is a connection that knows whether the server has said anything on it.
type hearing struct {
	net.Conn
	heard bool
}

func (h *hearing) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	h.heard = h.heard || n > 0
	return n, err
}

// proxyHint says what a PROXY header has to do with a failure; empty where it has nothing to do with
// it. A server that waits for a header stays silent, closes the connection, or says that something is
// wrong with itself. One that expects none takes it for a command, or for a ClientHello that is none.
func proxyHint(target Target, f *failure, heard bool) string {
	early := f.outcome == Unreachable || f.outcome == HandshakeFailed && dialogues[target.Protocol].begin == nil
	switch {
	case target.Proxy == NoProxy && (!heard || early && excused(f.message)):
		return "; a server behind a load balancer may wait for a PROXY header: see probe.proxyProtocol"
	case target.Proxy != NoProxy && early:
		return "; it was sent a PROXY header first, as probe.proxyProtocol says, which it may not expect"
	}
	return ""
}

// excused says whether a failure is what Postfix answers when no header comes: "421 4.3.0 Server local
// error" by smtpd and "421 4.3.2 No system resources" by postscreen, in plain text even where TLS is due.
func excused(message string) bool {
	return strings.Contains(message, "; it said: 421 4.3.") || strings.HasSuffix(message, "; it begins with: 421 4")
}

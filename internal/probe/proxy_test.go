package probe

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
)

// The hints, as people get them.
const (
	mayWait    = "; a server behind a load balancer may wait for a PROXY header: see probe.proxyProtocol"
	mayNotWant = "; it was sent a PROXY header first, as probe.proxyProtocol says, which it may not expect"
)

// withHeader is a script that reads a PROXY header first and says nothing to whoever sends another.
func withHeader(header func(client, server net.Addr) string, script func(*peer)) func(*peer) {
	return func(p *peer) {
		want := header(p.RemoteAddr(), p.LocalAddr())
		got := make([]byte, len(want))
		if _, err := io.ReadFull(p.reader, got); err != nil || string(got) != want {
			p.close()
			return
		}
		script(p)
	}
}

// TestProxyHeader checks the header octet by octet, before STARTTLS and before a ClientHello.
func TestProxyHeader(t *testing.T) {
	for version, header := range map[ProxyProtocol]func(client, server net.Addr) string{
		NoProxy: func(net.Addr, net.Addr) string { return "" },
		ProxyV1: func(client, server net.Addr) string {
			return fmt.Sprintf("PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n", client.(*net.TCPAddr).Port, server.(*net.TCPAddr).Port)
		},
		ProxyV2: func(net.Addr, net.Addr) string {
			return string([]byte{0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, 0x20, 0x00, 0x00, 0x00})
		},
	} {
		for protocol := range dialogues {
			script := usualWords(protocol).talk
			if protocol == SMTPS {
				script = usual().implicitTLS
			}
			target := start(t, withHeader(header, script)).targetOf(protocol)
			target.Proxy = version
			got := newDialer(Options{}).Probe(context.Background(), target)
			if got.Outcome != Presented || got.Message != "" {
				t.Errorf("%s, version %q: got %s: %s", protocol, version, got.Outcome, got.Message)
			}
		}
	}
}

// TestProxyHeaderV1 checks how addresses are written.
func TestProxyHeaderV1(t *testing.T) {
	tcp := func(addr string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr)) }
	for _, tc := range []struct {
		reason   string
		from, to net.Addr
		want     string
	}{
		{"IPv4", tcp("192.0.2.1:40000"), tcp("198.51.100.1:25"), "PROXY TCP4 192.0.2.1 198.51.100.1 40000 25\r\n"},
		{"IPv6", tcp("[2001:db8::1]:40000"), tcp("[2001:db8::2]:25"), "PROXY TCP6 2001:db8::1 2001:db8::2 40000 25\r\n"},
		{"IPv4 mapped into IPv6", tcp("[::ffff:192.0.2.1]:40000"), tcp("[::ffff:198.51.100.1]:25"), "PROXY TCP4 192.0.2.1 198.51.100.1 40000 25\r\n"},
		{"a zone is for this side alone", tcp("[fd00::1%eth0]:40000"), tcp("[fd00::2%eth0]:25"), "PROXY TCP6 fd00::1 fd00::2 40000 25\r\n"},
		{"no TCP", &net.UnixAddr{}, &net.UnixAddr{}, "PROXY UNKNOWN\r\n"},
	} {
		if got := headerV1(tc.from, tc.to); got != tc.want {
			t.Errorf("%s: got %q", tc.reason, got)
		}
	}
}

// TestProxyHints checks what is said when one side speaks the PROXY protocol and the other does not.
func TestProxyHints(t *testing.T) {
	says := func(text string) func(*peer) {
		return func(p *peer) {
			p.say(text)
			p.close()
		}
	}
	const closed = "ADDR: the server closed the connection"
	for _, tc := range []struct {
		reason   string
		proxy    ProxyProtocol
		protocol Protocol
		script   func(*peer)
		want     Outcome
		text     string
	}{
		{"a header is wanted", NoProxy, SMTP, says(""), Unreachable, closed + mayWait},
		{"a header is wanted", NoProxy, IMAPS, says(""), HandshakeFailed, "the TLS handshake failed: EOF" + mayWait},
		{"a header is wanted, says smtpd", NoProxy, SMTP, says("421 4.3.0 mx1 Server local error\r\n"), Unreachable, "the server does not greet; it said: 421 4.3.0 mx1 Server local error" + mayWait},
		{"a header is wanted, says postscreen", NoProxy, SMTP, says("421 4.3.2 No system resources\r\n"), Unreachable, "the server does not greet; it said: 421 4.3.2 No system resources" + mayWait},
		{"a header is wanted, says smtpd", NoProxy, SMTPS, says("421 4.3.0 mx1 Server local error\r\n"), HandshakeFailed, "the TLS handshake failed: tls: first record does not look like a TLS handshake; it begins with: 421 4" + mayWait},
		{"it is plain text, and no header is wanted", NoProxy, SMTPS, says("220 mx1 ESMTP\r\n"), HandshakeFailed, "the TLS handshake failed: tls: first record does not look like a TLS handshake; it begins with: 220 m"},
		{"it is busy", NoProxy, SMTP, says("421 4.7.0 too many connections\r\n"), Unreachable, "the server does not greet; it said: 421 4.7.0 too many connections"},
		{"no header is wanted", ProxyV1, SMTP, says("220 mx1\r\n502 what?\r\n"), Unreachable, "the server refuses EHLO; it said: 502 what?" + mayNotWant},
		{"no header is wanted", ProxyV1, IMAP, says("* OK ready\r\nPROXY BAD what?\r\n"), Unreachable, "the server does not speak IMAP: it answers CAPABILITY with something else; it said: PROXY BAD what?" + mayNotWant},
		{"no header is wanted", ProxyV2, POP3, says("+OK ready\r\n-ERR what?\r\n"), Unreachable, "the server refuses CAPA; it said: -ERR what?" + mayNotWant},
		{"no header is wanted", ProxyV2, POP3S, says(record(21, "\x02\x46")), HandshakeFailed, "the TLS handshake failed: remote error: tls: protocol version not supported" + mayNotWant},
		{"no header is wanted", ProxyV1, ManageSieve, says("OK\r\nNO \"what?\"\r\n"), Unreachable, "the server refuses CAPABILITY; it said: NO \"what?\"" + mayNotWant},
		{"the wrong version is wanted", ProxyV1, SMTP, says(""), Unreachable, closed + mayNotWant},
		{"the server talks, and it is not the header", NoProxy, SMTP, says("554 no\r\n"), Unreachable, "the server does not greet; it said: 554 no"},
		{"the header was taken", ProxyV2, SMTP, says("220 mx1\r\n250 mx1\r\n"), NoTLS, "the server does not offer STARTTLS: senders with DANE do not deliver"},
	} {
		t.Run(string(tc.protocol)+": "+tc.reason, func(t *testing.T) {
			s := start(t, tc.script)
			target := s.targetOf(tc.protocol)
			target.Proxy = tc.proxy
			got := newDialer(Options{}).Probe(context.Background(), target)
			text := bytes.ReplaceAll([]byte(tc.text), []byte("ADDR"), []byte(s.addr().String()))
			if got.Outcome != tc.want || got.Message != string(text) {
				t.Errorf("got %s: %s", got.Outcome, got.Message)
			}
		})
	}
}

// mute is a connection that can not be written to.
type mute struct{ net.Conn }

func (mute) Write([]byte) (int, error) {
	return 0, &net.OpError{Op: "write", Err: io.ErrClosedPipe}
}

// TestProxyHeaderThatCannotBeSent checks that nothing is said without the header.
func TestProxyHeaderThatCannotBeSent(t *testing.T) {
	s := start(t, usual().startTLS)
	d := newDialer(Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return mute{c}, err
	}})
	target := s.target()
	target.Proxy = ProxyV2
	got := d.Probe(context.Background(), target)
	if got.Outcome != Unreachable || got.Message != s.addr().String()+": io: read/write on closed pipe"+mayNotWant {
		t.Errorf("got %s: %s", got.Outcome, got.Message)
	}
}

package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// loopback lets the prober connect to the servers of the tests.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// patience is how long a test waits for what must come. It is only ever used up by a test that fails.
const patience = 30 * time.Second

// newDialer is a Dialer that may connect to loopback.
func newDialer(o Options) *Dialer {
	o.AllowCIDRs = loopback
	return New(o)
}

// server is a mail server on a real socket that keeps to a script, and writes down what it hears.
type server struct {
	listener net.Listener
	scripts  sync.WaitGroup
	closed   chan struct{}

	mu       sync.Mutex
	open     []net.Conn
	accepted int
	heard    []string
	tls      []tls.ConnectionState
}

// peer is one connection as the server sees it.
type peer struct {
	net.Conn
	server *server
	reader *bufio.Reader
	raw    net.Conn
}

// Read gives TLS what was read ahead.
func (p *peer) Read(b []byte) (int, error) { return p.reader.Read(b) }

func start(t *testing.T, script func(*peer)) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{listener: l, closed: make(chan struct{})}
	go s.accept(script)
	t.Cleanup(func() {
		s.stopListening()
		s.mu.Lock()
		for _, c := range s.open {
			c.Close()
		}
		s.mu.Unlock()
		s.scripts.Wait()
	})
	return s
}

func (s *server) accept(script func(*peer)) {
	defer close(s.closed)
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		s.mu.Lock()
		s.open = append(s.open, c)
		s.accepted++
		s.mu.Unlock()
		s.scripts.Go(func() {
			defer c.Close()
			script(&peer{Conn: c, server: s, reader: bufio.NewReader(c), raw: c})
			// The client closes first: to close here with something unread would reset the connection.
			_, _ = io.Copy(io.Discard, c)
		})
	}
}

func (s *server) stopListening() {
	s.listener.Close()
	<-s.closed
}

// addr is where the server listens.
func (s *server) addr() netip.AddrPort { return netip.MustParseAddrPort(s.listener.Addr().String()) }

// target is a probe of the server.
func (s *server) target() Target {
	return Target{Host: host, Addr: s.addr(), Protocol: SMTP, KeyType: AnyKey}
}

// protocol tells what was heard, once the client has closed every connection.
func (s *server) protocol() []string {
	s.stopListening()
	s.scripts.Wait()
	return s.heard
}

// state is the TLS connection of the only talk so far.
func (s *server) state(t *testing.T) tls.ConnectionState {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tls) != 1 {
		t.Fatalf("%d handshakes were done", len(s.tls))
	}
	return s.tls[0]
}

func (s *server) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

func (p *peer) say(text string) { _, _ = io.WriteString(p.Conn, text) }

// hear reads a line; empty when there is none any more. The line's end must be CRLF, or it stays in the text.
func (p *peer) hear() string {
	line, err := p.reader.ReadString('\n')
	if err != nil {
		return ""
	}
	line = strings.TrimSuffix(line, "\r\n")
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	p.server.heard = append(p.server.heard, line)
	return line
}

// secure does the server's part of the handshake.
func (p *peer) secure(config *tls.Config) bool {
	c := tls.Server(&peer{Conn: p.Conn, reader: p.reader}, config)
	if c.Handshake() != nil {
		return false
	}
	p.Conn, p.reader = c, bufio.NewReader(c)
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	p.server.tls = append(p.server.tls, c.ConnectionState())
	return true
}

// close ends what the server says, and leaves what the client says to be read: no RST.
func (p *peer) close() {
	if tcp, ok := p.raw.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}

// reset ends the connection with RST.
func (p *peer) reset() {
	if tcp, ok := p.raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	p.raw.Close()
}

// stage is a point in the talk at which the client has spoken and waits for the server.
type stage string

const (
	atGreeting  stage = "connected"
	atEHLO      stage = "EHLO said"
	atSTARTTLS  stage = "STARTTLS said"
	atHandshake stage = "ClientHello sent"
	atSecure    stage = "EHLO said within TLS"
	atQUIT      stage = "QUIT said"
)

// mail is what a server says at each stage. A test changes what it is about.
type mail struct {
	greeting, ehlo, starttls, secure string
	tls                              *tls.Config
	// at is called at each stage; when it says true, the server says no more.
	at func(*peer, stage) bool
}

func usual() mail {
	return mail{
		greeting: "220 mx1.example.com ESMTP Postfix\r\n",
		ehlo:     "250-mx1.example.com\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 SMTPUTF8\r\n",
		starttls: "220 2.0.0 Ready to start TLS\r\n",
		secure:   "250-mx1.example.com\r\n250 PIPELINING\r\n",
		tls:      withTLS(pki().ecdsa),
		at:       func(*peer, stage) bool { return false },
	}
}

// startTLS is the script of a server with STARTTLS.
func (m mail) startTLS(p *peer) {
	if m.at(p, atGreeting) {
		return
	}
	p.say(m.greeting)
	if p.hear() == "" || m.at(p, atEHLO) {
		return
	}
	p.say(m.ehlo)
	if p.hear() != "STARTTLS" || m.at(p, atSTARTTLS) {
		return
	}
	p.say(m.starttls)
	if _, err := p.reader.Peek(1); err != nil || m.at(p, atHandshake) || !p.secure(m.tls) {
		return
	}
	m.untilQUIT(p)
}

// implicitTLS is the script of a server with TLS from the start.
func (m mail) implicitTLS(p *peer) {
	if _, err := p.reader.Peek(1); err != nil || m.at(p, atHandshake) || !p.secure(m.tls) {
		return
	}
	p.say(m.greeting)
	m.untilQUIT(p)
}

// untilQUIT answers whatever comes within TLS.
func (m mail) untilQUIT(p *peer) {
	for {
		switch p.hear() {
		case "":
			return
		case "QUIT":
			if m.at(p, atQUIT) {
				return
			}
			p.say("221 2.0.0 Bye\r\n")
		default:
			if m.at(p, atSecure) {
				return
			}
			p.say(m.secure)
		}
	}
}

// probe probes a server once.
func (s *server) probe(o Options) Result {
	return newDialer(o).Probe(context.Background(), s.target())
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s: never came", what)
		}
	}
}

// wait receives, or fails the test.
func wait[T any](t *testing.T, what string, from <-chan T) (out T) {
	t.Helper()
	select {
	case out = <-from:
	case <-time.After(patience):
		t.Fatalf("%s: never came", what)
	}
	return out
}

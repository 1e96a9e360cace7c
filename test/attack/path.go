// Package attack has what stands between two mail servers of a test, or in the place of one: a way whose every octet
// somebody reads, who also strips STARTTLS or leads elsewhere, real Postfix that takes whatever comes, and real
// Postfix that sends.
package attack

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// Path is the way to a mail server, in the hands of whoever attacks: connections to its address end where he likes, and
// he reads along.
type Path struct {
	listener net.Listener

	mu     sync.Mutex
	to     netip.AddrPort
	strips bool
	seen   bytes.Buffer
	open   map[net.Conn]struct{}
}

// StartPath listens at an address until the test ends. First it leads to a server, and nothing is changed on the way.
func StartPath(t testing.TB, at, to netip.AddrPort) *Path {
	t.Helper()
	listener, err := net.Listen("tcp", at.String())
	if err != nil {
		t.Fatalf("stand on the way to %s: %v", at, err)
	}
	p := &Path{listener: listener, to: to, open: map[net.Conn]struct{}{}}
	go p.accept()
	t.Cleanup(func() {
		_ = listener.Close()
		p.hangUp()
	})
	return p
}

// Lead has connections end at a server from now on. With strips set STARTTLS is not offered on the way: the word is
// overwritten, as some firewalls do.
func (p *Path) Lead(to netip.AddrPort, strips bool) {
	p.mu.Lock()
	p.to, p.strips = to, strips
	p.mu.Unlock()
	p.hangUp()
}

// Saw says whether a text has come by in the clear.
func (p *Path) Saw(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Contains(p.seen.Bytes(), []byte(text))
}

func (p *Path) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close()
	}
}

func (p *Path) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.carry(client)
	}
}

// carry passes on what the two sides of a connection say, line by line, until one has nothing more to say.
func (p *Path) carry(client net.Conn) {
	p.mu.Lock()
	to, strips := p.to, p.strips
	p.open[client] = struct{}{}
	p.mu.Unlock()
	defer func() {
		_ = client.Close()
		p.mu.Lock()
		delete(p.open, client)
		p.mu.Unlock()
	}()
	server, err := net.DialTimeout("tcp", to.String(), 5*time.Second)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	done := make(chan struct{}, 2)
	for _, way := range []struct{ from, to net.Conn }{{client, server}, {server, client}} {
		go func() {
			p.pass(way.from, way.to, strips)
			done <- struct{}{}
		}()
	}
	<-done
}

// pass copies one direction. A TLS record is no line, and need not end in one: what has come goes on at once.
func (p *Path) pass(from io.Reader, to io.Writer, strips bool) {
	r := bufio.NewReader(from)
	for {
		if _, err := r.Peek(1); err != nil {
			return
		}
		octets, _ := r.Peek(r.Buffered())
		if end := bytes.IndexByte(octets, '\n'); end >= 0 {
			octets = octets[:end+1]
		}
		said := bytes.Clone(octets)
		_, _ = r.Discard(len(said)) // it is buffered
		p.mu.Lock()
		p.seen.Write(said)
		p.mu.Unlock()
		if strips {
			said = bytes.ReplaceAll(said, []byte("STARTTLS"), []byte("XXXXXXXX"))
		}
		if _, err := to.Write(said); err != nil {
			return
		}
	}
}

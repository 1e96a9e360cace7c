package wire

import (
	"encoding/binary"
	"io"
	"net"
	"time"
)

func (p *DNS) acceptStreams() {
	for {
		c, err := p.stream.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.counts.Connections++
		p.mu.Unlock()
		if !p.track(c) {
			_ = c.Close()
			return
		}
		go func() {
			defer p.drop(c)
			p.serveStream(c)
		}()
	}
}

// serveStream passes the messages of one connection on, one after the other, to one of its own.
func (p *DNS) serveStream(c net.Conn) {
	up := &upstream{proxy: p}
	defer up.close()
	for {
		request, err := readFrame(c)
		if err != nil {
			return
		}
		f, lifted := p.now()
		w := &way{request: request, changes: p.note(request), lifted: lifted, stream: c}
		w.ask = func(m []byte) ([]byte, error) { return p.exchange(m, w.changes, up.ask) }
		w.send = func(m []byte) error { _, err := c.Write(frame(m)); return err }
		if err := f.apply(w); err != nil {
			return
		}
	}
}

// upstream is a connection to the name server, opened when it is first needed.
type upstream struct {
	proxy *DNS
	conn  net.Conn
}

func (u *upstream) ask(request []byte) ([]byte, error) {
	if u.conn == nil {
		c, err := net.DialTimeout("tcp", u.proxy.upstream, patience)
		if err != nil {
			return nil, err
		}
		u.conn = c
	}
	if err := u.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := u.conn.Write(frame(request)); err != nil {
		return nil, err
	}
	return readFrame(u.conn)
}

func (u *upstream) close() {
	if u.conn != nil {
		_ = u.conn.Close()
	}
}

// frame is a message as a stream has it, after its length (RFC 1035 section 4.2.2).
func frame(m []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...) //nolint:gosec // a DNS message
}

func readFrame(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	m := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, m)
	return m, err
}

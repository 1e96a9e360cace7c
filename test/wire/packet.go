package wire

import (
	"net"
	"slices"
	"time"

	"github.com/miekg/dns"
)

func (p *DNS) takePackets() {
	buf := make([]byte, dns.MaxMsgSize)
	for {
		n, from, err := p.packets.ReadFrom(buf)
		if err != nil {
			return
		}
		request := slices.Clone(buf[:n])
		go p.servePacket(request, from)
	}
}

// servePacket passes one packet on. Every packet has a socket of its own towards the name server.
func (p *DNS) servePacket(request []byte, from net.Addr) {
	f, lifted := p.now()
	w := &way{request: request, changes: p.note(request), lifted: lifted}
	w.ask = func(m []byte) ([]byte, error) { return p.exchange(m, w.changes, p.askPacket) }
	w.send = func(m []byte) error { _, err := p.packets.WriteTo(m, from); return err }
	_ = f.apply(w) // a packet that gets lost tells nobody
}

func (p *DNS) askPacket(request []byte) ([]byte, error) {
	c, err := net.DialTimeout("udp", p.upstream, patience)
	if err != nil {
		return nil, err
	}
	defer c.Close() //nolint:errcheck // only read
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	buf := make([]byte, dns.MaxMsgSize)
	n, err := c.Read(buf)
	return buf[:n], err
}

package zone

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// packetsFrom is how many questions are worth packets.
	packetsFrom = 10
	// packetWindow is how many packets are on their way at a time.
	packetWindow = 16
	// packetSilence is after how long without any reply packets are given up, and packetRest for how long
	// they are not tried again where none was answered.
	packetSilence = 300 * time.Millisecond
	packetRest    = 10 * time.Minute
)

// packetPath says whether a zone's primary answers packets (UDP). It is safe for use by many goroutines.
type packetPath struct {
	mu sync.Mutex
	// not is when packets may be tried again at address.
	address string
	not     time.Time
}

func (p *packetPath) open(address string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.address != address || !now.Before(p.not)
}

func (p *packetPath) shut(address string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.address, p.not = address, now.Add(packetRest)
}

// askMany is askAll for the many questions that go with full messages. They go in packets where that is
// possible, and what is not answered so is asked by the stream: PowerDNS carries out updates and queries
// that come by TCP one after the other, and queries that come by UDP beside them. The signature (TSIG)
// proves who answered; without a key nothing does, and everything goes by the stream.
func (s *session) askMany(ctx context.Context, path *packetPath, msgs []*dns.Msg) []reply {
	e := s.endpoint
	if e.protocol != TCP || e.signer == nil || len(msgs) < packetsFrom || !path.open(e.address, s.opts.Clock.Now()) {
		return s.askAll(ctx, msgs)
	}
	// Both need one of the connections that the process may hold.
	s.close()
	e.protocol = UDP
	packets := &session{opts: s.opts, endpoint: e, dialTimeout: s.dialTimeout, patience: packetSilence}
	out := packets.askPackets(ctx, msgs)
	left := unanswered(out)
	if len(left) == len(msgs) {
		path.shut(e.address, s.opts.Clock.Now())
	}
	again := make([]*dns.Msg, len(left))
	for i, at := range left {
		again[i] = msgs[at]
	}
	for i, r := range s.askAll(ctx, again) {
		out[left[i]] = r
	}
	return out
}

// askPackets sends questions in packets, once each, many at a time.
func (s *session) askPackets(ctx context.Context, msgs []*dns.Msg) []reply {
	if err := s.open(ctx); err != nil {
		return fill(nil, len(msgs), err)
	}
	defer s.close()
	return s.link.exchangeManyPackets(ctx, msgs)
}

func (l *link) exchangeManyPackets(ctx context.Context, msgs []*dns.Msg) []reply {
	out := fill(nil, len(msgs), context.DeadlineExceeded)
	waiting := map[uint16]sent{}
	buf := make([]byte, dns.MaxMsgSize)
	for next := 0; next < len(msgs) || len(waiting) > 0; {
		for ; next < len(msgs) && len(waiting) < packetWindow; next++ {
			wire, mac, err := l.prepare(msgs[next], waiting)
			if err != nil {
				out[next].err = err
				continue
			}
			if _, err := l.conn.Write(wire); err != nil {
				return out
			}
			waiting[msgs[next].Id] = sent{index: next, mac: mac}
		}
		n, err := l.readPacket(ctx, buf)
		if err != nil {
			return out
		}
		l.take(buf[:n], msgs, waiting, out)
	}
	return out
}

func (l *link) readPacket(ctx context.Context, buf []byte) (int, error) {
	wait, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	stop := l.obey(wait)
	defer stop()
	return l.conn.Read(buf)
}

// take takes a packet for the reply to one of the questions, if it is one that can be believed. Others are
// passed over (RFC 8945 section 5.4): anybody can send one.
func (l *link) take(packet []byte, msgs []*dns.Msg, waiting map[uint16]sent, out []reply) {
	got, err := parseReply(packet)
	if err != nil {
		return
	}
	s, ok := waiting[got.Id]
	if !ok || fitsQuestion(msgs[s.index], got) != nil || l.signer.verify(slices.Clone(packet), got, s.mac, l.clock.Now()) != nil {
		return
	}
	delete(waiting, got.Id)
	out[s.index] = reply{msg: got}
	if got.Truncated || got.Rcode == dns.RcodeNotAuth {
		// The one is to be asked by the stream, and the other is not signed.
		out[s.index] = reply{err: errors.New("not by packet")}
	}
}

package zone

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/miekg/dns"
	"k8s.io/utils/clock"

	"github.com/dane-operator/dane-operator/internal/guard"
)

// Errors of a link. After any of them but errUnsigned the link is of no more use.
var (
	errWrongID  = errors.New("a reply came with the ID of no question")
	errGarbage  = errors.New("what came is not a DNS reply to the question")
	errTooShort = errors.New("the reply was truncated: set the update protocol to TCP")
)

// window is how many questions are on their way at a time on one connection.
const window = 64

// maxUDP is the size of UDP replies that is asked for (DNS flag day 2020).
const maxUDP = 1232

// link is one connection to one server. It is used by one goroutine at a time.
type link struct {
	conn   net.Conn
	packet bool
	// in is what was read of a stream and not looked at.
	in     *bufio.Reader
	signer *signer
	clock  clock.PassiveClock
	newID  func() uint16
	// patience is how long the server may be silent.
	patience time.Duration
	guard    *guard.Guard
}

// reply is what came of one question. With err nil, msg is a reply to the question, signed if the
// question was (or says NOTAUTH). With errUnsigned, msg is the reply that is not to be believed.
type reply struct {
	msg *dns.Msg
	err error
}

// sent is a question on its way.
type sent struct {
	index int
	mac   string
}

// exchange sends messages and gathers the replies, in the order of the messages. On a stream they
// are all on their way at once (RFC 7766 section 6.2.1.1); in packets they go one by one. What was not
// answered when the link broke has the error that broke it.
func (l *link) exchange(ctx context.Context, msgs []*dns.Msg) []reply {
	if l.packet {
		return l.exchangePackets(ctx, msgs)
	}
	out := make([]reply, len(msgs))
	done := make([]bool, len(msgs))
	for start := 0; start < len(msgs); start += window {
		end := min(start+window, len(msgs))
		if err := l.exchangeWindow(ctx, msgs[start:end], out[start:end], done[start:end]); err != nil {
			for i := range out {
				if !done[i] {
					out[i].err = err
				}
			}
			return out
		}
	}
	return out
}

func (l *link) exchangeWindow(ctx context.Context, msgs []*dns.Msg, out []reply, done []bool) error {
	stop := l.obey(ctx)
	defer stop()
	waiting := map[uint16]sent{}
	var octets []byte
	for i, m := range msgs {
		wire, mac, err := l.prepare(m, waiting)
		if err != nil {
			return err
		}
		waiting[m.Id] = sent{index: i, mac: mac}
		octets = binary.BigEndian.AppendUint16(octets, uint16(len(wire)))
		octets = append(octets, wire...)
	}
	// A server that answers while it is still being written to must be read meanwhile.
	written := make(chan error, 1)
	go func() {
		err := errUnforeseen
		if !l.guard.Do(guard.Zone, func() { _, err = l.conn.Write(octets) }) {
			_ = l.conn.Close() // what was not written is not answered
		}
		written <- err
	}()
	err := l.readReplies(ctx, msgs, waiting, out, done)
	if err != nil {
		// The writer may hang on a server that reads no more.
		_ = l.conn.Close()
	}
	if werr := <-written; err == nil || errors.Is(werr, errUnforeseen) {
		err = werr
	}
	return explain(ctx, err)
}

// prepare gives a message a new ID and packs it.
func (l *link) prepare(m *dns.Msg, waiting map[uint16]sent) (wire []byte, mac string, err error) {
	for {
		m.Id = l.newID()
		if _, taken := waiting[m.Id]; !taken {
			break
		}
	}
	wire, mac, err = l.signer.pack(m, l.clock.Now())
	if err == nil && len(wire) > dns.MaxMsgSize {
		err = fmt.Errorf("the message has %d octets; at most %d can be sent", len(wire), dns.MaxMsgSize)
	}
	if err != nil {
		return nil, "", fmt.Errorf("pack message: %w", err)
	}
	return wire, mac, nil
}

func (l *link) readReplies(ctx context.Context, msgs []*dns.Msg, waiting map[uint16]sent, out []reply, done []bool) error {
	for len(waiting) > 0 {
		wire, err := l.readStream(ctx)
		if err != nil {
			return err
		}
		m, err := parseReply(wire)
		if err != nil {
			return err
		}
		s, ok := waiting[m.Id]
		if !ok {
			return errWrongID
		}
		if err := fitsQuestion(msgs[s.index], m); err != nil {
			return err
		}
		delete(waiting, m.Id)
		out[s.index] = reply{msg: m, err: l.signer.verify(wire, m, s.mac, l.clock.Now())}
		done[s.index] = true
	}
	return nil
}

// readStream reads one message. The server's patience is counted from when there is nothing left of what
// came together.
func (l *link) readStream(ctx context.Context) ([]byte, error) {
	if wire, ok := l.buffered(); ok {
		return wire, nil
	}
	wait, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	stop := l.obey(wait)
	defer stop()
	var size [2]byte
	if _, err := io.ReadFull(l.in, size[:]); err != nil {
		return nil, silence(ctx, wait, err)
	}
	wire := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(l.in, wire); err != nil {
		return nil, silence(ctx, wait, err)
	}
	return wire, nil
}

// buffered is the next message, if all of it has come already.
func (l *link) buffered() ([]byte, bool) {
	if l.in.Buffered() < 2 {
		return nil, false
	}
	size, err := l.in.Peek(2)
	if err != nil {
		return nil, false
	}
	n := int(binary.BigEndian.Uint16(size))
	if l.in.Buffered() < 2+n {
		return nil, false
	}
	wire := make([]byte, 2+n)
	if _, err := io.ReadFull(l.in, wire); err != nil {
		return nil, false
	}
	return wire[2:], true
}

// queryTries is how often a query is sent in a packet before its answer is given up; an update is
// sent once, since the server would carry it out again.
const queryTries = 3

func (l *link) exchangePackets(ctx context.Context, msgs []*dns.Msg) []reply {
	out := make([]reply, len(msgs))
	for i, m := range msgs {
		tries, wait := queryTries, l.patience/queryTries
		if m.Opcode == dns.OpcodeUpdate {
			tries, wait = 1, l.patience
		}
		for range tries {
			out[i] = l.exchangePacket(ctx, m, wait)
			if !errors.Is(out[i].err, context.DeadlineExceeded) {
				break
			}
		}
		if errors.Is(out[i].err, context.DeadlineExceeded) {
			for j := i + 1; j < len(msgs); j++ {
				out[j].err = out[i].err
			}
			return out
		}
	}
	return out
}

// packets are buffers for one packet each, of the largest size; what is read from one does not refer to it.
var packets = sync.Pool{New: func() any { room := make([]byte, dns.MaxMsgSize); return &room }}

// exchangePacket sends one packet and waits for its reply. Packets that are not the reply, or whose
// signature is wrong, are passed over and waited past (RFC 8945 section 5.4): anybody can send one.
func (l *link) exchangePacket(ctx context.Context, m *dns.Msg, patience time.Duration) reply {
	wire, mac, err := l.prepare(m, nil)
	if err != nil {
		return reply{err: err}
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	stop := l.obey(wait)
	defer stop()
	if _, err := l.conn.Write(wire); err != nil {
		return reply{err: silence(ctx, wait, err)}
	}
	room := packets.Get().(*[]byte)
	defer packets.Put(room)
	buf := *room
	var doubtful *reply
	for {
		n, err := l.conn.Read(buf)
		if err != nil {
			if doubtful != nil {
				return *doubtful
			}
			return reply{err: silence(ctx, wait, err)}
		}
		got, err := parseReply(buf[:n])
		if err != nil || got.Id != m.Id || fitsQuestion(m, got) != nil {
			continue
		}
		if err := l.signer.verify(append([]byte(nil), buf[:n]...), got, mac, l.clock.Now()); err != nil {
			doubtful = &reply{msg: got, err: err}
			continue
		}
		if got.Truncated {
			return reply{err: errTooShort}
		}
		return reply{msg: got}
	}
}

// obey makes reads and writes end when the context does.
func (l *link) obey(ctx context.Context) (stop func()) {
	_ = l.conn.SetDeadline(time.Time{})
	if at, ok := ctx.Deadline(); ok {
		_ = l.conn.SetDeadline(at)
	}
	// Any instant of the past interrupts what is under way.
	interrupt := context.AfterFunc(ctx, func() { _ = l.conn.SetDeadline(time.Unix(1, 0)) })
	return func() { interrupt() }
}

func (l *link) close() { _ = l.conn.Close() }

func parseReply(wire []byte) (*dns.Msg, error) {
	m := new(dns.Msg)
	if err := m.Unpack(wire); err != nil {
		return nil, fmt.Errorf("%w: %w", errGarbage, err)
	}
	if !m.Response {
		return nil, fmt.Errorf("%w: it is a question itself", errGarbage)
	}
	return m, nil
}

// fitsQuestion compares opcode and question. Servers may leave the question out of an error reply.
func fitsQuestion(question, answer *dns.Msg) error {
	if answer.Opcode != question.Opcode {
		return fmt.Errorf("%w: it has another opcode", errGarbage)
	}
	if len(answer.Question) == 0 && answer.Rcode != dns.RcodeSuccess {
		return nil
	}
	if len(answer.Question) == 0 && question.Opcode == dns.OpcodeUpdate {
		// RFC 2136 section 2.2: a server may leave the zone section out of its reply.
		return nil
	}
	if len(answer.Question) != 1 {
		return fmt.Errorf("%w: it repeats %d questions", errGarbage, len(answer.Question))
	}
	q, a := question.Question[0], answer.Question[0]
	if dns.CanonicalName(q.Name) != dns.CanonicalName(a.Name) || q.Qtype != a.Qtype || q.Qclass != a.Qclass {
		return fmt.Errorf("%w: it answers another question", errGarbage)
	}
	return nil
}

// silence tells a read that was cut off by patience from one that failed.
func silence(ctx, wait context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case wait.Err() != nil:
		return context.DeadlineExceeded
	}
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return context.DeadlineExceeded
	}
	return err
}

func explain(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

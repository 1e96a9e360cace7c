package history

import (
	"cmp"
	"context"
	"encoding/binary"
	"hash/fnv"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// wire carries DNS messages between the zone actors of operators and the name servers. Goroutines bring what has
// arrived, and what an actor has to say; the history's own goroutine deals with it.
type wire struct {
	h *History
	// bell rings when there is something to deal with.
	bell chan struct{}
	// calls counts the calls of actors: their answers are dealt with in that order.
	calls int

	mu      sync.Mutex
	arrived []arrival
	ended   []ending
	woken   []awakening
}

// awakening is an object that some part of a process wants to be looked at.
type awakening struct {
	op   *operator
	task task
}

func (a awakening) order() string {
	return a.op.name + " " + a.task.kind.String() + " " + a.task.name.String()
}

func (w *wire) wake(a awakening) {
	w.mu.Lock()
	w.woken = append(w.woken, a)
	w.mu.Unlock()
	w.ring()
}

// arrival is a message that a name server has got.
type arrival struct {
	by  *connection
	msg *dns.Msg
}

// ending is what an actor says at the end of a call.
type ending struct {
	call int
	run  func()
}

func newWire(h *History) *wire { return &wire{h: h, bell: make(chan struct{}, 1)} }

func (w *wire) ring() {
	select {
	case w.bell <- struct{}{}:
	default:
	}
}

// deal deals with all that was brought; it says no when that is nothing.
func (w *wire) deal() bool {
	w.mu.Lock()
	arrived, ended, woken := w.arrived, w.ended, w.woken
	w.arrived, w.ended, w.woken = nil, nil, nil
	w.mu.Unlock()
	slices.SortFunc(arrived, func(a, b arrival) int { return cmp.Compare(a.order(), b.order()) })
	for _, a := range arrived {
		w.h.receive(a)
	}
	slices.SortFunc(ended, func(a, b ending) int { return cmp.Compare(a.call, b.call) })
	for _, e := range ended {
		e.run()
	}
	slices.SortFunc(woken, func(a, b awakening) int { return cmp.Compare(a.order(), b.order()) })
	for _, a := range woken {
		a.op.enqueue(a.task, time.Millisecond)
	}
	return len(arrived)+len(ended)+len(woken) > 0
}

// order is the same for two messages only if it does not matter which is first.
func (a arrival) order() string {
	q := a.msg.Question[0]
	return a.by.server.name + " " + a.by.op.name + " " + q.Name + " " + dns.TypeToString[q.Qtype] + " " + dns.OpcodeToString[a.msg.Opcode]
}

// trip is how long a message and its answer are on their way: by what is asked and when, so that it does not depend
// on which of several is dealt with first.
func (a arrival) trip() time.Duration {
	const longest = 400 * time.Millisecond
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(a.order()))
	_ = binary.Write(hash, binary.BigEndian, a.by.op.now.UnixNano())
	return time.Millisecond + time.Duration(hash.Sum64()%uint64(longest))
}

// connection is one between an actor and a name server.
type connection struct {
	op     *operator
	server *server
	far    net.Conn
	packet bool
	// room is for a packet.
	room []byte

	mu     sync.Mutex
	closed bool
	out    chan []byte
}

// mostReplies is more than an actor ever has questions on their way on one connection.
const mostReplies = 256

// dial is how the actors of a process reach name servers. One that is down does not answer.
func (op *operator) dial(ctx context.Context, network, address string) (net.Conn, error) {
	s := op.servers.at(address)
	if s == nil || op.severed || bubbleNow().Before(s.down) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	near, far := net.Pipe()
	c := &connection{op: op, server: s, far: far, packet: network == "udp", out: make(chan []byte, mostReplies)}
	op.connecting.Lock()
	op.connections[c] = true
	op.connecting.Unlock()
	go c.read()
	go c.write()
	return near, nil
}

func (c *connection) read() {
	defer c.end()
	for {
		octets, err := c.next()
		if err != nil {
			return
		}
		m := new(dns.Msg)
		if err := m.Unpack(octets); err != nil || len(m.Question) != 1 {
			return
		}
		w := c.op.wire
		w.mu.Lock()
		w.arrived = append(w.arrived, arrival{c, m})
		w.mu.Unlock()
		w.ring()
	}
}

// next is the next message; it stands until the one after it is read.
func (c *connection) next() ([]byte, error) {
	if c.packet {
		if c.room == nil {
			c.room = make([]byte, dns.MaxMsgSize)
		}
		n, err := c.far.Read(c.room)
		return c.room[:n], err
	}
	var size [2]byte
	if _, err := io.ReadFull(c.far, size[:]); err != nil {
		return nil, err
	}
	octets := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(c.far, octets)
	return octets, err
}

func (c *connection) write() {
	for octets := range c.out {
		_, _ = c.far.Write(octets) // fails when it is closed; then the rest fails too
	}
}

// reply sends a message back, unless the connection has ended.
func (c *connection) reply(m *dns.Msg) {
	octets := must(m.Pack())
	if !c.packet {
		octets = append(binary.BigEndian.AppendUint16(nil, uint16(len(octets))), octets...) //nolint:gosec // a DNS message
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.out <- octets
	}
}

// end ends a connection that the other side has ended, or may go on no more, and forgets it.
func (c *connection) end() {
	c.shut()
	c.op.connecting.Lock()
	defer c.op.connecting.Unlock()
	delete(c.op.connections, c)
}

func (c *connection) shut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		close(c.out)
	}
	_ = c.far.Close()
}

// call has an actor begin something, and lets it work until it waits. What it says at the end is dealt with by the
// history, if the process still lives.
func (op *operator) call(begin func(end func(func()))) {
	w := op.wire
	w.calls++
	number := w.calls
	begin(func(what func()) {
		w.mu.Lock()
		w.ended = append(w.ended, ending{number, func() {
			if op.live {
				op.guarded(what)
			}
		}})
		w.mu.Unlock()
		w.ring()
	})
	synctest.Wait()
}

// sever ends what a process that has died still has on its way.
func (op *operator) sever() {
	if op.severed {
		return
	}
	op.severed = true
	op.connecting.Lock()
	open := slices.Collect(maps.Keys(op.connections))
	op.connecting.Unlock()
	for _, c := range open {
		c.shut()
	}
	now, cancel := context.WithCancel(context.Background())
	cancel()
	for _, a := range op.actors {
		go a.Close(now)
	}
	synctest.Wait()
}

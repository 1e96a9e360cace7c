package wire

import (
	"crypto/rand"
	"net"
	"time"
)

// Fault is what a DNS proxy does to each message.
type Fault interface {
	// apply deals with one message. An error ends the connection that it came by.
	apply(w *way) error
}

// way is one request on its way.
type way struct {
	request []byte
	// changes says that it is an update that changes something.
	changes bool
	// stream is the connection that it came by; nil for a packet.
	stream net.Conn
	// lifted is closed when the fault that was in force when it came is no more.
	lifted <-chan struct{}
	// ask has the name server answer, and send gives the operator an answer.
	ask  func([]byte) ([]byte, error)
	send func([]byte) error
}

// pass is what happens without a fault.
func (w *way) pass() error {
	reply, err := w.ask(w.request)
	if err != nil {
		return err
	}
	return w.send(reply)
}

// passes is no fault at all.
type passes struct{}

func (passes) apply(w *way) error { return w.pass() }

// Drop loses requests. What a stream has lost is sent again when the fault is over, as TCP does; by then
// whoever sent it may be gone.
type Drop struct{}

func (Drop) apply(w *way) error {
	if w.stream == nil {
		return errCut
	}
	<-w.lifted
	return w.pass()
}

// DropReplies passes requests on, and loses what is answered: what was asked for is done, and nobody knows.
type DropReplies struct{}

func (DropReplies) apply(w *way) error {
	reply, err := w.ask(w.request)
	if err != nil || w.stream == nil {
		return err
	}
	<-w.lifted
	return w.send(reply)
}

// Hold lets queries pass, and holds an update that changes something back for as long as the fault lasts: on its way to the
// name server, or with Replies what the name server answers to it.
type Hold struct{ Replies bool }

func (h Hold) apply(w *way) error {
	switch {
	case !w.changes:
		return w.pass()
	case !h.Replies:
		<-w.lifted
		return w.pass()
	}
	reply, err := w.ask(w.request)
	if err != nil {
		return err
	}
	<-w.lifted
	return w.send(reply)
}

// Delay holds replies back for a while.
type Delay struct{ By time.Duration }

func (d Delay) apply(w *way) error {
	reply, err := w.ask(w.request)
	if err != nil {
		return err
	}
	select {
	case <-time.After(d.By):
	case <-w.lifted:
	}
	return w.send(reply)
}

// Duplicate has every request arrive twice, and every reply too.
type Duplicate struct{}

func (Duplicate) apply(w *way) error {
	for range 2 {
		if err := w.pass(); err != nil {
			return err
		}
	}
	return nil
}

// Truncate sets the TC bit of replies and leaves nothing in them but the question.
type Truncate struct{}

func (Truncate) apply(w *way) error {
	reply, err := w.ask(w.request)
	if err != nil {
		return err
	}
	short, err := truncated(reply)
	if err != nil {
		return err
	}
	return w.send(short)
}

// Cut ends replies in their middle, and a stream with them.
type Cut struct{}

func (Cut) apply(w *way) error {
	reply, err := w.ask(w.request)
	if err != nil {
		return err
	}
	if w.stream == nil {
		return w.send(reply[:len(reply)/2])
	}
	whole := frame(reply)
	if _, err := w.stream.Write(whole[:len(whole)/2]); err != nil {
		return err
	}
	return errCut
}

// Reset ends a stream by RST as soon as a request has come; a packet is lost.
type Reset struct{}

func (Reset) apply(w *way) error {
	if tcp, ok := w.stream.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // what is closed so is reset
	}
	return errCut
}

// Forge answers in the name server's stead: NOERROR with authority, nothing in it, under the right ID. With
// Signature the reply bears a TSIG record whose MAC is wrong, otherwise none. A packet is passed on
// beside, as one is that somebody on the way has merely seen; a stream is in the forger's hands.
type Forge struct{ Signature bool }

func (f Forge) apply(w *way) error {
	reply, err := forged(w.request, f.Signature)
	if err != nil {
		return err
	}
	if err := w.send(reply); err != nil || w.stream != nil {
		return err
	}
	return w.pass()
}

// Trickle sends a stream's replies octet by octet, Every so often one. Packets cannot.
type Trickle struct{ Every time.Duration }

func (t Trickle) apply(w *way) error {
	reply, err := w.ask(w.request)
	if err != nil {
		return err
	}
	if w.stream == nil {
		return w.send(reply)
	}
	for _, octet := range frame(reply) {
		if _, err := w.stream.Write([]byte{octet}); err != nil {
			return err
		}
		select {
		case <-time.After(t.Every):
		case <-w.lifted: // the rest goes quickly
		}
	}
	return nil
}

// Garbage answers with random octets.
type Garbage struct{}

func (Garbage) apply(w *way) error {
	noise := make([]byte, 100)
	if _, err := rand.Read(noise); err != nil {
		return err
	}
	return w.send(noise)
}

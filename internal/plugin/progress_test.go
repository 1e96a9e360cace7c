package plugin

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"
)

// heard is what was written, piece by piece.
type heard chan string

func (h heard) Write(text []byte) (int, error) {
	h <- string(text)
	return len(text), nil
}

// TestProgressAfterASecond: who waits is told of it when a second is over, and each second from then on.
func TestProgressAfterASecond(t *testing.T) {
	clock, out := testingclock.NewFakeClock(noon), make(heard)
	p := &progress{out: out, width: 80, done: make(chan struct{}), what: "waiting"}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.run(clock.NewTicker(time.Second))
	}()
	for !clock.HasWaiters() {
		time.Sleep(time.Millisecond)
	}
	clock.Step(999 * time.Millisecond) // a line now would never be read, and come before that of the first second
	clock.Step(time.Millisecond)
	if got := <-out; got != clearLine+"waiting … 1s" {
		t.Errorf("after a second: %q", got)
	}
	p.tell("looking")
	clock.Step(time.Second)
	if got := <-out; got != clearLine+"looking … 2s" {
		t.Errorf("after two seconds: %q", got)
	}
	go p.end()
	if got := <-out; got != clearLine {
		t.Errorf("at the end: %q", got)
	}
	<-ended
}

// TestProgressMakesWay: the line goes before something is printed, comes back below it and never within one of its lines,
// and is never wider than the terminal.
func TestProgressMakesWay(t *testing.T) {
	var out bytes.Buffer
	p := &progress{out: &out, width: 30, done: make(chan struct{}), what: "waiting for the API server"}
	var steps []string
	step := func(do func()) {
		out.Reset()
		do()
		steps = append(steps, out.String())
	}
	step(func() { p.makeWay([]byte("nothing to take away\n"))() })
	step(func() { p.show(1) })
	step(func() { p.makeWay([]byte("half a "))() })
	step(func() { p.show(2) })
	step(func() { p.makeWay([]byte("line\n"))() })
	step(func() { p.show(3) })
	step(p.end)
	step(p.end)
	step(func() { p.show(4) })
	line := func(second string) string { return clearLine + "waiting for the API serv … " + second }
	want := []string{"", line("1s"), clearLine, "", "", line("3s"), clearLine, "", ""}
	if got := strings.Join(steps, "|"); got != strings.Join(want, "|") {
		t.Errorf("written were %q, want %q", steps, want)
	}
}

// TestProgressInAPipe: nobody is told there.
func TestProgressInAPipe(t *testing.T) {
	p := startProgress(io.Discard, testingclock.NewFakeClock(noon), "waiting")
	if p != nil {
		t.Errorf("%+v", p)
	}
	p.tell("looking")
	p.makeWay(nil)()
	p.end()
}

// TestProgressLeavesAPagerAlone: what is printed goes to a pager that has not read it yet, at the same terminal.
func TestProgressLeavesAPagerAlone(t *testing.T) {
	var terminal bytes.Buffer
	p := &progress{out: &terminal, width: 80, done: make(chan struct{}), what: "waiting"}
	read, written := io.Pipe()
	s := &screen{Writer: written, before: p.makeWay}
	begun := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		close(begun)
		fmt.Fprintln(s, "a text")
	}()
	<-begun
	one := make([]byte, 1)
	if _, err := io.ReadFull(read, one); err != nil { // it is being written
		t.Fatal(err)
	}
	p.show(1)
	if terminal.Len() > 0 {
		t.Errorf("in the middle of it: %q", terminal.String())
	}
	go func() { _, _ = io.Copy(io.Discard, read) }() // it ends with the test
	<-ended
	p.show(2)
	if !strings.Contains(terminal.String(), "waiting … 2s") {
		t.Errorf("afterwards: %q", terminal.String())
	}
	_ = written.Close()
}

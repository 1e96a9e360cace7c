package soak

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dane-operator/dane-operator/test/wire"
)

// fault is something that goes wrong for a while. begin makes it so, and returns what ends it.
type fault struct {
	name  string
	begin func(w *world) (end func())
	// restarts says that the operator is another process afterwards: what that has grown cannot be told.
	restarts bool
}

const (
	// briefest and longest is how long a fault lasts, and gap how long there is none after it, at most.
	briefest, longest, gap = 3 * time.Second, 15 * time.Second, 8 * time.Second
)

// soak has one fault after the other for the time that was asked for, and until enough has rolled over, if that takes
// longer. In its second half the operator goes on as one process.
func (w *world) soak(enough func() bool) {
	w.Helper()
	start := time.Now()
	for lasted := time.Duration(0); lasted < w.duration || lasted < w.duration+patience && !enough(); lasted = time.Since(start) {
		f := w.draw(lasted > w.duration/2)
		w.say("fault: %s", f.name)
		end := f.begin(w)
		w.sleep(briefest + w.upTo(longest-briefest))
		end()
		w.faults[f.name]++
		w.sleep(w.upTo(gap))
		w.mend()
	}
}

func (w *world) draw(lasting bool) fault {
	for {
		if f := faults[w.random.IntN(len(faults))]; !lasting || !f.restarts {
			return f
		}
	}
}

func (w *world) upTo(d time.Duration) time.Duration { return time.Duration(w.random.Int64N(int64(d))) }

// sleep lets time pass: the soak is measured in time.
func (w *world) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-w.Context().Done():
	}
}

func (w *world) anyFarm() *farm { return w.farms[w.random.IntN(len(w.farms))] }

var faults = []fault{
	{name: "operator killed", restarts: true, begin: func(w *world) func() {
		w.must(w.lab.Operator.Kill())
		return func() { w.must(w.lab.Operator.Start()) }
	}},
	{name: "operator stopped", restarts: true, begin: func(w *world) func() {
		w.must(w.lab.Operator.Stop())
		return func() { w.must(w.lab.Operator.Start()) }
	}},
	{name: "cert-manager killed", begin: func(w *world) func() {
		w.must(w.lab.CertManager.Kill())
		return func() { w.must(w.lab.CertManager.Start()) }
	}},
	{name: "API server stands still", begin: func(w *world) func() {
		w.must(w.lab.PauseAPIServer())
		return func() { w.must(w.lab.ResumeAPIServer()) }
	}},
	{name: "API server killed", begin: func(w *world) func() {
		w.must(w.lab.KillAPIServer())
		return func() { w.must(w.lab.StartAPIServer(context.WithoutCancel(w.Context()))) }
	}},
	{name: "primary away", begin: func(w *world) func() { p := w.anyFarm().primary; p.Stop(); return p.Start }},
	{name: "primary stands still", begin: func(w *world) func() { p := w.anyFarm().primary; p.Pause(); return p.Resume }},
	{name: "secondary away", begin: func(w *world) func() { s := w.anyFarm().secondary; s.Stop(); return s.Start }},
	{name: "secondary lags", begin: func(w *world) func() { s := w.anyFarm().secondary; s.Lag(); return s.Follow }},
	{name: "record by hand", begin: byHand},
	{name: "updates meet a fault", begin: func(w *world) func() { f := w.anyFarm(); return w.disturb(f, f.updates) }},
	{name: "looks meet a fault", begin: func(w *world) func() { f := w.anyFarm(); return w.disturb(f, f.looks) }},
}

// byHand adds a record that is nobody's, and takes it out again.
func byHand(w *world) func() {
	f := w.anyFarm()
	record := foreign(f.hosts[w.random.IntN(len(f.hosts))].owner(w.mail.addr.Port()))
	name, data, _ := strings.Cut(record, " 5 ")
	f.primary.Admin("add " + record)
	return func() { f.primary.Admin("delete " + name + " " + data) }
}

// disturb has something happen to the messages of a proxy.
func (w *world) disturb(f *farm, p *wire.DNS) func() {
	on := []wire.Fault{
		wire.Drop{}, wire.DropReplies{}, wire.Delay{By: time.Second}, wire.Duplicate{}, wire.Truncate{}, wire.Cut{}, wire.Reset{},
		wire.Forge{}, wire.Forge{Signature: true}, wire.Trickle{Every: 200 * time.Millisecond}, wire.Garbage{},
		wire.Skew{By: 15 * time.Minute, Secret: f.primary.TSIGSecret},
	}
	what := on[w.random.IntN(len(on))]
	w.say("  %T between the operator and %s", what, f.zone())
	p.Set(what)
	return func() { p.Set(nil) }
}

// counts are how many times each fault was there.
type counts map[string]int

func (c counts) total() int {
	n := 0
	for _, of := range c {
		n += of
	}
	return n
}

// String lists them by name.
func (c counts) String() string {
	var out []string
	for name, n := range c {
		out = append(out, fmt.Sprintf("%s %d", name, n))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

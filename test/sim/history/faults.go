package history

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Fault is one thing that happens to the system in a history, a renewal included. What it does to whom
// follows from its numbers, so that it does the same when others are left out.
type Fault struct {
	At   time.Duration
	Name string
	A, B int
	// Number tells it from the others of its plan.
	Number int
}

func (f Fault) String() string {
	return fmt.Sprintf("%d at %s: %s(%d,%d)", f.Number, f.At, f.Name, f.A, f.B)
}

// lasts is how long a fault lasts.
func (f Fault) lasts(longest time.Duration) time.Duration {
	return time.Duration(f.B%1000+1) * longest / 1000
}

// fault is a kind of fault: how often it is drawn, and what it does.
type fault struct {
	name   string
	family string
	weight int
	do     func(*History, Fault)
}

// Families are the families of faults, for the flag -only.
func Families() []string {
	var out []string
	for _, f := range faults {
		if !slices.Contains(out, f.family) {
			out = append(out, f.family)
		}
	}
	return append(out, reportFamily, fieldFamily)
}

// faults are set up here, since what they do leads back to them.
var faults, fieldFaults []fault

func init() {
	fieldFaults = fieldEdits
	faults = slices.Concat(apiFaults, dnsFaults, mailFaults, issuerFaults, peopleFaults, statusFaults, specFaults, secretFaults, operatorFaults, clockFaults)
}

// Plan is what happens in a history.
type Plan struct {
	Seed   uint64
	Faults []Fault
	// Length is when the last fault may begin.
	Length time.Duration
	// Wire says that the real zone actors run, and speak to name servers by messages.
	Wire bool
}

// NewPlan draws the faults of a history. only restricts them to some families; nil allows all.
func NewPlan(seed uint64, only []string) Plan {
	r := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // not for secrets
	p := Plan{Seed: seed, Length: time.Duration(6+r.IntN(7)) * time.Hour}
	for at := 20 * time.Minute; at < p.Length; at += time.Duration(5+r.IntN(40)) * time.Minute {
		p.Faults = append(p.Faults, Fault{At: at, Name: "renew", A: r.IntN(1000), B: r.IntN(1000)})
	}
	allowed, total := []fault{}, 0
	for _, f := range faults {
		if only == nil || slices.Contains(only, f.family) {
			allowed = append(allowed, f)
			total += f.weight
		}
	}
	for range r.IntN(18) {
		if total == 0 {
			break
		}
		f := draw(allowed, r.IntN(total))
		at := time.Duration(r.Int64N(int64(p.Length)))
		p.Faults = append(p.Faults, Fault{At: at.Round(time.Second), Name: f.name, A: r.IntN(1000), B: r.IntN(1000)})
	}
	if only == nil || slices.Contains(only, reportFamily) {
		p.Faults = append(p.Faults, reportsOf(seed, p.Length)...)
	}
	if only == nil || slices.Contains(only, fieldFamily) {
		p.Faults = append(p.Faults, fieldsOf(seed, p.Length)...)
	}
	slices.SortStableFunc(p.Faults, func(a, b Fault) int { return int(a.At - b.At) })
	for i := range p.Faults {
		p.Faults[i].Number = i
	}
	return p
}

// Keep leaves out of a plan all faults but those of some numbers.
func (p Plan) Keep(numbers []int) Plan {
	p.Faults = slices.DeleteFunc(slices.Clone(p.Faults), func(f Fault) bool { return !slices.Contains(numbers, f.Number) })
	return p
}

func draw(from []fault, n int) fault {
	for _, f := range from {
		if n -= f.weight; n < 0 {
			return f
		}
	}
	return from[len(from)-1]
}

// befall lets a fault happen.
func (h *History) befall(f Fault) {
	all := slices.Concat(faults, fieldFaults)
	i := slices.IndexFunc(all, func(k fault) bool { return k.name == f.Name })
	switch f.Name {
	case "renew":
		h.hosts[f.A%len(h.hosts)].issuer.renew()
		return
	case reportFailures:
		h.reportFailures(f)
		return
	}
	h.faults++
	h.say("FAULT", "%s", f)
	h.count("fault " + f.Name)
	h.troubled = later(h.troubled, h.now.Add(30*time.Minute))
	all[i].do(h, f)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

var apiFaults = []fault{
	{"api-away", "api", 2, func(h *History, f Fault) { h.apiAway = later(h.apiAway, h.now.Add(f.lasts(10*time.Minute))) }},
	{"watch-stalls", "api", 3, func(h *History, f Fault) {
		for _, op := range h.operators {
			op.view.stalled[kind(f.A)%kinds] = h.now.Add(f.lasts(10 * time.Minute))
		}
	}},
	{"writes-lost", "api", 2, func(h *History, f Fault) { h.loseWrites(1+f.A%3, false) }},
	{"answers-lost", "api", 2, func(h *History, f Fault) { h.loseWrites(1+f.A%3, true) }},
}

func (h *History) loseWrites(n int, done bool) {
	for _, op := range h.operators {
		op.losing, op.losingDone = n, done
	}
}

var dnsFaults = []fault{
	{"server-down", "dns", 3, func(h *History, f Fault) { s := h.server(f); s.down = later(s.down, h.now.Add(f.lasts(time.Hour))) }},
	{"transfers-stop", "dns", 3, func(h *History, f Fault) { s := h.server(f); s.stuck = later(s.stuck, h.now.Add(f.lasts(time.Hour))) }},
	// Senders may still reach it, and what it gives them is old.
	{"cut-off", "dns", 4, func(h *History, f Fault) {
		s := h.server(f)
		s.down = later(s.down, h.now.Add(f.lasts(time.Hour)))
		s.stuck = later(s.stuck, s.down.Add(-time.Duration(f.A%60)*time.Second))
	}},
	{"servfail", "dns", 3, func(h *History, f Fault) {
		s := h.server(f)
		s.failing = later(s.failing, h.now.Add(f.lasts(time.Hour)))
	}},
	{"tlsa-dropped", "dns", 2, func(h *History, f Fault) { s := h.server(f); s.silent = later(s.silent, h.now.Add(f.lasts(time.Hour))) }},
	{"other-ttl", "dns", 2, func(h *History, f Fault) { h.server(f).stretch = 1 + f.B%3 }},
	{"slow-signing", "dns", 2, func(h *History, f Fault) { h.servers.all[0].lag = f.lasts(20 * time.Second) }},
	{"slow-transfer", "dns", 2, func(h *History, f Fault) {
		if s := h.server(f); s != h.servers.all[0] {
			s.lag = f.lasts(5 * time.Minute)
		}
	}},
	{"updates-ignored", "dns", 2, func(h *History, f Fault) {
		h.servers.ignoring = later(h.servers.ignoring, h.now.Add(f.lasts(time.Hour)))
	}},
	{"updates-lost", "dns", 2, func(h *History, f Fault) { h.losingUpdates = 1 + f.A%3 }},
	{"replies-lost", "dns", 2, func(h *History, f Fault) { h.losingReplies = 1 + f.A%3 }},
	{"unsigned", "dns", 1, func(h *History, f Fault) { h.unsigned = later(h.unsigned, h.now.Add(f.lasts(10*time.Minute))) }},
}

func (h *History) server(f Fault) *server { return h.servers.all[f.A%len(h.servers.all)] }

var mailFaults = []fault{
	{"replica-down", "mail", 3, func(h *History, f Fault) { _, r := h.replica(f); r.down = later(r.down, h.now.Add(f.lasts(time.Hour))) }},
	{"replica-deaf", "mail", 2, func(h *History, f Fault) { _, r := h.replica(f); r.deaf = true }},
	{"replica-restarts", "mail", 3, func(h *History, f Fault) { h.restart(h.replica(f)) }},
}

func (h *History) replica(f Fault) (*host, *replica) {
	of := h.hosts[f.A%len(h.hosts)]
	return of, of.replicas[f.B%len(of.replicas)]
}

// restart has a replica read all that its host mounts.
func (h *History) restart(of *host, r *replica) {
	for _, each := range of.each() {
		h.load(each, r)
	}
}

var issuerFaults = []fault{
	{"refused", "issuer", 2, func(h *History, f Fault) { h.issuer(f).refusals = 1 + f.B%3 }},
	{"slow-issuer", "issuer", 2, func(h *History, f Fault) { h.issuer(f).slow = f.lasts(30 * time.Minute) }},
	{"bypass", "issuer", 1, func(h *History, f Fault) {
		of := h.hosts[f.A%len(h.hosts)]
		of.issuer.bypass, of.bypassed = true, true
	}},
	// bypass-untold is not drawn: it breaks a promise, for the tests of the simulator itself.
	{"bypass-untold", "issuer", 0, func(h *History, _ Fault) {
		for _, of := range h.hosts {
			of.issuer.bypass = true
		}
	}},
	{"new-authority", "issuer", 2, func(h *History, f Fault) { h.issuer(f).authority = f.B % 3 }},
}

func (h *History) issuer(f Fault) *issuer { return h.hosts[f.A%len(h.hosts)].issuer }

var operatorFaults = []fault{
	{"crash", "operator", 8, func(h *History, f Fault) { h.crashSoon(1+f.A%6, f.B%2 == 0) }},
	{"stale-restart", "operator", 3, func(h *History, f Fault) {
		h.staleStart = f.lasts(10 * time.Minute)
		h.crashSoon(1, true)
	}},
	{"older-version", "operator", 3, func(h *History, f Fault) { h.olderVersion(f) }},
	{"second-leader", "operator", 7, func(h *History, f Fault) { h.secondLeader(f) }},
	{"abandoned", "operator", 1, func(h *History, f Fault) {
		if f.B%4 == 0 {
			h.abandon()
		}
	}},
}

var clockFaults = []fault{
	{"clock-back", "clocks", 4, func(h *History, f Fault) { h.moveClocks(f, -f.lasts(time.Hour)) }},
	{"clock-forward", "clocks", 4, func(h *History, f Fault) { h.moveClocks(f, f.lasts(time.Hour)) }},
}

// crashSoon lets every process die at one of its next effects.
func (h *History) crashSoon(in int, after bool) {
	for _, op := range h.operators {
		op.crashIn, op.crashAfter = in, after
	}
}

// secondLeader lets another process work beside the first for a while.
func (h *History) secondLeader(f Fault) {
	first := h.operators[len(h.operators)-1]
	if !first.live {
		return
	}
	h.count("two leaders")
	h.start(time.Duration(f.A%60) * time.Second)
	h.after(f.lasts(30*time.Minute), func() {
		if first.live {
			first.die("ends: it has lost the lease")
			first.replace() // the others may have crashed meanwhile, when this one still ran
		}
	})
}

// moveClocks sets clocks by so much, or those that are wrong right. Those of operators and that of the API server are never wrong at the
// same time: nobody could know.
func (h *History) moveClocks(f Fault, by time.Duration) {
	switch {
	case h.apiAhead != 0:
		h.say("world", "the clock of the API server is set right")
		h.apiAhead = 0
		return
	case h.clockAhead == 0 && f.A%5 == 0 && !slices.ContainsFunc(h.operators, func(op *operator) bool { return op.live && op.clock.ahead != 0 }):
		h.say("world", "the clock of the API server is ahead by %s", by)
		h.count("clock of the API server")
		h.apiAhead = by
		h.furthestAhead = max(h.furthestAhead, by)
		h.crashSoon(1, true)
		return
	}
	ahead := h.clockAhead + by
	if h.clockAhead != 0 && f.A%2 == 0 {
		ahead = 0
	}
	h.setClocks(ahead, f.A%3 > 0)
}

// setClocks says by how much the clocks of operators are ahead: of those that run, and of those that are started from now on; or of
// these alone, on other machines, which one of them soon is.
func (h *History) setClocks(ahead time.Duration, running bool) {
	h.clockAhead, h.furthestAhead = ahead, max(h.furthestAhead, ahead)
	if !running {
		h.say("world", "clocks of other machines are ahead by %s", ahead)
		h.count("clock of another machine")
		h.crashSoon(1, true)
		return
	}
	for _, op := range h.operators {
		by := ahead - op.clock.ahead
		op.clock.ahead = ahead
		switch {
		case by > 0 && op.live:
			h.say(op.name, "its clock is set forward by %s", by)
			h.count("clock set forward")
		case by < 0 && op.live:
			h.say(op.name, "its clock is set back by %s", -by)
			h.count("clock set back")
		}
	}
}

// abandon kills the operator for ever: mail must go on flowing.
func (h *History) abandon() {
	h.count("killed for ever")
	h.abandoned = true
	for _, op := range h.operators {
		if op.live {
			op.die("is killed, and never started again")
		}
	}
}

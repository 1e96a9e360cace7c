package rollover

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// This file is a little world for the rule to live in: name servers that lag and vanish, caches that
// keep every answer as long as they may, endpoints that load a new key when they like, and an
// operator that forgets. It shares no logic with the rule.

// answerSet is what a name server serves at one owner.
type answerSet struct {
	records []tlsa.Record
	ttl     time.Duration
}

func (a answerSet) id() string {
	var b strings.Builder
	for _, r := range a.records {
		b.WriteString(r.String() + ";")
	}
	fmt.Fprintf(&b, "%s", a.ttl)
	return b.String()
}

// nameServer is an authoritative server. While it is down we cannot ask it; senders may.
type nameServer struct {
	name    string
	serves  map[string]answerSet
	pending map[string]dueAnswer
	lag     time.Duration
	down    bool
}

type dueAnswer struct {
	answerSet
	due time.Time
}

// ownerMemory is what the operator has stored of one owner.
type ownerMemory struct {
	versions []Version
	written  []tlsa.Record
}

// operatorMemory is what the operator has stored.
type operatorMemory struct {
	owners map[string]ownerMemory
	states []KeyState
	unsafe *Unsafe
}

// seenOwner is what the operator's process has seen of one owner.
type seenOwner struct {
	sweeps []Sweep
	last   *Sweep
}

type world struct {
	now time.Time
	// ahead is how far the operator's clock is ahead, even since when it has not been set, by its own reading; zero for a
	// process that never saw it being set. noted says that what a look at the objects found since then is stored.
	ahead   time.Duration
	even    time.Time
	noted   bool
	policy  Policy
	servers []*nameServer // the first is the primary
	cached  map[string]cachedAnswer
	ports   []int32 // of the spec

	secret    string // the key in the Secret that servers mount
	requested string // the key of a pending request
	standby   string
	standbyOn bool
	endpoints []string // the key each endpoint presents, at every port
	keys      int

	memory   operatorMemory
	managed  bool // the operator has written before
	seen     map[string]*seenOwner
	rounds   []ProbeRound
	round    *ProbeRound
	deployed int
	// reported is when the newest report of a failure came in.
	reported time.Time
	// others are the keys that live elsewhere, foreign those whose records somebody else writes.
	others, foreign map[string]bool
	// forgotten are the records that stood when the status was lost: they are foreign to the operator until
	// it wants them again.
	forgotten map[tlsa.Record]bool
	// broken is the first violation that any second has seen.
	broken string
}

func ownerAt(port int32) string { return fmt.Sprintf("_%d._tcp.mx1.example.com.", port) }

func newWorld(policy Policy, lags []time.Duration, endpoints int, standby bool) *world {
	w := &world{now: time.Unix(1_000_000, 0), policy: policy, cached: map[string]cachedAnswer{}, standbyOn: standby, ports: []int32{25}, others: map[string]bool{}, foreign: map[string]bool{}, forgotten: map[tlsa.Record]bool{}}
	for i, lag := range lags {
		w.servers = append(w.servers, &nameServer{name: fmt.Sprintf("ns%d", i), lag: lag, serves: map[string]answerSet{}, pending: map[string]dueAnswer{}})
	}
	w.forgetAll()
	w.secret = w.newKey()
	for range endpoints {
		w.endpoints = append(w.endpoints, w.secret)
	}
	return w
}

func (w *world) newKey() string {
	w.keys++
	return fmt.Sprintf("%064x", w.keys)
}

// clock is what the operator's clock shows.
func (w *world) clock() time.Time { return w.now.Add(w.ahead) }

// leap sets it forward.
func (w *world) leap(by time.Duration) {
	w.ahead += by
	w.even, w.noted = w.clock(), false
}

// advance lets time pass, one second after the other.
func (w *world) advance(d time.Duration) {
	for range int(d / time.Second) {
		w.now = w.now.Add(time.Second)
		for _, s := range w.servers {
			for owner, next := range s.pending {
				if !w.now.Before(next.due) {
					s.serves[owner] = next.answerSet
					delete(s.pending, owner)
				}
			}
			for _, port := range []int32{25, 465} {
				w.remember(port, s.serves[ownerAt(port)])
			}
		}
		w.check()
	}
}

// owners are those that the controllers would gather: those of the spec, and those that left it while
// something of ours may be in DNS or in caches.
func (w *world) owners() []Owner {
	var out []Owner
	for _, port := range []int32{25, 465} {
		name := ownerAt(port)
		m, wanted := w.memory.owners[name], slices.Contains(w.ports, port)
		if !wanted && !slices.ContainsFunc(m.versions, func(v Version) bool { return v.holdsAny(m.written) }) {
			delete(w.memory.owners, name)
			continue
		}
		s := w.seenOf(name)
		out = append(out, Owner{
			Name: name, Port: port, Versions: m.versions, Known: len(m.versions) > 0, Removing: !wanted,
			StatusLost: w.managed && len(w.memory.states) == 0, Sweeps: s.sweeps, Last: s.last, Written: m.written,
		})
	}
	return out
}

func (w *world) seenOf(owner string) *seenOwner {
	if w.seen[owner] == nil {
		w.seen[owner] = &seenOwner{}
	}
	return w.seen[owner]
}

func (w *world) sweep() {
	start := w.clock()
	w.advance(time.Second)
	for _, o := range w.owners() {
		s := Sweep{Start: start, End: w.clock()}
		for i, server := range w.servers {
			a := Answer{Name: server.name, Address: server.name, Reachable: !server.down, Signed: !server.down, Primary: i == 0}
			if !server.down {
				serves := server.serves[o.Name]
				a.Records, a.TTL, a.CacheTTL = serves.records, serves.ttl, serves.ttl
				a.SignatureExpires, a.SignatureValidity = w.clock().Add(10*24*time.Hour), 14*24*time.Hour
			}
			s.Answers = append(s.Answers, a)
		}
		seen := w.seenOf(o.Name)
		seen.sweeps, seen.last = append(seen.sweeps, s), &s
	}
}

func (w *world) probe(unreachable bool) {
	r := ProbeRound{Start: w.clock(), Complete: !unreachable}
	for i, key := range w.endpoints {
		for _, port := range []int32{25, 465} {
			if unreachable && i == 0 {
				r.Presented = append(r.Presented, Presented{Address: "a", Port: port, Unreachable: true, Message: "refused"})
				continue
			}
			r.Presented = append(r.Presented, Presented{Address: fmt.Sprint(i), Port: port, SPKI: key, Serial: serialOfKey(key), Matches: func(t tlsa.Record) bool { return keyOf(t) == key }})
		}
	}
	w.advance(time.Second)
	r.End = w.clock()
	w.rounds = append(w.rounds, r)
	w.round = &r
}

// facts are what the controllers would gather.
func (w *world) facts() Facts {
	f := Facts{
		Now: w.clock(), EvenSince: w.even, Host: "mx1.example.com", Policy: w.policy, KeysComplete: true, States: w.memory.states, Owners: w.owners(),
		Rounds: w.rounds, LastRound: w.round, DNSSEC: DNSSEC{State: dnssec.Secure}, Unsafe: w.memory.unsafe,
		FailureReported: w.reported,
	}
	add := func(key string, stage KeyStage) {
		if key != "" && !slices.ContainsFunc(f.Keys, func(k Key) bool { return k.ID == key }) {
			k := Key{ID: key, SPKI: key, Certificate: "mx1", Stage: stage, Records: recordsOfKey(key, w.policy.Parameters), Leaving: recordsOfKey(key, leavingSets(w.memory.states, w.policy))}
			if stage == StageDeployed || stage == StageIssued {
				k.Serial = serialOfKey(key)
			}
			if stage == StageDeployed {
				k.NotAfter = w.clock() // a deadline is reached as soon as it counts
			}
			f.Keys = append(f.Keys, k)
		}
	}
	add(w.secret, StageDeployed)
	waiting := StageRequested
	if w.policy.Strategy == Stage {
		waiting = StageIssued
	}
	add(w.requested, waiting)
	if w.standbyOn {
		add(w.standby, StageStandby)
	}
	return f
}

// crash says where the operator dies in a step.
type crash int

const (
	lives crash = iota
	beforeStore
	afterStore
	afterWrite
)

// step is one reconcile: decide, store, act.
func (w *world) step(die crash) Decision {
	f := w.facts()
	d := Decide(f)
	if problem := reportsMeddle(f, d); problem != "" && w.broken == "" {
		w.broken = problem
	}
	if die == beforeStore {
		w.forgetProcess()
		return d
	}
	w.store(d)
	if die == afterStore {
		w.forgetProcess()
		return d
	}
	w.act(d)
	if die == afterWrite {
		w.forgetProcess()
	}
	return d
}

// forgetProcess loses what only the process knew; forgetAll the status too. That the clock was set is known to the process
// alone, until it has been noted in the status.
func (w *world) forgetProcess() {
	w.seen, w.rounds, w.round = map[string]*seenOwner{}, nil, nil
	if w.noted {
		w.even = time.Time{}
	}
}

func (w *world) forgetAll() {
	for _, s := range w.servers {
		for _, a := range s.serves {
			w.forget(a)
		}
		for _, a := range s.pending {
			w.forget(a.answerSet)
		}
	}
	w.memory = operatorMemory{owners: map[string]ownerMemory{}}
	w.forgetProcess()
}

func (w *world) forget(a answerSet) {
	for _, r := range a.records {
		w.forgotten[r] = true
	}
}

func (w *world) store(d Decision) {
	w.memory.states, w.memory.unsafe, w.noted = d.Keys, d.Unsafe, true
	for _, o := range d.Owners {
		before := w.memory.owners[o.Name].written
		written := slices.Clone(o.Own)
		for _, r := range o.Own {
			if o.InSync { // until then what stands is that of before
				delete(w.forgotten, r)
			}
		}
		for _, v := range o.Versions {
			for _, r := range v.Records {
				if slices.Contains(before, r) {
					written = append(written, r)
				}
			}
		}
		versions := slices.Clone(o.Versions)
		for j := range versions {
			if versions[j].Open {
				versions[j].LastSeen = time.Time{} // a status does not tell
			}
		}
		w.memory.owners[o.Name] = ownerMemory{versions, tlsa.Normalize(written)}
		w.seenOf(o.Name).sweeps = nil
	}
	w.managed, w.rounds = true, nil
}

func (w *world) act(d Decision) {
	for _, o := range d.Owners {
		if o.Write && !w.servers[0].down {
			w.update(o.Name, o.Expect, answerSet{o.Records, w.policy.TTL})
		}
	}
	if w.standbyOn && (w.standby == "" || w.standby == w.secret) {
		w.standby = w.newKey()
	}
	if w.requested != "" && (slices.Contains(d.Deploy, w.requested) || w.policy.Strategy == Follow) {
		w.handOver()
	}
}

// handOver puts the requested key into the Secret that servers mount.
func (w *world) handOver() {
	w.secret, w.requested = w.requested, ""
	w.deployed++
}

// update is compare-and-swap at the primary; the secondaries follow each after its lag.
func (w *world) update(owner string, expect []tlsa.Record, want answerSet) {
	primary := w.servers[0]
	if !tlsa.Equal(primary.serves[owner].records, expect) {
		return
	}
	primary.serves[owner] = want
	for _, s := range w.servers[1:] {
		s.pending[owner] = dueAnswer{want, w.now.Add(s.lag)}
	}
	w.seenOf(owner).last = nil
}

// renew starts a renewal as cert-manager does: with the standby key where there is one.
func (w *world) renew() {
	if w.requested != "" {
		return
	}
	w.requested = w.newKey()
	if w.standbyOn && w.standby != "" && w.standby != w.secret {
		w.requested = w.standby
	}
}

// load lets an endpoint read the Secret.
func (w *world) load(endpoint int) {
	w.endpoints[endpoint] = w.secret
	w.check()
}

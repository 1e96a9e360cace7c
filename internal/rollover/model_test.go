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

// cachedAnswer is an answer that the longest-lived cache of the world holds.
type cachedAnswer struct {
	answerSet
	port  int32
	until time.Time
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
	now     time.Time
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
	// broken is the first violation that any second has seen.
	broken string
}

func ownerAt(port int32) string { return fmt.Sprintf("_%d._tcp.mx1.example.com.", port) }

func newWorld(policy Policy, lags []time.Duration, endpoints int, standby bool) *world {
	w := &world{now: time.Unix(1_000_000, 0), policy: policy, cached: map[string]cachedAnswer{}, standbyOn: standby, ports: []int32{25}}
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

// recordsOf are the records of a key: the data of a made-up digest carries its name.
func recordsOfKey(key string, params []tlsa.Parameters) []tlsa.Record {
	var out []tlsa.Record
	for _, p := range params {
		data := key
		if p.MatchingType == tlsa.MatchingSHA512 {
			data = key + key
		}
		out = append(out, tlsa.Record{Parameters: p, Data: data})
	}
	return tlsa.Normalize(out)
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

// remember keeps an answer in the caches: as long as they may, and as long again in what stands behind
// them (RFC 7671 section 8.1 says two TTLs), be its TTL never so short.
func (w *world) remember(port int32, a answerSet) {
	if len(a.records) > 0 {
		w.cached[fmt.Sprint(port, a.id())] = cachedAnswer{a, port, w.now.Add(2 * max(a.ttl, w.policy.TTLFloor))}
	}
}

// check notes the first cached answer that some endpoint's key does not match, combination by combination.
func (w *world) check() {
	for id, c := range w.cached {
		if w.now.After(c.until) {
			delete(w.cached, id)
			continue
		}
		for _, key := range w.endpoints {
			combinations := map[tlsa.Parameters]bool{}
			for _, r := range c.records {
				combinations[r.Parameters] = combinations[r.Parameters] || strings.HasPrefix(r.Data, key)
			}
			for p, matched := range combinations {
				if !matched && w.broken == "" {
					w.broken = fmt.Sprintf("a cache may hold %s for port %d until %s, which for %s does not match key %s", c.id(), c.port, c.until.Sub(w.now), p, key)
				}
			}
		}
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
	start := w.now
	w.advance(time.Second)
	for _, o := range w.owners() {
		s := Sweep{Start: start, End: w.now}
		for i, server := range w.servers {
			a := Answer{Name: server.name, Address: server.name, Reachable: !server.down, Signed: !server.down, Primary: i == 0}
			if !server.down {
				serves := server.serves[o.Name]
				a.Records, a.TTL, a.CacheTTL = serves.records, serves.ttl, serves.ttl
				a.SignatureExpires, a.SignatureValidity = w.now.Add(10*24*time.Hour), 14*24*time.Hour
			}
			s.Answers = append(s.Answers, a)
		}
		seen := w.seenOf(o.Name)
		seen.sweeps, seen.last = append(seen.sweeps, s), &s
	}
}

func (w *world) probe(unreachable bool) {
	r := ProbeRound{Start: w.now, Complete: !unreachable}
	for i, key := range w.endpoints {
		for _, port := range []int32{25, 465} {
			if unreachable && i == 0 {
				r.Presented = append(r.Presented, Presented{Address: "a", Port: port, Unreachable: true, Message: "refused"})
				continue
			}
			r.Presented = append(r.Presented, Presented{Address: fmt.Sprint(i), Port: port, SPKI: key, Matches: func(t tlsa.Record) bool { return strings.HasPrefix(t.Data, key) }})
		}
	}
	w.advance(time.Second)
	r.End = w.now
	w.rounds = append(w.rounds, r)
	w.round = &r
}

// facts are what the controllers would gather.
func (w *world) facts() Facts {
	f := Facts{
		Now: w.now, Host: "mx1.example.com", Policy: w.policy, KeysComplete: true, States: w.memory.states, Owners: w.owners(),
		Rounds: w.rounds, LastRound: w.round, DNSSEC: DNSSEC{State: dnssec.Secure}, Unsafe: w.memory.unsafe,
	}
	add := func(key string, stage KeyStage) {
		if key != "" && !slices.ContainsFunc(f.Keys, func(k Key) bool { return k.ID == key }) {
			f.Keys = append(f.Keys, Key{ID: key, SPKI: key, Certificate: "mx1", Stage: stage, Records: recordsOfKey(key, w.policy.Parameters)})
		}
	}
	add(w.secret, StageDeployed)
	add(w.requested, StageRequested)
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
	d := Decide(w.facts())
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

// forgetProcess loses what only the process knew; forgetAll the status too.
func (w *world) forgetProcess() { w.seen, w.rounds, w.round = map[string]*seenOwner{}, nil, nil }

func (w *world) forgetAll() {
	w.memory = operatorMemory{owners: map[string]ownerMemory{}}
	w.forgetProcess()
}

func (w *world) store(d Decision) {
	w.memory.states, w.memory.unsafe = d.Keys, d.Unsafe
	for _, o := range d.Owners {
		before := w.memory.owners[o.Name].written
		written := slices.Clone(o.Own)
		for _, v := range o.Versions {
			for _, r := range v.Records {
				if slices.Contains(before, r) {
					written = append(written, r)
				}
			}
		}
		w.memory.owners[o.Name] = ownerMemory{o.Versions, tlsa.Normalize(written)}
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
	if w.requested != "" && slices.Contains(d.Deploy, w.requested) {
		w.secret, w.requested = w.requested, ""
		w.deployed++
	}
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

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

// answerSet is what a name server serves.
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
	serves  answerSet
	pending *answerSet
	due     time.Time
	lag     time.Duration
	down    bool
}

// cachedAnswer is an answer that the longest-lived cache of the world holds.
type cachedAnswer struct {
	answerSet
	until time.Time
}

// operatorMemory is what the operator has stored.
type operatorMemory struct {
	versions []Version
	states   []KeyState
	written  []tlsa.Record
	unsafe   *Unsafe
}

type world struct {
	now     time.Time
	policy  Policy
	servers []*nameServer // the first is the primary
	cached  map[string]cachedAnswer

	secret    string // the key in the Secret that servers mount
	requested string // the key of a pending request
	standby   string
	standbyOn bool
	endpoints []string // the key each endpoint presents
	keys      int

	memory   operatorMemory
	managed  bool // the operator has written before
	sweeps   []Sweep
	last     *Sweep
	rounds   []ProbeRound
	round    *ProbeRound
	deployed int
	// abandoned are answers that somebody else put there, which no rule of ours answers for.
	abandoned map[string]bool
}

const worldOwner = "_25._tcp.mx1.example.com."

func newWorld(policy Policy, lags []time.Duration, endpoints int, standby bool) *world {
	w := &world{now: time.Unix(1_000_000, 0), policy: policy, cached: map[string]cachedAnswer{}, standbyOn: standby, abandoned: map[string]bool{}}
	for i, lag := range lags {
		w.servers = append(w.servers, &nameServer{name: fmt.Sprintf("ns%d", i), lag: lag})
	}
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
			if s.pending != nil && !w.now.Before(s.due) {
				s.serves, s.pending = *s.pending, nil
			}
			if len(s.serves.records) > 0 {
				w.cached[s.serves.id()] = cachedAnswer{s.serves, w.now.Add(s.serves.ttl)}
			}
		}
	}
}

// violation says which cached answer some endpoint's key does not match, combination by combination.
func (w *world) violation() string {
	for id, c := range w.cached {
		if w.now.After(c.until) || w.abandoned[id] {
			continue
		}
		for _, key := range w.endpoints {
			combinations := map[tlsa.Parameters]bool{}
			for _, r := range c.records {
				combinations[r.Parameters] = combinations[r.Parameters] || strings.HasPrefix(r.Data, key)
			}
			for p, matched := range combinations {
				if !matched {
					return fmt.Sprintf("a cache may hold %s until %s, which for %s does not match key %s", id, c.until.Sub(w.now), p, key)
				}
			}
		}
	}
	return ""
}

func (w *world) sweep() {
	s := Sweep{Start: w.now}
	w.advance(time.Second)
	for i, server := range w.servers {
		a := Answer{Name: server.name, Address: server.name, Reachable: !server.down, Signed: !server.down, Primary: i == 0}
		if !server.down {
			a.Records, a.TTL, a.CacheTTL = server.serves.records, server.serves.ttl, server.serves.ttl
			a.SignatureExpires, a.SignatureValidity = w.now.Add(10*24*time.Hour), 14*24*time.Hour
		}
		s.Answers = append(s.Answers, a)
	}
	s.End = w.now
	w.sweeps = append(w.sweeps, s)
	w.last = &s
}

func (w *world) probe(unreachable bool) {
	r := ProbeRound{Start: w.now, Complete: !unreachable}
	for i, key := range w.endpoints {
		if unreachable && i == 0 {
			r.Presented = append(r.Presented, Presented{Address: "a", Port: 25, Unreachable: true, Message: "refused"})
			continue
		}
		r.Presented = append(r.Presented, Presented{Address: fmt.Sprint(i), Port: 25, SPKI: key, Matches: func(t tlsa.Record) bool { return strings.HasPrefix(t.Data, key) }})
	}
	w.advance(time.Second)
	r.End = w.now
	w.rounds = append(w.rounds, r)
	w.round = &r
}

// facts are what the controllers would gather.
func (w *world) facts() Facts {
	f := Facts{
		Now: w.now, Host: "mx1.example.com", Policy: w.policy, KeysComplete: true, States: w.memory.states,
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
	f.Owners = []Owner{{
		Name: worldOwner, Port: 25, Versions: w.memory.versions, Known: len(w.memory.versions) > 0,
		StatusLost: w.managed && len(w.memory.states) == 0, Sweeps: w.sweeps, Last: w.last, Written: w.memory.written,
	}}
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

// forgetProcess loses what only the process knew.
func (w *world) forgetProcess() { w.sweeps, w.last, w.rounds, w.round = nil, nil, nil, nil }

func (w *world) store(d Decision) {
	o := d.Owners[0]
	w.memory.versions, w.memory.states, w.memory.unsafe = o.Versions, d.Keys, d.Unsafe
	written := slices.Clone(o.Own)
	for _, v := range o.Versions {
		for _, r := range v.Records {
			if slices.Contains(w.memory.written, r) {
				written = append(written, r)
			}
		}
	}
	w.memory.written = tlsa.Normalize(written)
	w.managed = true
	w.sweeps, w.rounds = nil, nil
}

func (w *world) act(d Decision) {
	o := d.Owners[0]
	if o.Write && !w.servers[0].down {
		w.update(o.Expect, answerSet{o.Records, w.policy.TTL})
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
func (w *world) update(expect []tlsa.Record, want answerSet) {
	primary := w.servers[0]
	if !tlsa.Equal(primary.serves.records, expect) {
		return
	}
	primary.serves = want
	for _, s := range w.servers[1:] {
		next := want
		s.pending, s.due = &next, w.now.Add(s.lag)
	}
	w.last = nil
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

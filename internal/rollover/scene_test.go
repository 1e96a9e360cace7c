package rollover

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// scene is one host that a test leads through a history by hand: what the servers show, what the
// endpoints present, which keys the objects hold, and what the operator has stored. The times are
// those that the API gives by default.
type scene struct {
	*testing.T
	now       time.Time
	policy    Policy
	servers   []*shower
	owners    []*remembered
	keys      []Key
	endpoints []*presenter
	dnssec    DNSSEC
	states    []KeyState
	unsafe    *Unsafe
	rounds    []ProbeRound
	round     *ProbeRound
	unread    bool
	lost      bool
	reported  time.Time
	// needsProbe says that the last decision asked for a probe round.
	needsProbe bool
	even       time.Time
	// authorities are whose record of usage DANE-TA the certificate of a key has, and rootless are the keys whose chains lack their
	// authority, by their digests, where that is of interest.
	authorities map[string]string
	rootless    map[string]bool
	// through changes what a sweep of the servers says, as an alias on the way to them does.
	through func(Sweep) Sweep
}

// shower is a name server. Unless it is stuck it shows at once what is written to the primary, the
// first of them.
type shower struct {
	name            string
	stuck           bool
	down, ignored   bool
	unsigned        bool
	shows           map[string]answerSet
	cacheTTL        time.Duration // of longer hops, or of a longer TTL that was signed
	ttl             *time.Duration
	signed, expires time.Duration // the signature's age and what is left of it
}

// remembered is an owner and what the operator has stored of it.
type remembered struct {
	name     string
	port     int32
	versions []Version
	written  []tlsa.Record
	sweeps   []Sweep
	last     *Sweep
	// removing, handedOver, heldBack, refused and sending are handed on.
	removing, handedOver, heldBack, refused, sending bool
	// loses says that updates do not arrive, and nobody knows.
	loses  bool
	shared []tlsa.Record
	peers  []Peer
}

// presenter is an endpoint; it presents a chain that has these records.
type presenter struct {
	address string
	port    int32
	key     Key
	down    string
}

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const firstOwner = "_25._tcp.mx1.example.com."

// newScene is a host whose certificate with key a is deployed, with nothing in DNS yet.
func newScene(t *testing.T) *scene {
	s := &scene{T: t, now: begin, dnssec: DNSSEC{State: dnssec.Secure}, policy: Policy{
		Strategy: Gate, Parameters: []tlsa.Parameters{p311}, TTL: time.Hour,
		PublishSafety: time.Hour, RetireSafety: 24 * time.Hour, DNSSECRequired: true, Sweeps: 3,
		SweepFreshness: 30 * time.Second, Delay: 5 * time.Minute, TTLFloor: 5 * time.Minute, UnknownHistory: 24 * time.Hour,
	}}
	for _, name := range []string{"primary", "ns1", "ns2"} {
		s.server(name)
	}
	s.owner(firstOwner, 25)
	s.keys = []Key{s.key("a", StageDeployed)}
	s.endpoint("192.0.2.1", 25, s.keys[0])
	return s
}

// published is newScene some days after its first publication.
func published(t *testing.T) *scene {
	s := newScene(t)
	s.settle()
	s.now = s.now.Add(72 * time.Hour)
	s.settle()
	s.shows(firstOwner, "a")
	return s
}

// replaced is published with standby key b, which was handed to the servers in place of a: nothing presents a any more.
func replaced(t *testing.T, edit func(*Policy)) *scene {
	s := published(t)
	edit(&s.policy)
	s.replace()
	return s
}

// replace hands standby key b to the servers in place of a.
func (s *scene) replace() {
	s.hold("b", StageStandby)
	s.settle()
	s.now = s.now.Add(72 * time.Hour)
	s.settle()
	s.deploys("b", "a")
	s.settle()
}

func (s *scene) server(name string) *shower {
	n := &shower{name: name, shows: map[string]answerSet{}, signed: 9 * 24 * time.Hour, expires: 5 * 24 * time.Hour}
	s.servers = append(s.servers, n)
	return n
}

func (s *scene) owner(name string, port int32) {
	s.owners = append(s.owners, &remembered{name: name, port: port})
}

func (s *scene) endpoint(address string, port int32, key Key) *presenter {
	e := &presenter{address: address, port: port, key: key}
	s.endpoints = append(s.endpoints, e)
	return e
}

// digest is the made-up digest of a key's name.
func digest(name string) string { return (strings.Repeat(fmt.Sprintf("%x", name), 64))[:64] }

// key is a key of Certificate mx1 with the records of the policy.
func (s *scene) key(name string, stage KeyStage) Key {
	k := Key{ID: digest(name), SPKI: digest(name), Certificate: "mx1", Stage: stage, Records: recordsOfKey(digest(name), s.policy.Parameters)}
	if stage == StageIssued || stage == StageDeployed {
		k.Serial = name // a request has no certificate yet
	}
	return k
}

// matches says whether a chain with this key matches a record: one of its key, whichever sets are wanted,
// or one that was made for it.
func (k Key) matches(r tlsa.Record) bool {
	ofKey := r.Usage == tlsa.UsageDANEEE && r.Selector == tlsa.SelectorSPKI
	return ofKey && strings.HasPrefix(r.Data, k.SPKI) || slices.Contains(k.Records, r)
}

// wants edits the parameter sets: the objects' keys have the records of the new ones.
func (s *scene) wants(params ...tlsa.Parameters) {
	s.policy.Parameters = params
	for i := range s.keys {
		s.keys[i].Records = recordsOfKey(s.keys[i].SPKI, params)
	}
	for _, e := range s.endpoints {
		e.key.Records = append(slices.Clone(e.key.Records), recordsOfKey(e.key.SPKI, params)...)
	}
}

// showsExactly wants the primary to show these records at the first owner.
func (s *scene) showsExactly(lists ...[]tlsa.Record) {
	s.Helper()
	want := tlsa.Normalize(slices.Concat(lists...))
	if have := s.servers[0].shows[firstOwner].records; !slices.Equal(have, want) {
		s.Errorf("the primary shows %v, want %v", have, want)
	}
}

// warned wants a warning that has the words.
func (s *scene) warned(d Decision, words ...string) {
	s.Helper()
	for _, w := range d.Owners[0].Warnings {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(w, word) }) {
			return
		}
	}
	s.Errorf("no warning says %q: %q", words, d.Owners[0].Warnings)
}

// hold puts a key at a stage, in place of the one of its name.
func (s *scene) hold(name string, stage KeyStage) Key {
	k := s.key(name, stage)
	s.drop(name)
	s.keys = append(s.keys, k)
	return k
}

// drop takes a key out of every object.
func (s *scene) drop(name string) {
	s.keys = slices.DeleteFunc(s.keys, func(k Key) bool { return k.SPKI == digest(name) })
}

// deploys hands a key to the servers in place of another: the endpoints load it at once.
func (s *scene) deploys(name, instead string) {
	k := s.hold(name, StageDeployed)
	s.drop(instead)
	for _, e := range s.endpoints {
		if e.key.SPKI == digest(instead) {
			e.key = k
		}
	}
}

// requests lets a request for a key wait, and the records be published. It returns when no server showed
// the older ones any more.
func (s *scene) requests(name string) time.Time {
	s.hold(name, StageRequested)
	s.work()
	gone := s.now.Add(10 * time.Second)
	s.now = gone
	s.settle()
	return gone
}

// answer is what a server says of an owner.
func (s *scene) answer(n *shower, owner string) Answer {
	set := n.shows[owner]
	ttl := set.ttl
	if n.ttl != nil && len(set.records) > 0 {
		ttl = *n.ttl
	}
	a := Answer{Name: n.name, Address: n.name, Primary: n == s.servers[0], Ignored: n.ignored, Reachable: !n.down, Message: "down"}
	if n.down {
		return a
	}
	a.Signed, a.Records, a.TTL, a.CacheTTL, a.Message = !n.unsigned, set.records, ttl, max(ttl, n.cacheTTL), ""
	a.SignatureExpires, a.SignatureValidity = s.now.Add(n.expires), n.signed+n.expires
	return a
}

// look sweeps every owner and probes every endpoint, now.
func (s *scene) look() {
	for _, o := range s.owners {
		sweep := Sweep{Start: s.now, End: s.now}
		for _, n := range s.servers {
			sweep.Answers = append(sweep.Answers, s.answer(n, o.name))
		}
		if s.through != nil {
			sweep = s.through(sweep)
		}
		o.sweeps = append(o.sweeps, sweep)
		o.last = &sweep
	}
	round := ProbeRound{Start: s.now, End: s.now, Complete: true}
	for _, e := range s.endpoints {
		p := Presented{Address: e.address, Port: e.port, SPKI: e.key.SPKI, Matches: func(r tlsa.Record) bool { return e.key.matches(r) }}
		if e.down != "" {
			p, round.Complete = Presented{Address: e.address, Port: e.port, Unreachable: true, Message: e.down}, false
		}
		round.Presented = append(round.Presented, p)
	}
	s.rounds = append(s.rounds, round)
	s.round = &round
}

// peek asks the rule, and nothing else.
func (s *scene) peek() Decision { return Decide(s.facts()) }

// facts are what the rule is asked with.
func (s *scene) facts() Facts {
	f := Facts{
		Now: s.now, EvenSince: s.even, Host: "mx1.example.com", Policy: s.policy, Keys: s.withLeaving(), KeysComplete: !s.unread, States: s.states,
		Rounds: s.rounds, LastRound: s.round, DNSSEC: s.dnssec, Unsafe: s.unsafe, FailureReported: s.reported,
	}
	for _, o := range s.owners {
		f.Owners = append(f.Owners, Owner{
			Name: o.name, Port: o.port, Versions: o.versions, Known: len(o.versions) > 0, StatusLost: s.lost, Sweeps: o.sweeps, Last: o.last,
			Written: o.written, Removing: o.removing, HandedOver: o.handedOver, HeldBack: o.heldBack, Sending: o.sending, Refused: o.refused,
			Shared: o.shared, Peers: o.peers,
		})
	}
	return f
}

// decide asks the rule, stores what it says, and carries it out.
func (s *scene) decide() Decision {
	d := s.peek()
	s.states, s.unsafe, s.rounds = d.Keys, d.Unsafe, nil
	for i, o := range d.Owners {
		mine := s.owners[i]
		kept := slices.Clone(o.Own)
		for _, v := range o.Versions {
			for _, r := range v.Records {
				if slices.Contains(mine.written, r) {
					kept = append(kept, r)
				}
			}
		}
		mine.versions, mine.written, mine.sweeps = slices.Clone(o.Versions), tlsa.Normalize(kept), nil
		for j := range mine.versions {
			if v := &mine.versions[j]; v.Open {
				v.LastSeen = time.Time{} // a status does not tell
			}
		}
		if o.Write && !mine.refused {
			if !mine.loses {
				s.write(o.Name, answerSet{o.Records, s.policy.TTL})
			}
			mine.last = nil
		}
	}
	return d
}

// write changes what the primary shows, and whoever follows it.
func (s *scene) write(owner string, set answerSet) {
	for _, n := range s.servers {
		if !n.stuck {
			n.shows[owner] = set
		}
	}
}

// leap sets the clock forward.
func (s *scene) leap(by time.Duration) {
	s.now = s.now.Add(by)
	s.even = s.now
}

// work looks and decides.
func (s *scene) work() Decision {
	s.look()
	return s.decide()
}

// settle works for a while, every ten seconds.
func (s *scene) settle() Decision {
	d := s.work()
	for range 10 {
		s.now = s.now.Add(10 * time.Second)
		d = s.work()
	}
	return d
}

// at works at an instant.
func (s *scene) at(when time.Time) Decision {
	s.now = when
	return s.work()
}

// heldUntil wants a key to be held up to an instant, at every look on the way, and let go then.
func (s *scene) heldUntil(name string, when time.Time) {
	s.Helper()
	const looks = 24
	step := when.Sub(s.now) / looks
	for range looks - 1 {
		if d := s.at(s.now.Add(step)); slices.Contains(d.Deploy, digest(name)) {
			s.Errorf("key %s may be deployed %s before its time", name, when.Sub(s.now))
			return
		}
	}
	if d := s.at(when.Add(-time.Second)); slices.Contains(d.Deploy, digest(name)) {
		s.Errorf("key %s may be deployed before %s", name, when.Sub(begin))
	}
	if d := s.at(when); !slices.Contains(d.Deploy, digest(name)) {
		s.Errorf("key %s is not deployed at %s; it waits: %+v", name, when.Sub(begin), d.Waits)
	}
}

// held wants a key to be held now, for a reason, by words that its message has.
func (s *scene) held(d Decision, name string, code WaitCode, words ...string) {
	s.Helper()
	if slices.Contains(d.Deploy, digest(name)) {
		s.Errorf("key %s may be deployed", name)
	}
	for _, w := range d.Waits {
		if w.Code != code {
			continue
		}
		for _, word := range words {
			if !strings.Contains(w.Message, word) {
				s.Errorf("the message %q does not say %q", w.Message, word)
			}
		}
		return
	}
	s.Errorf("nothing waits for %s: %+v", code, d.Waits)
}

// shows wants the primary to show the records of these keys at an owner.
func (s *scene) shows(owner string, names ...string) {
	s.Helper()
	var want []tlsa.Record
	for _, name := range names {
		want = append(want, recordsOfKey(digest(name), s.policy.Parameters)...)
	}
	if have := s.servers[0].shows[owner].records; !tlsa.Equal(have, tlsa.Normalize(want)) {
		s.Errorf("%s shows %v, want those of %v", owner, have, names)
	}
}

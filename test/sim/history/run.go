package history

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// Result is what became of a history.
type Result struct {
	Plan      Plan
	Violation *Violation
	// Lines are the timeline, where it was recorded.
	Lines []string
	// Rollovers counts the certificates that went into a Secret, Checks the pairs of an answer that may be
	// cached and a chain that is presented, Risked those among them that failed and had to be announced.
	Rollovers, Checks, Risked, Updates, Writes, Reconciles, Sweeps, Faults int
	// Seen is what happened, by a few words each.
	Seen map[string]Sighting
}

// Sighting is how often something happened, and in how many histories.
type Sighting struct{ Times, Histories int }

// settle is how long the system has to come to rest once nothing disturbs it any more: longer than all waits
// of one rollover with the largest of the times that histories draw, one after the other.
const settle = 4 * time.Hour

// Run makes a history.
func Run(p Plan, record bool) Result {
	if !p.Wire {
		return run(p, record)
	}
	var r Result
	inBubble(func() { r = run(p, record) })
	return r
}

func run(p Plan, record bool) Result {
	h := newHistory(p.Seed, record, p.Wire)
	defer h.severAll()
	h.length = p.Length
	for _, each := range h.hosts {
		each.mountFirst(h)
	}
	h.start(0)
	for _, f := range p.Faults {
		h.after(f.At, func() { h.befall(f) })
	}
	h.until(begin.Add(p.Length))
	h.calmDown()
	h.until(h.now.Add(h.furthestAhead)) // clocks that are set back have to catch up first
	h.settleDown()
	if h.violation == nil && !h.abandoned {
		h.mustBeQuiet()
	}
	seen := map[string]Sighting{}
	for what, n := range h.seen {
		seen[what] = Sighting{n, 1}
	}
	return Result{
		Seen: seen, Plan: p, Violation: h.violation, Lines: h.lines, Rollovers: h.rollovers, Checks: h.checks, Risked: h.risked,
		Updates: h.updates, Writes: h.writes, Reconciles: h.reconciles, Sweeps: h.sweeps, Faults: h.faults,
	}
}

// severAll ends what the processes still do.
func (h *History) severAll() {
	for _, op := range h.operators {
		if h.wire != nil {
			op.sever()
		}
	}
}

// settleDown lets the system come to rest, and checks that it does.
func (h *History) settleDown() {
	const look = 20 * time.Minute
	end := h.now.Add(settle)
	for {
		h.until(h.now.Add(look))
		if h.violation != nil || h.abandoned && h.now.After(begin.Add(h.length).Add(time.Hour)) {
			return
		}
		if h.abandoned {
			continue
		}
		h.mustHaveConverged()
		if h.violation == nil {
			return
		}
		if !h.now.Before(end) {
			h.say("ORACLE", "%s", h.violation)
			return
		}
		h.violation = nil // not yet
	}
}

// until lets time pass to an instant, or to the first violation.
func (h *History) until(instant time.Time) {
	for h.violation == nil && h.step(instant) {
	}
}

// mountFirst lets the replicas of a host that mounts its Certificate's own Secret read it.
func (of *host) mountFirst(h *History) {
	for _, r := range of.replicas {
		h.load(of, r)
	}
}

// calmDown ends all faults.
func (h *History) calmDown() {
	h.say("world", "all faults end")
	h.calmed, h.older, h.statusGoesIn = true, false, 0
	h.apiAway, h.unsigned, h.servers.ignoring = time.Time{}, time.Time{}, time.Time{}
	h.losingUpdates, h.losingReplies, h.staleStart = 0, 0, 0
	h.loseWrites(0, false)
	for _, s := range h.servers.all {
		s.down, s.stuck, s.silent, s.failing, s.stretch = time.Time{}, time.Time{}, time.Time{}, time.Time{}, 1
		s.lag = min(s.lag, 20*time.Second)
		h.after(time.Second, func() { h.servers.transfer(s) })
	}
	for _, d := range h.domains {
		if d.suspended {
			h.suspend(d, false)
		}
		h.comeBack(d)
		for _, field := range slices.Sorted(maps.Keys(d.undo)) {
			d.undo[field]()
		}
	}
	h.setClocks(0, true)
	h.apiAhead = 0
	h.after(step, func() { h.heedAdvice(30) })
	for _, of := range h.hosts {
		of.issuer.refusals, of.issuer.slow = 0, time.Minute
		of.issuer.soon(of.issuer.replaceLost)
		for _, r := range of.replicas {
			r.down, r.deaf = time.Time{}, false
			h.after(time.Minute, func() { h.load(of, r) })
		}
	}
	for _, op := range h.operators {
		op.crashIn = 0
		op.view.stalled = [kinds]time.Time{}
		if op.old && op.live {
			op.die("is replaced by the newer version")
			h.after(time.Second, op.replace)
		}
	}
}

// mustHaveConverged checks that what stands is what a fresh deployment would give (L1), and that what is
// old has gone (L2).
func (h *History) mustHaveConverged() {
	for _, d := range h.domains {
		if h.object(d) == nil || d.deleted != nil {
			h.fail("L1", "MailDomain %s was deleted, and is not gone", d.name)
			return
		}
		h.mustBeDone(d)
	}
}

func (h *History) mustBeDone(d *mailDomain) {
	md := h.object(d)
	var params []tlsa.Parameters
	for _, text := range md.Spec.TLSA.Parameters {
		params = append(params, must(tlsa.ParseParameters(string(text))))
	}
	for _, of := range firsts(d.hosts) {
		var want []tlsa.Record
		for _, each := range of.each() {
			current := h.mountedBy(each)
			if current == nil {
				h.fail("L1", "%s: Secret %s was never written", of.name, each.mounted)
				return
			}
			if issuing(each.issuer.certificate()) {
				h.fail("L1", "%s: the renewal of Certificate %s did not end; %s", of.name, each.certificate, waiting(md))
				return
			}
			h.mustFit(each, current.key)
			want = slices.Concat(want, current.recordsOf(params), h.standbyRecords(each, current, params))
		}
		ttl := time.Duration(md.Spec.TLSA.TTL) * time.Second
		h.mustShow(of, of.owner, tlsa.Normalize(want), ttl)
		if h.lists(of, of.other) {
			h.mustShow(of, of.other, tlsa.Normalize(want), ttl)
		} else {
			h.mustShow(of, of.other, nil, 0)
		}
	}
}

// mustFit checks that a key is of the type that its Certificate asks for.
func (h *History) mustFit(of *host, k *key) {
	if k.algorithm() != of.issuer.algorithm {
		h.fail("L1", "%s: key %s is not of the type that Certificate %s asks for", of.name, k.digest[:6], of.certificate)
	}
}

func waiting(md *v1alpha1.MailDomain) string {
	if md.Status.NextTransition == nil {
		return "it waits for nothing"
	}
	return "it waits for: " + md.Status.NextTransition.Action
}

// standbyRecords are those of the standby key, if the spec wants one.
func (h *History) standbyRecords(of *host, current *issued, params []tlsa.Parameters) []tlsa.Record {
	md := h.object(of.of)
	if md.Spec.Rollover.Strategy != v1alpha1.StrategyGate || md.Spec.Rollover.StandbyKey == v1alpha1.StandbyDisabled {
		return nil
	}
	secret, ok := h.store.get(secrets, h.named(of.standbySecret())).(*corev1.Secret)
	if !ok {
		h.fail("L1", "%s has no standby key", of.name)
		return nil
	}
	k := pool.ofPEM(secret.Data[corev1.TLSPrivateKeyKey])
	h.mustFit(of, k)
	if k == current.key {
		h.fail("L1", "%s: the standby key is in use, and no new one was made", of.name)
	}
	var out []tlsa.Record
	for _, r := range pool.issue(k, current.issuer, 0, forever).recordsOf(params) {
		// Records of the standby key's certificate cannot be known before there is one.
		if r.Usage == tlsa.UsageDANETA || r.Selector == tlsa.SelectorSPKI {
			out = append(out, r)
		}
	}
	return out
}

// lists says whether the spec has the port of an owner.
func (h *History) lists(of *host, owner string) bool {
	md := h.object(of.of)
	return md == nil || slices.ContainsFunc(md.Spec.MailServers, func(m v1alpha1.MailServer) bool {
		return m.Hostname == of.name && slices.ContainsFunc(m.Ports, func(p v1alpha1.MailServerPort) bool { return p.Port == portOf(owner) })
	})
}

// mustShow checks what all servers give at an owner of a host. Without a TTL, its port is not in the spec.
func (h *History) mustShow(of *host, owner string, want []tlsa.Record, ttl time.Duration) {
	for _, s := range h.servers.all {
		h.mustHold(of, owner, s, want)
		h.mustHaveLost(of, owner, s, want, ttl > 0)
		if have := s.serves[owner]; ttl > 0 && have.ttl != ttl {
			h.fail("L1", "%s: %s has a TTL of %s, want %s", owner, s.name, have.ttl, ttl)
		}
	}
}

// mustHold checks that a server gives what is wanted. A SHA-512 of ours would set a foreign SHA-256 aside: it is left out, and
// the conditions say so.
func (h *History) mustHold(of *host, owner string, s *server, want []tlsa.Record) {
	have := s.serves[owner]
	foreign := slices.ContainsFunc(have.records, func(r tlsa.Record) bool { return !of.created[owner][r] || of.lost[owner][r] })
	for _, r := range want {
		if !slices.Contains(have.records, r) && (!foreign || r.MatchingType != tlsa.MatchingSHA512) {
			h.fail("L1", "%s: %s does not show %v, but %s; %s", owner, s.name, r, have, waiting(h.object(of.of)))
		}
	}
}

// mustHaveLost checks that a server gives no more of what is not wanted than what is foreign to the operator, where that is kept.
func (h *History) mustHaveLost(of *host, owner string, s *server, want []tlsa.Record, listed bool) {
	md := h.object(of.of)
	clears := listed && md.Spec.TLSA.ForeignRecords == v1alpha1.ForeignRemove
	for _, r := range s.serves[owner].records {
		if !slices.Contains(want, r) && (clears || of.created[owner][r] && !of.lost[owner][r]) {
			h.fail("L2", "%s: %s still shows %v; %s", owner, s.name, r, waiting(md))
		}
	}
}

// resyncs are how many rounds of looking at everything change nothing.
const resyncs = 10

// mustBeQuiet checks that nothing is written any more, however often everything is looked at.
func (h *History) mustBeQuiet() {
	// What was noted of answers that no cache holds any more goes when a host at rest is next looked at.
	h.until(h.now.Add(unknownHistory + 45*time.Minute))
	updates, writes := h.updates, h.writes
	for range resyncs {
		for _, op := range h.operators {
			for _, k := range []kind{domains, zones, requests} {
				for _, name := range op.view.names(k) {
					op.enqueue(task{k, name}, time.Second)
				}
			}
		}
		h.until(h.now.Add(2 * time.Minute))
	}
	if h.updates != updates || h.writes != writes {
		h.fail("L1", "at rest, %d updates and %d writes were made in %d resyncs", h.updates-updates, h.writes-writes, resyncs)
	}
	if problem := h.failing(); problem != "" {
		h.fail("L1", "at rest, %s", problem)
	}
}

func (h *History) failing() string {
	for _, op := range h.operators {
		if op.live {
			for t := range op.failed {
				return t.kind.String() + " " + t.name.Name + " cannot be reconciled"
			}
		}
	}
	return ""
}

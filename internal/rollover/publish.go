package rollover

import (
	"fmt"
	"slices"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// publish decides for every owner what should stand there, and whether it may be written now.
func (r *run) publish() {
	r.compose()
	if r.crowded() && r.letGo() {
		r.compose()
	}
	if r.crowded() {
		r.makeRoom()
	}
	for i := range r.owners {
		o := &r.owners[i]
		o.Expect = o.primary
		if o.last != nil {
			o.Behind = r.faults(o)
		}
		o.InSync = r.inSync(o)
		r.warnAbout(o)
		r.decideWrite(o)
	}
}

// compose says for every owner what should stand there.
func (r *run) compose() {
	for i := range r.owners {
		o := &r.owners[i]
		o.Warnings = nil
		for j := range r.keys {
			if t := &r.keys[j]; r.mayGo(t) && t.standsAt(o.Name) && !o.removing {
				o.Warnings = append(o.Warnings, r.lingers(t))
			}
		}
		if !o.removing {
			o.Own = r.ownRecords(o)
		}
		o.Foreign = r.foreign(o)
		o.Records = o.ours()
		if o.removing {
			o.Records = kept(o)
		}
		if !r.foreignMayGo(o) {
			o.Records = tlsa.Normalize(append(slices.Clone(o.Records), o.Foreign...))
		}
	}
}

// foreign are the records at an owner that are neither wanted by us nor were ever written by us, and that no
// key of ours has: where it was forgotten who wrote such a record, it goes with the others of its key.
func (r *run) foreign(o *ownerRun) []tlsa.Record {
	served := o.primary
	if !o.primaryKnown && o.last != nil {
		for _, a := range o.last.Answers {
			if a.Reachable && !a.Synthesized {
				served = append(slices.Clone(served), a.Records...)
			}
		}
	}
	return slices.DeleteFunc(tlsa.Normalize(served), func(k tlsa.Record) bool {
		return slices.Contains(o.ours(), k) || slices.Contains(o.facts.Written, k) || !o.removing && r.isOfOurKey(o, k)
	})
}

// isOfOurKey says that a record is right, at an owner, for a key of ours, in a parameter set of now or of before. One that
// names an issuer may be somebody else's too; what is wanted here counts as ours all the same. At the owner of another named
// key it is not: all that are revoked have the same record, and somebody may have revoked the one in use.
func (r *run) isOfOurKey(o *ownerRun, k tlsa.Record) bool {
	return slices.ContainsFunc(r.keys, func(t tracked) bool { return t.standsAt(o.Name) && slices.Contains(t.Records, k) })
}

// foreignMayGo says whether foreign records are to be taken out, and nothing can need them: a fresh
// look at every endpoint of the port has found chains that our own records match. What is deleted
// are our own records alone. They stay at a name that aliases lead to: others may lead there too.
func (r *run) foreignMayGo(o *ownerRun) bool {
	if !r.f.Policy.RemoveForeign || o.removing || len(o.Foreign) == 0 || o.End != "" || len(o.facts.Peers) > 0 {
		return false
	}
	if r.f.Policy.ProbeDisabled {
		return true
	}
	round := r.f.LastRound
	if round == nil || r.now.Sub(round.End) > r.f.Policy.SweepFreshness {
		r.needProbe = true
		return false
	}
	if !round.knows(o.facts.Port) {
		return false
	}
	return !slices.ContainsFunc(round.Presented, func(p Presented) bool {
		return p.Port == o.facts.Port && !r.matchesAll(p, o.Own)
	})
}

// inSync says whether the newest sweep was green for what is wanted.
func (r *run) inSync(o *ownerRun) bool {
	return o.last != nil && anyReachable(*o.last) && len(o.Behind) == 0
}

func (r *run) warnAbout(o *ownerRun) {
	if n := len(o.Records); n > WarnRecords {
		o.Warnings = append(o.Warnings, fmt.Sprintf("%s has more than %d TLSA records: answers grow large (RFC 7671 section 10.1.1)", o.Name, WarnRecords))
	}
	for _, k := range o.Records {
		if !r.accounted(k.Parameters) {
			o.Warnings = append(o.Warnings, fmt.Sprintf("%s has %d %d %d records that are foreign or additional alone: a sender that supports only those may fail", o.Name, k.Usage, k.Selector, k.MatchingType))
			break
		}
	}
}

// decideWrite decides whether an update is wanted now, and notes the version that it makes.
func (r *run) decideWrite(o *ownerRun) {
	if o.facts.HandedOver {
		return
	}
	if o.split() {
		r.needSweep = true
		r.wait(WaitPropagation, o.Name, splitText(o, "nothing is written until"), time.Time{})
		return
	}
	if r.f.Policy.DNSSECRequired && !o.removing && o.unprovedAlias() {
		r.needSweep = true
		r.wait(WaitPropagation, o.Name, named("nothing is written to "+o.End+" until the alias of "+o.Name+" validates", o.Behind), time.Time{})
		return
	}
	if !o.primaryKnown || !r.fresh(o) {
		r.needSweep = true
		if r.changeWanted(o) {
			r.wait(WaitSweep, o.Name, named("the name servers have to be asked for "+o.Name, o.silent()), time.Time{})
		}
		return
	}
	if !r.changeWanted(o) {
		return
	}
	if code, message := r.writeBlocked(o); code != WaitNone {
		var until time.Time
		if code == WaitNamed {
			until = r.f.Policy.NamedUntil
		}
		r.wait(code, o.Name, message, until)
		return
	}
	o.Write = true
	r.plan(o)
	r.wait(WaitUpdate, o.Name, "the records of "+o.Name+" are being written", time.Time{})
}

// changeWanted says whether the primary is to show something else. The TTL of records that are all of others is theirs.
func (r *run) changeWanted(o *ownerRun) bool {
	if !o.primaryKnown {
		return true
	}
	return !slices.Equal(o.primary, o.Records) || len(o.Own) > 0 && o.primaryTTL != r.f.Policy.TTL
}

// plan adds the version that is about to be written, so that it is stored before the update is sent.
func (r *run) plan(o *ownerRun) {
	ttl := max(r.f.Policy.TTL, o.aliasTTL())
	i := slices.IndexFunc(o.Versions, func(v Version) bool {
		return v.Planned && v.TTL == ttl && slices.Equal(v.Records, o.Records)
	})
	if i < 0 {
		o.Versions = append(o.Versions, Version{Owner: o.Name, Records: o.Records, TTL: ttl, Planned: true})
		i = len(o.Versions) - 1
	}
	v := &o.Versions[i]
	if !v.Open || !o.facts.Sending {
		v.FirstSeen = r.now
	}
	v.Open, v.AbsentSince, v.AbsentSweeps = true, time.Time{}, 0
	v.LastSeen = later(v.LastSeen, r.now)
}

// stays says that the records of a host that is removed are not taken out yet.
func (p Policy) stays() bool { return p.Removing && p.Named != "" }

// writeBlocked says what holds an update back.
func (r *run) writeBlocked(o *ownerRun) (WaitCode, string) {
	p := r.f.Policy
	switch {
	case p.Suspended:
		return WaitSuspended, "suspended: the records of " + o.Name + " are not changed"
	case p.stays():
		return WaitNamed, "the records of " + o.Name + " stay: " + p.Named
	case len(o.Records) > MaxRecords:
		return WaitTooManyRecords, fmt.Sprintf("%s would have more than %d TLSA records, and large senders fail beyond that: remove foreign or additional records, parameter sets or Certificates", o.Name, MaxRecords)
	case o.facts.HeldBack:
		return WaitUpdate, "the last update of " + o.Name + " failed; it is tried again after a while"
	case o.removing:
		return WaitNone, ""
	case p.DNSSECRequired && r.f.DNSSEC.State != dnssec.Secure:
		return WaitDNSSEC, "the zone is not Secure: " + r.f.DNSSEC.Message
	case p.NamedKeys:
		return r.namedBlocked(o)
	case len(o.Records) == 0:
		return WaitNone, ""
	case len(o.primary) == 0:
		return r.firstPublicationBlocked(o)
	}
	if code, message := r.authorityBlocked(o); code != WaitNone {
		return code, message
	}
	return r.worseBlocked(o)
}

// firstPublicationBlocked is the opposite of the rule for a new key: a record that nobody matches is
// an outage, so every endpoint must present a matching chain first (traps 8 and 9).
func (r *run) firstPublicationBlocked(o *ownerRun) (WaitCode, string) {
	switch {
	case r.holds(StageDeployed):
	case r.holds(StageRequested, StageIssued):
		return WaitDeployment, "the first publication waits until a key is deployed"
	default:
		return WaitCertificate, "no certificate has been issued yet"
	}
	for _, peer := range r.withPeers(o) {
		if code, message := r.unready(peer, o.ours()); code != WaitNone {
			return code, message
		}
	}
	return WaitNone, ""
}

// unready says what of a host and port keeps records from being published for the first time.
func (r *run) unready(peer Peer, records []tlsa.Record) (WaitCode, string) {
	round := peer.Round
	if peer.Vouched {
		return WaitNone, ""
	}
	old := round == nil || r.now.Sub(round.End) > r.f.Policy.SweepFreshness
	r.needProbe = r.needProbe || old
	switch {
	case round != nil && !round.knows(peer.Port): // what was in the way stays so until it is known better
		return WaitServers, "the first publication waits until every endpoint could be probed: " + firstProblem(*round, peer.Port)
	case old:
		return WaitServers, "the endpoints of " + peer.Host + " have to be probed before the first publication"
	}
	for _, p := range round.Presented {
		if p.Port == peer.Port && !r.matchesAll(p, records) {
			return WaitServers, fmt.Sprintf("the first publication waits until %s port %d presents a certificate of this MailDomain; it presents key %s", p.Address, p.Port, short(p.SPKI))
		}
	}
	return WaitNone, ""
}

// holds says whether some object holds a key at one of the stages.
func (r *run) holds(stages ...KeyStage) bool {
	return slices.ContainsFunc(r.keys, func(t tracked) bool { return slices.Contains(stages, t.stage) })
}

// worseBlocked refuses a set that a chain does not match which matches what is served now.
func (r *run) worseBlocked(o *ownerRun) (WaitCode, string) {
	for _, peer := range r.withPeers(o) {
		if peer.Round == nil {
			continue
		}
		for _, p := range peer.Round.Presented {
			if p.Port == peer.Port && r.matchesAll(p, o.primary) && !r.matchesAll(p, o.Records) {
				return WaitEndpoints, fmt.Sprintf("%s port %d presents key %s, which the new records would not match", p.Address, p.Port, short(p.SPKI))
			}
		}
	}
	return WaitNone, ""
}

// matchesAll says whether a presented chain matches a record of every combination that we answer for.
func (r *run) matchesAll(p Presented, records []tlsa.Record) bool {
	if p.Unreachable || p.Matches == nil || len(records) == 0 {
		return p.Unreachable
	}
	matched := map[tlsa.Parameters]bool{}
	any := false
	for _, k := range records {
		if !r.accounted(k.Parameters) {
			continue
		}
		hit := p.Matches(k)
		matched[k.Parameters] = matched[k.Parameters] || hit
		any = any || hit
	}
	for _, hit := range matched {
		if !hit {
			return false
		}
	}
	return any
}

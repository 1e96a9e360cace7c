package controllers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// buildStatus makes the status that follows from a run. It is a function of the run alone.
func buildStatus(run *domainRun) v1alpha1.MailDomainStatus {
	next := v1alpha1.MailDomainStatus{
		ObservedGeneration: run.md.Generation, Conditions: slices.Clone(run.md.Status.Conditions),
		// Its writer is another: here it stays as it is.
		TLSReports: run.md.Status.TLSReports,
	}
	for _, h := range run.hosts {
		if s, keep := hostStatus(run, h); keep {
			next.MailServers = append(next.MailServers, s)
		}
	}
	if run.blind() {
		next.Records, next.DKIM = carriedRecords(run), keyStatuses(run)
		// What was known before stands until there is something to say: a restart writes nothing.
		next.NextTransition = run.md.Status.NextTransition
		return next
	}
	next.Records, next.DKIM = recordStatuses(run), keyStatuses(run)
	next.NextTransition = nextTransition(run)
	setConditions(run, &next)
	return next
}

// hostStatus is the status of one host. A host that has left the spec is kept until no cache has
// any of its records.
func hostStatus(run *domainRun, h *hostRun) (v1alpha1.MailServerStatus, bool) {
	if !h.decided {
		if h.previous == nil {
			return v1alpha1.MailServerStatus{Hostname: h.server.Hostname, SenderView: h.sender}, !h.removing
		}
		s := *h.previous
		s.SenderView = h.sender
		return s, true
	}
	s := v1alpha1.MailServerStatus{
		Hostname: h.server.Hostname, Unsafe: unsafeStatus(h.decision.Unsafe), SenderView: h.sender,
		ZoneRef: &v1alpha1.ZoneReference{Namespace: h.zone.Namespace, Name: h.zone.Name},
	}
	s.Records, s.ForeignRecords = servedRecords(h)
	s.OwnRecords = ownRecords(h)
	s.Aliases = aliasStatuses(h)
	for _, k := range h.decision.Keys {
		s.Keys = append(s.Keys, keyStatus(k))
	}
	for _, o := range h.decision.Owners {
		for _, v := range o.Versions {
			s.Versions = append(s.Versions, versionStatus(v))
		}
	}
	s.Endpoints = endpointStatuses(h)
	s.Nameservers = nameserverStatuses(h)
	if h.previous != nil {
		s.Troubles = h.previous.Troubles
	}
	h.carryOver(&s)
	s.Troubles = remember(s.Troubles, troubles(&s), run.now)
	return s, !h.left(run) || !h.removed()
}

// left says whether the host has left the spec.
func (h *hostRun) left(run *domainRun) bool {
	return !slices.Contains(hostnames(run.md), h.server.Hostname)
}

// removed says whether nothing of ours stands in DNS any more, nor in any cache.
func (h *hostRun) removed() bool {
	return h.removing && h.decided && h.takenOut() && h.decision.Untrusted
}

// servedRecords are the records that the servers show, and the foreign ones among them.
func servedRecords(h *hostRun) (served, foreign []string) {
	for i, o := range h.decision.Owners {
		seen := h.view.owners[o.Name]
		if seen.last == nil {
			s, f := previousRecords(h, o.Name)
			served, foreign = append(served, s...), append(foreign, f...)
			continue
		}
		for _, r := range shown(seen.last) {
			line := fmt.Sprintf("%s %d IN TLSA %s", o.Name, int64(r.ttl/time.Second), r.record)
			served = append(served, line)
			if slices.Contains(h.decision.Owners[i].Foreign, r.record) {
				foreign = append(foreign, line)
			}
		}
	}
	return served, foreign
}

// previousRecords carries on what status said of an owner that was not asked lately.
func previousRecords(h *hostRun, owner string) (served, foreign []string) {
	if h.previous == nil {
		return nil, nil
	}
	of := func(lines []string) []string {
		return slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return !strings.HasPrefix(l, owner+" ") })
	}
	return of(h.previous.Records), of(h.previous.ForeignRecords)
}

type shownRecord struct {
	record tlsa.Record
	ttl    time.Duration
}

// shown are the records of a sweep: what any address shows, each with the longest TTL.
func shown(s *rollover.Sweep) []shownRecord {
	ttls := map[tlsa.Record]time.Duration{}
	for _, a := range s.Answers {
		for _, r := range a.Records {
			ttls[r] = max(ttls[r], a.TTL)
		}
	}
	var out []shownRecord
	for r, ttl := range ttls {
		out = append(out, shownRecord{r, ttl})
	}
	slices.SortFunc(out, func(a, b shownRecord) int { return tlsa.Compare(a.record, b.record) })
	return out
}

// ownRecords are the records that we answer for: those wanted, and those we once wrote that some
// server may still show, or some cache may still hold.
func ownRecords(h *hostRun) []string {
	var own []tlsa.Record
	for _, o := range h.decision.Owners {
		own = append(own, o.Own...)
		if h.unseenStands(o) {
			own = append(own, h.written...)
		}
		for _, v := range o.Versions {
			for _, r := range v.Records {
				if slices.Contains(h.written, r) {
					own = append(own, r)
				}
			}
		}
	}
	return presentations(own)
}

// unseenStands says that nothing is known of what servers show of an owner now, or have shown: what was written may
// stand there.
func (h *hostRun) unseenStands(o rollover.OwnerDecision) bool {
	last := h.view.owners[o.Name].newest()
	answered := last != nil && slices.ContainsFunc(last.Answers, func(a rollover.Answer) bool { return a.Reachable })
	return len(o.Versions) == 0 && !answered
}

// endpointStatuses lists what the endpoints presented. The time of a probe changes with what was found
// and not by itself: an object at rest is not written.
func endpointStatuses(h *hostRun) []v1alpha1.EndpointStatus {
	if h.view.last == nil {
		if h.previous != nil {
			return h.previous.Endpoints
		}
		return nil
	}
	var out []v1alpha1.EndpointStatus
	for _, e := range h.view.probes {
		out = append(out, endpointStatus(h, e)...)
	}
	if h.previous == nil || !sameEndpoints(out, h.previous.Endpoints) {
		return out
	}
	return h.previous.Endpoints
}

func sameEndpoints(a, b []v1alpha1.EndpointStatus) bool {
	return slices.EqualFunc(a, b, func(x, y v1alpha1.EndpointStatus) bool {
		x.LastProbe, y.LastProbe = nil, nil
		return x == y
	})
}

func endpointStatus(h *hostRun, e endpointProbe) []v1alpha1.EndpointStatus {
	var out []v1alpha1.EndpointStatus
	seen := map[string]bool{}
	for i, r := range e.results {
		if r.Outcome != probe.Presented || len(r.Chain) == 0 {
			continue
		}
		spki := spkiOfChain(r.Chain)
		if seen[spki] {
			continue
		}
		seen[spki] = true
		verified, message := verify(h, e, i)
		if !verified && isCompared(message) && h.outdated(e.port) {
			verified, message = h.foundBefore(e, spki)
		}
		out = append(out, v1alpha1.EndpointStatus{Address: e.address, Port: e.port, SPKISHA256: spki, Verified: verified, LastProbe: statusTime(r.End), Message: message})
	}
	if len(out) == 0 && len(e.results) > 0 {
		r := e.results[0]
		out = append(out, v1alpha1.EndpointStatus{Address: e.address, Port: e.port, LastProbe: statusTime(r.End), Message: r.Message})
	}
	return out
}

// The messages of an endpoint whose chain could not be compared with what is served now.
const (
	notCompared    = "no answer of the name servers to compare with yet"
	notProbedSince = "the records have changed since it was probed: it is probed again"
)

// isCompared says whether a message tells how a chain compares.
func isCompared(message string) bool { return message != notCompared && message != notProbedSince }

// verify says whether a presented chain matches what the servers show now, as a sender sees it.
func verify(h *hostRun, e endpointProbe, result int) (matched bool, message string) {
	seen := h.view.owners[ownerName(h.server.Hostname, e.port)]
	if seen.last == nil {
		return false, notCompared
	}
	c := e.compared.compare(result, e.results[result], seen.last, referenceNames(h.server.Hostname, h.mailDomain))
	return c.matched, c.message
}

// nameserverStatuses says of each address whether it shows what is wanted, at every owner.
func nameserverStatuses(h *hostRun) []v1alpha1.NameserverSync {
	byAddress := map[string]*v1alpha1.NameserverSync{}
	for _, o := range h.decision.Owners {
		seen := h.view.owners[o.Name]
		if seen.last == nil {
			if h.previous != nil {
				return h.previous.Nameservers
			}
			return nil
		}
		for _, a := range seen.last.Answers {
			s, ok := byAddress[a.Address]
			if !ok {
				s = &v1alpha1.NameserverSync{Name: a.Name, Address: a.Address, InSync: true}
				byAddress[a.Address] = s
			}
			if problem := answerProblem(o, a); problem != "" && s.Message == "" {
				s.InSync, s.Message = false, problem
			}
		}
	}
	var out []v1alpha1.NameserverSync
	for _, s := range byAddress {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b v1alpha1.NameserverSync) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Address, b.Address))
	})
	return out
}

// answerProblem says what is wrong with the answer of one address, in words; empty when nothing is.
func answerProblem(o rollover.OwnerDecision, a rollover.Answer) string {
	for _, f := range o.Behind {
		if f.Address == a.Address && f.Name == a.Name {
			return cmp.Or(a.Message, f.Problem+" for "+o.Name)
		}
	}
	return ""
}

// nextTransition is the next thing that will happen by itself, over all hosts.
func nextTransition(run *domainRun) *v1alpha1.Transition {
	var best *v1alpha1.Transition
	var bestTime time.Time
	for _, h := range run.hosts {
		if h.notManaged {
			continue
		}
		if h.halted() {
			best = cmp.Or(best, &v1alpha1.Transition{Action: truncate(h.held(), 512)})
			continue
		}
		at, action := h.awaited()
		if action == "" {
			continue
		}
		if best == nil || bestTime.IsZero() && !at.IsZero() || !at.IsZero() && at.Before(bestTime) {
			best = &v1alpha1.Transition{Time: statusTime(at), Action: truncate(h.server.Hostname+": "+action, 512)}
			bestTime = at
		}
	}
	return best
}

// awaited is what a host waits for, and when that is over; the zero time where nobody knows.
func (h *hostRun) awaited() (time.Time, string) {
	switch {
	case h.decision.NextAction != "":
		return h.decision.Next, h.decision.NextAction
	case len(h.decision.Waits) > 0:
		return time.Time{}, h.decision.Waits[0].Message
	case h.keyArrives():
		return h.decision.Next, h.heldElsewhere
	}
	return h.decision.Next, ""
}

// halted says that nothing happens for a host by itself.
func (h *hostRun) halted() bool { return !h.decided || h.refused != nil }

// held says why nothing happens for a host.
func (h *hostRun) held() string {
	if h.refused != nil {
		return h.refused.message
	}
	return "the zone of " + h.server.Hostname + " is not ready: see its DNSZone"
}

// truncate cuts a text to so many bytes, before a character.
func truncate(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

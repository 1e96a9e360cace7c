package history

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// This file is what senders do, and what must never be. It shares no code with the product but the type
// of a record.

// Violation is a promise that was broken.
type Violation struct {
	// Promise is S1 to S7 or L1 to L3, as docs/reliability.md has them.
	Promise string
	At      time.Duration
	What    string
}

func (v *Violation) String() string { return fmt.Sprintf("%s after %s: %s", v.Promise, v.At, v.What) }

// fail notes the first violation; the history ends with it.
func (h *History) fail(promise, format string, args ...any) {
	if h.violation == nil {
		h.violation = &Violation{promise, h.now.Sub(begin), fmt.Sprintf(format, args...)}
		if promise[0] == 'S' {
			h.say("ORACLE", "%s", h.violation)
		}
	}
}

// answerAppeared checks an answer that a sender may get from now on.
func (h *History) answerAppeared(owner string, v *held) {
	of := h.hostOf(owner)
	for _, each := range of.each() {
		for _, r := range each.replicas {
			h.check(each, r, owner, v)
		}
	}
}

// chainAppeared checks a chain that a sender may meet from now on.
func (h *History) chainAppeared(of *host, r *replica) {
	for _, owner := range of.owners() {
		for _, v := range h.resolvers.current(owner) {
			h.check(of, r, owner, v)
		}
	}
}

func (h *History) check(of *host, r *replica, owner string, v *held) {
	chain := of.presents(r)
	if chain == nil || v.byHand {
		return
	}
	h.checks++
	promise, problem := accepts(v.records, chain, of.created[owner])
	if problem == "" {
		return
	}
	if of.of.unguarded || h.now.Before(of.vouchedUntil) && chain != h.mountedBy(of) {
		h.risked++
		return
	}
	if of.risks() || h.now.Before(of.riskUntil) {
		h.risked++
		h.expectAnnouncement(of, chain, v)
		return
	}
	h.fail(promise, "%s at %s presents key %s, and a cache may hold %s: %s", of.name, r.addr, chain.key.digest[:6], v.answer, problem)
}

// accepts says what is wrong with an answer for a chain: a sender that heeds all of it (RFC 7671 section 9)
// finds no match, which breaks S1; or one that knows a combination of usage 3 alone does not, which breaks
// S2 where records of ours are of that combination.
func accepts(records []tlsa.Record, chain *issued, ours map[tlsa.Record]bool) (promise, problem string) {
	if !slices.ContainsFunc(agile(records), func(r tlsa.Record) bool { return chain.matches[r] }) {
		return "S1", "no record matches"
	}
	for _, r := range records {
		if r.Usage != tlsa.UsageDANEEE || !ours[r] {
			continue
		}
		if !slices.ContainsFunc(records, func(o tlsa.Record) bool { return o.Parameters == r.Parameters && chain.matches[o] }) {
			return "S2", fmt.Sprintf("no record %d %d %d matches", r.Usage, r.Selector, r.MatchingType)
		}
	}
	return "", ""
}

// agile are the records that a sender heeds who knows every digest: of each usage and selector the
// strongest alone.
func agile(records []tlsa.Record) []tlsa.Record {
	var out []tlsa.Record
	for _, r := range records {
		stronger := func(o tlsa.Record) bool {
			return o.Usage == r.Usage && o.Selector == r.Selector && o.MatchingType > r.MatchingType
		}
		if !slices.ContainsFunc(records, stronger) {
			out = append(out, r)
		}
	}
	return out
}

// announceWithin is how soon a danger has to be told of that the operator could not keep off: L3.
const announceWithin = 10 * time.Minute

// expectAnnouncement wants the status to tell of a danger that lasts. It may have done so by then: the operator
// counts with one TTL for what it tells of, and with two before it hands a key out.
func (h *History) expectAnnouncement(of *host, chain *issued, v *held) {
	began := h.now
	if v.serving == 0 && began.After(v.until.Add(-v.keeps(h.resolvers.floor))) {
		return // only caches hold it that keep an answer for longer than its TTL
	}
	h.after(announceWithin, func() {
		lasts := (v.serving > 0 || !h.now.After(v.until)) && slices.ContainsFunc(of.replicas, func(r *replica) bool { return slices.Contains(r.chains[:], chain) })
		if lasts && h.calm(of.of) && !h.announced(of) && of.announcedAt.Before(began) {
			h.fail("L3", "%s: senders that hold %s fail at key %s, and the status does not say so", of.name, v.answer, chain.key.digest[:6])
		}
	})
}

// calm says that nothing has kept the operator from looking for long enough.
func (h *History) calm(d *mailDomain) bool {
	return h.running() && !h.waitsForItsClock() && h.now.After(h.troubled.Add(announceWithin)) && !d.disturbed() && !d.unguarded
}

// waitsForItsClock says whether an operator decides nothing, since its clock is behind that of the API server.
func (h *History) waitsForItsClock() bool {
	return slices.ContainsFunc(h.operators, func(op *operator) bool { return op.live && op.clock.ahead < h.apiAhead-10*time.Second })
}

// announced says whether the status tells of a danger at a host.
func (h *History) announced(of *host) bool {
	md := h.object(of.of)
	if md == nil {
		return true // there is nobody to say it
	}
	for i := range md.Status.MailServers {
		if s := &md.Status.MailServers[i]; s.Hostname == of.name {
			if s.Unsafe != nil {
				return true
			}
			break
		}
	}
	// What is not known of the MailDomain as a whole is no news of the host.
	c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionRolloverSafe)
	return c == nil || c.Status != metav1.ConditionTrue && strings.Contains(c.Message, of.name)
}

// maxRecords is Microsoft's limit.
const maxRecords = 12

// judgeUpdate checks what the operator does to the records of an owner. unread says what it could not read.
func (h *History) judgeUpdate(change zone.Change, unread blindness) {
	of := h.hostOf(change.Owner)
	before := h.servers.stored[change.Owner].records
	removes := false
	for _, r := range before {
		if slices.Contains(change.Want, r) {
			continue
		}
		removes = true
		if !of.created[change.Owner][r] {
			h.judgeForeign(of, r)
		}
		delete(of.lost[change.Owner], r)
	}
	for _, r := range change.Want {
		if !slices.Contains(before, r) {
			of.created.add(change.Owner, r)
		}
	}
	if change.Owner == of.other && len(change.Want) > 0 {
		h.count("update at a second port")
	}
	if removes && !of.leaves() && h.lists(of, change.Owner) {
		h.judgeRemoval(of, before, change.Want, unread)
	}
	if len(change.Want) > maxRecords {
		h.fail("S7", "%d records are written at %s", len(change.Want), of.owner)
	}
}

// judgeForeign checks that a record which is not the operator's own goes only where a person wants that.
func (h *History) judgeForeign(of *host, r tlsa.Record) {
	if h.now.After(of.of.removesUntil) {
		h.fail("S4", "the operator removes a record of %s that it did not make: %v", of.name, r)
		return
	}
	h.count("foreign record removed")
}

// blindness is what a process could not read when it asked for an update: objects of the API server in the same
// reconcile, the primary in its newest sweep of the owner, an endpoint in its newest probes of the host.
type blindness struct{ objects, primary, endpoint bool }

// judgeRemoval checks that nothing is taken out while something cannot be read. What endpoints present matters where
// all records go that some endpoint was matched by.
func (h *History) judgeRemoval(of *host, before, after []tlsa.Record, unread blindness) {
	switch {
	case unread.objects:
		h.fail("S5", "records of %s are removed by a reconcile that could not read everything", of.name)
	case unread.primary:
		h.fail("S5", "records of %s are removed although the primary did not answer when it was last asked", of.name)
	case unread.endpoint && !h.now.Before(of.vouchedUntil):
		for chain := range of.presented {
			matched := func(r tlsa.Record) bool { return chain.matches[r] }
			if slices.ContainsFunc(before, matched) && !slices.ContainsFunc(after, matched) {
				h.fail("S5", "the records of a key of %s are removed although not every endpoint could be probed", of.name)
				return
			}
		}
	}
}

// leaves says whether a person has the host's records taken out.
func (of *host) leaves() bool {
	return of.of.deleted != nil || of.of.away != nil && of.of.away.Hostname == of.name
}

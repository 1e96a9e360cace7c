package controllers

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/mailplan"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// This file has records written and looked at.

// recordShare is what the records of mail domains at rest share: beyond nine hundred of them, each waits longer for its
// turn than probeIntervals, since one takes the time of five owners.
const recordShare = 5 * sweepShare

// setName is the RRset of a record.
func setName(record mailplan.Record, domain string) zone.SetName {
	return zone.SetName{Owner: record.Name(domain) + ".", Type: zone.Type(record.Type())}
}

// publishRecords queues the updates that were decided on. Their outcome wakes the MailDomain again.
func (r *MailDomainReconciler) publishRecords(run *domainRun) {
	for _, rr := range run.allRecords() {
		if rr.entry.client != nil {
			r.publishOf(run, rr)
		}
	}
}

func (r *MailDomainReconciler) publishOf(run *domainRun, rr *recordsRun) {
	key, in, actor, about := rr.key(run), rr.zoneName(), rr.entry.client, rr.subject
	var due []*recordRow
	for _, row := range rr.rows {
		if row.decision.Write && r.records.beginPublish(key, in, row.record, run.now) {
			due = append(due, row)
		}
	}
	for _, row := range due {
		began, record, d := r.Clock.Now(), row.record, row.decision
		change := zone.SetChange{SetName: setName(record, about.name), Expect: d.Expect, Want: d.Records, TTL: mailplan.DefaultTTL}
		actor.PublishSet(change, func(result zone.Result) {
			now := r.Clock.Now()
			r.counts.Update(string(result.Class), now.Sub(began))
			r.records.endPublish(key, in, record, result, now)
			if !r.sweepRecords(actor, key, in, about, false) {
				r.records.wake(key.domain)
			}
		})
	}
}

// sweepRecords begins a sweep of all records of a subject; later says that nobody waits for it. It says no while one is
// under way, or an update.
func (r *MailDomainReconciler) sweepRecords(actor zone.Client, key recordKey, in types.NamespacedName, about subject, later bool) bool {
	if !r.records.beginSweep(key, in) {
		return false
	}
	var asked []zone.SetName
	for _, record := range about.records {
		asked = append(asked, setName(record, about.name))
	}
	actor.SweepSets(asked, later, func(found []zone.SetSweep) { r.records.endSweep(key, in, about.records, found) })
	return true
}

// observeRecords starts what is due for the records of a mail domain, and says when to look again.
func (r *MailDomainReconciler) observeRecords(run *domainRun) time.Duration {
	wait := never
	var names []string
	for _, rr := range run.allRecords() {
		names = append(names, rr.subject.name)
		wait = min(wait, r.observeOf(run, rr))
	}
	r.records.forget(run.key(), names...)
	if run.records != nil && run.records.entry.client != nil {
		wait = min(wait, r.lookElsewhere(run))
	}
	return wait
}

// observeOf is observeRecords for one subject.
func (r *MailDomainReconciler) observeOf(run *domainRun, rr *recordsRun) time.Duration {
	wait := rr.untilDecision(run.now)
	if rr.zone == nil {
		return wait
	}
	if rr.entry.client == nil {
		return min(wait, 5*time.Second) // a zone that is not loaded yet is looked for again
	}
	key, in := rr.key(run), rr.zoneName()
	for _, row := range rr.rows {
		r.records.noteSync(key, in, row.record, row.settled(), run.now)
	}
	every := rr.pace(run.now)
	due := rr.due(run, every)
	if due <= 0 {
		r.sweepRecords(rr.entry.client, key, in, rr.subject, every >= rr.idle())
		due = every
	}
	return max(min(wait, due), retrySoon)
}

// lookElsewhere starts what is due of the looks at what records rest on that stands elsewhere.
func (r *MailDomainReconciler) lookElsewhere(run *domainRun) time.Duration {
	wait, rr, in := never, run.records, run.records.zoneName()
	if row := rr.row(mailplan.SPF); row.facts.Goal == mailplan.Keep && r.looks.senders.enabled() && mailplan.NeedsCount(row.wish.Data) {
		wait = min(wait, r.looks.count(run, in, spfLimitsOf, row.wish.Data[0], time.Time{}))
	}
	if row := rr.row(mailplan.DMARC); row.facts.Goal == mailplan.Keep && r.looks.senders.enabled() && len(mailplan.Reported(run.md.Spec.Domain, row.wish.Data)) > 0 {
		wait = min(wait, r.looks.count(run, in, dmarcLimitsOf, row.wish.Data[0], run.agreedSince()))
	}
	if row := rr.row(mailplan.MTASTS); row.facts.Goal == mailplan.Keep && row.wish.Policy != "" {
		wait = min(wait, r.looks.get(run, in, row.wish.Policy))
	}
	return max(wait, retrySoon)
}

// agreedSince is when an agreement that the operator publishes itself was published last; zero where there is none.
func (run *domainRun) agreedSince() time.Time {
	var out time.Time
	for _, row := range run.recordRows() {
		if p := row.previous; row.record == mailplan.DMARCReport && p != nil && p.State == v1alpha1.MailRecordPublished && timeOf(p.Since).After(out) {
			out = timeOf(p.Since)
		}
	}
	return out
}

// settled says that nothing is to be seen that is not there yet.
func (row *recordRow) settled() bool {
	if row.decision.State == mailplan.Published {
		return row.decision.InSync
	}
	return !row.decision.Moving()
}

// patient is how long a record that is not settled is looked at often.
const patient = 10 * time.Minute

// interval is the pace of what moves.
func (rr *recordsRun) interval() time.Duration {
	return max(rr.zone.Spec.Propagation.Interval.Or(10*time.Second), 100*time.Millisecond)
}

// idle is the pace of what waits for nothing: that of probes.
func (rr *recordsRun) idle() time.Duration {
	return min(max(probeIntervals*rr.interval(), 30*time.Second, time.Duration(rr.domains)*recordShare), time.Hour)
}

// pace is how often the servers are asked.
func (rr *recordsRun) pace(now time.Time) time.Duration {
	every := rr.idle()
	for _, row := range rr.rows {
		switch since := row.seen.outSince; {
		case row.decision.Write || row.seen.stale:
			every = rr.interval()
		case row.settled():
		case since.IsZero() || now.Sub(since) < patient:
			every = rr.interval()
		default:
			every = min(every, max(soakIntervals*rr.interval(), 2*time.Second))
		}
	}
	return every
}

// due is when the next sweep is. At rest each mail domain has an instant of its own.
func (rr *recordsRun) due(run *domainRun, every time.Duration) time.Duration {
	if rr.page.swept.IsZero() || every < rr.idle() {
		return dueIn(run.now, rr.page.swept, every)
	}
	return nextTurn(rr.page.swept, every, hostKey{domain: run.key()}).Sub(run.now)
}

// untilDecision is when a record is to be decided on again for the time that has passed.
func (rr *recordsRun) untilDecision(now time.Time) time.Duration {
	wait := never
	for _, row := range rr.rows {
		if next := row.decision.Next; !next.IsZero() {
			wait = min(wait, next.Sub(now))
		}
		if row.seen.retryAt.After(now) {
			wait = min(wait, row.seen.retryAt.Sub(now))
		}
		if !row.seen.outSince.IsZero() && row.facts.WasPublished {
			wait = min(wait, time.Minute)
		}
		if row.decision.State == mailplan.Waiting {
			wait = min(wait, time.Minute)
		}
	}
	return max(wait, retrySoon)
}

package controllers

import (
	"cmp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/mailplan"
	"github.com/dane-operator/dane-operator/internal/rollover"
)

// recordsRun are the records of a mail domain, or of a name beside it, in one reconcile. It is nil for a MailDomain without any.
type recordsRun struct {
	subject subject

	zone  *v1alpha1.DNSZone
	entry zoneEntry
	page  recordPage
	// domains is how many mail domains have records.
	domains int
	rows    []*recordRow
}

// recordRow is one record: what is known, and what was decided.
type recordRow struct {
	record   mailplan.Record
	previous *v1alpha1.MailRecordStatus
	seen     recordSeen
	wish     mailplan.Wish
	facts    mailplan.Facts
	decision mailplan.Decision
}

// key is where what is known of them is kept.
func (rr *recordsRun) key(run *domainRun) recordKey { return rr.subject.key(run.key()) }

// allRecords are the records of the mail domain, and of the names beside it; none for a MailDomain without any.
func (run *domainRun) allRecords() []*recordsRun {
	if run.records == nil {
		return nil
	}
	return append([]*recordsRun{run.records}, run.beside...)
}

// recordRows are all of them.
func (run *domainRun) recordRows() []*recordRow {
	var out []*recordRow
	for _, rr := range run.allRecords() {
		out = append(out, rr.rows...)
	}
	return out
}

// row is that of a record of the mail domain.
func (rr *recordsRun) row(record mailplan.Record) *recordRow {
	return rr.rows[slices.Index(mailplan.Records, record)]
}

// zoneName names the DNSZone; empty where there is none.
func (rr *recordsRun) zoneName() types.NamespacedName {
	if rr.zone == nil {
		return types.NamespacedName{}
	}
	return client.ObjectKeyFromObject(rr.zone)
}

// zonesOfHosts are the DNSZones of the hosts.
func (run *domainRun) zonesOfHosts() []*v1alpha1.DNSZone {
	var out []*v1alpha1.DNSZone
	for _, h := range run.hosts {
		out = append(out, h.zone)
	}
	return out
}

// gatherRecords finds out what is known of the records of a mail domain, and decides. It comes after the hosts: MX records
// name them when they are ready.
func (r *MailDomainReconciler) gatherRecords(run *domainRun, w *world) {
	md := run.md
	if !concernsRecords(md) {
		return
	}
	run.records = &recordsRun{subject: subjectOf(md)}
	r.decideRecords(run, w, run.records)
	asked := besides(md)
	for _, s := range append(asked, left(md, asked)...) {
		rr := &recordsRun{subject: s}
		if r.decideRecords(run, w, rr); rr.concerns() {
			run.beside = append(run.beside, rr)
		}
	}
}

// concerns says whether a name beside the domain is of any concern. An agreement that we may not publish is asked for
// elsewhere.
func (rr *recordsRun) concerns() bool {
	return slices.ContainsFunc(rr.rows, func(row *recordRow) bool {
		return row.record != mailplan.DMARCReport || rr.zone != nil || len(row.facts.Own) > 0
	})
}

// decideRecords finds out what is known of the records of a subject, and decides.
func (r *MailDomainReconciler) decideRecords(run *domainRun, w *world, rr *recordsRun) {
	refused := (*refusal)(nil)
	if rr.zone, refused = w.mailZone(run.md.Namespace, rr.subject.grant); rr.zone != nil {
		rr.entry, _ = r.zoneEntry(rr.zoneName())
	}
	rr.page, rr.domains = r.records.view(rr.key(run), rr.zoneName())
	for _, record := range rr.subject.records {
		previous := run.md.Status.RecordAt(v1alpha1.MailRecord(record), record.Name(rr.subject.name))
		row := &recordRow{record: record, previous: previous, seen: rr.page.records[record]}
		rr.rows = append(rr.rows, row)
		row.facts = r.recordFacts(run, rr, row)
		row.facts.Refused = recordRefused(run, w, rr, row, refused)
		row.decision = mailplan.Decide(row.facts)
	}
}

// recordRefused says why a record may not be written. What nobody asks for needs nobody's leave.
func recordRefused(run *domainRun, w *world, rr *recordsRun, row *recordRow, refused *refusal) string {
	switch {
	case row.facts.Goal == mailplan.Look:
		return ""
	case refused != nil:
		return refused.message
	case row.facts.Goal != mailplan.Keep:
		return ""
	}
	for _, h := range run.hosts {
		if h.server.Hostname == rr.subject.name && rr != run.records && h.refused != nil {
			return h.refused.message // the mail server is another's
		}
	}
	if other := w.recordOwnedElsewhere(run.md, rr.zone, rr.subject, row.record); other != "" {
		return row.record.Title() + " of " + rr.subject.grant + " belongs to " + other + ", which is older and asks for it: take it out of one of them"
	}
	return ""
}

// recordFacts gathers what the decision for a record rests on. The MX records come first of all rows, since others rest on
// them.
func (r *MailDomainReconciler) recordFacts(run *domainRun, rr *recordsRun, row *recordRow) mailplan.Facts {
	md := run.md
	f := mailplan.Facts{
		Now: run.now, Record: row.record, Name: row.record.Name(rr.subject.name), Goal: goalOf(md, rr.subject, row.record), Adopt: adopts(md, row.record),
		Suspended: md.Spec.Suspend, Sweep: row.seen.sweep, Stale: row.seen.stale || row.seen.publishing,
		Validate: md.Spec.DNSSEC != v1alpha1.DNSSECIgnored && dnssecFacts(rr.entry).State != dnssec.Insecure,
		Lost:     controllerutil.ContainsFinalizer(md, v1alpha1.Finalizer) && len(md.Status.MailServers) == 0 && len(md.Status.Records) == 0,
		HeldBack: run.now.Before(row.seen.retryAt) || row.seen.publishing || rr.entry.client == nil,
	}
	f.Failure, f.Final = row.seen.failure()
	if row.previous != nil {
		f.Own = row.previous.Own
	}
	if rr == run.records {
		r.addWish(run, row, &f)
	} else {
		addWishBeside(md, rr.subject, row, &f)
	}
	f.WasPublished = row.previous != nil && row.previous.State == v1alpha1.MailRecordPublished && slices.Equal(row.previous.Wanted, f.Wanted())
	f.Late = !row.seen.outSince.IsZero() && run.now.Sub(row.seen.outSince) >= rr.timeout()
	return f
}

// addWishBeside adds what the spec asks for at a name beside the domain.
func addWishBeside(md *v1alpha1.MailDomain, at subject, row *recordRow, f *mailplan.Facts) {
	row.wish = wishBeside(md, at, row.record)
	f.Want, f.Invalid = row.wish.Data, row.wish.Invalid
	if row.record == mailplan.DMARCReport && f.Goal == mailplan.Keep && f.Agreed() {
		f.Goal = mailplan.Look // by a record of somebody else's, which may say more
	}
}

// timeout is how long servers may be behind before that is told.
func (rr *recordsRun) timeout() time.Duration {
	if rr.zone == nil {
		return time.Hour
	}
	return rr.zone.Spec.Propagation.Timeout.Or(time.Hour)
}

// addWish adds what the spec asks for, and what that rests on.
func (r *MailDomainReconciler) addWish(run *domainRun, row *recordRow, f *mailplan.Facts) {
	if row.record == mailplan.MX {
		if asksFor(run.md, mailplan.MX) {
			f.Exchanges = run.exchanges()
		}
		f.Leaving = leavingOf(row.previous)
		return
	}
	row.wish = wishOf(run.md, row.record, run.mxHosts(), run.leavingHosts())
	f.Want, f.Invalid = row.wish.Data, row.wish.Invalid
	switch {
	case f.Invalid != "" || f.Goal != mailplan.Keep:
	case row.record == mailplan.MTASTS:
		f.Hold = r.looks.hold(run.records.page.policy, run.md.Spec.Domain, row.wish.Policy)
	case row.record == mailplan.SPF && r.looks.senders.enabled() && mailplan.NeedsCount(f.Want):
		f.Invalid, f.Hold = spfLimits(run.records.page.spf, f.Want[0], f.Own)
	case row.record == mailplan.DMARC && r.looks.senders.enabled() && len(mailplan.Reported(run.md.Spec.Domain, f.Want)) > 0:
		f.Hold = dmarcHold(run.records.page.dmarc, f.Want[0])
	}
}

// spfLimits says whether an SPF record keeps the limits, and what it waits for until that is known. One of ours has kept
// them: it does not wait for lookups that fail now.
func spfLimits(look limitsLook, want string, own []string) (invalid, hold string) {
	switch {
	case look.data == want && !look.at.IsZero() && look.limits.Invalid != "":
		return look.limits.Invalid, ""
	case slices.Contains(own, want):
		return "", ""
	case look.data != want || look.at.IsZero():
		return "", "SPF: what receivers have to look up for it is being counted"
	case look.limits.Unknown != "":
		return "", look.limits.Unknown
	}
	return "", ""
}

// dmarcHold says what a DMARC record waits for: that those elsewhere whom reports go to take them. One that stands is not
// taken out for it.
func dmarcHold(look limitsLook, want string) string {
	if look.data != want || look.at.IsZero() {
		return "DMARC: whether those that reports go to take them is being looked up"
	}
	return cmp.Or(look.limits.Invalid, look.limits.Unknown)
}

// mxHosts are the mail servers that the MX records name, or those of the spec where that is not known.
func (run *domainRun) mxHosts() []string {
	if found := run.records.row(mailplan.MX).decision.Found; len(found) > 0 {
		return mailplan.Hosts(found)
	}
	return hostnames(run.md)
}

// leavingHosts are the mail servers that caches may still name.
func (run *domainRun) leavingHosts() []string {
	var out []string
	for _, l := range run.records.row(mailplan.MX).decision.Leaving {
		out = append(out, l.Host)
	}
	return out
}

func leavingOf(s *v1alpha1.MailRecordStatus) []mailplan.Leaving {
	var out []mailplan.Leaving
	if s != nil {
		for _, l := range s.Leaving {
			out = append(out, mailplan.Leaving{Host: l.Hostname, Until: timeOf(l.Until)})
		}
	}
	return out
}

// exchanges are the mail servers that the MX records are to name.
func (run *domainRun) exchanges() []mailplan.Exchange {
	var out []mailplan.Exchange
	for _, h := range run.hosts {
		if h.left(run) {
			continue
		}
		out = append(out, mailplan.Exchange{
			Host: h.server.Hostname, Preference: preferenceOf(&h.server), NotReady: cmp.Or(h.notNameable(), run.notInPolicy(h.server.Hostname)),
		})
	}
	return out
}

// notNameable says why senders with DANE may not be able to deliver to a host; empty when they are.
func (h *hostRun) notNameable() string {
	name := h.server.Hostname + ": "
	switch {
	case h.notManaged && h.sender != nil && h.sender.Verdict == v1alpha1.SenderUndeliverable:
		return name + "senders with DANE would not deliver there: " + h.sender.Message
	case h.notManaged, h.removing:
		return ""
	case h.halted():
		return name + h.held()
	case h.decision.Unsafe != nil:
		return name + "its certificate may not match the TLSA records that caches have"
	case !h.decision.Published:
		return name + "its TLSA records are not published at every server yet"
	case slices.ContainsFunc(h.decision.Keys, func(k rollover.KeyState) bool {
		return k.Role == string(v1alpha1.RoleCurrent) && k.Visibility != string(v1alpha1.VisibilityOmnipresent)
	}):
		return name + "caches may not have the TLSA records of its key yet"
	}
	return ""
}

// notInPolicy says that senders with MTA-STS may not deliver to a host: they may have a policy without it until they have
// seen the id of the one with it.
func (run *domainRun) notInPolicy(host string) string {
	sts := run.md.Status.Record(v1alpha1.RecordMTASTS)
	if run.md.Spec.MTASTS == nil || run.md.Spec.MTASTS.Mode != v1alpha1.MTASTSEnforce || sts == nil || len(sts.Found) == 0 {
		return ""
	}
	ttl := mailplan.DefaultTTL
	if sweep := run.records.page.records[mailplan.MTASTS].sweep; sweep != nil {
		ttl = 0
		for _, a := range sweep.Answers {
			ttl = max(ttl, a.TTL)
		}
	}
	names := slices.Contains(mailplan.PolicyHosts(sts.Policy), host)
	if names && sts.State == v1alpha1.MailRecordPublished && !run.now.Before(timeOf(sts.Since).Add(ttl)) {
		return ""
	}
	return host + ": senders with MTA-STS may have a policy that does not name it, until the record of the one that does has been published for as long as caches keep it"
}

// namedByMX says why the records of a host that is removed have to stay: MX records of ours that name it, or that caches
// may hold. It is empty where nothing has. until is when that is over; zero where that is not known yet.
func namedByMX(md *v1alpha1.MailDomain, host string, now time.Time) (why string, until time.Time) {
	mx := md.Status.Record(v1alpha1.RecordMX)
	wanted := md.DeletionTimestamp.IsZero() && slices.Contains(hostnames(md), host)
	if mx == nil || wanted {
		return "", time.Time{}
	}
	at := slices.IndexFunc(mx.Leaving, func(l v1alpha1.LeavingHost) bool {
		return l.Hostname == host && (l.Until == nil || now.Before(l.Until.Time))
	})
	still := slices.ContainsFunc(mx.Own, func(d string) bool {
		return slices.Contains(mx.Found, d) && slices.Contains(mailplan.Hosts([]string{d}), host)
	})
	switch {
	case !still && at < 0:
		return "", time.Time{}
	case !still && mx.Leaving[at].Until != nil:
		until = mx.Leaving[at].Until.Time
		return "caches may hold MX records of " + md.Spec.Domain + " that name the host until " + until.UTC().Format(time.RFC3339), until
	}
	return "MX records of " + md.Spec.Domain + " name the host, or caches may hold some that do", time.Time{}
}

// blindToRecords says that nothing new is known of a record that status tells of.
func (run *domainRun) blindToRecords() bool {
	return slices.ContainsFunc(run.recordRows(), func(row *recordRow) bool {
		return row.previous != nil && row.facts.Sweep == nil && row.facts.Refused == "" && row.facts.Invalid == ""
	})
}

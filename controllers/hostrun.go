package controllers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// hostRun is one host of a MailDomain in one reconcile: what is known, and what was decided.
type hostRun struct {
	key    hostKey
	server v1alpha1.MailServer
	// mailDomain is what senders look up: with usage 2 a certificate may name it instead of the host.
	mailDomain string
	// previous is the status of the host as it was stored; nil before the first time.
	previous *v1alpha1.MailServerStatus
	// removing says that the host's records are to be taken out.
	removing bool
	// notManaged says that the host is somebody else's.
	notManaged bool
	// refused says why the host may not be written; nil when it may.
	refused *refusal
	// apart says which MailDomain of another operator names one of its Certificates; nil for none.
	apart *refusal
	// refusedEnd says that it may not because of where an alias leads: it is looked at all the same.
	refusedEnd bool
	// ends says where each owner is written, by the owner's name.
	ends map[string]ending
	// linked are the zones beside its own that answers for its owners come through.
	linked []linkedZone
	// labels are those of the namespace.
	labels map[string]string
	zone   *v1alpha1.DNSZone
	entry  zoneEntry
	certs  []*certificateFacts
	// missing are the names of Certificates that do not exist.
	missing []string
	view    hostView
	// written are the records that status says are ours. lost says that the status is gone: they are then those
	// of the keys that are known.
	written []tlsa.Record
	lost    bool
	// handedOver says that another MailDomain has taken the host over at a port.
	handedOver func(port int32) bool
	facts      rollover.Facts
	// decided says that decision holds something.
	decided  bool
	decision rollover.Decision
	// heldElsewhere says which other MailDomain of its Certificate holds the new key back; empty for none.
	heldElsewhere string
	// counting says that the status kept its counts although there is more to count.
	counting bool
	// sender is what senders do with mail for the host; nil while it is not known.
	sender *v1alpha1.SenderViewStatus
}

// settings are what the operator's flags say of the rule.
type settings struct {
	// unknownHistory is how long an answer that may have been in DNS before we looked is believed cached.
	unknownHistory time.Duration
	// reportQuiet and maxReportHold say how long reports of failures keep records.
	reportQuiet, maxReportHold time.Duration
}

// ownerName is the TLSA owner of a host and port (RFC 7671 section 3).
func ownerName(host string, port int32) string {
	return fmt.Sprintf("_%d._tcp.%s.", port, host)
}

// policyOf turns the spec of a MailDomain and of its zone into the rule's policy.
func policyOf(md *v1alpha1.MailDomain, z *v1alpha1.DNSZone, h *hostRun, s settings) (rollover.Policy, error) {
	params, err := parametersOf(md)
	if err != nil {
		return rollover.Policy{}, err
	}
	additional, err := recordsOf(md.Spec.TLSA.AdditionalRecords)
	if err != nil {
		return rollover.Policy{}, err
	}
	interval := z.Spec.Propagation.Interval.Or(10 * time.Second)
	p := rollover.Policy{
		Strategy:       rollover.Strategy(md.Spec.Rollover.Strategy),
		Parameters:     params,
		TTL:            time.Duration(md.Spec.TLSA.TTL) * time.Second,
		Additional:     additional,
		RemoveForeign:  md.Spec.TLSA.ForeignRecords == v1alpha1.ForeignRemove,
		PublishSafety:  md.Spec.Rollover.PublishSafety.Or(time.Hour),
		RetireSafety:   md.Spec.Rollover.RetireSafety.Or(24 * time.Hour),
		DeadlineBefore: md.Spec.Rollover.Deadline.BeforeExpiry.Or(48 * time.Hour),
		Proceed:        md.Spec.Rollover.Deadline.Action == v1alpha1.DeadlineProceed,
		Compromised:    compromisedOf(md),
		DNSSECRequired: md.Spec.DNSSEC != v1alpha1.DNSSECIgnored,
		ProbeDisabled:  h.server.Probe.Mode == v1alpha1.ProbeDisabled,
		Suspended:      md.Spec.Suspend,
		Removing:       h.removing,
		SweepFreshness: max(3*interval, 15*time.Second),
		UnknownHistory: s.unknownHistory,
		ReportQuiet:    s.reportQuiet,
		MaxReportHold:  s.maxReportHold,
	}
	heed(&p, z)
	for _, l := range h.linked {
		heed(&p, l.zone)
	}
	return p, nil
}

// heed takes what a zone says of its servers into account: of several zones the most careful.
func heed(p *rollover.Policy, z *v1alpha1.DNSZone) {
	of := z.Spec.Propagation
	p.Sweeps = max(p.Sweeps, int(cmp.Or(of.Sweeps, 3)))
	p.Delay = max(p.Delay, of.Delay.Or(5*time.Minute))
	p.TTLFloor = max(p.TTLFloor, of.TTLFloor.Or(5*time.Minute))
}

func parametersOf(md *v1alpha1.MailDomain) ([]tlsa.Parameters, error) {
	var out []tlsa.Parameters
	for _, text := range md.Spec.TLSA.Parameters {
		p, err := tlsa.ParseParameters(string(text))
		if err != nil {
			return nil, fmt.Errorf("spec.tlsa.parameters: %w", err)
		}
		out = append(out, p)
	}
	return out, nil
}

func recordsOf[T ~string](texts []T) ([]tlsa.Record, error) {
	var out []tlsa.Record
	for _, text := range texts {
		record, err := tlsa.ParseRecord(string(text))
		if err != nil {
			return nil, fmt.Errorf("TLSA record %q: %w", text, err)
		}
		out = append(out, record)
	}
	return tlsa.Normalize(out), nil
}

// storedRecords reads records from status; what cannot be read is left out, since only the operator
// writes there and a record that is not known is treated as foreign, and kept.
func storedRecords(texts []string) []tlsa.Record {
	var out []tlsa.Record
	for _, text := range texts {
		if record, err := tlsa.ParseRecord(text); err == nil {
			out = append(out, record)
		}
	}
	return tlsa.Normalize(out)
}

func compromisedOf(md *v1alpha1.MailDomain) map[string]bool {
	out := map[string]bool{}
	for _, k := range md.Spec.Rollover.CompromisedKeys {
		out[strings.ToLower(string(k))] = true
	}
	return out
}

// factsOf gathers what the decision for a host rests on.
func factsOf(run *domainRun, h *hostRun, s settings) (rollover.Facts, error) {
	md, now := run.md, run.now
	policy, err := policyOf(md, h.zone, h, s)
	if err != nil {
		return rollover.Facts{}, err
	}
	policy.Named, policy.NamedUntil = namedByMX(md, h.server.Hostname, now)
	if h.refused != nil {
		policy.Suspended = true
	}
	if h.notManaged {
		// Looked at, and never written: the rule says how it is and is asked for nothing else.
		policy.Suspended, policy.RemoveForeign, policy.Additional = true, false, nil
	}
	f := rollover.Facts{
		Now: now, EvenSince: run.evenSince, Host: h.server.Hostname, Policy: policy, KeysComplete: true,
		Rounds: h.view.rounds, LastRound: h.view.last, DNSSEC: h.dnssecFacts(),
		FailureReported: failureReported(md, h.server.Hostname),
	}
	for _, c := range h.certs {
		f.Keys = append(f.Keys, c.keys...)
		f.KeysComplete = f.KeysComplete && len(c.problems) == 0
	}
	f.KeysComplete = f.KeysComplete && len(h.missing) == 0
	slices.SortFunc(f.Keys, func(a, b rollover.Key) int { return strings.Compare(a.ID, b.ID) })
	if h.lost = slices.Contains(md.Finalizers, v1alpha1.Finalizer) && len(md.Status.MailServers) == 0; h.lost {
		h.written = recordsOfKeys(f.Keys)
	}
	if h.previous != nil && !h.notManaged {
		f.States = statesOf(h.previous, md.Spec.Rollover.Strategy)
		f.Unsafe = unsafeOf(h.previous)
	}
	f.Owners = ownersOf(h, h.lost, now)
	return f, nil
}

// recordsOfKeys are what is left of the records that are ours when the status is lost: those of the keys that
// objects still hold. Without them a MailDomain that is being deleted would leave them behind.
func recordsOfKeys(keys []rollover.Key) []tlsa.Record {
	var out []tlsa.Record
	for _, k := range keys {
		out = append(out, k.Records...)
	}
	return tlsa.Normalize(out)
}

// dnssecFacts says how the chain of trust is of the zones that answers for the host come through: the
// worst of them, by name where there are several.
func (h *hostRun) dnssecFacts() rollover.DNSSEC {
	worst := dnssecFacts(h.entry)
	if len(h.linked) == 0 {
		return worst
	}
	worst.Message = "zone " + h.zone.Spec.Zone + ": " + worst.Message
	for _, l := range h.linked {
		d := dnssecFacts(l.entry)
		d.Message = "zone " + l.zone.Spec.Zone + ": " + d.Message
		d.KeysChanging, d.Unsigned = d.KeysChanging || worst.KeysChanging, worst.Unsigned
		if trust(d.State) >= trust(worst.State) {
			d.State, d.Message = worst.State, worst.Message
		}
		worst = d
	}
	return worst
}

// trust ranks the states of a zone: with one that is not Secure nothing is published.
func trust(s dnssec.State) int {
	return slices.Index([]dnssec.State{dnssec.Bogus, dnssec.Insecure, dnssec.Indeterminate, dnssec.Secure}, s)
}

func dnssecFacts(e zoneEntry) rollover.DNSSEC {
	if e.health == nil {
		return rollover.DNSSEC{State: dnssec.Indeterminate, Message: "the zone has not been looked at yet"}
	}
	d := e.health.DNSSEC
	return rollover.DNSSEC{State: d.State, Message: d.Message, KeysChanging: d.KeysChanging || e.unlike > 0, Unsigned: d.Unsigned}
}

// hasRecords says whether anything of ours may stand in DNS for the host.
func (h *hostRun) hasRecords() bool {
	return h.previous != nil && len(h.previous.OwnRecords) > 0
}

// managed says whether the host is ours to write.
func (h *hostRun) managed() bool {
	return !h.notManaged && h.refused == nil && h.decided
}

// ownedElsewhere says that the host belongs to another MailDomain, which has the say. That a name which
// its aliases lead to belongs to another gives that one no say over its keys.
func (h *hostRun) ownedElsewhere() bool {
	return h.refused != nil && h.refused.reason == v1alpha1.ReasonHostOwnedElsewhere && !h.refusedEnd
}

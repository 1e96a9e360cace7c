package zone

import (
	"fmt"
	"slices"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// conflict says that the primary shows something else than the plan was made for.
func conflict(w who, m *member) outcome {
	return outcome{class: Conflict, retryable: true, message: fmt.Sprintf(
		"%s shows %s at %s where %s was expected: somebody else changed them; nothing was overwritten",
		w.server, countText(m.last.records), m.change.Owner, countText(m.change.Expect))}
}

// notStored says what became of an update that was acknowledged, by what shows.
func (w *writer) notStored(m *member) outcome {
	o := outcome{class: NotStored, retryable: true}
	want := m.change.Want
	at := fmt.Sprintf("%s said NOERROR and shows", w.who.server)
	switch {
	case m.last.sameAs(m.before):
		o.message = fmt.Sprintf("%s the old records at %s: it ignored the update; see its log, and look for a CNAME at the name, for an update policy that drops records without a word (PowerDNS: lua-dnsupdate-policy-script)%s, and for a signer behind it that is late", at, m.change.Owner, unsignedPolicyHint(w.who))
	case slices.Equal(m.last.records, want):
		o.message = fmt.Sprintf("%s the records of %s with TTL %s instead of %s: set spec.tlsa.ttl to what the server allows (BIND: max-zone-ttl)", at, m.change.Owner, ttlText(m.last.ttl), ttlText(m.change.TTL))
	case len(m.last.records) < len(want) && subset(m.last.records, want):
		o.message = fmt.Sprintf("%s only %d of the %d records of %s: it limits their number (BIND: the (n) after TLSA in update-policy, max-records-per-type)", at, len(m.last.records), len(want), m.change.Owner)
	default:
		o.message = fmt.Sprintf("%s %s at %s instead of %s: somebody else wrote at the same time, or the server altered them", at, countText(m.last.records), m.change.Owner, countText(want))
	}
	return o
}

// unread says that an update ended like o and that what stands now cannot be read.
func (w *writer) unread(m *member, o outcome) outcome {
	text := o.message + "; it may have been carried out all the same"
	if o.prerequisite {
		text = fmt.Sprintf("%s says that records of the zone %s are not those expected: somebody else changed them, or an earlier update was carried out late", w.who.server, w.who.zone)
	}
	return outcome{class: o.class, retryable: true, message: fmt.Sprintf(
		"%s, and %s could not be read back: %s", text, m.change.Owner, m.last.problem.message)}
}

// tooLarge says that the change of one owner is more than a message can hold.
func (w *writer) tooLarge(m *member, size, limit int) outcome {
	return outcome{class: Malformed, message: fmt.Sprintf(
		"the update of %s was not sent: %s before and %s after it take %d octets, and a message to %s holds %d at most; remove the records at the name that hold whole certificates or keys (matching type 0)",
		m.change.Owner, countText(m.last.own()), countText(m.change.Want), size, w.who.server, limit)}
}

// unsignedPolicyHint names what such a policy drops most.
func unsignedPolicyHint(w who) string {
	if w.key == "" {
		return ", above all of updates without a key (set spec.update.tsigKeyName and tsigSecretSecretRef)"
	}
	return fmt.Sprintf(" or does not know key %s", w.key)
}

func subset(some, all []tlsa.Record) bool {
	return !slices.ContainsFunc(some, func(r tlsa.Record) bool { return !slices.Contains(all, r) })
}

func countText(records []tlsa.Record) string {
	switch len(records) {
	case 0:
		return "no TLSA records"
	case 1:
		return "1 TLSA record"
	}
	return fmt.Sprintf("%d TLSA records", len(records))
}

func ttlText(d time.Duration) string { return fmt.Sprintf("%d", int64(d/time.Second)) }

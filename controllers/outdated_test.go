package controllers

import (
	"crypto/x509"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// TestRecordsThatChangeBetweenProbes: a server has another key, and its former record is gone, before it is probed again. That
// is no mismatch: it is probed first. The simulator's timeline showed the false alarm, of a second MailDomain that lists the host.
func TestRecordsThatChangeBetweenProbes(t *testing.T) {
	former, next := chainOf(t, 1), chainOf(t, 2)
	recordsOf := func(chains ...[]*x509.Certificate) []tlsa.Record {
		var out []tlsa.Record
		for _, c := range chains {
			out = append(out, tlsa.KeyAssociations(c[0].RawSubjectPublicKeyInfo, []tlsa.Parameters{{Usage: 3, Selector: 1, MatchingType: 1}})...)
		}
		return tlsa.Normalize(out)
	}
	key := hostKey{host: "mx1.example.com"}
	owner := ownerName(key.host, 25)
	o := newObserver(func(types.NamespacedName) {})
	sweep := func(at int, records []tlsa.Record) {
		s := rollover.Sweep{End: time.Unix(int64(at), 0), Answers: []rollover.Answer{{Address: "192.0.2.53", Reachable: true, Records: records}}}
		o.noteSweep(key, owner, trail{sweep: s})
	}
	round := func(from, to int, chain []*x509.Certificate) {
		r := rollover.ProbeRound{Start: time.Unix(int64(from), 0), End: time.Unix(int64(to), 0), Complete: true}
		found := endpointProbe{address: "192.0.2.1", port: 25, results: []probe.Result{{Outcome: probe.Presented, Chain: chain, End: r.End}}}
		o.noteProbe(key, r, []endpointProbe{found.kept()})
	}
	var previous *v1alpha1.MailServerStatus
	mode := v1alpha1.ProbeEnabled
	wants := func(reason string, status metav1.ConditionStatus, asksAgain bool) {
		t.Helper()
		h := &hostRun{
			key: key, server: v1alpha1.MailServer{Hostname: key.host, Probe: v1alpha1.ProbeSpec{Mode: mode}}, zone: &v1alpha1.DNSZone{}, decided: true, previous: previous,
			decision: rollover.Decision{Published: true, Owners: []rollover.OwnerDecision{{Name: owner, InSync: true}}},
		}
		h.view = o.view(key)
		if got := verifiedFinding(&domainRun{}, h); got.status != status {
			t.Errorf("%s: %s (%s), want %s", reason, got.status, got.message, status)
		}
		p := paceOf(time.Unix(100, 0), h, 1)
		if fast := p.endpoints == p.interval && !p.resting(); fast != asksAgain {
			t.Errorf("%s: the endpoints are probed every %s, at rest %t", reason, p.endpoints, p.resting())
		}
		previous = &v1alpha1.MailServerStatus{Endpoints: endpointStatuses(h)}
	}
	sweep(1, recordsOf(former, next))
	round(2, 3, former)
	wants("the former key, which a record matches", metav1.ConditionTrue, false)
	sweep(10, recordsOf(next))
	wants("its record is gone, and it was presented before", metav1.ConditionTrue, true)
	previous = nil
	wants("the same, and what was found before is not known", metav1.ConditionUnknown, true)
	round(9, 11, former)
	wants("a probe that began before", metav1.ConditionUnknown, true)
	round(20, 21, next)
	wants("the next key is presented", metav1.ConditionTrue, false)
	round(30, 31, former)
	wants("the former key is presented again, and nothing matches it", metav1.ConditionFalse, false)
	sweep(40, recordsOf(next))
	wants("the same records, seen again", metav1.ConditionFalse, false)
	sweep(50, recordsOf())
	wants("there are no records any more: what was found stays until it is probed", metav1.ConditionFalse, true)
	mode = v1alpha1.ProbeDisabled
	wants("nobody probes it any more", metav1.ConditionTrue, false)
}

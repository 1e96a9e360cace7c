package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
)

const (
	keyA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	keyB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// gateHostRun is a host as the gate sees it: the Certificates that it names, and the keys that the
// rule lets be served.
func gateHostRun(host string, certificates []string, deploy ...string) *hostRun {
	h := &hostRun{server: v1alpha1.MailServer{Hostname: host}, decided: true}
	for _, c := range certificates {
		h.server.Certificates = append(h.server.Certificates, v1alpha1.CertificateReference{Name: c})
	}
	for _, k := range []string{keyA, keyB} {
		h.facts.Keys = append(h.facts.Keys, rollover.Key{ID: k, SPKI: k})
	}
	h.decision.Deploy = deploy
	h.decision.Waits = []rollover.Wait{{Message: "key waits"}}
	return h
}

func decisionOf(suspend bool, hosts ...*hostRun) gateDecision {
	run := &domainRun{md: &v1alpha1.MailDomain{}, hosts: hosts}
	run.md.Spec.Suspend = suspend
	b := newDecisionBoard()
	b.put(run)
	return b.decisions[run.key()]
}

// TestGateWaitsForEveryHost is trap 17: hosts behind one certificate roll when the last of them may.
func TestGateWaitsForEveryHost(t *testing.T) {
	mx := []string{"mx"}
	elsewhere := gateHostRun("mx2", mx)
	elsewhere.refused = &refusal{v1alpha1.ReasonHostOwnedElsewhere, "it is another's"}
	revoked := gateHostRun("mx2", mx, keyB)
	revoked.refused = &refusal{v1alpha1.ReasonNotGranted, "it is not granted"}
	unready := gateHostRun("mx2", mx, keyB)
	unready.decided = false
	leaving := gateHostRun("mx2", nil)
	leaving.removing = true
	gone := gateHostRun("mx2", nil)
	gone.removing, gone.decision.Untrusted = true, true
	compromised := gateHostRun("mx1", mx, keyA, keyB)
	compromised.facts.Policy.Compromised = map[string]bool{keyB: true}
	rows := []struct {
		reason  string
		d       gateDecision
		say     vote
		message string
	}{
		{"both hosts may serve it", decisionOf(false, gateHostRun("mx1", mx, keyB), gateHostRun("mx2", mx, keyB)), allow, ""},
		{"one of them may not", decisionOf(false, gateHostRun("mx1", mx, keyB), gateHostRun("mx2", mx)), deny, "mx2: key waits"},
		{"another key may be served", decisionOf(false, gateHostRun("mx1", mx, keyA)), deny, "mx1: key waits"},
		{"a host of another certificate has no say", decisionOf(false, gateHostRun("mx1", mx, keyB), gateHostRun("mx2", []string{"other"})), allow, ""},
		{"a host that belongs to another MailDomain leaves the say to that", decisionOf(false, gateHostRun("mx1", mx, keyB), elsewhere), allow, ""},
		{"and where that is its only host it says nothing", decisionOf(false, elsewhere), abstain, ""},
		{"a host whose grant was revoked may have records that nobody can change", decisionOf(false, gateHostRun("mx1", mx, keyB), revoked), deny, "it is not granted"},
		{"a host whose zone is not ready", decisionOf(false, gateHostRun("mx1", mx, keyB), unready), deny, "the zone of mx2 is not ready"},
		{"suspended", decisionOf(true, gateHostRun("mx1", mx, keyB)), deny, "the MailDomain is suspended"},
		{"a compromised key is handed to nobody, although it is served", decisionOf(false, compromised), deny, "mx1: key waits"},
		{"the certificate was taken out of the spec, and caches have its records", decisionOf(false, leaving), deny, "mx2 is being taken out of DNS"},
		{"and no cache has them any more", decisionOf(false, gone), allow, ""},
		{"another host that leaves holds no certificate that is still named", decisionOf(false, gateHostRun("mx1", mx, keyB), leaving), allow, ""},
	}
	for _, row := range rows {
		t.Run(row.reason, func(t *testing.T) {
			say, message := row.d.verdict("mx", keyB)
			if say != row.say || !strings.Contains(message, row.message) {
				t.Errorf("verdict %s %q, want %s %q", say, message, row.say, row.message)
			}
		})
	}
}

// TestOwnersThatLeftTheSpec keeps a port that is not named any more until no cache has its records.
func TestOwnersThatLeftTheSpec(t *testing.T) {
	const smtp, smtps = "_25._tcp.mx1.example.com.", "_465._tcp.mx1.example.com."
	ours, foreign := "3 1 1 "+keyA, "3 1 1 "+keyB
	version := func(owner string, records ...string) v1alpha1.VersionStatus {
		return v1alpha1.VersionStatus{Owner: owner, Records: records, TTL: 3600, Open: true}
	}
	rows := []struct {
		reason     string
		versions   []v1alpha1.VersionStatus
		removing   bool
		handedOver int32
		want       []rollover.Owner
	}{
		{"a port that was never published is forgotten", []v1alpha1.VersionStatus{version(smtps)}, false, 0, []rollover.Owner{{Name: smtp}}},
		{"one with our records is taken out", []v1alpha1.VersionStatus{version(smtps, ours)}, false, 0, []rollover.Owner{{Name: smtp}, {Name: smtps, Removing: true}}},
		{"one with the records of others alone is theirs", []v1alpha1.VersionStatus{version(smtps, foreign)}, false, 0, []rollover.Owner{{Name: smtp}}},
		{"one that another MailDomain names is left to it", []v1alpha1.VersionStatus{version(smtps, ours)}, false, 465, []rollover.Owner{{Name: smtp}, {Name: smtps, Removing: true, HandedOver: true}}},
		{"so is a port of a host that leaves", nil, true, 25, []rollover.Owner{{Name: smtp, HandedOver: true}}},
		{"a port that stays is never handed over", nil, false, 25, []rollover.Owner{{Name: smtp}}},
	}
	for _, row := range rows {
		t.Run(row.reason, func(t *testing.T) {
			h := &hostRun{
				server:   v1alpha1.MailServer{Hostname: "mx1.example.com", Ports: []v1alpha1.MailServerPort{{Port: 25}}},
				previous: &v1alpha1.MailServerStatus{Versions: row.versions}, removing: row.removing,
				written: storedRecords([]string{ours}), handedOver: func(port int32) bool { return port == row.handedOver },
			}
			got := ownersOf(h, false, time.Time{})
			same := slices.EqualFunc(got, row.want, func(a, b rollover.Owner) bool {
				return a.Name == b.Name && a.Removing == b.Removing && a.HandedOver == b.HandedOver
			})
			if !same {
				t.Errorf("owners are %+v, want %+v", got, row.want)
			}
		})
	}
}

// TestEmergencyIsDue does not ask an issuer more often than cert-manager would.
func TestEmergencyIsDue(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) *metav1.Time { return &metav1.Time{Time: now.Add(-d)} }
	many := 20
	three := 3
	rows := []struct {
		reason   string
		failed   *metav1.Time
		attempts *int
		due      bool
	}{
		{"nothing has failed", nil, nil, true},
		{"a failure an hour ago", ago(time.Hour), nil, true},
		{"a failure a moment ago", ago(time.Hour - time.Second), nil, false},
		{"the third within four hours", ago(4*time.Hour - time.Second), &three, false},
		{"the third, four hours ago", ago(4 * time.Hour), &three, true},
		{"many, within 32 hours", ago(32*time.Hour - time.Second), &many, false},
		{"many, 32 hours ago", ago(32 * time.Hour), &many, true},
	}
	for _, row := range rows {
		crt := certificateWithFailure(row.failed, row.attempts)
		if due := emergencyDue(crt, now); due != row.due {
			t.Errorf("%s: due is %t", row.reason, due)
		}
	}
}

// A MailDomain that is gone holds nothing any more. Its requests learn that from the board alone.
func TestForgottenDecisionWakesItsRequests(t *testing.T) {
	run := &domainRun{md: &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "example"}}}
	run.hosts = []*hostRun{gateHostRun("mx1.example.test", []string{"ecdsa", "rsa"}, keyA)}
	b := newDecisionBoard()
	b.put(run)
	var woken []string
	b.wake = func(namespace, certificate string) { woken = append(woken, namespace+"/"+certificate) }
	b.forget(run.key())
	if want := []string{"mail/ecdsa", "mail/rsa"}; !slices.Equal(woken, want) {
		t.Errorf("woken: %v, want %v", woken, want)
	}
	if _, ok := b.get(run.key()); ok {
		t.Error("the decision is still there")
	}
}

// TestDecisionWakesWhoAskedForIt: the requests of a Certificate that has left the spec wait for a decision, too.
func TestDecisionWakesWhoAskedForIt(t *testing.T) {
	board, woken := newDecisionBoard(), 0
	board.wake = func(namespace, certificate string) {
		if namespace == "mail" && certificate == "former" {
			woken++
		}
	}
	run := &domainRun{md: &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "example"}}}
	board.put(run)
	board.await(run.key(), "former")
	board.put(run)
	board.put(run)
	if woken != 1 {
		t.Errorf("woken %d times, want once: by the first decision after it was asked for", woken)
	}
	board.await(run.key(), "former")
	if board.forget(run.key()); woken != 2 {
		t.Error("a MailDomain that is gone wakes nobody")
	}
}

// TestRequestsAreWokenInOrder: in which order requests are looked at decides in which order they are approved, and what
// the simulator found must come about again.
func TestRequestsAreWokenInOrder(t *testing.T) {
	var woken []string
	board := newDecisionBoard()
	board.wake = func(_, certificate string) { woken = append(woken, certificate) }
	name := types.NamespacedName{Namespace: "mail", Name: "example"}
	for i := range 20 {
		board.await(name, fmt.Sprintf("mx%02d", (i*7)%20))
	}
	board.forget(name)
	if len(woken) != 20 || !slices.IsSorted(woken) {
		t.Errorf("woken in another order: %v", woken)
	}
}

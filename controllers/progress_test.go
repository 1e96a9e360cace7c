package controllers

import (
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// TestProgressLasts goes through a rollover: whoever waits for the condition to be False finds the new key served, and no
// record of the old one at any name server.
func TestProgressLasts(t *testing.T) {
	record := func(digest byte) tlsa.Record {
		return tlsa.Record{Parameters: tlsa.Parameters{Usage: 3, Selector: 1, MatchingType: 1}, Data: string([]byte{digest})}
	}
	old, current, foreign := record(1), record(2), record(3)
	key := func(id string, role v1alpha1.KeyRole, of string, r tlsa.Record) rollover.KeyState {
		return rollover.KeyState{ID: id, Certificate: of, Role: string(role), Records: []tlsa.Record{r}}
	}
	shows := func(open bool, records ...tlsa.Record) rollover.Version {
		return rollover.Version{Open: open, Records: records}
	}
	for _, row := range []struct {
		reason   string
		keys     []rollover.Key
		states   []rollover.KeyState
		deploy   []string
		versions []rollover.Version
		removing bool
		want     string
	}{
		{"at rest, with a standby key", nil, []rollover.KeyState{key("b", v1alpha1.RoleCurrent, "mx", current), key("c", v1alpha1.RoleNext, "mx", old)}, nil,
			[]rollover.Version{shows(true, current, old)}, false, v1alpha1.ReasonNoRollover},
		{"a key is asked for", []rollover.Key{{ID: "b", Stage: rollover.StageRequested}}, []rollover.KeyState{key("a", v1alpha1.RoleCurrent, "mx", old)}, nil, nil, false, v1alpha1.ReasonHeld},
		{"it may be served, and is not approved yet", []rollover.Key{{ID: "b", Stage: rollover.StageRequested}}, []rollover.KeyState{key("a", v1alpha1.RoleCurrent, "mx", old)}, []string{"b"}, nil, false,
			v1alpha1.ReasonHeld},
		{"it is approved, or issued, and servers have the other one", nil, []rollover.KeyState{key("a", v1alpha1.RoleCurrent, "mx", old), key("b", v1alpha1.RoleCurrent, "mx", current)}, nil, nil, false,
			v1alpha1.ReasonDeploying},
		{"two Certificates side by side have a key each", nil, []rollover.KeyState{key("a", v1alpha1.RoleCurrent, "rsa", old), key("b", v1alpha1.RoleCurrent, "ecdsa", current)}, nil, nil, false,
			v1alpha1.ReasonNoRollover},
		{"nothing presents the old one any more", nil, []rollover.KeyState{key("b", v1alpha1.RoleCurrent, "mx", current), key("a", v1alpha1.RolePrevious, "mx", old)}, nil, nil, false, v1alpha1.ReasonRetiring},
		{"it is forgotten, and a server shows its record", nil, []rollover.KeyState{key("b", v1alpha1.RoleCurrent, "mx", current)}, nil,
			[]rollover.Version{shows(true, current, old), shows(true, current)}, false, v1alpha1.ReasonRetiring},
		{"no server does", nil, []rollover.KeyState{key("b", v1alpha1.RoleCurrent, "mx", current)}, nil,
			[]rollover.Version{shows(false, current, old), shows(true, current)}, false, v1alpha1.ReasonNoRollover},
		{"a foreign record is no rollover", nil, []rollover.KeyState{key("b", v1alpha1.RoleCurrent, "mx", current)}, nil,
			[]rollover.Version{shows(true, current, foreign)}, false, v1alpha1.ReasonNoRollover},
		{"nor is it when the host leaves", nil, nil, nil, []rollover.Version{shows(true, current, old)}, true, v1alpha1.ReasonNoRollover},
	} {
		h := &hostRun{server: v1alpha1.MailServer{Hostname: "mx1.example.com"}, decided: true, removing: row.removing}
		h.facts.Keys, h.facts.Owners = row.keys, []rollover.Owner{{Written: []tlsa.Record{old, current}}}
		h.decision = rollover.Decision{Published: true, Keys: row.states, Deploy: row.deploy, Owners: []rollover.OwnerDecision{{Records: []tlsa.Record{current}, Versions: row.versions}}}
		f := progressFinding(nil, h)
		if f.reason != row.want || (f.status == metav1.ConditionTrue) != (row.want != v1alpha1.ReasonNoRollover) {
			t.Errorf("%s: %s %s %q, want %s", row.reason, f.status, f.reason, f.message, row.want)
		}
	}
}

// TestApprovedAndNotIssued: a key that was handed over and is not served waits for a certificate, as cert-manager says, or for the
// servers. cert-manager can delete the key of a request that is under way (its issue 6331), and has given up then.
func TestApprovedAndNotIssued(t *testing.T) {
	crt := &cmapi.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "mx1"}}
	issuing := crt.DeepCopy()
	issuing.Status.Conditions = []cmapi.CertificateCondition{{Type: cmapi.CertificateConditionIssuing, Status: cmmeta.ConditionTrue}}
	request := &cmapi.CertificateRequest{ObjectMeta: metav1.ObjectMeta{Name: "mx1-3"}}
	lost := request.DeepCopy()
	lost.Status.Conditions = []cmapi.CertificateRequestCondition{{Type: cmapi.CertificateRequestConditionReady, Message: "Referenced secret mail/mx1-abcde not found"}}
	const approved, again = "request mx1-3 is approved, and cert-manager has not issued its certificate yet", "cmctl renew mx1 -n mail"
	for _, row := range []struct {
		reason    string
		facts     certificateFacts
		has, lack []string
	}{
		{"issued", certificateFacts{certificate: crt}, []string{"the servers do not present the new key yet"}, []string{"cert-manager"}},
		{"just approved", certificateFacts{certificate: issuing, unissued: request}, []string{approved}, []string{again, ": "}},
		{"the issuer says why not", certificateFacts{certificate: issuing, unissued: lost}, []string{approved + ": Referenced secret mail/mx1-abcde not found"}, []string{again}},
		{"cert-manager has given up", certificateFacts{certificate: crt, unissued: lost}, []string{approved + ": Referenced secret", again}, nil},
	} {
		h := &hostRun{decided: true, certs: []*certificateFacts{&row.facts}}
		h.decision = rollover.Decision{Published: true, Keys: []rollover.KeyState{
			{ID: "a", Certificate: "mx1", Role: string(v1alpha1.RoleCurrent)}, {ID: "b", Certificate: "mx1", Role: string(v1alpha1.RoleCurrent)},
		}}
		f := progressFinding(nil, h)
		if f.reason != v1alpha1.ReasonDeploying {
			t.Errorf("%s: the reason is %s", row.reason, f.reason)
		}
		for _, words := range row.has {
			if !strings.Contains(f.message, words) {
				t.Errorf("%s: %q does not say %q", row.reason, f.message, words)
			}
		}
		for _, words := range row.lack {
			if strings.Contains(f.message, words) {
				t.Errorf("%s: %q says %q", row.reason, f.message, words)
			}
		}
	}
}

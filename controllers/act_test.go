package controllers

import (
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/zone"
)

func certificateWithFailure(at *metav1.Time, attempts *int) *cmapi.Certificate {
	return &cmapi.Certificate{Status: cmapi.CertificateStatus{LastFailureTime: at, FailedIssuanceAttempts: attempts}}
}

// TestKeepsKey: a renewal that would bring the compromised key again is not started for ever.
func TestKeepsKey(t *testing.T) {
	rows := []struct {
		reason   string
		policy   cmapi.PrivateKeyRotationPolicy
		strategy v1alpha1.Strategy
		standby  v1alpha1.StandbyKeyMode
		keeps    bool
	}{
		{"keys change by default", "", v1alpha1.StrategyStage, "", false},
		{"they are told to", cmapi.RotationPolicyAlways, v1alpha1.StrategyFollow, "", false},
		{"the key stays, and nothing replaces it", cmapi.RotationPolicyNever, v1alpha1.StrategyStage, v1alpha1.StandbyEnabled, true},
		{"there is no standby key", cmapi.RotationPolicyNever, v1alpha1.StrategyGate, v1alpha1.StandbyDisabled, true},
		{"the standby key replaces it", cmapi.RotationPolicyNever, v1alpha1.StrategyGate, v1alpha1.StandbyEnabled, false},
	}
	for _, row := range rows {
		md := &v1alpha1.MailDomain{}
		md.Spec.Rollover = v1alpha1.RolloverSpec{Strategy: row.strategy, StandbyKey: row.standby}
		crt := &cmapi.Certificate{Spec: cmapi.CertificateSpec{PrivateKey: &cmapi.CertificatePrivateKey{RotationPolicy: row.policy}}}
		if keeps := keepsKey(md, crt); keeps != row.keeps {
			t.Errorf("%s: keeps is %t", row.reason, keeps)
		}
	}
}

// TestKeepsCompromised: what keeps a compromised key in use is said with all that has to be done, however far a renewal
// with it has come. The simulator found that a renewal which had begun waited for ever once the rotation policy was
// changed as the message asked, and that nothing was said then.
func TestKeepsCompromised(t *testing.T) {
	waiting, key := request(t)
	inUse := chainOf(t, 1)
	next := "mx-abcde"
	for about, row := range map[string]struct {
		policy      cmapi.PrivateKeyRotationPolicy
		standby     v1alpha1.StandbyKeyMode
		compromised []string
		waiting     bool
		want        []string // what the message says; empty for none
	}{
		"a renewal would keep it":                {cmapi.RotationPolicyNever, v1alpha1.StandbyDisabled, []string{spkiOfChain(inUse)}, false, []string{"to Always"}},
		"a renewal that has begun keeps it":      {cmapi.RotationPolicyNever, v1alpha1.StandbyDisabled, []string{spkiOfChain(inUse), key}, true, []string{"to Always", "delete Secret mx-abcde"}},
		"it goes on with it whatever the policy": {cmapi.RotationPolicyAlways, v1alpha1.StandbyDisabled, []string{key}, true, []string{"delete Secret mx-abcde"}},
		"a standby key takes its place":          {cmapi.RotationPolicyNever, v1alpha1.StandbyEnabled, []string{spkiOfChain(inUse), key}, true, nil},
		"the renewal brings another key":         {cmapi.RotationPolicyAlways, v1alpha1.StandbyDisabled, []string{spkiOfChain(inUse)}, true, nil},
		"no key is compromised":                  {cmapi.RotationPolicyNever, v1alpha1.StandbyDisabled, nil, true, nil},
	} {
		md := &v1alpha1.MailDomain{}
		md.Spec.Rollover = v1alpha1.RolloverSpec{Strategy: v1alpha1.StrategyGate, StandbyKey: row.standby}
		for _, k := range row.compromised {
			md.Spec.Rollover.CompromisedKeys = append(md.Spec.Rollover.CompromisedKeys, v1alpha1.SPKIDigest(k))
		}
		crt := &cmapi.Certificate{Spec: cmapi.CertificateSpec{PrivateKey: &cmapi.CertificatePrivateKey{RotationPolicy: row.policy}}}
		c := &certificateFacts{certificate: crt, current: inUse}
		if row.waiting {
			c.pending, crt.Status.NextPrivateKeySecretName = waiting, &next
		}
		refused := c.keepsCompromised(md)
		if (refused != nil) != (len(row.want) > 0) {
			t.Errorf("%s: %v", about, refused)
			continue
		}
		for _, words := range row.want {
			if !strings.Contains(refused.message, words) {
				t.Errorf("%s: %q does not say %q", about, refused.message, words)
			}
		}
	}
}

// TestRefusedForCertain: only what the server refused without any doubt never stood.
func TestRefusedForCertain(t *testing.T) {
	rows := []struct {
		reason  string
		o       ownerObservation
		refused bool
	}{
		{"no update was sent", ownerObservation{}, false},
		{"the server refuses", ownerObservation{failures: 1, result: zone.Result{Class: zone.NotPermitted}}, true},
		{"it may have been carried out", ownerObservation{failures: 1, result: zone.Result{Class: zone.Unreachable, Retryable: true}}, false},
		{"one before it may have been", ownerObservation{failures: 2, doubt: true, result: zone.Result{Class: zone.NotPermitted}}, false},
		{"another is on its way", ownerObservation{failures: 1, publishing: true, result: zone.Result{Class: zone.NotPermitted}}, false},
		{"something else stood there", ownerObservation{failures: 1, result: zone.Result{Class: zone.Conflict}}, false},
		{"it was acknowledged, and something else stands there", ownerObservation{failures: 1, result: zone.Result{Class: zone.NotStored}}, false},
	}
	for _, row := range rows {
		if got := row.o.refused(); got != row.refused {
			t.Errorf("%s: refused is %t", row.reason, got)
		}
	}
}

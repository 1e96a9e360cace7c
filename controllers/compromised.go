package controllers

import (
	"fmt"
	"strings"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// keepsCompromised says what keeps a key in use that is listed as compromised, and how to get rid of it; nil when
// nothing does. cert-manager takes the key of a renewal that has begun out of a Secret of its own, and goes on with it
// whatever becomes of the Certificate's rotationPolicy.
func (c *certificateFacts) keepsCompromised(md *v1alpha1.MailDomain) *refusal {
	if c.certificate == nil {
		return nil
	}
	var todo []string
	if c.compromised(md) && keepsKey(md, c.certificate) {
		todo = append(todo, "set spec.privateKey.rotationPolicy of the Certificate to Always")
	}
	if c.waitsForCompromised(md) {
		secret := "the Secret that its status.nextPrivateKeySecretName names"
		if name := c.certificate.Status.NextPrivateKeySecretName; name != nil {
			secret = "Secret " + *name
		}
		todo = append(todo, "delete "+secret+", from which the renewal that waits takes that key")
	}
	if len(todo) == 0 {
		return nil
	}
	return &refusal{v1alpha1.ReasonCompromisedKeyKept, fmt.Sprintf(
		"the key of Certificate %s is listed as compromised, and a renewal would keep it: %s", c.certificate.Name, strings.Join(todo, ", and "))}
}

// waitsForCompromised says whether a request waits for a key that is listed as compromised, so that it is never approved.
// Where there are standby keys, one of them takes its place.
func (c *certificateFacts) waitsForCompromised(md *v1alpha1.MailDomain) bool {
	if c.pending == nil || md.Spec.Rollover.Strategy != v1alpha1.StrategyGate || md.Spec.Rollover.KeepsStandbyKey() {
		return false
	}
	spki, err := tlsa.SPKIFromCSR(c.pending.Spec.Request)
	return err == nil && compromisedOf(md)[tlsa.SPKISHA256(spki)]
}

package controllers

import (
	"cmp"
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// findHeldElsewhere notes which other MailDomain holds a key back that this one lets go: a Certificate may be named by several, and its
// request waits for all of them. Nothing rests on it but what people read.
func (r *MailDomainReconciler) findHeldElsewhere(ctx context.Context, run *domainRun, h *hostRun) error {
	if !h.decided || h.refused != nil || run.md.Spec.Rollover.Strategy != v1alpha1.StrategyGate {
		return nil
	}
	for _, c := range h.certs {
		if c.certificate == nil || c.pending == nil {
			continue
		}
		by, err := r.heldBy(ctx, run.md, c)
		if err != nil {
			return err
		}
		h.heldElsewhere = cmp.Or(h.heldElsewhere, by)
	}
	return nil
}

// heldBy says which other MailDomain denies the key of a request that waits, and why; empty for none.
func (r *MailDomainReconciler) heldBy(ctx context.Context, md *v1alpha1.MailDomain, c *certificateFacts) (string, error) {
	name := c.certificate.Name
	spki, err := tlsa.SPKIFromCSR(c.pending.Spec.Request)
	if err != nil {
		return "", nil //nolint:nilerr // cert-manager itself fails a request that it cannot read
	}
	var list v1alpha1.MailDomainList
	if err := r.List(ctx, &list, client.InNamespace(md.Namespace), client.MatchingFields{certificateIndex: name}, client.UnsafeDisableDeepCopy); err != nil {
		return "", fmt.Errorf("list MailDomains of Certificate %s/%s: %w", md.Namespace, name, err)
	}
	for i := range list.Items {
		other := &list.Items[i]
		if other.UID == md.UID || other.Spec.Rollover.Strategy != v1alpha1.StrategyGate {
			continue
		}
		d, _ := r.decisions.get(client.ObjectKeyFromObject(other))
		if say, why := d.verdict(name, tlsa.SPKISHA256(spki)); say == deny {
			return fmt.Sprintf("request %s waits for MailDomain %s/%s, which names Certificate %s, too: %s", c.pending.Name, other.Namespace, other.Name, name, why), nil
		}
	}
	return "", nil
}

package controllers

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// This file is about Certificates that MailDomains of two operators name. A key may be served when all of these let it go,
// each by a decision that is some seconds old: one operator has those of all in its memory, and two have not. So nothing is
// approved then, and nothing is begun.

// findApart notes which MailDomain of another operator names a Certificate of the host, too. A host that has records goes on
// with them, and its gate stays shut. One that has none is not begun: the other operator may not have seen this MailDomain
// yet, and approve a key that no record here has. Whoever named the Certificate second knows of the first, since the changes
// of all MailDomains come in their order.
func (r *MailDomainReconciler) findApart(ctx context.Context, md *v1alpha1.MailDomain, h *hostRun) error {
	if r.shard.All() || h.removing || h.notManaged || h.refused != nil || md.Spec.Rollover.Strategy != v1alpha1.StrategyGate {
		return nil
	}
	for _, c := range h.server.Certificates {
		other, err := r.holderApart(ctx, md, c.Name)
		if err != nil {
			return err
		}
		if other == "" {
			continue
		}
		h.apart = &refusal{v1alpha1.ReasonCertificateHeldElsewhere, fmt.Sprintf(
			"MailDomain %s/%s names Certificate %s, too, and its labels are for another operator than this one, with --selector %q: give both MailDomains the same labels, or a Certificate of their own; until then no request for it is approved",
			md.Namespace, other, c.Name, r.shard.String())}
		if !h.hasRecords() {
			h.refused = h.apart
		}
		return nil
	}
	return nil
}

// holderApart is the first MailDomain by name that names a Certificate, holds its requests, and is another operator's; empty for
// none.
func (r *MailDomainReconciler) holderApart(ctx context.Context, md *v1alpha1.MailDomain, certificate string) (string, error) {
	return r.firstBeside(ctx, md, certificate, func(other *v1alpha1.MailDomain) bool { return !r.shard.Has(other) })
}

// firstBeside is the first MailDomain by name, beside md, that names a Certificate and holds its requests, and of which something else
// is true; empty for none.
func (r *MailDomainReconciler) firstBeside(ctx context.Context, md *v1alpha1.MailDomain, certificate string, is func(*v1alpha1.MailDomain) bool) (string, error) {
	var list v1alpha1.MailDomainList
	if err := r.List(ctx, &list, client.InNamespace(md.Namespace), client.MatchingFields{certificateIndex: certificate}, client.UnsafeDisableDeepCopy); err != nil {
		return "", fmt.Errorf("list MailDomains of Certificate %s/%s: %w", md.Namespace, certificate, err)
	}
	first := ""
	for i := range list.Items {
		other := &list.Items[i]
		if other.UID != md.UID && gates(other) && is(other) && (first == "" || other.Name < first) {
			first = other.Name
		}
	}
	return first, nil
}

// gates says whether a MailDomain holds requests back.
func gates(md *v1alpha1.MailDomain) bool { return md.Spec.Rollover.Strategy == v1alpha1.StrategyGate }

package plugin

import (
	"context"
	"fmt"
	"strings"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// approverPolicy is the CRD of cert-manager's approver-policy, which decides over requests beside the operator.
const approverPolicy = "certificaterequestpolicies.policy.cert-manager.io"

// examineApprovers looks for somebody else who approves what the operator gates: by the requests that somebody has approved,
// and by what is installed.
func examineApprovers(ctx context.Context, c client.Client, _ time.Time) []finding {
	var list cmapi.CertificateRequestList
	switch err := c.List(ctx, &list); {
	case meta.IsNoMatchError(err):
		return nil // examineCertManager tells
	case err != nil:
		return unread("who approves CertificateRequests", err)
	}
	out := approvals(list.Items)
	crd := &metav1.PartialObjectMetadata{}
	crd.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	// Who may not look at CRDs is told so by examineCertManager.
	if err := c.Get(ctx, client.ObjectKey{Name: approverPolicy}, crd); err == nil {
		out = append(out, finding{warning, "approver-policy is installed", "it decides over requests, too, and denies what its policies do not allow: " +
			"where it decides over requests of a MailDomain, use strategy Stage there (docs/strategies.md)"})
	}
	return out
}

// approvals judges who has approved the requests with the annotation of the gate.
func approvals(all []cmapi.CertificateRequest) []finding {
	approved, foreign := 0, []string{}
	for i := range all {
		cr := &all[i]
		if _, gated := cr.Annotations[v1alpha1.GateAnnotation]; !gated {
			continue
		}
		for _, condition := range cr.Status.Conditions {
			if condition.Type != cmapi.CertificateRequestConditionApproved || condition.Status != cmmeta.ConditionTrue {
				continue
			}
			approved++
			if condition.Reason != v1alpha1.ApprovalReason {
				foreign = append(foreign, fmt.Sprintf("%s/%s (%s)", cr.Namespace, cr.Name, condition.Reason))
			}
		}
	}
	switch {
	case len(foreign) > 0:
		return []finding{{warning, fmt.Sprintf("another approver: %d of %s", len(foreign), counted(approved, "gated request")), "something else than the operator approved " +
			strings.Join(foreign[:min(len(foreign), 3)], ", ") + ": the gate policy was not in force then, or the approver goes by the operator's account; " +
			"kubectl get certificaterequest -o yaml --show-managed-fields names it"}}
	case approved > 0:
		return []finding{{fine, "the operator alone approved " + counted(approved, "gated request"), ""}}
	}
	return nil
}

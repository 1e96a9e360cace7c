package plugin

import (
	"context"
	"fmt"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/shard"
)

func examineAPI(ctx context.Context, c client.Client, _ time.Time) []finding {
	const what = "the CRDs of dane-operator"
	var list v1alpha1.MailDomainList
	switch err := c.List(ctx, &list, client.Limit(1)); {
	case meta.IsNoMatchError(err):
		return []finding{{broken, what, "they are not installed: kubectl apply -k config/default, or helm install"}}
	case err != nil && !apierrors.IsForbidden(err): // what may not be listed is there
		return unread(what, err)
	}
	return []finding{{fine, what, ""}}
}

// examineLease looks at the leases of the leaders, in whatever namespace: an operator with a selector has one of its own.
func examineLease(ctx context.Context, c client.Client, now time.Time) []finding {
	var list coordinationv1.LeaseList
	if err := c.List(ctx, &list); err != nil {
		return unread("the lease of the operator", err)
	}
	list.Items = slices.DeleteFunc(list.Items, func(l coordinationv1.Lease) bool { return !shard.IsLease(l.Name) })
	if len(list.Items) == 0 {
		return []finding{{warning, "the operator", "no replica has ever led: is its Deployment there? (Without --leader-elect there is no lease.)"}}
	}
	var out []finding
	for _, l := range list.Items {
		what := fmt.Sprintf("the operator in namespace %s", l.Namespace)
		if l.Name != (shard.Shard{}).LeaseName() {
			what += " with the lease " + l.Name
		}
		// Three renewals may be missed before another replica takes over.
		if l.Spec.RenewTime == nil || l.Spec.LeaseDurationSeconds == nil ||
			now.Sub(l.Spec.RenewTime.Time) > 3*time.Duration(*l.Spec.LeaseDurationSeconds)*time.Second {
			out = append(out, finding{broken, what, "no replica leads: kubectl get pods -n " + l.Namespace})
			continue
		}
		out = append(out, finding{fine, what, ""})
	}
	return out
}

func examineCertManager(ctx context.Context, c client.Client, _ time.Time) []finding {
	crd := &metav1.PartialObjectMetadata{}
	crd.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	if err := c.Get(ctx, client.ObjectKey{Name: "certificates.cert-manager.io"}, crd); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return []finding{{broken, "cert-manager", "it is not installed"}}
		}
		return unread("the CRDs of cert-manager", err)
	}
	return []finding{certManagerOf(crd.Labels[versionLabel])}
}

const (
	// NeededCertManager is the oldest version of cert-manager that the operator is made for and tested with.
	NeededCertManager = "1.21"
	// versionLabel is where cert-manager's manifests and chart tell their version.
	versionLabel = "app.kubernetes.io/version"
)

// certManagerOf judges the version that cert-manager's CRDs are labelled with. What a GitOps pipeline makes of them may
// have no label.
func certManagerOf(label string) finding {
	have, err := version.ParseGeneric(label)
	switch {
	case err != nil:
		return finding{warning, "cert-manager", fmt.Sprintf("the label %s of its CRDs does not tell its version: see that it is %s or newer", versionLabel, NeededCertManager)}
	case have.LessThan(version.MustParseGeneric(NeededCertManager)):
		return finding{broken, "cert-manager " + label, fmt.Sprintf("it is too old: upgrade cert-manager and its CRDs to %s or newer", NeededCertManager)}
	}
	return finding{fine, "cert-manager " + label, ""}
}

func examineZones(ctx context.Context, c client.Client, _ time.Time) []finding {
	var list v1alpha1.DNSZoneList
	switch err := c.List(ctx, &list); {
	case meta.IsNoMatchError(err):
		return nil // said before
	case err != nil:
		return unread("DNSZones", err)
	}
	var out []finding
	for i := range list.Items {
		dz := &list.Items[i]
		what := fmt.Sprintf("DNSZone %s/%s", dz.Namespace, dz.Name)
		condition := meta.FindStatusCondition(dz.Status.Conditions, v1alpha1.ConditionReady)
		switch {
		case condition == nil:
			out = append(out, finding{unclear, what, "the operator has not looked at it yet"})
		case condition.Status == metav1.ConditionTrue:
			out = append(out, finding{fine, what, ""})
		default:
			out = append(out, finding{broken, what, condition.Reason + ": " + condition.Message})
		}
	}
	return out
}

// examineDomains looks for what only a person can mend, and for a port 25 that is blocked.
func examineDomains(ctx context.Context, c client.Client, _ time.Time) []finding {
	var list v1alpha1.MailDomainList
	switch err := c.List(ctx, &list); {
	case meta.IsNoMatchError(err):
		return nil // said before
	case err != nil:
		return unread("MailDomains", err)
	}
	var out []finding
	reached, silent := 0, 0
	for i := range list.Items {
		md := &list.Items[i]
		if stalled := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionStalled); stalled != nil && stalled.Status == metav1.ConditionTrue {
			out = append(out, finding{broken, fmt.Sprintf("MailDomain %s/%s", md.Namespace, md.Name), stalled.Reason + ": " + stalled.Message})
		}
		for _, s := range md.Status.MailServers {
			for _, e := range s.Endpoints {
				switch {
				case e.Port != 25:
				case e.SPKISHA256 != "":
					reached++
				default:
					silent++
				}
			}
		}
	}
	switch {
	case reached > 0:
		out = append(out, finding{fine, fmt.Sprintf("port 25: certificates at %d of %s", reached, counted(reached+silent, "address")), ""})
	case silent > 0:
		out = append(out, finding{warning, fmt.Sprintf("port 25: certificates at none of %s", counted(silent, "address")),
			"networks often block it: let the operator's pods connect to port 25, probe a Service (probe.serviceRef), or switch probes off and vouch for the servers yourself (probe.mode)"})
	}
	return out
}

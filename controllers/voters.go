package controllers

import (
	"context"
	"fmt"
	"slices"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/shard"
)

// This file says which MailDomains have a say over a request, and whose they are.

// voters are the MailDomains that have a say over a request: those that name its Certificate and gate it, and the one that
// the annotation names, which may not name it any more and still be taking its host out of DNS. They are shared with the
// cache, and must not be changed.
type voters struct {
	// own are those that this operator acts for, others those of another: while there are any, the request is left alone.
	own, others []v1alpha1.MailDomain
}

// votersOf finds those of a request.
func (r *GateReconciler) votersOf(ctx context.Context, cr *cmapi.CertificateRequest, certificate string) (voters, error) {
	var list v1alpha1.MailDomainList
	if err := r.List(ctx, &list, client.InNamespace(cr.Namespace), client.MatchingFields{certificateIndex: certificate}, client.UnsafeDisableDeepCopy); err != nil {
		return voters{}, fmt.Errorf("list MailDomains of Certificate %s/%s: %w", cr.Namespace, certificate, err)
	}
	isGate := slices.ContainsFunc(list.Items, func(md v1alpha1.MailDomain) bool { return md.Name == cr.Annotations[v1alpha1.GateAnnotation] })
	out := r.divide(list.Items)
	if !isGate {
		former, err := r.formerVoter(ctx, cr)
		if err != nil {
			return voters{}, err
		}
		out.add(former, certificate, r.shard)
	}
	if len(out.own)+len(out.others) > 0 {
		return out, nil
	}
	return r.liveVoters(ctx, cr, certificate)
}

// divide tells those that gate their Certificates apart by whose they are.
func (r *GateReconciler) divide(all []v1alpha1.MailDomain) voters {
	var out voters
	for i := range all {
		switch {
		case !gates(&all[i]):
		case r.shard.Has(&all[i]):
			out.own = append(out.own, all[i])
		default:
			out.others = append(out.others, all[i])
		}
	}
	return out
}

// formerVoter reads the MailDomain that the annotation names, live; nil where it is gone.
func (r *GateReconciler) formerVoter(ctx context.Context, cr *cmapi.CertificateRequest) (*v1alpha1.MailDomain, error) {
	name := types.NamespacedName{Namespace: cr.Namespace, Name: cr.Annotations[v1alpha1.GateAnnotation]}
	former := &v1alpha1.MailDomain{}
	err := r.keeper.live.Get(ctx, name, former)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read MailDomain %s, which gates CertificateRequest %s: %w", name, cr.Name, err)
	}
	return former, nil
}

// add takes in the one that the annotation names. One that names the Certificate is only missing in a cache that lags: it
// has a say as all that do. Of one that does not, and is another operator's, it is known without that one whether it is
// still taking a host out of DNS; once it is not, it has nothing to say beside others.
func (v *voters) add(former *v1alpha1.MailDomain, certificate string, part shard.Shard) {
	if former == nil {
		return
	}
	names := slices.Contains(certificateNames(former), certificate)
	switch {
	case names && !gates(former):
	case part.Has(former):
		v.own = append(v.own, *former)
	case names || leaves(former) || len(v.own) == 0:
		v.others = append(v.others, *former)
	}
}

// leaves says whether a MailDomain has records of a host that it names no Certificates for any more. Its status has had them
// before they were written, and has them until no cache does.
func leaves(md *v1alpha1.MailDomain) bool {
	return slices.ContainsFunc(md.Status.MailServers, func(s v1alpha1.MailServerStatus) bool {
		return len(s.OwnRecords) > 0 && !slices.ContainsFunc(md.Spec.MailServers, func(now v1alpha1.MailServer) bool {
			return now.Hostname == s.Hostname && len(now.Certificates) > 0
		})
	})
}

// liveVoters looks past the cache for those that name a Certificate which nobody seems to name: the cache may lag behind what
// another operator knows, and has gone by for long.
func (r *GateReconciler) liveVoters(ctx context.Context, cr *cmapi.CertificateRequest, certificate string) (voters, error) {
	var list v1alpha1.MailDomainList
	if err := r.keeper.live.List(ctx, &list, client.InNamespace(cr.Namespace)); err != nil {
		return voters{}, fmt.Errorf("list MailDomains of namespace %s: %w", cr.Namespace, err)
	}
	return r.divide(slices.DeleteFunc(list.Items, func(md v1alpha1.MailDomain) bool {
		return !slices.Contains(certificateNames(&md), certificate)
	})), nil
}

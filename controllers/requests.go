package controllers

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ownedRequests lists the requests of a Certificate, oldest first. They may be shared with the cache, and must not be
// changed: each holds a request and a chain, and all of them are looked at with every look at a host.
func ownedRequests(ctx context.Context, reader client.Reader, crt *cmapi.Certificate, options ...client.ListOption) ([]cmapi.CertificateRequest, error) {
	var list cmapi.CertificateRequestList
	if err := reader.List(ctx, &list, append(options, client.InNamespace(crt.Namespace), client.UnsafeDisableDeepCopy)...); err != nil {
		return nil, fmt.Errorf("list CertificateRequests of Certificate %s/%s: %w", crt.Namespace, crt.Name, err)
	}
	return sortedRequests(crt, list.Items), nil
}

func sortedRequests(crt *cmapi.Certificate, all []cmapi.CertificateRequest) []cmapi.CertificateRequest {
	owned := slices.DeleteFunc(all, func(cr cmapi.CertificateRequest) bool { return !metav1.IsControlledBy(&cr, crt) })
	slices.SortFunc(owned, func(a, b cmapi.CertificateRequest) int { return revision(&a) - revision(&b) })
	return owned
}

// liveRequests reads the requests of a Certificate past the cache. The API server cannot list them by
// Certificate, and to list a namespace for one Certificate is too much where there are thousands. So
// those that the cache knows are read by name, and with them the one that cert-manager may have made
// meanwhile, whose name follows from the revision. Only where the names are not of that kind is the
// namespace listed.
func (r keyReader) liveRequests(ctx context.Context, crt *cmapi.Certificate) ([]cmapi.CertificateRequest, error) {
	known, err := ownedRequests(ctx, r.named, crt, client.MatchingFields{requestIndex: crt.Name})
	if err != nil {
		return nil, err
	}
	names, ok := requestNames(crt, known)
	if !ok {
		return ownedRequests(ctx, r.live, crt)
	}
	var found []cmapi.CertificateRequest
	for _, name := range names {
		cr := cmapi.CertificateRequest{}
		err := r.live.Get(ctx, types.NamespacedName{Namespace: crt.Namespace, Name: name}, &cr)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read CertificateRequest %s/%s: %w", crt.Namespace, name, err)
		}
		found = append(found, cr)
	}
	return sortedRequests(crt, found), nil
}

// requestNames are the names of all requests that a Certificate may have: those known, and those of the
// revision in use and of the next one. It says no where cert-manager has not named the known ones after
// the Certificate and the revision (feature gate StableCertificateRequestName, on by default since
// v1.13), where the name is too long for that, and where there is none to tell by.
func requestNames(crt *cmapi.Certificate, known []cmapi.CertificateRequest) ([]string, bool) {
	const longest = 233 // longer names are shortened
	if len(known) == 0 || len(crt.Name) > longest {
		return nil, false
	}
	name := func(revision int) string { return crt.Name + "-" + strconv.Itoa(revision) }
	current := 0
	if n := crt.Status.Revision; n != nil {
		current = *n
	}
	names := []string{name(current), name(current + 1)}
	for i := range known {
		if known[i].Name != name(revision(&known[i])) {
			return nil, false
		}
		names = append(names, known[i].Name, name(revision(&known[i])+1))
	}
	slices.Sort(names)
	return slices.Compact(names), true
}

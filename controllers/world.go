package controllers

import (
	"context"
	"fmt"
	"slices"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// Names of the cache's indexes.
const (
	// hostIndex finds MailDomains by host name.
	hostIndex = "spec.mailServers.hostname"
	// certificateIndex finds MailDomains by the name of a Certificate.
	certificateIndex = "spec.mailServers.certificates.name"
	// requestIndex finds CertificateRequests by the name of their Certificate.
	requestIndex = "metadata.annotations.certificate-name"
	// gateIndex finds Certificates by the MailDomain that gates them.
	gateIndex = "metadata.annotations.gate"
	// domainIndex finds MailDomains that have to do with other records than TLSA by their domain.
	domainIndex = "spec.domain"
	// endIndex finds MailDomains by a name that their aliases lead to.
	endIndex = "status.mailServers.aliases.end"
)

// addIndexes registers the indexes above.
func addIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	if err := indexer.IndexField(ctx, &v1alpha1.MailDomain{}, hostIndex, func(o client.Object) []string {
		return hostnames(o.(*v1alpha1.MailDomain))
	}); err != nil {
		return fmt.Errorf("index MailDomains by host: %w", err)
	}
	if err := indexer.IndexField(ctx, &v1alpha1.MailDomain{}, domainIndex, recordDomains); err != nil {
		return fmt.Errorf("index MailDomains by domain: %w", err)
	}
	if err := indexer.IndexField(ctx, &v1alpha1.MailDomain{}, certificateIndex, namedCertificates); err != nil {
		return fmt.Errorf("index MailDomains by Certificate: %w", err)
	}
	if err := indexer.IndexField(ctx, &v1alpha1.MailDomain{}, endIndex, aliasEnds); err != nil {
		return fmt.Errorf("index MailDomains by the end of an alias: %w", err)
	}
	if err := indexer.IndexField(ctx, &cmapi.CertificateRequest{}, requestIndex, byAnnotation(requestNameAnnotation)); err != nil {
		return fmt.Errorf("index CertificateRequests by Certificate: %w", err)
	}
	if err := indexer.IndexField(ctx, &cmapi.Certificate{}, gateIndex, byAnnotation(v1alpha1.GateAnnotation)); err != nil {
		return fmt.Errorf("index Certificates by gate: %w", err)
	}
	return nil
}

// recordDomains is the domain of a MailDomain that has to do with other records than TLSA.
func recordDomains(o client.Object) []string {
	if md := o.(*v1alpha1.MailDomain); concernsRecords(md) {
		return []string{md.Spec.Domain}
	}
	return nil
}

func namedCertificates(o client.Object) []string { return certificateNames(o.(*v1alpha1.MailDomain)) }

// aliasEnds are the names that the aliases of a MailDomain lead to.
func aliasEnds(o client.Object) []string {
	var out []string
	md := o.(*v1alpha1.MailDomain)
	for i := range md.Status.MailServers {
		for _, a := range md.Status.MailServers[i].Aliases {
			out = append(out, a.End)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func byAnnotation(key string) client.IndexerFunc {
	return func(o client.Object) []string {
		if value := o.GetAnnotations()[key]; value != "" {
			return []string{value}
		}
		return nil
	}
}

func hostnames(md *v1alpha1.MailDomain) []string {
	var out []string
	for _, s := range md.Spec.MailServers {
		out = append(out, s.Hostname)
	}
	return out
}

func certificateNames(md *v1alpha1.MailDomain) []string {
	var out []string
	for _, s := range md.Spec.MailServers {
		for _, c := range s.Certificates {
			out = append(out, c.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// readWorld finds, in the cache, DNSZones, the labels of the namespaces concerned, and the MailDomains
// that share a host with md, have taken one over that md still has records of, or write
// to one of the names that md writes to.
// All of it is shared with the cache and must not be changed.
func readWorld(ctx context.Context, reader client.Reader, md *v1alpha1.MailDomain, names []string) (*world, error) {
	w := &world{zones: newCachedZones(ctx, reader), namespaceLabels: map[string]map[string]string{}}
	seen := map[types.UID]bool{}
	if err := w.readDomains(ctx, reader, hostIndex, concernedHosts(md, names), seen); err != nil {
		return nil, err
	}
	if err := w.readDomains(ctx, reader, endIndex, names, seen); err != nil {
		return nil, err
	}
	if concernsRecords(md) {
		if err := w.readDomains(ctx, reader, domainIndex, []string{md.Spec.Domain}, seen); err != nil {
			return nil, err
		}
	}
	for _, namespace := range append(namespacesOf(w.domains), md.Namespace) {
		if _, ok := w.namespaceLabels[namespace]; ok {
			continue
		}
		ns := &metav1.PartialObjectMetadata{}
		ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
		if err := reader.Get(ctx, types.NamespacedName{Name: namespace}, ns); err != nil {
			return nil, fmt.Errorf("read Namespace %s: %w", namespace, err)
		}
		w.namespaceLabels[namespace] = ns.Labels
	}
	return w, nil
}

// readDomains adds the MailDomains that an index finds by one of the keys, unless they were seen.
func (w *world) readDomains(ctx context.Context, reader client.Reader, index string, keys []string, seen map[types.UID]bool) error {
	for _, key := range keys {
		var list v1alpha1.MailDomainList
		if err := reader.List(ctx, &list, client.MatchingFields{index: key}, client.UnsafeDisableDeepCopy); err != nil {
			return fmt.Errorf("list MailDomains with %s %s: %w", index, key, err)
		}
		for i := range list.Items {
			if !seen[list.Items[i].UID] {
				seen[list.Items[i].UID] = true
				w.domains = append(w.domains, list.Items[i])
			}
		}
	}
	return nil
}

// concernedHosts are the hosts of the spec, those that have left it and still stand in status, and those
// that names belong to.
func concernedHosts(md *v1alpha1.MailDomain, names []string) []string {
	out := hostnames(md)
	for _, name := range names {
		out = append(out, baseDomain(name))
	}
	for i := range md.Status.MailServers {
		out = append(out, md.Status.MailServers[i].Hostname)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func namespacesOf(domains []v1alpha1.MailDomain) []string {
	var out []string
	for i := range domains {
		out = append(out, domains[i].Namespace)
	}
	return out
}

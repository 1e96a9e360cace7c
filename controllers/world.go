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
)

// addIndexes registers the indexes above.
func addIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	if err := indexer.IndexField(ctx, &v1alpha1.MailDomain{}, hostIndex, func(o client.Object) []string {
		return hostnames(o.(*v1alpha1.MailDomain))
	}); err != nil {
		return fmt.Errorf("index MailDomains by host: %w", err)
	}
	if err := indexer.IndexField(ctx, &v1alpha1.MailDomain{}, certificateIndex, namedCertificates); err != nil {
		return fmt.Errorf("index MailDomains by Certificate: %w", err)
	}
	if err := indexer.IndexField(ctx, &cmapi.CertificateRequest{}, requestIndex, byAnnotation(requestNameAnnotation)); err != nil {
		return fmt.Errorf("index CertificateRequests by Certificate: %w", err)
	}
	if err := indexer.IndexField(ctx, &cmapi.Certificate{}, gateIndex, byAnnotation(v1alpha1.GateAnnotation)); err != nil {
		return fmt.Errorf("index Certificates by gate: %w", err)
	}
	return nil
}

func namedCertificates(o client.Object) []string { return certificateNames(o.(*v1alpha1.MailDomain)) }

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

// readWorld reads, from the cache, all DNSZones, the labels of the namespaces concerned, and the
// MailDomains that share a host with md, or have taken one over that md still has records of.
func readWorld(ctx context.Context, reader client.Reader, md *v1alpha1.MailDomain) (*world, error) {
	w := &world{namespaceLabels: map[string]map[string]string{}}
	var zones v1alpha1.DNSZoneList
	if err := reader.List(ctx, &zones); err != nil {
		return nil, fmt.Errorf("list DNSZones: %w", err)
	}
	w.zones = zones.Items
	seen := map[types.UID]bool{}
	for _, host := range concernedHosts(md) {
		var list v1alpha1.MailDomainList
		if err := reader.List(ctx, &list, client.MatchingFields{hostIndex: host}); err != nil {
			return nil, fmt.Errorf("list MailDomains of host %s: %w", host, err)
		}
		for i := range list.Items {
			if !seen[list.Items[i].UID] {
				seen[list.Items[i].UID] = true
				w.domains = append(w.domains, list.Items[i])
			}
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

// concernedHosts are the hosts of the spec, and those that have left it and still stand in status.
func concernedHosts(md *v1alpha1.MailDomain) []string {
	out := hostnames(md)
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

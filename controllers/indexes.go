package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// Names of the indexes that find what an event concerns: to look through all objects for each event is
// too much where there are thousands.
const (
	// zoneIndex finds MailDomains by every name above one of their hosts (hostIndex has those themselves),
	// and by NAMESPACE/NAME of the DNSZones that they name or were written to.
	zoneIndex = "spec.mailServers.hostname/zone"
	// certificateLabelIndex finds MailDomains by the name of a Certificate as it stands in a label, where
	// that is shorter than the name.
	certificateLabelIndex = "spec.mailServers.certificates.name/label"
	// nameLabelIndex finds MailDomains by their own name as it stands in a label.
	nameLabelIndex = "metadata.name/label"
	// serviceIndex finds MailDomains by the Service that their endpoints come from.
	serviceIndex = "spec.mailServers.probe.serviceRef.name"
	// sliceIndex finds EndpointSlices by their Service: a label that is asked for is looked for in each object of a namespace.
	sliceIndex = "metadata.labels.service-name"
	// zoneSecretIndex finds DNSZones by the Secrets that they name.
	zoneSecretIndex = "spec.update.secrets"
)

// addEventIndexes registers the indexes above.
func addEventIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for field, keys := range map[string]func(*v1alpha1.MailDomain) []string{
		zoneIndex: concernedZones, certificateLabelIndex: certificateLabels, serviceIndex: serviceNames, nameLabelIndex: nameLabel,
	} {
		of := func(o client.Object) []string { return keys(o.(*v1alpha1.MailDomain)) }
		if err := indexer.IndexField(ctx, &v1alpha1.MailDomain{}, field, of); err != nil {
			return fmt.Errorf("index MailDomains by %s: %w", field, err)
		}
	}
	ofZone := func(o client.Object) []string { return secretsOfZone(o.(*v1alpha1.DNSZone)) }
	for field, of := range map[string]client.IndexerFunc{zoneSecretIndex: ofZone, zoneNameIndex: zoneNames, zoneObjectIndex: zoneObjects} {
		if err := indexer.IndexField(ctx, &v1alpha1.DNSZone{}, field, of); err != nil {
			return fmt.Errorf("index DNSZones by %s: %w", field, err)
		}
	}
	if err := indexer.IndexField(ctx, &discoveryv1.EndpointSlice{}, sliceIndex, serviceOfSlice); err != nil {
		return fmt.Errorf("index EndpointSlices by Service: %w", err)
	}
	return nil
}

func serviceOfSlice(o client.Object) []string {
	if service := o.GetLabels()[discoveryv1.LabelServiceName]; service != "" {
		return []string{service}
	}
	return nil
}

func nameLabel(md *v1alpha1.MailDomain) []string { return []string{labelValue(md.Name)} }

// concernedZones are the names of all zones that could hold a host of md or the end of one of its
// aliases, and NAMESPACE/NAME of the DNSZones that md names or was written to.
func concernedZones(md *v1alpha1.MailDomain) []string {
	var out []string
	for i := range md.Spec.MailServers {
		s := &md.Spec.MailServers[i]
		out = append(append(out, ancestors(s.Hostname)...), zoneKeys(md.Namespace, s.ZoneRef)...)
	}
	for i := range md.Status.MailServers {
		s := &md.Status.MailServers[i]
		out = append(append(out, ancestors(s.Hostname)...), zoneKeys(md.Namespace, s.ZoneRef)...)
	}
	if concernsRecords(md) || concernsKeys(md) {
		out = append(append(out, md.Spec.Domain), ancestors(md.Spec.Domain)...)
	}
	for _, end := range aliasEnds(md) {
		out = append(out, ancestors(strings.TrimSuffix(end, "."))...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ancestors are all names above a name.
func ancestors(name string) []string {
	var out []string
	for _, above, found := strings.Cut(name, "."); found; _, above, found = strings.Cut(above, ".") {
		out = append(out, above)
	}
	return out
}

// zoneKeys is NAMESPACE/NAME of the DNSZone that a reference in a namespace names, if there is one.
func zoneKeys(namespace string, ref *v1alpha1.ZoneReference) []string {
	if ref == nil {
		return nil
	}
	if ref.Namespace != "" {
		namespace = ref.Namespace
	}
	return []string{namespace + "/" + ref.Name}
}

func certificateLabels(md *v1alpha1.MailDomain) []string {
	var out []string
	for _, name := range certificateNames(md) {
		if label := labelValue(name); label != name {
			out = append(out, label)
		}
	}
	return slices.Compact(out)
}

func serviceNames(md *v1alpha1.MailDomain) []string {
	var out []string
	for _, s := range md.Spec.MailServers {
		if s.Probe.ServiceRef != nil {
			out = append(out, s.Probe.ServiceRef.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

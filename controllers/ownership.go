package controllers

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// world is what the reconciler knows of all DNSZones and MailDomains: enough to tell which zone a
// host is written to and who owns it. It does no I/O.
type world struct {
	zones []v1alpha1.DNSZone
	// domains that may list the host, the one at hand included.
	domains []v1alpha1.MailDomain
	// namespaceLabels by namespace name.
	namespaceLabels map[string]map[string]string
}

// refusal says why a host cannot be written: a reason of the Stalled condition and a message.
type refusal struct {
	reason, message string
}

// zoneFor finds the DNSZone that the records of a host are written to: the one that zoneRef names,
// or the longest above the host among those that the namespace may use.
func (w *world) zoneFor(namespace string, server *v1alpha1.MailServer) (*v1alpha1.DNSZone, *refusal) {
	if server.ZoneRef != nil {
		return w.namedZone(namespace, server)
	}
	var best *v1alpha1.DNSZone
	covered := false
	for i := range w.zones {
		z := &w.zones[i]
		if !inZone(server.Hostname, z.Spec.Zone) {
			continue
		}
		covered = covered || z.Namespace == namespace
		if !grantsName(z, namespace, w.namespaceLabels[namespace], server.Hostname) {
			continue
		}
		if best == nil || len(z.Spec.Zone) > len(best.Spec.Zone) ||
			len(z.Spec.Zone) == len(best.Spec.Zone) && zoneLess(z, best, namespace) {
			best = z
		}
	}
	if best != nil {
		return best, nil
	}
	if covered {
		return nil, &refusal{v1alpha1.ReasonNotGranted, fmt.Sprintf("no DNSZone grants %s to namespace %s: add it to spec.grants of the DNSZone", server.Hostname, namespace)}
	}
	// Zones of other namespaces are not named here: their existence is none of this tenant's business.
	return nil, &refusal{v1alpha1.ReasonZoneNotFound, fmt.Sprintf("no DNSZone that namespace %s may use covers %s: create one for the zone that holds it, or have it granted by the owner of that zone", namespace, server.Hostname)}
}

func (w *world) namedZone(namespace string, server *v1alpha1.MailServer) (*v1alpha1.DNSZone, *refusal) {
	ref := types.NamespacedName{Namespace: cmp.Or(server.ZoneRef.Namespace, namespace), Name: server.ZoneRef.Name}
	foreign := ref.Namespace != namespace
	i := slices.IndexFunc(w.zones, func(z v1alpha1.DNSZone) bool { return z.Name == ref.Name && z.Namespace == ref.Namespace })
	if i >= 0 && grantsName(&w.zones[i], namespace, w.namespaceLabels[namespace], server.Hostname) {
		return &w.zones[i], nil
	}
	switch {
	case foreign:
		// One answer for "does not exist" and "not granted", so that the condition is no oracle.
		return nil, &refusal{v1alpha1.ReasonNotGranted, fmt.Sprintf("DNSZone %s does not grant %s to namespace %s, or does not exist: its owner must add a grant", ref, server.Hostname, namespace)}
	case i < 0:
		return nil, &refusal{v1alpha1.ReasonZoneNotFound, fmt.Sprintf("DNSZone %s, which zoneRef of %s names, does not exist", ref, server.Hostname)}
	case !inZone(server.Hostname, w.zones[i].Spec.Zone):
		return nil, &refusal{v1alpha1.ReasonNotGranted, fmt.Sprintf("host %s is not below zone %s of DNSZone %s", server.Hostname, w.zones[i].Spec.Zone, ref)}
	default:
		return nil, &refusal{v1alpha1.ReasonNotGranted, fmt.Sprintf("DNSZone %s does not grant %s to namespace %s: add it to spec.grants", ref, server.Hostname, namespace)}
	}
}

// zoneLess prefers, among DNSZones of the same zone, the own namespace, then the oldest, then the name.
func zoneLess(a, b *v1alpha1.DNSZone, namespace string) bool {
	if (a.Namespace == namespace) != (b.Namespace == namespace) {
		return a.Namespace == namespace
	}
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Namespace+"/"+a.Name < b.Namespace+"/"+b.Name
}

// ownedElsewhere says which other MailDomain owns a host and port that md claims: the oldest that
// names certificates for it and whose namespace is granted the name (so that a claim without a
// grant blocks nobody). Empty when md is the owner.
func (w *world) ownedElsewhere(md *v1alpha1.MailDomain, server *v1alpha1.MailServer) string {
	for i := range w.domains {
		other := &w.domains[i]
		if other.UID == md.UID || !domainLess(other, md) {
			continue
		}
		for j := range other.Spec.MailServers {
			if claims(&other.Spec.MailServers[j], server) {
				if _, refused := w.zoneFor(other.Namespace, &other.Spec.MailServers[j]); refused == nil {
					return other.Namespace + "/" + other.Name
				}
			}
		}
	}
	return ""
}

// claims says whether a names certificates for the host of b and shares a port with it.
func claims(a, b *v1alpha1.MailServer) bool {
	if a.Hostname != b.Hostname || len(a.Certificates) == 0 {
		return false
	}
	return slices.ContainsFunc(a.Ports, func(p v1alpha1.MailServerPort) bool {
		return slices.ContainsFunc(b.Ports, func(q v1alpha1.MailServerPort) bool { return p.Port == q.Port })
	})
}

// domainLess orders MailDomains by age, then by namespace and name.
func domainLess(a, b *v1alpha1.MailDomain) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Namespace+"/"+a.Name < b.Namespace+"/"+b.Name
}

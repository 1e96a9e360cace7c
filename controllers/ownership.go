package controllers

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// world is what the reconciler knows of DNSZones and MailDomains: enough to tell which zone a host is
// written to and who owns it.
type world struct {
	zones zoneSource
	// domains that may list the host, the one at hand included.
	domains []v1alpha1.MailDomain
	// namespaceLabels by namespace name.
	namespaceLabels map[string]map[string]string
}

// refusal says why a host cannot be written: a reason of the Stalled condition and a message.
type refusal struct {
	reason, message string
}

// zoneFor finds the DNSZone that the records of a host are written to: the one that zoneRef names;
// without it the longest above the host that the own namespace has, which no outsider can change;
// without such the longest that one other namespace offers. Where several offer one, any of them may
// have put a zone there to catch the host, so a person must say which.
func (w *world) zoneFor(namespace string, server *v1alpha1.MailServer) (*v1alpha1.DNSZone, *refusal) {
	if server.ZoneRef != nil {
		return w.namedZone(namespace, server)
	}
	offers := w.zoneOffers(namespace, server.Hostname)
	if own := offers[namespace]; own != nil {
		return own, nil
	}
	if len(offers) > 1 {
		// None is named: the existence of zones elsewhere is none of this tenant's business.
		return nil, &refusal{v1alpha1.ReasonAmbiguousZone, fmt.Sprintf("several DNSZones of other namespaces cover %s for namespace %s: say in spec.mailServers[].zoneRef which one holds it", server.Hostname, namespace)}
	}
	for _, only := range offers {
		return only, nil
	}
	return nil, w.noZone(namespace, server.Hostname)
}

// zoneOffers are the DNSZones that a namespace may write a host to: the best of each namespace.
func (w *world) zoneOffers(namespace, host string) map[string]*v1alpha1.DNSZone {
	best := map[string]*v1alpha1.DNSZone{}
	for _, z := range w.zones.covering(host) {
		if !grantsName(z, namespace, w.namespaceLabels[namespace], host) {
			continue
		}
		if b := best[z.Namespace]; b == nil || betterZone(z, b) {
			best[z.Namespace] = z
		}
	}
	return best
}

// noZone says why there is no DNSZone for a host.
func (w *world) noZone(namespace, host string) *refusal {
	if slices.ContainsFunc(w.zones.covering(host), func(z *v1alpha1.DNSZone) bool { return z.Namespace == namespace }) {
		return &refusal{v1alpha1.ReasonNotGranted, fmt.Sprintf("no DNSZone grants %s to namespace %s: add it to spec.grants of the DNSZone", host, namespace)}
	}
	// Zones of other namespaces are not named here either.
	return &refusal{v1alpha1.ReasonZoneNotFound, fmt.Sprintf("no DNSZone that namespace %s may use covers %s: create one for the zone that holds it, or have it granted by the owner of that zone", namespace, host)}
}

func (w *world) namedZone(namespace string, server *v1alpha1.MailServer) (*v1alpha1.DNSZone, *refusal) {
	ref := types.NamespacedName{Namespace: cmp.Or(server.ZoneRef.Namespace, namespace), Name: server.ZoneRef.Name}
	foreign := ref.Namespace != namespace
	z := w.zones.named(ref)
	if z != nil && grantsName(z, namespace, w.namespaceLabels[namespace], server.Hostname) {
		return z, nil
	}
	switch {
	case foreign:
		// One answer for "does not exist" and "not granted", so that the condition is no oracle.
		return nil, &refusal{v1alpha1.ReasonNotGranted, fmt.Sprintf("DNSZone %s does not grant %s to namespace %s, or does not exist: its owner must add a grant", ref, server.Hostname, namespace)}
	case z == nil:
		return nil, &refusal{v1alpha1.ReasonZoneNotFound, fmt.Sprintf("DNSZone %s, which zoneRef of %s names, does not exist", ref, server.Hostname)}
	case !inZone(server.Hostname, z.Spec.Zone):
		return nil, &refusal{v1alpha1.ReasonNotGranted, fmt.Sprintf("host %s is not below zone %s of DNSZone %s", server.Hostname, z.Spec.Zone, ref)}
	default:
		return nil, &refusal{v1alpha1.ReasonNotGranted, fmt.Sprintf("DNSZone %s does not grant %s to namespace %s: add it to spec.grants", ref, server.Hostname, namespace)}
	}
}

// betterZone prefers, among the DNSZones of one namespace, the longest zone, then the oldest, then the name.
func betterZone(a, b *v1alpha1.DNSZone) bool {
	if len(a.Spec.Zone) != len(b.Spec.Zone) {
		return len(a.Spec.Zone) > len(b.Spec.Zone)
	}
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Name < b.Name
}

// ownedElsewhere says which other MailDomain owns a host and port that md claims: the oldest that
// names certificates for it. Empty when md is the owner.
func (w *world) ownedElsewhere(md *v1alpha1.MailDomain, server *v1alpha1.MailServer) string {
	return w.oldestClaim(md, server, func(other *v1alpha1.MailDomain, s *v1alpha1.MailServer) bool {
		return domainLess(other, md) && slices.ContainsFunc(server.Ports, func(p v1alpha1.MailServerPort) bool { return hasPort(s, p.Port) })
	})
}

// claimedBy says which other MailDomain, older or younger, names certificates for a host and port and
// is there to stay, so that it can take over what md leaves. Empty when there is none.
func (w *world) claimedBy(md *v1alpha1.MailDomain, server *v1alpha1.MailServer, port int32) string {
	return w.oldestClaim(md, server, func(other *v1alpha1.MailDomain, s *v1alpha1.MailServer) bool {
		return other.DeletionTimestamp.IsZero() && hasPort(s, port)
	})
}

// oldestClaim is the oldest MailDomain but md that names certificates for the host of server and that
// counts. Only claims in the DNSZone that md's host is written to are compared: what a namespace was
// never granted, or writes to a zone of its own making, takes nothing from anybody. Two DNSZones of
// one zone are thus like two clusters: each keeps the other's records as foreign ones.
func (w *world) oldestClaim(md *v1alpha1.MailDomain, server *v1alpha1.MailServer, counts func(*v1alpha1.MailDomain, *v1alpha1.MailServer) bool) string {
	ours, refused := w.zoneFor(md.Namespace, server)
	if refused != nil {
		return ""
	}
	var oldest *v1alpha1.MailDomain
	for i := range w.domains {
		other := &w.domains[i]
		if other.UID == md.UID || oldest != nil && !domainLess(other, oldest) {
			continue
		}
		if slices.ContainsFunc(other.Spec.MailServers, func(s v1alpha1.MailServer) bool {
			return s.Hostname == server.Hostname && len(s.Certificates) > 0 && counts(other, &s) && w.writesTo(ours, other.Namespace, &s)
		}) {
			oldest = other
		}
	}
	if oldest == nil {
		return ""
	}
	return oldest.Namespace + "/" + oldest.Name
}

// writesTo says whether a host of a namespace is written to a DNSZone.
func (w *world) writesTo(z *v1alpha1.DNSZone, namespace string, server *v1alpha1.MailServer) bool {
	theirs, refused := w.zoneFor(namespace, server)
	return refused == nil && theirs.Namespace == z.Namespace && theirs.Name == z.Name
}

func hasPort(server *v1alpha1.MailServer, port int32) bool {
	return slices.ContainsFunc(server.Ports, func(p v1alpha1.MailServerPort) bool { return p.Port == port })
}

// domainLess orders MailDomains by age, then by namespace and name.
func domainLess(a, b *v1alpha1.MailDomain) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Namespace+"/"+a.Name < b.Namespace+"/"+b.Name
}

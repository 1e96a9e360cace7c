package controllers

import (
	"fmt"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/mailplan"
)

// This file says which DNSZone the records of a mail domain are written to, and which MailDomain may.

// mailZone finds the DNSZone that the records of a mail domain are written to: the longest that the own namespace has, or
// else the only one that another namespace grants it in.
func (w *world) mailZone(namespace, domain string) (*v1alpha1.DNSZone, *refusal) {
	best := map[string]*v1alpha1.DNSZone{}
	own := false
	for _, z := range w.zones.covering(domain) {
		own = own || z.Namespace == namespace
		if !w.grantsMail(z, namespace, domain) {
			continue
		}
		if b := best[z.Namespace]; b == nil || betterZone(z, b) {
			best[z.Namespace] = z
		}
	}
	switch {
	case best[namespace] != nil:
		return best[namespace], nil
	case len(best) > 1:
		return nil, &refusal{v1alpha1.ReasonAmbiguousZone, fmt.Sprintf("DNSZones of several other namespaces grant the mail domain %s to namespace %s: have all but one take it out of spec.grants[].mailDomains", domain, namespace)}
	case own:
		return nil, &refusal{v1alpha1.ReasonNotGranted, fmt.Sprintf("no DNSZone grants the mail domain %s to namespace %s: add it to spec.grants[].mailDomains of the DNSZone", domain, namespace)}
	}
	for _, only := range best {
		return only, nil
	}
	// Zones of other namespaces are not named: their existence is none of this tenant's business.
	return nil, &refusal{v1alpha1.ReasonZoneNotFound, fmt.Sprintf("no DNSZone that namespace %s may use for the mail domain %s covers it: create one for the zone that holds it, or have it granted by the owner of that zone (spec.grants[].mailDomains)", namespace, domain)}
}

// grantsMail says whether a DNSZone lets a namespace write the records of a mail domain: without grants its own namespace,
// with them those that a grant with mailDomains admits.
func (w *world) grantsMail(z *v1alpha1.DNSZone, namespace, domain string) bool {
	if !inZone(domain, z.Spec.Zone) {
		return false
	}
	if len(z.Spec.Grants) == 0 {
		return namespace == z.Namespace
	}
	for _, g := range z.Spec.Grants {
		if len(g.MailDomains) > 0 && grantCovers(g.MailDomains, domain) && grantAdmits(g, z.Namespace, namespace, w.namespaceLabels[namespace]) {
			return true
		}
	}
	return false
}

// recordOwnedElsewhere says which other MailDomain has a record of a domain, or of a name beside it: the oldest that asks
// for it in the same DNSZone. Empty when md is the owner.
func (w *world) recordOwnedElsewhere(md *v1alpha1.MailDomain, z *v1alpha1.DNSZone, s subject, record mailplan.Record) string {
	var oldest *v1alpha1.MailDomain
	for i := range w.domains {
		other := &w.domains[i]
		if other.UID == md.UID || !asksAt(other, s, record) || !domainLess(other, md) {
			continue
		}
		theirs, refused := w.mailZone(other.Namespace, s.grant)
		if refused != nil || theirs.UID != z.UID || oldest != nil && !domainLess(other, oldest) {
			continue
		}
		oldest = other
	}
	if oldest == nil {
		return ""
	}
	return ownerText(md.Namespace, oldest.Namespace+"/"+oldest.Name)
}

package controllers

import (
	"slices"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// This file says which MailDomain may write to a name that aliases of others lead to.

// nameOwnedElsewhere says which other MailDomain owns a name that md writes to: the oldest that names
// certificates for a host which is written there, by an alias or not. Empty when md is the owner.
func (w *world) nameOwnedElsewhere(md *v1alpha1.MailDomain, z *v1alpha1.DNSZone, name string) string {
	var oldest *v1alpha1.MailDomain
	for i := range w.domains {
		other := &w.domains[i]
		if other.UID == md.UID || !domainLess(other, md) || oldest != nil && !domainLess(other, oldest) {
			continue
		}
		if w.claims(other, z, name) {
			oldest = other
		}
	}
	if oldest == nil {
		return ""
	}
	return oldest.Namespace + "/" + oldest.Name
}

// claims says whether a MailDomain names certificates for a host whose records are written at a name of
// a DNSZone. Which aliases lead there is known from its status, which it stores before it writes.
func (w *world) claims(md *v1alpha1.MailDomain, z *v1alpha1.DNSZone, name string) bool {
	for i := range md.Spec.MailServers {
		s := &md.Spec.MailServers[i]
		if len(s.Certificates) == 0 {
			continue
		}
		if w.claimsByAlias(md, s, z, name) {
			return true
		}
		direct := slices.ContainsFunc(s.Ports, func(p v1alpha1.MailServerPort) bool { return ownerName(s.Hostname, p.Port) == name })
		if direct && w.writesTo(z, md.Namespace, s) {
			return true
		}
	}
	return false
}

func (w *world) claimsByAlias(md *v1alpha1.MailDomain, s *v1alpha1.MailServer, z *v1alpha1.DNSZone, name string) bool {
	if !grantsName(z, md.Namespace, w.namespaceLabels[md.Namespace], baseDomain(name)) {
		return false
	}
	for i := range md.Status.MailServers {
		status := &md.Status.MailServers[i]
		if status.Hostname == s.Hostname && slices.ContainsFunc(status.Aliases, func(a v1alpha1.AliasStatus) bool {
			return a.End == name && a.ZoneRef != nil && a.ZoneRef.Namespace == z.Namespace && a.ZoneRef.Name == z.Name
		}) {
			return true
		}
	}
	return false
}

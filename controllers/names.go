package controllers

import (
	"crypto/x509"
	"fmt"
	"strconv"
	"strings"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// spkiOfChain names the key of a chain, which is not empty.
func spkiOfChain(chain []*x509.Certificate) string {
	return tlsa.SPKISHA256(chain[0].RawSubjectPublicKeyInfo)
}

// serialOf names a certificate within its key: its serial number in hex.
func serialOf(leaf *x509.Certificate) string { return fmt.Sprintf("%x", leaf.SerialNumber) }

// portOfOwner reads the port out of a TLSA owner such as _25._tcp.mx1.example.com.
func portOfOwner(owner string) (int32, bool) {
	label, _, _ := strings.Cut(owner, ".")
	digits, ok := strings.CutPrefix(label, "_")
	if !ok {
		return 0, false
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || port == 0 {
		return 0, false
	}
	return int32(port), true //nolint:gosec // 16 bits
}

// ownedElsewhereRefusal says that a host belongs to another MailDomain.
func ownedElsewhereRefusal(host, namespace, other string) *refusal {
	return &refusal{v1alpha1.ReasonHostOwnedElsewhere, fmt.Sprintf(
		"%s belongs to %s, which is older and names certificates for it: list the host without certificates here, or take it out there", host, ownerText(namespace, other))}
}

// ownerText names a MailDomain to people of a namespace. One of another namespace is not named: its
// existence is none of this tenant's business.
func ownerText(namespace, other string) string {
	if strings.HasPrefix(other, namespace+"/") {
		return "MailDomain " + other
	}
	return "a MailDomain of another namespace"
}

// referenceNames are the names that a sender accepts in a certificate with usage 2: the TLSA base
// domain and the next-hop domain (RFC 7672 section 3.2.2).
func referenceNames(host, domain string) []string { return []string{host, domain} }

package tlsa

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"strings"
)

var (
	oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}
)

// presentedNames are the host names a certificate is for: its DNS-IDs, or its common names when it has no
// DNS-ID (RFC 7672 section 3.2.3).
func presentedNames(c *x509.Certificate) []string {
	if len(c.DNSNames) > 0 {
		return c.DNSNames
	}
	var out []string
	for _, n := range c.Subject.Names {
		if text, ok := n.Value.(string); ok && n.Type.Equal(oidCommonName) {
			out = append(out, text)
		}
	}
	return out
}

// nameMatches says whether a certificate is for one of the reference names.
func nameMatches(c *x509.Certificate, references []string) bool {
	return slices.ContainsFunc(presentedNames(c), func(presented string) bool {
		return slices.ContainsFunc(references, func(reference string) bool {
			return hostMatches(presented, reference)
		})
	})
}

// hostMatches compares a presented name with a reference name, in A-label form and whatever the case. The
// presented name may have a wildcard as its whole first label, which stands for one label and needs two
// labels after it, as libssl demands too (RFC 6125 section 6.4.3).
func hostMatches(presented, reference string) bool {
	presented, reference = canonicalHost(presented), canonicalHost(reference)
	if !plainHost(reference) {
		return false
	}
	if presented == reference {
		return true
	}
	below, ok := strings.CutPrefix(presented, "*.")
	if !ok || !strings.Contains(below, ".") {
		return false
	}
	_, parent, _ := strings.Cut(reference, ".")
	return parent == below
}

// canonicalHost is a name in lower case (ASCII alone) without its final dot.
func canonicalHost(name string) string {
	lower := func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}
	return strings.TrimSuffix(strings.Map(lower, name), ".")
}

// plainHost says whether a canonical name is a host name: labels of letters, digits, hyphens and
// underscores, none empty, at most 253 characters.
func plainHost(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

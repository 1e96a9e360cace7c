package tlsa

import (
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// check says what is wrong with a path whose signatures are good: leaf first, trust anchor last, or the
// last certificate below a bare key. A sender checks all of it, the trust anchor's expiry included.
func (b *builder) check(path []*x509.Certificate) problem {
	for depth, c := range path {
		if p := b.checkTime(c); p.reason != "" {
			return p
		}
		if detail := b.checkCertificate(path, depth); detail != "" {
			return problem{ReasonChainInvalid, fmt.Sprintf("%s %s", b.describe(c), detail)}
		}
	}
	if !once(&b.forHost, func() bool { return nameMatches(path[0], b.names) }) {
		return problem{ReasonNameMismatch, fmt.Sprintf("it is for %s and not for %s",
			listed(presentedNames(path[0])), listed(b.names))}
	}
	return problem{}
}

// checkTime says whether a certificate is valid at the time.
func (b *builder) checkTime(c *x509.Certificate) problem {
	switch {
	case b.at.After(c.NotAfter):
		return problem{ReasonExpired, fmt.Sprintf("%s expired %s", b.describe(c), c.NotAfter.UTC().Format(time.RFC3339))}
	case b.at.Before(c.NotBefore):
		return problem{ReasonNotYetValid, fmt.Sprintf("%s is valid from %s", b.describe(c), c.NotBefore.UTC().Format(time.RFC3339))}
	default:
		return problem{}
	}
}

// checkCertificate says why a certificate may not stand where it stands, in words; empty when it may.
func (b *builder) checkCertificate(path []*x509.Certificate, depth int) string {
	c := path[depth]
	switch {
	case len(c.UnhandledCriticalExtensions) > 0:
		return fmt.Sprintf("has a critical extension that is not understood (%s)", c.UnhandledCriticalExtensions[0])
	case !forServers(c):
		return "is not for TLS servers (extended key usage)"
	case depth == 0:
		if !keyUsage(c, x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment|x509.KeyUsageKeyAgreement) {
			return "is not for TLS servers (key usage)"
		}
		return ""
	default:
		return b.checkIssuer(path, depth)
	}
}

// checkIssuer says why a certificate may not be above the others, in words; empty when it may.
func (b *builder) checkIssuer(path []*x509.Certificate, depth int) string {
	c := path[depth]
	switch {
	case !b.isCA(c):
		return "is no CA certificate"
	case !keyUsage(c, x509.KeyUsageCertSign):
		return "may not sign certificates (key usage)"
	case b.tooLong(path, depth):
		return fmt.Sprintf("allows only %d CA certificates below it", c.MaxPathLen)
	default:
		return recall(b.constraints, c, func() string { return constrained(c, path[0]) })
	}
}

// forServers says whether the extended key usage, where there is one, names TLS servers. It holds for CA
// certificates too. "Any" is not enough, since libssl does not take it.
func forServers(c *x509.Certificate) bool {
	if len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) == 0 {
		return true
	}
	return slices.ContainsFunc(c.ExtKeyUsage, func(u x509.ExtKeyUsage) bool {
		return u == x509.ExtKeyUsageServerAuth || u == x509.ExtKeyUsageNetscapeServerGatedCrypto
	})
}

// keyUsage says whether the key usage, where there is one, has one of the bits.
func keyUsage(c *x509.Certificate, bits x509.KeyUsage) bool {
	return c.KeyUsage == 0 || c.KeyUsage&bits != 0
}

// isCA says whether a certificate is one of a CA. Old roots of version 1 cannot say it of themselves.
func (b *builder) isCA(c *x509.Certificate) bool {
	return c.BasicConstraintsValid && c.IsCA || c.Version == 1 && b.sameName(c, c)
}

// tooLong says whether there are more CA certificates below one than it allows. Those that carry their
// issuer's name do not count (RFC 5280 section 4.2.1.9).
func (b *builder) tooLong(path []*x509.Certificate, depth int) bool {
	c := path[depth]
	if c.MaxPathLen < 0 || c.MaxPathLen == 0 && !c.MaxPathLenZero {
		return false
	}
	below := 0
	for _, ca := range path[1:depth] {
		if !b.sameName(ca, ca) {
			below++
		}
	}
	return below > c.MaxPathLen
}

// constrained says how a CA does not permit the names of a leaf, in words; empty when it does.
func constrained(ca, leaf *x509.Certificate) string {
	switch {
	case comparisons(ca, leaf) > maxComparisons:
		return "has more name constraints than are compared with the server's names"
	case !permits(ca, leaf):
		return "does not permit the server's names (name constraints)"
	default:
		return ""
	}
}

// permits checks the host names and addresses of a leaf against the name constraints of a CA. A leaf
// without DNS-IDs is held to its common names (RFC 5280 section 4.2.1.10). Constraints on kinds of
// names that no sender compares here (mail addresses, URIs) are not looked at.
func permits(ca, leaf *x509.Certificate) bool {
	for _, name := range presentedNames(leaf) {
		name = canonicalHost(name)
		below := func(domain string) bool { return inDomain(name, domain) }
		if slices.ContainsFunc(ca.ExcludedDNSDomains, below) ||
			len(ca.PermittedDNSDomains) > 0 && !slices.ContainsFunc(ca.PermittedDNSDomains, below) {
			return false
		}
	}
	for _, ip := range leaf.IPAddresses {
		inside := func(n *net.IPNet) bool { return n.Contains(ip) }
		if slices.ContainsFunc(ca.ExcludedIPRanges, inside) ||
			len(ca.PermittedIPRanges) > 0 && !slices.ContainsFunc(ca.PermittedIPRanges, inside) {
			return false
		}
	}
	return true
}

// comparisons is how often a name is compared with a constraint.
func comparisons(ca, leaf *x509.Certificate) int {
	names := len(presentedNames(leaf)) * (len(ca.ExcludedDNSDomains) + len(ca.PermittedDNSDomains))
	return names + len(leaf.IPAddresses)*(len(ca.ExcludedIPRanges)+len(ca.PermittedIPRanges))
}

// inDomain says whether a name is in the subtree of a name constraint: the domain and all below it, or
// only what is below it when the constraint starts with a dot.
func inDomain(name, domain string) bool {
	domain = canonicalHost(domain)
	if below, ok := strings.CutPrefix(domain, "."); ok {
		return strings.HasSuffix(name, "."+below)
	}
	return domain == "" || name == domain || strings.HasSuffix(name, "."+domain)
}

// listed names hosts for people.
func listed(names []string) string {
	if len(names) == 0 {
		return "no host"
	}
	var out []string
	for _, n := range names[:min(len(names), 4)] {
		out = append(out, quoted(n))
	}
	return strings.Join(out, ", ")
}

func quoted(text string) string {
	const limit = 100
	if len(text) > limit {
		text = text[:limit] + "..."
	}
	return fmt.Sprintf("%q", text)
}

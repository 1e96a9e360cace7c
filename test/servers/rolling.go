package servers

import (
	"fmt"
	"net/netip"
	"strings"
)

// rollingTTL is the TTL of everything in a zone that rolls its key, in seconds.
const rollingTTL = 2

// addresses writes each address as ADDRESS, a separator, PORT, and an end.
func addresses(list []netip.AddrPort, separator, end string) string {
	var b strings.Builder
	for _, at := range list {
		fmt.Fprintf(&b, "%s%s%d%s", at.Addr(), separator, at.Port(), end)
	}
	return b.String()
}

// rollingBIND is a policy of BIND with a short life of the key signing key. BIND refuses a life that is
// shorter than what a rollover takes.
func rollingBIND(r *Rolling) string {
	return fmt.Sprintf(`dnssec-policy rolling {
  keys {
    ksk lifetime %[1]d algorithm ecdsap256sha256;
    zsk lifetime unlimited algorithm ecdsap256sha256;
  };
  dnskey-ttl %[2]d;
  max-zone-ttl %[2]d;
  publish-safety 2;
  retire-safety 2;
  zone-propagation-delay 2;
  parent-ds-ttl %[2]d;
  parent-propagation-delay 2;
  signatures-validity P2D;
  signatures-validity-dnskey P2D;
  signatures-refresh P1D;
};
`, r.Lifetime, rollingTTL)
}

// rollingKnotPolicy are lines of a policy of Knot with a short life of the key signing key.
func rollingKnotPolicy(r *Rolling) string {
	return fmt.Sprintf(`    ksk-lifetime: %[1]d
    zsk-lifetime: 0
    dnskey-ttl: %[2]d
    zone-max-ttl: %[2]d
    propagation-delay: 2
    delete-delay: 0
    rrsig-lifetime: 2d
    rrsig-refresh: 1d
    ksk-submission: parent
`, r.Lifetime, rollingTTL)
}

// RollAlgorithm has Knot sign with another algorithm from now on, and go over to it by and by. It is for Knot alone, with
// Options.Rolling.
func (p *Primary) RollAlgorithm(algorithm string) {
	p.t.Helper()
	if p.Make != Knot || p.options.Rolling == nil {
		p.t.Fatalf("%s does not go over to another algorithm: it is for Knot with Rolling", p.Make)
	}
	p.options.Rolling.Algorithm = algorithm
	p.brand.renotify(p)
}

// rollingKnotSubmission says how Knot learns that the DS record of the new key is in the parent.
func rollingKnotSubmission(r *Rolling) string {
	var parents []string
	for i := range r.Parents {
		parents = append(parents, fmt.Sprintf("parent%d", i))
	}
	return fmt.Sprintf(`submission:
  - id: parent
    parent: [%s]
    check-interval: 1
    parent-delay: 0
`, strings.Join(parents, ", "))
}

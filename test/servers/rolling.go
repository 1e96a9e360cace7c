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
func rollingBIND(r *Rolling, nsec3 bool) string {
	denial := ""
	if nsec3 {
		denial = "  nsec3param iterations 0 optout no salt-length 0;\n"
	}
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
%[3]s};
`, r.Lifetime, rollingTTL, denial)
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

// rolling has the zone signed by a key signing key and a zone signing key, and ask for DS records of the first.
func (d powerDNS) rolling(p *Primary) error {
	for _, args := range [][]string{
		{"add-zone-key", p.Zone, "ksk", "active", "published", "ecdsa256"}, {"add-zone-key", p.Zone, "zsk", "active", "published", "ecdsa256"},
		{"set-publish-cds", p.Zone, "2"}, {"set-publish-cdnskey", p.Zone},
	} {
		if _, err := d.util(p, args...); err != nil {
			return err
		}
	}
	return nil
}

// PowerDNS rolls no key by itself: its administrator does. What follows is for PowerDNS alone, with Options.Rolling.

// AddKSK adds a key signing key that signs beside those that there are.
func (p *Primary) AddKSK() {
	p.t.Helper()
	p.rollsByHand("add-zone-key", p.Zone, "ksk", "active", "published", "ecdsa256")
}

// RemoveKSK takes the key signing key with a tag out of the zone. Until then PowerDNS asks for its DS record, whether it signs or not.
func (p *Primary) RemoveKSK(tag uint16) {
	p.t.Helper()
	p.rollsByHand("remove-zone-key", p.Zone, p.keyID(tag))
}

// rollsByHand changes the keys, and then the serial, without which no secondary takes the change over.
func (p *Primary) rollsByHand(args ...string) {
	p.t.Helper()
	if p.Make != PowerDNS || p.options.Rolling == nil {
		p.t.Fatalf("the keys of %s are not rolled by hand: that is for PowerDNS with Rolling", p.Make)
	}
	d := powerDNS{}
	for _, command := range [][]string{args, {"increase-serial", p.Zone}} {
		Eventually(p.t, "pdnsutil "+command[0], func() error {
			_, err := d.util(p, command...)
			return err
		})
	}
	p.Control("purge", p.Zone+"$")
	p.notify()
}

// keyID is what PowerDNS calls the key signing key with a tag by.
func (p *Primary) keyID(tag uint16) string {
	p.t.Helper()
	text, err := powerDNS{}.util(p, "list-keys", p.Zone)
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		for i, word := range words {
			// The identifier, the location, and the tag.
			if word == fmt.Sprint(tag) && i > 1 {
				return words[i-2]
			}
		}
	}
	p.t.Fatalf("there is no key with the tag %d among\n%s", tag, text)
	return ""
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

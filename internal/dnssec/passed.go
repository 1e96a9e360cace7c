package dnssec

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Passed is a DNSKEY or DS RRset of a zone on the way from a trust anchor down to another zone, as it was validated. By
// two of them it can be told whether the set has changed.
type Passed struct {
	// Zone that it is of, Type DNSKEY or DS.
	Zone string
	Type uint16
	// TTL is the longest that a cache keeps it: the one that was signed.
	TTL time.Duration
	// Digest of its records, as far as they count for validation.
	Digest string
}

// String gives it in one line: zone, type, TTL in seconds and digest. ParsePassed reads that.
func (p Passed) String() string {
	return fmt.Sprintf("%s %s %d %s", p.Zone, typeText(p.Type), int64(p.TTL/time.Second), p.Digest)
}

// ParsePassed reads what String gives.
func ParsePassed(text string) (Passed, error) {
	words := strings.Fields(text)
	if len(words) != 4 {
		return Passed{}, fmt.Errorf("%q is not made of zone, type, TTL and digest", text)
	}
	ttl, err := strconv.ParseUint(words[2], 10, 32)
	if err != nil {
		return Passed{}, fmt.Errorf("%q has no TTL in seconds: %w", text, err)
	}
	kind := dns.StringToType[words[1]]
	if kind != dns.TypeDNSKEY && kind != dns.TypeDS {
		return Passed{}, fmt.Errorf("%q is neither of DNSKEY nor of DS records", text)
	}
	return Passed{Zone: words[0], Type: kind, TTL: time.Duration(ttl) * time.Second, Digest: words[3]}, nil
}

// passed are the sets by which a zone is trusted: its keys, and the DS records unless they are trust anchors, which are
// in no cache.
func (k *Keys) passed() []Passed {
	var keys, ds []string
	for _, of := range k.keys {
		for _, key := range of {
			keys = append(keys, fmt.Sprintf("%d %d %s", key.Flags, key.Algorithm, key.PublicKey))
		}
	}
	out := []Passed{{Zone: k.zone, Type: dns.TypeDNSKEY, TTL: k.signature.OrigTTL, Digest: digestOf(keys)}}
	if k.byParent {
		for _, of := range k.by {
			ds = append(ds, PresentDS(of))
		}
		out = append(out, Passed{Zone: k.zone, Type: dns.TypeDS, TTL: k.byTTL, Digest: digestOf(ds)})
	}
	return out
}

func digestOf(records []string) string {
	slices.Sort(records)
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(records), "\n")))
	return hex.EncodeToString(sum[:8])
}

// above are the sets of the zones above a name that this lookup has come by, from the trust anchor down.
func (l *lookup) above(name string) []Passed {
	var zones []string
	for zone := range l.passed {
		if below(zone, name) {
			zones = append(zones, zone)
		}
	}
	slices.SortFunc(zones, func(a, b string) int { return dns.CountLabel(a) - dns.CountLabel(b) })
	var out []Passed
	for _, zone := range zones {
		out = append(out, l.passed[zone].passed()...)
	}
	return out
}

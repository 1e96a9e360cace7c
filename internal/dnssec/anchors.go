package dnssec

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Anchor is a trust anchor: the DS record of a zone. The name lets packages that may not import the
// DNS library carry anchors about.
type Anchor = *dns.DS

// ErrAnchor is wrapped by every error of ParseDS and ParseAnchors.
var ErrAnchor = errors.New("not a trust anchor")

// digestHexLen is the length of a DS digest in hex digits, by digest type (RFC 4034, 4509, 6605).
var digestHexLen = map[uint8]int{dns.SHA1: 40, dns.SHA256: 64, dns.SHA384: 96}

// ParseDS reads a DS record in presentation form: "12345 13 2 HEX" for defaultOwner, or with its
// owner, and if wanted TTL and class: "test. DS 12345 13 2 HEX", "test. 3600 IN DS 12345 13 2 HEX".
// The digest may be in several words. The result has a lower-case absolute owner and class IN.
func ParseDS(text, defaultOwner string) (Anchor, error) {
	words := strings.Fields(text)
	owner := defaultOwner
	for i, w := range words {
		if !strings.EqualFold(w, "DS") {
			continue
		}
		name, err := anchorOwner(words[:i], defaultOwner, "DS")
		if err != nil {
			return nil, err
		}
		owner, words = name, words[i+1:]
		break
	}
	if owner == "" {
		return nil, fmt.Errorf("%w: %q has no owner: write \"ZONE. DS KEYTAG ALGORITHM DIGEST-TYPE HEX\"", ErrAnchor, text)
	}
	if len(words) < 4 {
		return nil, fmt.Errorf("%w: want KEYTAG ALGORITHM DIGEST-TYPE HEX, got %d words", ErrAnchor, len(words))
	}
	return makeDS(owner, words)
}

// anchorOwner reads what stands before the type of a record: an owner, a TTL and a class, each optional.
func anchorOwner(words []string, defaultOwner, kind string) (string, error) {
	owner := defaultOwner
	for i, w := range words {
		_, err := strconv.ParseUint(w, 10, 32)
		switch {
		case strings.EqualFold(w, "IN"), err == nil && i > 0:
		case i == 0:
			owner = w
		default:
			return "", fmt.Errorf("%w: %q before %s is neither owner, TTL nor class IN", ErrAnchor, w, kind)
		}
	}
	return owner, nil
}

// plainName is a name of what zones are called: host names, and the '_' and '/' of RFC 2317 and RFC 8552. Whatever else might stand
// in a name need not read back as the same name.
var plainName = regexp.MustCompile(`^[0-9A-Za-z._/-]+$`)

// anchorName is the owner of an anchor as the canonical form of RFC 4034 section 6.2 has it.
func anchorName(owner string) (string, error) {
	if _, ok := dns.IsDomainName(owner); !ok || !plainName.MatchString(owner) {
		return "", fmt.Errorf("%w: owner %q is not a domain name (other scripts are written as A-labels: xn--...)", ErrAnchor, owner)
	}
	return dns.CanonicalName(owner), nil
}

func makeDS(owner string, words []string) (Anchor, error) {
	name, err := anchorName(owner)
	if err != nil {
		return nil, err
	}
	tag, err := strconv.ParseUint(words[0], 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%w: key tag %q is not a number of 0 to 65535", ErrAnchor, words[0])
	}
	algorithm, err := strconv.ParseUint(words[1], 10, 8)
	if err != nil {
		return nil, fmt.Errorf("%w: algorithm %q is not a number of 0 to 255", ErrAnchor, words[1])
	}
	digestType, err := strconv.ParseUint(words[2], 10, 8)
	if err != nil {
		return nil, fmt.Errorf("%w: digest type %q is not a number of 0 to 255", ErrAnchor, words[2])
	}
	digest := strings.ToLower(strings.Join(words[3:], ""))
	want, known := digestHexLen[uint8(digestType)]
	if !known {
		return nil, fmt.Errorf("%w: digest type %d is not supported: use 2 (SHA-256) or 4 (SHA-384)", ErrAnchor, digestType)
	}
	if _, err := hex.DecodeString(digest); err != nil || len(digest) != want {
		return nil, fmt.Errorf("%w: the digest of type %d must have %d hex digits", ErrAnchor, digestType, want)
	}
	return &dns.DS{
		Hdr:    dns.RR_Header{Name: name, Rrtype: dns.TypeDS, Class: dns.ClassINET},
		KeyTag: uint16(tag), Algorithm: uint8(algorithm), DigestType: uint8(digestType), Digest: digest,
	}, nil
}

// ParseAnchors reads DS and DNSKEY records, one a line, each with its owner. Empty lines and comments after
// ';' or '#' are passed over. Or it is IANA's root-anchors.xml (RFC 9718): then those of its trust anchors count that are
// valid now. The error names the line, or the element.
func ParseAnchors(r io.Reader, now time.Time) ([]Anchor, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read trust anchors: %w", err)
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("<")) {
		return parseRootAnchors(bytes.NewReader(bytes.TrimSpace(text)), now)
	}
	return parseLines(bytes.NewReader(text))
}

func parseLines(r io.Reader) ([]Anchor, error) {
	var out []Anchor
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := lines.Text()
		if !usableState(text) {
			continue
		}
		if i := strings.IndexAny(text, ";#"); i >= 0 {
			text = text[:i]
		}
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		ds, err := parseAnchor(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		out = append(out, ds)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read trust anchors: %w", err)
	}
	return out, nil
}

// AnchorsOf are those of the anchors that stand for the zone itself, stronger digests alone where
// there are any: a SHA-1 digest is ignored beside SHA-256 or SHA-384 (RFC 4509 section 3).
func AnchorsOf(zone string, anchors []Anchor) []Anchor { return strongest(ofZone(zone, anchors)) }

// AnchorsAbove are those of the anchors that stand for the deepest zone at or above a name: those that a
// Validator begins with.
func AnchorsAbove(name string, anchors []Anchor) []Anchor {
	apex, ok := anchorZone(dns.CanonicalName(name), anchors)
	if !ok {
		return nil
	}
	return ofZone(apex, anchors)
}

// anchorZone is the deepest zone with a trust anchor at or above a name.
func anchorZone(name string, anchors []Anchor) (string, bool) {
	best, found := "", false
	for _, ds := range anchors {
		zone := dns.CanonicalName(ds.Hdr.Name)
		if dns.IsSubDomain(zone, name) && (!found || below(best, zone)) {
			best, found = zone, true
		}
	}
	return best, found
}

// MergeAnchors are the first anchors, and those of the second that stand for names which none of the first
// is at or above of: where somebody says whom to trust, nothing else counts.
func MergeAnchors(first, second []Anchor) []Anchor {
	out := slices.Clone(first)
	for _, ds := range second {
		if len(AnchorsAbove(ds.Hdr.Name, first)) == 0 {
			out = append(out, ds)
		}
	}
	return out
}

func ofZone(zone string, anchors []Anchor) []Anchor {
	var out []Anchor
	for _, ds := range anchors {
		if dns.CanonicalName(ds.Hdr.Name) == dns.CanonicalName(zone) {
			out = append(out, ds)
		}
	}
	return out
}

func strongest(anchors []Anchor) []Anchor {
	var strong []Anchor
	for _, ds := range anchors {
		if ds.DigestType == dns.SHA256 || ds.DigestType == dns.SHA384 {
			strong = append(strong, ds)
		}
	}
	if len(strong) > 0 {
		return strong
	}
	return anchors
}

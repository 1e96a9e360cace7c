package mailrecord

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

const (
	dkimVersion = "DKIM1"
	dkimRule    = "RFC 6376 section 3.6.1"
	sizeRule    = "RFC 8301 section 3.2"
)

// The sizes of RSA keys, in bits (RFC 8301 section 3.2).
const (
	leastRSA = 1024
	goodRSA  = 2048
	mostRSA  = 4096
)

// DKIM is a key that mail of a domain is signed with (RFC 6376 section 3.6.1). It stands at DKIMName.
type DKIM struct {
	// Key is the type of the key: "rsa" or "ed25519" (RFC 8463).
	Key string
	// Public is the key as it stands in the record; empty when the key is revoked.
	Public []byte
	// Hashes are the hash algorithms that may be used, Services the kinds of service; empty for all.
	Hashes, Services []string
	// Flags are y (being tried) and s (no subdomains).
	Flags []string
	// Notes are for people.
	Notes string
	// Others are tags that verifiers ignore.
	Others []Tag
}

// DKIMName is where the key of a selector stands.
func DKIMName(selector, domain string) string { return selector + "._domainkey." + domain }

// isKey says whether a text claims to be a key record: the version may be left out.
func isKey(text string) bool {
	for i, part := range strings.Split(text, ";") {
		name, value, ok := strings.Cut(part, "=")
		name = fws(name)
		if i == 0 && name == "v" {
			return fws(value) == dkimVersion
		}
		if ok && name == "p" {
			return true
		}
	}
	return false
}

// fws takes folding white space off both ends, which DKIM allows around names and values.
func fws(text string) string { return strings.Trim(text, " \t\r\n") }

// ParseDKIM reads a key record.
func ParseDKIM(text string) (DKIM, Problems) {
	p := dkimParser{c: &collector{kind: KindDKIM}, seen: map[string]bool{}, out: DKIM{Key: "rsa"}}
	if !isKey(text) {
		p.c.at("p", dkimRule).fatal(NotThisRecord, "it has no key, or another version than v=DKIM1", "write v=DKIM1; p=KEY")
		return DKIM{}, p.c.found
	}
	parts := strings.Split(text, ";")
	if len(parts) > 1 && fws(parts[len(parts)-1]) == "" {
		parts = parts[:len(parts)-1]
	}
	for i, part := range parts {
		p.tag(i, part)
	}
	if !p.seen["p"] {
		p.c.at("p", dkimRule).fatal(MissingTag, "there is no key", "add p= and the key in base64; an empty one revokes it")
	}
	if !p.c.found.Fatal() {
		p.key()
	}
	if p.c.found.Fatal() {
		return DKIM{}, p.c.found
	}
	return p.out, p.c.found
}

type dkimParser struct {
	c    *collector
	seen map[string]bool
	out  DKIM
}

func (p *dkimParser) tag(i int, text string) {
	const rule = "RFC 6376 section 3.2"
	name, value, ok := strings.Cut(text, "=")
	name, value = fws(name), fws(value)
	switch {
	case !ok || name == "" || !letter(name[0]) || !all(name, func(b byte) bool { return alphanumeric(b) || b == '_' }) || strings.ContainsFunc(value, unprintable):
		p.c.at("", rule).fatal(BadSyntax, fmt.Sprintf("%q is no tag, which makes all of the record invalid", shorten(fws(text))), "write NAME=VALUE, with a semicolon between two of them")
		return
	case p.seen[name]:
		p.c.at(name, rule).fatal(Duplicate, "it stands more than once, which makes all of the record invalid", "leave one")
		return
	case name == "v" && i > 0:
		p.c.at("v", dkimRule).fatal(BadSyntax, "the version does not come first", "move it to the beginning")
	}
	p.seen[name] = true
	p.value(name, value)
}

// unprintable says what may not stand in a value, apart from white space.
func unprintable(r rune) bool {
	return r != ' ' && r != '\t' && r != '\r' && r != '\n' && (r < '!' || r > '~')
}

func (p *dkimParser) value(name, value string) {
	at := p.c.at(name, dkimRule)
	switch name {
	case "v":
	case "k":
		p.out.Key = value
		if value != "rsa" && value != "ed25519" {
			at.fatal(BadValue, fmt.Sprintf("%q is no type of key that verifiers know", shorten(value)), "write rsa, or ed25519 beside an RSA key under another selector")
		}
	case "p":
		p.public(at, value)
	case "h", "s", "t":
		p.list(at, name, words(value))
	case "n":
		p.out.Notes = value
	default:
		at.unwise(Unreached, "there is no such tag, and verifiers ignore it", "take it away, or mend its name")
		p.out.Others = append(p.out.Others, Tag{name, value})
	}
}

// list takes a list of words.
func (p *dkimParser) list(at place, name string, list []string) {
	switch name {
	case "h":
		if p.out.Hashes = list; !slices.Contains(list, "sha256") {
			p.c.at("h", "RFC 8301 section 3.1").fatal(BadValue, "it does not allow sha256, and sha1 is not used any more", "take h away, or write h=sha256")
		}
	case "s":
		if p.out.Services = list; !slices.Contains(list, "*") && !slices.Contains(list, "email") {
			at.unwise(Unreached, "the key is not for mail: no service is email or *", "take s away where mail is signed with it")
		}
	case "t":
		if p.out.Flags = list; slices.Contains(list, "y") {
			at.unwise(TooWeak, "the domain says that it is trying DKIM, and verifiers treat signed mail as unsigned", "take the flag y away")
		}
	}
}

// words are what stands between colons.
func words(value string) []string {
	var out []string
	for part := range strings.SplitSeq(value, ":") {
		if part = fws(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

func (p *dkimParser) public(at place, value string) {
	text := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n", r) {
			return -1
		}
		return r
	}, value)
	if text == "" {
		return
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		at.fatal(BadSyntax, "the key is no base64", "publish it anew; a part of it may have been cut off, or quotes may stand in it")
		return
	}
	p.out.Public = key
}

// key looks at the key itself.
func (p *dkimParser) key() {
	at := p.c.at("p", dkimRule)
	switch {
	case len(p.out.Public) == 0:
		at.unwise(Revoked, "the key is revoked, and no signature by it is valid", "take the record away once no mail signed with it is under way")
	case p.out.Key == "ed25519":
		if len(p.out.Public) != ed25519.PublicKeySize {
			p.c.at("p", "RFC 8463 section 4.2").fatal(BadValue, fmt.Sprintf("the key has %d octets, where Ed25519 has %d", len(p.out.Public), ed25519.PublicKeySize), "publish the 32 octets of the key alone in base64, without what encloses it")
		}
	default:
		p.rsa(at)
	}
}

func (p *dkimParser) rsa(at place) {
	bits := p.out.Bits()
	size := p.c.at("p", sizeRule)
	switch {
	case bits == 0:
		at.fatal(BadValue, "the key is no RSA key", "publish it anew; a part of it may have been cut off")
	case bits < leastRSA:
		size.fatal(WeakKey, fmt.Sprintf("the key has %d bits, and verifiers take no signature by less than %d", bits, leastRSA), "make a new key of 2048 bits under a new selector")
	case bits < goodRSA:
		size.unwise(WeakKey, fmt.Sprintf("the key has %d bits", bits), "make a new key of 2048 bits under a new selector")
	case bits > mostRSA:
		size.unwise(WeakKey, fmt.Sprintf("the key has %d bits, and verifiers need not read more than %d", bits, mostRSA), "make a new key of 2048 bits under a new selector")
	}
}

// Bits is the size of the key; 0 when it cannot be read. RSA keys come with what encloses them, as in the examples of
// RFC 6376, or bare, as in its text.
func (r DKIM) Bits() int {
	if r.Key == "ed25519" {
		return 8 * len(r.Public)
	}
	if key, err := x509.ParsePKIXPublicKey(r.Public); err == nil {
		if public, ok := key.(*rsa.PublicKey); ok {
			return public.N.BitLen()
		}
		return 0
	}
	if key, err := x509.ParsePKCS1PublicKey(r.Public); err == nil {
		return key.N.BitLen()
	}
	return 0
}

// Render is the canonical text.
func (r DKIM) Render() string {
	var tags []Tag
	for _, t := range []Tag{{"k", r.Key}, {"h", strings.Join(r.Hashes, ":")}, {"s", strings.Join(r.Services, ":")}, {"t", strings.Join(r.Flags, ":")}, {"n", r.Notes}} {
		if t.Value != "" {
			tags = append(tags, t)
		}
	}
	tags = append(tags, r.Others...)
	tags = append(tags, Tag{"p", base64.StdEncoding.EncodeToString(r.Public)})
	return strings.TrimSuffix(render("v="+dkimVersion, tags), ";")
}

// Validate says what is wrong with a record that is to be published.
func (r DKIM) Validate() Problems {
	parsed, found := ParseDKIM(r.Render())
	c := &collector{kind: KindDKIM, found: found}
	if parsed.Render() != r.Render() {
		c.notWhatWasMeant(dkimRule)
	}
	return c.found
}

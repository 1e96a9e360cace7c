package mailrecord

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const spfVersion = "v=spf1"

// SPF says which hosts may send mail with the domain in the envelope (RFC 7208). It stands at the domain itself.
type SPF struct {
	Terms []SPFTerm
}

// SPFTerm is a mechanism or a modifier.
type SPFTerm struct {
	// Modifier says that it is one, such as redirect=.
	Modifier bool
	// Qualifier of a mechanism: "+" (also written as nothing), "-", "~" or "?".
	Qualifier string
	// Name is in small letters.
	Name string
	// Value is the name with its macros, or the address; empty for the domain itself.
	Value string
	// CIDR are the lengths of prefixes, such as "/24", "//64" or "/24//64".
	CIDR string
}

// String is the canonical text.
func (t SPFTerm) String() string {
	if t.Modifier {
		return t.Name + "=" + t.Value
	}
	out := strings.TrimPrefix(t.Qualifier, "+") + t.Name
	if t.Value != "" {
		out += ":" + t.Value
	}
	return out + t.CIDR
}

// mechanisms are those that there are, and what may follow each.
var mechanisms = map[string]struct {
	rule           string
	value, network bool // may have a value; its value is an address
	needsValue     bool
	cidr           bool
}{
	"all":     {rule: "RFC 7208 section 5.1"},
	"include": {rule: "RFC 7208 section 5.2", value: true, needsValue: true},
	"a":       {rule: "RFC 7208 section 5.3", value: true, cidr: true},
	"mx":      {rule: "RFC 7208 section 5.4", value: true, cidr: true},
	"ptr":     {rule: "RFC 7208 section 5.5", value: true},
	"ip4":     {rule: "RFC 7208 section 5.6", value: true, needsValue: true, network: true, cidr: true},
	"ip6":     {rule: "RFC 7208 section 5.6", value: true, needsValue: true, network: true, cidr: true},
	"exists":  {rule: "RFC 7208 section 5.7", value: true, needsValue: true},
}

const (
	syntaxRule   = "RFC 7208 section 4.6.1"
	modifierRule = "RFC 7208 section 6"
)

// term splits a term into its parts.
var termForm = regexp.MustCompile(`^([-+~?]?)([A-Za-z][A-Za-z0-9_.-]*)(.*)$`)

// cidrForm is what ends an address or a name, where lengths of prefixes follow.
var cidrForm = regexp.MustCompile(`^(.*?)((?:/[0-9]*)?(?://[0-9]*)?)$`)

// ParseSPF reads a record. One syntax error anywhere makes all of it a permanent error for receivers.
func ParseSPF(text string) (SPF, Problems) {
	c := &collector{kind: KindSPF}
	if !begins(KindSPF, text) {
		c.at("v", "RFC 7208 section 4.5").fatal(NotThisRecord, "it does not begin with v=spf1 and a space", "begin it so")
		return SPF{}, c.found
	}
	var out SPF
	for part := range strings.SplitSeq(text[len(spfVersion):], " ") {
		if part == "" {
			continue
		}
		if t, ok := c.term(part); ok {
			out.Terms = append(out.Terms, t)
		}
	}
	if c.found.Fatal() {
		return SPF{}, c.found
	}
	c.once(out)
	c.order(out)
	c.strength(out)
	if len(text) > maxSPF {
		c.at("", "RFC 7208 section 3.4").unwise(TooLong, fmt.Sprintf("it has %d octets; with more than %d the answer may not fit into a datagram", len(text), maxSPF),
			"take out what is not needed, or move parts into records that it includes")
	}
	if c.found.Fatal() {
		return SPF{}, c.found
	}
	return out, c.found
}

// maxSPF is how long a record is at most, with its name and the other TXT records there, for a datagram of 512 octets.
const maxSPF = 450

// term reads a mechanism or a modifier.
func (c *collector) term(text string) (SPFTerm, bool) {
	parts := termForm.FindStringSubmatch(text)
	if parts == nil {
		c.at("", syntaxRule).fatal(BadSyntax, fmt.Sprintf("%q is no mechanism and no modifier", shorten(text)), "write terms such as ip4:192.0.2.1 with spaces between them, and nothing else")
		return SPFTerm{}, false
	}
	t := SPFTerm{Qualifier: parts[1], Name: strings.ToLower(parts[2])}
	rest := parts[3]
	if value, ok := strings.CutPrefix(rest, "="); ok {
		t.Modifier, t.Value = true, value
		return c.modifier(t, text)
	}
	if t.Qualifier == "" {
		t.Qualifier = "+"
	}
	return c.mechanism(t, text, rest)
}

func (c *collector) modifier(t SPFTerm, text string) (SPFTerm, bool) {
	at := c.at(t.Name, modifierRule)
	if t.Qualifier != "" {
		at.fatal(BadSyntax, fmt.Sprintf("%q: a modifier has no qualifier", shorten(text)), "take the "+t.Qualifier+" away")
		return t, false
	}
	why := macroString(t.Value)
	if t.Name == "redirect" || t.Name == "exp" {
		why = domainSpec(t.Value)
	}
	if why != "" {
		at.fatal(BadMacro, fmt.Sprintf("%q: %s", shorten(text), why), "mend the name, or take the modifier away")
		return t, false
	}
	return t, true
}

func (c *collector) mechanism(t SPFTerm, text, rest string) (SPFTerm, bool) {
	m, known := mechanisms[t.Name]
	if !known {
		c.at(t.Name, syntaxRule).fatal(BadSyntax, fmt.Sprintf("%q: there is no such mechanism", shorten(text)), "write all, include, a, mx, ip4, ip6 or exists, or take it away")
		return t, false
	}
	at := c.at(t.Name, m.rule)
	value, given := strings.CutPrefix(rest, ":")
	if m.cidr {
		parts := cidrForm.FindStringSubmatch(value)
		value, t.CIDR = parts[1], parts[2]
	}
	t.Value = value
	switch {
	case !given && t.Value != "", given && !m.value:
		at.fatal(BadSyntax, fmt.Sprintf("%q: %q may not follow", shorten(text), shorten(rest)), "take that away")
	case given && t.Value == "", m.needsValue && !given:
		at.fatal(BadSyntax, fmt.Sprintf("%q: something has to follow", shorten(text)), "write a name or an address after a colon")
	case m.network:
		return c.network(at, t, text)
	default:
		return c.named(at, t, text)
	}
	return t, false
}

// named checks a mechanism that has a name, or none.
func (c *collector) named(at place, t SPFTerm, text string) (SPFTerm, bool) {
	if why := domainSpec(t.Value); t.Value != "" && why != "" {
		at.fatal(BadMacro, fmt.Sprintf("%q: %s", shorten(text), why), "mend the name")
		return t, false
	}
	v4, v6, _ := strings.Cut(t.CIDR, "//")
	if v4 != "" && !prefixLength(v4[1:], 32) || strings.Contains(t.CIDR, "//") && !prefixLength(v6, 128) {
		at.fatal(BadValue, fmt.Sprintf("%q: %q are no lengths of prefixes", shorten(text), t.CIDR), "write / and 0 to 32 for IPv4, // and 0 to 128 for IPv6")
		return t, false
	}
	return t, true
}

// network checks an address.
func (c *collector) network(at place, t SPFTerm, text string) (SPFTerm, bool) {
	addr, err := netip.ParseAddr(t.Value)
	longest := 128
	if t.Name == "ip4" {
		longest = 32
	}
	switch {
	case err != nil || addr.Zone() != "" || addr.Is4() != (t.Name == "ip4"):
		at.fatal(BadValue, fmt.Sprintf("%q: %q is no address of this kind", shorten(text), shorten(t.Value)), "write an IPv4 address with ip4 and an IPv6 address with ip6")
		return t, false
	case t.CIDR != "" && !prefixLength(t.CIDR[1:], longest):
		at.fatal(BadValue, fmt.Sprintf("%q: %q is no length of a prefix", shorten(text), t.CIDR), fmt.Sprintf("write / and 0 to %d", longest))
		return t, false
	}
	t.Value = addr.String()
	if bits, err := strconv.Atoi(strings.TrimPrefix(t.CIDR, "/")); err == nil && netip.PrefixFrom(addr, bits).Masked().Addr() != addr {
		at.unwise(BadValue, fmt.Sprintf("%q has bits set beyond its prefix, and means %s", shorten(text), netip.PrefixFrom(addr, bits).Masked()), "write the network, or the one address that is meant")
	}
	return t, true
}

// prefixLength is a number without leading zeros, up to a limit.
func prefixLength(text string, longest int) bool {
	n, err := strconv.Atoi(text)
	return err == nil && all(text, digit) && n <= longest && (text == "0" || text[0] != '0')
}

// once sees that redirect and exp stand once at most.
func (c *collector) once(r SPF) {
	for _, name := range []string{"redirect", "exp"} {
		n := 0
		for _, t := range r.Terms {
			if t.Modifier && t.Name == name {
				n++
			}
		}
		if n > 1 {
			c.at(name, modifierRule).fatal(Duplicate, "it stands more than once", "leave one")
		}
	}
}

// order looks for what no receiver comes to.
func (c *collector) order(r SPF) {
	end := slices.IndexFunc(r.Terms, SPFTerm.isAll)
	if end < 0 {
		return
	}
	for _, t := range r.Terms[end+1:] {
		if !t.Modifier {
			c.at(t.Name, "RFC 7208 section 5.1").wrong(Unreached, fmt.Sprintf("%q comes after %q, where nothing is looked at", shorten(t.String()), r.Terms[end]), "move it before that, or take it away")
		}
	}
	if _, ok := r.modifier("redirect"); ok {
		c.at("redirect", "RFC 7208 section 6.1").wrong(Unreached, fmt.Sprintf("it is ignored beside %q", r.Terms[end]), "take one of both away")
	}
}

// strength looks at what is said of all other hosts.
func (c *collector) strength(r SPF) {
	for _, t := range r.Terms {
		if t.Name == "ptr" && !t.Modifier {
			c.at("ptr", "RFC 7208 section 5.5").unwise(Historic, "it is slow and not reliable, and is not to be used", "name the addresses with ip4 and ip6, or the host with a")
		}
	}
	end := slices.IndexFunc(r.Terms, SPFTerm.isAll)
	_, redirected := r.modifier("redirect")
	at := c.at("all", "RFC 7208 section 5.1")
	switch {
	case end < 0 && !redirected:
		at.unwise(TooWeak, "nothing is said of other hosts, which is as ?all", "end it with ~all, and with -all once you know all senders")
	case end < 0:
	case r.Terms[end].Qualifier == "+":
		at.wrong(TooWeak, "every host in the world may send", "write ~all, and -all once you know all senders")
	case r.Terms[end].Qualifier == "?":
		at.unwise(TooWeak, "nothing is said of other hosts", "write ~all, and -all once you know all senders")
	}
}

func (t SPFTerm) isAll() bool { return !t.Modifier && t.Name == "all" }

// modifier is the value of the first modifier of a name.
func (r SPF) modifier(name string) (string, bool) {
	for _, t := range r.Terms {
		if t.Modifier && t.Name == name {
			return t.Value, true
		}
	}
	return "", false
}

// All is the qualifier of the mechanism all; empty where there is none.
func (r SPF) All() string {
	if at := slices.IndexFunc(r.Terms, SPFTerm.isAll); at >= 0 {
		return r.Terms[at].Qualifier
	}
	return ""
}

// Render is the canonical text.
func (r SPF) Render() string {
	out := []string{spfVersion}
	for _, t := range r.Terms {
		out = append(out, t.String())
	}
	return strings.Join(out, " ")
}

// Validate says what is wrong with a record that is to be published. What it looks up is for CountSPF.
func (r SPF) Validate() Problems {
	parsed, found := ParseSPF(r.Render())
	c := &collector{kind: KindSPF, found: found}
	if parsed.Render() != r.Render() || len(parsed.Terms) != len(r.Terms) {
		c.notWhatWasMeant(syntaxRule)
	}
	return c.found
}

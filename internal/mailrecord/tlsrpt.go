package mailrecord

import (
	"slices"
	"strings"
)

const (
	tlsrptVersion = "TLSRPTv1"
	tlsrptRule    = "RFC 8460 section 3"
)

// TLSRPT says where senders report how TLS with the domain went (RFC 8460 section 3). It stands at TLSRPTName.
type TLSRPT struct {
	// URIs are where reports go, mailto or https.
	URIs []string
	// Extensions are fields that the RFC does not know.
	Extensions []Tag
}

// TLSRPTName is where the record of a domain stands.
func TLSRPTName(domain string) string { return "_smtp._tls." + domain }

// ParseTLSRPT reads a record.
func ParseTLSRPT(text string) (TLSRPT, Problems) {
	c := &collector{kind: KindTLSRPT}
	if !begins(KindTLSRPT, text) {
		c.at("v", tlsrptRule).fatal(NotThisRecord, "it does not begin with v=TLSRPTv1;", "begin it so, in these letters")
		return TLSRPT{}, c.found
	}
	tags, ok := fields(c, tlsrptRule, text, "v="+tlsrptVersion)
	var out TLSRPT
	for _, t := range tags {
		if t.Name == "rua" {
			out.URIs = append(out.URIs, uriList(c.at("rua", tlsrptRule), t.Value, "mailto", "https")...)
		} else if extension(c, tlsrptRule, t) {
			out.Extensions = append(out.Extensions, t)
		}
	}
	if ok && len(out.URIs) == 0 && !c.found.Fatal() {
		c.at("rua", tlsrptRule).fatal(MissingTag, "it has no place where reports can go", "add rua=mailto:ADDRESS")
	}
	return out, c.found
}

// Render is the canonical text.
func (r TLSRPT) Render() string {
	tags := []Tag{{"rua", strings.Join(r.URIs, ",")}}
	return render("v="+tlsrptVersion, append(tags, r.Extensions...))
}

// Validate says what is wrong with a record that is to be published for a domain.
func (r TLSRPT) Validate(domain string) Problems {
	parsed, found := ParseTLSRPT(r.Render())
	c := &collector{kind: KindTLSRPT, found: found}
	if !slices.Equal(parsed.URIs, r.URIs) || !slices.Equal(parsed.Extensions, r.Extensions) {
		c.notWhatWasMeant(tlsrptRule)
	}
	return append(c.found, r.Place(domain)...)
}

// Place looks at where reports about a domain go. They have to arrive when TLS does not work, and a mailbox of the domain
// itself is out of reach just then, unless senders ignore TLS for reports as they should.
func (r TLSRPT) Place(domain string) Problems {
	c := &collector{kind: KindTLSRPT}
	inside := func(uri string) bool { return within(MailtoDomain(uri), domain) }
	if len(r.URIs) > 0 && !slices.ContainsFunc(r.URIs, func(uri string) bool { return !inside(uri) }) {
		c.at("rua", tlsrptRule).unwise(TooWeak, "all reports go to mailboxes of the domain that they are about, which senders may not reach just when TLS fails",
			"add an address in another domain, or an https URI")
	}
	return c.found
}

// notWhatWasMeant is for values that are read as something else than what was to be published.
func (c *collector) notWhatWasMeant(rule string) {
	if !c.found.Fatal() {
		c.at("", rule).fatal(BadSyntax, "a value changes the meaning of the record: it has a separator of tags in it, or is empty", "write the values without separators")
	}
}

// within says whether a name is a domain or below it.
func within(name, domain string) bool {
	name, domain = strings.ToLower(strings.TrimSuffix(name, ".")), strings.ToLower(strings.TrimSuffix(domain, "."))
	return name == domain || strings.HasSuffix(name, "."+domain)
}

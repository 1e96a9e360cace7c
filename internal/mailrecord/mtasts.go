package mailrecord

import (
	"fmt"
	"slices"
)

const (
	stsVersion = "STSv1"
	stsRule    = "RFC 8461 section 3.1"
)

// MTASTS says that a domain has a policy of MTA-STS, and which one (RFC 8461 section 3.1). It stands at MTASTSName.
type MTASTS struct {
	// ID changes with each change of the policy.
	ID string
	// Extensions are fields that the RFC does not know.
	Extensions []Tag
}

// MTASTSName is where the record of a domain stands, and MTASTSHost the host that serves its policy.
func MTASTSName(domain string) string { return "_mta-sts." + domain }

// MTASTSHost is the host that serves the policy of a domain, at PolicyPath (RFC 8461 section 3.3).
func MTASTSHost(domain string) string { return "mta-sts." + domain }

// PolicyPath is the path of every policy (RFC 8461 section 3.3).
const PolicyPath = "/.well-known/mta-sts.txt"

// ParseMTASTS reads a record.
func ParseMTASTS(text string) (MTASTS, Problems) {
	c := &collector{kind: KindMTASTS}
	if !begins(KindMTASTS, text) {
		c.at("v", stsRule).fatal(NotThisRecord, "it does not begin with v=STSv1;", "begin it so, in these letters")
		return MTASTS{}, c.found
	}
	tags, ok := fields(c, stsRule, text, "v="+stsVersion)
	var out MTASTS
	ids := 0
	for _, t := range tags {
		if t.Name != "id" {
			if extension(c, stsRule, t) {
				out.Extensions = append(out.Extensions, t)
			}
			continue
		}
		switch ids++; {
		case ids > 1:
			c.at("id", stsRule).fatal(Duplicate, "there is more than one id", "leave one")
		case len(t.Value) > 32 || !all(t.Value, alphanumeric):
			c.at("id", stsRule).fatal(BadSyntax, fmt.Sprintf("%q is no id", t.Value), "write one to 32 letters and digits, such as a time: 20260131T120000")
		default:
			out.ID = t.Value
		}
	}
	if ok && ids == 0 {
		c.at("id", stsRule).fatal(MissingTag, "there is no id, by which senders see that a policy is new", "add id= and letters and digits, such as a time")
	}
	return out, c.found
}

// Render is the canonical text.
func (r MTASTS) Render() string {
	return render("v="+stsVersion, append([]Tag{{"id", r.ID}}, r.Extensions...))
}

// Validate says what is wrong with a record that is to be published.
func (r MTASTS) Validate() Problems {
	parsed, found := ParseMTASTS(r.Render())
	c := &collector{kind: KindMTASTS, found: found}
	if parsed.ID != r.ID || !slices.Equal(parsed.Extensions, r.Extensions) {
		c.notWhatWasMeant(stsRule)
	}
	return c.found
}

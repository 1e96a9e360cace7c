package mailrecord

import (
	"fmt"
	"slices"
	"strings"
)

const (
	dmarcVersion = "DMARC1"
	dmarcRule    = "RFC 9989 section 4.7"
)

// Disposition is what receivers are asked to do with mail that fails DMARC.
type Disposition string

// The dispositions.
const (
	DispositionNone       Disposition = "none"
	DispositionQuarantine Disposition = "quarantine"
	DispositionReject     Disposition = "reject"
)

// strength orders dispositions; unknown ones are the weakest.
func (d Disposition) strength() int {
	return slices.Index([]Disposition{DispositionNone, DispositionQuarantine, DispositionReject}, d)
}

// tested is one level weaker, as t=y asks for (RFC 9989 section 4.7).
func (d Disposition) tested() Disposition {
	if d == DispositionReject {
		return DispositionQuarantine
	}
	return DispositionNone
}

// DMARC says what receivers do with mail that fails, and where they report (RFC 9989, which replaces RFC 7489). It stands
// at DMARCName. Empty fields are not in the record.
type DMARC struct {
	// Policy is p, Subdomains sp, Nonexistent np.
	Policy, Subdomains, Nonexistent Disposition
	// PSD is y for a public suffix, n for an organizational domain whatever stands above; empty for neither.
	PSD string
	// Testing is t=y.
	Testing bool
	// ADKIM and ASPF are r (relaxed) or s (strict).
	ADKIM, ASPF string
	// RUA are where aggregate reports go, RUF where failure reports go.
	RUA, RUF []string
	// FO are the failure reporting options.
	FO []string
	// Others are tags that receivers ignore.
	Others []Tag
}

// DMARCName is where the record of a domain stands.
func DMARCName(domain string) string { return "_dmarc." + domain }

// ParseDMARC reads a record. A tag that is not right is left out, as receivers do; what is not right with a policy makes
// them act as if it were none, or leave the record out of account.
func ParseDMARC(text string) (DMARC, Problems) {
	p := dmarcParser{c: &collector{kind: KindDMARC}, seen: map[string]bool{}}
	if !begins(KindDMARC, text) {
		p.c.at("v", dmarcRule).fatal(NotThisRecord, "it does not begin with v=DMARC1;", "begin it so, with DMARC1 in these letters")
		return DMARC{}, p.c.found
	}
	_, rest, _ := strings.Cut(text, ";")
	parts := strings.Split(rest, ";")
	if trim(parts[len(parts)-1]) == "" {
		parts = parts[:len(parts)-1]
	}
	for i, part := range parts {
		p.tag(i, trim(part))
	}
	p.policy()
	if p.c.found.Fatal() {
		return DMARC{}, p.c.found
	}
	p.advise()
	return p.out, p.c.found
}

type dmarcParser struct {
	c    *collector
	seen map[string]bool
	out  DMARC
	// broken says that p, sp or np is there and not valid.
	broken bool
}

func (p *dmarcParser) tag(i int, text string) {
	name, value, ok := strings.Cut(text, "=")
	name, value = strings.ToLower(trim(name)), trim(value)
	at := p.c.at(name, dmarcRule)
	switch {
	case !ok || !all(name, letter) || !all(value, func(b byte) bool { return b >= ' ' && b <= '~' }):
		p.c.at("", "RFC 9989 section 4.8").wrong(BadSyntax, fmt.Sprintf("%q is no tag, and is left out", shorten(text)), "write NAME=VALUE, with a semicolon between two of them")
		return
	case p.seen[name]:
		at.wrong(Duplicate, "it stands more than once, and receivers may leave all of the record out of account", "leave one")
		return
	case name == "p" && i > 0:
		at.unwise(BadSyntax, "it does not follow the version at once, as receivers of RFC 7489 want it", "move it there")
	}
	p.seen[name] = true
	p.value(at, name, value)
}

func (p *dmarcParser) value(at place, name, value string) {
	switch name {
	case "p":
		p.out.Policy = p.disposition(at, value)
	case "sp":
		p.out.Subdomains = p.disposition(at, value)
	case "np":
		p.out.Nonexistent = p.disposition(at, value)
	case "psd":
		if p.out.PSD = p.oneOf(at, value, "y", "n", "u"); p.out.PSD == "u" {
			p.out.PSD = "" // that is the default
		}
	case "t":
		p.out.Testing = p.oneOf(at, value, "y", "n") == "y"
	case "adkim", "aspf":
		p.alignment(name, p.oneOf(at, value, "r", "s"))
	case "rua", "ruf":
		p.reports(name, uriList(at, withoutSizes(at, value), "mailto"))
	case "fo":
		p.options(at, value)
	case "pct", "rf", "ri":
		at.unwise(Historic, "RFC 9989 has taken it out: newer receivers ignore it, and older ones do not", "take it away; t=y is what there is for a policy that is tried")
		p.out.Others = append(p.out.Others, Tag{name, value})
	default:
		at.unwise(Unreached, "there is no such tag, and receivers ignore it", "take it away, or mend its name")
		p.out.Others = append(p.out.Others, Tag{name, value})
	}
}

func (p *dmarcParser) alignment(name, mode string) {
	if name == "adkim" {
		p.out.ADKIM = mode
	} else {
		p.out.ASPF = mode
	}
}

func (p *dmarcParser) reports(name string, uris []string) {
	if name == "rua" {
		p.out.RUA = uris
	} else {
		p.out.RUF = uris
	}
}

func (p *dmarcParser) disposition(at place, value string) Disposition {
	d := Disposition(strings.ToLower(value))
	if d.strength() >= 0 {
		return d
	}
	p.broken = true
	at.wrong(BadValue, fmt.Sprintf("%q is no policy", shorten(value)), "write none, quarantine or reject")
	return ""
}

func (p *dmarcParser) oneOf(at place, value string, values ...string) string {
	value = strings.ToLower(value)
	if slices.Contains(values, value) {
		return value
	}
	at.wrong(BadValue, fmt.Sprintf("%q is none of its values, and receivers go by its default", shorten(value)), "write one of "+strings.Join(values, ", "))
	return ""
}

func (p *dmarcParser) options(at place, value string) {
	for part := range strings.SplitSeq(value, ":") {
		if option := p.oneOf(at, trim(part), "0", "1", "d", "s"); option != "" && !slices.Contains(p.out.FO, option) {
			p.out.FO = append(p.out.FO, option)
		}
	}
}

// withoutSizes takes the size limits off that RFC 7489 had behind URIs, such as !10m.
func withoutSizes(at place, value string) string {
	parts := strings.Split(value, ",")
	for i, part := range parts {
		uri, size, ok := strings.Cut(part, "!")
		if ok {
			at.unwise(Historic, fmt.Sprintf("RFC 9989 has taken size limits of reports (!%s) out", shorten(trim(size))), "take it away")
			parts[i] = uri
		}
	}
	return strings.Join(parts, ",")
}

// policy does what receivers do without a valid policy (RFC 9989 section 4.10.1).
func (p *dmarcParser) policy() {
	at := p.c.at("p", "RFC 9989 section 4.10.1")
	switch {
	case !p.broken && p.out.Policy != "":
	case len(p.out.RUA) == 0:
		at.fatal(MissingTag, "there is no valid policy, and nobody to report to, so that receivers leave the record out of account", "write p=none, p=quarantine or p=reject behind the version")
	default:
		at.wrong(MissingTag, "without a valid policy receivers act as if all of the policies were none", "write p=none, p=quarantine or p=reject behind the version")
		p.out.Policy, p.out.Subdomains, p.out.Nonexistent = DispositionNone, "", ""
	}
}

// advise looks at what the record does, and names the next step: none with reports, quarantine, reject.
func (p *dmarcParser) advise() {
	r, at := p.out, p.c.at("p", dmarcRule)
	if len(r.RUA) == 0 {
		p.c.at("rua", dmarcRule).unwise(MissingTag, "nobody is told which mail fails", "add rua=mailto:ADDRESS before the policy is made stronger")
	}
	switch {
	case r.Policy == DispositionNone:
		at.unwise(TooWeak, "receivers deliver what fails", "once reports show that all of your own mail passes, write p=quarantine")
	case r.Testing:
		p.c.at("t", dmarcRule).unwise(TooWeak, fmt.Sprintf("%s is being tried, and %s is done", r.Policy, r.Policy.tested()), "take t=y away once reports show that all of your own mail passes")
	}
	if r.Subdomains != "" && r.Subdomains.strength() < r.Policy.strength() {
		p.c.at("sp", dmarcRule).unwise(TooWeak, fmt.Sprintf("it asks for less than p: %s for subdomains", r.Subdomains), "make it as strong as p, or take it away")
	}
	if len(r.FO) > 0 && len(r.RUF) == 0 {
		p.c.at("fo", dmarcRule).unwise(Unreached, "it is ignored without ruf", "take it away, or add ruf=")
	}
}

// Next is the next step on the way from none over quarantine to reject; empty at its end.
func (r DMARC) Next() string {
	switch {
	case r.Policy == DispositionNone && len(r.RUA) == 0:
		return "add rua=mailto:ADDRESS, and go on to p=quarantine once reports show that all of your own mail passes"
	case r.Policy == DispositionNone:
		return "go on to p=quarantine once reports show that all of your own mail passes"
	case r.Testing:
		return "take t=y away once reports show that all of your own mail passes"
	case r.Policy == DispositionQuarantine:
		return "go on to p=reject once reports show that all of your own mail passes; keep quarantine where people write to mailing lists"
	}
	return ""
}

// Render is the canonical text.
func (r DMARC) Render() string {
	testing := ""
	if r.Testing {
		testing = "y"
	}
	var tags []Tag
	for _, t := range []Tag{
		{"p", string(r.Policy)}, {"sp", string(r.Subdomains)}, {"np", string(r.Nonexistent)}, {"psd", r.PSD}, {"t", testing},
		{"adkim", r.ADKIM}, {"aspf", r.ASPF}, {"rua", strings.Join(r.RUA, ",")}, {"ruf", strings.Join(r.RUF, ",")}, {"fo", strings.Join(r.FO, ":")},
	} {
		if t.Value != "" {
			tags = append(tags, t)
		}
	}
	return strings.TrimSuffix(render("v="+dmarcVersion, append(tags, r.Others...)), ";")
}

// Validate says what is wrong with a record that is to be published.
func (r DMARC) Validate() Problems {
	parsed, found := ParseDMARC(r.Render())
	c := &collector{kind: KindDMARC, found: found}
	if parsed.Render() != r.Render() {
		c.notWhatWasMeant(dmarcRule)
	}
	return c.found
}

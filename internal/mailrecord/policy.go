package mailrecord

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Mode is what a sender does when it cannot connect as the policy says.
type Mode string

// The modes (RFC 8461 section 5).
const (
	// ModeEnforce: it does not deliver. ModeTesting: it delivers and reports.
	ModeEnforce Mode = "enforce"
	ModeTesting Mode = "testing"
	// ModeNone: there is no policy any more.
	ModeNone Mode = "none"
)

const (
	policyRule = "RFC 8461 section 3.2"
	// MaxPolicySize is how many octets of a policy senders read (RFC 8461 section 3.3).
	MaxPolicySize = 64 << 10
	// maxAge is the longest max_age: about a year.
	maxAge = 31557600
	// shortAge is below what protects: whoever can keep a sender from the policy for that long is rid of it.
	shortAge = 24 * time.Hour
	// goodAge is what the RFC calls "weeks or greater".
	goodAge = 7 * 24 * time.Hour
)

// Policy is a policy of MTA-STS (RFC 8461 section 3.2).
type Policy struct {
	Mode Mode
	// MaxAge is how long senders keep it, in whole seconds.
	MaxAge time.Duration
	// MX are the names of the mail servers; "*." stands for one label.
	MX []string
	// Extensions are fields that the RFC does not know.
	Extensions []Tag
}

// ParsePolicy reads the body that a policy host serves.
func ParsePolicy(body string) (Policy, Problems) {
	p := policyParser{c: &collector{kind: KindPolicy}, seen: map[string]bool{}}
	if len(body) > MaxPolicySize {
		p.c.at("", "RFC 8461 section 3.3").fatal(TooLong, "it is longer than 64 KiB, which is as much as senders read", "shorten it")
		return Policy{}, p.c.found
	}
	body = strings.TrimSuffix(strings.TrimSuffix(body, "\n"), "\r")
	for line := range strings.SplitSeq(body, "\n") {
		p.line(strings.TrimRight(strings.TrimSuffix(line, "\r"), " \t"))
	}
	p.finish()
	if p.c.found.Fatal() {
		return Policy{}, p.c.found
	}
	return p.out, p.c.found
}

type policyParser struct {
	c    *collector
	seen map[string]bool
	out  Policy
}

func (p *policyParser) line(line string) {
	name, value, ok := strings.Cut(line, ":")
	value = strings.TrimLeft(value, " \t")
	at := p.c.at(name, policyRule)
	switch {
	case line == "":
		p.c.at("", policyRule).wrong(BadSyntax, "there is an empty line, which the grammar does not have", "take it away")
		return
	case !ok || !extensionName(name):
		p.c.at("", policyRule).fatal(BadSyntax, fmt.Sprintf("%q is no line of a policy", shorten(line)), "write NAME: VALUE on each line")
		return
	case name != "mx" && p.seen[name]:
		at.wrong(Duplicate, "it stands more than once, and senders go by the first", "leave one")
		return
	}
	p.seen[name] = true
	p.field(at, name, value)
}

func (p *policyParser) field(at place, name, value string) {
	switch name {
	case "version":
		if value != stsVersion {
			at.fatal(BadValue, fmt.Sprintf("the version is %q", shorten(value)), "write version: STSv1")
		}
	case "mode":
		p.out.Mode = Mode(value)
		if !slices.Contains([]Mode{ModeEnforce, ModeTesting, ModeNone}, p.out.Mode) {
			at.fatal(BadValue, fmt.Sprintf("%q is no mode", shorten(value)), "write enforce, testing or none, in small letters")
		}
	case "max_age":
		p.maxAge(at, value)
	case "mx":
		if !hostname(strings.TrimPrefix(value, "*.")) || strings.HasSuffix(value, ".") {
			at.fatal(BadSyntax, fmt.Sprintf("%q is no name of a mail server", shorten(value)), "write the name of a host in A-labels without a dot at its end, or *. and a domain")
			return
		}
		p.out.MX = append(p.out.MX, strings.ToLower(value))
	default:
		if !plainValue(value) {
			at.fatal(BadSyntax, "it has no value, or one with control characters", "take the line away")
			return
		}
		p.out.Extensions = append(p.out.Extensions, Tag{name, value})
	}
}

// plainValue says whether a field that the RFC does not know has a value as the grammar wants it.
func plainValue(value string) bool {
	return value != "" && utf8.ValidString(value) && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func (p *policyParser) maxAge(at place, value string) {
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil || len(value) > 10 || !all(value, digit) {
		at.fatal(BadSyntax, fmt.Sprintf("%q is no number of seconds", shorten(value)), "write digits alone, such as 2419200 for four weeks")
		return
	}
	if seconds > maxAge {
		at.wrong(BadValue, fmt.Sprintf("%d seconds are more than the longest time that there is, %d", seconds, maxAge), "write at most that")
		seconds = maxAge
	}
	p.out.MaxAge = time.Duration(seconds) * time.Second
}

// finish looks for what is missing.
func (p *policyParser) finish() {
	for _, name := range []string{"version", "mode", "max_age"} {
		if !p.seen[name] {
			p.c.at(name, policyRule).fatal(MissingTag, "it is missing", "add a line with it")
		}
	}
	if p.seen["mode"] && !p.seen["mx"] && p.out.Mode != ModeNone {
		p.c.at("mx", policyRule).fatal(MissingTag, "the policy names no mail server", "add a line mx: NAME for each name in the MX records")
	}
	age := p.c.at("max_age", policyRule)
	switch {
	case p.c.found.Fatal() || p.out.Mode == ModeNone:
	case p.out.MaxAge < shortAge:
		age.unwise(TooWeak, fmt.Sprintf("senders forget the policy after %d seconds, and whoever keeps them from it for so long is rid of it", p.out.MaxAge/time.Second),
			"write a week or more, such as 604800, and 2419200 once all works")
	case p.out.MaxAge < goodAge && p.out.Mode == ModeEnforce:
		age.unwise(TooWeak, fmt.Sprintf("senders keep the policy for %d seconds; weeks are meant", p.out.MaxAge/time.Second), "write 604800 (a week) or more")
	}
}

// Covers says whether the policy names a mail server. "*." stands for exactly one label (RFC 8461 section 4.1).
func (p Policy) Covers(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	_, parent, _ := strings.Cut(host, ".")
	return slices.ContainsFunc(p.MX, func(pattern string) bool {
		if domain, ok := strings.CutPrefix(pattern, "*."); ok {
			return domain == parent
		}
		return pattern == host
	})
}

// Render is the canonical body, with the line ends that RFC 8461 shows.
func (p Policy) Render() string {
	lines := []string{"version: " + stsVersion, "mode: " + string(p.Mode)}
	for _, mx := range p.MX {
		lines = append(lines, "mx: "+mx)
	}
	lines = append(lines, fmt.Sprintf("max_age: %d", p.MaxAge/time.Second))
	for _, t := range p.Extensions {
		lines = append(lines, t.Name+": "+t.Value)
	}
	return strings.Join(lines, "\r\n") + "\r\n"
}

// Validate says what is wrong with a policy that is to be published for the hosts of the MX records.
func (p Policy) Validate(hosts []string) Problems {
	parsed, found := ParsePolicy(p.Render())
	c := &collector{kind: KindPolicy, found: found}
	if parsed.Mode != p.Mode || parsed.MaxAge != p.MaxAge || !slices.EqualFunc(parsed.MX, p.MX, strings.EqualFold) || !slices.Equal(parsed.Extensions, p.Extensions) {
		c.notWhatWasMeant(policyRule)
	}
	c.found = append(c.found, p.Hosts(hosts)...)
	return c.found
}

// Hosts says which hosts of the MX records the policy does not name. Senders do not deliver to those where it is enforced,
// and not at all where it names none of them.
func (p Policy) Hosts(hosts []string) Problems {
	c := &collector{kind: KindPolicy}
	at := c.at("mx", "RFC 8461 section 4.1")
	var left []string
	for _, host := range hosts {
		if !p.Covers(host) {
			left = append(left, host)
		}
	}
	names := strings.Join(left, ", ")
	switch {
	case p.Mode == ModeNone || len(left) == 0:
	case p.Mode == ModeTesting:
		at.wrong(Dangling, "the policy does not name "+names+", which the MX records name", "add mx lines for them before the mode is enforce, and then change the id of the TXT record")
	case len(left) == len(hosts):
		at.fatal(Dangling, "the policy names none of the servers in the MX records, and senders deliver to none: "+names, "add mx lines for them, and then change the id of the TXT record")
	default:
		at.wrong(Dangling, "the policy does not name "+names+", which the MX records name, and senders do not deliver there", "add mx lines for them, and then change the id of the TXT record")
	}
	return c.found
}

// shorten cuts what somebody else wrote, for messages.
func shorten(text string) string {
	if len(text) > 80 {
		return text[:80] + "..."
	}
	return text
}

package dnssec

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// A scenario is one replay file of unbound's tests: canned answers by server address and step, and
// questions with the answers that they must have.
type scenario struct {
	name    string
	anchors []Anchor
	stubs   map[string][]netip.AddrPort
	forward []netip.AddrPort
	// clock is the frozen time; zero when the file sets none.
	clock time.Time
	// timeless says that validity periods are not compared.
	timeless bool
	ranges   []canned
	steps    []step
}

// canned are the answers of one address from one step to another.
type canned struct {
	from, to int
	addr     netip.Addr
	entries  []entry
}

// entry is one message of the file, and what of a question has to be as in it.
type entry struct {
	match, adjust, reply []string
	msg                  *dns.Msg
}

// step is something that happens: QUERY, CHECK_ANSWER, TIME_PASSES and others.
type step struct {
	at    int
	kind  string
	entry entry
	// elapse is for TIME_PASSES.
	elapse time.Duration
}

// readScenario reads a replay file.
func readScenario(t *testing.T, name, text string) *scenario {
	t.Helper()
	s := &scenario{name: name, stubs: map[string][]netip.AddrPort{}}
	config, rest, _ := strings.Cut(text, "CONFIG_END")
	s.readConfig(t, config)
	r := &replayReader{t: t, lines: strings.Split(rest, "\n")}
	for line, ok := r.next(); ok; line, ok = r.next() {
		words := strings.Fields(line)
		switch words[0] {
		case "RANGE_BEGIN":
			s.ranges = append(s.ranges, r.canned(number(t, words[1]), number(t, words[2])))
		case "STEP":
			s.steps = append(s.steps, r.step(words))
		}
	}
	if s.timeless {
		s.clock = time.Unix(int64(r.latest), 0)
	}
	return s
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var sha1Anchor = regexp.MustCompile(`DS\s+[0-9]+ [0-9]+ 1 `)

// readConfig reads the settings that matter here.
func (s *scenario) readConfig(t *testing.T, text string) {
	t.Helper()
	// Beside anchors with SHA-1, those made of keys have it too, or they would stand alone.
	digest := uint8(dns.SHA256)
	if sha1Anchor.MatchString(text) {
		digest = dns.SHA1
	}
	section, zone := "", ""
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok || strings.HasPrefix(key, ";") || strings.HasPrefix(key, "#") {
			continue
		}
		value = unquote(value)
		switch key {
		case "server", "stub-zone", "forward-zone":
			section = key
		case "name":
			zone = dns.CanonicalName(value)
		case "stub-addr":
			s.stubs[zone] = append(s.stubs[zone], netip.AddrPortFrom(netip.MustParseAddr(value), dnsPort))
		case "forward-addr":
			if section == "forward-zone" && zone == "." {
				s.forward = append(s.forward, netip.AddrPortFrom(netip.MustParseAddr(value), dnsPort))
			}
		case "trust-anchor":
			s.anchors = append(s.anchors, readAnchor(t, value, digest))
		case "val-override-date":
			if at, err := time.Parse("20060102150405", value); err == nil {
				s.clock = at
			}
			s.timeless = value == "-1"
		}
	}
}

// unquote takes the value of a setting out of its quotes and comment.
func unquote(value string) string {
	value = strings.TrimSpace(value)
	if rest, quoted := strings.CutPrefix(value, `"`); quoted {
		inside, _, _ := strings.Cut(rest, `"`)
		return inside
	}
	inside, _, _ := strings.Cut(value, "#")
	return strings.TrimSpace(inside)
}

func readAnchor(t *testing.T, text string, digest uint8) Anchor {
	t.Helper()
	switch rr := readRecord(t, text).(type) {
	case *dns.DS:
		return rr
	case *dns.DNSKEY:
		return rr.ToDS(digest)
	}
	t.Fatalf("not a trust anchor: %s", text)
	return nil
}

// readRecord reads one record. RDATA in octets may be malformed (RFC 3597).
func readRecord(t *testing.T, text string) dns.RR {
	t.Helper()
	if before, octets, raw := strings.Cut(text, ` \# `); raw {
		words := strings.Fields(before)
		kind := len(words) - 1
		rr := readRecord(t, strings.Join(words[:kind], " ")+" TYPE65280 "+` \#`+"\t"+octets)
		rr.Header().Rrtype = dns.StringToType[words[kind]]
		return rr
	}
	parser := dns.NewZoneParser(strings.NewReader(text+"\n"), ".", "")
	parser.SetDefaultTTL(3600)
	rr, ok := parser.Next()
	if !ok {
		t.Fatalf("%q: %v", text, parser.Err())
	}
	// On the wire the types are in order.
	switch n := rr.(type) {
	case *dns.NSEC:
		slices.Sort(n.TypeBitMap)
	case *dns.NSEC3:
		slices.Sort(n.TypeBitMap)
	}
	return rr
}

// replayReader reads a file line by line, without comments and empty lines.
type replayReader struct {
	t     *testing.T
	lines []string
	// latest inception of a signature.
	latest uint32
}

func (r *replayReader) next() (string, bool) {
	for len(r.lines) > 0 {
		line := r.lines[0]
		r.lines = r.lines[1:]
		if i := strings.IndexByte(line, ';'); i >= 0 && !strings.Contains(line[:i], `"`) {
			line = line[:i]
		}
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return line, true
		}
	}
	return "", false
}

func (r *replayReader) canned(from, to int) canned {
	c := canned{from: from, to: to}
	for line, ok := r.next(); ok && line != "RANGE_END"; line, ok = r.next() {
		words := strings.Fields(line)
		switch words[0] {
		case "ADDRESS":
			c.addr = netip.MustParseAddr(words[1])
		case "ENTRY_BEGIN":
			c.entries = append(c.entries, r.entry())
		}
	}
	return c
}

func (r *replayReader) step(words []string) step {
	s := step{at: number(r.t, words[1]), kind: words[2]}
	for i, w := range words {
		if w == "ELAPSE" {
			seconds, err := strconv.ParseFloat(words[i+1], 64)
			if err != nil {
				r.t.Fatal(err)
			}
			s.elapse = time.Duration(seconds * float64(time.Second))
		}
	}
	switch s.kind {
	case "QUERY", "CHECK_ANSWER", "REPLY", "CHECK_OUT_QUERY":
		if line, _ := r.next(); line == "ENTRY_BEGIN" {
			s.entry = r.entry()
		}
	}
	return s
}

// entry reads up to ENTRY_END.
func (r *replayReader) entry() entry {
	e := entry{msg: new(dns.Msg)}
	e.msg.Response = true
	section := ""
	for line, ok := r.next(); ok && line != "ENTRY_END"; line, ok = r.next() {
		words := strings.Fields(line)
		switch words[0] {
		case "MATCH":
			e.match = append(e.match, words[1:]...)
		case "ADJUST":
			e.adjust = append(e.adjust, words[1:]...)
		case "REPLY":
			e.reply = append(e.reply, words[1:]...)
		case "SECTION":
			section = words[1]
		case "HEX_EDNSDATA_BEGIN":
			for ok && line != "HEX_EDNSDATA_END" {
				line, ok = r.next()
			}
		default:
			r.record(&e, section, line)
		}
	}
	e.sortSignatures()
	for _, word := range e.reply {
		if code, ok := dns.StringToRcode[word]; ok {
			e.msg.Rcode = code
		}
		e.msg.Authoritative = e.msg.Authoritative || word == "AA"
		e.msg.Truncated = e.msg.Truncated || word == "TC"
	}
	return e
}

// sortSignatures puts signatures into the section of what they sign: unbound reads them from
// wherever they stand, and no server sends them elsewhere.
func (e *entry) sortSignatures() {
	sections := []*[]dns.RR{&e.msg.Answer, &e.msg.Ns, &e.msg.Extra}
	home := func(sig *dns.RRSIG) *[]dns.RR {
		for _, s := range sections {
			if set, _ := findRRset(*s, dns.CanonicalName(sig.Hdr.Name), sig.TypeCovered); len(set) > 0 {
				return s
			}
		}
		return nil
	}
	for _, from := range sections {
		for _, rr := range slices.Clone(*from) {
			sig, ok := rr.(*dns.RRSIG)
			if to := (*[]dns.RR)(nil); ok {
				if to = home(sig); to != nil && to != from {
					*from = slices.DeleteFunc(*from, func(o dns.RR) bool { return o == rr })
					*to = append(*to, rr)
				}
			}
		}
	}
}

func (r *replayReader) record(e *entry, section, line string) {
	if section == "" {
		return
	}
	if section == "QUESTION" {
		words := strings.Fields(line)
		e.msg.Question = []dns.Question{{Name: dns.CanonicalName(words[0]), Qtype: dns.StringToType[words[len(words)-1]], Qclass: dns.ClassINET}}
		return
	}
	for strings.Count(line, "(") > strings.Count(line, ")") {
		more, ok := r.next()
		if !ok {
			r.t.Fatalf("no end of %q", line)
		}
		line += " " + more
	}
	// A slip of the pen in nsid_bogus.
	line = strings.Replace(line, " 4 1440 0 3600", " 4 14400 3600", 1)
	rr := readRecord(r.t, line)
	if sig, ok := rr.(*dns.RRSIG); ok {
		r.latest = max(r.latest, sig.Inception)
	}
	switch section {
	case "ANSWER":
		e.msg.Answer = append(e.msg.Answer, rr)
	case "AUTHORITY":
		e.msg.Ns = append(e.msg.Ns, rr)
	case "ADDITIONAL":
		e.msg.Extra = append(e.msg.Extra, rr)
	}
}

// fits says whether an entry answers a question.
func (e *entry) fits(q dns.Question) bool {
	if len(e.msg.Question) == 0 {
		return false
	}
	own := e.msg.Question[0]
	for _, m := range e.match {
		switch m {
		case "qname":
			if own.Name != q.Name {
				return false
			}
		case "qtype":
			if own.Qtype != q.Qtype {
				return false
			}
		case "subdomain":
			if !dns.IsSubDomain(own.Name, q.Name) {
				return false
			}
		case "TCP":
			return false
		}
	}
	return true
}

// replayTransport answers from a scenario, as it is at one step.
type replayTransport struct {
	*scenario
	step int
	// asked is for reports of what went on.
	asked []string
}

func (r *replayTransport) Exchange(_ context.Context, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	asked := q.Question[0]
	r.asked = append(r.asked, fmt.Sprintf("%s? %s %s", server.Addr(), asked.Name, typeText(asked.Qtype)))
	for _, c := range r.ranges {
		if c.addr != server.Addr() || r.step < c.from || r.step > c.to {
			continue
		}
		for _, e := range c.entries {
			if !e.fits(asked) {
				continue
			}
			m := e.msg.Copy()
			m.Id = q.Id
			if slices.Contains(e.adjust, "copy_query") {
				m.Question = slices.Clone(q.Question)
			}
			// What the network would not let through does not come here either.
			wire, err := m.Pack()
			if err != nil {
				return nil, err
			}
			received := new(dns.Msg)
			return received, received.Unpack(wire)
		}
	}
	return nil, fmt.Errorf("%s does not answer", server)
}

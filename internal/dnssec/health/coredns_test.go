package health

import (
	"bufio"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// coredns answers in memory as CoreDNS does with a Corefile of the Zonemaster corpus, as far as those go.
type coredns struct {
	t *testing.T
	// root is the folder that file names begin at.
	root   string
	blocks []*block
}

// block is a server block.
type block struct {
	zone      string
	addrs     []string
	templates []*template
	file      []dns.RR
	fileZone  string
	// dropped are the types that are not answered, by zone.
	dropped map[string][]string
	clearAA bool
	// view are the types that the block is for; empty for all.
	view []string
}

// template is a literal answer.
type template struct {
	zone                          string
	qtype                         uint16
	answer, authority, additional []dns.RR
	rcode                         int
}

func readCorefile(t *testing.T, root, name string) *coredns {
	t.Helper()
	c := &coredns{t: t, root: root}
	var stack []string
	c.read(filepath.Join(root, name), &stack)
	return c
}

// read reads a Corefile or what it imports. The stack holds what is open.
func (c *coredns) read(path string, stack *[]string) {
	c.t.Helper()
	file, err := os.Open(path)
	if err != nil {
		c.t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		words := wordsOf(lines.Text())
		if len(words) == 0 {
			continue
		}
		if words[0] == "import" {
			c.read(filepath.Join(filepath.Dir(path), words[1]), stack)
			continue
		}
		c.line(words, stack)
	}
	if err := lines.Err(); err != nil {
		c.t.Fatal(err)
	}
}

// wordsOf splits a line; what is in quotes is one word, and # begins a comment.
func wordsOf(line string) []string {
	var out []string
	for line = strings.TrimSpace(line); line != "" && line[0] != '#'; line = strings.TrimSpace(line) {
		var word string
		if line[0] == '"' {
			word, line, _ = strings.Cut(line[1:], `"`)
		} else if i := strings.IndexAny(line, " \t"); i >= 0 {
			word, line = line[:i], line[i:]
		} else {
			word, line = line, ""
		}
		out = append(out, word)
	}
	return out
}

func (c *coredns) line(words []string, stack *[]string) {
	if words[0] == "}" {
		*stack = (*stack)[:len(*stack)-1]
		return
	}
	opens := words[len(words)-1] == "{"
	if len(*stack) == 0 {
		c.blocks = append(c.blocks, &block{zone: dns.CanonicalName(strings.TrimSuffix(words[0], ":53")), dropped: map[string][]string{}})
	} else {
		c.directive(c.blocks[len(c.blocks)-1], (*stack)[len(*stack)-1], words)
	}
	if opens {
		*stack = append(*stack, strings.Join(words[:len(words)-1], " "))
	}
}

// directive takes in one line inside a block; in is what it stands in.
func (c *coredns) directive(b *block, in string, words []string) {
	c.t.Helper()
	inside, _, _ := strings.Cut(in, " ")
	switch words[0] {
	case "bind":
		if addr, err := netip.ParseAddr(words[1]); err == nil && addr.Is4() {
			b.addrs = append(b.addrs, words[1])
		}
	case "file":
		b.fileZone = dns.CanonicalName(words[2])
		b.file = c.zoneFile(words[1], b.fileZone)
	case "template":
		b.templates = append(b.templates, &template{zone: dns.CanonicalName(words[3]), qtype: dns.StringToType[words[2]]})
	case "answer", "authority", "additional":
		tmpl := b.templates[len(b.templates)-1]
		section := map[string]*[]dns.RR{"answer": &tmpl.answer, "authority": &tmpl.authority, "additional": &tmpl.additional}[words[0]]
		rr, err := dns.NewRR(words[1])
		if err != nil {
			c.t.Fatalf("%s: %v", words[1], err)
		}
		*section = append(*section, rr)
	case "rcode":
		b.templates[len(b.templates)-1].rcode = dns.StringToRcode[words[1]]
	case "drop":
		of := dns.CanonicalName(strings.Fields(in)[1])
		b.dropped[of] = append(b.dropped[of], words[2])
	case "response":
		b.clearAA = true
	case "expr":
		b.view = strings.FieldsFunc(words[len(words)-1], func(r rune) bool { return strings.ContainsRune("[]',", r) })
	case "log", "header", "view", "acl", "unbound", "option":
	default:
		c.t.Fatalf("what is %q in %q?", words, inside)
	}
}

func (c *coredns) zoneFile(name, zone string) []dns.RR {
	c.t.Helper()
	file, err := os.Open(filepath.Join(c.root, name))
	if err != nil {
		c.t.Fatal(err)
	}
	defer file.Close()
	var out []dns.RR
	parser := dns.NewZoneParser(file, zone, name)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		out = append(out, rr)
	}
	if err := parser.Err(); err != nil {
		c.t.Fatal(err)
	}
	return out
}

// ask is what the server at the address says; nil for silence.
func (c *coredns) ask(addr, name string, qtype uint16) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.SetEdns0(1232, true)
	m.Response = true
	b := c.pick(addr, name, qtype)
	if b == nil {
		m.Rcode = dns.RcodeRefused
		return m
	}
	for zone, types := range b.dropped {
		if dns.IsSubDomain(zone, name) && (slices.Contains(types, dns.TypeToString[qtype]) || slices.Contains(types, "*")) {
			return nil
		}
	}
	if !b.fromTemplate(m, name, qtype) && !b.fromFile(m, name, qtype) {
		m.Rcode = dns.RcodeServerFailure
	}
	if b.clearAA {
		m.Authoritative = false
	}
	return m
}

func (c *coredns) pick(addr, name string, qtype uint16) *block {
	var best *block
	for _, b := range c.blocks {
		viewed := len(b.view) == 0 || slices.Contains(b.view, dns.TypeToString[qtype])
		if !slices.Contains(b.addrs, addr) || !dns.IsSubDomain(b.zone, name) || !viewed {
			continue
		}
		if best == nil || dns.CountLabel(b.zone) > dns.CountLabel(best.zone) {
			best = b
		}
	}
	return best
}

func (b *block) fromTemplate(m *dns.Msg, name string, qtype uint16) bool {
	for _, tmpl := range b.templates {
		if tmpl.qtype == qtype && dns.IsSubDomain(tmpl.zone, name) {
			m.Authoritative, m.Rcode = true, tmpl.rcode
			m.Answer, m.Ns, m.Extra = slices.Clone(tmpl.answer), slices.Clone(tmpl.authority), append(m.Extra, tmpl.additional...)
			return true
		}
	}
	return false
}

func (b *block) fromFile(m *dns.Msg, name string, qtype uint16) bool {
	if b.fileZone == "" || !dns.IsSubDomain(b.fileZone, name) {
		return false
	}
	exists := false
	for _, rr := range b.file {
		h := rr.Header()
		owner := dns.CanonicalName(h.Name)
		exists = exists || dns.IsSubDomain(name, owner)
		if h.Rrtype == dns.TypeNS && owner != b.fileZone && dns.IsSubDomain(owner, name) && (qtype != dns.TypeDS || owner != name) {
			m.Ns = append(m.Ns, rr)
		}
		if sig, ok := rr.(*dns.RRSIG); owner == name && (h.Rrtype == qtype || ok && sig.TypeCovered == qtype) {
			m.Answer = append(m.Answer, rr)
		}
	}
	if len(m.Ns) > 0 {
		m.Answer = nil
		return true
	}
	m.Authoritative = true
	if len(m.Answer) == 0 {
		m.Ns = find(b.file, b.fileZone, dns.TypeSOA)
		if !exists {
			m.Rcode = dns.RcodeNameError
		}
	}
	return true
}

// childServers and parentServers are the addresses that serve a zone, and those whose file delegates it.
func (c *coredns) childServers(zone string) []string {
	return c.servers(func(b *block) bool {
		return b.zone == zone || slices.ContainsFunc(b.templates, func(tmpl *template) bool { return tmpl.zone == zone && tmpl.qtype != dns.TypeDS })
	})
}

func (c *coredns) parentServers(zone string) []string {
	parent := zone[strings.Index(zone, ".")+1:]
	return c.servers(func(b *block) bool { return b.fileZone == parent && parent != "" })
}

func (c *coredns) servers(fits func(*block) bool) []string {
	var out []string
	for _, b := range c.blocks {
		if fits(b) {
			out = append(out, b.addrs...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (c *coredns) reply(addr, name string, qtype uint16) Reply {
	r := Reply{Name: name, Type: qtype, Msg: c.ask(addr, name, qtype)}
	if r.Msg == nil {
		r.Problem = "there was no reply in time"
	}
	return r
}

// observe asks the servers of a zone and of its parent.
func (c *coredns) observe(zone string, types []uint16) Observations {
	o := Observations{Now: at, Zone: zone}
	for _, addr := range c.childServers(zone) {
		s := Server{Label: addr}
		for _, qtype := range types {
			s.Stream = append(s.Stream, c.reply(addr, zone, qtype))
		}
		o.Servers = append(o.Servers, s)
	}
	for _, addr := range c.parentServers(zone) {
		o.Parents = append(o.Parents, Parent{Label: addr, DS: c.reply(addr, zone, dns.TypeDS), NS: c.reply(addr, zone, dns.TypeNS)})
	}
	return o
}

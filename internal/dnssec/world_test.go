package dnssec

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// world is a root, test. and example.test. with canned answers by server, name and type.
type world struct {
	t                   *testing.T
	root, test, example *testZone
	answers             map[string]*dns.Msg
	mu                  sync.Mutex
	asked               []string
	now                 time.Time
}

// The servers.
const (
	rootServer, testServer, firstServer, secondServer = "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"
)

func newWorld(t *testing.T) *world {
	w := &world{t: t, root: newZone(t, "."), test: newZone(t, "test."), example: newZone(t, "example.test."), answers: map[string]*dns.Msg{}, now: at}
	w.keys(rootServer, w.root)
	w.keys(testServer, w.test)
	w.keys(firstServer, w.example)
	w.keys(secondServer, w.example)
	w.delegate(rootServer, w.root, w.test, "ns.test. 3600 A "+testServer)
	w.delegate(testServer, w.test, w.example, "ns1.example.test. 3600 A "+firstServer, "ns2.example.test. 3600 A "+secondServer)
	return w
}

// keys has a server give a zone's keys.
func (w *world) keys(server string, z *testZone) {
	set := []dns.RR{z.key}
	w.give(server, z.name, dns.TypeDNSKEY, &dns.Msg{Answer: append(set, z.sign(set))})
}

// delegate has the parent's server refer to the child, whatever is asked.
func (w *world) delegate(server string, parent, child *testZone, glue ...string) {
	ds := child.key.ToDS(dns.SHA256)
	ds.Hdr.Ttl = 3600
	m := &dns.Msg{Extra: rrset(w.t, glue...)}
	for _, rr := range m.Extra {
		m.Ns = append(m.Ns, rrset(w.t, child.name+" 3600 NS "+rr.Header().Name)...)
	}
	m.Ns = append(m.Ns, ds, parent.sign([]dns.RR{ds}))
	w.give(server, child.name, dns.TypeANY, m)
	w.give(server, child.name, dns.TypeDS, &dns.Msg{Answer: []dns.RR{ds, m.Ns[len(m.Ns)-1]}})
}

// give is what a server answers; type ANY stands for every question below the name.
func (w *world) give(server, name string, qtype uint16, m *dns.Msg) {
	w.answers[server+" "+name+" "+typeText(qtype)] = m
}

// signed is an answer with an RRset and its signature.
func (w *world) signed(z *testZone, change func(*dns.RRSIG), texts ...string) *dns.Msg {
	set := rrset(w.t, texts...)
	sig := z.sign(set)
	if change != nil {
		change(sig)
	}
	return &dns.Msg{Answer: append(set, sig)}
}

// denied is an answer with a signed SOA and NSEC records.
func (w *world) denied(z *testZone, rcode int, nsecs ...string) *dns.Msg {
	m := &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: rcode}}
	for _, text := range append([]string{z.name + " 300 SOA ns. h. 1 2 3 4 60"}, nsecs...) {
		set := rrset(w.t, text)
		m.Ns = append(m.Ns, set[0], z.sign(set))
	}
	return m
}

func (w *world) Exchange(_ context.Context, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	host, asked := server.Addr().String(), q.Question[0]
	w.asked = append(w.asked, host+" "+asked.Name+" "+typeText(asked.Qtype))
	m, ok := w.answers[host+" "+asked.Name+" "+typeText(asked.Qtype)]
	for name := asked.Name; !ok && name != "."; name = parent(name) {
		m, ok = w.answers[host+" "+name+" ANY"]
	}
	if !ok {
		return nil, errors.New("no route to host")
	}
	out := m.Copy()
	out.Id, out.Response, out.Question = q.Id, true, q.Question
	return out, nil
}

func (w *world) validator(change ...func(*Config)) *Validator {
	w.t.Helper()
	c := Config{
		Anchors: []Anchor{w.root.anchor()}, Transport: w, Now: func() time.Time { return w.now },
		Stubs: map[string][]netip.AddrPort{".": {netip.MustParseAddrPort(rootServer + ":53")}},
	}
	for _, f := range change {
		f(&c)
	}
	v, err := New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// asks gives what was asked since the last time.
func (w *world) asks() string {
	out := strings.Join(w.asked, ", ")
	w.asked = nil
	return out
}

// is checks a result.
func (w *world) is(r Result, state State, reason Reason, parts ...string) {
	w.t.Helper()
	got := Reason("")
	if r.Cause != nil {
		got = r.Cause.Reason
	}
	if r.State != state || got != reason {
		w.t.Errorf("%s %s is %s (%v), want %s (%s); asked %v", r.Name, typeText(r.Type), r.State, r.Cause, state, reason, w.asked)
	}
	for _, part := range parts {
		if !strings.Contains(fmt.Sprint(r.Cause), part) {
			w.t.Errorf("%q does not say %q", fmt.Sprint(r.Cause), part)
		}
	}
}

package ns

import (
	"fmt"
	"sync"

	"github.com/miekg/dns"
)

// Tree answers for several zones at one address, as a recursive server does that knows nothing else: for DS
// records from the zone above, and for everything else from the deepest zone. It validates nothing. A question
// that no zone of it may answer gets REFUSED.
type Tree struct {
	// Addr is host:port.
	Addr string

	mu      sync.Mutex
	zones   map[string]*Server
	servers []*dns.Server
}

// StartTree starts a tree without zones. An address with port 0 gets a free port.
func StartTree(addr string) (*Tree, error) {
	listener, packets, err := listen(addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	t := &Tree{Addr: listener.Addr().String(), zones: map[string]*Server{}}
	t.servers = serve(t, listener, packets, nil)
	return t, nil
}

// Add answers for a zone as its server does.
func (t *Tree) Add(s *Server) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.zones[s.zone.Name] = s
}

// Stop ends the tree.
func (t *Tree) Stop() {
	for _, server := range t.servers {
		_ = server.Shutdown()
	}
}

// ServeDNS answers one question.
func (t *Tree) ServeDNS(w dns.ResponseWriter, m *dns.Msg) {
	reply := new(dns.Msg)
	reply.SetReply(m)
	reply.RecursionAvailable = true
	if s := t.of(m); s != nil {
		s.answer(m, reply)
		reply.Authoritative = false
	} else {
		reply.Rcode = dns.RcodeRefused
	}
	_ = w.WriteMsg(reply)
}

// of is the server that answers a question; nil for none.
func (t *Tree) of(m *dns.Msg) *Server {
	if len(m.Question) != 1 {
		return nil
	}
	name := dns.CanonicalName(m.Question[0].Name)
	t.mu.Lock()
	defer t.mu.Unlock()
	for at, end := 0, false; !end; at, end = dns.NextLabel(name, at) {
		if at == 0 && m.Question[0].Qtype == dns.TypeDS {
			continue
		}
		if s, ok := t.zones[name[at:]]; ok {
			return s
		}
	}
	return nil
}

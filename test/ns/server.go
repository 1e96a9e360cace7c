package ns

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Server serves a zone on one address, over UDP and TCP.
type Server struct {
	// Addr is host:port.
	Addr  string
	zone  *Zone
	delay time.Duration
	// primary takes updates and is never behind.
	primary bool
	data    atomic.Pointer[snapshot]
	paused  atomic.Bool

	mu      sync.Mutex
	servers []*dns.Server
}

// StartPrimary serves the zone and takes updates. An address with port 0 gets a free port.
func (z *Zone) StartPrimary(addr string) (*Server, error) {
	return z.start(&Server{Addr: addr, zone: z, primary: true})
}

// StartSecondary serves the zone as it was delay ago.
func (z *Zone) StartSecondary(addr string, delay time.Duration) (*Server, error) {
	return z.start(&Server{Addr: addr, zone: z, delay: delay})
}

func (z *Zone) start(s *Server) (*Server, error) {
	listener, packets, err := listen(s.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", s.Addr, err)
	}
	s.Addr = listener.Addr().String()
	z.mu.Lock()
	now := z.snapshot()
	s.data.Store(&now)
	z.followers = append(z.followers, s)
	z.mu.Unlock()
	s.servers = serve(s, listener, packets, map[string]string{z.TSIGName: z.TSIGSecret})
	return s, nil
}

// serve answers over TCP and UDP.
func serve(handler dns.Handler, listener net.Listener, packets net.PacketConn, secrets map[string]string) []*dns.Server {
	accept := func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }
	out := []*dns.Server{
		{Listener: listener, Handler: handler, TsigSecret: secrets, MsgAcceptFunc: accept},
		{PacketConn: packets, Handler: handler, TsigSecret: secrets, MsgAcceptFunc: accept},
	}
	for _, server := range out {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() { _ = server.ActivateAndServe() }()
		<-started
	}
	return out
}

// listen takes the same port for TCP and UDP.
func listen(addr string) (net.Listener, net.PacketConn, error) {
	var failed error
	for range 10 {
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			return nil, nil, err
		}
		packets, err := net.ListenPacket("udp", listener.Addr().String())
		if err == nil {
			return listener, packets, nil
		}
		_ = listener.Close()
		failed = err
	}
	return nil, nil, failed
}

// Stop ends the server.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, server := range s.servers {
		_ = server.Shutdown()
	}
	s.servers = nil
}

// Pause makes the server silent, as if its network were cut off; Resume ends that.
func (s *Server) Pause() { s.paused.Store(true) }

// Resume ends Pause.
func (s *Server) Resume() { s.paused.Store(false) }

// follow takes new data over after the server's delay.
func (s *Server) follow(now snapshot) {
	if s.delay == 0 {
		s.data.Store(&now)
		return
	}
	time.AfterFunc(s.delay, func() {
		if have := s.data.Load(); have.serial < now.serial {
			s.data.Store(&now)
		}
	})
}

// ServeDNS answers one message.
func (s *Server) ServeDNS(w dns.ResponseWriter, m *dns.Msg) {
	if s.paused.Load() {
		return
	}
	reply := new(dns.Msg)
	reply.SetReply(m)
	tsig := m.IsTsig()
	switch {
	case tsig != nil && w.TsigStatus() != nil:
		reply.Rcode = dns.RcodeNotAuth
		_ = w.WriteMsg(reply)
		return
	case m.Opcode == dns.OpcodeUpdate:
		reply.Rcode = s.update(m, tsig != nil)
	case m.Opcode == dns.OpcodeQuery && len(m.Question) == 1:
		s.answer(m, reply)
	default:
		reply.Rcode = dns.RcodeNotImplemented
	}
	if tsig != nil {
		reply.SetTsig(strings.ToLower(tsig.Hdr.Name), tsig.Algorithm, 300, time.Now().Unix())
	}
	_ = w.WriteMsg(reply)
}

// answer fills in the reply to a query.
func (s *Server) answer(m, reply *dns.Msg) {
	q := m.Question[0]
	name := dns.CanonicalName(q.Name)
	if !dns.IsSubDomain(s.zone.Name, name) {
		reply.Rcode = dns.RcodeRefused
		return
	}
	reply.Authoritative = true
	signed := false
	if opt := m.IsEdns0(); opt != nil {
		signed = opt.Do()
		reply.SetEdns0(1232, signed)
	}
	data := s.data.Load()
	if above := data.data.above(name); above != nil {
		// The CNAME is made up, and not signed (RFC 6672 section 3.1).
		reply.Answer = append(s.withSignature([]dns.RR{above}, signed), synthesized(name, above))
		return
	}
	set := data.data[name][q.Qtype]
	if q.Qtype == dns.TypeSOA && name == s.zone.Name {
		set = []dns.RR{data.soa(s.zone.Name)}
	}
	if len(set) == 0 {
		// An alias is answered for every type; where it leads is another question.
		set = data.data[name][dns.TypeCNAME]
	}
	if q.Qtype == dns.TypeNSEC && len(set) == 0 {
		// Every name has such a record, made when it is asked for: a denial of it would say that it is there.
		set = []dns.RR{s.denial(name, data)}
	}
	if len(set) > 0 {
		reply.Answer = s.withSignature(set, signed)
		return
	}
	reply.Ns = s.withSignature([]dns.RR{data.soa(s.zone.Name)}, signed)
	if signed {
		reply.Ns = append(reply.Ns, s.withSignature([]dns.RR{s.denial(name, data)}, true)...)
	}
}

// above is the DNAME that a name is below; nil without one. What stands below it is not served.
func (d rrsets) above(name string) *dns.DNAME {
	for i, end := dns.NextLabel(name, 0); !end; i, end = dns.NextLabel(name, i) {
		if set := d[name[i:]][dns.TypeDNAME]; len(set) > 0 {
			return set[0].(*dns.DNAME)
		}
	}
	return nil
}

// synthesized is the CNAME of a name below a DNAME.
func synthesized(name string, above *dns.DNAME) dns.RR {
	h := header(name, dns.TypeCNAME, above.Hdr.Ttl)
	return &dns.CNAME{Hdr: h, Target: strings.TrimSuffix(name, above.Hdr.Name) + dns.CanonicalName(above.Target)}
}

// denial is an NSEC record that covers no more than the name itself, and denies every type that the
// name does not have ("black lies"). A name that does not exist is thus one without data.
func (s *Server) denial(name string, data *snapshot) dns.RR {
	types := []uint16{dns.TypeRRSIG, dns.TypeNSEC}
	for kind := range data.data[name] {
		types = append(types, kind)
	}
	if name == s.zone.Name {
		types = append(types, dns.TypeSOA)
	}
	sortTypes(types)
	return &dns.NSEC{Hdr: header(name, dns.TypeNSEC, 1), NextDomain: "\\000." + name, TypeBitMap: types}
}

func sortTypes(types []uint16) {
	for i := range types {
		for j := i; j > 0 && types[j] < types[j-1]; j-- {
			types[j], types[j-1] = types[j-1], types[j]
		}
	}
}

func (s *Server) withSignature(set []dns.RR, signed bool) []dns.RR {
	out := append([]dns.RR(nil), set...)
	if !signed {
		return out
	}
	if sig, err := s.zone.sign(set); err == nil {
		out = append(out, sig)
	}
	return out
}

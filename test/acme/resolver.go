package acme

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/test/servers"
)

// Resolver hands questions on to another resolver, which can be changed: cert-manager is told its
// resolvers when it starts, while every test has a zone and a resolver of its own.
type Resolver struct {
	// Addr is where it listens, by UDP and TCP.
	Addr netip.AddrPort

	servers []*dns.Server
	asked   atomic.Pointer[netip.AddrPort]
}

// StartResolver starts a resolver on a port that is free. It answers SERVFAIL until Ask is called.
func StartResolver() (*Resolver, error) {
	r := &Resolver{}
	tcp, err := net.Listen("tcp", address+":0")
	if err != nil {
		return nil, fmt.Errorf("start the resolver for challenges: %w", err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the resolver for challenges: %w", err), tcp.Close())
	}
	r.Addr = netip.MustParseAddrPort(tcp.Addr().String())
	for _, s := range []*dns.Server{{Listener: tcp}, {PacketConn: udp}} {
		s.Handler = dns.HandlerFunc(r.answer)
		r.servers = append(r.servers, s)
		go func() { _ = s.ActivateAndServe() }() // it ends with Stop
	}
	return r, nil
}

// Stop ends it.
func (r *Resolver) Stop() {
	for _, s := range r.servers {
		_ = s.Shutdown() // it may not have begun to serve
	}
}

// Ask makes another resolver the one that is asked.
func (r *Resolver) Ask(resolver netip.AddrPort) { r.asked.Store(&resolver) }

func (r *Resolver) answer(w dns.ResponseWriter, q *dns.Msg) {
	reply := new(dns.Msg)
	reply.SetRcode(q, dns.RcodeServerFailure)
	if asked := r.asked.Load(); asked != nil {
		if m, err := servers.Ask(*asked, q.Question[0].Name, q.Question[0].Qtype, true); err == nil {
			m.Id = q.Id
			reply = m
		}
	}
	_ = w.WriteMsg(reply) // a client that has gone asks again
}

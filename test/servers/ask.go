package servers

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// askTimeout is long: a server on a busy machine is slow, and must not pass for one that is gone.
const askTimeout = 10 * time.Second

// Ask puts one question to a server by TCP, with the DNSSEC records asked for.
func Ask(addr netip.AddrPort, name string, qtype uint16, recurse bool) (*dns.Msg, error) {
	return AskWithin(askTimeout, addr, name, qtype, recurse)
}

// AskWithin is Ask with another limit, for a server that is expected not to answer.
func AskWithin(limit time.Duration, addr netip.AddrPort, name string, qtype uint16, recurse bool) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), qtype)
	m.RecursionDesired = recurse
	m.SetEdns0(4096, true)
	c := &dns.Client{Net: "tcp", Timeout: limit}
	r, _, err := c.Exchange(m, addr.String())
	return r, err
}

// serial is the SOA serial that a server shows with authority.
func serial(addr netip.AddrPort, zone string) (uint32, error) {
	m, err := Ask(addr, zone, dns.TypeSOA, false)
	if err != nil {
		return 0, err
	}
	for _, rr := range m.Answer {
		if soa, ok := rr.(*dns.SOA); ok && m.Authoritative {
			return soa.Serial, nil
		}
	}
	return 0, fmt.Errorf("no authoritative SOA of %s: %s", zone, dns.RcodeToString[m.Rcode])
}

// signedDS returns the DS of a zone whose SOA is signed.
func signedDS(addr netip.AddrPort, zone string) (*dns.DS, error) {
	soa, err := Ask(addr, zone, dns.TypeSOA, false)
	if err != nil {
		return nil, err
	}
	signed := false
	for _, rr := range soa.Answer {
		_, isSig := rr.(*dns.RRSIG)
		signed = signed || isSig
	}
	if !signed {
		return nil, errors.New("the zone's SOA is not signed yet")
	}
	keys, err := Ask(addr, zone, dns.TypeDNSKEY, false)
	if err != nil {
		return nil, err
	}
	for _, rr := range keys.Answer {
		if key, ok := rr.(*dns.DNSKEY); ok && key.Flags == dns.ZONE|dns.SEP {
			return key.ToDS(dns.SHA256), nil
		}
	}
	return nil, errors.New("the zone has no key with flags 257 yet")
}

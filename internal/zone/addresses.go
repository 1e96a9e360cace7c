package zone

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/miekg/dns"
)

// addresses asks every server for the A and AAAA records of a host. The addresses are those that
// any of them gives: a sender may meet any. They count as signed when every answer validates.
func (k *knowledge) addresses(ctx context.Context, cfg Config, host string) Address {
	host = dns.CanonicalName(host)
	if !dns.IsSubDomain(cfg.Zone, host) {
		return Address{Message: fmt.Sprintf("%s is not below the zone %s: its addresses are not looked up here", host, cfg.Zone)}
	}
	list, _ := k.targets(ctx, cfg)
	list = publicTargets(list)
	e := k.entry(ctx, cfg)
	found := make([]Address, len(list))
	k.eachServer(list, func(i int) { found[i] = k.addressesAt(ctx, cfg, e, list[i], host) })
	return mergeAddresses(host, list, found)
}

// mergeAddresses puts together what the servers gave. One that did not answer may give any address, so
// without it the list is not complete.
func mergeAddresses(host string, list []target, found []Address) Address {
	if len(found) == 0 {
		return Address{Message: "no server of the zone is known"}
	}
	out := Address{Complete: true, Signed: true}
	silent, unsigned := "", ""
	for i, a := range found {
		text := fmt.Sprintf("%s: %s", serverText(list[i].Server), a.Message)
		switch {
		case a.Addrs == nil && list[i].isFormer() && a.Message != unforeseen:
		case a.Addrs == nil:
			out.Complete, silent = false, cmp.Or(silent, text)
		case !a.Signed:
			out.Signed, unsigned = false, cmp.Or(unsigned, text)
		}
		out.Addrs = append(out.Addrs, a.Addrs...)
	}
	slices.SortFunc(out.Addrs, netip.Addr.Compare)
	out.Addrs = slices.Compact(out.Addrs)
	out.Message = cmp.Or(silent, unsigned)
	if answered := func(a Address) bool { return a.Addrs != nil }; !slices.ContainsFunc(found, answered) {
		out.Signed = false
	} else if len(out.Addrs) == 0 {
		out.Message = cmp.Or(out.Message, host+" has neither A nor AAAA records")
	}
	return out
}

// addressesAt asks one server; Addrs is nil when it did not answer both questions.
func (k *knowledge) addressesAt(ctx context.Context, cfg Config, e entry, t target, host string) Address {
	if t.problem != "" {
		return Address{Message: t.problem}
	}
	s := sweepSession(k.opts, cfg.Zone, t.endpoint)
	defer s.close()
	types := []uint16{dns.TypeA, dns.TypeAAAA}
	replies := s.askAll(ctx, []*dns.Msg{query(cfg.Zone, dns.TypeDNSKEY), query(host, types[0]), query(host, types[1])})
	keys, keyErr := k.keysFrom(cfg, e, replies[0])
	out := Address{Addrs: []netip.Addr{}, Signed: true}
	for i, qtype := range types {
		r := replies[i+1]
		if r.err != nil {
			return Address{Message: "no answer: " + silenceText(r.err)}
		}
		got, err := readAnswer(cfg.Zone, host, qtype, r.msg)
		if err != nil {
			return Address{Message: err.Error()}
		}
		out.Addrs = append(out.Addrs, addrsOf(got.data())...)
		if err := keyErr; err == nil {
			_, err = validate(keys, got, k.opts.Clock.Now())
			keyErrOr(&out, err)
		} else {
			keyErrOr(&out, err)
		}
	}
	return out
}

// keyErrOr notes the first reason why the answers do not count as signed.
func keyErrOr(a *Address, err error) {
	if err != nil && a.Signed {
		a.Signed, a.Message = false, unsignedText(err)
	}
}

func addrsOf(set []dns.RR) []netip.Addr {
	var out []netip.Addr
	for _, rr := range set {
		var octets []byte
		switch a := rr.(type) {
		case *dns.A:
			octets = a.A.To4()
		case *dns.AAAA:
			octets = a.AAAA.To16()
		}
		if addr, ok := netip.AddrFromSlice(octets); ok {
			out = append(out, addr)
		}
	}
	return out
}

package senderview

import (
	"fmt"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// viewHost decides for one host, as if the MX records were secure.
func viewHost(h Host, port uint16) HostView {
	found, view := addresses(h)
	if view != nil {
		return *view
	}
	bases, weak := baseDomains(h, found)
	var out HostView
	if len(bases) == 0 {
		out = opportunistic(h, weak)
	} else {
		out = authenticated(h, port, bases, weak)
	}
	out.Message += found.note
	return out
}

// address is the answer with the addresses that a sender goes by.
type address struct {
	Answer
	rrtype string
	// note tells of the other address type where that fails.
	note string
}

// addresses chooses between A and AAAA: either suffices, and one that fails does not keep mail from the
// other. The one nearest to being secure counts. Without addresses there is a view already.
func addresses(h Host) (address, *HostView) {
	v4, v6 := address{Answer: h.A, rrtype: "A"}, address{Answer: h.AAAA, rrtype: "AAAA"}
	best, other := v4, v6
	if rank(h.AAAA) > rank(h.A) {
		best, other = v6, v4
	}
	if rank(best.Answer) == 0 {
		return address{}, unreachable(h, v4, v6)
	}
	if other.failed() {
		best.note = fmt.Sprintf("; apart from that, %s", fails(other.weakest(h.Name, other.rrtype)))
	}
	return best, nil
}

// rank says how much an address answer is worth: 0 for no address, 1 for insecure ones, 2 for insecure
// ones behind a secure alias, 3 for secure ones.
func rank(a Answer) int {
	switch {
	case a.failed() || !a.has():
		return 0
	case a.secure():
		return 3
	case len(a.Hops) > 0 && a.Hops[0].State == dnssec.Secure:
		return 2
	}
	return 1
}

func unreachable(h Host, answers ...address) *HostView {
	for _, a := range answers {
		if a.failed() {
			l := a.weakest(h.Name, a.rrtype)
			return undeliverable(h, "", &l, fails(l))
		}
	}
	l := answers[0].weakest(h.Name, answers[0].rrtype)
	return undeliverable(h, "", &l, fmt.Sprintf("%s has no address: publish A or AAAA records, or take it out of the MX records", h.Name))
}

// baseDomains are the names at which TLSA records are looked up, the first first (RFC 7672 section 2.2.2), and
// the link that makes the addresses insecure.
func baseDomains(h Host, found address) ([]string, *Link) {
	final := found.final(h.Name)
	if found.secure() {
		if final == h.Name {
			return []string{h.Name}, nil
		}
		return []string{final, h.Name}, nil
	}
	weak := found.weakest(h.Name, found.rrtype)
	if rank(found.Answer) == 2 {
		return []string{h.Name}, &weak
	}
	return nil, &weak
}

// authenticated goes by the first base domain with secure TLSA records. A lookup that fails ends it: there
// might be records.
func authenticated(h Host, port uint16, bases []string, weak *Link) HostView {
	for _, base := range bases {
		t := h.at(base)
		l := t.Answer.weakest(fmt.Sprintf("_%d._tcp.%s", port, base), "TLSA")
		switch {
		case t.Answer.failed():
			return *undeliverable(h, "", &l, fails(l))
		case t.Answer.has() && t.Answer.secure():
			return presented(h, t, l)
		case weak == nil || weak.State == dnssec.Secure && l.State == dnssec.Insecure:
			weak = &l
		}
	}
	return opportunistic(h, weak)
}

// at has what was looked up at a base domain. What was not looked up has failed.
func (h Host) at(base string) TLSA {
	for _, t := range h.TLSA {
		if plain(t.Base) == base {
			return t
		}
	}
	return TLSA{Base: base, Answer: Answer{State: dnssec.Indeterminate, Cause: "it was not looked up"}}
}

// presented looks at what the endpoints do. The worst of them counts: a sender may come to any.
func presented(h Host, t TLSA, l Link) HostView {
	base := plain(t.Base)
	verdict := DANE
	if t.Usable == 0 {
		verdict = EncryptOnly
	}
	up := 0
	for _, e := range t.Endpoints {
		if e.Presented == Unreachable {
			continue
		}
		up++
		if e.Presented == NoTLS || verdict == DANE && e.Presented != Matched {
			return *undeliverable(h, base, &l, refused(h.Name, e, l))
		}
	}
	switch {
	case up == 0 && len(t.Endpoints) > 0:
		return *undeliverable(h, base, nil, fmt.Sprintf("no address of %s answers: see that port and firewall are open", h.Name))
	case verdict == EncryptOnly:
		return HostView{Host: h.Name, Verdict: verdict, Base: base, Blame: &l, Message: fmt.Sprintf(
			"no TLSA record of %s is usable: senders encrypt, but do not authenticate %s; publish records with usage 3 or 2", l.Name, h.Name)}
	}
	return HostView{Host: h.Name, Verdict: verdict, Base: base, Message: fmt.Sprintf("senders authenticate %s by the TLSA records of %s", h.Name, l.Name)}
}

package wire

import (
	"errors"
	"slices"

	"github.com/miekg/dns"
)

// The faults of this file are those of what stands before a name server and means well: a firewall, a load balancer,
// a cache. Messages come through, and something in them is gone.

// StripOPT takes EDNS (RFC 6891) out of replies.
type StripOPT struct{}

func (StripOPT) apply(w *way) error {
	return w.altered(func(m *dns.Msg) {
		m.Extra = slices.DeleteFunc(m.Extra, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT })
	})
}

// ClearDO takes the DO bit out of requests, so that nobody gets signatures.
type ClearDO struct{}

func (ClearDO) apply(w *way) error {
	m := new(dns.Msg)
	if err := m.Unpack(w.request); err != nil {
		return err
	}
	if opt := m.IsEdns0(); opt != nil {
		opt.SetDo(false)
	}
	request, err := m.Pack()
	if err != nil {
		return err
	}
	reply, err := w.ask(request)
	if err != nil {
		return err
	}
	return w.send(reply)
}

// ClearAA takes the AA bit out of replies to questions of some types, of all if none is named: they are from a cache.
type ClearAA struct{ Types []uint16 }

func (c ClearAA) apply(w *way) error {
	return w.altered(func(m *dns.Msg) {
		if len(m.Question) == 1 && (len(c.Types) == 0 || slices.Contains(c.Types, m.Question[0].Qtype)) {
			m.Authoritative = false
		}
	})
}

// NoTCP lets packets pass, and ends streams that something was asked by.
type NoTCP struct{}

func (NoTCP) apply(w *way) error {
	if w.stream != nil {
		return Reset{}.apply(w)
	}
	return w.pass()
}

// NoUDP lets streams pass, and loses packets.
type NoUDP struct{}

func (NoUDP) apply(w *way) error {
	if w.stream == nil {
		return errCut
	}
	return w.pass()
}

// Silence leaves questions of some types without an answer, and lets all others pass: a firewall that does not know the type.
type Silence struct{ Types []uint16 }

func (s Silence) apply(w *way) error {
	m := new(dns.Msg)
	if err := m.Unpack(w.request); err != nil {
		return err
	}
	if len(m.Question) == 1 && slices.Contains(s.Types, m.Question[0].Qtype) {
		return nil
	}
	return w.pass()
}

// OtherRecords answers questions of a type with a TXT record in the place of what was asked for.
type OtherRecords struct{ Type uint16 }

func (o OtherRecords) apply(w *way) error {
	return w.altered(func(m *dns.Msg) {
		if len(m.Question) == 1 && m.Question[0].Qtype == o.Type {
			m.Answer = []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: m.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}, Txt: []string{"hello"}}}
		}
	})
}

// DropAuthority takes records of some types, and the signatures over them, out of the authority section of replies.
type DropAuthority struct{ Types []uint16 }

func (d DropAuthority) apply(w *way) error {
	return w.altered(func(m *dns.Msg) {
		m.Ns = slices.DeleteFunc(m.Ns, func(rr dns.RR) bool {
			kind := rr.Header().Rrtype
			if sig, ok := rr.(*dns.RRSIG); ok {
				kind = sig.TypeCovered
			}
			return slices.Contains(d.Types, kind)
		})
	})
}

// Swap answers questions of a type with records of a forger's choice, without signatures, and lets all else pass.
type Swap struct {
	Type    uint16
	Records []dns.RR
}

func (s Swap) apply(w *way) error {
	q := new(dns.Msg)
	if err := q.Unpack(w.request); err != nil {
		return err
	}
	if len(q.Question) != 1 || q.Question[0].Qtype != s.Type {
		return w.pass()
	}
	return w.altered(func(m *dns.Msg) { m.Answer, m.Ns = s.Records, nil })
}

// altered passes the request on, and what is answered after a change.
func (w *way) altered(change func(*dns.Msg)) error {
	reply, err := w.ask(w.request)
	if err != nil {
		return err
	}
	m := new(dns.Msg)
	if err := m.Unpack(reply); err != nil {
		return err
	}
	if m.IsTsig() != nil {
		return errors.New("a signed reply cannot be altered so that nobody sees it")
	}
	change(m)
	m.Compress = true
	if reply, err = m.Pack(); err != nil {
		return err
	}
	return w.send(reply)
}

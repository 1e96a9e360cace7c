package wire

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// truncated is a reply with the TC bit and nothing but its header and question.
func truncated(reply []byte) ([]byte, error) {
	m := new(dns.Msg)
	if err := m.Unpack(reply); err != nil {
		return nil, err
	}
	m.Truncated = true
	m.Answer, m.Ns, m.Extra = nil, nil, nil
	return m.Pack()
}

// forged answers a request with NOERROR and authority, and nothing else.
func forged(request []byte, signature bool) ([]byte, error) {
	q := new(dns.Msg)
	if err := q.Unpack(request); err != nil {
		return nil, err
	}
	m := new(dns.Msg)
	m.SetReply(q)
	m.Authoritative = true
	t := q.IsTsig()
	if !signature || t == nil {
		return m.Pack()
	}
	m.Extra = append(m.Extra, &dns.TSIG{
		Hdr: t.Hdr, Algorithm: t.Algorithm, TimeSigned: t.TimeSigned, Fudge: t.Fudge, OrigId: m.Id,
		MACSize: t.MACSize, MAC: strings.Repeat("ab", int(t.MACSize)),
	})
	return m.Pack()
}

// Skew makes the clocks differ: the name server meets requests that were signed By from its own time, and
// its replies tell a clock that is as far off the other way. It has to know the secret of the key, since
// what is signed names the time.
type Skew struct {
	By     time.Duration
	Secret string // base64
}

func (s Skew) apply(w *way) error {
	request, err := s.resigned(w.request)
	if err != nil {
		return err
	}
	reply, err := w.ask(request)
	if err != nil {
		return err
	}
	if reply, err = s.retold(reply); err != nil {
		return err
	}
	return w.send(reply)
}

// resigned is the request with another time and the signature that fits it.
func (s Skew) resigned(request []byte) ([]byte, error) {
	m := new(dns.Msg)
	if err := m.Unpack(request); err != nil {
		return nil, err
	}
	t := m.IsTsig()
	if t == nil {
		return request, nil
	}
	t.TimeSigned = uint64(time.Now().Add(s.By).Unix()) //nolint:gosec // this century
	wire, _, err := dns.TsigGenerate(m, s.Secret, "", false)
	if err != nil {
		return nil, fmt.Errorf("sign with another time: %w", err)
	}
	return wire, nil
}

// retold is the reply with the time that the server would tell if its clock were the one that is off. A
// reply of BADTIME cannot be checked by who gets it, so that its signature need not fit.
func (s Skew) retold(reply []byte) ([]byte, error) {
	m := new(dns.Msg)
	if err := m.Unpack(reply); err != nil {
		return nil, err
	}
	t := m.IsTsig()
	if t == nil || t.Error != dns.RcodeBadTime {
		return reply, nil
	}
	t.OtherData = hex.EncodeToString(sixOctets(time.Now().Add(-s.By).Unix()))
	t.OtherLen = 6
	return m.Pack()
}

// sixOctets is a time as TSIG has it (RFC 8945 section 4.2).
func sixOctets(unix int64) []byte {
	out := make([]byte, 6)
	for i := range out {
		out[len(out)-1-i] = byte(unix >> (8 * i)) //nolint:gosec // its lowest octet
	}
	return out
}

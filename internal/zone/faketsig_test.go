package zone

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"time"

	"github.com/miekg/dns"
)

func (s *fakeServer) checkTSIG(wire []byte, t *dns.TSIG) uint16 {
	secret, ok := s.keys[t.Hdr.Name]
	if !ok || t.Algorithm != s.keyAlgo {
		return dns.RcodeBadKey
	}
	switch err := dns.TsigVerify(slices.Clone(wire), secret, "", false); {
	case err == dns.ErrTime:
		return dns.RcodeBadTime
	case err != nil:
		return dns.RcodeBadSig
	}
	return 0
}

func (s *fakeServer) tsigError(m *dns.Msg, t *dns.TSIG, code uint16, ahead time.Duration) [][]byte {
	m.Rcode = dns.RcodeNotAuth
	r := &dns.TSIG{Hdr: dns.RR_Header{Name: t.Hdr.Name, Rrtype: dns.TypeTSIG, Class: dns.ClassANY}, Algorithm: t.Algorithm, TimeSigned: t.TimeSigned, Fudge: 300, OrigId: m.Id, Error: code}
	if code == dns.RcodeBadTime {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(time.Now().Add(ahead).Unix()))
		r.OtherLen, r.OtherData = 6, hex.EncodeToString(b[2:])
	}
	m.Extra = append(m.Extra, r)
	out, err := m.Pack()
	if err != nil {
		s.t.Error(err)
	}
	return [][]byte{out}
}

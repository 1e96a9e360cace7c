package zone

import (
	"crypto"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// fakeServer is an authoritative server with TSIG updates and online signing that can be made to
// misbehave on the wire. It handles octets itself, so that it can send what no library would.
type fakeServer struct {
	t    testing.TB
	zone string
	addr string

	mu   sync.Mutex
	sets map[setKey][]dns.RR
	// keys holds TSIG secrets in base64 by key name.
	keys    map[string]string
	keyAlgo string
	// misbehave looks at a request and names the fault; nil for none.
	misbehave func(req *dns.Msg) fault
	hook      sync.Mutex
	// refuse says for an owner of an update which rcode the message gets; nil for none.
	refuse func(owner string) int
	// capTTL and capCount limit what is stored, without a word; 0 for none.
	capTTL   uint32
	capCount int
	// gate, when set, is received from before an update is carried out.
	gate    chan struct{}
	updates []*dns.Msg
	// octets are the sizes of the updates that came in.
	octets []int
	// inFlight counts updates being carried out, most the highest count seen.
	inFlight, most atomic.Int32
	accepted       atomic.Int32
	perConn        int
	// recursive makes it answer like a resolver: from all it has.
	recursive bool
	// optOut denies by NSEC3 with a gap for unsigned delegations.
	optOut bool

	dnskey *dns.DNSKEY
	signer crypto.Signer
	// signAs is the signer name in signatures; the zone when empty.
	signAs string
	// before and after alter a signature over records of a type, before it is made and when it is.
	before, after func(kind uint16, sig *dns.RRSIG)
	// also are more signatures that go with an RRset.
	also   func(kind uint16) []dns.RR
	serial uint32
}

type setKey struct {
	name string
	kind uint16
}

// fault is one way to misbehave.
type fault int

const (
	behave fault = iota
	replyUnsigned
	forgeNoError     // unsigned NOERROR, nothing applied
	forgeWrongMAC    // NOERROR with a signature by another secret, nothing applied
	replyWrongID     // applied, reply with another ID
	replyOtherZone   // applied, reply to another question
	replyGarbage     // applied, reply is no DNS
	replyTruncated   // only half of the reply, then the connection ends
	replyBadTime     // NOTAUTH BADTIME with the server's clock ten minutes ahead
	replySignedLate  // NOERROR signed by a clock ten minutes ahead
	replyBadKey      // NOTAUTH BADKEY
	replyBadSig      // NOTAUTH BADSIG
	replyNotAuth     // NOTAUTH, no TSIG
	applyThenFail    // applied, SERVFAIL
	applyThenSilence // applied, no reply
	applyThenReset   // applied, connection reset
	applyThenRefuse  // applied, unsigned REFUSED
	noReply          // nothing
	reset            // connection reset
	ignoreUpdate     // signed NOERROR, nothing applied
	applyLate        // signed NOERROR at once, applied 150 ms later
	replyRefused
	replyServfail
	replyNotImp
	replyFormErr
	replyNotZone
	replyNXDomain
	replyNoAA
	replyTC
)

const (
	testZone   = "example.test."
	testKey    = "tlsa-key."
	testSecret = "c2l4dGVlbiBvY3RldHMgb2Yga2V5IG1hdGVyaWFs"
)

func newFakeServer(t testing.TB) *fakeServer {
	t.Helper()
	s := &fakeServer{t: t, zone: testZone, sets: map[setKey][]dns.RR{}, keys: map[string]string{testKey: testSecret}, keyAlgo: dns.HmacSHA256, serial: 1}
	s.dnskey = &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: s.zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600},
		Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256,
	}
	for s.signer == nil || s.dnskey.KeyTag() == 0 { // the library signs with no key whose tag is 0
		key, err := s.dnskey.Generate(256)
		if err != nil {
			t.Fatal(err)
		}
		s.signer, _ = key.(crypto.Signer)
	}
	s.set(s.dnskey)
	s.set(&dns.SOA{Hdr: header(s.zone, dns.TypeSOA, 300), Ns: "ns." + s.zone, Mbox: "hostmaster." + s.zone, Serial: 1, Refresh: 60, Retry: 60, Expire: 3600, Minttl: 30})
	s.set(&dns.NS{Hdr: header(s.zone, dns.TypeNS, 300), Ns: "ns." + s.zone})
	return s
}

func header(name string, kind uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
}

// ds is the trust anchor of the zone.
func (s *fakeServer) ds() *dns.DS { return s.dnskey.ToDS(dns.SHA256) }

// set replaces an RRset.
func (s *fakeServer) set(set ...dns.RR) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := set[0].Header()
	s.sets[setKey{dns.CanonicalName(h.Name), h.Rrtype}] = set
}

// rr parses and sets one record.
func (s *fakeServer) rr(text string) {
	s.t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		s.t.Fatal(err)
	}
	s.set(rr)
}

func (s *fakeServer) get(name string, kind uint16) []dns.RR {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sets[setKey{name, kind}]
}

func (s *fakeServer) sent() []*dns.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.updates)
}

func (s *fakeServer) addrPort() netip.AddrPort { return netip.MustParseAddrPort(s.addr) }

func (s *fakeServer) startTCP() *fakeServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	return s.serve(l)
}

func (s *fakeServer) startTLS(config *tls.Config) *fakeServer {
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.serve(l)
}

func (s *fakeServer) serve(l net.Listener) *fakeServer {
	s.addr = l.Addr().String()
	s.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			go s.serveStream(c)
		}
	}()
	return s
}

func (s *fakeServer) startUDP() *fakeServer {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr = pc.LocalAddr().String()
	s.t.Cleanup(func() { _ = pc.Close() })
	go func() {
		buf := make([]byte, dns.MaxMsgSize)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			wire := slices.Clone(buf[:n])
			go func() {
				for _, out := range s.handle(wire) {
					_, _ = pc.WriteTo(out, from)
				}
			}()
		}
	}()
	return s
}

func (s *fakeServer) serveStream(c net.Conn) {
	defer func() { _ = c.Close() }()
	for n := 0; s.perConn == 0 || n < s.perConn; n++ {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		wire := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, wire); err != nil {
			return
		}
		for _, out := range s.handle(wire) {
			switch string(out) {
			case "RESET":
				if tcp, ok := c.(*net.TCPConn); ok {
					_ = tcp.SetLinger(0)
				}
				return
			default:
				framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)
				if strings.HasPrefix(string(out), "HALF") {
					framed = framed[:len(framed)/2]
					_, _ = c.Write(framed)
					return
				}
				if _, err := c.Write(framed); err != nil {
					return
				}
			}
		}
	}
}

// handle answers one message.
func (s *fakeServer) handle(wire []byte) [][]byte {
	req := new(dns.Msg)
	if err := req.Unpack(wire); err != nil {
		return nil
	}
	f := behave
	if s.misbehave != nil {
		s.hook.Lock()
		f = s.misbehave(req)
		s.hook.Unlock()
	}
	if req.Opcode == dns.OpcodeUpdate {
		s.mu.Lock()
		s.octets = append(s.octets, len(wire))
		s.mu.Unlock()
	}
	m, mac := new(dns.Msg), ""
	m.SetReply(req)
	m.RecursionDesired = false
	t := req.IsTsig()
	if t != nil {
		mac = t.MAC
		if code := s.checkTSIG(wire, t); code != 0 {
			return s.tsigError(m, t, code, 0)
		}
	}
	if out, done := s.faulty(f, req, m, t); done {
		return out
	}
	if req.Opcode == dns.OpcodeUpdate {
		s.update(f, req, m, t != nil)
	} else {
		s.answer(req, m)
		m.Authoritative = m.Authoritative && f != replyNoAA
		m.Truncated = f == replyTC
	}
	return s.finish(f, req, m, t, mac)
}

// faulty deals with the faults that come before anything is carried out.
func (s *fakeServer) faulty(f fault, req, m *dns.Msg, t *dns.TSIG) ([][]byte, bool) {
	if req.Opcode == dns.OpcodeUpdate && f != behave {
		s.mu.Lock()
		s.updates = append(s.updates, req)
		s.mu.Unlock()
	}
	codes := map[fault]int{replyRefused: dns.RcodeRefused, replyServfail: dns.RcodeServerFailure, replyNotImp: dns.RcodeNotImplemented,
		replyFormErr: dns.RcodeFormatError, replyNotZone: dns.RcodeNotZone, replyNXDomain: dns.RcodeNameError}
	switch f {
	case noReply:
		return nil, true
	case reset:
		return [][]byte{[]byte("RESET")}, true
	case forgeNoError:
		return [][]byte{pack(s.t, m)}, true
	case forgeWrongMAC:
		m.SetTsig(t.Hdr.Name, t.Algorithm, 300, time.Now().Unix())
		out, _, err := dns.TsigGenerate(m, base64.StdEncoding.EncodeToString([]byte("another secret of the right length")), t.MAC, false)
		if err != nil {
			s.t.Error(err)
		}
		return [][]byte{out}, true
	case replyBadTime:
		return s.tsigError(m, t, dns.RcodeBadTime, 10*time.Minute), true
	case replyBadKey:
		return s.tsigError(m, t, dns.RcodeBadKey, 0), true
	case replyBadSig:
		return s.tsigError(m, t, dns.RcodeBadSig, 0), true
	case replyNotAuth:
		m.Rcode = dns.RcodeNotAuth
		return [][]byte{pack(s.t, m)}, true
	}
	if code, ok := codes[f]; ok {
		m.Rcode = code
		return s.finish(behave, req, m, t, macOf(t)), true
	}
	return nil, false
}

func macOf(t *dns.TSIG) string {
	if t == nil {
		return ""
	}
	return t.MAC
}

func pack(t testing.TB, m *dns.Msg) []byte {
	out, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	return out
}

// finish signs the reply, or spoils it.
func (s *fakeServer) finish(f fault, _, m *dns.Msg, t *dns.TSIG, mac string) [][]byte {
	switch f {
	case applyThenSilence:
		return nil
	case applyThenReset:
		return [][]byte{[]byte("RESET")}
	case applyThenFail:
		m.Rcode = dns.RcodeServerFailure
	case applyThenRefuse:
		m.Rcode, t = dns.RcodeRefused, nil
	case replyWrongID:
		m.Id++
	case replyGarbage:
		return [][]byte{[]byte("HTTP/1.1 400 Bad Request\r\n\r\n")}
	case replyTruncated:
		return [][]byte{append([]byte("HALF"), pack(s.t, m)...)}
	case replyOtherZone:
		m.Question[0].Name = "other.test."
	}
	if t == nil || f == replyUnsigned {
		return [][]byte{pack(s.t, m)}
	}
	at := time.Now()
	if f == replySignedLate {
		at = at.Add(10 * time.Minute)
	}
	m.SetTsig(t.Hdr.Name, t.Algorithm, 300, at.Unix())
	out, _, err := dns.TsigGenerate(m, s.keys[t.Hdr.Name], mac, false)
	if err != nil {
		s.t.Error(err)
	}
	return [][]byte{out}
}

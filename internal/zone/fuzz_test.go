package zone

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// notPrintable says whether text has anything that a terminal or a log would not show as it is.
func notPrintable(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// replies are messages as servers send them, good and bad.
func replies(f *testing.F) [][]byte {
	f.Helper()
	var out [][]byte
	add := func(rcode int, question string, sections ...[]string) {
		m := new(dns.Msg)
		m.SetQuestion(question, dns.TypeTLSA)
		m.Response, m.Authoritative, m.Rcode = true, true, rcode
		for i, of := range []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra} {
			if i >= len(sections) {
				break
			}
			for _, text := range sections[i] {
				rr, err := dns.NewRR(text)
				if err != nil {
					f.Fatalf("%s: %v", text, err)
				}
				*of = append(*of, rr)
			}
		}
		octets, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		out = append(out, octets)
	}
	const owner, sig = "_25._tcp.mx.example.test.", " 13 5 300 20261201000000 20261001000000 1 example.test. AAAA"
	add(0, owner, []string{owner + " 300 TLSA 3 1 1 ab", owner + " 300 RRSIG TLSA" + sig})
	add(0, owner, []string{owner + " 300 CNAME tlsa.example.test.", "tlsa.example.test. 60 TLSA 2 0 1 cd", owner + " 300 RRSIG CNAME" + sig})
	add(0, owner, []string{"mx.example.test. 300 DNAME mx2.example.test.", owner + " 300 CNAME _25._tcp.mx2.example.test."})
	add(0, owner, []string{owner + " 1 CNAME " + owner})
	add(0, owner, []string{"example.test. 1 DNAME a.example.test."})
	add(dns.RcodeNameError, owner, nil, []string{"example.test. 60 SOA a. b. 1 2 3 4 5", "mx.example.test. 60 NSEC z.example.test. A"})
	add(0, owner, nil, []string{"mx.example.test. 60 NS ns.example.net."})
	add(0, owner, []string{"*._dsync.test. 60 TYPE66 \\# 14 003B01003502636404746573 7400"})
	for _, rcode := range []int{dns.RcodeServerFailure, dns.RcodeRefused, dns.RcodeNotAuth, dns.RcodeNotZone, dns.RcodeYXRrset, 23} {
		add(rcode&15, owner)
	}
	return append(out, signedReply(f, dns.RcodeNotAuth, dns.RcodeBadTime), signedReply(f, dns.RcodeNotAuth, dns.RcodeBadKey), []byte{}, out[0][:len(out[0])-3])
}

// signedReply bears a TSIG record with an error.
func signedReply(f *testing.F, rcode int, tsigError uint16) []byte {
	f.Helper()
	m := new(dns.Msg)
	m.SetUpdate("example.test.")
	m.Response, m.Rcode = true, rcode
	m.Extra = append(m.Extra, &dns.TSIG{
		Hdr: dns.RR_Header{Name: "tlsa-key.", Rrtype: dns.TypeTSIG, Class: dns.ClassANY}, Algorithm: dns.HmacSHA256, TimeSigned: 1_800_000_000,
		Fudge: fudge, Error: tsigError, OtherLen: 6, OtherData: "00006b49d200", OrigId: m.Id,
	})
	octets, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	return octets
}

// FuzzMessage feeds all that reads a server's reply with octets from the network. It comes to an end, takes
// nothing for an answer that is not about the name, and says nothing that is not fit to be shown.
func FuzzMessage(f *testing.F) {
	for _, octets := range replies(f) {
		f.Add(octets, uint16(dns.TypeTLSA))
		f.Add(octets, uint16(dns.TypeNS))
	}
	const zone, owner = "example.test.", "_25._tcp.mx.example.test."
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, octets []byte, qtype uint16) {
		m, err := parseReply(octets)
		if err != nil {
			return
		}
		for _, name := range []string{owner, zone} {
			r, err := readAnswer(zone, name, qtype, m)
			if err != nil {
				if notPrintable(err.Error()) {
					t.Errorf("it is said: %q", err)
				}
				continue
			}
			checkReading(t, r, name, qtype)
		}
		for _, w := range []who{{zone: zone, server: "ns1", key: "tlsa-key.", owner: owner, keyKnown: true}, {zone: zone, server: "ns1"}} {
			got := classify(w, reply{msg: m}, now)
			if got.class == "" || notPrintable(got.message) || got.class == Applied && m.Rcode != dns.RcodeSuccess {
				t.Errorf("class %q: %q", got.class, got.message)
			}
		}
		for _, target := range readDSYNC(m.Answer) {
			if target.Port == 0 || notPrintable(target.Host) {
				t.Errorf("target %+v", target)
			}
		}
		if names, problem := nameserversAt(zone, reply{msg: m}); notPrintable(problem + strings.Join(names, "")) {
			t.Errorf("name servers %q, problem %q", names, problem)
		}
		addrsOf(m.Answer)
	})
}

// TestAliasOfAnotherClass: a DNAME that is not of the Internet leads nowhere. It once ended the operator.
func TestAliasOfAnotherClass(t *testing.T) {
	const zone, owner = "example.test.", "_25._tcp.mx.example.test."
	for _, text := range []string{"mx.example.test. 60 CH DNAME mx2.example.test.", owner + " 60 CH CNAME tlsa.example.test.", owner + " 60 CH TLSA 3 1 1 ab"} {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		m := &dns.Msg{MsgHdr: dns.MsgHdr{Response: true, Authoritative: true}, Answer: []dns.RR{rr}}
		if r, err := readAnswer(zone, owner, dns.TypeTLSA, m); err != nil || !r.denied || r.alias != "" {
			t.Errorf("%s: %+v, %v", text, r, err)
		}
	}
}

// checkReading checks that what is taken for an answer is of the name at the end of its aliases.
func checkReading(t *testing.T, r reading, name string, qtype uint16) {
	t.Helper()
	if len(r.pieces) > maxHops || r.ttl < 0 || r.cacheTTL < r.ttl {
		t.Errorf("%d hops, TTL %s, in caches %s", len(r.pieces), r.ttl, r.cacheTTL)
	}
	for _, rr := range r.data() {
		if dns.CanonicalName(rr.Header().Name) != r.final || rr.Header().Rrtype != qtype {
			t.Errorf("%s is taken for the %s of %s", rr, dns.TypeToString[qtype], r.final)
		}
	}
	if r.alias == "" && r.final != name {
		t.Errorf("%s leads to %s by no alias", name, r.final)
	}
	if r.alias != "" {
		r.firstAlias()
	}
	records(r.data())
}

// FuzzSecret feeds newSigner with what a Secret and a DNSZone may hold. A key that is taken signs and verifies; an
// error says nothing of the secret but its length.
func FuzzSecret(f *testing.F) {
	good := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, secret := range []string{good, good + "\n", " " + good, good[:20], "c2hvcnQ=", "not base64", "key \"tlsa-key\" {\n\talgorithm hmac-sha256;\n\tsecret \"" + good + "\";\n};", "", "====", "\x00"} {
		f.Add("tlsa-key", "HMACSHA256", secret)
	}
	f.Add("tlsa-key.", "hmacsha512", good)
	f.Add("", "HMACSHA1", good)
	f.Add(strings.Repeat("a.", 200), "HMACMD5", good)
	f.Fuzz(func(t *testing.T, name, algorithm, secret string) {
		key := &TSIG{Name: name, Algorithm: algorithm, Secret: secret}
		s, err := newSigner(key)
		if err != nil {
			other := &TSIG{Name: name, Algorithm: algorithm, Secret: alike(secret)}
			if _, same := newSigner(other); same == nil || same.Error() != err.Error() {
				t.Errorf("%q: %v", secret, err)
			}
			return
		}
		if len(s.secret) < minSecret {
			t.Fatalf("a secret of %d octets is taken", len(s.secret))
		}
		if strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			return // the schema of a DNSZone refuses it: the DNS library reads it back in another spelling
		}
		wire, mac, err := s.pack(query("example.test.", dns.TypeSOA), time.Unix(1_800_000_000, 0))
		if err != nil {
			return // a name that does not fit
		}
		if mac == "" || strings.Contains(key.String(), good) {
			t.Errorf("it signs with %q", mac)
		}
		if err := dns.TsigVerifyWithProvider(wire, s, "", false); err != nil && !strings.Contains(err.Error(), "time") {
			t.Errorf("its own signature: %v", err)
		}
	})
}

// alike is another secret that is wrong in the same way: no base64 text, or base64 text of as many octets.
func alike(secret string) string {
	octets, err := base64.StdEncoding.DecodeString(strings.TrimSpace(secret))
	if err != nil {
		return "!"
	}
	return base64.StdEncoding.EncodeToString(make([]byte, len(octets)))
}

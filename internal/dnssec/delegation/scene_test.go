package delegation

import (
	"crypto"
	"fmt"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// at is the instant of all tests.
var at = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

const zoneName = "child.example."

// testKey is a key and what it signs.
type testKey struct {
	key     *dns.DNSKEY
	private crypto.Signer
}

func newKey(flags uint16, algorithm uint8, bits int) *testKey {
	k := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: zoneName, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 60},
		Flags: flags, Protocol: 3, Algorithm: algorithm,
	}
	private, err := k.Generate(bits)
	if err != nil {
		panic(err)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		panic("the key cannot sign")
	}
	return &testKey{k, signer}
}

// pool of keys, made once.
var pool = sync.OnceValue(func() map[string]*testKey {
	const sep = dns.ZONE | dns.SEP
	return map[string]*testKey{
		"old": newKey(sep, dns.ECDSAP256SHA256, 256), "new": newKey(sep, dns.ECDSAP256SHA256, 256),
		"other": newKey(sep, dns.ECDSAP256SHA256, 256), "zsk": newKey(dns.ZONE, dns.ECDSAP256SHA256, 256),
		"ed": newKey(sep, dns.ED25519, 256), "sha1": newKey(sep, dns.RSASHA1, 1024),
	}
})

// dsOf are the DS records of keys, each named by key and digest type: "old", "new/4".
func dsOf(names ...string) []*dns.DS {
	var out []*dns.DS
	for _, name := range names {
		k, digest := parseName(name)
		out = append(out, k.key.ToDS(digest))
	}
	return out
}

func parseName(name string) (*testKey, uint8) {
	digest := dns.SHA256
	for i := range name {
		if name[i] == '/' {
			if _, err := fmt.Sscan(name[i+1:], &digest); err != nil {
				panic(err)
			}
			name = name[:i]
			break
		}
	}
	return pool()[name], digest
}

// server is how one server of the child is made up.
type server struct {
	problem string
	// keys of the DNSKEY RRset, signers of it.
	keys, signers []string
	// cds and cdnskey by name, or as text where they begin with a digit; recordSigners of both.
	cds, cdnskey  []string
	recordSigners []string
	// age of the signatures over CDS and CDNSKEY.
	age time.Duration
	// expired says that the signatures over DNSKEY have expired.
	expired bool
	// ns are the names in its NS records, nsProblem why those could not be read.
	ns        []string
	nsProblem string
}

// scene is what a decision is made of.
type scene struct {
	parents []Parent
	servers []server
	mark    time.Time
	policy  Policy
	signals []Signal
}

// good is a scene of two servers on each side, in the middle of a rollover from old to new.
func good() *scene {
	s := &scene{}
	for i := range 2 {
		s.parents = append(s.parents, Parent{Server: fmt.Sprintf("parent%d", i), DS: dsOf("old"), State: dnssec.Secure})
		s.servers = append(s.servers, server{
			keys: []string{"old", "new", "zsk"}, signers: []string{"old", "new"},
			cds: []string{"new"}, cdnskey: []string{"new"}, recordSigners: []string{"old", "new"}, age: time.Hour,
		})
	}
	return s
}

func (s *scene) parentsShow(names ...string) {
	for i := range s.parents {
		s.parents[i].DS = dsOf(names...)
	}
}

func (s *scene) each(change func(*server)) {
	for i := range s.servers {
		change(&s.servers[i])
	}
}

func (s *scene) facts() Facts {
	f := Facts{Child: zoneName, Now: at, Parents: s.parents, Mark: s.mark, Policy: s.policy, Signals: s.signals}
	for i, of := range s.servers {
		f.Children = append(f.Children, of.child(fmt.Sprintf("child%d", i)))
	}
	return f
}

func (of server) child(name string) Child {
	c := Child{Server: name, Problem: of.problem, Nameservers: of.ns, NameserversProblem: of.nsProblem}
	for _, k := range of.keys {
		c.DNSKEY.Records = append(c.DNSKEY.Records, pool()[k].key)
	}
	until := 24 * time.Hour
	if of.expired {
		until = -time.Minute
	}
	c.DNSKEY.Signatures = signatures(c.DNSKEY.Records, of.signers, time.Hour, until)
	c.CDS.Records = cdsRecords(of.cds)
	c.CDS.Signatures = signatures(c.CDS.Records, of.recordSigners, of.age, 24*time.Hour)
	c.CDNSKEY.Records = cdnskeyRecords(of.cdnskey)
	c.CDNSKEY.Signatures = signatures(c.CDNSKEY.Records, of.recordSigners, of.age, 24*time.Hour)
	return c
}

func signatures(set []dns.RR, signers []string, age, until time.Duration) []*dns.RRSIG {
	if len(set) == 0 {
		return nil
	}
	var out []*dns.RRSIG
	for _, name := range signers {
		k := pool()[name]
		sig := &dns.RRSIG{
			Algorithm: k.key.Algorithm, KeyTag: k.key.KeyTag(), SignerName: zoneName, Hdr: dns.RR_Header{Ttl: 60},
			Inception: uint32(at.Add(-age).Unix()), Expiration: uint32(at.Add(until).Unix()),
		}
		if err := sig.Sign(k.private, set); err != nil {
			panic(err)
		}
		out = append(out, sig)
	}
	return out
}

func cdsRecords(names []string) []dns.RR {
	var out []dns.RR
	for _, name := range names {
		if name[0] >= '0' && name[0] <= '9' {
			out = append(out, parsed(zoneName+" 60 IN CDS "+name))
			continue
		}
		out = append(out, dsOf(name)[0].ToCDS())
	}
	return out
}

func cdnskeyRecords(names []string) []dns.RR {
	var out []dns.RR
	for _, name := range names {
		if name[0] >= '0' && name[0] <= '9' {
			out = append(out, parsed(zoneName+" 60 IN CDNSKEY "+name))
			continue
		}
		out = append(out, pool()[name].key.ToCDNSKEY())
	}
	return out
}

func parsed(text string) dns.RR {
	rr, err := dns.NewRR(text)
	if err != nil {
		panic(err)
	}
	return rr
}

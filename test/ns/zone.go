// Package ns is an authoritative name server in Go for the demo and for tests that must run without
// any daemon: a primary that signs as it answers and takes dynamic updates with TSIG, and secondaries
// that follow it after a delay of their own. It lives in one process: a secondary copies the
// primary's data where real ones transfer it. It is a test kit and nothing else.
package ns

import (
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// rrsets are the records of a zone by owner and type.
type rrsets map[string]map[uint16][]dns.RR

// Zone is the data of a zone, its key, and the servers that serve it.
type Zone struct {
	// Name is absolute and lower case.
	Name string
	// TSIGName and TSIGSecret are the key that may write TLSA records.
	TSIGName, TSIGSecret string

	key    *dns.DNSKEY
	signer *ecdsa.PrivateKey

	mu        sync.Mutex
	data      rrsets
	serial    uint32
	followers []*Server
	sigs      map[string]*dns.RRSIG
}

// NewZone makes a signed zone with the given name server names.
func NewZone(name string, nameservers ...string) (*Zone, error) {
	name = dns.CanonicalName(name)
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	key := &dns.DNSKEY{Hdr: header(name, dns.TypeDNSKEY, 60), Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256}
	private, err := key.Generate(256)
	if err != nil {
		return nil, fmt.Errorf("make the key of zone %s: %w", name, err)
	}
	z := &Zone{
		Name: name, TSIGName: "demo-key.", TSIGSecret: base64.StdEncoding.EncodeToString(secret),
		key: key, signer: private.(*ecdsa.PrivateKey), data: rrsets{}, serial: 1, sigs: map[string]*dns.RRSIG{},
	}
	z.put(key)
	for _, n := range nameservers {
		z.put(&dns.NS{Hdr: header(name, dns.TypeNS, 60), Ns: dns.CanonicalName(n)})
	}
	return z, nil
}

func header(name string, kind uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: dns.CanonicalName(name), Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
}

// Add adds a record in presentation form.
func (z *Zone) Add(text string) error {
	rr, err := dns.NewRR(text)
	if err != nil {
		return fmt.Errorf("record %q: %w", text, err)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.put(rr)
	z.changed()
	return nil
}

// Replace puts records in presentation form in the place of all that a name has, at once.
func (z *Zone) Replace(name string, texts ...string) error {
	var records []dns.RR
	for _, text := range texts {
		rr, err := dns.NewRR(text)
		if err != nil {
			return fmt.Errorf("record %q: %w", text, err)
		}
		records = append(records, rr)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	delete(z.data, dns.CanonicalName(name))
	for _, rr := range records {
		z.put(rr)
	}
	z.changed()
	return nil
}

// Remove takes every record of a name away, as a person at the server might.
func (z *Zone) Remove(name string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	delete(z.data, dns.CanonicalName(name))
	z.changed()
}

// put adds a record to the data.
func (z *Zone) put(rr dns.RR) {
	name := dns.CanonicalName(rr.Header().Name)
	if z.data[name] == nil {
		z.data[name] = map[uint16][]dns.RR{}
	}
	kind := rr.Header().Rrtype
	if !slices.ContainsFunc(z.data[name][kind], func(have dns.RR) bool { return dns.IsDuplicate(have, rr) }) {
		z.data[name][kind] = append(z.data[name][kind], rr)
	}
}

// Records are those of the zone now, in presentation form and sorted, without those that are made as it answers.
func (z *Zone) Records() []string {
	z.mu.Lock()
	defer z.mu.Unlock()
	var out []string
	for _, types := range z.data {
		for _, set := range types {
			for _, rr := range set {
				out = append(out, rr.String())
			}
		}
	}
	slices.Sort(out)
	return out
}

// DS is the trust anchor of the zone: RDATA in presentation form.
func (z *Zone) DS() string {
	ds := z.key.ToDS(dns.SHA256)
	return fmt.Sprintf("%d %d %d %s", ds.KeyTag, ds.Algorithm, ds.DigestType, strings.ToUpper(ds.Digest))
}

// changed hands the data to the followers, each after its delay; the caller holds the lock.
func (z *Zone) changed() {
	z.serial++
	now := z.snapshot()
	for _, f := range z.followers {
		f.follow(now)
	}
}

// snapshot is a copy of the data that never changes.
type snapshot struct {
	data   rrsets
	serial uint32
}

func (z *Zone) snapshot() snapshot {
	out := snapshot{data: rrsets{}, serial: z.serial}
	for name, types := range z.data {
		out.data[name] = maps.Clone(types)
		for kind, set := range types {
			out.data[name][kind] = slices.Clone(set)
		}
	}
	return out
}

func (s snapshot) soa(zone string) *dns.SOA {
	return &dns.SOA{Hdr: header(zone, dns.TypeSOA, 60), Ns: "ns1." + zone, Mbox: "hostmaster." + zone, Serial: s.serial, Refresh: 60, Retry: 10, Expire: 3600, Minttl: 1}
}

// validity of signatures.
const validity = 7 * 24 * time.Hour

// sign returns the signature of an RRset; those of the same set are made once.
func (z *Zone) sign(set []dns.RR) (*dns.RRSIG, error) {
	var id strings.Builder
	for _, rr := range set {
		id.WriteString(rr.String() + "\n")
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if sig, ok := z.sigs[id.String()]; ok {
		return sig, nil
	}
	now := time.Now()
	sig := &dns.RRSIG{
		Hdr: header(set[0].Header().Name, dns.TypeRRSIG, set[0].Header().Ttl), Algorithm: z.key.Algorithm, KeyTag: z.key.KeyTag(), SignerName: z.Name,
		Inception: uint32(now.Add(-time.Hour).Unix()), Expiration: uint32(now.Add(validity).Unix()), //nolint:gosec // serial arithmetic
	}
	if err := sig.Sign(z.signer, set); err != nil {
		return nil, fmt.Errorf("sign %s: %w", set[0].Header().Name, err)
	}
	z.sigs[id.String()] = sig
	return sig, nil
}

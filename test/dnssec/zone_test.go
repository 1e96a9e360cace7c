package dnssec_test

import (
	"crypto"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/test/servers"
)

// zone is a zone in the making: signed by dnssec-signzone, and then altered.
type zone struct {
	t    *testing.T
	name string
	rrs  []dns.RR
	// key signs the DNSKEY RRset, and everything else unless the keys are split.
	key    *dns.DNSKEY
	signer crypto.Signer
}

// signing is how dnssec-signzone is called.
type signing struct {
	algorithm string
	bits      int
	// split makes a KSK and a ZSK in place of one key.
	split bool
	// flags such as -3 and -H.
	flags []string
}

// content is what is in every zone. The names are relative.
const content = `$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
@ MX 10 mx
mx A 192.0.2.1
mx A 192.0.2.2
_25._tcp.mx TLSA 3 1 1 0000000000000000000000000000000000000000000000000000000000000001
alias CNAME mx
nowhere CNAME nothere
toinsecure CNAME mx.unsigned.lab.
tobogus CNAME mx.expired.lab.
*.wild A 192.0.2.3
*.wildalias CNAME mx
a.b.ent A 192.0.2.4
dn DNAME target
x.target A 192.0.2.5
sub NS ns.sub
ns.sub A 127.0.0.1
last A 192.0.2.6
`

// newZone makes a zone of text and signs it.
func newZone(t *testing.T, name, text string, s signing) *zone {
	t.Helper()
	z := &zone{t: t, name: name}
	dir := t.TempDir()
	unsigned := filepath.Join(dir, "zone.db")
	if err := os.WriteFile(unsigned, []byte("$ORIGIN "+name+"\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	z.keygen(dir, s, true)
	flags := append([]string{"-S", "-P", "-K", dir, "-d", dir, "-o", name, "-f", filepath.Join(dir, "signed.db"), "-O", "full"}, s.flags...)
	if s.split {
		z.keygen(dir, s, false)
	} else {
		flags = append(flags, "-z")
	}
	run(t, dir, "dnssec-signzone", append(flags, unsigned)...)
	z.read(filepath.Join(dir, "signed.db"))
	return z
}

func run(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(servers.Find(t, program), args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (z *zone) keygen(dir string, s signing, ksk bool) {
	z.t.Helper()
	args := []string{"-q", "-K", dir, "-a", s.algorithm}
	if s.bits > 0 {
		args = append(args, "-b", fmt.Sprint(s.bits))
	}
	if ksk {
		args = append(args, "-f", "KSK")
	}
	// The last word is the name of the key; before it may stand warnings.
	words := strings.Fields(run(z.t, dir, "dnssec-keygen", append(args, z.name)...))
	base := filepath.Join(dir, words[len(words)-1])
	if !ksk {
		return
	}
	public, err := os.ReadFile(base + ".key")
	if err != nil {
		z.t.Fatal(err)
	}
	for _, rr := range parse(z.t, string(public)) {
		if key, ok := rr.(*dns.DNSKEY); ok {
			z.key = key
		}
	}
	z.key.Hdr.Ttl = 300
	file, err := os.Open(base + ".private")
	if err != nil {
		z.t.Fatal(err)
	}
	defer file.Close()
	// The library does not know every algorithm; then the test alters nothing.
	if private, err := z.key.ReadPrivateKey(file, base); err == nil {
		z.signer, _ = private.(crypto.Signer)
	}
}

func parse(t *testing.T, text string) []dns.RR {
	t.Helper()
	var out []dns.RR
	parser := dns.NewZoneParser(strings.NewReader(text), ".", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		out = append(out, rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func (z *zone) read(path string) {
	z.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		z.t.Fatal(err)
	}
	z.rrs = parse(z.t, string(text))
}

// static is the zone as a server takes it.
func (z *zone) static() servers.StaticZone {
	var b strings.Builder
	for _, rr := range z.rrs {
		b.WriteString(rr.String() + "\n")
	}
	return servers.StaticZone{Name: z.name, Text: b.String()}
}

// at is an absolute name in the zone.
func (z *zone) at(name string) string {
	if name == "@" {
		return z.name
	}
	return name + "." + z.name
}

// covered is the type of a record, or that which a signature covers.
func covered(rr dns.RR) uint16 {
	if sig, ok := rr.(*dns.RRSIG); ok {
		return sig.TypeCovered
	}
	return rr.Header().Rrtype
}

func isSig(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG }

// drop takes records away; at least one must go.
func (z *zone) drop(which func(dns.RR) bool) {
	z.t.Helper()
	before := len(z.rrs)
	z.rrs = slices.DeleteFunc(z.rrs, which)
	if len(z.rrs) == before {
		z.t.Fatalf("%s: nothing to take away", z.name)
	}
}

// of picks the RRset or signatures at a name.
func (z *zone) of(name string, qtype uint16, sigs bool) func(dns.RR) bool {
	return func(rr dns.RR) bool {
		return rr.Header().Name == z.at(name) && covered(rr) == qtype && isSig(rr) == sigs
	}
}

func (z *zone) set(name string, qtype uint16) []dns.RR {
	var out []dns.RR
	for _, rr := range z.rrs {
		if z.of(name, qtype, false)(rr) {
			out = append(out, rr)
		}
	}
	return out
}

// resign signs an RRset anew with the zone's key; change alters the signature's fields before.
func (z *zone) resign(set []dns.RR, change func(*dns.RRSIG)) {
	z.t.Helper()
	z.rrs = slices.DeleteFunc(z.rrs, func(rr dns.RR) bool {
		return isSig(rr) && rr.Header().Name == set[0].Header().Name && covered(rr) == set[0].Header().Rrtype
	})
	z.rrs = append(z.rrs, z.sign(set, change))
}

func (z *zone) sign(set []dns.RR, change func(*dns.RRSIG)) *dns.RRSIG {
	z.t.Helper()
	now := time.Now()
	sig := &dns.RRSIG{
		Hdr: dns.RR_Header{Ttl: 300}, Algorithm: z.key.Algorithm, KeyTag: z.key.KeyTag(), SignerName: z.name,
		Inception: uint32(now.Add(-time.Hour).Unix()), Expiration: uint32(now.Add(24 * time.Hour).Unix()), OrigTtl: 300,
	}
	if change != nil {
		change(sig)
	}
	if err := sig.Sign(z.signer, set); err != nil {
		z.t.Fatal(err)
	}
	return sig
}

// edit alters each record of an RRset, and keeps the signature as it was.
func (z *zone) edit(name string, qtype uint16, change func(dns.RR)) {
	z.t.Helper()
	set := z.set(name, qtype)
	if len(set) == 0 {
		z.t.Fatalf("%s: no %s at %s", z.name, dns.TypeToString[qtype], name)
	}
	for _, rr := range set {
		change(rr)
	}
}

// editSig alters the signatures over an RRset.
func (z *zone) editSig(name string, qtype uint16, change func(*dns.RRSIG)) {
	z.t.Helper()
	n := 0
	for _, rr := range z.rrs {
		if sig, ok := rr.(*dns.RRSIG); ok && z.of(name, qtype, true)(rr) {
			change(sig)
			n++
		}
	}
	if n == 0 {
		z.t.Fatalf("%s: no signature over %s at %s", z.name, dns.TypeToString[qtype], name)
	}
}

// nsec3 picks the NSEC3 record that covers or matches a name.
func (z *zone) nsec3(name string, match bool) *dns.NSEC3 {
	z.t.Helper()
	for _, rr := range z.rrs {
		n, ok := rr.(*dns.NSEC3)
		if ok && (match && n.Match(z.at(name)) || !match && n.Cover(z.at(name)) && !n.Match(z.at(name))) {
			return n
		}
	}
	z.t.Fatalf("%s: no NSEC3 for %s", z.name, name)
	return nil
}

// dropNSEC3 takes an NSEC3 record and its signature away.
func (z *zone) dropNSEC3(name string, match bool) {
	owner := z.nsec3(name, match).Hdr.Name
	z.drop(func(rr dns.RR) bool { return rr.Header().Name == owner })
}

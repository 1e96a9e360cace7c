package servers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// Key signs a zone with dnssec-signzone, as often as is wanted and with other contents each time.
type Key struct {
	t testing.TB
	// Zone apex, absolute.
	Zone string
	// Public is the key itself.
	Public *dns.DNSKEY
	dir    string
	file   string
}

// NewKey makes a key for a zone (ECDSA P-256), which signs everything in it.
func NewKey(t testing.TB, zone string) *Key {
	t.Helper()
	return NewKeyOf(t, zone, "ECDSAP256SHA256")
}

// NewKeyOf is NewKey with another algorithm, as dnssec-keygen calls it, and arguments more (such as -b BITS).
func NewKeyOf(t testing.TB, zone, algorithm string, args ...string) *Key {
	t.Helper()
	return newKey(t, dns.Fqdn(zone), t.TempDir(), algorithm, append([]string{"-f", "KSK"}, args...)...)
}

// Another makes one more key of the zone, with which Sign signs as well from now on.
func (k *Key) Another() *Key {
	k.t.Helper()
	return k.AnotherOf("ECDSAP256SHA256")
}

// AnotherOf is Another of another algorithm.
func (k *Key) AnotherOf(algorithm string) *Key {
	k.t.Helper()
	return newKey(k.t, k.Zone, k.dir, algorithm, "-f", "KSK")
}

// AnotherZSK is Another without the SEP flag.
func (k *Key) AnotherZSK() *Key {
	k.t.Helper()
	return newKey(k.t, k.Zone, k.dir, "ECDSAP256SHA256")
}

// Revoke sets the REVOKE flag (RFC 5011), which makes another key tag of it. One key of the zone has to be left that is not.
func (k *Key) Revoke() {
	k.t.Helper()
	k.read(k.run("dnssec-revoke", "-r", k.file))
}

func newKey(t testing.TB, zone, dir, algorithm string, args ...string) *Key {
	t.Helper()
	k := &Key{t: t, Zone: zone, dir: dir}
	k.read(k.run("dnssec-keygen", append(append([]string{"-q", "-a", algorithm, "-L", "300"}, args...), k.Zone)...))
	return k
}

// read takes over the key that a program has told the file of. A warning may stand before its name.
func (k *Key) read(said string) {
	k.t.Helper()
	words := strings.Fields(said)
	k.file = filepath.Base(words[len(words)-1])
	text, err := os.ReadFile(filepath.Join(k.dir, k.file+".key"))
	if err != nil {
		k.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rr, err := dns.NewRR(line); err == nil && rr != nil {
			k.Public = rr.(*dns.DNSKEY)
		}
	}
}

// DS is the RDATA of the key's DS record in presentation form.
func (k *Key) DS() string { return presentDS(k.Public.ToDS(dns.SHA256)) }

// RDATA of the key itself in presentation form.
func (k *Key) RDATA() string {
	return strings.TrimPrefix(k.Public.String(), k.Public.Hdr.String())
}

// Sign signs a zone file, whose names are relative to the apex, with the key and those made by Another, and these
// arguments more. What is wrong with the zone is not looked at.
func (k *Key) Sign(text string, args ...string) StaticZone {
	k.t.Helper()
	path := filepath.Join(k.dir, "zone.db")
	if err := os.WriteFile(path, []byte("$ORIGIN "+k.Zone+"\n"+text), 0o600); err != nil {
		k.t.Fatal(err)
	}
	k.run("dnssec-signzone", append(append([]string{"-q", "-z", "-P", "-S", "-o", k.Zone}, args...), path, k.file)...)
	signed, err := os.ReadFile(path + ".signed")
	if err != nil {
		k.t.Fatal(err)
	}
	return StaticZone{Name: k.Zone, Text: string(signed)}
}

func (k *Key) run(program string, args ...string) string {
	k.t.Helper()
	cmd := exec.Command(Find(k.t, program), args...)
	cmd.Dir = k.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		k.t.Fatalf("%s: %v: %s", program, err, out)
	}
	return string(out)
}

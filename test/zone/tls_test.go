package zone_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// selfSigned writes a certificate for 127.0.0.1 and its key, and returns the files and the PEM.
func selfSigned(t *testing.T) (certFile, keyFile string, certPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, text := range map[string][]byte{certFile: certPEM, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile, certPEM
}

func TestUpdatesOverEveryTransport(t *testing.T) {
	certFile, keyFile, ca := selfSigned(t)
	p := servers.StartBINDPrimary(t, servers.Options{TLSCert: certFile, TLSKey: keyFile})
	for i, protocol := range []zone.Protocol{zone.TCP, zone.UDP, zone.TLS} {
		config := configOf(t, p)
		config.Protocol = protocol
		if protocol == zone.TLS {
			config.Primary = p.TLS.String()
			config.TLS = &zone.TLSConfig{CABundle: ca}
		}
		r := (&rig{t: t, primary: p, config: config}).start(zone.Options{})
		r.mustPublish(zone.Change{Owner: owner(i), Want: []tlsa.Record{record(i)}})
		h := r.check()
		if h.PrimaryAccepts.Class != zone.Applied {
			t.Errorf("%s: %+v", protocol, h.PrimaryAccepts)
		}
		if s := r.sweep(owner(i)); green(s, record(i)) != nil {
			t.Errorf("%s: %v", protocol, green(s, record(i)))
		}
	}
}

// Package acme runs what the tests need to issue certificates by ACME (RFC 8555): Pebble, which checks
// DNS-01 challenges through a resolver of the test, and the resolver by which cert-manager finds the zone
// of a challenge.
package acme

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/kube/child"
	"github.com/dane-operator/dane-operator/test/servers"
)

// Pebble is a running ACME server.
type Pebble struct {
	// Directory is the URL of its directory object.
	Directory string
	// CABundle is the certificate that it shows, in PEM: its own trust anchor.
	CABundle []byte

	t    testing.TB
	dir  string
	addr netip.AddrPort
}

// address is where Pebble listens; its certificate is for it.
const address = "127.0.0.1"

// program builds Pebble, once for a program and cached as hack/envtest.sh says.
var program = sync.OnceValues(func() (string, error) {
	root, err := kube.Root()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(filepath.Join(root, "hack", "envtest.sh"), "pebble")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("hack/envtest.sh pebble: %w: %s", err, said.Bytes())
	}
	return string(bytes.TrimSpace(out)), nil
})

// StartPebble starts Pebble for the length of a test. It validates without a pause, by the answers of a
// resolver, and every order anew; it refuses no nonce for the sake of a trial.
func StartPebble(t testing.TB, resolver netip.AddrPort) *Pebble {
	t.Helper()
	addr := netip.AddrPortFrom(netip.MustParseAddr(address), servers.FreePort(t, address))
	p := &Pebble{Directory: fmt.Sprintf("https://%s/dir", addr), t: t, dir: t.TempDir(), addr: addr}
	path, err := program()
	p.must(err)
	p.configure()
	p.start(exec.Command(path, "-config", p.file("config.json"), "-strict", "-dnsserver", resolver.String()))
	return p
}

func (p *Pebble) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("Pebble: %v", err)
	}
}

func (p *Pebble) file(name string) string { return filepath.Join(p.dir, name) }

// configure writes the configuration, and a certificate for the address.
func (p *Pebble) configure() {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p.must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{p.addr.Addr().AsSlice()}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	p.must(err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	p.must(err)
	p.CABundle = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	p.must(os.WriteFile(p.file("cert.pem"), p.CABundle, 0o600))
	p.must(os.WriteFile(p.file("key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": p.addr.String(), "certificate": p.file("cert.pem"), "privateKey": p.file("key.pem"),
		"keyAlgorithm": "ecdsa",
		// Seconds that a client waits before it asks again.
		"retryAfter": map[string]int{"authz": 1, "order": 1},
	}})
	p.must(err)
	p.must(os.WriteFile(p.file("config.json"), config, 0o600))
}

func (p *Pebble) start(cmd *exec.Cmd) {
	p.t.Helper()
	log, err := os.Create(p.file("log"))
	p.must(err)
	defer func() { _ = log.Close() }() // the child has a descriptor of its own
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0")
	done, err := child.Start(cmd)
	p.must(err)
	p.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-done
		if p.t.Failed() {
			p.t.Logf("the log of Pebble ends with:\n%s", p.tail(25))
		}
	})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.CABundle)
	servers.Eventually(p.t, "Pebble serves", func() error {
		select {
		case <-done:
			p.t.Fatalf("Pebble ended: %s; its log ends with:\n%s", cmd.ProcessState, p.tail(25))
		default:
		}
		c, err := tls.Dial("tcp", p.addr.String(), &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
		if err == nil {
			err = c.Close()
		}
		return err
	})
}

// Validated counts the challenges that Pebble has found to be good.
func (p *Pebble) Validated() int {
	p.t.Helper()
	text, err := os.ReadFile(p.file("log"))
	p.must(err)
	return bytes.Count(text, []byte("set VALID by completed challenge"))
}

func (p *Pebble) tail(lines int) []byte {
	text, err := os.ReadFile(p.file("log"))
	if err != nil {
		return []byte(err.Error())
	}
	all := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return bytes.Join(all[max(0, len(all)-lines):], []byte("\n"))
}

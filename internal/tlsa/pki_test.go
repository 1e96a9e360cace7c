package tlsa

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

// now is the time of every test; certificates are valid a year around it unless a test says otherwise.
var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

const host = "mx1.example.com"

// node is a certificate with its key.
type node struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate. Without a parent it signs itself. The change may set anything.
func issue(t testing.TB, parent *node, subject string, change func(*x509.Certificate)) *node {
	t.Helper()
	return issueFor(t, newKey(t), parent, subject, change)
}

func issueFor(t testing.TB, key *ecdsa.PrivateKey, parent *node, subject string, change func(*x509.Certificate)) *node {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: subject},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0),
	}
	if change != nil {
		change(template)
	}
	out := &node{key: key}
	signer, by := template, key
	if parent != nil {
		signer, by = parent.Certificate, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	if out.Certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return out
}

// asCA makes a template one of a CA, then makes further changes.
func asCA(changes ...func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		for _, change := range changes {
			change(c)
		}
	}
}

// forHost makes a template one of the test's host, then makes further changes.
func forHost(changes ...func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.DNSNames, c.KeyUsage = []string{host}, x509.KeyUsageDigitalSignature
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		for _, change := range changes {
			change(c)
		}
	}
}

func expired(c *x509.Certificate)     { c.NotAfter = now.Add(-time.Second) }
func notYetValid(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }
func nameless(c *x509.Certificate)    { c.DNSNames = nil }

// chainOf lists certificates, leaf first.
func chainOf(nodes ...*node) []*x509.Certificate {
	var out []*x509.Certificate
	for _, n := range nodes {
		out = append(out, n.Certificate)
	}
	return out
}

// recordOf is the association of a certificate for parameters such as "3 1 1".
func recordOf(t testing.TB, params string, n *node) Record {
	t.Helper()
	p, err := ParseParameters(params)
	if err != nil {
		t.Fatal(err)
	}
	return Record{Parameters: p, Data: data(p.MatchingType, selected(p.Selector, n.Certificate))}
}

// line is a chain of the usual shape.
type line struct{ root, ca, leaf *node }

func newLine(t testing.TB) line {
	t.Helper()
	root := issue(t, nil, "root", asCA())
	ca := issue(t, root, "ca", asCA())
	return line{root, ca, issue(t, ca, "leaf", forHost())}
}

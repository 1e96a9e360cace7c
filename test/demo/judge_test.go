package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/test/mail"
	"github.com/dane-operator/dane-operator/test/ns"
)

const testOwner = "_25._tcp.mx1.example.test."

// otherKey is the digest of a key that nobody has.
var otherKey = strings.Repeat("ab", 32)

// TestJudge lets the judge look at a mail server with one key and a name server with various records:
// it must turn red by itself wherever a sender would refuse the server.
func TestJudge(t *testing.T) {
	certificate, key, digest := selfSigned(t)
	server, err := mail.Start("127.0.0.1:0", func() ([]byte, []byte) { return certificate, key }, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	waitPresented(t, server.Addr)
	rows := []struct {
		reason  string
		records []string
		address string
		code    int
		says    string
	}{
		{"the record of the key", []string{"3 1 1 " + digest}, server.Addr, 0, "2 sender checks, 0 mismatches"},
		{"the record of the key and a standby key's", []string{"3 1 1 " + otherKey, "3 1 1 " + digest}, server.Addr, 0, "2 sender checks, 0 mismatches"},
		{"a key that no record matches", []string{"3 1 1 " + otherKey}, server.Addr, 1, "2 sender checks, 2 mismatches"},
		{"the right digest for another selector", []string{"3 0 1 " + digest}, server.Addr, 1, "2 sender checks, 2 mismatches"},
		{"the right digest for another usage", []string{"2 1 1 " + digest}, server.Addr, 1, "2 sender checks, 2 mismatches"},
		{"no record at all", nil, server.Addr, 1, "0 sender checks, 0 mismatches"},
		{"a server that is not there", []string{"3 1 1 " + digest}, "127.0.0.1:1", 1, "2 times the sender had records and could not reach the server"},
	}
	for _, row := range rows {
		t.Run(row.reason, func(t *testing.T) {
			j := newJudge(testOwner, host, row.address, []string{nameServer(t, row.records)}, t.Logf)
			j.begin("the act")
			for range 2 {
				j.ask()
				j.check()
			}
			_, _, found := j.state()
			var out, stderr bytes.Buffer
			code := exitCode(&stderr, finish(&out, found))
			if code != row.code || !strings.Contains(out.String(), row.says) {
				t.Errorf("exit code %d, want %d, and %q in\n%s%s", code, row.code, row.says, out.String(), stderr.String())
			}
		})
	}
}

// TestJudgeRemembers: an answer counts until its TTL has run out, though every name server gives
// another one by then; and no longer.
func TestJudgeRemembers(t *testing.T) {
	certificate, key, digest := selfSigned(t)
	server, err := mail.Start("127.0.0.1:0", func() ([]byte, []byte) { return certificate, key }, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	waitPresented(t, server.Addr)
	j := newJudge(testOwner, host, server.Addr, []string{nameServer(t, []string{"3 1 1 " + otherKey})}, t.Logf)
	j.ask()
	j.servers = []string{nameServer(t, []string{"3 1 1 " + digest})}
	j.ask()
	j.check()
	if _, _, found := j.state(); total(found).checks != 2 || total(found).mismatches != 1 {
		t.Errorf("with an old answer in some cache: %+v, want 2 checks and 1 mismatch", total(found))
	}
	j.mu.Lock()
	for answer := range j.cached {
		if strings.Contains(answer, otherKey) {
			j.cached[answer] = time.Now().Add(-time.Millisecond)
		}
	}
	j.mu.Unlock()
	j.check()
	if _, _, found := j.state(); total(found).checks != 3 || total(found).mismatches != 1 {
		t.Errorf("once the old answer has run out: %+v, want one check more and no mismatch more", total(found))
	}
}

// TestJudgeIsFair: an answer that ran out while the connection was being made is held against nobody: the server may
// have waited for just that.
func TestJudgeIsFair(t *testing.T) {
	certificate, key, _ := selfSigned(t)
	server, err := mail.Start("127.0.0.1:0", func() ([]byte, []byte) { return certificate, key }, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	waitPresented(t, server.Addr)
	j := newJudge(testOwner, host, "", nil, t.Logf)
	until := time.Now().Add(500 * time.Millisecond)
	j.cached["3 1 1 "+otherKey] = until
	j.mailServer = slowWay(t, server.Addr, until)
	j.check()
	if _, _, found := j.state(); total(found).mismatches != 0 {
		t.Errorf("an answer ran out before the key was presented: %+v, want no mismatch", total(found))
	}
}

// slowWay leads to an address, and lets nothing through before an instant.
func slowWay(t *testing.T, to string, from time.Time) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		in, err := l.Accept()
		if err != nil {
			return
		}
		time.Sleep(time.Until(from) + time.Millisecond)
		out, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
		_, _ = io.Copy(in, out)
		_ = in.Close()
	}()
	return l.Addr().String()
}

// nameServer serves TLSA records of testOwner.
func nameServer(t *testing.T, records []string) string {
	t.Helper()
	zone, err := ns.NewZone(zoneName, "ns1."+zoneName)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := zone.Add(testOwner + " 60 IN TLSA " + r); err != nil {
			t.Fatal(err)
		}
	}
	server, err := zone.StartPrimary("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return server.Addr
}

// waitPresented waits until the mail server has taken its certificate.
func waitPresented(t *testing.T, addr string) {
	t.Helper()
	var err error
	for range 200 {
		if _, err = presented(addr, host); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("the mail server presents nothing: %v", err)
}

// selfSigned is a certificate and its key in PEM, and the digest of the public key.
func selfSigned(t *testing.T) (certificate, private []byte, digest string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(spki)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}), hex.EncodeToString(sum[:])
}

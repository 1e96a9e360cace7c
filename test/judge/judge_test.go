package judge_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/test/judge"
	"github.com/dane-operator/dane-operator/test/postfix"
	"github.com/dane-operator/dane-operator/test/servers"
)

const (
	host = "mx1.example.test"
	ttl  = 4
)

// identity is a certificate with its key.
type identity struct {
	certificate, key []byte
	spki             []byte
}

func newIdentity(t *testing.T) *identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "x"}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return &identity{
		certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		spki:        spki,
	}
}

func (i *identity) sha256() string {
	sum := sha256.Sum256(i.spki)
	return hex.EncodeToString(sum[:])
}

func (i *identity) sha512() string {
	sum := sha512.Sum512(i.spki)
	return hex.EncodeToString(sum[:])
}

// rig is a zone with a resolver, a Postfix that serves an identity, and both judges.
type rig struct {
	*testing.T
	primary *servers.Primary
	postfix *judge.Postfix
	serves  atomic.Pointer[identity]
	log     *judge.Log
}

func newRig(t *testing.T, serves *identity) *rig {
	t.Helper()
	r := &rig{T: t, log: &judge.Log{}}
	r.serves.Store(serves)
	r.primary = servers.StartBINDPrimary(t, servers.Options{Zone: "example.test", Records: []string{"mx1 60 A 127.0.0.1"}})
	unbound := servers.StartUnbound(t, servers.ResolverOptions{
		Address: "127.0.0.154", Port: 53, Stubs: []servers.Stub{servers.StubOf(r.primary)},
	})
	r.postfix = judge.StartPostfix(t, judge.PostfixOptions{Hostname: host, Fetch: func() ([]byte, []byte) {
		i := r.serves.Load()
		return i.certificate, i.key
	}})
	r.served(serves)
	judge.StartFinger(t, r.log, judge.FingerOptions{
		Resolver: unbound.Addr, Host: host, Port: int(r.postfix.Addr().Port()), Interval: 50 * time.Millisecond,
	})
	judge.StartReplay(t, r.log, judge.ReplayOptions{
		Servers: func() []netip.AddrPort { return []netip.AddrPort{r.primary.Addr} },
		Owner:   r.owner(), Host: host, Addr: r.postfix.Addr(), Interval: 50 * time.Millisecond,
	})
	return r
}

func (r *rig) owner() string { return fmt.Sprintf("_%d._tcp.%s.", r.postfix.Addr().Port(), host) }

// publish replaces the records.
func (r *rig) publish(records ...string) {
	r.Helper()
	commands := []string{"delete " + r.owner() + " TLSA"}
	for _, record := range records {
		commands = append(commands, fmt.Sprintf("add %s %d TLSA %s", r.owner(), ttl, record))
	}
	r.primary.Update(commands...)
}

// served waits until Postfix serves an identity.
func (r *rig) served(i *identity) {
	r.Helper()
	servers.Eventually(r, "Postfix serves the certificate", func() error {
		if r.postfix.Served() != i.sha256() {
			return errors.New("it serves another one")
		}
		return nil
	})
}

// next waits for the next check of a judge that began after now and returns its class.
func (r *rig) next(name string) string {
	r.Helper()
	from, class := time.Now(), ""
	servers.Eventually(r, name+" checks", func() error {
		for _, c := range r.log.Checks() {
			if c.Judge == name && c.At.After(from) {
				class = c.Class + " " + c.Detail
				return nil
			}
		}
		return errors.New("no check yet")
	})
	return class
}

// last is the check of a judge that ended last.
func (r *rig) last(name string) judge.Check {
	r.Helper()
	for _, c := range slices.Backward(r.log.Checks()) {
		if c.Judge == name {
			return c
		}
	}
	r.Fatalf("%s has not checked yet", name)
	return judge.Check{}
}

// firstOK is the first good check of a judge that began after an instant.
func (r *rig) firstOK(name string, from time.Time) judge.Check {
	r.Helper()
	for _, c := range r.log.Checks() {
		if c.Judge == name && c.OK && c.At.After(from) {
			return c
		}
	}
	r.Fatalf("%s has no good check after %s", name, from)
	return judge.Check{}
}

// become waits until a judge's checks are of a class.
func (r *rig) become(name, class string) {
	r.Helper()
	servers.Eventually(r, name+" says "+class, func() error {
		if have := r.next(name); !strings.HasPrefix(have, class+" ") {
			return errors.New("it says " + have)
		}
		return nil
	})
}

// Both judges are content with a matching record, red when another certificate is served, and the one
// that remembers stays red until the old answer can be in no cache any more.
func TestJudgesTurnRedAndGreen(t *testing.T) {
	first, second := newIdentity(t), newIdentity(t)
	r := newRig(t, first)
	r.become("postfix", judge.ClassNoDANE)
	r.become("libssl", judge.ClassNoDANE)
	r.publish("3 1 1 " + first.sha256())
	r.become("libssl", judge.ClassOK)
	r.become("postfix", judge.ClassOK)

	r.serves.Store(second)
	r.served(second)
	r.become("postfix", judge.ClassMismatch)
	r.become("libssl", judge.ClassMismatch)

	// This check has ended, so it met the old answer after it began, and keeps it for a TTL from then.
	old := r.last("libssl")
	r.publish("3 1 1 " + second.sha256())
	r.become("libssl", judge.ClassOK)
	if held := r.firstOK("libssl", old.At).End.Sub(old.At); held < ttl*time.Second {
		t.Errorf("libssl was content %s after it met the old answer: its TTL is %d s", held, ttl)
	}
	r.become("postfix", judge.ClassOK)
	t.Log(r.log.Summary())
}

// A machine so busy that openssl takes longer than the TTL hides no mismatch: the answer was kept when the chain was presented.
func TestSlowOpenSSL(t *testing.T) {
	slow := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\nsleep %d\nexec %s \"$@\"\n", ttl+1, postfix.Find(t, "openssl"))
	if err := os.WriteFile(filepath.Join(slow, "openssl"), []byte(script), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	t.Setenv("PATH", slow+":"+os.Getenv("PATH"))
	served, other := newIdentity(t), newIdentity(t)
	r := newRig(t, served)
	r.publish("3 1 1 " + other.sha256())
	r.become("libssl", judge.ClassMismatch)
}

// A set in which one combination does not match fails for clients that know only that one.
func TestEachCombinationMustMatch(t *testing.T) {
	served, other := newIdentity(t), newIdentity(t)
	r := newRig(t, served)
	r.publish("3 1 1 "+served.sha256(), "3 1 2 "+served.sha512(), "3 1 1 "+other.sha256())
	r.become("libssl", judge.ClassOK)
	r.publish("3 1 1 "+served.sha256(), "3 1 2 "+other.sha512())
	r.become("libssl", judge.ClassMismatch)
	r.become("postfix", judge.ClassMismatch)
}

// A sender that cannot look records up does not know that there are none.
func TestNobodyToAsk(t *testing.T) {
	zone := servers.StartBINDPrimary(t, servers.Options{Zone: "example.test", Unsigned: true})
	nobody := netip.AddrPortFrom(zone.Addr.Addr(), servers.FreePort(t, zone.Addr.Addr().String()))
	rows := []struct {
		reason  string
		servers []netip.AddrPort
		class   string
	}{
		{"none answers: it is not known whether there are records", []netip.AddrPort{nobody, nobody}, judge.ClassUnreachable},
		{"one answers that there are none", []netip.AddrPort{nobody, zone.Addr}, judge.ClassNoDANE},
	}
	for _, row := range rows {
		r := &rig{T: t, log: &judge.Log{}}
		stop := judge.StartReplay(t, r.log, judge.ReplayOptions{
			Servers: func() []netip.AddrPort { return row.servers },
			Owner:   "_25._tcp." + host + ".", Host: host, Addr: nobody, Interval: 50 * time.Millisecond,
		})
		if have := r.next("libssl"); !strings.HasPrefix(have, row.class+" ") {
			t.Errorf("%s: want %s, have %s", row.reason, row.class, have)
		}
		stop()
	}
}

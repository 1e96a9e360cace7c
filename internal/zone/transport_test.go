package zone

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

func TestTSIGAlgorithms(t *testing.T) {
	for name, algorithm := range map[string]string{
		"HMACSHA1": dns.HmacSHA1, "HMACSHA224": dns.HmacSHA224, "HMACSHA256": dns.HmacSHA256,
		"HMACSHA384": dns.HmacSHA384, "HMACSHA512": dns.HmacSHA512,
	} {
		s := newFakeServer(t)
		s.keyAlgo = algorithm
		s.startTCP()
		cfg := testConfig(s)
		cfg.TSIG.Algorithm = name
		if got := publish(t, startActor(t, cfg, quick()), first(1)); got.Class != Applied {
			t.Errorf("%s: %s %s", name, got.Class, got.Message)
		}
	}
}

func TestKeyNameIsLowerCasedAndAbsolute(t *testing.T) {
	for _, name := range []string{"TLSA-Key", "tlsa-key.", "TLSA-KEY."} {
		s := newFakeServer(t).startTCP()
		cfg := testConfig(s)
		cfg.TSIG.Name = name
		if got := publish(t, startActor(t, cfg, quick()), first(1)); got.Class != Applied {
			t.Errorf("%s: %s %s", name, got.Class, got.Message)
		}
	}
}

func TestManySignedMessagesOnOneSocket(t *testing.T) {
	// The DNS library's Conn keeps the MAC of a request and spoils the next: none after the first
	// would be accepted.
	s := newFakeServer(t).startTCP()
	e, err := primaryEndpoint(testConfig(s))
	if err != nil {
		t.Fatal(err)
	}
	session := primarySession(quick().withDefaults(), e)
	defer session.close()
	for i := range 5 {
		r := session.ask(context.Background(), updateMessage(testZone, []step{{owner: ownerName(i), want: []tlsa.Record{record(i)}, ttl: time.Hour}}))[0]
		if r.err != nil || r.msg.Rcode != dns.RcodeSuccess {
			t.Fatalf("message %d: %v %v", i, r.err, r.msg)
		}
	}
	if s.accepted.Load() != 1 {
		t.Errorf("%d connections were made", s.accepted.Load())
	}
}

func TestEachAttemptIsSignedAnew(t *testing.T) {
	s := newFakeServer(t).startTCP()
	e, err := primaryEndpoint(testConfig(s))
	if err != nil {
		t.Fatal(err)
	}
	session := primarySession(quick().withDefaults(), e)
	defer session.close()
	m := updateMessage(testZone, []step{{owner: ownerName(1), want: []tlsa.Record{record(1)}, ttl: time.Hour}})
	one := session.ask(context.Background(), m)[0]
	two := session.ask(context.Background(), m)[0]
	if one.err != nil || two.err != nil || m.IsTsig() != nil {
		t.Fatalf("%v %v", one.err, two.err)
	}
	if two.msg.Rcode != dns.RcodeYXRrset {
		t.Errorf("the second attempt met %s", rcodeText(two.msg.Rcode))
	}
	if sent := s.sent(); sent[0].Id == sent[1].Id || sent[0].IsTsig() == nil || sent[1].IsTsig() == nil {
		t.Errorf("attempts are not signed anew: %v", sent)
	}
}

func TestMessagesAreCompressed(t *testing.T) {
	var steps []step
	for i := range BatchSize {
		steps = append(steps, step{owner: ownerName(i), want: []tlsa.Record{record(i), record(i + 1)}, ttl: time.Hour})
	}
	wire, err := updateMessage(testZone, steps).Pack()
	if err != nil || len(wire) > 16384 {
		t.Errorf("a full batch has %d octets (%v): compression pointers reach 16384", len(wire), err)
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	cases := []struct {
		reason string
		key    TSIG
		want   string
	}{
		{"MD5 is no algorithm", TSIG{Name: "k", Algorithm: "HMACMD5", Secret: testSecret}, "algorithm"},
		{"a short secret", TSIG{Name: "k", Algorithm: "HMACSHA256", Secret: base64.StdEncoding.EncodeToString(make([]byte, 15))}, "at least 16"},
		{"no base64", TSIG{Name: "k", Algorithm: "HMACSHA256", Secret: "this is not base64, but long"}, "base64"},
		{"the whole key file", TSIG{Name: "k", Algorithm: "HMACSHA256", Secret: "key k { algorithm hmac-sha256; secret \"" + testSecret + "\"; };"}, "whole file"},
		{"no name", TSIG{Algorithm: "HMACSHA256", Secret: testSecret}, "name"},
	}
	for _, c := range cases {
		err := c.key.Check()
		if !errors.Is(err, ErrTSIG) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v", c.reason, err)
		} else if strings.Contains(err.Error(), c.key.Secret) {
			t.Errorf("%s: the secret is in the error", c.reason)
		}
		s := newFakeServer(t).startTCP()
		cfg := testConfig(s)
		cfg.TSIG = &c.key
		got := publish(t, startActor(t, cfg, quick()), first(1))
		if got.Class != ConfigError || got.Retryable || s.accepted.Load() != 0 {
			t.Errorf("%s: got %s after %d connections", c.reason, got.Class, s.accepted.Load())
		}
	}
	good := TSIG{Name: "k", Algorithm: "HMACSHA256", Secret: base64.StdEncoding.EncodeToString(make([]byte, 16))}
	if err := good.Check(); err != nil {
		t.Errorf("sixteen octets are enough: %v", err)
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	cfg := Config{TSIG: &TSIG{Name: "k", Algorithm: "HMACSHA256", Secret: testSecret}, TLS: &TLSConfig{ClientKey: []byte(testSecret)}}
	texts := []string{
		fmt.Sprint(cfg), fmt.Sprintf("%+v", cfg), fmt.Sprintf("%#v", cfg),
		fmt.Sprint(*cfg.TSIG), fmt.Sprintf("%#v", *cfg.TSIG), fmt.Sprintf("%v", *cfg.TLS), fmt.Sprintf("%#v", *cfg.TLS),
	}
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	texts = append(texts, string(text))
	for _, text := range texts {
		if strings.Contains(text, testSecret) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(testSecret))) {
			t.Errorf("the secret shows in %s", text)
		}
	}
}

func TestUnsignedWhenThereIsNoKey(t *testing.T) {
	s := newFakeServer(t)
	s.keys = nil
	s.startTCP()
	cfg := testConfig(s)
	cfg.TSIG = nil
	if got := publish(t, startActor(t, cfg, quick()), first(1)); got.Class != Applied {
		t.Errorf("%s %s", got.Class, got.Message)
	}
	if s.sent()[0].IsTsig() != nil {
		t.Error("the message is signed")
	}
}

func TestUDP(t *testing.T) {
	cases := []struct {
		reason string
		server func(*fakeServer)
		want   Class
	}{
		{"updates and read-backs go in packets", nil, Applied},
		{"a forged packet is waited past until there is no other", func(s *fakeServer) { s.misbehave = always(forgeNoError) }, UnsignedReply},
		{"a packet with another ID is waited past", func(s *fakeServer) { s.misbehave = always(replyWrongID) }, Applied},
		{"a lost reply is doubtful: the read-back decides", func(s *fakeServer) { s.misbehave = always(applyThenSilence) }, Applied},
		{"silence is told", func(s *fakeServer) { s.misbehave = func(*dns.Msg) fault { return noReply } }, Unreachable},
		{"a truncated answer asks for TCP", func(s *fakeServer) { s.misbehave = toQueries(replyTC) }, Unreachable},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			s := newFakeServer(t)
			if c.server != nil {
				c.server(s)
			}
			s.startUDP()
			cfg := testConfig(s)
			cfg.Protocol = UDP
			got := publish(t, startActor(t, cfg, quick()), first(1))
			if got.Class != c.want {
				t.Errorf("got %s: %s", got.Class, got.Message)
			}
			if n := len(s.sent()); n > 1 {
				t.Errorf("the update was sent %d times: a server carries out each", n)
			}
		})
	}
}

// certificate makes a self-signed certificate for 127.0.0.1 and the name primary.test.
func certificate(t *testing.T) (tls.Certificate, []byte, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "primary"}, NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"primary.test"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return pair, certPEM, keyPEM
}

func TestTLS(t *testing.T) {
	pair, certPEM, keyPEM := certificate(t)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	server := func() *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"dot"}, MinVersion: tls.VersionTLS12}
	}
	cases := []struct {
		reason string
		server func(*tls.Config)
		client TLSConfig
		want   Class
		text   string
	}{
		{"the CA bundle and name of the configuration", nil, TLSConfig{ServerName: "primary.test", CABundle: certPEM}, Applied, ""},
		{"a client certificate where the server wants one", func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, pool },
			TLSConfig{ServerName: "primary.test", CABundle: certPEM, ClientCert: certPEM, ClientKey: keyPEM}, Applied, ""},
		{"TLS 1.2 is spoken", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, TLSConfig{ServerName: "primary.test", CABundle: certPEM}, Applied, ""},
		{"TLS 1.1 is not", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 },
			TLSConfig{ServerName: "primary.test", CABundle: certPEM}, Unreachable, "TLS"},
		{"a server that speaks something else by ALPN", func(c *tls.Config) { c.NextProtos = []string{"h2"} }, TLSConfig{ServerName: "primary.test", CABundle: certPEM}, Unreachable, "TLS"},
		{"another CA", nil, TLSConfig{ServerName: "primary.test"}, Unreachable, "certificate"},
		{"another name", nil, TLSConfig{ServerName: "other.test", CABundle: certPEM}, Unreachable, "certificate"},
		{"no client certificate where the server wants one", func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, pool },
			TLSConfig{ServerName: "primary.test", CABundle: certPEM}, Unreachable, "spec.update.tls.clientCertSecretRef"},
		{"no client certificate where the server wants one, with TLS 1.2", func(c *tls.Config) {
			c.ClientAuth, c.ClientCAs, c.MaxVersion = tls.RequireAndVerifyClientCert, pool, tls.VersionTLS12
		}, TLSConfig{ServerName: "primary.test", CABundle: certPEM}, Unreachable, "tls"},
		{"a CA bundle that holds none", nil, TLSConfig{CABundle: []byte("none")}, ConfigError, "CA bundle"},
		{"a client certificate without its key", nil, TLSConfig{CABundle: certPEM, ClientCert: certPEM}, ConfigError, "client certificate"},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			s := newFakeServer(t)
			config := server()
			if c.server != nil {
				c.server(config)
			}
			s.startTLS(config)
			cfg := testConfig(s)
			cfg.Protocol, cfg.TLS = TLS, &c.client
			got := publish(t, startActor(t, cfg, quick()), first(1))
			if got.Class != c.want || !strings.Contains(got.Message, c.text) {
				t.Errorf("got %s: %s", got.Class, got.Message)
			}
		})
	}
}

func TestConnectionsToOneAddressAreLimited(t *testing.T) {
	s := newFakeServer(t)
	s.misbehave = toQueries(noReply)
	s.startTCP()
	var mu sync.Mutex
	open, most := 0, 0
	opts := quick()
	opts.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		open++
		most = max(most, open)
		return &countedConn{Conn: conn, closed: func() { mu.Lock(); open--; mu.Unlock() }}, nil
	}
	// Forty zones on one server.
	done := make(chan Result, 40)
	for range 40 {
		startActor(t, testConfig(s), opts).Publish(first(1), func(r Result) { done <- r })
	}
	for range 40 {
		wait(t, done)
	}
	if most > maxConnections || most < 2 {
		t.Errorf("%d connections to one address at once", most)
	}
}

// With one connection to each address everything gets on that gets on with more: nobody keeps one while waiting for
// another. A look at a server takes two, by TCP and by UDP, and so do many changes at once.
func TestOneConnectionIsEnough(t *testing.T) {
	s := newFakeServer(t).startTCP()
	secondary := newFakeServer(t).startTCP()
	cfg := testConfig(s)
	cfg.Static = append(cfg.Static, secondary.addrPort())
	opts := quick()
	opts.Connections = NewConnections()
	opts.Connections.most = 1
	const zones, owners = 20, 2 * packetsFrom
	done := make(chan string, zones*(owners+3))
	for range zones {
		a := startActor(t, cfg, opts)
		a.Check(func(Health) { done <- "check" })
		a.Sweep(ownerName(1), func(Sweep) { done <- "sweep" })
		a.Addresses("mx1."+testZone, func(Address) { done <- "addresses" })
		for n := range owners {
			a.Publish(first(n), func(Result) { done <- "publish" })
		}
	}
	for range cap(done) {
		wait(t, done)
	}
}

// countedConn says when it is closed, once.
type countedConn struct {
	net.Conn
	once   sync.Once
	closed func()
}

func (c *countedConn) Close() error {
	c.once.Do(c.closed)
	return c.Conn.Close()
}

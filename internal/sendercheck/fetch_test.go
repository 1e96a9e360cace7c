package sendercheck_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
	"github.com/dane-operator/dane-operator/internal/sendercheck"
)

// policyHost is an HTTPS server with a certificate for some names, and what connects to it in place of the address that a
// name has.
type policyHost struct {
	*httptest.Server
	roots *x509.CertPool
	mu    sync.Mutex
	// dialled are the addresses that were to be connected to.
	dialled []string
}

// host starts one. Its certificate is for the names, and runs out at a time.
func host(t *testing.T, handler http.HandlerFunc, ends time.Time, names ...string) *policyHost {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: names, NotBefore: ends.Add(-2 * 365 * 24 * time.Hour), NotAfter: ends,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	h := &policyHost{Server: httptest.NewUnstartedServer(handler), roots: x509.NewCertPool()}
	h.roots.AddCert(leaf)
	h.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	h.Config.ErrorLog = log.New(io.Discard, "", 0)
	h.StartTLS()
	t.Cleanup(h.Close)
	return h
}

// dial connects to the server, whatever the address; 192.0.2.9 is where nobody answers.
func (h *policyHost) dial(ctx context.Context, network, address string) (net.Conn, error) {
	h.mu.Lock()
	h.dialled = append(h.dialled, address)
	h.mu.Unlock()
	if strings.HasPrefix(address, "192.0.2.9:") {
		return nil, errors.New("connection refused")
	}
	return (&net.Dialer{}).DialContext(ctx, network, h.Listener.Addr().String())
}

func (h *policyHost) fetcher(z senderview.Resolver) sendercheck.PolicyFetcher {
	return sendercheck.PolicyFetcher{Resolver: z, Allowed: allowed, Dial: h.dial, Roots: h.roots, Now: time.Now}
}

const goodPolicy = "version: STSv1\r\nmode: enforce\r\nmx: *.example.com\r\nmax_age: 604800\r\n"

// serve answers with a policy at the one path that there is.
func serve(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != mailrecord.PolicyPath || r.Host != "mta-sts.example.com" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, body)
	}
}

var policyAddress = `mta-sts.example.com. 60 IN A 192.0.2.7`

// TestFetch tries what a policy host may do.
func TestFetch(t *testing.T) {
	year := time.Now().Add(365 * 24 * time.Hour)
	const name = "mta-sts.example.com"
	answer := func(status int, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, goodPolicy)
		}
	}
	for _, c := range []struct {
		reason  string
		host    *policyHost
		records []string
		code    mailrecord.Code
		says    string
	}{
		{"a policy", host(t, serve(goodPolicy), year, name), nil, "", ""},
		{"the second address answers", host(t, serve(goodPolicy), year, name), []string{"mta-sts.example.com. 60 IN A 192.0.2.9"}, "", ""},
		{"a name that the certificate has not", host(t, serve(goodPolicy), year, "www.example.com"), nil, mailrecord.BadCertificate, "www.example.com"},
		{"a wildcard covers it", host(t, serve(goodPolicy), year, "*.example.com"), nil, "", ""},
		{"a certificate that ran out", host(t, serve(goodPolicy), time.Now().Add(-time.Hour), name), nil, mailrecord.BadCertificate, "expired"},
		{"a redirect, even to itself (section 3.3: MUST NOT be followed)", host(t, answer(http.StatusMovedPermanently, "Location", mailrecord.PolicyPath+"?x"), year, name), nil, mailrecord.Redirected, "301"},
		{"not found", host(t, answer(http.StatusNotFound), year, name), nil, mailrecord.BadAnswer, "404"},
		{"another media type", host(t, answer(http.StatusOK, "Content-Type", "text/html"), year, name), nil, mailrecord.BadAnswer, "text/html"},
		{"cut off in the middle", host(t, answer(http.StatusOK, "Content-Type", "text/plain", "Content-Length", "9999"), year, name), nil, mailrecord.BadAnswer, "ends early"},
		{"compressed, which was not asked for", host(t, answer(http.StatusOK, "Content-Encoding", "gzip", "Content-Type", "application/gzip"), year, name), nil, mailrecord.BadAnswer, "application/gzip"},
	} {
		body, problems := c.host.fetcher(records(append(c.records, policyAddress)...)).Fetch(t.Context(), "example.com")
		if c.code == "" {
			if len(problems) > 0 || body != goodPolicy {
				t.Errorf("%s: %q, %v", c.reason, body, problems)
			}
			continue
		}
		if len(problems) != 1 || problems[0].Code != c.code || !strings.Contains(problems[0].Message, c.says) || problems[0].Advice == "" {
			t.Errorf("%s: %v", c.reason, problems)
		}
		if len(problems) > 0 && !strings.Contains(problems[0].Message, name) {
			t.Errorf("%s: it names no server: %s", c.reason, problems[0].Message)
		}
	}
	other := host(t, serve(goodPolicy), year, name).fetcher(records(policyAddress))
	other.Roots = x509.NewCertPool()
	if _, problems := other.Fetch(t.Context(), "example.com"); len(problems) != 1 || problems[0].Code != mailrecord.BadCertificate {
		t.Errorf("a CA that nobody knows: %v", problems)
	}
}

// TestFetchGoesNowhereElse: the domain decides where its policy host is, and nothing is sent to an address that is not
// public, nor to a place that the host names, nor through a proxy.
func TestFetchGoesNowhereElse(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://192.0.2.66:3128")
	h := host(t, serve(goodPolicy), time.Now().Add(time.Hour), "mta-sts.example.com")
	for _, addr := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "100.64.0.1", "198.51.100.1", "0.0.0.0", "224.0.0.1"} {
		_, problems := h.fetcher(records("mta-sts.example.com. 60 IN A "+addr)).Fetch(t.Context(), "example.com")
		if len(problems) != 1 || problems[0].Code != mailrecord.Unreachable || !strings.Contains(problems[0].Message, addr) {
			t.Errorf("%s: %v", addr, problems)
		}
	}
	for _, addr := range []string{"::1", "fe80::1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fd00:ec2::254"} {
		if _, problems := h.fetcher(records("mta-sts.example.com. 60 IN AAAA "+addr)).Fetch(t.Context(), "example.com"); !problems.Fatal() {
			t.Errorf("%s is connected to", addr)
		}
	}
	metadata := h.fetcher(records("mta-sts.example.com. 60 IN A 169.254.169.254"))
	metadata.Allowed = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	if _, problems := metadata.Fetch(t.Context(), "example.com"); !problems.Fatal() {
		t.Error("a metadata address is connected to where every network is allowed")
	}
	if len(h.dialled) > 0 {
		t.Fatalf("connected to %v", h.dialled)
	}
	both := h.fetcher(records("mta-sts.example.com. 60 IN A 10.0.0.1", policyAddress))
	if _, problems := both.Fetch(t.Context(), "example.com"); len(problems) > 0 || !slices.Equal(h.dialled, []string{"192.0.2.7:443"}) {
		t.Errorf("connected to %v: %v", h.dialled, problems)
	}
}

// TestPolicyHostIsNotFound: where the address cannot be looked up, what failed is told, and what to do, be it that the one who asks
// goes by resolvers that do not know the zone.
func TestPolicyHostIsNotFound(t *testing.T) {
	h := host(t, serve(goodPolicy), time.Now().Add(time.Hour), "mta-sts.example.com")
	for _, state := range []dnssec.State{dnssec.Bogus, dnssec.Indeterminate} {
		_, problems := h.fetcher(failing{records(policyAddress), map[string]dnssec.State{"mta-sts.example.com.": state}}).Fetch(t.Context(), "example.com")
		if len(problems) != 1 || problems[0].Code != mailrecord.LookupFailed || !strings.Contains(problems[0].Message, "as told") || !strings.Contains(problems[0].Advice, "--resolvers") {
			t.Errorf("%s: %v", state, problems)
		}
	}
}

// TestFetchEnds: a host that sends without end, or more than senders read, is not read to the end.
func TestFetchEnds(t *testing.T) {
	read := 0
	h := host(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		for line := strings.Repeat("x", 1<<10); ; read += len(line) {
			if _, err := io.WriteString(w, line); err != nil {
				return
			}
		}
	}, time.Now().Add(time.Hour), "mta-sts.example.com")
	body, _ := h.fetcher(records(policyAddress)).Fetch(t.Context(), "example.com")
	if _, problems := mailrecord.ParsePolicy(body); len(problems) != 1 || problems[0].Code != mailrecord.TooLong {
		t.Errorf("%d octets: %v", len(body), problems)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, problems := h.fetcher(records(policyAddress)).Fetch(stopped, "example.com"); !problems.Fatal() {
		t.Error("nobody waits any more, and there is a policy")
	}
	many := []string{}
	for _, last := range "123456789" {
		many = append(many, "mta-sts.example.com. 60 IN A 192.0.2.9"+string(last))
	}
	h.dialled = nil
	refusing := h.fetcher(records(many...))
	refusing.Dial = func(_ context.Context, _, address string) (net.Conn, error) {
		h.dialled = append(h.dialled, address)
		return nil, errors.New("connection refused\x1b[31m")
	}
	_, problems := refusing.Fetch(t.Context(), "example.com")
	if len(h.dialled) != 4 || len(problems) != 1 || strings.Contains(problems[0].Message, "\x1b") {
		t.Errorf("connected to %v: %v", h.dialled, problems)
	}
}

// TestMTASTSPart grades what was fetched.
func TestMTASTSPart(t *testing.T) {
	with := func(old, replacement string) string { return strings.Replace(goodPolicy, old, replacement, 1) }
	for _, c := range []struct {
		reason, body string
		grade        sendercheck.Grade
		says         string
	}{
		{"enforced", goodPolicy, sendercheck.Good, "do not do DANE"},
		{"tried", with("enforce", "testing"), sendercheck.Improve, "write mode: enforce"},
		{"none any more", "version: STSv1\nmode: none\nmax_age: 86400\n", sendercheck.Improve, "there is none any more"},
		{"one server is not named", with("*.example.com", "mx1.example.com"), sendercheck.Improve, "mx2.example.com"},
		{"no server is named", with("*.example.com", "*.example.net"), sendercheck.Broken, "deliver to none"},
		{"forgotten too soon", with("604800", "300"), sendercheck.Improve, "300 seconds"},
		{"a web page", "<html></html>", sendercheck.Broken, "no line of a policy"},
	} {
		h := host(t, serve(c.body), time.Now().Add(time.Hour), "mta-sts.example.com")
		z := whole(policyAddress, `_mta-sts.example.com. 60 IN TXT "v=STSv1; id=1"`)
		fetcher := h.fetcher(z)
		report := sendercheck.Checker{Resolver: z, Now: time.Now, Policies: &fetcher}.Check(t.Context(), "example.com", 25)
		at := slices.IndexFunc(report.Parts, func(p sendercheck.PartReport) bool { return p.Part == sendercheck.PartMTASTS })
		if got := report.Parts[at]; got.Grade != c.grade || !strings.Contains(got.Advice, c.says) || got.Policy == nil {
			t.Errorf("%s: %s: %s", c.reason, got.Grade, got.Advice)
		}
	}
}

package plugin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/util/cert"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
	"github.com/dane-operator/dane-operator/internal/resolve"
	"github.com/dane-operator/dane-operator/internal/sendercheck"
	"github.com/dane-operator/dane-operator/test/servers"
)

var update = flag.Bool("update", false, "write testdata anew")

// mailRecords are two domains: one with everything as it should be, and below it one with everything wrong.
var mailRecords = []string{
	"@ 60 MX 10 mx1", "mx1 60 A 127.0.0.1", "_25._tcp.mx1 60 TLSA 3 1 1 " + strings.Repeat("ab", 32),
	`_smtp._tls 60 TXT "v=TLSRPTv1; " "rua=mailto:tls@example.net"`,
	`_mta-sts 60 TXT "v=STSv1; id=20260101;"`, "mta-sts 60 A 127.0.0.1",
	`@ 60 TXT "site-verification=1"`, `@ 60 TXT "v=spf1 mx include:_spf.%{d} -all"`, `_spf 60 TXT "v=spf1 ip4:192.0.2.0/24 -all"`,
	`_dmarc 60 TXT "v=DMARC1; p=reject; psd=n; rua=mailto:dmarc@lab.test"`,
	`k1._domainkey 60 TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQ" "HOg7hcvPapiMlrwIaaPcHURo="`,

	"bad 60 MX 10 mx2", "mx2 60 CNAME mx1",
	`_smtp._tls.bad 60 TXT "v=TLSRPTv1; rua=mailto:a@example.net"`, `_smtp._tls.bad 60 TXT "v=TLSRPTv1; rua=mailto:b@example.net"`,
	`_mta-sts.bad 60 TXT "v=STSv1; id=1"`, "mta-sts.bad 60 A 127.0.0.1",
	`bad 60 TXT "v=spf1` + strings.Repeat(" include:_spf.lab.test", 9) + ` include:_more.bad.lab.test ?all"`,
	`_more.bad 60 TXT "v=spf1 a:gone.bad.lab.test exists:gone.bad.lab.test mx:gone.bad.lab.test ptr -all"`,
	`_dmarc.bad 60 TXT "v=DMARC1; p=none; pct=20; rua=mailto:a@example.net!10m"`,
	`k1._domainkey.bad 60 TXT "v=DKIM1; h=sha1; p=AAAA"`,
}

// mailLab serves the records by BIND, and has unbound look them up.
func mailLab(t *testing.T) (resolver, anchors string) {
	t.Helper()
	primary := servers.StartBINDPrimary(t, servers.Options{Zone: "lab.test", Records: mailRecords})
	unbound := servers.StartUnbound(t, servers.ResolverOptions{
		Extra: []string{`local-zone: "example.net." static`}, // nobody elsewhere is asked for it
		Stubs: []servers.Stub{servers.StubOf(primary)},
	})
	anchors = filepath.Join(t.TempDir(), "anchors.ds")
	must(t, os.WriteFile(anchors, []byte("lab.test. IN DS "+primary.DS+"\n"), 0o600))
	return unbound.Addr.String(), anchors
}

// TestCheckGradesAllOfADomain compares what is said of both domains with testdata, and wants the exit code to tell of the
// parts only where it is asked to.
func TestCheckGradesAllOfADomain(t *testing.T) {
	resolver, anchors := mailLab(t)
	for _, c := range []struct {
		domain, file string
		code, strict int
	}{{"lab.test", "check-good.txt", 0, 0}, {"bad.lab.test", "check-bad.txt", 0, 2}} {
		args := []string{"check", c.domain, "--no-connect", "--resolvers", resolver, "--trust-anchors", anchors, "--dkim-selector", "k1"}
		out, code := dane(t, "default", args...)
		if code != c.code {
			t.Errorf("%s: exit code %d", c.domain, code)
		}
		file := filepath.Join("testdata", c.file)
		if *update {
			must(t, os.WriteFile(file, []byte(out), 0o600))
		}
		want, err := os.ReadFile(file)
		must(t, err)
		if out != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", c.domain, out, want)
		}
		out, code = dane(t, "default", append(args, "--strict", "-o", "json")...)
		var report sendercheck.Report
		if err := json.Unmarshal([]byte(out), &report); err != nil || code != c.strict || len(report.Parts) != 8 {
			t.Errorf("%s, strict: exit code %d, %d parts, %v", c.domain, code, len(report.Parts), err)
		}
	}
	verified(t, resolver, anchors)
}

// verified has the policies of both domains fetched from a real server over HTTPS, whose address is looked up and
// validated. It listens at another port than 443.
func verified(t *testing.T, resolver, anchors string) {
	t.Helper()
	names := []string{"mta-sts.lab.test", "mta-sts.bad.lab.test"}
	chain, key, err := cert.GenerateSelfSignedCertKey(names[0], nil, names[1:])
	must(t, err)
	pair, err := tls.X509KeyPair(chain, key)
	must(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		policy := mailrecord.Policy{Mode: mailrecord.ModeEnforce, MaxAge: 4 * 7 * 24 * time.Hour, MX: []string{"mx1.lab.test"}}
		fmt.Fprint(w, policy.Render())
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(chain)
	file, err := os.Open(anchors)
	must(t, err)
	defer file.Close()
	parsed, err := dnssec.ParseAnchors(file, time.Now())
	must(t, err)
	validator := resolve.Validator(resolve.Options{Servers: []string{resolver}, Anchors: parsed, Now: time.Now})
	fetcher := &sendercheck.PolicyFetcher{Resolver: validator, Roots: roots, Now: time.Now,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address != "127.0.0.1:443" {
				t.Errorf("connected to %s", address)
			}
			return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
		}}
	grade := func(domain string) (sendercheck.Grade, string) {
		for _, p := range (sendercheck.Checker{Resolver: validator, Policies: fetcher, Now: time.Now}).Check(t.Context(), domain, 25).Parts {
			if p.Part == sendercheck.PartMTASTS {
				return p.Grade, p.Advice
			}
		}
		return "", "there is no such part"
	}
	if got, advice := grade("lab.test"); got != sendercheck.Broken || !strings.Contains(advice, "not a public one") {
		t.Errorf("a policy host on the loopback is connected to: %s: %s", got, advice)
	}
	fetcher.Allowed = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	if got, advice := grade("lab.test"); got != sendercheck.Good {
		t.Errorf("lab.test: %s: %s", got, advice)
	}
	if got, advice := grade("bad.lab.test"); got != sendercheck.Broken || !strings.Contains(advice, "names none of the servers in the MX records") {
		t.Errorf("bad.lab.test: %s: %s", got, advice)
	}
}

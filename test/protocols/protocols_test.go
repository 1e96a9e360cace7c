package protocols

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/internal/probe"
)

const (
	host  = "mx1.example.com"
	other = "mx2.example.com"
)

// chains are what the servers of a test present.
type chains struct{ ecdsa, rsa, other Chain }

func newChains(t *testing.T) chains {
	return chains{NewECDSA(t, host), NewRSA(t, host), NewECDSA(t, other)}
}

// row is one probe.
type row struct {
	reason   string
	port     string
	protocol probe.Protocol
	key      probe.KeyType
	proxy    probe.ProxyProtocol
	// host is the SNI; empty for the one that is configured first.
	host string
	want probe.Outcome
	// chain that is presented with outcome Presented; else what the message holds, with ADDR where the
	// address stands.
	chain *Chain
	text  string
}

func check(t *testing.T, d *Daemon, rows []row) {
	t.Helper()
	dialer := probe.New(probe.Options{AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	for _, r := range rows {
		t.Run(r.port+": "+r.reason, func(t *testing.T) {
			target := probe.Target{Host: r.host, Addr: d.At(r.port), Protocol: r.protocol, KeyType: r.key, Proxy: r.proxy}
			if target.Host == "" {
				target.Host = host
			}
			got := dialer.Probe(t.Context(), target)
			text := strings.ReplaceAll(r.text, "ADDR", target.Addr.String())
			switch {
			case got.Outcome != r.want:
				t.Errorf("got %s: %s", got.Outcome, got.Message)
			case r.want != probe.Presented && !strings.Contains(got.Message, text):
				t.Errorf("got the message %q", got.Message)
			case r.want == probe.Presented && !r.chain.Is(got.Chain):
				t.Errorf("another chain of %d certificates is presented", len(got.Chain))
			}
		})
	}
}

// what the prober says where one side speaks the PROXY protocol and the other does not.
const (
	mayWait    = "; a server behind a load balancer may wait for a PROXY header: see probe.proxyProtocol"
	mayNotWant = "; it was sent a PROXY header first, as probe.proxyProtocol says, which it may not expect"
)

// TestDovecot probes one Dovecot with two certificates and a third for another name, by every protocol.
func TestDovecot(t *testing.T) {
	t.Parallel()
	c := newChains(t)
	d := StartDovecot(t, DovecotOptions{Chains: []Chain{c.ecdsa, c.rsa}, Names: map[string]Chain{other: c.other}})
	var rows []row
	for port, protocol := range map[string]probe.Protocol{
		IMAP: probe.IMAP, IMAPS: probe.IMAPS, POP3: probe.POP3, POP3S: probe.POP3S, Sieve: probe.ManageSieve,
	} {
		rows = append(rows,
			row{"ECDSA", port, protocol, probe.ECDSA, probe.NoProxy, "", probe.Presented, &c.ecdsa, ""},
			row{"RSA", port, protocol, probe.RSA, probe.NoProxy, "", probe.Presented, &c.rsa, ""},
			row{"another name", port, protocol, probe.AnyKey, probe.NoProxy, other, probe.Presented, &c.other, ""},
		)
	}
	for port, protocol := range map[string]probe.Protocol{
		IMAPProxy: probe.IMAP, IMAPSProxy: probe.IMAPS, POP3Proxy: probe.POP3, POP3SProxy: probe.POP3S, SieveProxy: probe.ManageSieve,
	} {
		rows = append(rows,
			row{"header of version 1", port, protocol, probe.ECDSA, probe.ProxyV1, "", probe.Presented, &c.ecdsa, ""},
			row{"header of version 2", port, protocol, probe.RSA, probe.ProxyV2, "", probe.Presented, &c.rsa, ""},
		)
	}
	check(t, d, append(rows,
		row{"no header", IMAPProxy, probe.IMAP, probe.AnyKey, probe.NoProxy, "", probe.Unreachable, nil, "ADDR: the server closed the connection" + mayWait},
		row{"no header before TLS", IMAPSProxy, probe.IMAPS, probe.AnyKey, probe.NoProxy, "", probe.HandshakeFailed, nil, mayWait},
		row{"no header", POP3Proxy, probe.POP3, probe.AnyKey, probe.NoProxy, "", probe.Unreachable, nil, "ADDR: the server closed the connection" + mayWait},
		row{"no header", SieveProxy, probe.ManageSieve, probe.AnyKey, probe.NoProxy, "", probe.Unreachable, nil, "ADDR: the server closed the connection" + mayWait},
		row{"a header that is not wanted, version 1", IMAP, probe.IMAP, probe.AnyKey, probe.ProxyV1, "", probe.Unreachable, nil, mayNotWant},
		row{"a header that is not wanted, version 2", IMAP, probe.IMAP, probe.AnyKey, probe.ProxyV2, "", probe.Unreachable, nil, mayNotWant},
		row{"a header that is not wanted, version 1", IMAPS, probe.IMAPS, probe.AnyKey, probe.ProxyV1, "", probe.HandshakeFailed, nil, mayNotWant},
		row{"a header that is not wanted, version 1", POP3, probe.POP3, probe.AnyKey, probe.ProxyV1, "", probe.Unreachable, nil, mayNotWant},
		row{"a header that is not wanted, version 2", POP3, probe.POP3, probe.AnyKey, probe.ProxyV2, "", probe.Unreachable, nil, mayNotWant},
		row{"a header that is not wanted, version 1", Sieve, probe.ManageSieve, probe.AnyKey, probe.ProxyV1, "", probe.Unreachable, nil, mayNotWant},
		row{"a header that is not wanted, version 2", Sieve, probe.ManageSieve, probe.AnyKey, probe.ProxyV2, "", probe.Unreachable, nil, mayNotWant},
		row{"another protocol: IMAP asked for POP3", IMAP, probe.POP3, probe.AnyKey, probe.NoProxy, "", probe.Unreachable, nil, "the server does not speak POP3; it said: * OK"},
		row{"another protocol: POP3 asked for IMAP", POP3, probe.IMAP, probe.AnyKey, probe.NoProxy, "", probe.Unreachable, nil, "the server does not speak IMAP; it said: +OK"},
		row{"another protocol: IMAP asked for SMTP", IMAP, probe.SMTP, probe.AnyKey, probe.NoProxy, "", probe.Unreachable, nil, "the server does not speak SMTP; it said: * OK"},
		row{"another protocol: ManageSieve asked for IMAP", Sieve, probe.IMAP, probe.AnyKey, probe.NoProxy, "", probe.Unreachable, nil, `the server does not speak IMAP; it said: "IMPLEMENTATION" "Dovecot`},
		row{"TLS from the start where it begins later", IMAP, probe.IMAPS, probe.AnyKey, probe.NoProxy, "", probe.HandshakeFailed, nil, "first record does not look like a TLS handshake"},
	))
}

// TestDovecotWithOneKeyType has an RSA certificate alone.
func TestDovecotWithOneKeyType(t *testing.T) {
	t.Parallel()
	c := newChains(t)
	d := StartDovecot(t, DovecotOptions{Chains: []Chain{c.rsa}})
	check(t, d, []row{
		{"any", IMAP, probe.IMAP, probe.AnyKey, probe.NoProxy, "", probe.Presented, &c.rsa, ""},
		{"RSA", Sieve, probe.ManageSieve, probe.RSA, probe.NoProxy, "", probe.Presented, &c.rsa, ""},
		{"ECDSA", IMAP, probe.IMAP, probe.ECDSA, probe.NoProxy, "", probe.NoSuchKeyType, nil, "no certificate with a key of this type"},
		{"ECDSA", POP3S, probe.POP3S, probe.ECDSA, probe.NoProxy, "", probe.NoSuchKeyType, nil, "no certificate with a key of this type"},
	})
}

// TestDovecotOfTLS13 speaks TLS 1.3 alone: one of its certificates is seen.
func TestDovecotOfTLS13(t *testing.T) {
	t.Parallel()
	c := newChains(t)
	d := StartDovecot(t, DovecotOptions{Chains: []Chain{c.ecdsa}, Settings: "ssl_min_protocol = TLSv1.3\n"})
	check(t, d, []row{
		{"any", IMAP, probe.IMAP, probe.AnyKey, probe.NoProxy, "", probe.Presented, &c.ecdsa, ""},
		{"RSA", IMAP, probe.IMAP, probe.RSA, probe.NoProxy, "", probe.NoSuchKeyType, nil, "or speaks TLS 1.3 alone"},
	})
}

// TestDovecotWithoutTLS offers none, and believes nobody's PROXY header.
func TestDovecotWithoutTLS(t *testing.T) {
	t.Parallel()
	d := StartDovecot(t, DovecotOptions{NoTLS: true, Settings: "haproxy_trusted_networks = 192.0.2.1\n"})
	check(t, d, []row{
		{"no STARTTLS", IMAP, probe.IMAP, probe.AnyKey, probe.NoProxy, "", probe.NoTLS, nil, "does not offer STARTTLS for IMAP"},
		{"no STLS", POP3, probe.POP3, probe.AnyKey, probe.NoProxy, "", probe.NoTLS, nil, "does not offer STLS"},
		{"no STARTTLS", Sieve, probe.ManageSieve, probe.AnyKey, probe.NoProxy, "", probe.NoTLS, nil, "does not offer STARTTLS for ManageSieve"},
		{"a header from whom it does not trust", IMAPProxy, probe.IMAP, probe.AnyKey, probe.ProxyV2, "", probe.Unreachable, nil, mayNotWant},
	})
}

// TestPostfixWithOneKeyType has an ECDSA certificate alone.
func TestPostfixWithOneKeyType(t *testing.T) {
	t.Parallel()
	c := newChains(t)
	d := StartPostfix(t, PostfixOptions{Chains: []Chain{c.ecdsa}})
	check(t, d, []row{
		{"any", SMTP, probe.SMTP, probe.AnyKey, probe.NoProxy, "", probe.Presented, &c.ecdsa, ""},
		{"ECDSA", SMTPS, probe.SMTPS, probe.ECDSA, probe.NoProxy, "", probe.Presented, &c.ecdsa, ""},
		{"RSA", SMTP, probe.SMTP, probe.RSA, probe.NoProxy, "", probe.NoSuchKeyType, nil, "no certificate with a key of this type"},
		{"RSA", SMTPS, probe.SMTPS, probe.RSA, probe.NoProxy, "", probe.NoSuchKeyType, nil, "no certificate with a key of this type"},
	})
}

// TestPostfix probes one Postfix with two certificates and a third for another name.
func TestPostfix(t *testing.T) {
	t.Parallel()
	c := newChains(t)
	d := StartPostfix(t, PostfixOptions{Chains: []Chain{c.ecdsa, c.rsa}, Names: map[string]Chain{other: c.other}})
	var rows []row
	for port, protocol := range map[string]probe.Protocol{SMTP: probe.SMTP, Submission: probe.SMTP, SMTPS: probe.SMTPS} {
		rows = append(rows,
			row{"ECDSA", port, protocol, probe.ECDSA, probe.NoProxy, "", probe.Presented, &c.ecdsa, ""},
			row{"RSA", port, protocol, probe.RSA, probe.NoProxy, "", probe.Presented, &c.rsa, ""},
			row{"another name", port, protocol, probe.AnyKey, probe.NoProxy, other, probe.Presented, &c.other, ""},
		)
	}
	for port, protocol := range map[string]probe.Protocol{SMTPProxy: probe.SMTP, SMTPSProxy: probe.SMTPS, PostscreenProxy: probe.SMTP} {
		rows = append(rows,
			row{"header of version 1", port, protocol, probe.ECDSA, probe.ProxyV1, "", probe.Presented, &c.ecdsa, ""},
			row{"header of version 2", port, protocol, probe.RSA, probe.ProxyV2, "", probe.Presented, &c.rsa, ""},
		)
	}
	check(t, d, append(rows,
		row{"no header", SMTPProxy, probe.SMTP, probe.AnyKey, probe.NoProxy, "", probe.Unreachable, nil, mayWait},
		row{"no header before TLS", SMTPSProxy, probe.SMTPS, probe.AnyKey, probe.NoProxy, "", probe.HandshakeFailed, nil, "421 4" + mayWait},
		row{"no header", PostscreenProxy, probe.SMTP, probe.AnyKey, probe.NoProxy, "", probe.Unreachable, nil, mayWait},
		row{"a header that is not wanted, version 1", SMTP, probe.SMTP, probe.AnyKey, probe.ProxyV1, "", probe.Unreachable, nil, mayNotWant},
		row{"a header that is not wanted, version 2", SMTP, probe.SMTP, probe.AnyKey, probe.ProxyV2, "", probe.Unreachable, nil, mayNotWant},
		row{"a header that is not wanted, version 1", SMTPS, probe.SMTPS, probe.AnyKey, probe.ProxyV1, "", probe.HandshakeFailed, nil, mayNotWant},
		row{"a header that is not wanted, version 2", SMTPS, probe.SMTPS, probe.AnyKey, probe.ProxyV2, "", probe.HandshakeFailed, nil, mayNotWant},
		row{"no STARTTLS", SMTPWithoutTLS, probe.SMTP, probe.AnyKey, probe.NoProxy, "", probe.NoTLS, nil, "the server does not offer STARTTLS: senders with DANE do not deliver"},
		row{"TLS 1.3 alone: one of its certificates is seen", SMTPTLS13, probe.SMTP, probe.AnyKey, probe.NoProxy, other, probe.Presented, &c.other, ""},
		row{"TLS 1.3 alone: a key type cannot be asked for", SMTPTLS13, probe.SMTP, probe.ECDSA, probe.NoProxy, "", probe.NoSuchKeyType, nil, "or speaks TLS 1.3 alone"},
		row{"SMTP asked for IMAP", SMTP, probe.IMAP, probe.AnyKey, probe.NoProxy, "", probe.Unreachable, nil, "the server does not speak IMAP; it said: 220 mx1.example.com"},
	))
}

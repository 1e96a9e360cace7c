package judge

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/test/postfix"
	"github.com/dane-operator/dane-operator/test/servers"
)

// PostfixOptions say what a Postfix serves.
type PostfixOptions struct {
	Hostname string
	// Address to listen on; default 127.0.0.1. Port is one of it; default a free one.
	Address string
	Port    uint16
	// Lag is how long after a new certificate can be fetched it is served, as in a pod whose Secret
	// the kubelet refreshes late.
	Lag time.Duration
	// Fetch returns the PEM chain and key of now; both are empty while there are none.
	Fetch func() (certificate, key []byte)
	// Others fetch the chains that are served beside it, such as one with an RSA key. Each has a Lag
	// of its own; a connection meets the one that its signature algorithms ask for.
	Others []func() (certificate, key []byte)
}

// Postfix is a running Postfix that takes connections and no mail.
type Postfix struct {
	*postfix.Instance
	t    testing.TB
	addr netip.AddrPort

	mu sync.Mutex
	// chains are the PEM texts that smtpd has, and served the SHA-256 of their public keys, by the place
	// of the function that fetches them.
	chains [][]byte
	served []string
}

// StartPostfix starts master and smtpd with everything in a folder of their own. Postfix wants to be
// started by root. Until the first certificate can be fetched smtpd offers no STARTTLS.
func StartPostfix(t testing.TB, o PostfixOptions) *Postfix {
	t.Helper()
	if o.Address == "" {
		o.Address = "127.0.0.1"
	}
	n := 1 + len(o.Others)
	p := &Postfix{Instance: postfix.New(t), t: t, addr: freeAddr(t, o.Address), chains: make([][]byte, n), served: make([]string, n)}
	if o.Port != 0 {
		p.addr = netip.AddrPortFrom(p.addr.Addr(), o.Port)
	}
	p.configure(o)
	p.Start(p.addr)
	looks := []func(){p.reloader(0, o.Lag, o.Fetch)}
	for i, fetch := range o.Others {
		looks = append(looks, p.reloader(1+i, o.Lag, fetch))
	}
	t.Cleanup(every(100*time.Millisecond, func() {
		for _, look := range looks {
			look()
		}
	}))
	return p
}

// Addr is where smtpd listens.
func (p *Postfix) Addr() netip.AddrPort { return p.addr }

// Served is the SHA-256 of the public key that new connections meet, in hex; empty before the first.
func (p *Postfix) Served() string { return p.ServedBeside(0) }

// ServedBeside is Served for the chain of one of the Others, counted from 1.
func (p *Postfix) ServedBeside(i int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.served[i]
}

func freeAddr(t testing.TB, address string) netip.AddrPort {
	t.Helper()
	return netip.AddrPortFrom(netip.MustParseAddr(address), servers.FreePort(t, address))
}

// configure writes the configuration. Where smtpd listens is in master.cf; in main.cf Postfix takes only
// addresses that an interface has. Every smtpd takes one connection, so that a certificate counts
// from the next connection on.
func (p *Postfix) configure(o PostfixOptions) {
	p.t.Helper()
	p.Write("etc/main.cf", p.Common(o.Hostname)+`smtpd_relay_restrictions = reject
smtpd_recipient_restrictions = reject
smtpd_tls_security_level = may
smtpd_tls_chain_files = $config_directory/chain.pem
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_event_limit_exceptions = static:all
max_use = 1
`)
	p.Write("etc/master.cf", fmt.Sprintf(`%s inet n - n - 20 smtpd
postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
`, p.addr))
}

// reloader looks for a new chain of one place and serves it when its time has come.
func (p *Postfix) reloader(place int, lag time.Duration, fetch func() (certificate, key []byte)) func() {
	type pending struct {
		chain []byte
		spki  string
		at    time.Time
	}
	var waiting []pending
	var last []byte
	return func() {
		certificate, key := fetch()
		if chain := append(bytes.Clone(key), certificate...); len(certificate) > 0 && !bytes.Equal(chain, last) {
			if spki, err := spkiOf(certificate, key); err == nil { // else half-way through a change
				last = chain
				waiting = append(waiting, pending{chain, spki, time.Now().Add(lag)})
			}
		}
		for len(waiting) > 0 && !time.Now().Before(waiting[0].at) {
			p.serve(place, waiting[0].chain, waiting[0].spki)
			waiting = waiting[1:]
		}
	}
}

// serve replaces the file that the next smtpd reads: each key is followed by its chain.
func (p *Postfix) serve(place int, chain []byte, spki string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chains[place] = chain
	next := p.File("etc/chain.next")
	if err := os.WriteFile(next, bytes.Join(p.chains, nil), 0o600); err != nil {
		p.t.Errorf("Postfix: %v", err)
		return
	}
	if err := os.Rename(next, p.File("etc/chain.pem")); err != nil {
		p.t.Errorf("Postfix: %v", err)
		return
	}
	p.served[place] = spki
}

func spkiOf(certificate, key []byte) (string, error) {
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return "", err
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:]), nil
}

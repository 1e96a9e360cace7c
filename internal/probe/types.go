// Package probe connects to mail servers as a DANE sender does (RFC 7672): STARTTLS or implicit
// TLS, SNI set to the TLSA base domain, once per address and per key type, and reports the chain
// that is presented. It judges nothing: matching is internal/tlsa's, deciding internal/rollover's.
package probe

import (
	"context"
	"crypto/x509"
	"net/netip"
	"time"
)

// Protocol spoken by a server. The ones that end in S start with TLS, the others use STARTTLS (STLS in
// POP3). Submission is SMTP.
type Protocol string

// The protocols.
const (
	SMTP        Protocol = "SMTP"
	SMTPS       Protocol = "SMTPS"
	IMAP        Protocol = "IMAP"
	IMAPS       Protocol = "IMAPS"
	POP3        Protocol = "POP3"
	POP3S       Protocol = "POP3S"
	ManageSieve Protocol = "ManageSieve"
)

// KeyType asks the server for a certificate with a key of that type.
type KeyType string

// The key types. Any takes what the server prefers (TLS 1.3 where it can).
const (
	AnyKey KeyType = "Any"
	RSA    KeyType = "RSA"
	ECDSA  KeyType = "ECDSA"
)

// Target is one address to connect to.
type Target struct {
	// Host is the TLSA base domain: it is sent as SNI (RFC 7672 section 8.1).
	Host     string
	Addr     netip.AddrPort
	Protocol Protocol
	KeyType  KeyType
	// Proxy is the PROXY header that is sent first.
	Proxy ProxyProtocol
	// Trusted says that the address comes from a Service of the cluster and not from DNS: the
	// dial policy then admits private addresses.
	Trusted bool
}

// Outcome says in one word how a probe ended.
type Outcome string

// The outcomes.
const (
	// Presented: the handshake gave a chain.
	Presented Outcome = "Presented"
	// NoSuchKeyType: the server has no certificate with a key of the type asked for.
	NoSuchKeyType Outcome = "NoSuchKeyType"
	// NoTLS: the server answered and does not offer STARTTLS, or refused it, or it cannot be said.
	NoTLS Outcome = "NoTLS"
	// HandshakeFailed: TLS began and failed.
	HandshakeFailed Outcome = "HandshakeFailed"
	// Unreachable: no connection, or no understandable greeting.
	Unreachable Outcome = "Unreachable"
	// Forbidden: the dial policy does not admit the address.
	Forbidden Outcome = "Forbidden"
)

// Result is what one probe found.
type Result struct {
	Target  Target
	Start   time.Time
	End     time.Time
	Outcome Outcome
	// Chain as presented, leaf first; set with outcome Presented only.
	Chain []*x509.Certificate
	// Message for people, stable, at most 512 cleaned bytes of what the server said in it.
	Message string
}

// Prober connects to targets.
type Prober interface {
	// Probe connects once. It returns when it is done or ctx ends, and never panics on what a
	// server sends.
	Probe(ctx context.Context, target Target) Result
}

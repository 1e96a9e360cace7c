// Package senderview says how a sender with DANE sees a mail domain (RFC 7672 section 2.2): for each mail
// server whether mail to it is authenticated, only encrypted, protected by nothing, or not delivered at
// all, and which link is to blame. It decides from lookups made elsewhere, and asks nothing itself.
package senderview

import "github.com/dane-operator/dane-operator/internal/dnssec"

// Verdict is what a sender does with mail.
type Verdict string

// The verdicts.
const (
	// DANE: mail is delivered to an authenticated server or not at all.
	DANE Verdict = "DANE"
	// EncryptOnly: there are secure TLSA records, but none that a sender can use. Mail is encrypted, and
	// the server is not authenticated.
	EncryptOnly Verdict = "EncryptOnly"
	// Opportunistic: no secure TLSA record speaks for the server. Mail is delivered with TLS or without.
	Opportunistic Verdict = "Opportunistic"
	// Undeliverable: mail is not delivered to the server, and waits for another one or for a repair.
	Undeliverable Verdict = "Undeliverable"
	// NoMail: the domain says with a null MX that it takes no mail (RFC 7505). It is for domains alone.
	NoMail Verdict = "NoMail"
)

// Link is one step on the way from a domain to the certificate of its server.
type Link struct {
	// Name and Type of the RRset, such as CNAME; Target of an alias.
	Name, Type, Target string
	// Asked is the name that was asked for, where aliases lead from it to Name.
	Asked string
	State dnssec.State
	// Cause says why it is not Secure; it may be empty.
	Cause string
}

// Domain is a mail domain as it was looked up.
type Domain struct {
	// Name of the domain: the next hop of mail.
	Name string
	// Port at which mail is delivered; 0 is 25.
	Port uint16
	// MX is the answer to the question for MX records, and Exchanges are the hosts in it. With "." alone
	// it is a null MX. Without MX records the domain itself is the host (RFC 5321 section 5.1).
	MX        Answer
	Exchanges []string
	// Hosts has what was looked up for each exchange, or for the domain itself.
	Hosts []Host
}

// Host is a mail server as it was looked up.
type Host struct {
	Name    string
	A, AAAA Answer
	// TLSA has an entry for each base domain at which TLSA records were looked up: the name of the host,
	// and the end of its aliases if all of them are secure.
	TLSA []TLSA
}

// TLSA is what was found at _port._tcp below a base domain.
type TLSA struct {
	Base   string
	Answer Answer
	// Usable is how many of the records senders can use (RFC 7672 section 3.1).
	Usable int
	// Endpoints are what the addresses present, judged by these records, with ReferenceNames of this base.
	// Without any it is supposed that the server presents what it should.
	Endpoints []Endpoint
}

// Presented says what a server did when it was connected to.
type Presented string

// What servers do.
const (
	// Matched: the certificate matches a usable TLSA record. Mismatched: it matches none.
	Matched    Presented = "Matched"
	Mismatched Presented = "Mismatched"
	// NoTLS: STARTTLS is not offered, or the handshake fails.
	NoTLS Presented = "NoTLS"
	// Unreachable: no connection, or no SMTP.
	Unreachable Presented = "Unreachable"
)

// Endpoint is one address of a host, and what it presented.
type Endpoint struct {
	Address   string
	Presented Presented
	// Reason says more, such as why a certificate does not match; it may be empty.
	Reason string
}

// HostView is how a sender sees one mail server.
type HostView struct {
	Host    string
	Verdict Verdict
	// Base is the TLSA base domain: the name in SNI, and the first that a certificate is checked for
	// (RFC 7672 section 2.2.3). It is empty unless secure TLSA records were found.
	Base string
	// Blame is the link that keeps the server from being authenticated or reached; nil when none does.
	Blame *Link
	// Eager is the verdict of senders that authenticate though the MX records are insecure, as RFC 7672
	// section 2.2.1 lets them. It is empty unless they are, and TLSA records were looked up.
	Eager Verdict
	// Message is for the one who keeps the domain: what it comes to, why, and what to do.
	Message string
}

// DomainView is how a sender sees a mail domain.
type DomainView struct {
	Domain string
	// Verdict is the worst that an attacker can choose by keeping servers out of reach: the weakest of
	// the servers that mail is delivered to. It is Undeliverable if there is none.
	Verdict Verdict
	Message string
	// Hosts in the order of the exchanges.
	Hosts []HostView
}

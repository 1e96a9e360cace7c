// Package tlsrpt reads SMTP TLS reports (RFC 8460): what the senders of mail say about the TLS sessions that they
// had, or could not have, with the mail servers of a domain.
//
// It takes what real senders send, which is seldom quite what the RFC says, and notes each deviation. It is strict
// where an attacker could gain: anybody may post a report, so what comes in is bounded in bytes, depth, elements and
// length of texts, and every text is cleaned before anything else sees it. A report is never more than what somebody
// said: who said it, and whether that was proved, is told by the one who took it in.
package tlsrpt

import "time"

// Report is one aggregate report (RFC 8460, section 4.4). All texts are clean: see CleanText.
type Report struct {
	// Organization is the sender that made the report, by its own account.
	Organization string
	// ID is the report-id. Together with Organization, Start and End it tells reports apart.
	ID string
	// Contact is how to reach the sender; often empty.
	Contact string
	// Start and End are the time that the report covers.
	Start, End time.Time
	Policies   []Policy
	// Deviations say where the report differs from RFC 8460, each once.
	Deviations []string
}

// Policy is what happened under one policy of one domain.
type Policy struct {
	Type PolicyType
	// Domain is the policy-domain in lower case without a dot at its end: the domain of the recipients, or, from
	// some senders, the mail host. It is empty where the sender left it out.
	Domain string
	// MXHosts are the mail hosts that the policy names, in lower case without a dot at the end.
	MXHosts []string
	// Strings are the policy as the sender read it: TLSA records as "3 1 1 hex", or the lines of an MTA-STS policy.
	Strings []string
	// Successful and Failed count sessions.
	Successful, Failed int64
	Failures           []Failure
}

// Detailed are the failures of a policy. What a report tells of its failures in detail need not add up to the number of all
// that failed: what is left over is one more, of the result "other".
func (p Policy) Detailed() []Failure {
	rest := p.Failed
	for _, f := range p.Failures {
		rest -= f.Sessions
	}
	if rest <= 0 {
		return p.Failures
	}
	return append(p.Failures[:len(p.Failures):len(p.Failures)], Failure{Result: OtherResult, Sessions: rest})
}

// Failure is one group of sessions that failed alike.
type Failure struct {
	Result ResultType
	// Sessions is how many failed so.
	Sessions int64
	// ReceivingMX is the mail host, in lower case without a dot at the end; empty where it is not told.
	ReceivingMX string
	// ReceivingHELO, ReceivingIP and SendingIP are as the sender wrote them; empty where they are not told.
	ReceivingHELO, ReceivingIP, SendingIP string
	// Reason is the failure-reason-code. Information is the additional-information: a URI that is shown as text
	// and never fetched.
	Reason, Information string
}

// PolicyType is a policy-type of RFC 8460, section 4.4.
type PolicyType string

// The policy types. OtherPolicy stands for any that the RFC does not name.
const (
	TLSA          PolicyType = "tlsa"
	STS           PolicyType = "sts"
	NoPolicyFound PolicyType = "no-policy-found"
	OtherPolicy   PolicyType = "other"
)

// ResultType is a result-type of RFC 8460, section 4.3.
type ResultType string

// The result types. OtherResult stands for any that the RFC does not name.
const (
	STARTTLSNotSupported    ResultType = "starttls-not-supported"
	CertificateHostMismatch ResultType = "certificate-host-mismatch"
	CertificateExpired      ResultType = "certificate-expired"
	CertificateNotTrusted   ResultType = "certificate-not-trusted"
	ValidationFailure       ResultType = "validation-failure"
	TLSAInvalid             ResultType = "tlsa-invalid"
	DNSSECInvalid           ResultType = "dnssec-invalid"
	DANERequired            ResultType = "dane-required"
	STSPolicyFetchError     ResultType = "sts-policy-fetch-error"
	STSPolicyInvalid        ResultType = "sts-policy-invalid"
	STSWebPKIInvalid        ResultType = "sts-webpki-invalid"
	OtherResult             ResultType = "other"
)

// ResultTypes lists all of them, OtherResult last.
func ResultTypes() []ResultType {
	return []ResultType{
		STARTTLSNotSupported, CertificateHostMismatch, CertificateExpired, CertificateNotTrusted, ValidationFailure,
		TLSAInvalid, DNSSECInvalid, DANERequired, STSPolicyFetchError, STSPolicyInvalid, STSWebPKIInvalid, OtherResult,
	}
}

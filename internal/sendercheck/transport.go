package sendercheck

import (
	"fmt"
	"strings"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
)

const takesNone = "the domain takes no mail"

// tlsrpt grades whether senders tell of failures.
func (p domainParts) tlsrpt() PartReport {
	at := mailrecord.TLSRPTName(p.name())
	if p.takesNoMail() {
		return PartReport{Part: PartTLSRPT, Grade: NotNeeded, Advice: takesNone, At: at}
	}
	out, text, done := p.txt(PartTLSRPT, mailrecord.KindTLSRPT, at,
		fmt.Sprintf("nobody tells you when TLS fails; publish \"v=TLSRPTv1; rua=mailto:ADDRESS\" as TXT at %s", at))
	if done {
		return out
	}
	record, problems := mailrecord.ParseTLSRPT(text)
	if out.Problems = problems; !problems.Fatal() {
		out.Problems = append(out.Problems, record.Place(p.name())...)
	}
	return out.graded("senders report to " + shown(strings.Join(record.URIs, ", ")))
}

// PolicyReport is a policy of MTA-STS.
type PolicyReport struct {
	URL string `json:"url"`
	// Mode is enforce, testing or none.
	Mode mailrecord.Mode `json:"mode,omitempty"`
	// MaxAgeSeconds is how long senders keep the policy.
	MaxAgeSeconds int64    `json:"maxAgeSeconds,omitempty"`
	MX            []string `json:"mx,omitempty"`
}

// mtasts grades the policy for senders that do not do DANE.
func (p domainParts) mtasts() PartReport {
	at := mailrecord.MTASTSName(p.name())
	if p.takesNoMail() {
		return PartReport{Part: PartMTASTS, Grade: NotNeeded, Advice: takesNone, At: at}
	}
	out, text, done := p.txt(PartMTASTS, mailrecord.KindMTASTS, at, fmt.Sprintf(
		"senders that do not do DANE are not kept to TLS; serve a policy at %s, and then publish \"v=STSv1; id=1\" as TXT at %s", policyURL(p.name()), at))
	if done {
		return out
	}
	_, out.Problems = mailrecord.ParseMTASTS(text)
	if out.Problems.Fatal() {
		return out.graded("")
	}
	if p.Policies == nil {
		out.Grade, out.Advice = NotChecked, fmt.Sprintf("there is a record; the policy at %s was not fetched", policyURL(p.name()))
		return out
	}
	body, problems := p.Policies.Fetch(p.ctx, p.name())
	out.Policy = &PolicyReport{URL: policyURL(p.name())}
	if out.Problems = append(out.Problems, problems...); problems.Fatal() {
		return p.besideDANE(out.graded(""))
	}
	policy, problems := mailrecord.ParsePolicy(body)
	if out.Problems = append(out.Problems, problems...); problems.Fatal() {
		return p.besideDANE(out.graded(""))
	}
	out.Policy.Mode, out.Policy.MaxAgeSeconds, out.Policy.MX = policy.Mode, int64(policy.MaxAge/time.Second), policy.MX
	out.Problems = append(out.Problems, policy.Hosts(p.hosts())...)
	return p.besideDANE(out.graded("").inMode(policy.Mode))
}

// hosts are those that mail goes to.
func (p domainParts) hosts() []string {
	var out []string
	for _, h := range p.view.Hosts {
		out = append(out, h.Host)
	}
	return out
}

// inMode says what the mode comes to, where nothing worse is known.
func (r PartReport) inMode(mode mailrecord.Mode) PartReport {
	if r.Grade != Good {
		return r
	}
	switch mode {
	case mailrecord.ModeEnforce:
		r.Advice = "senders that do not do DANE deliver to the servers of the policy alone, with certificates that public CAs vouch for"
	case mailrecord.ModeTesting:
		r.Grade, r.Advice = Improve, "senders report what fails and deliver all the same; write mode: enforce once reports of TLS-RPT show no failures, and then change the id"
	default:
		r.Grade, r.Advice = Improve, "the policy says that there is none any more; write mode: testing, and then change the id, or take the record away once max_age is over"
	}
	return r
}

// besideDANE reminds of what a policy does not do: senders with DANE go by DANE (RFC 8461 section 2).
func (p domainParts) besideDANE(r PartReport) PartReport {
	if p.view.Verdict == senderview.Undeliverable {
		r.Advice += "; it does not help senders with DANE, since MTA-STS never overrides a DANE failure (RFC 8461 section 2)"
	}
	return r
}

package sendercheck

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
)

// Grade says how well a part of a mail domain is done.
type Grade string

// The grades.
const (
	Good Grade = "Good"
	// Improve: it works, and could do more.
	Improve Grade = "Improve"
	// Missing: it is not there. Broken: it is, and does not work.
	Missing Grade = "Missing"
	Broken  Grade = "Broken"
	// Unknown: it could not be found out.
	Unknown Grade = "Unknown"
	// NotNeeded: the domain takes no mail. NotChecked: it was not asked for.
	NotNeeded  Grade = "NotNeeded"
	NotChecked Grade = "NotChecked"
)

// Part is a part of a mail domain.
type Part string

// The parts, in the order in which they are told.
const (
	PartMX     Part = "MX"
	PartDNSSEC Part = "DNSSEC"
	PartDANE   Part = "DANE"
	PartTLSRPT Part = "TLS-RPT"
	PartMTASTS Part = "MTA-STS"
	PartSPF    Part = "SPF"
	PartDMARC  Part = "DMARC"
	PartDKIM   Part = "DKIM"
)

// PartReport is what was found of one part.
type PartReport struct {
	Part  Part  `json:"part"`
	Grade Grade `json:"grade"`
	// Advice is one line: what was found, and what to do next.
	Advice string `json:"advice"`
	// Selector is that of a DKIM key.
	Selector string `json:"selector,omitempty"`
	// At is the name where the record stands or should stand, and Record its text as in a zone file.
	At     string `json:"at,omitempty"`
	Record string `json:"record,omitempty"`
	// DNSSEC says how the lookup of the record validated.
	DNSSEC dnssec.State `json:"dnssec,omitempty"`
	// Policy is the policy of MTA-STS.
	Policy *PolicyReport `json:"policy,omitempty"`
	// SPF is what receivers have to look up.
	SPF *SPFReport `json:"spf,omitempty"`
	// Problems are all that was found wrong.
	Problems mailrecord.Problems `json:"problems,omitempty"`
}

// Attention says that the part is missing or broken, or that nobody knows.
func (p PartReport) Attention() bool {
	return p.Grade == Missing || p.Grade == Broken || p.Grade == Unknown
}

// partsTime is how long all of it takes at most: whoever writes the records decides how much there is to look up.
const partsTime = 2 * time.Minute

// parts are what is looked up beside what senders with DANE need, all at once.
func (l *looking) parts(d senderview.Domain, view senderview.DomainView) []PartReport {
	out := []PartReport{mxPart(d, view), dnssecPart(d, view), danePart(view)}
	ctx, cancel := context.WithTimeout(l.ctx, partsTime)
	defer cancel()
	at := domainParts{l.Checker, ctx, lookups{l.Resolver}, d, view}
	asks := []func() PartReport{at.tlsrpt, at.mtasts, at.spf, at.dmarc}
	for _, selector := range l.Selectors {
		asks = append(asks, func() PartReport { return at.dkim(selector) })
	}
	if len(l.Selectors) == 0 {
		asks = append(asks, noSelectors)
	}
	found, failed := make([]PartReport, len(asks)), make([]any, len(asks))
	var all sync.WaitGroup
	for i, ask := range asks {
		all.Go(func() { failed[i] = dnssec.Panicked(func() { found[i] = ask() }) })
	}
	all.Wait()
	for _, problem := range failed {
		if problem != nil {
			panic(problem) // where the caller can deal with it
		}
	}
	return append(out, found...)
}

// domainParts looks at the parts of one domain.
type domainParts struct {
	Checker
	ctx     context.Context
	lookups lookups
	d       senderview.Domain
	view    senderview.DomainView
}

func (p domainParts) name() string { return p.d.Name }

func (p domainParts) takesNoMail() bool { return p.view.Verdict == senderview.NoMail }

// txt looks a record up. The report is finished already where there is none to go on with.
func (p domainParts) txt(part Part, kind mailrecord.Kind, at, absent string) (out PartReport, text string, done bool) {
	out = PartReport{Part: part, At: at}
	answer, state := p.lookups.ask(p.ctx, at, mailrecord.TypeTXT)
	out.DNSSEC = state
	if answer.Cause != "" {
		return out.failed(answer.Cause), "", true
	}
	found := mailrecord.Select(kind, mailrecord.Texts(answer.RRs))
	if found.Problems.Fatal() {
		out.Problems = found.Problems
		return out.graded(""), "", true
	}
	if found.Text == "" {
		out.Grade, out.Advice = Missing, absent
		return out, "", true
	}
	out.Record = mailrecord.Quote(found.Text)
	return out, found.Text, false
}

// failed is the report where the lookup fails. What is bogus is broken for everybody who validates.
func (p PartReport) failed(cause string) PartReport {
	p.Grade, p.Advice = Unknown, fmt.Sprintf("the lookup of %s fails (%s); see that every name server of that zone answers it", p.At, cause)
	if p.DNSSEC == dnssec.Bogus {
		p.Grade, p.Advice = Broken, fmt.Sprintf("the lookup of %s is bogus (%s); mend the signatures of that zone, or its DS records", p.At, cause)
	}
	return p
}

// graded grades by the problems; fine is said without any.
func (p PartReport) graded(fine string) PartReport {
	worst := p.Problems.Worst()
	switch {
	case worst == nil:
		p.Grade, p.Advice = Good, fine
		return p
	case worst.Severity == mailrecord.Fatal:
		p.Grade = Broken
	default:
		p.Grade = Improve
	}
	p.Advice = worst.Message + "; " + worst.Advice
	if more := len(p.Problems) - 1; more > 0 {
		p.Advice += fmt.Sprintf(" (and %d more)", more)
	}
	return p
}

// Lookups answers what the records of a mail domain ask, by a validator: what is bogus could not be found out.
func Lookups(r senderview.Resolver) mailrecord.Resolver { return lookups{r} }

// lookups answers what the records ask, by the validator.
type lookups struct{ r senderview.Resolver }

// Lookup is mailrecord.Resolver.
func (l lookups) Lookup(ctx context.Context, name string, qtype uint16) mailrecord.Answer {
	answer, _ := l.ask(ctx, name, qtype)
	return answer
}

func (l lookups) ask(ctx context.Context, name string, qtype uint16) (mailrecord.Answer, dnssec.State) {
	result := l.r.Lookup(ctx, strings.TrimSuffix(name, ".")+".", qtype)
	out := mailrecord.Answer{RRs: result.RRs, NoName: result.Kind == dnssec.NXDomain}
	answered := result.Kind == dnssec.Data || result.Kind == dnssec.NoData || result.Kind == dnssec.NXDomain
	if answered && (result.State == dnssec.Secure || result.State == dnssec.Insecure) {
		return out, result.State
	}
	cause := senderview.From(result).Cause
	if cause == "" {
		cause = "no answer"
	}
	return mailrecord.Answer{Cause: cause}, result.State
}

// shown is text that somebody else wrote, fit for a terminal.
func shown(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	return text[:min(len(text), 300)]
}

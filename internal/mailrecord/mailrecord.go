// Package mailrecord knows the records of a mail domain beside TLSA: TLS-RPT (RFC 8460), MTA-STS and its policy
// (RFC 8461), SPF (RFC 7208), DMARC (RFC 9989, before that RFC 7489), and the keys of DKIM (RFC 6376, 8301, 8463). Each
// is parsed as strictly as its RFC says, checked before it is published, and rendered in one canonical form. What is
// wrong is told as a Problem: which tag, by which rule, and what to do.
//
// It asks nothing itself. What SPF and DMARC have to look up is asked of a Resolver.
package mailrecord

import (
	"fmt"
	"strings"
)

// Kind is a kind of record.
type Kind string

// The kinds.
const (
	KindTLSRPT Kind = "TLS-RPT"
	KindMTASTS Kind = "MTA-STS"
	// KindPolicy is the policy of MTA-STS that is served over HTTPS.
	KindPolicy Kind = "MTA-STS policy"
	KindSPF    Kind = "SPF"
	KindDMARC  Kind = "DMARC"
	KindDKIM   Kind = "DKIM"
)

// Severity says what a problem does.
type Severity string

// The severities.
const (
	// Fatal: whoever reads the record ignores it, or takes it for an error. It does nothing.
	Fatal Severity = "Fatal"
	// Wrong: a part of the record is ignored, or something else than what was meant takes its place.
	Wrong Severity = "Wrong"
	// Unwise: the record is valid, and better otherwise.
	Unwise Severity = "Unwise"
)

// Code says in one word what a problem is.
type Code string

// The codes.
const (
	// NotThisRecord: the text does not begin as the record has to.
	NotThisRecord Code = "NotThisRecord"
	// Several: there is more than one record where there has to be one.
	Several Code = "Several"
	// BadSyntax: the text, or the value of a tag, is not of the form that the RFC gives.
	BadSyntax Code = "BadSyntax"
	// BadValue: the value is of the right form, and none of those that there are.
	BadValue Code = "BadValue"
	// BadURI: a report cannot be sent there.
	BadURI Code = "BadURI"
	// BadMacro: a macro of SPF that cannot be expanded.
	BadMacro Code = "BadMacro"
	// Duplicate: a tag that may stand once stands again.
	Duplicate Code = "Duplicate"
	// MissingTag: a tag that has to be there is not.
	MissingTag Code = "MissingTag"
	// Historic: a tag or mechanism that a newer RFC took out, or advises against.
	Historic Code = "Historic"
	// TooLong: longer than what fits.
	TooLong Code = "TooLong"
	// TooManyLookups and TooManyVoidLookups: receivers give up (RFC 7208 section 4.6.4).
	TooManyLookups     Code = "TooManyLookups"
	TooManyVoidLookups Code = "TooManyVoidLookups"
	// TooManyAddresses: an MX RRset of SPF has more than ten hosts (RFC 7208 section 4.6.4).
	TooManyAddresses Code = "TooManyAddresses"
	// Loop: an SPF record includes itself.
	Loop Code = "Loop"
	// Dangling: what the record refers to is not there, or is broken.
	Dangling Code = "Dangling"
	// LookupFailed: it could not be found out.
	LookupFailed Code = "LookupFailed"
	// Unreachable: the policy host cannot be connected to. BadCertificate: it does not prove its name.
	Unreachable    Code = "Unreachable"
	BadCertificate Code = "BadCertificate"
	// Redirected: it leads to another place, where senders do not go. BadAnswer: it answers otherwise than it should.
	Redirected Code = "Redirected"
	BadAnswer  Code = "BadAnswer"
	// Unreached: nothing looks at this part.
	Unreached Code = "Unreached"
	// TooWeak: the record protects less than it could.
	TooWeak Code = "TooWeak"
	// WeakKey: a key that is too short, or longer than every receiver reads.
	WeakKey Code = "WeakKey"
	// Revoked: the record says that the key is not used any more.
	Revoked Code = "Revoked"
)

// Problem is what is wrong with a record.
type Problem struct {
	Record   Kind     `json:"record"`
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	// Tag is the tag, field, mechanism or modifier concerned; empty for the record as a whole.
	Tag string `json:"tag,omitempty"`
	// Rule is where that is said, such as "RFC 7208 section 4.6.4".
	Rule string `json:"rule"`
	// Message says what is wrong, and Advice what to do.
	Message string `json:"message"`
	Advice  string `json:"advice"`
}

// Error tells all of it in one line.
func (p Problem) Error() string {
	at := string(p.Record)
	if p.Tag != "" {
		at += ", " + p.Tag
	}
	return fmt.Sprintf("%s: %s; %s (%s)", at, p.Message, p.Advice, p.Rule)
}

// Problems are those of one record, in the order of its text.
type Problems []Problem

// Fatal says that nobody goes by the record.
func (p Problems) Fatal() bool { return p.First(Fatal) != nil }

// First is the first problem of a severity; nil if there is none.
func (p Problems) First(s Severity) *Problem {
	for i := range p {
		if p[i].Severity == s {
			return &p[i]
		}
	}
	return nil
}

// Worst is the first problem of the worst severity there is; nil without problems.
func (p Problems) Worst() *Problem {
	for _, s := range []Severity{Fatal, Wrong, Unwise} {
		if found := p.First(s); found != nil {
			return found
		}
	}
	return nil
}

// Error tells all of them, a line each.
func (p Problems) Error() string {
	var lines []string
	for _, each := range p {
		lines = append(lines, each.Error())
	}
	return strings.Join(lines, "\n")
}

// collector gathers the problems of one record.
type collector struct {
	kind  Kind
	found Problems
}

// at names a tag and the rule that speaks of it, for the problems that are added to it.
func (c *collector) at(tag, rule string) place { return place{c, tag, rule} }

type place struct {
	*collector
	tag, rule string
}

func (p place) add(s Severity, code Code, message, advice string) {
	p.found = append(p.found, Problem{Record: p.kind, Code: code, Severity: s, Tag: p.tag, Rule: p.rule, Message: message, Advice: advice})
}

func (p place) fatal(code Code, message, advice string)  { p.add(Fatal, code, message, advice) }
func (p place) wrong(code Code, message, advice string)  { p.add(Wrong, code, message, advice) }
func (p place) unwise(code Code, message, advice string) { p.add(Unwise, code, message, advice) }

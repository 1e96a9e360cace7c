package mailplan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/dane-operator/dane-operator/internal/mailrecord"
)

// This file makes records of what a spec asks for, and says which rule one breaks that must not be published.

// Wish is a record that a spec asks for.
type Wish struct {
	// Data is the record as it stands in a zone file; empty when Invalid says which field breaks which rule.
	Data    []string
	Invalid string
	// Policy is the policy of MTA-STS that goes with the record.
	Policy string
}

// TLSRPTWish is where the senders of mail for a domain report.
func TLSRPTWish(domain string, r mailrecord.TLSRPT) Wish {
	return wish(TLSRPT, r.Render(), r.Validate(domain))
}

// DMARCWish is what receivers do with mail that fails.
func DMARCWish(r mailrecord.DMARC) Wish { return wish(DMARC, r.Render(), r.Validate()) }

// DMARCReportWish is the agreement to take reports.
func DMARCReportWish() Wish { return Wish{Data: []string{mailrecord.Quote(mailrecord.Consent)}} }

// SPFWish is which hosts may send. What the terms refer to is counted by SPFLimits.
func SPFWish(mechanisms []string, all string) Wish {
	text := strings.Join(append(append([]string{"v=spf1"}, mechanisms...), all+"all"), " ")
	r, found := mailrecord.ParseSPF(text)
	return wish(SPF, r.Render(), found)
}

// MTASTSWish is a policy, with an id that is another one for each policy: it stands for what is in it, so that it is found
// again when nothing is remembered. Hosts are those that the MX records name.
func MTASTSWish(p mailrecord.Policy, hosts []string) Wish {
	body := p.Render()
	digest := sha256.Sum256([]byte(body))
	r := mailrecord.MTASTS{ID: hex.EncodeToString(digest[:10])}
	out := wish(MTASTS, r.Render(), append(p.Validate(hosts), r.Validate()...))
	out.Policy = body
	return out
}

// wish is a record, unless a problem keeps it from doing what it says.
func wish(record Record, text string, found mailrecord.Problems) Wish {
	for _, p := range found {
		if p.Severity != mailrecord.Unwise {
			return Wish{Invalid: invalid(record, p)}
		}
	}
	return Wish{Data: []string{mailrecord.Quote(text)}}
}

// fields are the fields of the spec that tags come from.
var fields = map[Record]map[string]string{
	TLSRPT: {"": "spec.tlsReporting", "rua": "spec.tlsReporting.rua"},
	MTASTS: {"": "spec.mtaSTS", "mode": "spec.mtaSTS.mode", "max_age": "spec.mtaSTS.maxAge", "mx": "spec.mailServers"},
	SPF:    {"": "spec.spf.mechanisms", "all": "spec.spf.all"},
	DMARC: {
		"": "spec.dmarc", "p": "spec.dmarc.policy", "sp": "spec.dmarc.subdomainPolicy", "adkim": "spec.dmarc.alignment.dkim", "aspf": "spec.dmarc.alignment.spf",
		"rua": "spec.dmarc.rua", "ruf": "spec.dmarc.ruf",
	},
}

func invalid(record Record, p mailrecord.Problem) string {
	field, ok := fields[record][p.Tag]
	if !ok {
		field = fields[record][""]
	}
	return fmt.Sprintf("%s: %s; %s (%s)", field, p.Message, p.Advice, p.Rule)
}

// Limits are what came of looking up what a record refers to: of counting it, for SPF (RFC 7208 section 4.6.4), and
// of asking for agreement, for DMARC.
type Limits struct {
	// Invalid says which limit is passed, or what is referred to that is not there. Unknown says what could not be looked up.
	// Both are empty when all is well.
	Invalid, Unknown string
}

// Reported are the domains elsewhere that the reports of a DMARC record of a domain go to.
func Reported(domain string, data []string) []string {
	record, ok := dmarcOf(data)
	if !ok {
		return nil
	}
	return record.Receivers(domain)
}

// DMARCConsents asks the domains elsewhere that reports of a DMARC record go to whether they take them (RFC 9990 section 4).
func DMARCConsents(ctx context.Context, r mailrecord.Resolver, domain string, data []string) Limits {
	record, ok := dmarcOf(data)
	if !ok {
		return Limits{}
	}
	var out Limits
	found := mailrecord.DMARCFound{Domain: domain, Record: record, Organizational: mailrecord.DiscoverDMARC(ctx, r, domain).Organizational}
	for _, p := range found.ReportReceivers(ctx, r) {
		switch {
		case p.Code == mailrecord.LookupFailed && out.Unknown == "":
			out.Unknown = invalid(DMARC, p)
		case p.Code != mailrecord.LookupFailed && out.Invalid == "":
			out.Invalid = invalid(DMARC, p)
		}
	}
	return out
}

func dmarcOf(data []string) (mailrecord.DMARC, bool) {
	if len(data) != 1 {
		return mailrecord.DMARC{}, false
	}
	text, err := mailrecord.Unquote(data[0])
	if err != nil {
		return mailrecord.DMARC{}, false
	}
	record, found := mailrecord.ParseDMARC(text)
	return record, !found.Fatal()
}

// NeedsCount says whether an SPF record refers to anything that has to be looked up.
func NeedsCount(data []string) bool {
	record, ok := spfOf(data)
	if !ok {
		return false
	}
	for _, t := range record.Terms {
		if t.Name != "ip4" && t.Name != "ip6" && t.Name != "all" {
			return true
		}
	}
	return false
}

// SPFLimits counts what receivers have to look up for a record of a domain.
func SPFLimits(ctx context.Context, r mailrecord.Resolver, domain string, data []string) Limits {
	record, ok := spfOf(data)
	if !ok {
		return Limits{}
	}
	var out Limits
	for _, p := range mailrecord.CountSPF(ctx, r, domain, record).Problems {
		switch {
		case p.Code == mailrecord.LookupFailed && follows(p.Tag) && out.Unknown == "":
			out.Unknown = invalid(SPF, p)
		case p.Severity == mailrecord.Fatal && out.Invalid == "":
			out.Invalid = invalid(SPF, p)
		}
	}
	return out
}

// follows says that what a term refers to decides how much is to be looked up; the tag is empty where all of it took too
// long. The others cost one lookup, whatever comes of it.
func follows(tag string) bool { return tag == "" || tag == "include" || tag == "redirect" }

func spfOf(data []string) (mailrecord.SPF, bool) {
	if len(data) != 1 {
		return mailrecord.SPF{}, false
	}
	text, err := mailrecord.Unquote(data[0])
	if err != nil {
		return mailrecord.SPF{}, false
	}
	record, found := mailrecord.ParseSPF(text)
	return record, !found.Fatal()
}

// PolicyHosts are the mail servers that a policy of MTA-STS names; none where it cannot be read.
func PolicyHosts(body string) []string {
	p, _ := mailrecord.ParsePolicy(body)
	return p.MX
}

// Agreed says, of the record DMARCReport, that every server that counts shows an agreement that is not ours, be it from a
// wildcard.
func (f Facts) Agreed() bool {
	if f.Sweep == nil {
		return false
	}
	r := &run{Facts: f}
	theirs := func(d string) bool { return !r.ours(d) }
	agreed := false
	for _, a := range f.Sweep.Answers {
		if !a.Ignored {
			if agreed = a.Reachable && slices.ContainsFunc(r.ofKind(a.Data), theirs); !agreed {
				return false
			}
		}
	}
	return agreed
}

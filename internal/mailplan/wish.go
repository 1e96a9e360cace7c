package mailplan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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

// Limits are what came of counting what receivers have to look up for an SPF record (RFC 7208 section 4.6.4).
type Limits struct {
	// Invalid says which limit is passed, or what is referred to that is not there. Unknown says what could not be looked up.
	// Both are empty when all is well.
	Invalid, Unknown string
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

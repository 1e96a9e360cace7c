package plugin

import (
	"context"
	"fmt"
	"strings"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/sendercheck"
)

// unknown is the verdict on a domain that nothing could be found out about from here.
const unknown senderview.Verdict = "Unknown"

// pathTo says what is wrong with the way to DNS from here, as dnssec.Validator.Path does.
type pathTo func(ctx context.Context, name string) *dnssec.Error

// look looks at a domain, unless nothing can be validated from here: then nothing is said against the domain. A resolver
// may also go away in the middle of it.
func (o *checkOptions) look(ctx context.Context, c sendercheck.Checker, path pathTo, domain string) sendercheck.Report {
	if err := path(ctx, domain); err != nil {
		return o.blind(domain, err)
	}
	report := c.Check(ctx, domain, o.port)
	if report.Verdict == senderview.Undeliverable {
		if err := path(ctx, domain); err != nil {
			return o.blind(domain, err)
		}
	}
	return report
}

// blind is the report where nothing can be validated from here.
func (o *checkOptions) blind(domain string, err *dnssec.Error) sendercheck.Report {
	domain = strings.TrimSuffix(domain, ".")
	what, todo := o.mend(err)
	return sendercheck.Report{Domain: domain, Verdict: unknown, Message: fmt.Sprintf(
		"nothing is known of %s, and nothing is said against it: %s (%s); %s", domain, what, err, todo)}
}

// mend says what is wrong with the way to DNS, and what to do.
func (o *checkOptions) mend(err *dnssec.Error) (what, todo string) {
	other := "name a resolver that hands on DNSSEC records: --resolvers HOST:PORT"
	if len(o.resolvers) > 0 {
		other = fmt.Sprintf("name another resolver with --resolvers than %s, or leave the flag out to ask from the root servers down", strings.Join(o.resolvers, ", "))
	}
	switch err.Reason {
	case dnssec.NoAnchor:
		return "there is no trust anchor for it", "put a DS record of its zone, or of one above it, into the file of --trust-anchors"
	case dnssec.Unreachable, dnssec.Busy:
		return "no usable answer comes from the DNS that is asked here", other
	case dnssec.Expired, dnssec.NotYetValid:
		return "by the clock of this machine even the signatures of the topmost zone are not valid", "set the clock; if it is right, " + other
	case dnssec.AnchorMismatch:
		return "who answers here shows other keys than those that are trusted", "with a root of your own, name its DS records with --trust-anchors FILE; otherwise " + other
	}
	return "the DNS that is asked here drops or changes what DNSSEC needs", other
}

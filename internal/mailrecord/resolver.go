package mailrecord

import (
	"context"
	"strings"

	"github.com/miekg/dns"
)

// The types of records that are looked up.
const (
	TypeA    = dns.TypeA
	TypeAAAA = dns.TypeAAAA
	TypeMX   = dns.TypeMX
	TypeTXT  = dns.TypeTXT
)

// Resolver looks up names, which have no dot at their end.
type Resolver interface {
	Lookup(ctx context.Context, name string, qtype uint16) Answer
}

// Answer is what a lookup came to. With neither records nor a cause there are none.
type Answer struct {
	RRs []dns.RR
	// NoName says that there is no such name (NXDOMAIN).
	NoName bool
	// Cause says why it could not be found out; empty when it could.
	Cause string
}

// empty says that it is an answer, and has nothing (a void lookup, RFC 7208 section 4.6.4).
func (a Answer) empty() bool { return a.Cause == "" && len(a.RRs) == 0 }

// exchanges are the hosts of MX records, without that of a null MX.
func (a Answer) exchanges() []string {
	var out []string
	for _, rr := range a.RRs {
		if mx, ok := rr.(*dns.MX); ok && mx.Mx != "." {
			out = append(out, strings.TrimSuffix(mx.Mx, "."))
		}
	}
	return out
}

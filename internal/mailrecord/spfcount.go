package mailrecord

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// The limits of RFC 7208 section 4.6.4, beyond which receivers take a record for a permanent error.
const (
	MaxSPFLookups     = 10
	MaxSPFVoidLookups = 2
	maxSPFExchanges   = 10
	limitRule         = "RFC 7208 section 4.6.4"
	// enough is where counting ends: whoever writes the records decides how far they lead.
	enough = 50
	// near is from where on there is little room for what an included record adds.
	near = 9
)

// SPFCount is what a receiver has to look up when nothing matches before the end.
type SPFCount struct {
	// Lookups are the terms that make a receiver look something up.
	Lookups int
	// VoidIPv4 and VoidIPv6 are the lookups that find nothing, for a client with an address of the kind.
	VoidIPv4, VoidIPv6 int
	// Terms are those of the record itself that look something up, each with all that it leads to.
	Terms []SPFCost
	// Unknown are terms with names that depend on the message. They are counted, and not followed.
	Unknown []string
	// Cut says that it was not counted to the end: there are far too many, or the context was over.
	Cut      bool
	Problems Problems
}

// SPFCost is what a term costs.
type SPFCost struct {
	Term    string
	Lookups int
}

// CountSPF follows the record of a domain through include and redirect.
func CountSPF(ctx context.Context, r Resolver, domain string, record SPF) SPFCount {
	w := &spfWalk{ctx: ctx, r: r, c: &collector{kind: KindSPF}}
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	w.record(domain, record, []string{domain})
	w.limits()
	w.out.Problems = w.c.found
	return w.out
}

type spfWalk struct {
	ctx context.Context
	r   Resolver
	c   *collector
	out SPFCount
}

// record goes through the terms that a receiver may come to.
func (w *spfWalk) record(domain string, record SPF, path []string) {
	for _, t := range record.reached() {
		before := w.out.Lookups
		if w.out.Cut = w.out.Cut || before >= enough || w.ctx.Err() != nil; w.out.Cut {
			return
		}
		w.term(domain, t, path)
		if cost := w.out.Lookups - before; cost > 0 && len(path) == 1 {
			w.out.Terms = append(w.out.Terms, SPFCost{t.String(), cost})
		}
	}
}

// reached are the terms up to all, and redirect if there is none.
func (r SPF) reached() []SPFTerm {
	var out []SPFTerm
	for _, t := range r.Terms {
		if t.isAll() {
			return out
		}
		if !t.Modifier {
			out = append(out, t)
		}
	}
	if name, ok := r.modifier("redirect"); ok {
		out = append(out, SPFTerm{Modifier: true, Name: "redirect", Value: name})
	}
	return out
}

func (w *spfWalk) term(domain string, t SPFTerm, path []string) {
	switch t.Name {
	case "ip4", "ip6":
		return
	case "ptr":
		w.out.Lookups++ // the name is that of the client
		return
	}
	w.out.Lookups++
	name, known := domain, true
	if t.Value != "" {
		name, known = expand(t.Value, domain)
	}
	if !known {
		if text := t.String(); !slices.Contains(w.out.Unknown, text) {
			w.out.Unknown = append(w.out.Unknown, text)
		}
		return
	}
	switch t.Name {
	case "include", "redirect":
		w.follow(t, strings.ToLower(name), path)
	case "a":
		w.addresses(t, name)
	case "mx":
		w.exchanges(t, name)
	case "exists":
		if a := w.lookup(t, name, TypeA); a.empty() {
			w.out.VoidIPv4++
			w.out.VoidIPv6++
		}
	}
}

// lookup asks, and tells of what could not be found out.
func (w *spfWalk) lookup(t SPFTerm, name string, qtype uint16) Answer {
	a := w.r.Lookup(w.ctx, name, qtype)
	if a.Cause != "" {
		w.c.at(t.Name, "RFC 7208 section 2.6.6").wrong(LookupFailed, fmt.Sprintf("%s: the lookup of %s fails (%s), and receivers try again later", shorten(t.String()), name, a.Cause),
			"see that every name server of that zone answers it")
	}
	return a
}

func (w *spfWalk) addresses(t SPFTerm, name string) {
	if a := w.lookup(t, name, TypeA); a.empty() {
		w.out.VoidIPv4++
	}
	if a := w.lookup(t, name, TypeAAAA); a.empty() {
		w.out.VoidIPv6++
	}
}

func (w *spfWalk) exchanges(t SPFTerm, name string) {
	a := w.lookup(t, name, TypeMX)
	if a.empty() {
		w.out.VoidIPv4++
		w.out.VoidIPv6++
		return
	}
	hosts := a.exchanges()
	if len(hosts) > maxSPFExchanges {
		w.c.at("mx", limitRule).fatal(TooManyAddresses, fmt.Sprintf("%s has %d MX records, and more than %d are a permanent error", name, len(hosts), maxSPFExchanges),
			"name the senders with ip4 and ip6 instead")
		return
	}
	for _, host := range hosts {
		w.addresses(t, host)
	}
}

// follow goes on with another record.
func (w *spfWalk) follow(t SPFTerm, name string, path []string) {
	at := w.c.at(t.Name, mechanisms["include"].rule)
	if t.Name == "redirect" {
		at.rule = "RFC 7208 section 6.1"
	}
	if slices.Contains(path, name) {
		at.fatal(Loop, fmt.Sprintf("%s leads back to %s", strings.Join(path, " to "), name), "take that term away")
		return
	}
	a := w.lookup(t, name, TypeTXT)
	if a.Cause != "" {
		return
	}
	if a.empty() {
		w.out.VoidIPv4++
		w.out.VoidIPv6++
	}
	found := Select(KindSPF, Texts(a.RRs))
	if found.Text == "" {
		at.fatal(Dangling, fmt.Sprintf("%s: there are %d SPF records at %s, and other than one is a permanent error", shorten(t.String()), len(found.Found), name),
			"take the term away, or have one record published there")
		return
	}
	record, problems := ParseSPF(found.Text)
	if problems.Fatal() {
		at.fatal(Dangling, fmt.Sprintf("the SPF record at %s is broken, and that breaks this one: %s", name, problems.First(Fatal).Message), "have it mended, or take the term away")
		return
	}
	w.record(name, record, append(slices.Clone(path), name))
}

// told is how many terms are named in one line.
const told = 4

// dearest tells what costs most.
func dearest(terms []SPFCost) string {
	terms = slices.Clone(terms)
	slices.SortStableFunc(terms, func(a, b SPFCost) int { return cmp.Compare(b.Lookups, a.Lookups) })
	var out []string
	for _, t := range terms[:min(len(terms), told)] {
		out = append(out, fmt.Sprintf("%s %d", shorten(t.Term), t.Lookups))
	}
	if len(terms) > told {
		out = append(out, "and more")
	}
	return strings.Join(out, ", ")
}

// limits compares the counts.
func (w *spfWalk) limits() {
	at := w.c.at("", limitRule)
	more := ""
	if w.out.Cut {
		more = " or more"
	}
	count := fmt.Sprintf("receivers have to look up %d%s terms of at most %d: %s", w.out.Lookups, more, MaxSPFLookups, dearest(w.out.Terms))
	const advice = "take out what does not send mail any more, and write the addresses of what is left with ip4 and ip6"
	switch {
	case w.out.Lookups > MaxSPFLookups:
		at.fatal(TooManyLookups, count+"; beyond that it is a permanent error", advice)
	case w.out.Lookups >= near:
		at.unwise(TooManyLookups, count+"; one more include there breaks it", advice)
	}
	void := fmt.Sprintf("of the lookups %d find nothing for a client with IPv4 and %d for one with IPv6, of at most %d", w.out.VoidIPv4, w.out.VoidIPv6, MaxSPFVoidLookups)
	if w.ctx.Err() != nil {
		at.wrong(LookupFailed, "looking up what it refers to takes too long, and was not done to the end", "see that the name servers of the names in it answer")
	}
	const gone = "take out the names that are gone"
	switch {
	case min(w.out.VoidIPv4, w.out.VoidIPv6) > MaxSPFVoidLookups:
		at.fatal(TooManyVoidLookups, void+"; beyond that it is a permanent error", gone)
	case max(w.out.VoidIPv4, w.out.VoidIPv6) > MaxSPFVoidLookups:
		at.unwise(TooManyVoidLookups, void+"; beyond that many receivers take it for a permanent error", gone+", or write addresses with ip4 and ip6 in place of their names")
	}
}

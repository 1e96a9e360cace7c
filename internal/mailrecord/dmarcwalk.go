package mailrecord

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// longWalk is how many labels a name has at most for each parent to be asked (RFC 9989 section 4.10).
const longWalk = 8

// DMARCFound is the record that applies to mail of a domain.
type DMARCFound struct {
	// Domain is where the record stands; empty where none applies.
	Domain string
	// Text is the record as it was found.
	Text   string
	Record DMARC
	// Organizational is the organizational domain, by which alignment is judged.
	Organizational string
	// Applied is what receivers do with mail that fails: by p, or by sp where the record stands above the domain. With
	// t=y it is one level weaker.
	Applied Disposition
	// Asked are the names that were asked for, in their order.
	Asked []string
	// Problems are those of the record, and of the search.
	Problems Problems
	// Failed says that the record could not be looked up.
	Failed bool
}

// DiscoverDMARC looks for the record as RFC 9989 section 4.10 says: at the domain, and up the tree. The domain is supposed
// to exist.
func DiscoverDMARC(ctx context.Context, r Resolver, domain string) DMARCFound {
	w := &dmarcWalk{c: &collector{kind: KindDMARC}, domain: strings.ToLower(strings.TrimSuffix(domain, "."))}
	for _, name := range treeWalk(w.domain) {
		if stop := w.look(ctx, r, name); stop {
			break
		}
	}
	return w.found()
}

// treeWalk are the domains that are asked for a record. Long names are cut to seven labels after the first question, so
// that there are eight of them at most.
func treeWalk(domain string) []string {
	labels := strings.Split(domain, ".")
	out := []string{domain}
	labels = labels[max(1, len(labels)-longWalk+1):]
	for ; len(labels) > 0; labels = labels[1:] {
		out = append(out, strings.Join(labels, "."))
	}
	return out
}

type dmarcRecord struct {
	domain, text string
	DMARC
	problems Problems
}

type dmarcWalk struct {
	c       *collector
	domain  string
	asked   []string
	records []dmarcRecord // valid ones, the longest name first
	// own are the problems of what stands at the domain itself, when that is no valid record.
	own    Problems
	failed bool
}

// look asks one domain, and says whether that ends the walk.
func (w *dmarcWalk) look(ctx context.Context, r Resolver, domain string) (stop bool) {
	name := DMARCName(domain)
	w.asked = append(w.asked, name)
	a := r.Lookup(ctx, name, TypeTXT)
	if a.Cause != "" {
		w.failed = true
		w.c.at("", "RFC 9989 section 4.10.1").wrong(LookupFailed, fmt.Sprintf("the lookup of %s fails (%s), and receivers may put mail off", name, a.Cause), "see that every name server of that zone answers it")
		return domain == w.domain
	}
	found := Select(KindDMARC, Texts(a.RRs))
	problems := found.Problems
	if found.Text != "" {
		record, parsed := ParseDMARC(found.Text)
		problems = parsed
		if !parsed.Fatal() {
			w.records = append(w.records, dmarcRecord{domain, found.Text, record, parsed})
			return record.PSD != ""
		}
	}
	if domain == w.domain {
		w.own = problems
	}
	return false
}

// found chooses the record, and the organizational domain.
func (w *dmarcWalk) found() DMARCFound {
	out := DMARCFound{Organizational: w.organizational(), Asked: w.asked}
	if record := w.at(w.domain); record != nil {
		return out.with(w.domain, *record) // what stands above it, or fails, does not matter for the policy
	}
	out.Failed, out.Problems = w.failed, slices.Concat(w.own, w.c.found)
	if record := w.at(out.Organizational); record != nil {
		return out.with(w.domain, *record)
	}
	if n := len(w.records); n > 0 && w.records[n-1].PSD == "y" {
		return out.with(w.domain, w.records[n-1])
	}
	return out
}

func (w *dmarcWalk) at(domain string) *dmarcRecord {
	at := slices.IndexFunc(w.records, func(r dmarcRecord) bool { return r.domain == domain })
	if at < 0 {
		return nil
	}
	return &w.records[at]
}

// organizational is the organizational domain (RFC 9989 section 4.10.2).
func (w *dmarcWalk) organizational() string {
	for _, r := range w.records {
		switch {
		case r.PSD == "n":
			return r.domain
		case r.PSD == "y" && r.domain != w.domain:
			rest := strings.TrimSuffix(w.domain, "."+r.domain)
			return rest[strings.LastIndexByte(rest, '.')+1:] + "." + r.domain
		}
	}
	if n := len(w.records); n > 0 {
		return w.records[n-1].domain
	}
	return w.domain
}

// with takes the record over.
func (out DMARCFound) with(domain string, r dmarcRecord) DMARCFound {
	out.Domain, out.Text, out.Record = r.domain, r.text, r.DMARC
	out.Problems = append(out.Problems, r.problems...)
	out.Applied = r.Policy
	if r.domain != domain && r.Subdomains != "" {
		out.Applied = r.Subdomains
	}
	if r.Testing {
		out.Applied = out.Applied.tested()
	}
	return out
}

// maxReceivers is how many domains that reports go to are asked.
const maxReceivers = 10

const consentRule = "RFC 9990 section 4"

// ConsentName is where a domain says that it takes reports about another one (RFC 9990 section 4), and Consent what it
// says there.
func ConsentName(domain, receiver string) string { return domain + "._report._dmarc." + receiver }

// Consent is the text of the record at ConsentName.
const Consent = "v=" + dmarcVersion

// Receivers are the domains that reports go to, outside some domains, each once.
func (r DMARC) Receivers(outside ...string) []string {
	var out []string
	for _, uri := range slices.Concat(r.RUA, r.RUF) {
		to := MailtoDomain(uri)
		inside := func(domain string) bool { return within(to, domain) }
		if to != "" && !slices.ContainsFunc(outside, inside) && !slices.Contains(out, to) && len(out) < maxReceivers {
			out = append(out, to)
		}
	}
	return out
}

// ReportReceivers asks each domain that reports go to whether it takes them, where it is not within the domain itself or
// the organizational one: without its word receivers send it none (RFC 9990 section 4).
func (out DMARCFound) ReportReceivers(ctx context.Context, r Resolver) Problems {
	c := &collector{kind: KindDMARC}
	for _, to := range out.Record.Receivers(out.Organizational, out.Domain) {
		name := ConsentName(out.Domain, to)
		a := r.Lookup(ctx, name, TypeTXT)
		found := Select(KindDMARC, Texts(a.RRs))
		switch {
		case a.Cause != "":
			c.at("rua", consentRule).wrong(LookupFailed, fmt.Sprintf("whether %s takes reports about %s cannot be found out: the lookup of %s fails (%s)", to, out.Domain, name, a.Cause),
				"see that every name server of that zone answers it")
		case len(found.Found) == 0:
			c.at("rua", consentRule).wrong(Dangling, fmt.Sprintf("reports are to go to %s, which does not say that it takes them for %s, so that none are sent there", to, out.Domain),
				fmt.Sprintf("have the TXT record %q published at %s, or take an address of your own", Consent, name))
		}
	}
	return c.found
}

package sendercheck

import (
	"fmt"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
)

// SPFReport is what receivers have to look up for an SPF record (RFC 7208 section 4.6.4).
type SPFReport struct {
	// Lookups are terms that make a receiver look something up, at most 10.
	Lookups int `json:"lookups"`
	// VoidLookups find nothing, at most 2: for clients with IPv4 or IPv6, whichever has more.
	VoidLookups int `json:"voidLookups"`
	// Terms are what each term of the record costs.
	Terms []SPFTermReport `json:"terms,omitempty"`
	// NotFollowed are terms with names that depend on the message.
	NotFollowed []string `json:"notFollowed,omitempty"`
}

// SPFTermReport is what a term costs, with all that it leads to.
type SPFTermReport struct {
	Term    string `json:"term"`
	Lookups int    `json:"lookups"`
}

// spf grades who may send with the domain in the envelope.
func (p domainParts) spf() PartReport {
	start := `"v=spf1 mx ~all", with what else sends,`
	if p.takesNoMail() {
		start = `"v=spf1 -all", if it sends none either,`
	}
	out, text, done := p.txt(PartSPF, mailrecord.KindSPF, p.name(), fmt.Sprintf("any host may send mail in the name of the domain; publish %s as TXT at %s", start, p.name()))
	if done {
		return out
	}
	record, problems := mailrecord.ParseSPF(text)
	if out.Problems = problems; problems.Fatal() {
		return out.graded("")
	}
	count := mailrecord.CountSPF(p.ctx, p.lookups, p.name(), record)
	out.Problems = append(out.Problems, count.Problems...)
	out.SPF = &SPFReport{Lookups: count.Lookups, VoidLookups: max(count.VoidIPv4, count.VoidIPv6), NotFollowed: count.Unknown}
	for _, t := range count.Terms {
		out.SPF.Terms = append(out.SPF.Terms, SPFTermReport(t))
	}
	fine := "other hosts are refused"
	if record.All() == "~" {
		fine = "other hosts are suspicious; write -all once you know all senders, or leave that to DMARC"
	}
	return out.graded(fmt.Sprintf("receivers look up %d of at most %d terms, and %s", count.Lookups, mailrecord.MaxSPFLookups, fine))
}

// dmarc grades what receivers do with mail that fails.
func (p domainParts) dmarc() PartReport {
	at := mailrecord.DMARCName(p.name())
	found := mailrecord.DiscoverDMARC(p.ctx, p.lookups, p.name())
	_, state := p.lookups.ask(p.ctx, at, mailrecord.TypeTXT)
	out := PartReport{Part: PartDMARC, At: at, DNSSEC: state, Problems: found.Problems}
	if found.Domain == "" {
		return p.noDMARC(out)
	}
	if out.At = mailrecord.DMARCName(found.Domain); found.Domain != p.name() {
		_, out.DNSSEC = p.lookups.ask(p.ctx, out.At, mailrecord.TypeTXT)
	}
	out.Record = mailrecord.Quote(found.Text)
	out.Problems = append(out.Problems, found.ReportReceivers(p.ctx, p.lookups)...)
	inherited := ""
	if found.Domain != p.name() {
		inherited = fmt.Sprintf(", by the record of %s", found.Domain)
	}
	fine := disposed(found.Applied) + inherited
	next := found.Record.Next()
	if next != "" {
		fine += "; " + next
	}
	// The next step is better advice than that of the first problem, unless something is wrong.
	if out = out.graded(fine); next != "" && out.Grade == Improve && out.Problems.First(mailrecord.Wrong) == nil {
		out.Advice = fine
	}
	return out
}

// disposed says what becomes of mail that fails. A record may ask for something else, which receivers take for none.
func disposed(d mailrecord.Disposition) string {
	switch d {
	case mailrecord.DispositionReject:
		return "receivers refuse mail that is not proved to be from the domain"
	case mailrecord.DispositionQuarantine:
		return "receivers treat mail that is not proved to be from the domain as suspicious, most often as spam"
	}
	return "receivers deliver mail that is not proved to be from the domain like any other"
}

// noDMARC is the report where no record applies.
func (p domainParts) noDMARC(out PartReport) PartReport {
	const first = "v=DMARC1; p=none; rua=mailto:ADDRESS"
	failed := out.Problems.First(mailrecord.Wrong)
	switch {
	case out.Problems.Fatal():
		return out.graded("")
	case failed != nil && out.DNSSEC == dnssec.Bogus:
		out.Grade, out.Advice = Broken, failed.Message+"; mend the signatures of that zone, or its DS records"
	case failed != nil:
		out.Grade, out.Advice = Unknown, failed.Message+"; "+failed.Advice
	case p.takesNoMail():
		out.Grade, out.Advice = Missing, fmt.Sprintf("anybody may write in the name of the domain; publish \"v=DMARC1; p=reject\" as TXT at %s, if it sends no mail either", out.At)
	default:
		out.Grade, out.Advice = Missing, fmt.Sprintf("anybody may write in the name of the domain; begin with \"%s\" as TXT at %s, and go on to p=quarantine and p=reject", first, out.At)
	}
	return out
}

// dkim grades the key of a selector.
func (p domainParts) dkim(selector string) PartReport {
	at := mailrecord.DKIMName(selector, p.name())
	out, text, done := p.txt(PartDKIM, mailrecord.KindDKIM, at, fmt.Sprintf("there is no key at %s; publish it before mail is signed with it", at))
	if !done {
		record, problems := mailrecord.ParseDKIM(text)
		out.Problems = problems
		out = out.graded(fmt.Sprintf("a key of type %s with %d bits", record.Key, record.Bits()))
	}
	out.Selector = selector
	return out
}

// noSelectors: DNS does not tell which selectors there are.
func noSelectors() PartReport {
	return PartReport{Part: PartDKIM, Grade: NotChecked, Advice: "name the selectors in use: DNS does not tell which there are"}
}

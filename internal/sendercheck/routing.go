package sendercheck

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
)

// mxPart grades where mail goes.
func mxPart(d senderview.Domain, view senderview.DomainView) PartReport {
	out := PartReport{Part: PartMX, At: d.Name, DNSSEC: d.MX.State, Grade: Good}
	switch {
	case unanswered(d):
		return out.failed(d.MX.Cause)
	case view.Verdict == senderview.NoMail:
		out.Advice = "a null MX says that the domain takes no mail"
	case d.MX.Kind == dnssec.NXDomain:
		out.Grade, out.Advice = Missing, "there is no such name; publish it with MX records"
	case d.MX.Kind != dnssec.Data:
		out.Grade, out.Advice = Improve, "there are no MX records, and mail goes to the host of that name; name it in MX records, or publish MX 0 . where the domain takes no mail (RFC 7505)"
	default:
		out.Grade, out.Advice = exchangesGrade(d)
	}
	return out
}

// unanswered says that nobody knows the MX records.
func unanswered(d senderview.Domain) bool {
	return d.MX.State == dnssec.Bogus || d.MX.State == dnssec.Indeterminate || d.MX.Kind == ""
}

// exchangesGrade looks at the hosts that MX records name.
func exchangesGrade(d senderview.Domain) (Grade, string) {
	var missing, aliases []string
	for _, h := range d.Hosts {
		if h.A.Kind != dnssec.Data && h.AAAA.Kind != dnssec.Data {
			missing = append(missing, h.Name)
		}
		if len(h.A.Hops) > 0 {
			aliases = append(aliases, h.Name)
		}
	}
	switch {
	case len(missing) == len(d.Hosts):
		return Broken, fmt.Sprintf("no address is found of any mail server: %s; publish A or AAAA records, or mend the zones that they are in", strings.Join(missing, ", "))
	case len(missing) > 0:
		return Improve, fmt.Sprintf("no address is found of %s; publish A or AAAA records, or take it out of the MX records", strings.Join(missing, ", "))
	case len(aliases) > 0:
		return Improve, fmt.Sprintf("%s is an alias, which an MX record may not name (RFC 2181 section 10.3); name the host itself", strings.Join(aliases, ", "))
	}
	return Good, "mail goes to " + strings.Join(d.Exchanges, ", ")
}

// dnssecPart grades whether the way to the mail servers is signed.
func dnssecPart(d senderview.Domain, view senderview.DomainView) PartReport {
	out := PartReport{Part: PartDNSSEC, At: d.Name, DNSSEC: d.MX.State}
	insecure, bogus := firstWith(d, dnssec.Insecure), firstWith(d, dnssec.Bogus)
	switch {
	case bogus != "":
		out.Grade, out.Advice = Broken, bogus+" is bogus, and nobody who validates delivers; mend the signatures of that zone, or its DS records"
	case unanswered(d):
		return out.failed(d.MX.Cause)
	case d.MX.State == dnssec.Insecure:
		out.Grade, out.Advice = Missing, "the zone is not signed, or its parent has no DS records of it; sign it, and have the DS records put into the parent zone"
	case insecure != "":
		out.Grade, out.Advice = Improve, insecure+" is not signed; sign that zone too, since senders authenticate no host whose address is insecure"
	case view.Verdict == senderview.NoMail:
		out.Grade, out.Advice = Good, "the null MX is signed"
	default:
		out.Grade, out.Advice = Good, "the MX records and the addresses of the mail servers are signed"
	}
	return out
}

// firstWith is the first lookup on the way to the mail servers that came to a state; empty if none did.
func firstWith(d senderview.Domain, state dnssec.State) string {
	in := func(a senderview.Answer) bool {
		return a.State == state || slices.ContainsFunc(a.Hops, func(hop senderview.Link) bool { return hop.State == state })
	}
	if in(d.MX) {
		return "the MX lookup of " + d.Name
	}
	for _, h := range d.Hosts {
		if in(h.A) || in(h.AAAA) {
			return "the address of " + h.Name
		}
	}
	return ""
}

// danePart is the verdict as a grade. The verdict alone decides on the exit code.
func danePart(view senderview.DomainView) PartReport {
	grades := map[senderview.Verdict]Grade{
		senderview.DANE: Good, senderview.EncryptOnly: Improve, senderview.Opportunistic: Missing,
		senderview.Undeliverable: Broken, senderview.NoMail: NotNeeded,
	}
	return PartReport{Part: PartDANE, Grade: grades[view.Verdict], Advice: view.Message}
}

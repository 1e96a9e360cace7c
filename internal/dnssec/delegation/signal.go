package delegation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// Signal is what stands at SignalName. There is one for each of Signallers.
type Signal struct {
	// Nameserver is absolute and in lower case.
	Nameserver string
	// State of both RRsets; Message says why it is not Secure, or why they could not be read.
	State   dnssec.State
	Message string
	// Alias is where the name leads, when it is an alias.
	Alias string
	// Zone that signs the records.
	Zone         string
	CDS, CDNSKEY []dns.RR
}

// SignalName is where the operator of a name server speaks of a zone (RFC 9615 sections 3.2 and 4).
func SignalName(child, nameserver string) string {
	return "_dsboot." + dns.Fqdn(child) + "_signal." + dns.Fqdn(nameserver)
}

// Signallers are the name servers whose signals the first DS records of a zone need: those in the parent's NS
// records that are not below the zone, which could say nothing that the zone does not say (RFC 9615 section
// 4.2). There are none where the parent has DS records, nor where its servers do not agree: nothing begins then.
func Signallers(child string, parents []Parent) []string {
	for _, p := range parents {
		if p.Problem != "" || len(p.DS) > 0 || !sameNames(p.Nameservers, parents[0].Nameservers) {
			return nil
		}
	}
	if len(parents) == 0 {
		return nil
	}
	return outside(child, parents[0].Nameservers)
}

func outside(child string, nameservers []string) []string {
	return slices.DeleteFunc(names(nameservers), func(ns string) bool { return dns.IsSubDomain(dns.CanonicalName(child), ns) })
}

// names sorts names, in lower case and each once.
func names(list []string) []string {
	out := make([]string, 0, len(list))
	for _, name := range list {
		out = append(out, dns.CanonicalName(name))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func sameNames(a, b []string) bool { return slices.Equal(names(a), names(b)) }

func listNames(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(names(list), ", ")
}

// signalProblem says why the name servers do not vouch for what the zone asks for, and what to do; it is
// empty when they do (RFC 9615 section 4.2): all of those that the parent delegates to, but for the ones below
// the zone, say securely what the zone says. Whoever forges the zone's answers can name servers of
// his own in them: the names are the parent's, and the zone's own must be the same.
func (l *look) signalProblem() string {
	if l.unvalidated {
		return "their signals count only with a parentZoneRef"
	}
	if problem := l.delegationProblem(); problem != "" {
		return problem
	}
	signallers := outside(l.Child, l.Parents[0].Nameservers)
	if len(signallers) == 0 {
		return fmt.Sprintf("they are all below the zone, %s, and such cannot: RFC 9615 section 4.4", listNames(l.Parents[0].Nameservers))
	}
	for _, ns := range signallers {
		i := slices.IndexFunc(l.Signals, func(s Signal) bool { return dns.CanonicalName(s.Nameserver) == ns })
		if i < 0 {
			return fmt.Sprintf("the signal of %s was not looked up; wait for the next look", ns)
		}
		if problem := l.problemOf(l.Signals[i]); problem != "" {
			return problem
		}
	}
	return ""
}

// delegationProblem says which server names other name servers than the rest.
func (l *look) delegationProblem() string {
	first := l.Parents[0]
	for _, p := range l.Parents[1:] {
		if !sameNames(p.Nameservers, first.Nameservers) {
			return fmt.Sprintf("the servers of the parent zone do not agree on who they are: %s has NS records for %s, and %s for %s; wait until the zone transfer is through, or see why it is not",
				first.Server, listNames(first.Nameservers), p.Server, listNames(p.Nameservers))
		}
	}
	for _, c := range l.Children {
		switch {
		case c.NameserversProblem != "":
			return fmt.Sprintf("the zone's NS records could not be read from %s: %s; mend that server", c.Server, c.NameserversProblem)
		case !sameNames(c.Nameservers, first.Nameservers):
			return fmt.Sprintf("the parent has NS records for %s, and %s for %s; make the two the same, or find out who forges them",
				listNames(first.Nameservers), c.Server, listNames(c.Nameservers))
		}
	}
	return ""
}

// problemOf says what is wrong with one signal. The records must stand at the name itself (RFC 9615 section
// 4.1): an alias hands the word to somebody who is no name server of the zone, and a zone cut gives the records
// another meaning.
func (l *look) problemOf(s Signal) string {
	own, at := l.Children[0], SignalName(l.Child, s.Nameserver)
	switch {
	case s.Alias != "":
		return fmt.Sprintf("the signal of %s is an alias of %s; put the records themselves at %s", s.Nameserver, s.Alias, at)
	case s.State != dnssec.Secure:
		return fmt.Sprintf("the signal of %s is not secure (%s): %s; have its operator sign the zone of %s, with an unbroken chain from the root", s.Nameserver, s.State, s.Message, at)
	case dns.CanonicalName(s.Zone) == dns.CanonicalName(at):
		return fmt.Sprintf("the signal of %s is the apex of a zone, so its records are of that zone; put them at %s without a zone cut there", s.Nameserver, at)
	}
	for _, pair := range []struct {
		kind   string
		signal []dns.RR
		zone   Set
	}{{"CDS", s.CDS, own.CDS}, {"CDNSKEY", s.CDNSKEY, own.CDNSKEY}} {
		if !slices.Equal(texts(pair.signal), texts(pair.zone.Records)) {
			return fmt.Sprintf("the signal of %s has the %s records %s, and the zone has %s; have its operator publish those of the zone at %s, or find out who forges the zone's",
				s.Nameserver, pair.kind, listTexts(pair.signal), listTexts(pair.zone.Records), at)
		}
	}
	return ""
}

package controllers

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/mailplan"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
)

// This file reads what a MailDomain asks for beside TLSA records.

// concernsRecords says whether a MailDomain has, or had, anything to do with other records than TLSA.
func concernsRecords(md *v1alpha1.MailDomain) bool {
	s := &md.Spec
	return s.MX != nil || s.TLSReporting != nil || s.MTASTS != nil || s.SPF != nil || s.DMARC != nil || len(md.Status.Records) > 0
}

// asksFor says whether a MailDomain wants a record published.
func asksFor(md *v1alpha1.MailDomain, record mailplan.Record) bool {
	switch record {
	case mailplan.MX:
		return md.Spec.MX != nil && md.Spec.MX.Policy == v1alpha1.MXManage
	case mailplan.TLSRPT:
		return md.Spec.TLSReporting != nil
	case mailplan.MTASTS:
		return md.Spec.MTASTS != nil
	case mailplan.SPF:
		return md.Spec.SPF != nil
	case mailplan.DMARC:
		return md.Spec.DMARC != nil
	}
	return false
}

// subject is what records are about: the mail domain itself, or a name beside it.
type subject struct {
	// name is what the names of the records are made from, and grant the name by which their DNSZone is found, and that it
	// has to grant as a mail domain.
	name, grant string
	// records are the kinds.
	records []mailplan.Record
}

// key is where what is known of it is kept.
func (s subject) key(md types.NamespacedName) recordKey { return recordKey{md, s.name} }

// subjectOf is the mail domain itself.
func subjectOf(md *v1alpha1.MailDomain) subject {
	return subject{name: md.Spec.Domain, grant: md.Spec.Domain, records: mailplan.Records}
}

// mailServerSubject is a mail server, whose reports have a record of their own.
func mailServerSubject(host string) subject {
	return subject{name: host, grant: host, records: []mailplan.Record{mailplan.TLSRPT}}
}

// receiverSubject is the agreement of another domain to take the reports of DMARC.
func receiverSubject(domain, receiver string) subject {
	return subject{name: mailrecord.ConsentName(domain, receiver), grant: receiver, records: []mailplan.Record{mailplan.DMARCReport}}
}

// reportsAt says whether a MailDomain wants the record for reports at the name of a mail server, too. One without
// certificates is somebody else's.
func reportsAt(md *v1alpha1.MailDomain, server *v1alpha1.MailServer) bool {
	t := md.Spec.TLSReporting
	return t != nil && t.MailServers == v1alpha1.TLSReportMailServersEnabled && len(server.Certificates) > 0 && server.Hostname != md.Spec.Domain
}

// receiversOf are the domains elsewhere that the reports of DMARC go to.
func receiversOf(md *v1alpha1.MailDomain) []string {
	if md.Spec.DMARC == nil {
		return nil
	}
	return mailplan.Reported(md.Spec.Domain, mailplan.DMARCWish(dmarcOf(md.Spec.DMARC)).Data)
}

// besides are the names beside the domain that a spec asks for records at.
func besides(md *v1alpha1.MailDomain) []subject {
	var out []subject
	for i := range md.Spec.MailServers {
		if server := &md.Spec.MailServers[i]; reportsAt(md, server) {
			out = append(out, mailServerSubject(server.Hostname))
		}
	}
	for _, to := range receiversOf(md) {
		out = append(out, receiverSubject(md.Spec.Domain, to))
	}
	return out
}

// left are the names beside the domain that status has records of ours at, and that the spec does not ask for.
func left(md *v1alpha1.MailDomain, asked []subject) []subject {
	var out []subject
	for i := range md.Status.Records {
		r := &md.Status.Records[i]
		s := mailServerSubject(strings.TrimPrefix(r.Name, mailrecord.TLSRPTName("")))
		if r.Record == v1alpha1.RecordDMARCReport {
			_, receiver, _ := strings.Cut(r.Name, mailrecord.ConsentName("", ""))
			s = receiverSubject(md.Spec.Domain, receiver)
		} else if r.Record != v1alpha1.RecordTLSRPT || s.name == md.Spec.Domain {
			continue
		}
		if len(r.Own) > 0 && !slices.ContainsFunc(asked, func(a subject) bool { return a.name == s.name }) {
			out = append(out, s)
		}
	}
	return out
}

// asksAt says whether a MailDomain wants a record of a subject published. It is asked of every MailDomain that shares a host,
// and little is done for most of them.
func asksAt(md *v1alpha1.MailDomain, s subject, record mailplan.Record) bool {
	switch {
	case record == mailplan.DMARCReport:
		return s.name == mailrecord.ConsentName(md.Spec.Domain, s.grant) && slices.Contains(receiversOf(md), s.grant)
	case s.name == md.Spec.Domain:
		return asksFor(md, record)
	case record != mailplan.TLSRPT:
		return false
	}
	for i := range md.Spec.MailServers {
		if server := &md.Spec.MailServers[i]; server.Hostname == s.name {
			return reportsAt(md, server)
		}
	}
	return false
}

// asksForAny says whether a MailDomain wants any such record published.
func asksForAny(md *v1alpha1.MailDomain) bool {
	return slices.ContainsFunc(mailplan.Records, func(r mailplan.Record) bool { return asksFor(md, r) })
}

// adopts says whether a MailDomain has records of a kind replaced that are not its own. Whatever agrees to take reports is
// an agreement.
func adopts(md *v1alpha1.MailDomain, record mailplan.Record) bool {
	switch s := &md.Spec; {
	case !asksFor(md, record):
		return false
	case record == mailplan.MX:
		return s.MX.Adopt
	case record == mailplan.TLSRPT:
		return s.TLSReporting.Adopt
	case record == mailplan.MTASTS:
		return s.MTASTS.Adopt
	case record == mailplan.SPF:
		return s.SPF.Adopt
	}
	return md.Spec.DMARC.Adopt
}

// goalOf is what becomes of a record. MX records are never taken out while the MailDomain stays: without them mail goes
// elsewhere, and whoever takes them out of the spec wants to keep them by hand.
func goalOf(md *v1alpha1.MailDomain, s subject, record mailplan.Record) mailplan.Goal {
	previous := md.Status.RecordAt(v1alpha1.MailRecord(record), record.Name(s.name))
	owns := previous != nil && len(previous.Own) > 0
	asks := asksAt(md, s, record)
	switch {
	case !md.DeletionTimestamp.IsZero() && (owns || asks):
		return mailplan.Remove
	case asks:
		return mailplan.Keep
	case owns && record != mailplan.MX && md.Spec.DeletionPolicy != v1alpha1.DeletionRetain:
		return mailplan.Remove
	}
	return mailplan.Look
}

// wishBeside is the record that a MailDomain asks for at a name beside it.
func wishBeside(md *v1alpha1.MailDomain, s subject, record mailplan.Record) mailplan.Wish {
	switch {
	case !asksAt(md, s, record):
		return mailplan.Wish{}
	case record == mailplan.DMARCReport:
		return mailplan.DMARCReportWish()
	}
	return mailplan.TLSRPTWish(s.name, mailrecord.TLSRPT{URIs: textsOf(md.Spec.TLSReporting.RUA)})
}

// wishOf is the record that a MailDomain asks for. Hosts are those that the MX records name, and leaving those that caches
// may still name.
func wishOf(md *v1alpha1.MailDomain, record mailplan.Record, hosts, leaving []string) mailplan.Wish {
	if !asksFor(md, record) {
		return mailplan.Wish{}
	}
	switch record {
	case mailplan.TLSRPT:
		return mailplan.TLSRPTWish(md.Spec.Domain, mailrecord.TLSRPT{URIs: textsOf(md.Spec.TLSReporting.RUA)})
	case mailplan.MTASTS:
		return mailplan.MTASTSWish(stsPolicyOf(md, leaving), hosts)
	case mailplan.SPF:
		all := map[v1alpha1.SPFAll]string{v1alpha1.SPFFail: "-", v1alpha1.SPFSoftFail: "~", v1alpha1.SPFNeutral: "?"}
		return mailplan.SPFWish(textsOf(md.Spec.SPF.Mechanisms), all[md.Spec.SPF.All])
	case mailplan.DMARC:
		return mailplan.DMARCWish(dmarcOf(md.Spec.DMARC))
	}
	return mailplan.Wish{}
}

func textsOf[T ~string](texts []T) []string {
	var out []string
	for _, text := range texts {
		out = append(out, string(text))
	}
	return out
}

// stsPolicyOf is the policy of MTA-STS that a MailDomain asks for.
func stsPolicyOf(md *v1alpha1.MailDomain, leaving []string) mailrecord.Policy {
	s := md.Spec.MTASTS
	out := mailrecord.Policy{MaxAge: time.Duration(s.MaxAge) * time.Second, MX: slices.Concat(hostnames(md), leaving)}
	if s.MaxAge == 0 {
		out.MaxAge = v1alpha1.DefaultMTASTSMaxAge * time.Second
	}
	out.Mode = map[v1alpha1.MTASTSMode]mailrecord.Mode{
		v1alpha1.MTASTSEnforce: mailrecord.ModeEnforce, v1alpha1.MTASTSTesting: mailrecord.ModeTesting, v1alpha1.MTASTSNone: mailrecord.ModeNone,
	}[s.Mode]
	slices.Sort(out.MX)
	out.MX = slices.Compact(out.MX)
	return out
}

func dmarcOf(s *v1alpha1.DMARCSpec) mailrecord.DMARC {
	dispositions := map[v1alpha1.DMARCPolicy]mailrecord.Disposition{
		v1alpha1.DMARCNone: mailrecord.DispositionNone, v1alpha1.DMARCQuarantine: mailrecord.DispositionQuarantine, v1alpha1.DMARCReject: mailrecord.DispositionReject,
	}
	out := mailrecord.DMARC{
		Policy: dispositions[s.Policy], Subdomains: dispositions[s.SubdomainPolicy], RUA: textsOf(s.RUA), RUF: textsOf(s.RUF),
	}
	if a := s.Alignment; a != nil {
		modes := map[v1alpha1.DMARCAlignment]string{v1alpha1.AlignmentRelaxed: "r", v1alpha1.AlignmentStrict: "s"}
		out.ADKIM, out.ASPF = modes[a.DKIM], modes[a.SPF]
	}
	return out
}

// defaultPreference is that of a mail server that has none in the spec.
const defaultPreference = 10

func preferenceOf(s *v1alpha1.MailServer) int {
	if s.Preference == nil {
		return defaultPreference
	}
	return int(*s.Preference)
}

package controllers

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/mailplan"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
	"github.com/dane-operator/dane-operator/internal/mailwish"
)

// This file reads what a MailDomain asks for beside TLSA records.

// concernsRecords says whether a MailDomain has, or had, anything to do with other records than TLSA.
func concernsRecords(md *v1alpha1.MailDomain) bool {
	s := &md.Spec
	return s.MX != nil || s.TLSReporting != nil || s.MTASTS != nil || s.SPF != nil || s.DMARC != nil || len(md.Status.Records) > 0
}

// asksFor says whether a MailDomain wants a record published.
func asksFor(md *v1alpha1.MailDomain, record mailplan.Record) bool {
	return mailwish.Asked(&md.Spec, record)
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
	return mailplan.Reported(md.Spec.Domain, mailwish.Of(&md.Spec, mailplan.DMARC, nil, nil).Data)
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
	return mailwish.Adopts(&md.Spec, record)
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
	return mailwish.TLSRPTAt(s.name, md.Spec.TLSReporting)
}

// wishOf is the record that a MailDomain asks for. Hosts are those that the MX records name, and leaving those that caches
// may still name.
func wishOf(md *v1alpha1.MailDomain, record mailplan.Record, hosts, leaving []string) mailplan.Wish {
	return mailwish.Of(&md.Spec, record, hosts, leaving)
}

func preferenceOf(s *v1alpha1.MailServer) int { return int(mailwish.Preference(s)) }

package controllers

import (
	"slices"
	"time"

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

// asksForAny says whether a MailDomain wants any such record published.
func asksForAny(md *v1alpha1.MailDomain) bool {
	return slices.ContainsFunc(mailplan.Records, func(r mailplan.Record) bool { return asksFor(md, r) })
}

// adopts says whether a MailDomain has records of a kind replaced that are not its own.
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
func goalOf(md *v1alpha1.MailDomain, record mailplan.Record) mailplan.Goal {
	previous := md.Status.Record(v1alpha1.MailRecord(record))
	owns := previous != nil && len(previous.Own) > 0
	switch {
	case !md.DeletionTimestamp.IsZero() && (owns || asksFor(md, record)):
		return mailplan.Remove
	case asksFor(md, record):
		return mailplan.Keep
	case owns && record != mailplan.MX && md.Spec.DeletionPolicy != v1alpha1.DeletionRetain:
		return mailplan.Remove
	}
	return mailplan.Look
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

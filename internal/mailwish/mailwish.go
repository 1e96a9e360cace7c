// Package mailwish reads what the spec of a MailDomain asks for beside TLSA records, and makes the records of it. It is pure.
package mailwish

import (
	"slices"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/mailplan"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
)

// Asked says whether a spec wants a record of the domain itself published.
func Asked(s *v1alpha1.MailDomainSpec, record mailplan.Record) bool {
	switch record {
	case mailplan.MX:
		return s.MX != nil && s.MX.Policy == v1alpha1.MXManage
	case mailplan.TLSRPT:
		return s.TLSReporting != nil
	case mailplan.MTASTS:
		return s.MTASTS != nil
	case mailplan.SPF:
		return s.SPF != nil
	case mailplan.DMARC:
		return s.DMARC != nil
	}
	return false
}

// Adopts says whether a spec has records of a kind replaced that are not its own; false where it does not ask for the kind.
func Adopts(s *v1alpha1.MailDomainSpec, record mailplan.Record) bool {
	if !Asked(s, record) {
		return false
	}
	switch record {
	case mailplan.MX:
		return s.MX.Adopt
	case mailplan.TLSRPT:
		return s.TLSReporting.Adopt
	case mailplan.MTASTS:
		return s.MTASTS.Adopt
	case mailplan.SPF:
		return s.SPF.Adopt
	}
	return s.DMARC.Adopt
}

// Of is the record that a spec asks for; one without data where it does not. Hosts are those that the MX records name, and
// leaving those that caches may still name. MX records come of more than the spec (mailplan.Exchange).
func Of(s *v1alpha1.MailDomainSpec, record mailplan.Record, hosts, leaving []string) mailplan.Wish {
	if !Asked(s, record) {
		return mailplan.Wish{}
	}
	switch record {
	case mailplan.TLSRPT:
		return TLSRPTAt(s.Domain, s.TLSReporting)
	case mailplan.MTASTS:
		return mailplan.MTASTSWish(policy(s, leaving), hosts)
	case mailplan.SPF:
		all := map[v1alpha1.SPFAll]string{v1alpha1.SPFFail: "-", v1alpha1.SPFSoftFail: "~", v1alpha1.SPFNeutral: "?"}
		return mailplan.SPFWish(texts(s.SPF.Mechanisms), all[s.SPF.All])
	case mailplan.DMARC:
		return mailplan.DMARCWish(dmarc(s.DMARC))
	}
	return mailplan.Wish{}
}

// TLSRPTAt is where senders of mail for a name report: that of the domain, or of a mail server.
func TLSRPTAt(name string, s *v1alpha1.TLSReportingSpec) mailplan.Wish {
	return mailplan.TLSRPTWish(name, mailrecord.TLSRPT{URIs: texts(s.RUA)})
}

// defaultPreference is that of a mail server that has none in the spec.
const defaultPreference = 10

// Preference is that of the MX record of a mail server.
func Preference(s *v1alpha1.MailServer) int32 {
	if s.Preference == nil {
		return defaultPreference
	}
	return *s.Preference
}

func texts[T ~string](of []T) []string {
	var out []string
	for _, text := range of {
		out = append(out, string(text))
	}
	return out
}

// policy is the policy of MTA-STS that a spec asks for.
func policy(s *v1alpha1.MailDomainSpec, leaving []string) mailrecord.Policy {
	out := mailrecord.Policy{MaxAge: time.Duration(s.MTASTS.MaxAge) * time.Second, MX: slices.Clone(leaving)}
	for i := range s.MailServers {
		out.MX = append(out.MX, s.MailServers[i].Hostname)
	}
	if s.MTASTS.MaxAge == 0 {
		out.MaxAge = v1alpha1.DefaultMTASTSMaxAge * time.Second
	}
	out.Mode = map[v1alpha1.MTASTSMode]mailrecord.Mode{
		v1alpha1.MTASTSEnforce: mailrecord.ModeEnforce, v1alpha1.MTASTSTesting: mailrecord.ModeTesting, v1alpha1.MTASTSNone: mailrecord.ModeNone,
	}[s.MTASTS.Mode]
	slices.Sort(out.MX)
	out.MX = slices.Compact(out.MX)
	return out
}

func dmarc(s *v1alpha1.DMARCSpec) mailrecord.DMARC {
	dispositions := map[v1alpha1.DMARCPolicy]mailrecord.Disposition{
		v1alpha1.DMARCNone: mailrecord.DispositionNone, v1alpha1.DMARCQuarantine: mailrecord.DispositionQuarantine, v1alpha1.DMARCReject: mailrecord.DispositionReject,
	}
	out := mailrecord.DMARC{
		Policy: dispositions[s.Policy], Subdomains: dispositions[s.SubdomainPolicy], RUA: texts(s.RUA), RUF: texts(s.RUF),
	}
	if a := s.Alignment; a != nil {
		modes := map[v1alpha1.DMARCAlignment]string{v1alpha1.AlignmentRelaxed: "r", v1alpha1.AlignmentStrict: "s"}
		out.ADKIM, out.ASPF = modes[a.DKIM], modes[a.SPF]
	}
	return out
}

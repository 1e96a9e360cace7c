package controllers

import (
	"strings"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec/health"
)

// statusFindings are findings as status holds them.
func statusFindings(found []health.Finding) []v1alpha1.ZoneFinding {
	var out []v1alpha1.ZoneFinding
	for _, f := range found[:min(len(found), health.MaxFindings)] {
		out = append(out, v1alpha1.ZoneFinding{
			Code: string(f.Code), Severity: v1alpha1.FindingSeverity(f.Severity), Server: f.Server, Message: truncate(f.Message, 2048),
		})
	}
	return out
}

// worst is the worst finding about how the zone is served, or about its DNSSEC, that is more than a notice;
// nil when there is none.
func worst(found []health.Finding, aboutServers bool) *health.Finding {
	for i := range found {
		if found[i].Code.AboutServers() == aboutServers && found[i].Severity != health.Notice {
			return &found[i]
		}
	}
	return nil
}

// worstText presents the worst finding for a condition; empty when there is none.
func worstText(found []health.Finding, aboutServers bool) string {
	f := worst(found, aboutServers)
	if f == nil {
		return ""
	}
	where := ""
	if f.Server != "" {
		where = " at " + f.Server
	}
	return string(f.Code) + where + ": " + f.Message
}

// together joins what is not empty.
func together(texts ...string) string {
	var out []string
	for _, text := range texts {
		if text != "" {
			out = append(out, text)
		}
	}
	return strings.Join(out, "; ")
}

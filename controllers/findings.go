package controllers

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec/health"
	"github.com/dane-operator/dane-operator/internal/zone"
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

// findingMemory are the findings that status had when the process began. They stand until a look has seen as much: which
// owners are looked after shows by their sweeps, which a new process begins beside the first look.
type findingMemory struct {
	// of is the DNSZone whose status it began with.
	of types.UID
	// kept stand beside those of each look; none once a look was complete.
	kept []health.Finding
	// first is when the first look of this process ended; zero before.
	first time.Time
}

// recall takes over what status says, once a process.
func (m *findingMemory) recall(z *v1alpha1.DNSZone) {
	if m.of == z.UID {
		return
	}
	*m = findingMemory{of: z.UID}
	for _, f := range z.Status.DNSSEC.Findings {
		m.kept = append(m.kept, health.Finding{Code: health.Code(f.Code), Severity: health.Severity(f.Severity), Server: f.Server, Message: f.Message})
	}
}

// note adds to the findings of a look those that it does not refute.
func (m *findingMemory) note(h *zone.Health) {
	if completeLook(m.first, h) {
		m.kept = nil
	}
	if m.first.IsZero() {
		m.first = h.At
	}
	if len(m.kept) > 0 {
		h.Findings = health.Join(h.Findings, m.kept)
	}
}

// recallFor is how long findings of an earlier process stand at the most: a zone may have more owners than are looked
// at meanwhile, and what is mended should go away.
const recallFor = time.Hour

// completeLook says whether by a look there was seen what there is to see, after the first of the process at a time (zero
// for none): every owner, in as many looks as that takes. Where none becomes known by the next look of a zone that is
// well, there is none.
func completeLook(first time.Time, h *zone.Health) bool {
	since := h.At.Sub(first)
	switch {
	case first.IsZero():
		return false
	case h.Owners == 0:
		return since >= zoneIdle
	}
	return h.OwnersWaiting == 0 || since >= recallFor
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

// worstTold is how many findings a condition tells at the most.
const worstTold = 3

// worstText presents the worst findings for a condition, the worst of each code; empty when there is none. The others are
// in status.
func worstText(found []health.Finding, aboutServers bool) string {
	var told []health.Code
	var out []string
	more := ""
	for _, f := range found {
		switch {
		case f.Code.AboutServers() != aboutServers || f.Severity == health.Notice:
		case len(told) == worstTold || slices.Contains(told, f.Code):
			more = "more are in status.dnssec.findings"
		default:
			told = append(told, f.Code)
			out = append(out, findingText(f))
		}
	}
	return together(append(out, more)...)
}

func findingText(f health.Finding) string {
	where := ""
	if f.Server != "" {
		where = " at " + f.Server
	}
	return string(f.Code) + where + ": " + truncate(f.Message, 500)
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

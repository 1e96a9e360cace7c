package reportserver

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/tlsrpt"
	"github.com/dane-operator/dane-operator/internal/tlsrpt/store"
)

// How many characters a text of a report has in status.
const (
	maxName         = 253
	maxOrganization = 128
)

// statusOf is an overview as status shows it; nil where nothing was ever reported.
func statusOf(o store.Overview) *v1alpha1.TLSReportsStatus {
	if o.Last.IsZero() {
		return nil
	}
	out := &v1alpha1.TLSReportsStatus{
		LastReport: new(metav1.NewTime(o.Last)), Reports: o.Reports, SuccessfulSessions: o.Successful, FailedSessions: o.Failed,
	}
	for _, r := range o.Results {
		out.Results = append(out.Results, v1alpha1.TLSReportResult{Policy: r.Policy, Result: r.Result, Sessions: r.Sessions, ProvedSessions: r.Proved})
	}
	for _, h := range o.Hosts {
		host := v1alpha1.TLSReportHost{Hostname: h.Host, FailedSessions: h.Sessions}
		if !h.LastDANE.IsZero() {
			host.LastDANEFailure = new(metav1.NewTime(h.LastDANE))
		}
		out.Hosts = append(out.Hosts, host)
	}
	for _, s := range o.Organizations {
		out.Organizations = append(out.Organizations, v1alpha1.TLSReportOrganization{
			Name: shown(s.Name, maxOrganization), Domain: shown(s.Proof, maxName), SuccessfulSessions: s.Successful, FailedSessions: s.Failed,
		})
	}
	for _, f := range o.Failures {
		out.Failures = append(out.Failures, v1alpha1.TLSReportFailure{
			Domain: shown(f.Proof, maxName), Organization: shown(f.Organization, maxOrganization), Hostname: shown(f.Host, maxName),
			Result: f.Result, Sessions: f.Sessions, From: metav1.NewTime(f.From), To: metav1.NewTime(f.To), LastReport: metav1.NewTime(f.Last),
		})
	}
	return out
}

// toldAnnotation holds the digest of what was told, on an object in the cache. No object of the cluster has it.
const toldAnnotation = "told"

// digestOf tells what is told from what was told; it is the same for what the API server gives back.
func digestOf(told *v1alpha1.TLSReportsStatus) string {
	text, _ := json.Marshal(told) // cannot fail: it is made of numbers, texts and times
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// shown is a text of a report that may stand in status: clean, and cut where it is too long.
func shown(text string, most int) string {
	letters := []rune(tlsrpt.CleanText(text))
	if len(letters) <= most {
		return string(letters)
	}
	return string(slices.Concat(letters[:most-1], []rune("…")))
}

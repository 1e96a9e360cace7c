package dashboard

import (
	"cmp"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// Reports are what senders have reported of a mail domain in the last seven days.
type Reports struct {
	Count, Successful, Failed int64
	Last                      Instant
	Results                   []v1alpha1.TLSReportResult
	Organizations             []v1alpha1.TLSReportOrganization
	// FailedHere is how many sessions failed with the mail server of the page.
	FailedHere int64
	// HeldUntil is until when they keep records of that mail server; zero when they do not.
	HeldUntil Instant
}

// reportsOf are the reports for the page of a host; nil where none are taken in.
func reportsOf(md *v1alpha1.MailDomain, host string, now time.Time) *Reports {
	r := md.Status.TLSReports
	if r == nil {
		return nil
	}
	out := &Reports{
		Count: r.Reports, Successful: r.SuccessfulSessions, Failed: r.FailedSessions, Last: instantOf(r.LastReport, now), Results: r.Results,
	}
	for _, o := range r.Organizations {
		o.Name = cmp.Or(o.Name, "others")
		out.Organizations = append(out.Organizations, o)
	}
	if h := r.Host(host); h != nil {
		out.FailedHere = h.FailedSessions
	}
	if s := md.Status.MailServer(host); s != nil {
		for _, k := range s.Keys {
			if k.HeldUntil != nil {
				out.HeldUntil = instantOf(k.HeldUntil, now)
			}
		}
	}
	return out
}

package history

import (
	"math/rand/v2"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// reportFailures is what befalls a history when a report comes that tells of failures with a host.
const (
	reportFailures = "report-failures"
	reportFamily   = "reports"
)

// How long reports keep the records of a key that is gone: shorter than by default, so that it ends within a history.
const (
	reportQuiet   = 20 * time.Minute
	maxReportHold = 40 * time.Minute
)

// reportsOf draws when reports of failures come, by themselves: what else befalls a history stays as it is.
func reportsOf(seed uint64, length time.Duration) []Fault {
	r := rand.New(rand.NewPCG(seed, 4)) //nolint:gosec // not for secrets
	var out []Fault
	for range r.IntN(12) {
		at := time.Duration(r.Int64N(int64(length)))
		out = append(out, Fault{At: at.Round(time.Second), Name: reportFailures, A: r.IntN(1000), B: r.IntN(1000)})
	}
	return out
}

// reportFailures writes what the receiver of reports writes that has got one about a host.
func (h *History) reportFailures(f Fault) {
	of := h.hosts[f.A%len(h.hosts)]
	if h.object(of.of) == nil {
		return
	}
	h.count("report of failures")
	h.say("world", "senders report failures with %s", of.name)
	edit(h.store, domains, h.named(of.of.name), func(md *v1alpha1.MailDomain) {
		at := metav1.NewTime(h.now.Truncate(time.Second))
		told := &v1alpha1.TLSReportsStatus{LastReport: &at}
		if before := md.Status.TLSReports; before != nil {
			told = before.DeepCopy()
		}
		if host := told.Host(of.name); host != nil {
			host.LastDANEFailure = &at
		} else {
			told.Hosts = append(told.Hosts, v1alpha1.TLSReportHost{Hostname: of.name, LastDANEFailure: &at})
		}
		md.Status.TLSReports = told
	})
}

// countHeld counts the keys whose records reports hold, each time that a status tells of it anew.
func (h *History) countHeld(md *v1alpha1.MailDomain) {
	for i := range md.Status.MailServers {
		s := &md.Status.MailServers[i]
		held := ""
		for _, k := range s.Keys {
			if k.HeldUntil != nil {
				held = k.SPKISHA256
			}
		}
		of := h.hostNamed(s.Hostname)
		if held != "" && held != of.held {
			h.count("records held by reports")
		}
		of.held = held
	}
}

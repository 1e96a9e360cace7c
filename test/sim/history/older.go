package history

import (
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// olderVersion has the operator run for a while as an older version that does not know some fields of the status:
// it sees none of them, and takes them out with every write.
func (h *History) olderVersion(f Fault) {
	if h.older {
		return
	}
	h.count("older version")
	h.older = true
	h.crashSoon(1, true)
	h.after(f.lasts(2*time.Hour), func() {
		h.older = false
		h.crashSoon(1, f.A%2 == 0)
	})
}

// withoutNewFields takes out of a status what can be found out again. Versions, roles and records of keys stay: a
// version that did not keep those could not have kept the promise by itself.
func withoutNewFields(s *v1alpha1.MailDomainStatus) {
	s.NextTransition, s.TLSReports = nil, nil
	for i := range s.MailServers {
		m := &s.MailServers[i]
		m.Unsafe, m.Endpoints, m.Nameservers, m.ForeignRecords, m.Troubles = nil, nil, nil, nil, nil
		for j := range m.Versions {
			v := &m.Versions[j]
			v.Planned, v.AbsentSince, v.AbsentSweeps = false, nil, 0
		}
		for j := range m.Keys {
			k := &m.Keys[j]
			k.DeployableAt, k.RemovableAt, k.HeldUntil, k.GoneSince, k.GoneRounds, k.NotAfter, k.Leaving = nil, nil, nil, nil, 0, nil, false
		}
	}
}

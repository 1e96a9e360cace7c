package history

import (
	"fmt"
	"slices"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// peopleFaults are what people do to the records, the spec and the status.
var peopleFaults = []fault{
	{"add-foreign", "people", 2, func(h *History, f Fault) { h.addForeign(f) }},
	{"remove-ours", "people", 2, func(h *History, f Fault) { h.removeOurs(f) }},
	{"edit-ttl", "people", 2, func(h *History, f Fault) {
		h.editSpec(func(s *v1alpha1.MailDomainSpec) { s.TLSA.TTL = []int32{30, 60, 120, 300, 600}[f.A%5] })
	}},
	{"edit-parameters", "people", 2, func(h *History, f Fault) {
		// Where the status was lost before, records of a set that leaves may be foreign and stay, and a new key
		// that has no record of that set waits for ever; where foreign records stand, a set may not get in for
		// them (docs/reliability.md, open points).
		if h.statusLost || h.foreign {
			return
		}
		h.editedSets = true
		h.editSpec(func(s *v1alpha1.MailDomainSpec) { s.TLSA.Parameters = parameterSets[f.A%len(parameterSets)] })
	}},
	{"edit-safety", "people", 2, func(h *History, f Fault) {
		h.editSpec(func(s *v1alpha1.MailDomainSpec) {
			s.Rollover.PublishSafety = []v1alpha1.Duration{"0s", "1m", "5m"}[f.A%3]
			s.Rollover.RetireSafety = []v1alpha1.Duration{"0s", "2m", "10m"}[f.B%3]
		})
	}},
	{"edit-standby", "people", 1, func(h *History, f Fault) {
		h.editSpec(func(s *v1alpha1.MailDomainSpec) {
			s.Rollover.StandbyKey = []v1alpha1.StandbyKeyMode{v1alpha1.StandbyEnabled, v1alpha1.StandbyDisabled}[f.A%2]
		})
	}},
	{"suspend", "people", 2, func(h *History, f Fault) {
		h.suspend(true)
		h.after(f.lasts(time.Hour), func() { h.suspend(false) })
	}},
	{"lose-status", "people", 2, func(h *History, _ Fault) {
		if !h.editedSets { // see edit-parameters
			h.loseStatus()
		}
	}},
	{"restore-status", "people", 2, func(h *History, f Fault) { h.restoreStatus(f) }},
}

func (h *History) editSpec(how func(*v1alpha1.MailDomainSpec)) {
	edit(h.store, domains, h.named(domainName), func(md *v1alpha1.MailDomain) { how(&md.Spec) })
}

func (h *History) suspend(yes bool) {
	h.suspended = yes
	h.troubled = later(h.troubled, h.now.Add(30*time.Minute))
	h.say("people", "suspend: %t", yes)
	h.editSpec(func(s *v1alpha1.MailDomainSpec) { s.Suspend = yes })
}

// addForeign puts the record of somebody else's key beside ours.
func (h *History) addForeign(f Fault) {
	of := h.hosts[f.A%len(h.hosts)]
	if n := len(h.servers.stored[of.owner].records); n == 0 || n > 5 || h.editedSets { // see edit-parameters
		return
	}
	h.foreign = true
	digest := fmt.Sprintf("ee%062x", f.B)
	h.servers.edit(of.owner, func(have []tlsa.Record) []tlsa.Record {
		return append(have, tlsa.Record{Parameters: tlsa.Parameters{Usage: 3, Selector: 1, MatchingType: 1}, Data: digest})
	}, false)
}

// removeOurs takes records out that are not its own; what stands then is nothing that we published.
func (h *History) removeOurs(f Fault) {
	of := h.hosts[f.A%len(h.hosts)]
	if len(h.servers.stored[of.owner].records) == 0 {
		return
	}
	h.servers.edit(of.owner, func(have []tlsa.Record) []tlsa.Record {
		if f.B%3 == 0 {
			return nil
		}
		n := f.B % len(have)
		return slices.Delete(have, n, n+1)
	}, true)
}

// loseStatus deletes the status.
func (h *History) loseStatus() {
	h.forget()
	edit(h.store, domains, h.named(domainName), func(md *v1alpha1.MailDomain) { md.Status = v1alpha1.MailDomainStatus{} })
}

// forget notes that the operator's memory is lost: what stands in DNS, and is not wanted any more, is foreign to
// it from then on.
func (h *History) forget() {
	h.statusLost = true
	for _, of := range h.hosts {
		for _, s := range h.servers.all {
			for _, r := range s.serves[of.owner].records {
				of.lost[r] = true
			}
		}
		for _, r := range h.servers.stored[of.owner].records {
			of.lost[r] = true
		}
	}
}

// restoreStatus puts back the status as it is now after a while, as a restored backup does.
func (h *History) restoreStatus(f Fault) {
	kept := h.domain().Status.DeepCopy()
	h.after(f.lasts(2*time.Hour), func() {
		if h.editedSets { // see edit-parameters
			return
		}
		h.forget()
		h.say("people", "the status of earlier is put back")
		h.troubled = later(h.troubled, h.now.Add(30*time.Minute))
		edit(h.store, domains, h.named(domainName), func(md *v1alpha1.MailDomain) { md.Status = *kept })
	})
}

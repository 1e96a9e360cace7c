package history

import (
	"fmt"
	"slices"
	"strings"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// peopleFaults are what people do to the records, the spec and the status.
var peopleFaults = []fault{
	{"add-foreign", "people", 2, func(h *History, f Fault) { h.addForeign(f) }},
	{"remove-ours", "people", 2, func(h *History, f Fault) { h.removeOurs(f) }},
	{"edit-ttl", "people", 2, func(h *History, f Fault) {
		h.editSpec(h.target(f), func(s *v1alpha1.MailDomainSpec) { s.TLSA.TTL = []int32{30, 60, 120, 300, 600}[f.B%5] })
	}},
	{"edit-parameters", "people", 2, func(h *History, f Fault) { h.editParameters(f) }},
	{"edit-safety", "people", 2, func(h *History, f Fault) {
		h.editSpec(h.target(f), func(s *v1alpha1.MailDomainSpec) {
			s.Rollover.PublishSafety = []v1alpha1.Duration{"0s", "1m", "5m"}[f.A%3]
			s.Rollover.RetireSafety = []v1alpha1.Duration{"0s", "2m", "10m"}[f.B%3]
		})
	}},
	{"edit-standby", "people", 1, func(h *History, f Fault) {
		h.editSpec(h.target(f), func(s *v1alpha1.MailDomainSpec) {
			s.Rollover.StandbyKey = []v1alpha1.StandbyKeyMode{v1alpha1.StandbyEnabled, v1alpha1.StandbyDisabled}[f.B%2]
		})
	}},
	{"edit-propagation", "people", 1, func(h *History, f Fault) {
		edit(h.store, zones, h.named(zoneName), func(z *v1alpha1.DNSZone) {
			p := &z.Spec.Propagation
			p.Sweeps, p.Interval, p.Delay = int32(1+f.A%3), []v1alpha1.Duration{"10s", "30s", "2m"}[f.B%3], []v1alpha1.Duration{"0s", "30s"}[f.A%2] //nolint:gosec // small
		})
	}},
	{"suspend", "people", 2, func(h *History, f Fault) {
		d := h.target(f)
		if d.disturbed() {
			return
		}
		h.count("suspended")
		h.suspend(d, true)
		h.after(f.lasts(time.Hour), func() { h.suspend(d, false) })
	}},
	{"compromise", "people", 1, func(h *History, f Fault) { h.compromise(f) }},
}

// statusFaults are what people, and backups, do to the status. Of one that a host is leaving the status is left
// alone, and of one that is being deleted while records of former keys stand: what those are is then known from
// nowhere else (docs/reliability.md, open points).
var statusFaults = []fault{
	{"lose-status", "status", 2, func(h *History, f Fault) { h.loseStatus(h.target(f)) }},
	{"lose-status-at-write", "status", 3, func(h *History, f Fault) { h.statusGoesIn = 1 + f.A%8 }},
	{"restore-status", "status", 2, func(h *History, f Fault) { h.restoreStatus(f) }},
}

var specFaults = []fault{
	{"delete-domain", "objects", 3, func(h *History, f Fault) { h.deleteDomain(f) }},
	{"host-leaves", "objects", 3, func(h *History, f Fault) { h.hostLeaves(f) }},
	{"change-strategy", "objects", 4, func(h *History, f Fault) { h.changeStrategy(f) }},
}

func (h *History) suspend(d *mailDomain, yes bool) {
	d.suspended = yes
	h.troubled = later(h.troubled, h.now.Add(30*time.Minute))
	h.say("people", "%s, suspend: %t", d.name, yes)
	h.editSpec(d, func(s *v1alpha1.MailDomainSpec) { s.Suspend = yes })
}

// editParameters changes the parameter sets. Where the status was lost before, records of a set that leaves may be
// foreign and stay, and a new key that has no record of that set waits for ever; where foreign records stand, a set
// may not get in for them (docs/reliability.md, open points).
func (h *History) editParameters(f Fault) {
	d := h.target(f)
	if d.foreignAmong() || d.disturbed() || d.elsewhere { // nor may they where a record of a key elsewhere is of one set alone
		return
	}
	d.editedSets = true
	h.count("parameter sets edited")
	sets := d.parameterSets()
	h.editSpec(d, func(s *v1alpha1.MailDomainSpec) { s.TLSA.Parameters = sets[f.B%len(sets)] })
}

// addForeign puts the record of somebody else's key beside ours.
func (h *History) addForeign(f Fault) {
	of := h.hosts[f.A%len(h.hosts)]
	if n := len(h.servers.stored[of.owner].records); n == 0 || n > 5 || of.of.editedSets || of.of.deleted != nil || of.of.away != nil { // see edit-parameters
		return
	}
	of.of.foreign = true
	h.count("foreign record")
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
	h.count("our record removed")
	h.servers.edit(of.owner, func(have []tlsa.Record) []tlsa.Record {
		if f.B%3 == 0 {
			return nil
		}
		n := f.B % len(have)
		return slices.Delete(have, n, n+1)
	}, true)
}

// compromise lists the key in use as given up, and returns it; empty when nothing was done.
func (h *History) compromise(f Fault) v1alpha1.SPKIDigest {
	of := h.hosts[f.A%len(h.hosts)]
	made, md := h.mountedBy(of), h.object(of.of)
	if made == nil || md == nil || of.of.disturbed() {
		return ""
	}
	listed := v1alpha1.SPKIDigest(made.key.digest)
	if slices.Contains(md.Spec.Rollover.CompromisedKeys, listed) {
		return ""
	}
	h.count("key compromised")
	h.say("people", "%s: key %s is compromised", of.name, made.key.digest[:6])
	h.editSpec(of.of, func(s *v1alpha1.MailDomainSpec) {
		s.Rollover.CompromisedKeys = append(s.Rollover.CompromisedKeys, listed)
	})
	return listed
}

// heedAdvice does what the status advises where a renewal waits for ever, since it would keep a compromised key: a person
// does so when nothing else is the matter any more.
func (h *History) heedAdvice(tries int) {
	for _, of := range h.hosts {
		md := h.object(of.of)
		if md == nil || !issuing(of.issuer.certificate()) && h.mountedBy(of) != nil {
			continue // what is served is right, and stays
		}
		stalled := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionStalled)
		if stalled == nil || stalled.Reason != v1alpha1.ReasonCompromisedKeyKept || !strings.Contains(stalled.Message, "Certificate "+of.certificate+" ") {
			continue
		}
		h.count("advice heeded: CompromisedKeyKept")
		if strings.Contains(stalled.Message, "rotationPolicy") {
			h.say("people", "%s shall have a new key", of.name)
			of.rotation = cmapi.RotationPolicyAlways
			h.setRotation(of, of.rotation)
		}
		if strings.Contains(stalled.Message, "Secret "+of.issuer.nextSecret()) {
			h.say("people", "Secret %s is deleted", of.issuer.nextSecret())
			of.issuer.loseNextKey()
		}
	}
	if tries > 1 {
		h.after(step, func() { h.heedAdvice(tries - 1) })
	}
}

// loseStatus deletes the status.
func (h *History) loseStatus(d *mailDomain) {
	if d.editedSets || h.portLeaves(d) || d.away != nil || h.object(d) == nil || d.deleted != nil && !h.allOfKnownKeys(d) { // see edit-parameters and portLeaves
		return
	}
	h.count("status lost")
	if d.deleted != nil {
		h.count("status lost during deletion")
	}
	h.forget(d)
	edit(h.store, domains, h.named(d.name), func(md *v1alpha1.MailDomain) { md.Status = v1alpha1.MailDomainStatus{} })
}

// allOfKnownKeys says whether every record in DNS is of a key that an object holds.
func (h *History) allOfKnownKeys(d *mailDomain) bool {
	for _, of := range d.hosts {
		known := func(r tlsa.Record) bool {
			return slices.ContainsFunc(of.each(), func(each *host) bool { return h.heldByObjects(each, r) })
		}
		var shown []tlsa.Record
		for _, owner := range of.owners() {
			shown = append(shown, h.servers.stored[owner].records...)
			for _, s := range h.servers.all {
				shown = append(shown, s.serves[owner].records...)
			}
		}
		if slices.ContainsFunc(shown, func(r tlsa.Record) bool { return !known(r) }) {
			return false
		}
	}
	return true
}

// heldByObjects says whether a record is of a key that an object of a Certificate holds.
func (h *History) heldByObjects(of *host, r tlsa.Record) bool {
	mounted, own := h.mountedBy(of), h.issuedTo(of.ownSecret())
	standby, ok := h.store.get(secrets, h.named(of.standbySecret())).(*corev1.Secret)
	return mounted != nil && mounted.matches[r] || own != nil && own.matches[r] ||
		ok && r.Data == pool.ofPEM(standby.Data[corev1.TLSPrivateKeyKey]).digest
}

// forget notes that the operator's memory is lost: what stands in DNS, and is not wanted any more, is foreign to
// it from then on.
func (h *History) forget(d *mailDomain) {
	d.statusLost = true
	for _, of := range d.hosts {
		for _, s := range h.servers.all {
			for _, owner := range of.owners() {
				for _, r := range s.serves[owner].records {
					of.lost.add(owner, r)
				}
			}
		}
		for _, owner := range of.owners() {
			for _, r := range h.servers.stored[owner].records {
				of.lost.add(owner, r)
			}
		}
	}
}

// restoreStatus puts back the status as it is now after a while, as a restored backup does.
func (h *History) restoreStatus(f Fault) {
	d := h.target(f)
	md := h.object(d)
	if md == nil {
		return
	}
	kept, uid := md.Status.DeepCopy(), md.UID
	h.after(f.lasts(2*time.Hour), func() {
		now := h.object(d)
		if h.calmed || d.editedSets || h.portLeaves(d) || d.deleted != nil || d.away != nil || now == nil || now.UID != uid { // see edit-parameters
			return // or the faults are over
		}
		h.count("status restored")
		h.forget(d)
		h.say("people", "the status of earlier is put back")
		h.troubled = later(h.troubled, h.now.Add(30*time.Minute))
		edit(h.store, domains, h.named(d.name), func(md *v1alpha1.MailDomain) { md.Status = *kept })
	})
}

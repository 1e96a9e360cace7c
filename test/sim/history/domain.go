package history

import (
	"slices"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// mailDomain is a MailDomain of a history, with what people did to it that the checks have to know.
type mailDomain struct {
	name  string
	hosts []*host
	// short says that its certificates live for hours.
	short bool
	// suspended says that it is.
	suspended bool
	// statusLost says that the status was deleted at some time, editedSets that the parameter sets were changed,
	// foreign that somebody else's records were added.
	statusLost, editedSets, foreign bool
	// changing says that a person is taking it from one strategy to another, step by step.
	changing bool
	// deleted is what a person makes it of again, from when it is deleted until it is there anew; nil otherwise.
	deleted *v1alpha1.MailDomainSpec
	// unguarded says that nobody holds a key back: it went, and its records stay.
	unguarded bool
	// away is a host that has left the spec for a while.
	away *v1alpha1.MailServer
	// elsewhere says that a record of a key elsewhere was in the spec, and removesUntil until when the operator may take
	// foreign records out, since the spec says so, or did a short time ago.
	elsewhere    bool
	removesUntil time.Time
	// portGone is when a port last left the spec.
	portGone time.Time
	// undo takes back what people have changed of the spec for a while, by the field.
	undo map[string]func()
}

// disturbed says that a person is at work who does one thing after the other.
func (d *mailDomain) disturbed() bool {
	return d.changing || d.deleted != nil || d.away != nil || d.suspended
}

// foreignAmong says that records may stand at its hosts that the operator does not know for its own.
func (d *mailDomain) foreignAmong() bool { return d.statusLost || d.foreign }

// takesRisks says whether the spec lets a new key out before every cache knows it.
func (d *mailDomain) takesRisks(spec *v1alpha1.MailDomainSpec, of *host) bool {
	renews := slices.ContainsFunc(of.each(), func(each *host) bool { return each.rotation == cmapi.RotationPolicyAlways })
	return renews && spec.Rollover.Strategy == v1alpha1.StrategyFollow || spec.Rollover.Deadline.Action == v1alpha1.DeadlineProceed
}

// standbySuffix is what the names of Secrets with standby keys end with.
const standbySuffix = "-dane-standby"

func liveSecret(certificate string) string { return certificate + "-live" }

func (of *host) ownSecret() string     { return of.certificate + "-tls" }
func (of *host) liveSecret() string    { return liveSecret(of.certificate) }
func (of *host) standbySecret() string { return of.certificate + standbySuffix }

// object is the MailDomain as it stands; nil when there is none.
func (h *History) object(d *mailDomain) *v1alpha1.MailDomain {
	md, ok := h.store.get(domains, h.named(d.name)).(*v1alpha1.MailDomain)
	if !ok {
		return nil
	}
	return md
}

// target is the MailDomain that a fault concerns.
func (h *History) target(f Fault) *mailDomain { return h.domains[f.A/7%len(h.domains)] }

func (h *History) editSpec(d *mailDomain, how func(*v1alpha1.MailDomainSpec)) {
	edit(h.store, domains, h.named(d.name), func(md *v1alpha1.MailDomain) { how(&md.Spec) })
}

// deleteDomain deletes a MailDomain; some time after it is gone it is made anew.
func (h *History) deleteDomain(f Fault) {
	d := h.target(f)
	md, retain := h.object(d), f.B%3 == 0
	// What stands without being known for the operator's own stays when its records go, and senders then find
	// nothing else; and see edit-parameters and portLeaves (docs/reliability.md, open points).
	if md == nil || d.disturbed() || !retain && d.foreignAmong() || retain && (d.editedSets || h.portLeaves(d)) {
		return
	}
	d.deleted = md.Spec.DeepCopy()
	if retain {
		h.count("deletion, Retain")
		h.editSpec(d, func(s *v1alpha1.MailDomainSpec) { s.DeletionPolicy = v1alpha1.DeletionRetain })
		h.forget(d)
		d.unguarded = true
	} else {
		h.count("deletion, Remove")
	}
	h.say("people", "%s is deleted", d.name)
	h.store.delete(domains, h.named(d.name))
}

// domainChanged sees a MailDomain go, and has it made anew after a while.
func (h *History) domainChanged(c *change) {
	if md, ok := c.object.(*v1alpha1.MailDomain); ok {
		h.countAnnounced(md)
		h.countHeld(md)
	}
	if c.of.kind != domains || c.object != nil {
		return
	}
	for _, d := range h.domains {
		if d.name == c.of.name.Name && d.deleted != nil {
			h.mustHaveTakenOut(d)
			wait := h.between(0, 30*time.Minute)
			if h.calmed {
				wait = time.Minute
			}
			h.after(wait, func() { h.remake(d) })
		}
	}
}

// countAnnounced counts the dangers that a status tells of, each once while it lasts.
func (h *History) countAnnounced(md *v1alpha1.MailDomain) {
	for i := range md.Status.MailServers {
		s := &md.Status.MailServers[i]
		of, reason := h.hostNamed(s.Hostname), ""
		if s.Unsafe != nil {
			reason = s.Unsafe.Reason
		}
		if reason != "" && reason != of.announced {
			h.count("announced: " + reason)
		}
		if reason != "" || of.announced != "" {
			of.announcedAt = h.now
		}
		of.announced = reason
	}
}

// mustHaveTakenOut checks that no record that matches a server is left by a MailDomain that took its records with it.
func (h *History) mustHaveTakenOut(d *mailDomain) {
	for _, of := range d.hosts {
		made := h.mountedBy(of)
		for _, s := range h.servers.all {
			for _, owner := range of.owners() {
				if !d.unguarded && made != nil && slices.ContainsFunc(s.serves[owner].records, func(r tlsa.Record) bool { return made.matches[r] }) {
					h.fail("L2", "MailDomain %s is gone, and %s still shows records of %s", d.name, s.name, owner)
				}
			}
		}
	}
}

func (h *History) remake(d *mailDomain) {
	spec := d.deleted
	spec.DeletionPolicy = v1alpha1.DeletionRemove
	d.deleted = nil
	h.count("made anew")
	h.say("people", "%s is made anew", d.name)
	_ = h.store.create(&v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: d.name}, Spec: *spec})
	d.unguarded = false
	h.weigh(d, spec)
	h.riskFor(d.hosts...)
}

// riskFor is for hosts that were not gated until now: what was let out before may bring dangers for a while,
// which then have to be announced. An issuance may be under way, and a replica may load late.
func (h *History) riskFor(hosts ...*host) {
	for _, of := range hosts {
		of.riskUntil = later(of.riskUntil, h.now.Add(2*time.Hour))
	}
}

// hostLeaves takes a host out of the spec, and puts it back after a while.
func (h *History) hostLeaves(f Fault) {
	d := h.target(f)
	hosts := firsts(d.hosts)
	if len(hosts) < 2 || d.disturbed() || d.foreignAmong() {
		return
	}
	leaving := hosts[f.B%len(hosts)].name
	h.count("host leaves")
	h.say("people", "%s leaves %s", leaving, d.name)
	h.editSpec(d, func(s *v1alpha1.MailDomainSpec) {
		s.MailServers = slices.DeleteFunc(s.MailServers, func(m v1alpha1.MailServer) bool {
			if m.Hostname != leaving {
				return false
			}
			d.away = m.DeepCopy()
			return true
		})
	})
	h.after(f.lasts(3*time.Hour), func() { h.comeBack(d) })
}

// comeBack puts the host back that has left a spec.
func (h *History) comeBack(d *mailDomain) {
	if d.away == nil {
		return
	}
	back := d.away
	d.away = nil
	h.say("people", "%s comes back to %s", back.Hostname, d.name)
	h.editSpec(d, func(s *v1alpha1.MailDomainSpec) { s.MailServers = append(s.MailServers, *back) })
	h.riskFor(h.hostNamed(back.Hostname))
}

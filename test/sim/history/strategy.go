package history

import (
	"slices"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// This file takes a MailDomain from one strategy to another, by the steps of docs/strategies.md.

// step is how often a person looks whether the next step can be made.
const step = 2 * time.Minute

// changeStrategy begins when nothing rolls, and gives up when that does not come about.
func (h *History) changeStrategy(f Fault) {
	d := h.target(f)
	md := h.object(d)
	if md == nil || d.disturbed() || h.abandoned { // nobody would see to it that the new strategy is kept to
		return
	}
	strategies := slices.DeleteFunc([]v1alpha1.Strategy{v1alpha1.StrategyGate, v1alpha1.StrategyStage, v1alpha1.StrategyFollow}, func(s v1alpha1.Strategy) bool { return s == md.Spec.Rollover.Strategy })
	to := strategies[f.B%len(strategies)]
	d.changing = true
	h.whenAtRest(d, 60, func() { h.beginChange(d, to) })
}

// whenAtRest does something once nothing of a MailDomain rolls.
func (h *History) whenAtRest(d *mailDomain, tries int, then func()) {
	switch md := h.object(d); {
	case tries == 0 || md == nil || h.calmed:
		d.changing = false
	case h.atRest(d, md):
		then()
	default:
		h.after(step, func() { h.whenAtRest(d, tries-1, then) })
	}
}

func (h *History) atRest(d *mailDomain, md *v1alpha1.MailDomain) bool {
	busy := slices.ContainsFunc(d.hosts, func(of *host) bool {
		return issuing(of.issuer.certificate()) || !h.sameSecrets(of) || slices.ContainsFunc(of.replicas, func(r *replica) bool { return of.presents(r) != h.mountedBy(of) })
	})
	return !busy && !h.waitsForItsClock() && !meta.IsStatusConditionTrue(md.Status.Conditions, v1alpha1.ConditionRolloverInProgress)
}

// sameSecrets says whether the Secret that a host mounts holds the certificate that was issued last.
func (h *History) sameSecrets(of *host) bool {
	return h.mountedBy(of) != nil && h.mountedBy(of) == h.issuedTo(of.ownSecret())
}

func (h *History) mountedBy(of *host) *issued { return h.issuedTo(of.mounted) }

// issuedTo is the certificate in a Secret; nil without one.
func (h *History) issuedTo(secret string) *issued {
	s, ok := h.store.get(secrets, h.named(secret)).(*corev1.Secret)
	if !ok {
		return nil
	}
	return pool.ofCert(s.Data[corev1.TLSCertKey])
}

func (h *History) beginChange(d *mailDomain, to v1alpha1.Strategy) {
	from := h.object(d).Spec.Rollover.Strategy
	h.count("change of strategy " + string(from) + " to " + string(to))
	h.say("people", "%s goes from %s to %s", d.name, from, to)
	if from != v1alpha1.StrategyStage && to != v1alpha1.StrategyStage {
		h.setStrategy(d, to)
		d.changing = false
		return
	}
	h.rotate(d, cmapi.RotationPolicyNever)
	// A renewal that began before may still bring a new key.
	h.after(step, func() { h.whenAtRest(d, 60, func() { h.changeMount(d, to) }) })
}

// changeMount changes the strategy, and then what the servers mount.
func (h *History) changeMount(d *mailDomain, to v1alpha1.Strategy) {
	h.setStrategy(d, to)
	ready := func(of *host) bool {
		gated := of.issuer.certificate().Annotations[v1alpha1.GateAnnotation] != ""
		return to == v1alpha1.StrategyStage && h.issuedTo(of.liveSecret()) == h.issuedTo(of.ownSecret()) || to == v1alpha1.StrategyGate && gated || to == v1alpha1.StrategyFollow
	}
	h.untilAll(d, ready, func(of *host) {
		of.mounted = of.ownSecret()
		if to == v1alpha1.StrategyStage {
			of.mounted = of.liveSecret()
		}
		h.say("people", "%s mounts %s", of.name, of.mounted)
		h.reload(of)
	}, func() {
		presents := func(of *host) bool {
			return h.mountedBy(of) != nil && !slices.ContainsFunc(of.replicas, func(r *replica) bool { return of.presents(r) != h.mountedBy(of) })
		}
		h.untilAll(d, presents, nil, func() {
			for _, of := range d.hosts {
				h.setRotation(of, of.rotation)
			}
			h.say("people", "%s has changed its strategy", d.name)
			d.changing = false
		})
	})
}

// untilAll waits until something holds of every host, then does something with each, and goes on.
func (h *History) untilAll(d *mailDomain, ready func(*host) bool, do func(*host), then func()) {
	for _, of := range d.hosts {
		if !ready(of) {
			h.after(step, func() { h.untilAll(d, ready, do, then) })
			return
		}
	}
	if do != nil {
		for _, of := range d.hosts {
			do(of)
		}
	}
	then()
}

func (h *History) rotate(d *mailDomain, policy cmapi.PrivateKeyRotationPolicy) {
	for _, of := range d.hosts {
		h.setRotation(of, policy)
	}
}

func (h *History) setRotation(of *host, policy cmapi.PrivateKeyRotationPolicy) {
	of.issuer.edit(func(crt *cmapi.Certificate) { crt.Spec.PrivateKey.RotationPolicy = policy })
}

// setStrategy edits the spec, with the Secrets that are mounted with Stage.
func (h *History) setStrategy(d *mailDomain, to v1alpha1.Strategy) {
	h.editSpec(d, func(s *v1alpha1.MailDomainSpec) {
		s.Rollover.Strategy = to
		for i := range s.MailServers {
			for j := range s.MailServers[i].Certificates {
				c := &s.MailServers[i].Certificates[j]
				if c.ServingSecretName = ""; to == v1alpha1.StrategyStage {
					c.ServingSecretName = liveSecret(c.Name)
				}
			}
		}
		h.weigh(d, s)
		if to == v1alpha1.StrategyGate {
			h.riskFor(d.hosts...)
		}
	})
}

// reload has every replica read what its host mounts now, each in its own time.
func (h *History) reload(of *host) {
	for _, r := range of.replicas {
		h.after(h.between(0, h.slowestLoad), func() { h.load(of, r) })
	}
}

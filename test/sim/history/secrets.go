package history

import (
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// secretFaults are what people, and backups, do to Secrets and Certificates.
var secretFaults = []fault{
	{"lose-standby", "secrets", 2, func(h *History, f Fault) { h.loseStandby(f) }},
	{"lose-secret", "secrets", 2, func(h *History, f Fault) { h.loseSecret(f) }},
	{"lose-serving", "secrets", 3, func(h *History, f Fault) { h.loseServing(f) }},
	{"edit-key-type", "secrets", 3, func(h *History, f Fault) { h.editKeyType(f) }},
}

// loseStandby deletes the Secret of a standby key. A backup may bring it back, over the one that was made since.
func (h *History) loseStandby(f Fault) {
	of := h.hosts[f.A%len(h.hosts)]
	name := h.named(of.standbySecret())
	kept, ok := h.store.get(secrets, name).(*corev1.Secret)
	if !ok {
		return
	}
	h.count("standby Secret deleted")
	h.say("people", "Secret %s is deleted", name.Name)
	h.store.remove(secrets, name)
	if f.B%2 == 0 {
		return
	}
	h.after(f.lasts(time.Hour), func() {
		h.count("standby Secret restored")
		h.say("people", "Secret %s is put back", name.Name)
		if !edit(h.store, secrets, name, func(s *corev1.Secret) { s.Data = kept.DeepCopy().Data }) {
			_ = h.store.create(kept.DeepCopy())
		}
	})
}

// loseSecret deletes the Secret of a Certificate. cert-manager issues anew, unless the Secret is back before.
func (h *History) loseSecret(f Fault) {
	of := h.hosts[f.A%len(h.hosts)]
	name := h.named(of.ownSecret())
	kept, ok := h.store.get(secrets, name).(*corev1.Secret)
	// With a key that shall stay, cert-manager has none to go on with but the one in the Secret.
	if !ok || of.issuer.certificate().Spec.PrivateKey.RotationPolicy == cmapi.RotationPolicyNever || of.of.disturbed() {
		return
	}
	h.count("Secret deleted")
	h.say("people", "Secret %s is deleted", name.Name)
	h.store.remove(secrets, name)
	h.after(h.between(time.Second, time.Minute), of.issuer.replaceLost)
	if f.B%2 == 0 {
		return
	}
	h.after(f.lasts(10*time.Minute), func() {
		if h.store.get(secrets, name) == nil {
			h.count("Secret restored")
			h.say("people", "Secret %s is put back", name.Name)
			_ = h.store.create(kept.DeepCopy())
		}
	})
}

// loseServing deletes the Secret that the replicas of a host mount with strategy Stage: they go on with what they
// have loaded.
func (h *History) loseServing(f Fault) {
	of := h.hosts[f.A%len(h.hosts)]
	if of.mounted != of.liveSecret() || h.mountedBy(of) == nil || of.of.disturbed() {
		return
	}
	h.count("serving Secret deleted")
	h.say("people", "Secret %s is deleted", of.mounted)
	h.store.remove(secrets, h.named(of.mounted))
}

// editKeyType asks for keys of another type; cert-manager renews at once, and throws away a key that it has set aside
// and that does not fit any more. A host with two Certificates has one of each type, and keeps them.
func (h *History) editKeyType(f Fault) {
	of := h.hosts[f.A%len(h.hosts)]
	md := h.object(of.of)
	// With rotationPolicy Never, cert-manager makes no other key, and says so.
	if md == nil || of.twin != nil || of.of.disturbed() || of.issuer.certificate().Spec.PrivateKey.RotationPolicy == cmapi.RotationPolicyNever {
		return
	}
	if md.Spec.Rollover.Strategy == v1alpha1.StrategyFollow && !of.risks() {
		return // it is safe only while the key stays
	}
	algorithm := cmapi.ECDSAKeyAlgorithm
	if of.issuer.algorithm == algorithm {
		algorithm = cmapi.Ed25519KeyAlgorithm
	}
	of.issuer.algorithm = algorithm
	h.count("type of key changed")
	h.say("people", "%s shall have keys of type %s", of.name, algorithm)
	of.issuer.edit(func(crt *cmapi.Certificate) { crt.Spec.PrivateKey.Algorithm = algorithm })
	of.issuer.soon(of.issuer.renew)
	of.issuer.soon(func() { of.issuer.dropUnfit() })
}

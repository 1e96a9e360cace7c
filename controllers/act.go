package controllers

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// act carries out what was decided and stored. Each effect stands alone: one that fails is tried
// again by the next reconcile and does not hold up the others.
func (r *MailDomainReconciler) act(ctx context.Context, run *domainRun) error {
	var errs []error
	for _, h := range run.hosts {
		if h.notManaged {
			continue
		}
		if h.managed() {
			r.publish(run, h)
		}
		if run.md.Spec.Suspend {
			continue
		}
		for i, c := range h.certs {
			if c.certificate != nil && (h.managed() || h.removing) {
				errs = append(errs, r.actOnCertificate(ctx, run, h, h.server.Certificates[i], c))
			}
		}
	}
	r.publishRecords(run)
	errs = append(errs, r.actOnKeys(ctx, run))
	if !run.md.Spec.Suspend {
		errs = append(errs, r.releaseOthers(ctx, run))
	}
	r.decisions.put(run)
	return r.tell(run, errs)
}

// publish queues the updates that are wanted, each at the zone that the owner's aliases lead to. Their
// outcome wakes the MailDomain again.
func (r *MailDomainReconciler) publish(run *domainRun, h *hostRun) {
	for _, o := range h.decision.Owners {
		at := h.ends[o.Name]
		if !o.Write || at.end != o.End || at.client == nil || !r.observer.beginPublish(h.key, o.Name, run.now) {
			continue
		}
		name, began, l := o.Name, r.Clock.Now(), h.lookout()
		change := zone.Change{Owner: cmp.Or(at.end, name), Expect: o.Expect, Want: o.Records, TTL: h.facts.Policy.TTL}
		at.client.Publish(change, func(result zone.Result) {
			now := r.Clock.Now()
			r.counts.Update(string(result.Class), now.Sub(began))
			r.observer.endPublish(l.key, name, result, now)
			if !r.startSweep(l, name, false) {
				r.observer.wake(l.key.domain)
			}
		})
	}
}

// actOnCertificate does what the strategy asks for one Certificate.
func (r *MailDomainReconciler) actOnCertificate(ctx context.Context, run *domainRun, h *hostRun, ref v1alpha1.CertificateReference, c *certificateFacts) error {
	if !h.managed() {
		return nil
	}
	gated := run.md.Spec.Rollover.Strategy == v1alpha1.StrategyGate
	if err := r.setGate(ctx, run.md, c.certificate, gated); err != nil {
		return err
	}
	if h.removing || len(c.problems) > 0 {
		return nil
	}
	if err := r.startEmergency(ctx, run, c); err != nil {
		return err
	}
	switch run.md.Spec.Rollover.Strategy {
	case v1alpha1.StrategyStage:
		return r.copyServing(ctx, run, h, ref, c)
	case v1alpha1.StrategyGate:
		if run.md.Spec.Rollover.KeepsStandbyKey() {
			return r.keepStandby(ctx, run, c)
		}
	case v1alpha1.StrategyFollow:
	}
	return nil
}

// startEmergency starts a renewal, as cmctl renew does, while the key in use is a compromised one.
func (r *MailDomainReconciler) startEmergency(ctx context.Context, run *domainRun, c *certificateFacts) error {
	crt := c.certificate
	if !c.compromised(run.md) || isIssuing(crt) || keepsKey(run.md, crt) || !emergencyDue(crt, run.now) {
		return nil
	}
	updated := crt.DeepCopy()
	now := metav1.NewTime(run.now)
	condition := cmapi.CertificateCondition{
		Type: cmapi.CertificateConditionIssuing, Status: cmmeta.ConditionTrue, LastTransitionTime: &now, ObservedGeneration: crt.Generation,
		Reason: "CompromisedKey", Message: "The key in use is listed in rollover.compromisedKeys of MailDomain " + run.md.Name,
	}
	updated.Status.Conditions = append(slices.DeleteFunc(updated.Status.Conditions, func(old cmapi.CertificateCondition) bool {
		return old.Type == cmapi.CertificateConditionIssuing
	}), condition)
	if err := r.Status().Update(ctx, updated); err != nil {
		return ignoreConflict(client.IgnoreNotFound(err))
	}
	r.event(run.md, crt, corev1.EventTypeWarning, "RenewalStarted", "Renew", "renewal of Certificate %s started: its key is listed as compromised", crt.Name)
	return nil
}

// compromised says whether the key in use is listed as compromised.
func (c *certificateFacts) compromised(md *v1alpha1.MailDomain) bool {
	return len(c.current) > 0 && compromisedOf(md)[spkiOfChain(c.current)]
}

// keepsKey says whether a renewal of a Certificate would bring the same key again.
func keepsKey(md *v1alpha1.MailDomain, crt *cmapi.Certificate) bool {
	pk := crt.Spec.PrivateKey
	return pk != nil && pk.RotationPolicy == cmapi.RotationPolicyNever && !md.Spec.Rollover.KeepsStandbyKey()
}

// emergencyDue says whether a renewal may be started: after one that failed, cert-manager waits an
// hour, and twice as long after each that follows. Issuers that are asked more often refuse for longer.
func emergencyDue(crt *cmapi.Certificate, now time.Time) bool {
	if crt.Status.LastFailureTime == nil {
		return true
	}
	const longest = 5 // 32 hours
	attempts := 1
	if n := crt.Status.FailedIssuanceAttempts; n != nil {
		attempts = *n
	}
	return !now.Before(crt.Status.LastFailureTime.Add(time.Hour << min(max(attempts-1, 0), longest)))
}

// keepStandby puts the standby key into a renewal that is waiting, and makes the next one when it
// has been used.
func (r *MailDomainReconciler) keepStandby(ctx context.Context, run *domainRun, c *certificateFacts) error {
	if len(c.current) == 0 {
		return nil
	}
	standby := c.usableStandby(run.md)
	if standby == "" {
		return r.renewStandby(ctx, run, c)
	}
	if c.pending == nil || !c.swapWanted(run.md) {
		return nil
	}
	return r.swapKey(ctx, run, c, standby)
}

// standbyConflict says that the Secret of the standby key belongs to somebody else.
func standbyConflict(c *certificateFacts) *refusal {
	if c.standby == nil || c.standby.Labels[v1alpha1.RoleLabel] == v1alpha1.StandbyRole {
		return nil
	}
	return &refusal{v1alpha1.ReasonStandbySecretConflict, fmt.Sprintf(
		"the Secret %s exists and is not the operator's (label %s is missing): rename or delete it, so that the standby key of Certificate %s can be kept there",
		c.standby.Name, v1alpha1.RoleLabel, c.certificate.Name)}
}

// usableStandby is the standby key that the next renewal is to be made with, by its digest; empty where there is none,
// or another one has to be made first.
func (c *certificateFacts) usableStandby(md *v1alpha1.MailDomain) string {
	if len(c.standbySPKI) == 0 || len(c.current) == 0 {
		return ""
	}
	standby := tlsa.SPKISHA256(c.standbySPKI)
	key, err := x509.ParsePKIXPublicKey(c.standbySPKI)
	fits := err == nil && fitsWish(key, c.certificate.Spec.PrivateKey)
	inUse := standby == tlsa.SPKISHA256(c.current[0].RawSubjectPublicKeyInfo)
	if inUse || compromisedOf(md)[standby] || !fits {
		return ""
	}
	return standby
}

// renewStandby makes a new standby key. Two operators that do so at once are fenced by the name and
// the resourceVersion of the Secret.
func (r *MailDomainReconciler) renewStandby(ctx context.Context, run *domainRun, c *certificateFacts) error {
	if standbyConflict(c) != nil {
		return nil // stands in the conditions
	}
	existing := c.standby
	if existing != nil && existing.Data == nil { // remembered without its data
		now, err := r.keys.secret(ctx, existing.Namespace, existing.Name)
		if err != nil || now == nil || now.ResourceVersion != existing.ResourceVersion {
			return err // it has changed since: the next look sees how
		}
		existing = now
	}
	err := r.standby.renew(ctx, c.certificate, existing)
	switch {
	case apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err):
		return nil
	case err != nil:
		return fmt.Errorf("write the standby key of Certificate %s to Secret %s/%s: %w",
			c.certificate.Name, run.md.Namespace, standbySecretName(c.certificate.Name), err)
	}
	// The event comes with the status that tells of the key.
	logf.FromContext(ctx).Info("standby key made", "certificate", c.certificate.Name, "secret", standbySecretName(c.certificate.Name))
	// The Secret is not watched with its data: look again.
	r.observer.wake(types.NamespacedName{Namespace: run.md.Namespace, Name: run.md.Name})
	return nil
}

// swapWanted says whether the standby key is to replace the key of a waiting request. With
// rotationPolicy Never the key is kept, unless it is compromised.
func (c *certificateFacts) swapWanted(md *v1alpha1.MailDomain) bool {
	pk := c.certificate.Spec.PrivateKey
	if pk == nil || pk.RotationPolicy != cmapi.RotationPolicyNever {
		return true
	}
	return c.compromised(md)
}

// swapPatience is how long a renewal's first key is left out of account while the standby key is to take its place. A
// request that is older is taken as it is: something keeps cert-manager from replacing it, and by the rule its key may
// be used too.
const swapPatience = 5 * time.Minute

// setAsideFirstKey forgets the key that cert-manager made for a renewal where the standby key is about to take its place:
// its records would be published, and removed again, at every renewal. While the MailDomain is suspended nothing takes its
// place.
func (c *certificateFacts) setAsideFirstKey(md *v1alpha1.MailDomain, now time.Time) {
	if c.pending == nil || md.Spec.Suspend || !md.Spec.Rollover.KeepsStandbyKey() || now.Sub(c.pending.CreationTimestamp.Time) > swapPatience {
		return
	}
	standby := c.usableStandby(md)
	if standby == "" || !c.swapWanted(md) {
		return
	}
	c.keys = slices.DeleteFunc(c.keys, func(k rollover.Key) bool {
		return k.Stage == rollover.StageRequested && k.SPKI != standby
	})
}

// swapKey writes the standby key into the Secret that cert-manager reads the next key from, while
// the request for another key is not approved. cert-manager then replaces the request.
func (r *MailDomainReconciler) swapKey(ctx context.Context, run *domainRun, c *certificateFacts, standby string) error {
	crt := c.certificate
	spki, err := tlsa.SPKIFromCSR(c.pending.Spec.Request)
	if err != nil || tlsa.SPKISHA256(spki) == standby || crt.Status.NextPrivateKeySecretName == nil {
		return nil //nolint:nilerr // a request that cannot be read is in the problems of the Certificate
	}
	secret, err := r.keys.secret(ctx, crt.Namespace, *crt.Status.NextPrivateKeySecretName)
	if err != nil || secret == nil {
		return err
	}
	if secret.Labels[cmapi.IsNextPrivateKeySecretLabelKey] != "true" || !metav1.IsControlledBy(secret, crt) {
		return fmt.Errorf("Secret %s/%s, named by status.nextPrivateKeySecretName of Certificate %s, is not cert-manager's: the standby key was not put there", secret.Namespace, secret.Name, crt.Name) //nolint:revive,staticcheck // begins with a kind
	}
	key, err := r.standbyKey(ctx, crt, standby)
	if err != nil || key == nil || bytes.Equal(key, secret.Data[corev1.TLSPrivateKeyKey]) {
		return err
	}
	updated := secret.DeepCopy()
	updated.Data[corev1.TLSPrivateKeyKey] = key
	if err := r.Update(ctx, updated); err != nil {
		return ignoreConflict(client.IgnoreNotFound(err))
	}
	r.event(run.md, crt, corev1.EventTypeNormal, "StandbyKeyUsed", "UseStandbyKey",
		"the renewal of Certificate %s goes on with the standby key %s", crt.Name, shortKey(standby))
	return nil
}

// standbyKey reads the private half of a standby key; nil when another key has taken its place: the next
// look sees which.
func (r *MailDomainReconciler) standbyKey(ctx context.Context, crt *cmapi.Certificate, standby string) ([]byte, error) {
	secret, err := r.keys.secret(ctx, crt.Namespace, standbySecretName(crt.Name))
	if err != nil || secret == nil {
		return nil, err
	}
	text := secret.Data[corev1.TLSPrivateKeyKey]
	if spki, err := tlsa.SPKIFromPrivateKey(text); err != nil || tlsa.SPKISHA256(spki) != standby {
		return nil, nil //nolint:nilerr // see above
	}
	return text, nil
}

// shortKey is enough of a key's digest for a person to know it by.
func shortKey(spki string) string {
	return spki[:min(16, len(spki))]
}

// event reports something that happened.
func (r *MailDomainReconciler) event(md *v1alpha1.MailDomain, related client.Object, kind, reason, action, note string, args ...any) {
	if related == nil {
		r.events.Eventf(md, nil, kind, reason, action, note, args...)
		return
	}
	r.events.Eventf(md, related, kind, reason, action, note, args...)
}

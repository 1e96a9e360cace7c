package history

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// issuer is what cert-manager and its issuer do for one Certificate: each step is taken some time after
// what calls for it, and reads what stands then.
type issuer struct {
	h    *History
	name string
	// authority signs what is issued next.
	authority int
	// edition tells certificates of one key apart.
	edition int
	// refusals is how many of the next requests are refused; slow is how long the others take at most.
	refusals int
	slow     time.Duration
	// bypass approves the next request whatever gates it.
	bypass bool
	// short says that certificates live for hours.
	short bool
	// algorithm is the type of key that is asked for.
	algorithm cmapi.PrivateKeyAlgorithm
}

// shortLife is how long a certificate lives that does not live long.
const shortLife = 4 * time.Hour

// expires is when a certificate that is issued now ends.
func (i *issuer) expires() time.Time {
	if !i.short {
		return forever
	}
	return i.h.now.Add(shortLife).Truncate(time.Hour)
}

// freshKey is a new key of the type that is asked for.
func (i *issuer) freshKey() *key { return pool.key(numberFor(i.algorithm, i.h.newKey())) }

func (i *issuer) nextSecret() string { return i.name + "-next" }

func (i *issuer) certificate() *cmapi.Certificate {
	return i.h.store.get(certificates, i.h.named(i.name)).(*cmapi.Certificate)
}

func (i *issuer) requestName(revision int) string { return fmt.Sprintf("%s-%d", i.name, revision) }

func revisionOf(crt *cmapi.Certificate) int {
	if crt.Status.Revision == nil {
		return 0
	}
	return *crt.Status.Revision
}

func issuing(crt *cmapi.Certificate) bool {
	return slices.ContainsFunc(crt.Status.Conditions, func(c cmapi.CertificateCondition) bool {
		return c.Type == cmapi.CertificateConditionIssuing && c.Status == cmmeta.ConditionTrue
	})
}

func (i *issuer) edit(how func(*cmapi.Certificate)) {
	edit(i.h.store, certificates, i.h.named(i.name), how)
}

// soon is how long cert-manager's controllers take for a step.
func (i *issuer) soon(step func()) { i.h.after(i.h.between(time.Millisecond, 2*time.Second), step) }

// renew marks the Certificate for a renewal.
func (i *issuer) renew() {
	if issuing(i.certificate()) {
		return
	}
	i.h.say(i.name, "renewal begins")
	i.edit(func(crt *cmapi.Certificate) {
		crt.Status.Conditions = []cmapi.CertificateCondition{{Type: cmapi.CertificateConditionIssuing, Status: cmmeta.ConditionTrue, Reason: "Renewing"}}
	})
}

// watch takes the next step that a change calls for.
func (i *issuer) watch(c *change) {
	switch {
	case c.object == nil:
	case c.of.kind == certificates && c.of.name.Name == i.name && issuing(c.object.(*cmapi.Certificate)):
		i.soon(i.makeKey)
	case c.of.kind == secrets && c.of.name.Name == i.nextSecret():
		i.soon(i.request)
	case c.of.kind == requests && c.object.GetAnnotations()[cmapi.CertificateNameKey] == i.name:
		i.progress(c.object.(*cmapi.CertificateRequest))
	}
}

// makeKey makes the next key, and clears away a request that failed.
func (i *issuer) makeKey() {
	crt := i.certificate()
	if !issuing(crt) || crt.Status.NextPrivateKeySecretName != nil {
		return
	}
	i.h.store.remove(requests, i.h.named(i.requestName(revisionOf(crt)+1)))
	k := i.keyInUse()
	if k == nil || crt.Spec.PrivateKey.RotationPolicy != cmapi.RotationPolicyNever || k.algorithm() != i.algorithm {
		k = i.freshKey()
	}
	name := i.nextSecret()
	secret := &corev1.Secret{ObjectMeta: i.owned(name), Data: map[string][]byte{corev1.TLSPrivateKeyKey: []byte(k.pem)}}
	secret.Labels = map[string]string{cmapi.IsNextPrivateKeySecretLabelKey: "true"}
	i.h.store.remove(secrets, i.h.named(name))
	i.edit(func(crt *cmapi.Certificate) { crt.Status.NextPrivateKeySecretName = &name })
	_ = i.h.store.create(secret)
}

// loseNextKey is what becomes of a renewal whose next key somebody deletes: cert-manager makes another.
func (i *issuer) loseNextKey() {
	i.h.store.remove(secrets, i.h.named(i.nextSecret()))
	i.edit(func(crt *cmapi.Certificate) { crt.Status.NextPrivateKeySecretName = nil })
}

// dropUnfit throws away the next key when it is not of the type that is asked for.
func (i *issuer) dropUnfit() bool {
	k := i.nextKey()
	if !issuing(i.certificate()) || k == nil || k.algorithm() == i.algorithm {
		return false
	}
	i.h.say(i.name, "the next key does not fit the Certificate, and is thrown away")
	i.h.count("next key that does not fit")
	i.loseNextKey()
	return true
}

// keyInUse is the key in the Certificate's Secret; nil without one.
func (i *issuer) keyInUse() *key {
	secret, ok := i.h.store.get(secrets, i.h.named(i.certificate().Spec.SecretName)).(*corev1.Secret)
	if !ok {
		return nil
	}
	return pool.ofPEM(secret.Data[corev1.TLSPrivateKeyKey])
}

// replaceLost renews when the Secret is gone.
func (i *issuer) replaceLost() {
	if i.keyInUse() == nil {
		i.renew()
	}
}

func (i *issuer) owned(name string) metav1.ObjectMeta {
	yes := true
	return metav1.ObjectMeta{Namespace: namespace, Name: name, OwnerReferences: []metav1.OwnerReference{{
		APIVersion: "cert-manager.io/v1", Kind: "Certificate", Name: i.name, UID: i.certificate().UID, Controller: &yes,
	}}}
}

// nextKey is the key that is waiting to be certified; nil when there is none.
func (i *issuer) nextKey() *key {
	secret, ok := i.h.store.get(secrets, i.h.named(i.nextSecret())).(*corev1.Secret)
	if !ok {
		return nil
	}
	return pool.ofPEM(secret.Data[corev1.TLSPrivateKeyKey])
}

// request makes the request for the next key; one for another key is thrown away first.
func (i *issuer) request() {
	crt, k := i.certificate(), i.nextKey()
	if !issuing(crt) || k == nil || i.dropUnfit() {
		return
	}
	revision := revisionOf(crt) + 1
	name := i.h.named(i.requestName(revision))
	if have, ok := i.h.store.get(requests, name).(*cmapi.CertificateRequest); ok {
		if bytes.Equal(have.Spec.Request, k.csr) {
			return
		}
		i.h.say(i.name, "the request for another key is thrown away")
		i.h.store.remove(requests, name)
		i.soon(i.request)
		return
	}
	cr := &cmapi.CertificateRequest{ObjectMeta: i.owned(name.Name), Spec: cmapi.CertificateRequestSpec{Request: k.csr}}
	cr.Annotations = map[string]string{cmapi.CertificateNameKey: i.name, cmapi.CertificateRequestRevisionAnnotationKey: strconv.Itoa(revision)}
	if gate, ok := crt.Annotations[v1alpha1.GateAnnotation]; ok {
		cr.Annotations[v1alpha1.GateAnnotation] = gate
	}
	i.h.say(i.name, "request %s for key %s", name.Name, k.digest[:6])
	_ = i.h.store.create(cr)
}

func condition(cr *cmapi.CertificateRequest, kind cmapi.CertificateRequestConditionType) *cmapi.CertificateRequestCondition {
	for n := range cr.Status.Conditions {
		if cr.Status.Conditions[n].Type == kind {
			return &cr.Status.Conditions[n]
		}
	}
	return nil
}

// progress takes a request on: the approver of cert-manager approves what nobody gates, the issuer signs
// what is approved, and what is signed goes into the Secret.
func (i *issuer) progress(cr *cmapi.CertificateRequest) {
	_, gated := cr.Annotations[v1alpha1.GateAnnotation]
	name := client.ObjectKeyFromObject(cr)
	approved, ready := condition(cr, cmapi.CertificateRequestConditionApproved), condition(cr, cmapi.CertificateRequestConditionReady)
	step := func(f func(*cmapi.CertificateRequest)) func() {
		return func() {
			if now, ok := i.h.store.get(requests, name).(*cmapi.CertificateRequest); ok && now.UID == cr.UID {
				f(now)
			}
		}
	}
	switch {
	case ready != nil && ready.Reason == cmapi.CertificateRequestReasonFailed:
		i.soon(step(i.failed))
	case ready != nil:
		i.soon(step(i.complete))
	case approved != nil:
		i.h.after(i.h.between(100*time.Millisecond, max(i.slow, time.Second)), step(i.sign))
	case !gated || i.bypass:
		i.soon(step(i.approve))
	}
}

func (i *issuer) approve(cr *cmapi.CertificateRequest) {
	if condition(cr, cmapi.CertificateRequestConditionApproved) != nil {
		return
	}
	i.h.say(i.name, "request %s is approved by cert-manager", cr.Name)
	i.bypass = false
	if cr.Annotations[v1alpha1.GateAnnotation] != "" {
		i.h.count("approved past the gate")
	}
	i.conclude(cr, cmapi.CertificateRequestConditionApproved, cmmeta.ConditionTrue, "cert-manager.io", nil)
}

func (i *issuer) conclude(cr *cmapi.CertificateRequest, kind cmapi.CertificateRequestConditionType, status cmmeta.ConditionStatus, reason string, cert []byte) {
	edit(i.h.store, requests, client.ObjectKeyFromObject(cr), func(cr *cmapi.CertificateRequest) {
		cr.Status.Certificate = cert
		cr.Status.Conditions = append(cr.Status.Conditions, cmapi.CertificateRequestCondition{Type: kind, Status: status, Reason: reason})
	})
}

func (i *issuer) sign(cr *cmapi.CertificateRequest) {
	k := i.nextKey()
	if condition(cr, cmapi.CertificateRequestConditionReady) != nil || k == nil || !bytes.Equal(k.csr, cr.Spec.Request) {
		return
	}
	if i.refusals > 0 {
		i.refusals--
		i.h.say(i.name, "request %s is refused", cr.Name)
		i.conclude(cr, cmapi.CertificateRequestConditionReady, cmmeta.ConditionFalse, cmapi.CertificateRequestReasonFailed, nil)
		return
	}
	i.edition++
	made := pool.issue(k, i.authority, i.edition%10, i.expires())
	i.h.say(i.name, "request %s is signed", cr.Name)
	i.conclude(cr, cmapi.CertificateRequestConditionReady, cmmeta.ConditionTrue, cmapi.CertificateRequestReasonIssued, []byte(made.pem))
}

// afterRefusal is how long cert-manager waits after a refusal; an hour in truth.
const afterRefusal = 10 * time.Minute

func (i *issuer) failed(*cmapi.CertificateRequest) {
	if !issuing(i.certificate()) {
		return
	}
	i.edit(func(crt *cmapi.Certificate) {
		now, attempts := metav1.NewTime(i.h.now), 1
		if n := crt.Status.FailedIssuanceAttempts; n != nil {
			attempts += *n
		}
		crt.Status.LastFailureTime, crt.Status.FailedIssuanceAttempts = &now, &attempts
		crt.Status.NextPrivateKeySecretName, crt.Status.Conditions = nil, nil
	})
	i.h.store.remove(secrets, i.h.named(i.nextSecret()))
	i.h.after(afterRefusal, i.renew)
}

// complete puts what was issued into the Certificate's Secret.
func (i *issuer) complete(cr *cmapi.CertificateRequest) {
	crt, made := i.certificate(), pool.ofCert(cr.Status.Certificate)
	if !issuing(crt) || cr.Annotations[cmapi.CertificateRequestRevisionAnnotationKey] != strconv.Itoa(revisionOf(crt)+1) || i.nextKey() != made.key || i.dropUnfit() {
		return
	}
	i.putSecret(made)
	i.edit(func(crt *cmapi.Certificate) {
		revision := revisionOf(crt) + 1
		crt.Status.Revision, crt.Status.NextPrivateKeySecretName, crt.Status.Conditions = &revision, nil, nil
		crt.Status.LastFailureTime, crt.Status.FailedIssuanceAttempts = nil, nil
	})
	i.h.store.remove(secrets, i.h.named(i.nextSecret()))
	i.h.store.remove(requests, i.h.named(i.requestName(revisionOf(crt)-1)))
	i.h.rollovers++
	i.h.say(i.name, "certificate with key %s is in the Secret", made.key.digest[:6])
}

// putSecret writes a certificate and its key into the Certificate's Secret.
func (i *issuer) putSecret(made *issued) {
	name := i.h.named(i.certificate().Spec.SecretName)
	if edit(i.h.store, secrets, name, func(s *corev1.Secret) { s.Data = secretData(made) }) {
		return
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}, Type: corev1.SecretTypeTLS, Data: secretData(made)}
	secret.Annotations = map[string]string{cmapi.CertificateNameKey: i.name}
	_ = i.h.store.create(secret)
}

func secretData(made *issued) map[string][]byte {
	return map[string][]byte{corev1.TLSCertKey: []byte(made.pem), corev1.TLSPrivateKeyKey: []byte(made.key.pem)}
}

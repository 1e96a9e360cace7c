package controllers

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
)

// copies are the indexes of the Certificates whose new chain may be copied to the serving Secret now.
func (h *hostRun) copies() []int {
	var out []int
	for i, c := range h.certs {
		if h.facts.Policy.Strategy != rollover.Stage || c.issued == nil || h.removing || h.facts.Policy.Suspended {
			continue
		}
		if sameServing(c.serving, c.issued) {
			continue
		}
		if id, ok := c.issuedKey(); ok && slices.Contains(h.decision.Deploy, id) {
			out = append(out, i)
		}
	}
	return out
}

// issuedKey is the rule's name of the key in the Certificate's own Secret. It was read last, so that
// a chain which is served already carries the same name.
func (c *certificateFacts) issuedKey() (string, bool) {
	if len(c.current) == 0 {
		return "", false
	}
	serial := serialOf(c.current[0])
	for _, k := range c.keys {
		if k.SPKI == spkiOfChain(c.current) && (k.ID == k.SPKI || k.Serial == serial) {
			return k.ID, true
		}
	}
	return "", false
}

// servingKeys are the keys of a Secret that are copied.
var servingKeys = []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey, "ca.crt"}

func sameServing(serving, issued *corev1.Secret) bool {
	if serving == nil {
		return false
	}
	for _, key := range servingKeys {
		if !bytes.Equal(serving.Data[key], issued.Data[key]) {
			return false
		}
	}
	return true
}

// copyServing copies the issued chain and key to the Secret that the server mounts, once the rule
// says that it may be served. The Secret has no owner: it outlives the MailDomain and the Certificate.
func (r *MailDomainReconciler) copyServing(ctx context.Context, run *domainRun, h *hostRun, ref v1alpha1.CertificateReference, c *certificateFacts) error {
	i := slices.Index(h.certs, c)
	if !slices.Contains(h.copies(), i) {
		return nil
	}
	if refused := servingConflict(c, ref); refused != nil {
		return nil // stands in the conditions
	}
	id, _ := c.issuedKey()
	if allowed, err := r.othersAllow(ctx, run, h, ref, id); err != nil || !allowed {
		return err
	}
	data := map[string][]byte{}
	for _, key := range servingKeys {
		if v, ok := c.issued.Data[key]; ok {
			data[key] = bytes.Clone(v)
		}
	}
	err := r.writeServing(ctx, c, ref.ServingSecretName, data)
	switch {
	case apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err):
		return nil
	case err != nil:
		return fmt.Errorf("write serving Secret %s/%s: %w", run.md.Namespace, ref.ServingSecretName, err)
	}
	r.event(run.md, c.certificate, corev1.EventTypeNormal, "KeyDeployed", "Deploy",
		"the chain of Certificate %s with key %s was copied to serving Secret %s", c.certificate.Name, shortKey(spkiOfChain(c.current)), ref.ServingSecretName)
	r.observer.wake(client.ObjectKeyFromObject(run.md))
	return nil
}

// othersAllow asks the other hosts whose server mounts the same Secret, those of other MailDomains
// included: what is copied is served by all of them.
func (r *MailDomainReconciler) othersAllow(ctx context.Context, run *domainRun, h *hostRun, ref v1alpha1.CertificateReference, id string) (bool, error) {
	for _, other := range run.hosts {
		if other == h || !mounts(&other.server, ref) || other.ownedElsewhere() {
			continue
		}
		if !other.managed() || !slices.Contains(other.decision.Deploy, id) {
			return false, nil
		}
	}
	var list v1alpha1.MailDomainList
	if err := r.List(ctx, &list, client.InNamespace(run.md.Namespace), client.MatchingFields{certificateIndex: ref.Name}); err != nil {
		return false, fmt.Errorf("list MailDomains of Certificate %s/%s: %w", run.md.Namespace, ref.Name, err)
	}
	others := slices.DeleteFunc(list.Items, func(md v1alpha1.MailDomain) bool {
		return md.Name == run.md.Name || !slices.ContainsFunc(md.Spec.MailServers, func(s v1alpha1.MailServer) bool { return mounts(&s, ref) })
	})
	return r.keeper.open(ctx, others, ref.Name, id)
}

// mounts says whether a server mounts the serving Secret of a Certificate.
func mounts(server *v1alpha1.MailServer, ref v1alpha1.CertificateReference) bool {
	return slices.ContainsFunc(server.Certificates, func(c v1alpha1.CertificateReference) bool {
		return c.ServingSecretName == ref.ServingSecretName
	})
}

func (r *MailDomainReconciler) writeServing(ctx context.Context, c *certificateFacts, name string, data map[string][]byte) error {
	labels := map[string]string{v1alpha1.RoleLabel: v1alpha1.ServingRole, v1alpha1.CertificateLabel: labelValue(c.certificate.Name)}
	if c.serving != nil {
		updated := c.serving.DeepCopy()
		if updated.Labels == nil {
			updated.Labels = map[string]string{}
		}
		maps.Copy(updated.Labels, labels)
		updated.Data = data
		return r.Update(ctx, updated)
	}
	return r.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.certificate.Namespace, Name: name, Labels: labels},
		Type:       corev1.SecretTypeTLS,
		Data:       data,
	})
}

// servingConflict says why the serving Secret must not be written: it is the Certificate's own, or
// belongs to another object.
func servingConflict(c *certificateFacts, ref v1alpha1.CertificateReference) *refusal {
	if c.certificate != nil && c.certificate.Spec.SecretName == ref.ServingSecretName {
		return &refusal{v1alpha1.ReasonServingSecretConflict, fmt.Sprintf(
			"servingSecretName %s is the secretName of Certificate %s itself: name another Secret, and let the server mount that", ref.ServingSecretName, ref.Name)}
	}
	if c.serving == nil {
		return nil
	}
	if owner := metav1.GetControllerOf(c.serving); owner != nil {
		return &refusal{v1alpha1.ReasonServingSecretConflict, fmt.Sprintf(
			"Secret %s, which servingSecretName of Certificate %s names, belongs to %s %s: name another Secret", ref.ServingSecretName, ref.Name, owner.Kind, owner.Name)}
	}
	if name := c.serving.Annotations["cert-manager.io/certificate-name"]; name != "" {
		return &refusal{v1alpha1.ReasonServingSecretConflict, fmt.Sprintf(
			"Secret %s, which servingSecretName of Certificate %s names, is written by cert-manager for Certificate %s: name another Secret", ref.ServingSecretName, ref.Name, name)}
	}
	if c.serving.Type != corev1.SecretTypeTLS {
		return &refusal{v1alpha1.ReasonServingSecretConflict, fmt.Sprintf(
			"Secret %s, which servingSecretName of Certificate %s names, is of type %s and not %s: name another Secret", ref.ServingSecretName, ref.Name, c.serving.Type, corev1.SecretTypeTLS)}
	}
	if label := c.serving.Labels[v1alpha1.CertificateLabel]; label != "" && label != labelValue(ref.Name) {
		return &refusal{v1alpha1.ReasonServingSecretConflict, fmt.Sprintf(
			"Secret %s already serves Certificate %s: name another Secret for Certificate %s", ref.ServingSecretName, label, ref.Name)}
	}
	return nil
}

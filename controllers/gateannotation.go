package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// This file puts the annotation on Certificates by which their requests are held, and takes it off.

// gateFieldManager owns the gate annotation on Certificates, and nothing else.
const gateFieldManager = "dane-operator-gate"

// releaseOthers takes the gate off Certificates that md once named and does not name any more. It
// waits until no host of md is being taken out of DNS.
func (r *MailDomainReconciler) releaseOthers(ctx context.Context, run *domainRun) error {
	if slices.ContainsFunc(run.hosts, func(h *hostRun) bool { return h.removing }) {
		return nil
	}
	gated, err := r.gatedCertificates(ctx, run.md)
	if err != nil {
		return err
	}
	var errs []error
	for i := range gated {
		if !slices.Contains(certificateNames(run.md), gated[i].Name) {
			errs = append(errs, r.setGate(ctx, run.md, &gated[i], false))
		}
	}
	return errors.Join(errs...)
}

// gatedCertificates are the Certificates that carry the gate annotation of md.
func (r *MailDomainReconciler) gatedCertificates(ctx context.Context, md *v1alpha1.MailDomain) ([]cmapi.Certificate, error) {
	var list cmapi.CertificateList
	if err := r.List(ctx, &list, client.InNamespace(md.Namespace), client.MatchingFields{gateIndex: md.Name}); err != nil {
		return nil, fmt.Errorf("list Certificates gated by MailDomain %s/%s: %w", md.Namespace, md.Name, err)
	}
	return list.Items, nil
}

// setGate puts the gate annotation on a Certificate, or takes it off, by server-side apply: another
// tool that owns the Certificate sees no drift.
func (r *MailDomainReconciler) setGate(ctx context.Context, md *v1alpha1.MailDomain, crt *cmapi.Certificate, gated bool) error {
	if carries := crt.Annotations[v1alpha1.GateAnnotation] == md.Name; carries == gated {
		return nil
	}
	holder := md.Name
	if gated {
		if another, err := r.gatedByAnother(ctx, crt); another || err != nil {
			return err
		}
	} else {
		// Another MailDomain may have gated it since.
		now := &cmapi.Certificate{}
		if err := r.live.Get(ctx, client.ObjectKeyFromObject(crt), now); err != nil || now.Annotations[v1alpha1.GateAnnotation] != md.Name {
			return client.IgnoreNotFound(err)
		}
		var err error
		if holder, err = r.heirOf(ctx, md, crt.Name); err != nil {
			return err
		}
	}
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(cmapi.SchemeGroupVersion.WithKind(cmapi.CertificateKind))
	u.SetNamespace(crt.Namespace)
	u.SetName(crt.Name)
	u.SetUID(crt.UID)
	if holder != "" {
		u.SetAnnotations(map[string]string{v1alpha1.GateAnnotation: holder})
	}
	err := r.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(gateFieldManager), client.ForceOwnership)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("set annotation %s on Certificate %s/%s: %w", v1alpha1.GateAnnotation, crt.Namespace, crt.Name, err)
	}
	return nil
}

// heirOf is the first MailDomain by name, beside md, that gates a Certificate; empty for none. Without the annotation in between
// a request that is made just then is held by nobody.
func (r *MailDomainReconciler) heirOf(ctx context.Context, md *v1alpha1.MailDomain, certificate string) (string, error) {
	return r.firstBeside(ctx, md, certificate, func(other *v1alpha1.MailDomain) bool { return other.DeletionTimestamp.IsZero() })
}

// gatedByAnother says whether the annotation names another MailDomain that gates the Certificate: whichever it names, all
// that name the Certificate have a say. To put one's own name there would have each take turns with the others for ever.
func (r *MailDomainReconciler) gatedByAnother(ctx context.Context, crt *cmapi.Certificate) (bool, error) {
	name := types.NamespacedName{Namespace: crt.Namespace, Name: crt.Annotations[v1alpha1.GateAnnotation]}
	if name.Name == "" {
		return false, nil
	}
	other := &v1alpha1.MailDomain{}
	if err := r.Get(ctx, name, other); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return gates(other) && other.DeletionTimestamp.IsZero() && slices.Contains(certificateNames(other), crt.Name), nil
}

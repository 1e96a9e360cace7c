package controllers

import (
	"context"
	"slices"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// This file says which MailDomains and DNSZones a changed object concerns.

func requestsFor(reader client.Reader, ctx context.Context, matches func(*v1alpha1.MailDomain) bool, options ...client.ListOption) []reconcile.Request { //nolint:revive // reads better in this order
	var list v1alpha1.MailDomainList
	if err := reader.List(ctx, &list, options...); err != nil {
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		if matches == nil || matches(&list.Items[i]) {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return out
}

// neighbours are the MailDomains that share a host with a changed one.
func neighbours(reader client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		var out []reconcile.Request
		for _, host := range hostnames(o.(*v1alpha1.MailDomain)) {
			out = append(out, requestsFor(reader, ctx, func(md *v1alpha1.MailDomain) bool { return md.UID != o.GetUID() }, client.MatchingFields{hostIndex: host})...)
		}
		return out
	}
}

func domainsOfCertificate(reader client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		return requestsFor(reader, ctx, nil, client.InNamespace(o.GetNamespace()), client.MatchingFields{certificateIndex: o.GetName()})
	}
}

func domainsOfRequest(reader client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		name := o.GetAnnotations()[requestNameAnnotation]
		if name == "" {
			return nil
		}
		return requestsFor(reader, ctx, nil, client.InNamespace(o.GetNamespace()), client.MatchingFields{certificateIndex: name})
	}
}

// domainsOfNamespace are those whose endpoints come from a Service.
func domainsOfNamespace(reader client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		return requestsFor(reader, ctx, func(md *v1alpha1.MailDomain) bool {
			return slices.ContainsFunc(md.Spec.MailServers, func(s v1alpha1.MailServer) bool {
				return s.Probe.ServiceRef != nil && s.Probe.ServiceRef.Name == o.GetLabels()["kubernetes.io/service-name"]
			})
		}, client.InNamespace(o.GetNamespace()))
	}
}

// domainsOfSecret are those that a Secret serves: the Secret of a Certificate carries the
// Certificate's name in an annotation, ours carry it in a label.
func domainsOfSecret(reader client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		name := o.GetAnnotations()[cmapi.CertificateNameKey]
		if label := o.GetLabels()[v1alpha1.CertificateLabel]; label != "" {
			name = label
		}
		if name == "" {
			return nil
		}
		return requestsFor(reader, ctx, func(md *v1alpha1.MailDomain) bool {
			return slices.ContainsFunc(certificateNames(md), func(c string) bool { return labelValue(c) == labelValue(name) })
		}, client.InNamespace(o.GetNamespace()))
	}
}

// zonesOfSecret are the DNSZones that name a Secret.
func zonesOfSecret(reader client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		var list v1alpha1.DNSZoneList
		if err := reader.List(ctx, &list, client.InNamespace(o.GetNamespace())); err != nil {
			return nil
		}
		var out []reconcile.Request
		for i := range list.Items {
			if slices.Contains(secretsOfZone(&list.Items[i]), o.GetName()) {
				out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
			}
		}
		return out
	}
}

func secretsOfZone(z *v1alpha1.DNSZone) []string {
	var out []string
	if ref := z.Spec.Update.TSIGSecretSecretRef; ref != nil {
		out = append(out, ref.Name)
	}
	if t := z.Spec.Update.TLS; t != nil {
		if t.CABundleSecretRef != nil {
			out = append(out, t.CABundleSecretRef.Name)
		}
		if t.ClientCertSecretRef != nil {
			out = append(out, t.ClientCertSecretRef.Name)
		}
	}
	return out
}

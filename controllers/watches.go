package controllers

import (
	"context"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/shard"
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

// neighbours are the MailDomains that share a host with a changed one, or a name that aliases lead to; where there are
// several operators, those that share a Certificate with it, too.
func neighbours(reader client.Reader, part shard.Shard) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		changed := o.(*v1alpha1.MailDomain)
		hosts, ends := hostnames(changed), aliasEnds(changed)
		for _, s := range changed.Spec.MailServers {
			for _, p := range s.Ports {
				ends = append(ends, ownerName(s.Hostname, p.Port))
			}
		}
		for _, end := range aliasEnds(changed) {
			hosts = append(hosts, baseDomain(end))
		}
		var out []reconcile.Request
		others := func(md *v1alpha1.MailDomain) bool { return md.UID != o.GetUID() }
		for _, host := range hosts {
			out = append(out, requestsFor(reader, ctx, others, client.MatchingFields{hostIndex: host})...)
		}
		if concernsRecords(changed) {
			out = append(out, requestsFor(reader, ctx, others, client.MatchingFields{domainIndex: changed.Spec.Domain})...)
		}
		for _, end := range ends {
			out = append(out, requestsFor(reader, ctx, others, client.MatchingFields{endIndex: end})...)
		}
		if !part.All() {
			for _, name := range certificateNames(changed) {
				out = append(out, requestsFor(reader, ctx, others, client.InNamespace(changed.Namespace), client.MatchingFields{certificateIndex: name})...)
			}
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

// domainsOfService are those whose endpoints come from the Service of a slice. They are probed soon.
func domainsOfService(reader client.Reader, o *observer) handler.MapFunc {
	return func(ctx context.Context, slice client.Object) []reconcile.Request {
		service := slice.GetLabels()[discoveryv1.LabelServiceName]
		if service == "" {
			return nil
		}
		out := requestsFor(reader, ctx, nil, client.InNamespace(slice.GetNamespace()), client.MatchingFields{serviceIndex: service})
		for _, r := range out {
			o.stir(r.NamespacedName)
		}
		return out
	}
}

// domainsOfSecret are those that a Secret serves: the Secret of a Certificate carries the
// Certificate's name in an annotation, ours carry it, shortened, in a label, and those with DKIM keys the
// MailDomain's.
func domainsOfSecret(reader client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		if domain := o.GetLabels()[v1alpha1.DKIMDomainLabel]; domain != "" {
			return requestsFor(reader, ctx, nil, client.InNamespace(o.GetNamespace()), client.MatchingFields{nameLabelIndex: domain})
		}
		name := o.GetAnnotations()[cmapi.CertificateNameKey]
		if label := o.GetLabels()[v1alpha1.CertificateLabel]; label != "" {
			name = label
		}
		if name == "" {
			return nil
		}
		out := requestsFor(reader, ctx, nil, client.InNamespace(o.GetNamespace()), client.MatchingFields{certificateIndex: name})
		return append(out, requestsFor(reader, ctx, nil, client.InNamespace(o.GetNamespace()), client.MatchingFields{certificateLabelIndex: labelValue(name)})...)
	}
}

// zonesOfSecret are the DNSZones that name a Secret.
func zonesOfSecret(reader client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		var list v1alpha1.DNSZoneList
		if err := reader.List(ctx, &list, client.InNamespace(o.GetNamespace()), client.MatchingFields{zoneSecretIndex: o.GetName()}); err != nil {
			return nil
		}
		var out []reconcile.Request
		for i := range list.Items {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
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

package dashboard

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/shard"
)

// This file reads what is looked at: the objects that the operator acts for, and no others. Those of lists are those of the
// cache, and only read.

// domainsIn are the MailDomains of a namespace, or with an empty name of all.
func (p *Page) domainsIn(ctx context.Context, namespace string) ([]v1alpha1.MailDomain, error) {
	var list v1alpha1.MailDomainList
	if err := p.o.Reader.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	return shard.Of(p.o.Shard, list.Items), nil
}

// zonesIn are the DNSZones of one.
func (p *Page) zonesIn(ctx context.Context, namespace string) ([]v1alpha1.DNSZone, error) {
	var list v1alpha1.DNSZoneList
	if err := p.o.Reader.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	return shard.Of(p.o.Shard, list.Items), nil
}

// read reads one object.
func (p *Page) read(ctx context.Context, namespace, name string, into client.Object) error {
	if err := p.o.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into); err != nil {
		return err
	}
	if !p.o.Shard.Has(into) {
		return errNotThere
	}
	return nil
}

package plugin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// This file finds the object that somebody names, and says where else one is of that name.

// mailDomain reads one object by its name, or by the domain that it is of.
func (k *kube) mailDomain(ctx context.Context, name string) (client.Client, *v1alpha1.MailDomain, error) {
	c, namespace, err := k.inNamespace()
	if err != nil {
		return nil, nil, err
	}
	var list v1alpha1.MailDomainList
	if err := c.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, nil, err
	}
	if found := domainsCalled(list.Items, name); len(found) > 0 {
		return c, found[0], nil
	}
	list = v1alpha1.MailDomainList{}
	others := namespacesOf(ctx, c, &list, func() (out []string) {
		for _, md := range domainsCalled(list.Items, name) {
			out = append(out, md.Namespace)
		}
		return out
	})
	return nil, nil, fmt.Errorf("no MailDomain in namespace %s is called %q or has that domain; %s", namespace, name, whereElse(others, "kubectl dane status -A"))
}

// mailDomainHere is for those who only read.
func (k *kube) mailDomainHere(ctx context.Context, name string) (*v1alpha1.MailDomain, error) {
	_, md, err := k.mailDomain(ctx, name)
	return md, err
}

// mailDomainAnywhere looks into all namespaces.
func (k *kube) mailDomainAnywhere(ctx context.Context, name string) (*v1alpha1.MailDomain, error) {
	c, err := k.client()
	if err != nil {
		return nil, err
	}
	var list v1alpha1.MailDomainList
	if err := c.List(ctx, &list); err != nil {
		return nil, err
	}
	found := domainsCalled(list.Items, name)
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("no MailDomain in any namespace is called %q or has that domain; kubectl dane status -A lists those that there are", name)
	case 1:
		return found[0], nil
	}
	var in []string
	for _, md := range found {
		in = append(in, md.Namespace)
	}
	return nil, fmt.Errorf("more than one MailDomain is called %q or has that domain; %s", name, whereElse(in, ""))
}

// domainsCalled are those of a name, or where there is none those that are of the domain.
func domainsCalled(list []v1alpha1.MailDomain, name string) []*v1alpha1.MailDomain {
	var called, of []*v1alpha1.MailDomain
	for i := range list {
		switch md := &list[i]; {
		case md.Name == name:
			called = append(called, md)
		case md.Spec.Domain == name:
			of = append(of, md)
		}
	}
	if len(called) > 0 {
		return called
	}
	return of
}

// dnsZone reads one by its name, or by that of the zone.
func (k *kube) dnsZone(ctx context.Context, name string) (*v1alpha1.DNSZone, error) {
	c, namespace, err := k.inNamespace()
	if err != nil {
		return nil, err
	}
	var list v1alpha1.DNSZoneList
	if err := c.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	fits := func(dz v1alpha1.DNSZone) bool { return dz.Name == name || dz.Spec.Zone == name }
	if i := slices.IndexFunc(list.Items, fits); i >= 0 {
		return &list.Items[i], nil
	}
	list = v1alpha1.DNSZoneList{}
	others := namespacesOf(ctx, c, &list, func() (out []string) {
		for _, dz := range list.Items {
			if fits(dz) {
				out = append(out, dz.Namespace)
			}
		}
		return out
	})
	return nil, fmt.Errorf("no DNSZone in namespace %s is called %q or has that zone; %s", namespace, name, whereElse(others, "kubectl get dnszones -A"))
}

// inNamespace is a client, and the namespace that a command is about.
func (k *kube) inNamespace() (client.Client, string, error) {
	c, err := k.client()
	if err != nil {
		return nil, "", err
	}
	namespace, err := k.namespace()
	return c, namespace, err
}

// namespacesOf lists what there is in all namespaces, and says in which of them the wanted one is: none where whoever calls may not
// look there.
func namespacesOf(ctx context.Context, c client.Client, list client.ObjectList, wanted func() []string) []string {
	if err := c.List(ctx, list); err != nil {
		return nil
	}
	return wanted()
}

// whereElse says in which other namespaces the wanted one is, or what lists those of all.
func whereElse(namespaces []string, lists string) string {
	slices.Sort(namespaces)
	namespaces = slices.Compact(namespaces)
	switch len(namespaces) {
	case 0:
		return fmt.Sprintf("-n names another namespace, and %s lists those of all", lists)
	case 1:
		return fmt.Sprintf("there is one in namespace %[1]s: add -n %[1]s", namespaces[0])
	}
	return fmt.Sprintf("there is one in each of the namespaces %s: name one with -n", strings.Join(namespaces, ", "))
}

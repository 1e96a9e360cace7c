package plugin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/statusview"
)

// clusterPatience is how long a cluster may take to tell of a MailDomain. Whoever looks at a domain of somebody else has
// no use for it.
const clusterPatience = "5s"

// selectors are those of the DKIM keys of a domain beside those that are named: of the MailDomain in a file, or where
// neither a file nor a selector is named, of the one in the cluster. That there is no cluster is no error.
func (k *kube) selectors(ctx context.Context, o *checkOptions, domain string) ([]string, error) {
	domain = strings.TrimSuffix(domain, ".")
	switch {
	case len(o.files.Filenames) > 0:
		return k.selectorsInFiles(&o.files, domain)
	case len(o.selectors) > 0:
		return nil, nil
	}
	if *k.flags.Timeout == "0" { // nobody has said how long
		*k.flags.Timeout = clusterPatience
	}
	if !k.knowsACluster() {
		return nil, nil
	}
	found, err := k.selectorsInCluster(ctx, domain)
	if err != nil && !meta.IsNoMatchError(err) {
		fmt.Fprintf(k.ErrOut, "the cluster does not tell which DKIM keys there are: %v; name their selectors with --dkim-selector\n", err)
	}
	return found, nil
}

// knowsACluster says whether there is a kubeconfig that names one.
func (k *kube) knowsACluster() bool {
	config, err := k.flags.ToRawKubeConfigLoader().RawConfig()
	return err == nil && len(config.Contexts) > 0
}

// selectorsInCluster gives up in time, also where a program has to log in first, which heeds no context.
func (k *kube) selectorsInCluster(ctx context.Context, domain string) ([]string, error) {
	patience, _ := time.ParseDuration(clusterPatience)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	type answer struct {
		selectors []string
		err       error
	}
	said := make(chan answer, 1)
	go func() {
		selectors, err := k.listSelectors(ctx, domain)
		said <- answer{selectors, err}
	}()
	select {
	case a := <-said:
		return a.selectors, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("it does not answer within %s: %w", clusterPatience, ctx.Err())
	}
}

func (k *kube) listSelectors(ctx context.Context, domain string) ([]string, error) {
	c, err := k.client()
	if err != nil {
		return nil, err
	}
	namespace, err := k.namespace()
	if err != nil {
		return nil, err
	}
	var list v1alpha1.MailDomainList
	if err := c.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(list.Items, func(md v1alpha1.MailDomain) bool { return md.Spec.Domain == domain }); i >= 0 {
		return statusview.PublishedSelectors(&list.Items[i]), nil
	}
	return nil, nil
}

// selectorsInFiles reads MailDomains as kubectl get prints them, without asking any cluster.
func (k *kube) selectorsInFiles(files *resource.FilenameOptions, domain string) ([]string, error) {
	var found *v1alpha1.MailDomain
	err := resource.NewBuilder(k.flags).Unstructured().Local().ContinueOnError().FilenameParam(false, files).Flatten().Do().Visit(func(info *resource.Info, err error) error {
		object, ok := info.Object.(*unstructured.Unstructured)
		if err != nil || !ok || object.GroupVersionKind().GroupKind() != v1alpha1.GroupVersion.WithKind("MailDomain").GroupKind() {
			return err
		}
		md := &v1alpha1.MailDomain{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, md); err != nil {
			return fmt.Errorf("%s: %w", info.Source, err)
		}
		if md.Spec.Domain == domain {
			found = md
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("-f: %w", err)
	case found == nil:
		return nil, fmt.Errorf("-f: there is no MailDomain of %s in %s", domain, strings.Join(files.Filenames, ", "))
	}
	selectors := statusview.PublishedSelectors(found)
	if len(selectors) == 0 && found.Spec.DKIM != nil {
		fmt.Fprintf(k.ErrOut, "MailDomain %s tells of no DKIM key: its status does, which kubectl get -o yaml prints\n", found.Name)
	}
	return selectors, nil
}

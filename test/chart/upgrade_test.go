package chart

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/action"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	helmkube "helm.sh/helm/v4/pkg/kube"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/test/kube"
)

// helm runs Helm's own actions against the cluster, for one release.
type helm struct {
	*testing.T
	release
	config *action.Configuration
}

func newHelm(t *testing.T, r release) helm {
	t.Helper()
	user, err := cluster.AddUser("helm", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	flags := genericclioptions.NewConfigFlags(false)
	flags.KubeConfig, flags.Namespace = &user.Kubeconfig, &r.namespace
	config := action.NewConfiguration()
	if err := config.Init(flags, r.namespace, "secret"); err != nil {
		t.Fatal(err)
	}
	return helm{t, r, config}
}

func (h helm) install(chart *chartv2.Chart) {
	h.Helper()
	do := action.NewInstall(h.config)
	do.ReleaseName, do.Namespace, do.WaitStrategy = h.name, h.namespace, helmkube.HookOnlyStrategy
	// The test cluster has CRDs already, those of today, by another field manager.
	do.ForceConflicts = true
	if _, err := do.RunWithContext(h.Context(), chart, map[string]any{}); err != nil {
		h.Fatalf("helm install: %v", err)
	}
}

func (h helm) upgrade(chart *chartv2.Chart, values map[string]any, takeOwnership bool) error {
	do := action.NewUpgrade(h.config)
	do.Namespace, do.WaitStrategy, do.ServerSideApply, do.TakeOwnership = h.namespace, helmkube.HookOnlyStrategy, "auto", takeOwnership
	_, err := do.RunWithContext(h.Context(), h.name, chart, values)
	return err
}

func (h helm) uninstall() {
	h.Helper()
	do := action.NewUninstall(h.config)
	do.WaitStrategy = helmkube.HookOnlyStrategy
	if _, err := do.Run(h.name); err != nil {
		h.Fatalf("helm uninstall: %v", err)
	}
}

// stands reads an object anew; nil when it is not there.
func stands(t *testing.T, o *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	now := &unstructured.Unstructured{}
	now.SetGroupVersionKind(o.GroupVersionKind())
	err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(o), now)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// users are the objects that people have made, of a namespace.
func users(t *testing.T, namespace string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := kube.Decode(fmt.Sprintf(`
apiVersion: mail.dane-operator.io/v1alpha1
kind: DNSZone
metadata: {name: z, namespace: %[1]s}
spec: {zone: example.com, update: {nameserver: 192.0.2.53, insecureUnsigned: true}}
---
apiVersion: mail.dane-operator.io/v1alpha1
kind: MailDomain
metadata: {name: m, namespace: %[1]s, finalizers: [mail.dane-operator.io/records]}
spec: {domain: example.com, mailServers: [{hostname: mx.example.com, certificates: [{name: mx}]}]}
`, namespace))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if err := cluster.ApplyObject(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	return objects
}

// TestUpgradeAndUninstallLeaveObjectsAlone installs the chart before this one by Helm itself, upgrades it, changes its
// values and takes it out. What people have made must not be touched: with a CRD all of it would go.
func TestUpgradeAndUninstallLeaveObjectsAlone(t *testing.T) {
	before, err := loader.LoadFile(filepath.Join("testdata", "dane-operator-0.1.0.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	r := release{"mta", restricted(t), ""}
	h, made := newHelm(t, r), users(t, r.namespace)
	untouched := func(when string) {
		t.Helper()
		for _, o := range made {
			if now := stands(t, o); now == nil || now.GetResourceVersion() != o.GetResourceVersion() || now.GetUID() != o.GetUID() {
				t.Fatalf("%s: %s is not what it was: %v", when, o.GetKind(), now)
			}
		}
	}

	h.install(before)
	if err := h.upgrade(loadChart(t), map[string]any{}, false); err == nil || !strings.Contains(err.Error(), "ownership") {
		t.Errorf("CRDs that no release owns are taken over unasked: %v", err)
	}
	if err := h.upgrade(loadChart(t), map[string]any{}, true); err != nil {
		t.Fatalf("helm upgrade --take-ownership: %v", err)
	}
	untouched("upgraded")
	all, _ := r.all(t)
	everywhere := all["ClusterRoleBinding mta-dane-operator"]
	if stands(t, everywhere) == nil {
		t.Fatal("the upgrade has taken the rights away")
	}
	namespaced := map[string]any{"namespaces": []any{r.namespace}, "rbac": map[string]any{"scope": "Namespaced"}}
	if err := h.upgrade(loadChart(t), namespaced, false); err != nil {
		t.Fatalf("helm upgrade to rights in one namespace: %v", err)
	}
	if stands(t, everywhere) != nil {
		t.Error("the rights hold in the whole cluster still")
	}
	untouched("scope changed")

	h.uninstall()
	untouched("uninstalled")
	var kept []string
	for key, o := range all {
		if now := stands(t, o); now != nil {
			kept = append(kept, key)
			if now.GetDeletionTimestamp() != nil {
				t.Errorf("%s is being deleted", key)
			}
		}
	}
	slices.Sort(kept)
	if want := []string{
		"CustomResourceDefinition dnszones.mail.dane-operator.io", "CustomResourceDefinition maildomains.mail.dane-operator.io",
	}; !slices.Equal(kept, want) {
		t.Errorf("helm uninstall has left %q, want %q", kept, want)
	}
}

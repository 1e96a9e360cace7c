package chart

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/dane-operator/dane-operator/test/chart/manifests"
)

// TestArgoCDGetsTheScriptByKustomize builds what docs/gitops.md says for an Argo CD that kustomize installs: its settings stay,
// and the script is that of hack/argocd. test/walk tries the command for all others.
func TestArgoCDGetsTheScriptByKustomize(t *testing.T) {
	script, err := os.ReadFile(filepath.Join(argoDir, "health.lua"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"kustomization.yaml": onGitOpsPage(t)["kustomization.yaml"], "health.lua": string(script),
		"install.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: argocd-cm, labels: {app.kubernetes.io/part-of: argocd}}, data: {url: https://argo.example.com}}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	made, err := manifests.Kustomize(dir)
	if err != nil {
		t.Fatal(err)
	}
	o := byName(t, string(made), "argocd")["ConfigMap argocd-cm"]
	if o == nil {
		t.Fatalf("made is\n%s", made)
	}
	data, _, err := unstructured.NestedStringMap(o.Object, "data")
	if err != nil || data["url"] != "https://argo.example.com" || o.GetLabels()["app.kubernetes.io/part-of"] != "argocd" {
		t.Errorf("of the settings that stood there %v is left, and of the labels %v (%v)", data, o.GetLabels(), err)
	}
	for _, kind := range []string{"MailDomain", "DNSZone"} {
		if data["resource.customizations.health.mail.dane-operator.io_"+kind] != string(script) {
			t.Errorf("the script for %s is not that of hack/argocd: %v", kind, data)
		}
	}
}

// application is what the page uses of Argo CD's Application. Argo CD's own types come with all of Argo CD, so that these are
// written by hand: a field of another name is refused, and what a value may be is not known here.
type application struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Spec struct {
		Project string `json:"project"`
		Source  struct {
			RepoURL        string `json:"repoURL"`
			TargetRevision string `json:"targetRevision"`
			Path           string `json:"path"`
			Helm           *struct {
				ReleaseName  string         `json:"releaseName"`
				ValuesObject map[string]any `json:"valuesObject"`
			} `json:"helm"`
		} `json:"source"`
		Destination struct {
			Server    string `json:"server"`
			Namespace string `json:"namespace"`
		} `json:"destination"`
		SyncPolicy struct {
			Automated struct {
				Prune    bool `json:"prune"`
				SelfHeal bool `json:"selfHeal"`
			} `json:"automated"`
			SyncOptions []string `json:"syncOptions"`
			Retry       *struct {
				Limit   int `json:"limit"`
				Backoff struct {
					Duration    string `json:"duration"`
					Factor      int    `json:"factor"`
					MaxDuration string `json:"maxDuration"`
				} `json:"backoff"`
			} `json:"retry"`
		} `json:"syncPolicy"`
	} `json:"spec"`
}

// TestArgoCDApplications reads the Applications of the page, and renders the release that the first asks for.
func TestArgoCDApplications(t *testing.T) {
	objects := byName(t, onGitOpsPage(t)["apps/dane-operator.yaml"], "argocd")
	read := map[string]*application{}
	for key, o := range objects {
		a := &application{}
		into(t, o, a)
		read[key] = a
		if a.APIVersion != "argoproj.io/v1alpha1" || !slices.Contains(a.Spec.SyncPolicy.SyncOptions, "ServerSideApply=true") {
			t.Errorf("%s is of %s, and synced with %q", key, a.APIVersion, a.Spec.SyncPolicy.SyncOptions)
		}
	}
	operator, mail := read["Application dane-operator"], read["Application mail"]
	if operator == nil || mail == nil || operator.Spec.Source.Helm == nil {
		t.Fatalf("the page has %+v", objects)
	}
	if got, want := filepath.Clean(operator.Spec.Source.Path), filepath.Join("charts", "dane-operator"); got != want {
		t.Errorf("the chart is in %s, want %s", got, want)
	}
	values, err := yaml.Marshal(operator.Spec.Source.Helm.ValuesObject)
	if err != nil {
		t.Fatal(err)
	}
	made, _ := release{operator.Spec.Source.Helm.ReleaseName, operator.Spec.Destination.Namespace, string(values)}.manifests(t)
	if image := deployment(t, made, "dane-operator").Spec.Template.Spec.Containers[0].Image; image != "REGISTRY/dane-operator:TAG" {
		t.Errorf("the release runs %s", image)
	}
	if !slices.Contains(mail.Spec.SyncPolicy.SyncOptions, "SkipDryRunOnMissingResource=true") || mail.Spec.SyncPolicy.Retry == nil {
		t.Error("the folder of MailDomains is not tried again until the CRDs are there")
	}
}

package chart

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	fluxstatus "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

var (
	gitopsPage  = filepath.Join("..", "..", "docs", "gitops.md")
	argoDir     = filepath.Join("..", "..", "hack", "argocd")
	gitopsBlock = regexp.MustCompile("(?ms)^```yaml\n# (\\S+)\n(.*?)^```")
)

// onGitOpsPage are the blocks of docs/gitops.md, by the file that each is for.
func onGitOpsPage(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(gitopsPage)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, found := range gitopsBlock.FindAllStringSubmatch(string(text), -1) {
		out[found[1]] = found[2]
	}
	return out
}

// ofFlux are the objects of the page that are for Flux, by kind and name.
func ofFlux(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	blocks := onGitOpsPage(t)
	return byName(t, blocks["dane-operator/dane-operator.yaml"]+"\n---\n"+blocks["clusters/production/flux.yaml"], "flux-system")
}

// TestFluxTakesThePage has an API server with Flux's CRDs, generated from its types, take the manifests of docs/gitops.md, and
// renders the release that they ask for.
func TestFluxTakesThePage(t *testing.T) {
	objects := ofFlux(t)
	if want := []string{"GitRepository dane-operator", "HelmRelease dane-operator", "Kustomization dane-operator", "Kustomization mail"}; !slices.Equal(slices.Sorted(maps.Keys(objects)), want) {
		t.Fatalf("the page has %q for Flux, want %q", slices.Sorted(maps.Keys(objects)), want)
	}
	installGenerated(t, cluster,
		goTypes{"github.com/fluxcd/source-controller/api/v1", "source.toolkit.fluxcd.io", []string{"gitrepositories"}},
		goTypes{"github.com/fluxcd/helm-controller/api/v2", "helm.toolkit.fluxcd.io", []string{"helmreleases"}},
		goTypes{"github.com/fluxcd/kustomize-controller/api/v1", "kustomize.toolkit.fluxcd.io", []string{"kustomizations"}})
	if err := cluster.EnsureNamespace(t.Context(), "flux-system"); err != nil {
		t.Fatal(err)
	}
	for key, o := range objects {
		if err := cluster.ApplyObject(t.Context(), o.DeepCopy()); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	source, hr := &sourcev1.GitRepository{}, &helmv2.HelmRelease{}
	into(t, objects["GitRepository dane-operator"], source)
	into(t, objects["HelmRelease dane-operator"], hr)
	if ref := hr.Spec.Chart.Spec.SourceRef; ref.Kind != sourcev1.GitRepositoryKind || ref.Name != source.Name {
		t.Errorf("the chart is in %s %s, which the page does not have", ref.Kind, ref.Name)
	}
	if got, want := filepath.Clean(hr.Spec.Chart.Spec.Chart), filepath.Join("charts", "dane-operator"); got != want {
		t.Errorf("the chart is in %s, want %s", got, want)
	}
	made, _ := release{hr.Spec.ReleaseName, hr.Spec.TargetNamespace, string(hr.Spec.Values.Raw)}.manifests(t)
	if image := deployment(t, made, "dane-operator").Spec.Template.Spec.Containers[0].Image; image != "REGISTRY/dane-operator:TAG" {
		t.Errorf("the release runs %s", image)
	}
}

// TestFluxWaitsForWhatIsThere: what the Kustomizations of the page depend on, and look at, is there.
func TestFluxWaitsForWhatIsThere(t *testing.T) {
	objects := ofFlux(t)
	operator, mail := &kustomizev1.Kustomization{}, &kustomizev1.Kustomization{}
	into(t, objects["Kustomization dane-operator"], operator)
	into(t, objects["Kustomization mail"], mail)
	if len(operator.Spec.HealthChecks) != 1 || objects[operator.Spec.HealthChecks[0].Kind+" "+operator.Spec.HealthChecks[0].Name] == nil {
		t.Errorf("the Kustomization of the operator looks at %+v", operator.Spec.HealthChecks)
	}
	if len(mail.Spec.DependsOn) != 1 || mail.Spec.DependsOn[0].Name != operator.Name {
		t.Errorf("the Kustomization of MailDomains waits for %+v", mail.Spec.DependsOn)
	}
	var looked, judged []string
	for _, check := range mail.Spec.HealthChecks {
		looked = append(looked, check.APIVersion+" "+check.Kind)
	}
	for _, exprs := range mail.Spec.HealthCheckExprs {
		judged = append(judged, exprs.APIVersion+" "+exprs.Kind)
	}
	want := []string{"mail.dane-operator.io/v1alpha1 DNSZone", "mail.dane-operator.io/v1alpha1 MailDomain"}
	if !slices.Equal(looked, want) || !slices.Equal(judged, want) {
		t.Errorf("it looks at %q, and has expressions for %q; want %q", looked, judged, want)
	}
}

// expressions are those of the page, by kind.
func expressions(t *testing.T) map[string]kustomize.HealthCheckExpressions {
	t.Helper()
	mail := &kustomizev1.Kustomization{}
	into(t, ofFlux(t)["Kustomization mail"], mail)
	out := map[string]kustomize.HealthCheckExpressions{}
	for _, e := range mail.Spec.HealthCheckExprs {
		out[e.Kind] = e.HealthCheckExpressions
	}
	return out
}

// TestFluxSaysWhatAPersonWould has Flux's own code judge an object in each state, with the expressions of the page and without.
func TestFluxSaysWhatAPersonWould(t *testing.T) {
	var table struct {
		Tests []struct{ InputPath, KStatus, Flux string }
	}
	text, err := os.ReadFile(filepath.Join(argoDir, "health_test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &table); err != nil {
		t.Fatal(err)
	}
	exprs, tried := expressions(t), map[string]int{}
	for _, row := range table.Tests {
		o := decodeFile(t, filepath.Join(argoDir, row.InputPath))[0]
		whole(t, o)
		said := exprs[o.GetKind()]
		judge, err := cel.NewStatusEvaluator(&said)
		if err != nil {
			t.Fatal(err)
		}
		with, err := judge.Evaluate(t.Context(), o)
		if err != nil {
			t.Fatalf("%s: %v", row.InputPath, err)
		}
		without, err := fluxstatus.Compute(o)
		if err != nil {
			t.Fatal(err)
		}
		if with.Status.String() != row.Flux || without.Status.String() != row.KStatus {
			t.Errorf("%s: Flux says %s with the expressions, and %s without; want %s and %s", row.InputPath, with.Status, without.Status, row.Flux, row.KStatus)
		}
		tried[row.Flux]++
	}
	if tried["Current"] < 3 || tried["InProgress"] < 8 || tried["Failed"] < 4 {
		t.Errorf("tried were %v: does the test still read the table?", tried)
	}
}

// whole gives an object the whole numbers that the API server gives.
func whole(t *testing.T, o *unstructured.Unstructured) {
	t.Helper()
	text, err := json.Marshal(o.Object)
	if err == nil {
		err = o.UnmarshalJSON(text)
	}
	if err != nil {
		t.Fatal(err)
	}
}

var (
	waitingInLua = regexp.MustCompile(`(\w+) = true`)
	waitingInCEL = regexp.MustCompile(`c\.reason in \[([^\]]*)\]`)
)

// TestWaitsAreTheSame: Flux's expressions and Argo CD's script take the same reasons for waits that end by themselves.
func TestWaitsAreTheSame(t *testing.T) {
	script, err := os.ReadFile(filepath.Join(argoDir, "health.lua"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, found := range waitingInLua.FindAllStringSubmatch(string(script), -1) {
		want = append(want, found[1])
	}
	for kind, e := range expressions(t) {
		var got []string
		for reason := range strings.SplitSeq(waitingInCEL.FindStringSubmatch(e.Failed)[1], ",") {
			got = append(got, strings.Trim(reason, " '\n"))
		}
		if len(got) < 3 || !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
			t.Errorf("%s: Flux waits for %q, and Argo CD for %q", kind, got, want)
		}
	}
}

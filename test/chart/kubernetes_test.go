package chart

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"sigs.k8s.io/yaml"
)

// leastKubernetes is the oldest version whose API server takes the CRDs: an API server takes in new rules what the version
// before it knew as well, and isIP is of 1.30.
const leastKubernetes = 31

// TestLeastKubernetes compiles every rule of the CRDs with what an API server of the least version knows, by Kubernetes' own
// tables, and wants the one before to refuse some. What the pages and the chart say must be that version. No API server of
// it was run: that the rules are known is all that this shows.
func TestLeastKubernetes(t *testing.T) {
	if refused := refusedRules(t, leastKubernetes); len(refused) > 0 {
		t.Errorf("Kubernetes 1.%d refuses %d rules:\n%s", leastKubernetes, len(refused), strings.Join(refused, "\n"))
	}
	before := refusedRules(t, leastKubernetes-1)
	if len(before) == 0 {
		t.Errorf("Kubernetes 1.%d takes every rule: it is no reason any more to want 1.%d", leastKubernetes-1, leastKubernetes)
	}
	for _, refused := range before {
		if !strings.Contains(refused, "isIP") {
			t.Errorf("the pages say that the reason is isIP, and it is %s", refused)
		}
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(page)), " ")
	for _, want := range []string{"Kubernetes 1.31 or newer", "`isIP()`"} {
		if !strings.Contains(text, want) {
			t.Errorf("the README does not say %q", want)
		}
	}
	if got := loadChart(t).Metadata.KubeVersion; got != ">=1.31.0-0" {
		t.Errorf("the chart wants Kubernetes %s", got)
	}
}

// TestTestedKubernetes: the version that the README says is tested is the one that the tests run.
func TestTestedKubernetes(t *testing.T) {
	running, err := os.ReadFile(filepath.Join("..", "..", "hack", "kube", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`k8s\.io/kubernetes v(\d+\.\d+)\.`).FindSubmatch(running)
	page, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil || found == nil {
		t.Fatal(err, found)
	}
	if want := "the tests run " + string(found[1]); !strings.Contains(strings.Join(strings.Fields(string(page)), " "), want) {
		t.Errorf("the README does not say %q", want)
	}
}

// refusedRules are the rules of the CRDs that an API server of a version 1.minor does not know how to compile.
func refusedRules(t *testing.T, minor uint) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(configDir, "crd", "bases", "*.yaml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%d CRDs: %v", len(files), err)
	}
	known := environment.MustBaseEnvSet(version.MajorMinor(1, minor-1))
	var out []string
	tried := 0
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // a file of the repository
		if err != nil {
			t.Fatal(err)
		}
		crd, inside := &apiextensionsv1.CustomResourceDefinition{}, &apiextensions.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(text, crd); err != nil {
			t.Fatal(err)
		}
		if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(crd, inside, nil); err != nil {
			t.Fatal(err)
		}
		props := inside.Spec.Validation // of the one version
		root, err := schema.NewStructural(props.OpenAPIV3Schema)
		if err != nil {
			t.Fatal(err)
		}
		walkSchema(root, func(s *schema.Structural) {
			results, err := cel.Compile(s, model.SchemaDeclType(s, s == root), celconfig.PerCallLimit, known, cel.NewExpressionsEnvLoader())
			if err != nil {
				t.Fatal(err)
			}
			for i, result := range results {
				tried++
				if result.Error != nil {
					out = append(out, s.XValidations[i].Rule+": "+result.Error.Error())
				}
			}
		})
	}
	if tried < 30 {
		t.Errorf("only %d rules were compiled", tried)
	}
	return out
}

// walkSchema visits a schema and all within.
func walkSchema(s *schema.Structural, visit func(*schema.Structural)) {
	visit(s)
	if s.Items != nil {
		walkSchema(s.Items, visit)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil {
		walkSchema(s.AdditionalProperties.Structural, visit)
	}
	for name := range s.Properties {
		property := s.Properties[name]
		walkSchema(&property, visit)
	}
}

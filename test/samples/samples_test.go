// Package samples applies every manifest that users are shown to a real API server: those of config/,
// and those in the documentation.
package samples

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/dane-operator/dane-operator/test/kube"
)

var cluster *kube.Cluster

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx := context.Background()
	var err error
	cluster, err = kube.Start(ctx, kube.Options{Progress: func(line string) { fmt.Fprintln(os.Stderr, line) }})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = cluster.Stop() }()
	for _, namespace := range []string{"mail", "dns"} {
		if err := cluster.EnsureNamespace(ctx, namespace); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// kustomization is what we use of a kustomization file: it lists resources and changes nothing.
type kustomization struct {
	metav1.TypeMeta `json:",inline"`
	Resources       []string `json:"resources"`
}

// files are the manifests that a kustomization leads to, in its order.
func files(t *testing.T, dir string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var k kustomization
	if err := yaml.UnmarshalStrict(text, &k); err != nil {
		t.Fatalf("%s: %v (it may list resources alone)", dir, err)
	}
	var out []string
	for _, r := range k.Resources {
		path := filepath.Join(dir, r)
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			out = append(out, files(t, path)...)
			continue
		}
		out = append(out, path)
	}
	return out
}

// TestConfigApplies applies the installation and the samples as kubectl would.
func TestConfigApplies(t *testing.T) {
	for _, dir := range []string{"default", "samples"} {
		for _, file := range files(t, filepath.Join("..", "..", "config", dir)) {
			t.Run(dir+"/"+filepath.Base(file), func(t *testing.T) {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if err := cluster.Apply(t.Context(), string(text)); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

var (
	yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")
	known     = regexp.MustCompile(`(?m)^apiVersion: (mail\.dane-operator|cert-manager)\.io`)
)

// TestDocumentedManifestsAreValid sends every manifest in the documentation through a dry run, but for those of the
// tutorial, which test/walk applies.
func TestDocumentedManifestsAreValid(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range yamlBlock.FindAllSubmatch(text, -1) {
			if !known.Match(block[1]) || strings.HasPrefix(string(block[1]), "# tutorial/") {
				continue
			}
			tried++
			dryRun(t, page, string(block[1]))
		}
	}
	if tried < 2 {
		t.Errorf("only %d manifests were found: does the test still read the right files?", tried)
	}
}

func dryRun(t *testing.T, page, manifests string) {
	t.Helper()
	objects, err := kube.Decode(manifests)
	if err != nil {
		t.Errorf("%s: %v in\n%s", page, err, manifests)
	}
	for _, o := range objects {
		o.SetName(strings.ToLower(o.GetKind()) + "-dry-run")
		if err := cluster.Client.Create(t.Context(), o, client.DryRunAll); err != nil {
			t.Errorf("%s: %v in\n%s", page, err, manifests)
		}
	}
}

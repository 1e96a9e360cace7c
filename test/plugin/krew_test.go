package plugin

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"text/template"

	"sigs.k8s.io/krew/pkg/index"
	"sigs.k8s.io/yaml"

	"github.com/dane-operator/dane-operator/test/kube"
)

// krew installs the plugin from what krew-release-bot would make of .krew.yaml and the archive for this platform, and
// it runs.
func TestKrewManifest(t *testing.T) {
	root, err := kube.Root()
	if err != nil {
		t.Fatal(err)
	}
	own := fmt.Sprintf("kubectl-dane_%s_%s.tar.gz", runtime.GOOS, runtime.GOARCH)
	archive := filepath.Join(t.TempDir(), own)
	build := exec.CommandContext(t.Context(), filepath.Join(root, "hack/plugin-archives.sh"), filepath.Dir(archive), runtime.GOOS+"/"+runtime.GOARCH)
	build.Env = append(os.Environ(), "VERSION=v1.2.3")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("hack/plugin-archives.sh: %v\n%s", err, out)
	}
	sum, err := digest(archive)
	if err != nil {
		t.Fatal(err)
	}
	manifest := rendered(t, filepath.Join(root, ".krew.yaml"), "v1.2.3", sum)
	if !slices.ContainsFunc(manifest.Spec.Platforms, func(p index.Platform) bool { return strings.HasSuffix(p.URI, "/v1.2.3/"+own) }) {
		t.Errorf("no platform of the manifest has the archive %s", own)
	}
	everyPlatform(t, root, manifest)
	file := filepath.Join(t.TempDir(), "dane.yaml")
	text, err := yaml.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	krew(t, home, "install", "--manifest", file, "--archive", archive)
	program := filepath.Join(home, "bin", "kubectl-dane")
	out, err := exec.CommandContext(t.Context(), program, "--help").CombinedOutput() //nolint:gosec // just built
	if err != nil || !strings.Contains(string(out), "check       Look at a mail domain as a sender") {
		t.Errorf("the program that krew installed says %q (%v)", out, err)
	}
	out, err = exec.CommandContext(t.Context(), program, "version").CombinedOutput() //nolint:gosec // just built
	if err != nil || string(out) != "Client Version: v1.2.3\n" {
		t.Errorf("the program that krew installed is of %q (%v)", out, err)
	}
}

// everyPlatform wants the manifest to have the platforms that hack/plugin-archives.sh makes archives for, with these.
func everyPlatform(t *testing.T, root string, manifest index.Plugin) {
	t.Helper()
	script, err := os.ReadFile(filepath.Join(root, "hack/plugin-archives.sh")) //nolint:gosec // a file of the repository
	if err != nil {
		t.Fatal(err)
	}
	var made, named []string
	list := regexp.MustCompile(`platforms=\(([a-z0-9/ ]+)\)`).FindSubmatch(script)
	for _, p := range strings.Fields(string(list[1])) {
		made = append(made, strings.ReplaceAll(p, "/", "_"))
	}
	for _, p := range manifest.Spec.Platforms {
		platform := p.Selector.MatchLabels["os"] + "_" + p.Selector.MatchLabels["arch"]
		named = append(named, platform)
		bin := "kubectl-dane"
		if p.Selector.MatchLabels["os"] == "windows" {
			bin += ".exe"
		}
		if !strings.HasSuffix(p.URI, "/kubectl-dane_"+platform+".tar.gz") || p.Bin != bin {
			t.Errorf("%s has %s from %s", platform, p.Bin, p.URI)
		}
	}
	slices.Sort(made)
	slices.Sort(named)
	if !slices.Equal(made, named) {
		t.Errorf("archives are made for %v, and the manifest names %v", made, named)
	}
}

// krew runs krew itself, with a home of its own.
func krew(t *testing.T, home string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"tool", "krew"}, args...)...) //nolint:gosec // a tool of go.mod
	cmd.Env = append(os.Environ(), "KREW_ROOT="+home)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("krew %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// rendered fills the template in as krew-release-bot does, with one digest for all archives.
func rendered(t *testing.T, file, tag, sum string) index.Plugin {
	t.Helper()
	text, err := os.ReadFile(file) //nolint:gosec // a file of the repository
	if err != nil {
		t.Fatal(err)
	}
	uri := func(uri, tag string) string {
		return fmt.Sprintf("uri: %s\n    sha256: %s", strings.ReplaceAll(uri, "{{ .TagName }}", tag), sum)
	}
	parsed, err := template.New("krew").Funcs(template.FuncMap{"addURIAndSha": uri}).Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := parsed.Execute(&out, struct{ TagName string }{tag}); err != nil {
		t.Fatal(err)
	}
	var manifest index.Plugin
	if err := yaml.UnmarshalStrict([]byte(out.String()), &manifest); err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	return manifest
}

func digest(file string) (string, error) {
	text, err := os.ReadFile(file) //nolint:gosec // of this test
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

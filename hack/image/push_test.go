package main

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/cmd/crane/cmd"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// push is what the pages say to bring an image to a registry.
var push = regexp.MustCompile(`(?m)^    (?:make image && )?crane (push dist/image REGISTRY/dane-operator:TAG)$`)

// TestPushedAsThePagesSay runs the command of the pages, by crane's own code, with a layout of a small program and a registry
// on this machine: what is there afterwards is the image, for both platforms.
func TestPushedAsThePagesSay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "image")
	if err := run(dir, t.TempDir(), "v1", []string{build(t, "amd64"), build(t, "arm64")}); err != nil {
		t.Fatal(err)
	}
	_, entry := open(t, dir)
	modules, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^\s+github.com/google/go-containerregistry (v\S+)$`).FindSubmatch(modules)
	if version == nil {
		t.Fatal("go.mod names no version of crane")
	}
	install := "    go install github.com/google/go-containerregistry/cmd/crane@" + string(version[1]) + "\n"
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	for i, page := range []string{"README.md", filepath.Join("docs", "install.md")} {
		text, err := os.ReadFile(filepath.Join("..", "..", page)) //nolint:gosec // a page of the repository
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), install) {
			t.Errorf("%s does not say how to install the crane that this test runs: %q", page, install)
		}
		found := push.FindStringSubmatch(string(text))
		if found == nil {
			t.Fatalf("%s does not say how to push the image", page)
		}
		tag := host + "/dane-operator:" + string(rune('a'+i))
		crane := cmd.New("crane", "", nil)
		crane.SetArgs(strings.Fields(strings.NewReplacer("dist/image", dir, "REGISTRY/dane-operator:TAG", tag).Replace(found[1])))
		crane.SetOut(io.Discard)
		if err := crane.ExecuteContext(t.Context()); err != nil {
			t.Fatalf("%s: %v", page, err)
		}
		ref, err := name.ParseReference(tag)
		if err != nil {
			t.Fatal(err)
		}
		there, err := remote.Index(ref)
		if err != nil {
			t.Fatalf("%s: %v", page, err)
		}
		if digest, err := there.Digest(); err != nil || digest != entry.Digest {
			t.Errorf("%s: the registry has %s, and the layout %s (%v)", page, digest, entry.Digest, err)
		}
	}
}

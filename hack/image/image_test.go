package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"
)

// build builds a small program: the operator would take minutes. See TestOperatorsImage.
func build(t *testing.T, arch string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "small")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./testdata/small")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build for %s: %v\n%s", arch, err, out)
	}
	return path
}

// open reads the one entry of a layout.
func open(t *testing.T, dir string) (v1.ImageIndex, v1.Descriptor) {
	t.Helper()
	outer, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	list, err := outer.IndexManifest()
	if err != nil || len(list.Manifests) != 1 {
		t.Fatalf("the layout has %+v: tools that copy it want one entry (%v)", list, err)
	}
	index, err := outer.ImageIndex(list.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return index, list.Manifests[0]
}

// TestLayout makes an image for two platforms twice: both are valid, alike, and as the chart expects them.
func TestLayout(t *testing.T) {
	programs := []string{build(t, "amd64"), build(t, "arm64")}
	dir, bills := filepath.Join(t.TempDir(), "image"), t.TempDir()
	var digests []v1.Hash
	for range 2 { // the second replaces the first
		if err := run(dir, bills, "v1", programs); err != nil {
			t.Fatal(err)
		}
		_, entry := open(t, dir)
		digests = append(digests, entry.Digest)
	}
	if digests[0] != digests[1] {
		t.Errorf("two images of one program are %v", digests)
	}
	index, entry := open(t, dir)
	if err := validate.Index(index); err != nil {
		t.Errorf("the layout is not valid: %v", err)
	}
	if entry.Annotations["org.opencontainers.image.ref.name"] != "v1" || entry.MediaType != types.OCIImageIndex {
		t.Errorf("the entry is %+v", entry)
	}
	list, err := index.IndexManifest()
	if err != nil || len(list.Manifests) != 4 {
		t.Fatalf("the index has %+v: want an image and an attestation for each platform (%v)", list, err)
	}
	for i, arch := range []string{"amd64", "arm64"} {
		image, attestation := list.Manifests[2*i], list.Manifests[2*i+1]
		if image.Platform.String() != "linux/"+arch {
			t.Errorf("image %d is for %s, want %s", i, image.Platform, arch)
		}
		checkConfig(t, index, image, arch)
		checkAttestation(t, index, image, attestation, filepath.Join(bills, "small-linux-"+arch+".spdx.json"))
	}
	says := "true, application/vnd.oci.image.layer.v1.tar+gzip"
	if os.Getuid() == 0 {
		says = "user 65532, " + says
	}
	runImage(t, index, "", says)
}

func checkConfig(t *testing.T, index v1.ImageIndex, of v1.Descriptor, arch string) {
	t.Helper()
	image, err := index.Image(of.Digest)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Architecture != arch || config.OS != "linux" || config.Config.User != "65532:65532" || !slices.Equal(config.Config.Entrypoint, []string{"/small"}) {
		t.Errorf("%s: the configuration is %+v", arch, config)
	}
	if len(config.RootFS.DiffIDs) != 2 || len(config.History) != 2 {
		t.Errorf("%s: %d layers, %d lines of history", arch, len(config.RootFS.DiffIDs), len(config.History))
	}
}

// checkAttestation: it is about the image, and holds the same bill as the file.
func checkAttestation(t *testing.T, index v1.ImageIndex, image, attestation v1.Descriptor, file string) {
	t.Helper()
	if attestation.Annotations["vnd.docker.reference.digest"] != image.Digest.String() || attestation.Platform.String() != "unknown/unknown" {
		t.Errorf("the attestation is %+v, want one of %s", attestation, image.Digest)
	}
	statement := attested(t, index, attestation)
	if statement.PredicateType != predicate || statement.Subject[0].Digest["sha256"] != image.Digest.Hex {
		t.Errorf("the statement is of %+v, want %s", statement.Subject, image.Digest)
	}
	var want bytes.Buffer
	bill, err := os.ReadFile(file)
	if err != nil || json.Compact(&want, bill) != nil || !bytes.Equal(want.Bytes(), statement.Predicate) {
		t.Errorf("the bill of the attestation is not that of %s (%v)", file, err)
	}
	checkBill(t, bill)
}

// inTotoStatement is what an attestation says of which image.
type inTotoStatement struct {
	Subject       []struct{ Digest map[string]string }
	PredicateType string
	Predicate     json.RawMessage
}

// attested reads the one layer of an attestation.
func attested(t *testing.T, index v1.ImageIndex, attestation v1.Descriptor) inTotoStatement {
	t.Helper()
	manifest, err := index.Image(attestation.Digest)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := manifest.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("the attestation has %d layers: %v", len(layers), err)
	}
	text, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	statement := inTotoStatement{}
	if err := json.NewDecoder(text).Decode(&statement); err != nil {
		t.Fatal(err)
	}
	return statement
}

// checkBill: the bill of materials is valid SPDX, and names what the image is made of, which go.mod tells.
func checkBill(t *testing.T, text []byte) {
	t.Helper()
	bill, err := spdxjson.Read(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("the bill of materials is no SPDX: %v", err)
	}
	if err := spdxlib.ValidateDocument(bill); err != nil {
		t.Errorf("the bill of materials is not valid: %v", err)
	}
	versions := map[string]string{}
	for _, p := range bill.Packages {
		versions[p.PackageName] = p.PackageVersion
	}
	if want := strings.TrimPrefix(runtime.Version(), "go"); !strings.HasPrefix(want, versions["stdlib"]) || versions["stdlib"] == "" {
		t.Errorf("the bill has stdlib %q, want %s", versions["stdlib"], want)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"github.com/google/go-containerregistry", "golang.org/x/crypto/x509roots/fallback"} {
		if versions[name] == "" || !strings.Contains(string(mod), name+" "+versions[name]) {
			t.Errorf("the bill has %s %q, which is not that of go.mod", name, versions[name])
		}
	}
}

// runImage runs the image of this machine's platform, with nothing but what is in it, as its user; without root as the
// user who runs the test, and not confined to it.
func runImage(t *testing.T, index v1.ImageIndex, arg, says string) {
	t.Helper()
	root := t.TempDir()
	config := unpack(t, index, root)
	roots, err := os.ReadFile(filepath.Join(root, "etc", "ssl", "certs", "ca-certificates.crt"))
	if err != nil || !x509.NewCertPool().AppendCertsFromPEM(roots) || bytes.Count(roots, []byte("BEGIN CERTIFICATE")) < 50 {
		t.Errorf("the CA certificates are %d octets: %v", len(roots), err)
	}
	command := config.Config.Entrypoint[0]
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(root, command), arg)
	if os.Getuid() == 0 {
		for dir := root; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the user of the image has to get there
				t.Fatal(err)
			}
		}
		cmd.Path, cmd.Args[0] = command, command
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		cmd.Dir = config.Config.WorkingDir
	}
	cmd.Env = config.Config.Env
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), says) {
		t.Errorf("the program of the image said (%v)\n%s\nwant %q", err, out, says)
	}
}

// unpack lays the files of the image of this machine's platform out.
func unpack(t *testing.T, index v1.ImageIndex, root string) *v1.ConfigFile {
	t.Helper()
	list, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(list.Manifests, func(d v1.Descriptor) bool { return d.Platform.String() == "linux/"+runtime.GOARCH })
	if at < 0 {
		t.Fatalf("there is no image for linux/%s", runtime.GOARCH)
	}
	image, err := index.Image(list.Manifests[at].Digest)
	if err != nil {
		t.Fatal(err)
	}
	flat := mutate.Extract(image)
	defer flat.Close() //nolint:errcheck // it was read
	for files := tar.NewReader(flat); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(root, filepath.Clean("/"+header.Name))
		text, err := io.ReadAll(files)
		if err != nil || os.MkdirAll(filepath.Dir(path), 0o755) != nil || os.WriteFile(path, text, header.FileInfo().Mode()) != nil { //nolint:gosec // as in a container
			t.Fatalf("unpack %s: %v", header.Name, err)
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// TestRefused: what could not run in the image, or would be lost, is refused before anything is written.
func TestRefused(t *testing.T) {
	text, linux := filepath.Join(t.TempDir(), "image"), build(t, runtime.GOARCH)
	if err := os.WriteFile(text, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "letter"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		out      string
		programs []string
		want     string
	}{
		{"new", nil, "name the program"},
		{"new", []string{text}, "what it was built of"},
		{"new", []string{linux, linux}, "there is one for linux/" + runtime.GOARCH},
		{full, []string{linux}, "no OCI layout"},
	} {
		out := row.out
		if out == "new" {
			out = filepath.Join(t.TempDir(), "image")
		}
		if err := run(out, t.TempDir(), "v1", row.programs); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%v: got %v, want %q", row.programs, err, row.want)
		}
	}
	if err := linkedStatically("/bin/sh"); err == nil || !strings.Contains(err.Error(), "linked dynamically") {
		t.Errorf("a program that needs libraries, as /bin/sh of Debian does, is taken: %v", err)
	}
	if _, err := os.Stat(filepath.Join(full, "letter")); err != nil {
		t.Errorf("a folder that is no layout was emptied: %v", err)
	}
}

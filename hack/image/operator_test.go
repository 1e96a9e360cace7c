//go:build image

package main

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	spdxjson "github.com/spdx/tools-golang/json"
)

// TestOperatorsImage looks at the image that "make image" has made, in DANE_TEST_IMAGE. It is built into the tests by the
// tag image alone, since it takes minutes to make that image: make test-image does both. TestLayout is its like for a
// small program.
func TestOperatorsImage(t *testing.T) {
	index, _ := open(t, os.Getenv("DANE_TEST_IMAGE"))
	if err := validate.Index(index); err != nil {
		t.Errorf("the layout is not valid: %v", err)
	}
	runImage(t, index, "--help", "It watches MailDomain and DNSZone objects")
	for _, m := range measure(t, index) {
		if off := m.is - m.said; off > m.within || -off > m.within {
			t.Errorf("docs/install.md says that %s is %d %s, and it is %d", m.what, m.said, m.unit, m.is)
		}
	}
}

// onPage is what docs/install.md says of the image for amd64.
var onPage = regexp.MustCompile(`Measured for amd64, .*: the program has (\d+) MiB, the image (\d+) MiB \(compressed\), and the bill of materials (\d+) entries`)

// measured is a figure of the page, and of the image.
type measured struct {
	what, unit       string
	said, is, within int64
}

// measure weighs the image for amd64. Another patch of Go makes another size: a figure of the page may be off by 2 MiB.
func measure(t *testing.T, index v1.ImageIndex) []measured {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := onPage.FindStringSubmatch(strings.Join(strings.Fields(string(page)), " "))
	if found == nil {
		t.Fatal("docs/install.md does not say what the image weighs: does the test still find it?")
	}
	out := []measured{{what: "the program", unit: "MiB", within: 2}, {what: "the image", unit: "MiB", within: 2}, {what: "the bill of materials", unit: "entries"}}
	for i := range out {
		if out[i].said, err = strconv.ParseInt(found[i+1], 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	list, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(list.Manifests, func(d v1.Descriptor) bool { return d.Platform.String() == "linux/amd64" })
	if at < 0 {
		t.Fatal("there is no image for linux/amd64")
	}
	out[0].is, out[1].is = weigh(t, index, list.Manifests[at])
	bill, err := spdxjson.Read(bytes.NewReader(attested(t, index, list.Manifests[at+1]).Predicate))
	if err != nil {
		t.Fatal(err)
	}
	out[2].is = int64(len(bill.Packages))
	return out
}

// weigh is the size of the program in an image, and that of the image as a registry sends it, in MiB.
func weigh(t *testing.T, index v1.ImageIndex, of v1.Descriptor) (program, compressed int64) {
	t.Helper()
	image, err := index.Image(of.Digest)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		size, err := layer.Size()
		if err != nil {
			t.Fatal(err)
		}
		compressed += size
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	const mib = 1 << 20
	return (sizeOf(t, image, config.Config.Entrypoint[0]) + mib/2) / mib, (compressed + mib/2) / mib
}

// sizeOf is how many octets a file of an image has.
func sizeOf(t *testing.T, image v1.Image, path string) int64 {
	t.Helper()
	flat := mutate.Extract(image)
	defer flat.Close() //nolint:errcheck // it was read
	for files := tar.NewReader(flat); ; {
		header, err := files.Next()
		if err != nil {
			t.Fatalf("find %s: %v", path, err)
		}
		if filepath.Clean("/"+header.Name) == path {
			return header.Size
		}
	}
}

package main

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// predicate says that a statement is about a bill of materials in SPDX.
const predicate = "https://spdx.dev/Document"

// billOf is the bill of materials of a program's image, in SPDX 2.3: the modules that Go has written into the program,
// Go's own library, and the CA certificates. Licences are not told: Go does not know them.
func billOf(p program) ([]byte, error) {
	bill := &v2_3.Document{
		SPDXVersion: v2_3.Version, DataLicense: v2_3.DataLicense, SPDXIdentifier: "DOCUMENT",
		DocumentName:      p.name + " for " + p.platform.String(),
		DocumentNamespace: source + "/sbom/" + p.sha256(),
		CreationInfo: &v2_3.CreationInfo{
			Creators: []common.Creator{{CreatorType: "Tool", Creator: "dane-operator/hack/image"}},
			Created:  p.created().Format("2006-01-02T15:04:05Z"),
		},
	}
	itself := module("program", p.name, p.built.Path, p.built.Main.Version)
	itself.PrimaryPackagePurpose = "APPLICATION"
	itself.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: p.sha256()}}
	bill.Packages = append(bill.Packages, itself)
	relate(bill, "DOCUMENT", "DESCRIBES", "program")
	roots, err := rootsModule()
	if err != nil {
		return nil, err
	}
	depend(bill, module("go", "stdlib", "stdlib", strings.TrimPrefix(p.built.GoVersion, "go")), roots)
	for i, dep := range p.built.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		depend(bill, module(fmt.Sprintf("module-%d", i+1), dep.Path, dep.Path, dep.Version))
	}
	return json.MarshalIndent(bill, "", "  ")
}

// rootsModule is the module that the CA certificates come from, as this program was built with it.
func rootsModule() (*v2_3.Package, error) {
	const path = "golang.org/x/crypto/x509roots/fallback"
	own, ok := debug.ReadBuildInfo()
	if !ok {
		return nil, fmt.Errorf("this program does not know what it was built of")
	}
	for _, dep := range own.Deps {
		if dep.Path == path {
			out := module("roots", path, path, dep.Version)
			out.PackageComment = "etc/ssl/certs/ca-certificates.crt"
			return out, nil
		}
	}
	return nil, fmt.Errorf("this program was built without %s", path)
}

// module is a Go module, or the program itself.
func module(id, name, path, version string) *v2_3.Package {
	const unknown = "NOASSERTION"
	return &v2_3.Package{
		PackageSPDXIdentifier: common.ElementID(id), PackageName: name, PackageVersion: version, PackageDownloadLocation: unknown,
		PackageLicenseConcluded: unknown, PackageLicenseDeclared: unknown, PackageCopyrightText: unknown, PrimaryPackagePurpose: "LIBRARY",
		PackageExternalReferences: []*v2_3.PackageExternalReference{{
			Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: "pkg:golang/" + path + "@" + version,
		}},
	}
}

func depend(bill *v2_3.Document, on ...*v2_3.Package) {
	for _, p := range on {
		bill.Packages = append(bill.Packages, p)
		relate(bill, "program", "DEPENDS_ON", string(p.PackageSPDXIdentifier))
	}
}

func relate(bill *v2_3.Document, from, how, to string) {
	bill.Relationships = append(bill.Relationships, &v2_3.Relationship{
		RefA: common.MakeDocElementID("", from), RefB: common.MakeDocElementID("", to), Relationship: how,
	})
}

// statementOf says of an image what it is made of, in the form of in-toto.
func statementOf(p program, of v1.Hash, bill []byte) ([]byte, error) {
	type subject struct {
		Name   string            `json:"name"`
		Digest map[string]string `json:"digest"`
	}
	return json.Marshal(struct {
		Type          string          `json:"_type"`
		Subject       []subject       `json:"subject"`
		PredicateType string          `json:"predicateType"`
		Predicate     json.RawMessage `json:"predicate"`
	}{
		"https://in-toto.io/Statement/v0.1", []subject{{p.name, map[string]string{of.Algorithm: of.Hex}}}, predicate, bill,
	})
}

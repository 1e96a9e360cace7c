package main

import (
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const source = "https://github.com/dane-operator/dane-operator"

// writeLayout writes an OCI layout with one entry, the tag: an index of an image, and an attestation of its bill of
// materials, for each program. save gets the bills, too. It returns the digest to pin the image by.
func writeLayout(dir, tag string, programs []program, save func(program, []byte) error) (v1.Hash, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range programs {
		image, err := imageOf(p)
		if err != nil {
			return v1.Hash{}, fmt.Errorf("make the image for %s: %w", p.platform, err)
		}
		bill, err := billOf(p)
		if err != nil {
			return v1.Hash{}, fmt.Errorf("make the bill of materials for %s: %w", p.platform, err)
		}
		if err := save(p, bill); err != nil {
			return v1.Hash{}, fmt.Errorf("write the bill of materials for %s: %w", p.platform, err)
		}
		if index, err = add(index, p, image, bill); err != nil {
			return v1.Hash{}, fmt.Errorf("add the image for %s: %w", p.platform, err)
		}
	}
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return v1.Hash{}, fmt.Errorf("begin the layout in %s: %w", dir, err)
	}
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag})); err != nil {
		return v1.Hash{}, fmt.Errorf("write the layout in %s: %w", dir, err)
	}
	return index.Digest()
}

// imageOf is the image of one program.
func imageOf(p program) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	created := v1.Time{Time: p.created()}
	for _, part := range []struct {
		comment string
		files   []file
	}{
		{"the user and the public CA certificates", surroundings()},
		{"the program", []file{{p.name, 0o755, p.text}}},
	} {
		packed, err := layer(part.files)
		if err != nil {
			return nil, err
		}
		image, err = mutate.Append(image, mutate.Addendum{Layer: packed, History: v1.History{Created: created, CreatedBy: "hack/image", Comment: part.comment}})
		if err != nil {
			return nil, err
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = p.platform.OS, p.platform.Architecture, created
	config.Config = v1.Config{
		User: user, Entrypoint: []string{"/" + p.name}, WorkingDir: "/", Env: []string{"PATH=/"},
		Labels: map[string]string{
			"org.opencontainers.image.title": p.name, "org.opencontainers.image.source": source, "org.opencontainers.image.licenses": "Apache-2.0",
			"org.opencontainers.image.version": p.built.Main.Version, "org.opencontainers.image.revision": p.setting("vcs.revision"),
		},
	}
	return mutate.ConfigFile(image, config)
}

// add puts an image and its attestation into the index, as BuildKit does, whose form goes with the image wherever it is
// copied to.
func add(index v1.ImageIndex, p program, image v1.Image, bill []byte) (v1.ImageIndex, error) {
	digest, err := image.Digest()
	if err != nil {
		return nil, err
	}
	statement, err := statementOf(p, digest, bill)
	if err != nil {
		return nil, err
	}
	attestation := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	attestation, err = mutate.Append(attestation, mutate.Addendum{
		Layer:       static.NewLayer(statement, "application/vnd.in-toto+json"),
		Annotations: map[string]string{"in-toto.io/predicate-type": predicate},
	})
	if err != nil {
		return nil, err
	}
	config, err := attestation.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.History = "unknown", "unknown", nil
	config.RootFS.DiffIDs = []v1.Hash{} // a statement is no layer of files
	if attestation, err = mutate.ConfigFile(attestation, config); err != nil {
		return nil, err
	}
	platform := p.platform
	return mutate.AppendManifests(index,
		mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &platform}},
		mutate.IndexAddendum{Add: attestation, Descriptor: v1.Descriptor{
			Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
			Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": digest.String()},
		}},
	), nil
}

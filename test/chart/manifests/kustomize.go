// Package manifests renders what people install, for the tests and for the files that are generated from it.
package manifests

import (
	"fmt"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// Kustomize renders a folder as "kubectl kustomize" does.
func Kustomize(dir string) ([]byte, error) {
	options := krusty.MakeDefaultOptions()
	// Namespaces and CRDs go first, as the command has it: what needs them can be applied at once.
	options.Reorder = krusty.ReorderOptionLegacy
	resources, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", dir, err)
	}
	out, err := resources.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("write what %s renders: %w", dir, err)
	}
	return out, nil
}

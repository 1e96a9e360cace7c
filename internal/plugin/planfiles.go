package plugin

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
)

// forKustomize says of an error that it is about a file for kustomize, such as a folder of manifests may have beside them: no API
// server knows its kind, and there is nothing to plan in it.
func (k *kube) forKustomize(err error) bool {
	var unknown *meta.NoKindMatchError
	if !errors.As(err, &unknown) || unknown.GroupKind.Group != "kustomize.config.k8s.io" {
		return false
	}
	fmt.Fprintf(k.ErrOut, "a %s is left out: it is for kustomize. kubectl kustomize FOLDER | kubectl dane plan -f - plans what it makes\n", unknown.GroupKind.Kind)
	return true
}

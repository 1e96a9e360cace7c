package samples

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
)

// What a pipeline has applied it finds as it was: to apply it again (server-side) changes nothing, and every field of
// the manifest has the value that the manifest gives it, for pipelines that compare field by field.
func TestNoDrift(t *testing.T) {
	for _, file := range slices.Concat(files(t, "../../config/default"), files(t, "../../config/samples")) {
		text, err := os.ReadFile(file) //nolint:gosec // a file of the repository
		if err != nil {
			t.Fatal(err)
		}
		manifests, err := kube.Decode(string(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, manifest := range manifests {
			t.Run(filepath.Base(file)+"/"+manifest.GetKind()+"/"+manifest.GetName(), func(t *testing.T) {
				var applied []*unstructured.Unstructured
				for range 3 {
					o := manifest.DeepCopy()
					if err := cluster.ApplyObject(t.Context(), o); err != nil {
						t.Fatal(err)
					}
					applied = append(applied, o)
				}
				first, second, third := applied[0], applied[1], applied[2]
				if first.GetGeneration() != third.GetGeneration() {
					t.Errorf("the spec of %s changed when it was applied again", client.ObjectKeyFromObject(third))
				}
				// The first time after it was created the API server puts the fields' owners in another form.
				if second.GetResourceVersion() != third.GetResourceVersion() {
					t.Errorf("%s changed when it was applied again", client.ObjectKeyFromObject(third))
				}
				if manifest.GroupVersionKind().Group != v1alpha1.GroupVersion.Group {
					return
				}
				if found := drift("", manifest.Object, third.Object); found != "" {
					t.Error(found)
				}
			})
		}
	}
}

// drift says which field of a manifest is not in the live object with its value; empty when all are.
func drift(path string, want, have any) string {
	fields, ok := want.(map[string]any)
	if !ok {
		if list, ok := want.([]any); ok {
			return driftOfList(path, list, have)
		}
		if fmt.Sprint(want) != fmt.Sprint(have) { // numbers are read as different types
			return fmt.Sprintf("%s is %v in the manifest and %v in the cluster", path, want, have)
		}
		return ""
	}
	live, ok := have.(map[string]any)
	if !ok {
		return fmt.Sprintf("%s is %v in the cluster", path, have)
	}
	for name, value := range fields {
		if found := drift(path+"."+name, value, live[name]); found != "" {
			return found
		}
	}
	return ""
}

func driftOfList(path string, want []any, have any) string {
	live, ok := have.([]any)
	if !ok || len(live) != len(want) {
		return fmt.Sprintf("%s has %d items in the manifest, and is %v in the cluster", path, len(want), have)
	}
	for i := range want {
		if found := drift(fmt.Sprintf("%s[%d]", path, i), want[i], live[i]); found != "" {
			return found
		}
	}
	return ""
}

package api

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// row is a spec that the API server accepts or refuses.
type row struct {
	// reason says why it must be so.
	reason string
	// spec is YAML, merged into the smallest spec that is accepted; lists replace lists.
	spec string
	// field is what the refusal must name; empty means that the spec is accepted.
	field string
	// advice is what the refusal must say.
	advice string
}

// check sends every row to the API server, as a dry run with strict fields.
func check(t *testing.T, kind, smallest string, rows []row) {
	t.Helper()
	namespace := cluster.Namespace(t.Context(), t)
	for _, r := range rows {
		t.Run(r.reason, func(t *testing.T) {
			object := build(t, kind, namespace, smallest, r.spec)
			err := cluster.Client.Create(t.Context(), object, client.DryRunAll, client.FieldValidation("Strict"))
			if problem := judge(err, r.field, r.advice); problem != "" {
				t.Errorf("spec %s: %s", strings.TrimSpace(r.spec), problem)
			}
		})
	}
}

// build makes an object of the smallest spec with the row's merged in. A null takes a field away.
func build(t *testing.T, kind, namespace, smallest, spec string) *unstructured.Unstructured {
	t.Helper()
	base := merge(parse(t, smallest), parse(t, spec))
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "mail.dane-operator.io/v1alpha1",
		"kind":       kind,
		"metadata":   map[string]any{"namespace": namespace, "generateName": "row-"},
		"spec":       base,
	}}
}

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	var parsed map[string]any
	if err := yaml.UnmarshalStrict([]byte(text), &parsed); err != nil {
		t.Fatalf("the row itself is wrong: %v:\n%s", err, text)
	}
	return parsed
}

func merge(base, over map[string]any) map[string]any {
	for key, value := range over {
		from, isMap := base[key].(map[string]any)
		onto, alsoMap := value.(map[string]any)
		switch {
		case value == nil:
			delete(base, key)
		case isMap && alsoMap:
			base[key] = merge(from, onto)
		default:
			base[key] = value
		}
	}
	return base
}

// judge says what is wrong with the API server's answer; empty means that it is the wanted one.
func judge(err error, field, advice string) string {
	if field == "" {
		if err != nil {
			return fmt.Sprintf("refused: %v", err)
		}
		return ""
	}
	var status *apierrors.StatusError
	if !errors.As(err, &status) || !apierrors.IsInvalid(err) {
		return fmt.Sprintf("want a refusal that names %s, got %v", field, err)
	}
	for _, cause := range status.ErrStatus.Details.Causes {
		if cause.Field == field && strings.Contains(cause.Message, advice) {
			return ""
		}
	}
	return fmt.Sprintf("no cause names %s and says %q:\n%s", field, advice, causes(status.ErrStatus.Details.Causes))
}

func causes(all []metav1.StatusCause) string {
	var b strings.Builder
	for _, cause := range all {
		fmt.Fprintf(&b, "  %s: %s\n", cause.Field, cause.Message)
	}
	return b.String()
}

// list repeats an item; %d in it counts from 1.
func list(n int, item string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = strings.ReplaceAll(item, "%d", fmt.Sprint(i+1))
	}
	return "[" + strings.Join(items, ", ") + "]"
}

package cases

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
)

const (
	// gateManager is the field manager that docs/gitops.md names.
	gateManager = "dane-operator-gate"
	// pipeline is that of whatever applies manifests.
	pipeline = "kustomize-controller"
)

// TestGateOwnsItsAnnotationAlone: on a Certificate that a pipeline applies, the operator owns the annotation of the gate and
// nothing else; the pipeline finds no difference, leaves the annotation when it applies its manifest again, and may change
// its own fields; and when the MailDomain goes the annotation does, and nothing of the pipeline's.
func TestGateOwnsItsAnnotationAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone()
	s.address(mx)
	manifest := s.manifestOf("mx1", mx)
	s.applyAs(pipeline, manifest)
	s.domain("example", mx, nil, "mx1")
	md := s.wait("example", settled)

	crt := s.liveCertificate("mx1")
	if crt.GetAnnotations()[v1alpha1.GateAnnotation] != "example" {
		t.Fatalf("the annotations are %v", crt.GetAnnotations())
	}
	want := map[string]any{"f:metadata": map[string]any{"f:annotations": map[string]any{"f:" + v1alpha1.GateAnnotation: map[string]any{}}}}
	if got := ownedBy(t, crt, gateManager); !reflect.DeepEqual(got, want) {
		t.Errorf("%s owns %v, want %v", gateManager, got, want)
	}
	for _, entry := range crt.GetManagedFields() {
		if strings.HasPrefix(entry.Manager, "dane-operator") && entry.Manager != gateManager {
			t.Errorf("the operator also owns fields as %s: %s", entry.Manager, entry.FieldsV1)
		}
	}

	s.noDiff(manifest)
	s.applyAs(pipeline, manifest)
	s.noDiff(manifest)
	changed := manifest.DeepCopy()
	s.must(unstructured.SetNestedField(changed.Object, int64(3), "spec", "revisionHistoryLimit"))
	changed.SetLabels(map[string]string{"team": "mail"})
	s.applyAs(pipeline, changed)
	s.noDiff(changed)

	s.must(s.lab.Client.Delete(t.Context(), md))
	eventually(t, func() string {
		now := s.liveCertificate("mx1")
		if owned := ownedBy(t, now, gateManager); len(now.GetAnnotations()) > 0 || owned != nil {
			return fmt.Sprintf("the annotations are %v, and %s owns %v", now.GetAnnotations(), gateManager, owned)
		}
		return ""
	})
	s.noDiff(changed)
}

// manifestOf is a Certificate as a pipeline has it in git.
func (s *site) manifestOf(name, host string) *unstructured.Unstructured {
	s.Helper()
	crt := kube.Certificate(s.lab.Namespace, name, "selfsigned", host)
	crt.TypeMeta = metav1.TypeMeta{APIVersion: cmapi.SchemeGroupVersion.String(), Kind: cmapi.CertificateKind}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(crt)
	s.must(err)
	delete(object, "status")
	unstructured.RemoveNestedField(object, "metadata", "creationTimestamp") // of an object that is yet to be made
	return &unstructured.Unstructured{Object: object}
}

// applyAs applies a manifest server-side, without force: a field that another manager owns with another value is an error.
func (s *site) applyAs(manager string, manifest *unstructured.Unstructured, o ...client.ApplyOption) *unstructured.Unstructured {
	s.Helper()
	applied := manifest.DeepCopy()
	s.must(s.lab.Client.Apply(s.Context(), client.ApplyConfigurationFromUnstructured(applied), append(o, client.FieldOwner(manager))...))
	return applied
}

// noDiff wants what a pipeline would get by applying its manifest (a dry run, as Flux, Argo CD and kubectl diff ask for it)
// to be what there is, but for status and who owns what, which cert-manager may write meanwhile.
func (s *site) noDiff(manifest *unstructured.Unstructured) {
	s.Helper()
	live := s.liveCertificate(manifest.GetName())
	dry := s.applyAs(pipeline, manifest, client.DryRunAll)
	if live.GetAnnotations()[v1alpha1.GateAnnotation] != dry.GetAnnotations()[v1alpha1.GateAnnotation] {
		s.Errorf("applied anew, the annotations %v become %v", live.GetAnnotations(), dry.GetAnnotations())
	}
	for _, o := range []*unstructured.Unstructured{live, dry} {
		o.SetManagedFields(nil)
		o.SetResourceVersion("")
		delete(o.Object, "status")
	}
	if !reflect.DeepEqual(live.Object, dry.Object) {
		s.Errorf("applied anew,\n%v\nbecomes\n%v", live.Object, dry.Object)
	}
}

// liveCertificate reads a Certificate with all its fields.
func (s *site) liveCertificate(name string) *unstructured.Unstructured {
	s.Helper()
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(cmapi.SchemeGroupVersion.WithKind(cmapi.CertificateKind))
	s.must(s.lab.Client.Get(context.Background(), types.NamespacedName{Namespace: s.lab.Namespace, Name: name}, o))
	return o
}

// ownedBy are the fields that a manager owns, of the object and its subresources; nil when it owns none.
func ownedBy(t *testing.T, o *unstructured.Unstructured, manager string) map[string]any {
	t.Helper()
	var out map[string]any
	for _, entry := range o.GetManagedFields() {
		if entry.Manager != manager {
			continue
		}
		if out != nil || entry.Subresource != "" || entry.Operation != metav1.ManagedFieldsOperationApply {
			t.Errorf("%s has more than one entry, or one of status, or did not apply: %+v", manager, entry)
		}
		if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &out); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

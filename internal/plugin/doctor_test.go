package plugin

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// TestCounted: one thing is not told of as several.
func TestCounted(t *testing.T) {
	for want, got := range map[string]string{
		"1 gated request": counted(1, "gated request"), "2 gated requests": counted(2, "gated request"),
		"1 address": counted(1, "address"), "0 addresses": counted(0, "address"),
	} {
		if got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
}

// TestDiagnosis wants a script to be able to tell what is broken from what nobody could look at.
func TestDiagnosis(t *testing.T) {
	for _, c := range []struct {
		reason string
		states []health
		want   int
	}{
		{"all is well", []health{fine, fine}, 0},
		{"a warning is no failure", []health{fine, warning}, 0},
		{"what is unknown may be broken", []health{fine, unclear, warning}, exitFailed},
		{"nothing is known", []health{unclear}, exitFailed},
		{"broken goes before unknown", []health{unclear, broken, fine}, exitFound},
	} {
		var found []finding
		for _, state := range c.states {
			found = append(found, finding{state: state})
		}
		if got := ExitCode(diagnosis(found)); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.reason, got, c.want)
		}
	}
}

// TestCertManagerIsNewEnough compares versions by their numbers, and calls nothing well that is not told.
func TestCertManagerIsNewEnough(t *testing.T) {
	for label, want := range map[string]health{
		"v1.21.2": fine, "v1.21.0": fine, "1.21": fine, "v1.100.0": fine, "v2.0.0": fine, "v1.22.0-alpha.1": fine,
		"v1.20.2": broken, "v1.9.1": broken, "v1.18.0": broken, "v0.16.1": broken,
		"": warning, "nightly": warning,
	} {
		got := certManagerOf(label)
		if got.state != want || (got.advice == "") != (want == fine) || want == broken && !strings.Contains(got.advice, "upgrade cert-manager and its CRDs to 1.21 or newer") {
			t.Errorf("%q: %+v, want %s", label, got, want)
		}
	}
}

// refusing is a cluster whose API server answers every list and get with an error.
func refusing(t *testing.T, err error) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		List: func(_ context.Context, _ client.WithWatch, list client.ObjectList, _ ...client.ListOption) error {
			if _, policies := list.(*admissionv1.ValidatingAdmissionPolicyList); policies && meta.IsNoMatchError(err) {
				return nil // a cluster without our kinds has those of Kubernetes
			}
			return err
		},
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return err
		},
	}).Build()
}

// TestDoctorWhoSeesNothing: each thing is told once, and nothing is called well that was not seen.
func TestDoctorWhoSeesNothing(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, "", errors.New("no right"))
	missing := &meta.NoKindMatchError{GroupKind: v1alpha1.GroupVersion.WithKind("MailDomain").GroupKind()}
	for _, c := range []struct {
		reason     string
		err        error
		crds       health
		code, rows int
	}{
		{"no rights: the API server refuses nothing that it does not know", forbidden, fine, exitFailed, 7},
		{"nobody answers, and it is not said of everything", errors.New("connection refused"), unclear, exitFailed, 1},
		{"the CRDs are not there, and it is not said again of the objects", missing, broken, exitFound, 4},
	} {
		k := &kube{IOStreams: genericiooptions.NewTestIOStreamsDiscard(), now: time.Now}
		found := k.examine(t.Context(), refusing(t, c.err))
		told := map[string]bool{}
		for _, f := range found {
			if told[f.what] {
				t.Errorf("%s: %s is told twice", c.reason, f.what)
			}
			told[f.what] = true
			if f.what == "the CRDs of dane-operator" && f.state != c.crds || f.what != "the CRDs of dane-operator" && f.state == fine {
				t.Errorf("%s: %s is %s", c.reason, f.what, f.state)
			}
		}
		if got := ExitCode(diagnosis(found)); got != c.code || len(found) != c.rows {
			t.Errorf("%s: exit code %d, %d things: %+v", c.reason, got, len(found), found)
		}
	}
}

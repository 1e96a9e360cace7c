package controllers

import (
	"context"
	"crypto/rand"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// TestStandbyKeyIsReadWhenItChanged wants the Secret of a standby key to be read once, and again after it
// was written, and not at all where there is none.
func TestStandbyKeyIsReadWhenItChanged(t *testing.T) {
	reads := 0
	api := fake.NewClientBuilder().WithScheme(testScheme(t)).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if _, whole := o.(*corev1.Secret); whole {
				reads++
			}
			return c.Get(ctx, key, o, opts...)
		},
	}).Build()
	crt := &cmapi.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "mx"}}
	r := keyReader{cached: api, live: api, standbys: newStandbyMemory()}
	look := func(reason string, wantReads int) *certificateFacts {
		t.Helper()
		before := reads
		b := keyBuilder{facts: &certificateFacts{certificate: crt}, name: "mx"}
		r.readStandby(t.Context(), &b)
		if reads-before != wantReads {
			t.Errorf("%s: %d reads of the Secret, want %d", reason, reads-before, wantReads)
		}
		return b.facts
	}
	if f := look("there is none", 0); f.standby != nil || len(f.keys) != 0 {
		t.Error("a key was found where there is none")
	}
	store := standbyStore{client: api, random: rand.Reader}
	if err := store.renew(t.Context(), crt, nil); err != nil {
		t.Fatal(err)
	}
	first := look("it is new", 1)
	again := look("nothing changed", 0)
	if len(first.standbySPKI) == 0 || string(first.standbySPKI) != string(again.standbySPKI) || len(again.keys) != 1 {
		t.Error("the key that is remembered is not the one that was read")
	}
	if again.standby == nil || again.standby.Data != nil {
		t.Error("the private half is kept, or the Secret is not known")
	}
	secret := &corev1.Secret{}
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "mail", Name: standbySecretName("mx")}, secret); err != nil {
		t.Fatal(err)
	}
	if err := store.renew(t.Context(), crt, secret); err != nil {
		t.Fatal(err)
	}
	if f := look("it was written", 1); string(f.standbySPKI) == string(first.standbySPKI) {
		t.Error("the key of before is remembered after the Secret was written")
	}
}

package controllers

import (
	"context"
	"sync"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// standbyMemory remembers the public halves of standby keys, so that a host at rest costs no read of a
// Secret. Which Secret a public half is of is told by its resourceVersion, which is watched; the private
// half is read when it is needed and never kept.
type standbyMemory struct {
	mu    sync.Mutex
	known map[types.NamespacedName]publicHalf
}

type publicHalf struct {
	uid     types.UID
	version string
	spki    []byte
}

func newStandbyMemory() *standbyMemory {
	return &standbyMemory{known: map[types.NamespacedName]publicHalf{}}
}

// recall returns what is watched of the standby Secret of a Certificate, without data, and the public
// half of its key; nil where there is none. It says no where the Secret has to be read.
func (m *standbyMemory) recall(ctx context.Context, cached client.Reader, crt *cmapi.Certificate) (*corev1.Secret, []byte, bool) {
	if m == nil {
		return nil, nil, false
	}
	name := types.NamespacedName{Namespace: crt.Namespace, Name: standbySecretName(crt.Name)}
	watched := &metav1.PartialObjectMetadata{}
	watched.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := cached.Get(ctx, name, watched)
	m.mu.Lock()
	defer m.mu.Unlock()
	half, ok := m.known[name]
	switch {
	case apierrors.IsNotFound(err):
		delete(m.known, name)
		return nil, nil, true
	case err != nil || !ok || watched.UID != half.uid || watched.ResourceVersion != half.version:
		return nil, nil, false
	}
	return &corev1.Secret{ObjectMeta: watched.ObjectMeta, Type: corev1.SecretTypeOpaque}, half.spki, true
}

func (m *standbyMemory) remember(secret *corev1.Secret, spki []byte) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[client.ObjectKeyFromObject(secret)] = publicHalf{uid: secret.UID, version: secret.ResourceVersion, spki: spki}
}

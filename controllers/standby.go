package controllers

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// standbySecretName is where the standby key of a Certificate is kept. The name is fixed, so that
// two operators, or one that was killed, can never make two keys.
func standbySecretName(certificate string) string { return certificate + "-dane-standby" }

// newPrivateKey makes a key as spec.privateKey of the Certificate asks for, with cert-manager's
// defaults (RSA 2048, P-256).
func newPrivateKey(random io.Reader, want *cmapi.CertificatePrivateKey) (crypto.Signer, error) {
	algorithm, size := keyWish(want)
	switch algorithm {
	case cmapi.RSAKeyAlgorithm:
		return rsa.GenerateKey(random, size)
	case cmapi.ECDSAKeyAlgorithm:
		curve, ok := curves[size]
		if !ok {
			return nil, fmt.Errorf("spec.privateKey.size %d is no size of an ECDSA key: use 256, 384 or 521", size)
		}
		return ecdsa.GenerateKey(curve, random)
	case cmapi.Ed25519KeyAlgorithm:
		_, key, err := ed25519.GenerateKey(random)
		return key, err
	default:
		return nil, fmt.Errorf("spec.privateKey.algorithm %q is not known", algorithm)
	}
}

var curves = map[int]elliptic.Curve{256: elliptic.P256(), 384: elliptic.P384(), 521: elliptic.P521()}

// keyWish resolves cert-manager's defaults of algorithm and size.
func keyWish(want *cmapi.CertificatePrivateKey) (cmapi.PrivateKeyAlgorithm, int) {
	algorithm, size := cmapi.RSAKeyAlgorithm, 0
	if want != nil {
		size = want.Size
		if want.Algorithm != "" {
			algorithm = want.Algorithm
		}
	}
	switch {
	case size == 0 && algorithm == cmapi.RSAKeyAlgorithm:
		size = 2048
	case size == 0 && algorithm == cmapi.ECDSAKeyAlgorithm:
		size = 256
	}
	return algorithm, size
}

// fitsWish says whether a key is what the Certificate asks for now.
func fitsWish(key crypto.PublicKey, want *cmapi.CertificatePrivateKey) bool {
	algorithm, size := keyWish(want)
	switch k := key.(type) {
	case *rsa.PublicKey:
		return algorithm == cmapi.RSAKeyAlgorithm && k.N.BitLen() == size
	case *ecdsa.PublicKey:
		return algorithm == cmapi.ECDSAKeyAlgorithm && k.Curve.Params().BitSize == size
	case ed25519.PublicKey:
		return algorithm == cmapi.Ed25519KeyAlgorithm
	default:
		return false
	}
}

// standbyStore keeps standby keys in Secrets.
type standbyStore struct {
	client client.Client
	random io.Reader
}

// renew makes a new standby key for a Certificate. existing is the Secret to replace the key of,
// nil when there is none; its resourceVersion fences out everybody who read an older one.
func (s standbyStore) renew(ctx context.Context, crt *cmapi.Certificate, existing *corev1.Secret) error {
	key, err := newPrivateKey(s.random, crt.Spec.PrivateKey)
	if err != nil {
		return fmt.Errorf("make a standby key for Certificate %s/%s: %w", crt.Namespace, crt.Name, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode the standby key of Certificate %s/%s: %w", crt.Namespace, crt.Name, err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if existing != nil {
		secret := existing.DeepCopy()
		secret.Data = map[string][]byte{corev1.TLSPrivateKeyKey: text}
		return s.client.Update(ctx, secret)
	}
	return s.client.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: crt.Namespace,
			Name:      standbySecretName(crt.Name),
			Labels:    map[string]string{v1alpha1.RoleLabel: v1alpha1.StandbyRole, v1alpha1.CertificateLabel: labelValue(crt.Name)},
		},
		Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{corev1.TLSPrivateKeyKey: text},
	})
}

// labelValue shortens a name to what a label value may hold.
func labelValue(name string) string {
	if len(name) > 63 {
		return name[:63]
	}
	return name
}

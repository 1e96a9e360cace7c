package kube

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"testing"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// startCertManager runs cert-manager for one test. Only one test at a time does: two instances
// would work on the same objects.
func startCertManager(t *testing.T, o CertManagerOptions) *Process {
	t.Helper()
	process, err := cluster.StartCertManager(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := process.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("cert-manager said last:\n%s", process.Tail(30))
		}
	})
	return process
}

func create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		if err := cluster.Client.Create(t.Context(), object); err != nil {
			t.Fatalf("make %T %s: %v", object, object.GetName(), err)
		}
	}
}

// publicKey is the SPKI of the certificate in a Secret, after a check that the key there fits it.
func publicKey(t *testing.T, namespace, secret string) []byte {
	t.Helper()
	var s corev1.Secret
	if err := cluster.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: secret}, &s); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(s.Data[corev1.TLSCertKey])
	if block == nil {
		t.Fatalf("Secret %s holds no certificate", secret)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(leaf.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if own := spkiOf(t, s.Data[corev1.TLSPrivateKeyKey]); !bytes.Equal(own, spki) {
		t.Fatalf("Secret %s: key and certificate do not belong together", secret)
	}
	return spki
}

// spkiOf is the public half of a private key in PEM.
func spkiOf(t *testing.T, text []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatal("no PEM block where a private key should be")
	}
	var key any
	var err error
	if key, err = x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
		if key, err = x509.ParseECPrivateKey(block.Bytes); err != nil {
			t.Fatal(err)
		}
	}
	spki, err := x509.MarshalPKIXPublicKey(key.(crypto.Signer).Public())
	if err != nil {
		t.Fatal(err)
	}
	return spki
}

func TestCertManagerIssues(t *testing.T) {
	process := startCertManager(t, CertManagerOptions{})
	namespace := cluster.Namespace(t.Context(), t)
	if err := cluster.CreateCAIssuer(t.Context(), namespace, "ca"); err != nil {
		t.Fatal(err)
	}
	create(t, SelfSignedIssuer(namespace, "selfsigned"))
	for _, issuer := range []string{"selfsigned", "ca"} {
		certificate := Certificate(namespace, issuer+"-leaf", issuer, "mx1.example.com")
		certificate.Annotations = map[string]string{"mail.dane-operator.io/gate": "x"}
		create(t, certificate)
		if _, err := cluster.WaitIssued(t.Context(), namespace, certificate.Name, 1); err != nil {
			t.Fatal(err)
		}
		first := publicKey(t, namespace, certificate.Spec.SecretName)
		requireAnnotationCopied(t, namespace, certificate.Name)

		if err := cluster.Renew(t.Context(), namespace, certificate.Name); err != nil {
			t.Fatal(err)
		}
		if _, err := cluster.WaitIssued(t.Context(), namespace, certificate.Name, 2); err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(first, publicKey(t, namespace, certificate.Spec.SecretName)) {
			t.Errorf("issuer %s: a renewal with rotationPolicy Always kept the key", issuer)
		}
	}
	requireRestart(t, process)
}

func requireAnnotationCopied(t *testing.T, namespace, certificate string) {
	t.Helper()
	requests, err := cluster.RequestsOf(t.Context(), namespace, certificate)
	if err != nil {
		t.Fatal(err)
	}
	if len(requests) != 1 || requests[0].Annotations["mail.dane-operator.io/gate"] != "x" {
		t.Errorf("want one request of %s with the Certificate's annotation, got %v", certificate, requests)
	}
}

// requireRestart checks that a cert-manager that was killed goes on where it was when started again.
func requireRestart(t *testing.T, process *Process) {
	t.Helper()
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	if process.Running() {
		t.Fatal("cert-manager runs after Kill")
	}
	namespace := cluster.Namespace(t.Context(), t)
	create(t, SelfSignedIssuer(namespace, "selfsigned"), Certificate(namespace, "leaf", "selfsigned", "mx1.example.com"))
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.WaitIssued(t.Context(), namespace, "leaf", 1); err != nil {
		t.Fatal(err)
	}
}

// waitRequest waits for a request of the Certificate that asks for the given public key; nil means any.
func waitRequest(ctx context.Context, namespace, certificate string, spki []byte) (*cmv1.CertificateRequest, error) {
	return waitRequestFor(ctx, namespace, certificate, func(got []byte) bool { return spki == nil || bytes.Equal(got, spki) })
}

// waitRequestFor waits for a request of the Certificate that asks for a wanted public key.
func waitRequestFor(ctx context.Context, namespace, certificate string, wanted func(spki []byte) bool) (*cmv1.CertificateRequest, error) {
	deadline := time.Now().Add(issueTimeout)
	for {
		requests, err := cluster.RequestsOf(ctx, namespace, certificate)
		if err != nil {
			return nil, err
		}
		for i := range requests {
			block, _ := pem.Decode(requests[i].Spec.Request)
			csr, err := x509.ParseCertificateRequest(block.Bytes)
			if err != nil {
				return nil, err
			}
			got, err := x509.MarshalPKIXPublicKey(csr.PublicKey)
			if err != nil {
				return nil, err
			}
			if wanted(got) {
				return &requests[i], nil
			}
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("no request of %s for the wanted key; there are %d others", certificate, len(requests))
		}
		time.Sleep(pollInterval)
	}
}

// TestSwapOfNextPrivateKey holds down what the standby key stands on: while a request waits for
// approval, another key in the Secret that status.nextPrivateKeySecretName names makes cert-manager
// replace the request, and what it issues then carries that key. This is so for a rotationPolicy of
// Never, too.
func TestSwapOfNextPrivateKey(t *testing.T) {
	startCertManager(t, CertManagerOptions{WithoutApprover: true})
	rows := []struct {
		name   string
		policy cmv1.PrivateKeyRotationPolicy
	}{
		{"always", cmv1.RotationPolicyAlways},
		{"never", cmv1.RotationPolicyNever},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) { swapOfNextPrivateKey(t, row.policy) })
	}
}

func swapOfNextPrivateKey(t *testing.T, policy cmv1.PrivateKeyRotationPolicy) {
	ctx, namespace := t.Context(), cluster.Namespace(t.Context(), t)
	certificate := Certificate(namespace, "leaf", "selfsigned", "mx1.example.com")
	certificate.Spec.PrivateKey.RotationPolicy = policy
	create(t, SelfSignedIssuer(namespace, "selfsigned"), certificate)

	first := approveFirst(t, namespace, certificate)
	err := cluster.WaitFor(ctx, certificate, issueTimeout, func() string {
		if certificate.Status.NextPrivateKeySecretName != nil {
			return "the end of the first issuance, whose Secret is deleted" // the renewal has one of its own
		}
		return ""
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.Renew(ctx, namespace, certificate.Name); err != nil {
		t.Fatal(err)
	}
	err = cluster.WaitFor(ctx, certificate, issueTimeout, func() string {
		if certificate.Status.NextPrivateKeySecretName == nil {
			return "status.nextPrivateKeySecretName"
		}
		return ""
	})
	if err != nil {
		t.Fatal(err)
	}
	next := putKey(t, namespace, *certificate.Status.NextPrivateKeySecretName)
	request, err := waitRequest(ctx, namespace, certificate.Name, next)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(publicKey(t, namespace, certificate.Spec.SecretName), first) {
		t.Fatal("the served key changed before the approval")
	}
	if err := cluster.Approve(ctx, namespace, request.Name); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.WaitIssued(ctx, namespace, certificate.Name, 2); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(publicKey(t, namespace, certificate.Spec.SecretName), next) {
		t.Error("the issued certificate does not carry the key that was put in")
	}
}

// TestNextPrivateKeyIsMadeAnew holds down what Stalled advises where a renewal that waits has the key in use, and that is
// compromised: with rotationPolicy Always it goes on with that key, until the Secret that status.nextPrivateKeySecretName names is
// deleted; then it asks for another one.
func TestNextPrivateKeyIsMadeAnew(t *testing.T) {
	startCertManager(t, CertManagerOptions{WithoutApprover: true})
	ctx, namespace := t.Context(), cluster.Namespace(t.Context(), t)
	certificate := Certificate(namespace, "leaf", "selfsigned", "mx1.example.com")
	certificate.Spec.PrivateKey.RotationPolicy = cmv1.RotationPolicyNever
	create(t, SelfSignedIssuer(namespace, "selfsigned"), certificate)
	first := approveFirst(t, namespace, certificate)
	if _, err := cluster.WaitIssued(ctx, namespace, certificate.Name, 1); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Renew(ctx, namespace, certificate.Name); err != nil {
		t.Fatal(err)
	}
	err := cluster.WaitFor(ctx, certificate, issueTimeout, func() string {
		requests, err := cluster.RequestsOf(ctx, namespace, certificate.Name)
		waits := func(r cmv1.CertificateRequest) bool { return !cmutil.CertificateRequestIsApproved(&r) }
		if err != nil || certificate.Status.NextPrivateKeySecretName == nil || !slices.ContainsFunc(requests, waits) {
			return fmt.Sprintf("a request that waits, of %d (%v)", len(requests), err)
		}
		return ""
	})
	if err != nil {
		t.Fatal(err)
	}
	next := &corev1.Secret{}
	if err := cluster.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: *certificate.Status.NextPrivateKeySecretName}, next); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(spkiOf(t, next.Data[corev1.TLSPrivateKeyKey]), first) {
		t.Fatal("the renewal has another key than the one in use")
	}
	base := certificate.DeepCopy()
	certificate.Spec.PrivateKey.RotationPolicy = cmv1.RotationPolicyAlways
	if err := cluster.Client.Patch(ctx, certificate, client.MergeFrom(base)); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Client.Delete(ctx, next); err != nil {
		t.Fatal(err)
	}
	if _, err := waitRequestFor(ctx, namespace, certificate.Name, func(spki []byte) bool { return !bytes.Equal(spki, first) }); err != nil {
		t.Fatal(err)
	}
}

// approveFirst lets the first issuance through after a check that it waits for approval, and returns
// the public key that was issued.
func approveFirst(t *testing.T, namespace string, certificate *cmv1.Certificate) []byte {
	t.Helper()
	ctx := t.Context()
	request, err := waitRequest(ctx, namespace, certificate.Name, nil)
	if err != nil {
		t.Fatal(err)
	}
	waitForApprovalEvent(t, namespace, request.Name)
	if err := cluster.Client.Get(ctx, client.ObjectKeyFromObject(request), request); err != nil {
		t.Fatal(err)
	}
	if len(request.Status.Certificate) != 0 || cmutil.CertificateRequestIsApproved(request) {
		t.Fatal("a request was approved or issued with the approver off")
	}
	if err := cluster.Approve(ctx, namespace, request.Name); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.WaitIssued(ctx, namespace, certificate.Name, 1); err != nil {
		t.Fatal(err)
	}
	return publicKey(t, namespace, certificate.Spec.SecretName)
}

// waitForApprovalEvent waits until cert-manager has looked at the request and said that it waits.
func waitForApprovalEvent(t *testing.T, namespace, request string) {
	t.Helper()
	deadline := time.Now().Add(issueTimeout)
	for time.Now().Before(deadline) {
		var events corev1.EventList
		if err := cluster.Client.List(t.Context(), &events, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		for _, event := range events.Items {
			if event.InvolvedObject.Name == request && event.Reason == "WaitingForApproval" {
				return
			}
		}
		time.Sleep(pollInterval)
	}
	t.Fatalf("no event WaitingForApproval for request %s", request)
}

// putKey puts a new key into a Secret in place of the one there, and returns its public half.
func putKey(t *testing.T, namespace, name string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
		t.Fatal(err)
	}
	secret.Data[corev1.TLSPrivateKeyKey] = text
	if err := cluster.Client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	return spkiOf(t, text)
}

package controllers

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"slices"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// somePublic is the public half of a new key (DER).
func somePublic(t *testing.T, curve elliptic.Curve) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(crypto.PublicKey(&key.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestFirstKeyOfARenewal: cert-manager makes a key for each renewal, and the standby key takes its place. Its records
// are not published meanwhile, unless it turns out that it stays.
func TestFirstKeyOfARenewal(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	current, standby, first := somePublic(t, elliptic.P256()), somePublic(t, elliptic.P256()), somePublic(t, elliptic.P256())
	large := somePublic(t, elliptic.P384())
	for _, c := range []struct {
		reason string
		edit   func(*v1alpha1.MailDomain, *certificateFacts)
		aside  bool
	}{
		{"it is about to be replaced", nil, true},
		{"the request has waited for five minutes: nobody replaces it", func(_ *v1alpha1.MailDomain, f *certificateFacts) {
			f.pending.CreationTimestamp = metav1.NewTime(now.Add(-5*time.Minute - time.Second))
		}, false},
		{"there is no standby key yet", func(_ *v1alpha1.MailDomain, f *certificateFacts) { f.standbySPKI = nil }, false},
		{"no standby key is wanted", func(md *v1alpha1.MailDomain, _ *certificateFacts) {
			md.Spec.Rollover.StandbyKey = v1alpha1.StandbyDisabled
		}, false},
		{"the standby key is in use, and another is to be made", func(_ *v1alpha1.MailDomain, f *certificateFacts) { f.standbySPKI = current }, false},
		{"the standby key is given up", func(md *v1alpha1.MailDomain, _ *certificateFacts) {
			md.Spec.Rollover.CompromisedKeys = []v1alpha1.SPKIDigest{v1alpha1.SPKIDigest(tlsa.SPKISHA256(standby))}
		}, false},
		{"the Certificate asks for another kind of key", func(_ *v1alpha1.MailDomain, f *certificateFacts) { f.standbySPKI = large }, false},
		{"the key is to stay", func(_ *v1alpha1.MailDomain, f *certificateFacts) {
			f.certificate.Spec.PrivateKey.RotationPolicy = cmapi.RotationPolicyNever
		}, false},
		{"the key was to stay, and is given up", func(md *v1alpha1.MailDomain, f *certificateFacts) {
			f.certificate.Spec.PrivateKey.RotationPolicy = cmapi.RotationPolicyNever
			md.Spec.Rollover.CompromisedKeys = []v1alpha1.SPKIDigest{v1alpha1.SPKIDigest(tlsa.SPKISHA256(current))}
		}, true},
		{"the MailDomain is suspended", func(md *v1alpha1.MailDomain, _ *certificateFacts) { md.Spec.Suspend = true }, false},
		{"nothing is being renewed", func(_ *v1alpha1.MailDomain, f *certificateFacts) { f.pending = nil }, false},
	} {
		md := &v1alpha1.MailDomain{}
		md.Spec.Rollover = v1alpha1.RolloverSpec{Strategy: v1alpha1.StrategyGate, StandbyKey: v1alpha1.StandbyEnabled}
		f := &certificateFacts{
			certificate: &cmapi.Certificate{Spec: cmapi.CertificateSpec{PrivateKey: &cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm}}},
			current:     []*x509.Certificate{{RawSubjectPublicKeyInfo: current}},
			pending:     &cmapi.CertificateRequest{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now.Add(-time.Minute))}},
			standbySPKI: standby,
			keys: []rollover.Key{
				{SPKI: tlsa.SPKISHA256(current), Stage: rollover.StageDeployed}, {SPKI: tlsa.SPKISHA256(first), Stage: rollover.StageRequested},
				{SPKI: tlsa.SPKISHA256(standby), Stage: rollover.StageStandby},
			},
		}
		if c.edit != nil {
			c.edit(md, f)
		}
		f.setAsideFirstKey(md, now)
		has := func(spki []byte) bool {
			return slices.ContainsFunc(f.keys, func(k rollover.Key) bool { return k.SPKI == tlsa.SPKISHA256(spki) })
		}
		if has(first) == c.aside || !has(current) || !has(standby) {
			t.Errorf("%s: left are %v", c.reason, f.keys)
		}
	}
}

// TestStandbyKeyInTheRequest: once the request is for the standby key, that key counts as requested.
func TestStandbyKeyInTheRequest(t *testing.T) {
	now := time.Now()
	standby := somePublic(t, elliptic.P256())
	md := &v1alpha1.MailDomain{}
	md.Spec.Rollover = v1alpha1.RolloverSpec{Strategy: v1alpha1.StrategyGate, StandbyKey: v1alpha1.StandbyEnabled}
	f := &certificateFacts{
		certificate: &cmapi.Certificate{Spec: cmapi.CertificateSpec{PrivateKey: &cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm}}},
		current:     []*x509.Certificate{{RawSubjectPublicKeyInfo: somePublic(t, elliptic.P256())}},
		pending:     &cmapi.CertificateRequest{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now)}},
		standbySPKI: standby, keys: []rollover.Key{{SPKI: tlsa.SPKISHA256(standby), Stage: rollover.StageRequested}},
	}
	if f.setAsideFirstKey(md, now); len(f.keys) != 1 {
		t.Error("the standby key was set aside")
	}
}

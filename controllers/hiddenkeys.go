package controllers

import (
	"crypto/ecdsa"
	"crypto/ed25519"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/rollover"
)

// oneIsHidden is what is said of an endpoint that has two certificates and presents one of them, whoever asks.
const oneIsHidden = "it presents one of an ECDSA and an Ed25519 certificate, and nobody can ask a server for the other one: " +
	"give one of the two Certificates RSA keys (spec.privateKey.algorithm)"

// hidesKeys says whether a host has Certificates with ECDSA keys and with Ed25519 keys. TLS 1.2 has the same cipher
// suites for both (RFC 8422 section 5.10) and TLS 1.3 has none, so that a server presents the one that it prefers, and
// the other one to senders that take no other.
func hidesKeys(certs []*certificateFacts) bool {
	has := map[cmapi.PrivateKeyAlgorithm]bool{}
	for _, c := range certs {
		if c.certificate != nil {
			algorithm, _ := keyWish(c.certificate.Spec.PrivateKey)
			has[algorithm] = true
		}
	}
	return has[cmapi.ECDSAKeyAlgorithm] && has[cmapi.Ed25519KeyAlgorithm]
}

// withHidden adds to what an endpoint presents that there is more, where it has not shown both of two such keys.
func withHidden(presented []rollover.Presented, e endpointProbe) ([]rollover.Presented, bool) {
	ofECDSA, ofEd25519 := false, false
	for _, r := range e.results {
		if r.Outcome != probe.Presented || len(r.Chain) == 0 {
			continue
		}
		switch r.Chain[0].PublicKey.(type) {
		case *ecdsa.PublicKey:
			ofECDSA = true
		case ed25519.PublicKey:
			ofEd25519 = true
		}
	}
	if ofECDSA && ofEd25519 {
		return presented, true
	}
	return append(presented, rollover.Presented{Address: e.address, Port: e.port, Unreachable: true, Message: oneIsHidden}), false
}

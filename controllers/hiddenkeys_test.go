package controllers

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// byType is a prober whose server has an answer for each type of key.
type byType map[probe.KeyType]probe.Result

func (p byType) Probe(_ context.Context, target probe.Target) probe.Result {
	r := p[target.KeyType]
	r.Target, r.Chain = target, slices.Clone(r.Chain)
	return r
}

// TestHiddenKeyIsNotGone: of an ECDSA and an Ed25519 certificate a server presents the one that it prefers. What it does
// not show is no evidence then.
func TestHiddenKeyIsNotGone(t *testing.T) {
	shown := func(algorithm cmapi.PrivateKeyAlgorithm) probe.Result {
		return probe.Result{Outcome: probe.Presented, Chain: chainWith(t, 1, algorithm)}
	}
	ofRSA, ofECDSA, ofEd25519 := shown(cmapi.RSAKeyAlgorithm), shown(cmapi.ECDSAKeyAlgorithm), shown(cmapi.Ed25519KeyAlgorithm)
	none := probe.Result{Outcome: probe.NoSuchKeyType, Message: "none of that type"}
	away := probe.Result{Outcome: probe.Unreachable, Message: "connection refused"}
	for _, row := range []struct {
		reason  string
		server  byType
		hides   bool
		unknown string
	}{
		{"a server that prefers ECDSA", byType{probe.AnyKey: ofECDSA, probe.ECDSA: ofECDSA, probe.RSA: none}, true, "25: " + oneIsHidden},
		{"a server that prefers Ed25519", byType{probe.AnyKey: ofEd25519, probe.ECDSA: ofEd25519, probe.RSA: none}, true, "25: " + oneIsHidden},
		{"one that has RSA besides", byType{probe.AnyKey: ofRSA, probe.ECDSA: ofECDSA, probe.RSA: ofRSA}, true, "25: " + oneIsHidden},
		{"one that shows both", byType{probe.AnyKey: ofEd25519, probe.ECDSA: ofECDSA, probe.RSA: none}, true, ""},
		{"one that is away says why once", byType{probe.AnyKey: ofECDSA, probe.ECDSA: away, probe.RSA: away}, true, "25: connection refused"},
		{"ECDSA and RSA are asked for by name", byType{probe.AnyKey: ofECDSA, probe.ECDSA: ofECDSA, probe.RSA: ofRSA}, false, ""},
	} {
		t.Run(row.reason, func(t *testing.T) {
			pool := testPool(t)
			pool.prober = row.server
			a := zone.Address{Complete: true, Signed: true, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
			round, _ := pool.round(probeJob{server: host("mx1.example.com", 25, "crt"), zone: &scriptedZone{address: a}, hides: row.hides})
			_, unknown := roundText(round)
			if strings.Join(unknown, "; ") != row.unknown || round.Complete != (row.unknown == "") {
				t.Errorf("complete: %t; unknown: %q", round.Complete, unknown)
			}
		})
	}
}

// TestProbesKnowWhatIsHidden: the Certificates of a host say whether its servers may hide a key.
func TestProbesKnowWhatIsHidden(t *testing.T) {
	for _, second := range []cmapi.PrivateKeyAlgorithm{cmapi.Ed25519KeyAlgorithm, cmapi.RSAKeyAlgorithm} {
		pool := testPool(t)
		pool.parallel = 0 // what is to be done stays in the list
		h := &hostRun{server: host("mx1.example.com", 25, "crt"), certs: ofTypes(cmapi.ECDSAKeyAlgorithm, second), entry: zoneEntry{}}
		r := &MailDomainReconciler{probes: pool}
		r.observeEndpoints(&domainRun{md: &v1alpha1.MailDomain{}, now: paceNow}, h, pace{})
		if len(pool.waiting) != 1 || pool.waiting[0].hides != (second == cmapi.Ed25519KeyAlgorithm) {
			t.Errorf("ECDSA and %s: %+v", second, pool.waiting)
		}
	}
}

// ofTypes are Certificates that ask for keys of some types, and one that does not exist.
func ofTypes(algorithms ...cmapi.PrivateKeyAlgorithm) (out []*certificateFacts) {
	for _, a := range algorithms {
		crt := &cmapi.Certificate{}
		if a != "" {
			crt.Spec.PrivateKey = &cmapi.CertificatePrivateKey{Algorithm: a}
		}
		out = append(out, &certificateFacts{certificate: crt})
	}
	return append(out, &certificateFacts{})
}

// TestHidesKeys: of which types the Certificates of a host are.
func TestHidesKeys(t *testing.T) {
	for _, row := range []struct {
		reason string
		certs  []*certificateFacts
		want   bool
	}{
		{"one alone", ofTypes(cmapi.Ed25519KeyAlgorithm), false},
		{"RSA by default, and ECDSA", ofTypes("", cmapi.ECDSAKeyAlgorithm), false},
		{"RSA and Ed25519", ofTypes(cmapi.RSAKeyAlgorithm, cmapi.Ed25519KeyAlgorithm), false},
		{"the two that no server can be asked for one by one", ofTypes(cmapi.ECDSAKeyAlgorithm, cmapi.Ed25519KeyAlgorithm), true},
	} {
		if got := hidesKeys(row.certs); got != row.want {
			t.Errorf("%s: %t", row.reason, got)
		}
	}
}

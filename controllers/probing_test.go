package controllers

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// chainOf makes a chain of one certificate with a P-256 key of its own.
func chainOf(t *testing.T, serial int64) []*x509.Certificate {
	t.Helper()
	return chainWith(t, serial, cmapi.ECDSAKeyAlgorithm)
}

// chainWith makes a chain of one certificate with a key of its own, of some type.
func chainWith(t *testing.T, serial int64, algorithm cmapi.PrivateKeyAlgorithm) []*x509.Certificate {
	t.Helper()
	key, err := newPrivateKey(rand.Reader, &cmapi.CertificatePrivateKey{Algorithm: algorithm})
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"mx1.example.com"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	crt, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return []*x509.Certificate{crt}
}

func TestPresentedBy(t *testing.T) {
	one, two := chainOf(t, 1), chainOf(t, 2)
	shows := func(chain []*x509.Certificate) probe.Result {
		return probe.Result{Outcome: probe.Presented, Chain: chain}
	}
	ends := func(o probe.Outcome) probe.Result {
		return probe.Result{Outcome: o, Message: "it ended with " + string(o)}
	}
	cases := []struct {
		reason   string
		results  []probe.Result
		chains   [][]*x509.Certificate
		complete bool
		unknown  string
	}{
		{"one certificate for every key type", []probe.Result{shows(one), shows(one), shows(one)}, [][]*x509.Certificate{one}, true, ""},
		{"a server without the other key type says so", []probe.Result{shows(one), shows(one), ends(probe.NoSuchKeyType)}, [][]*x509.Certificate{one}, true, ""},
		{"one certificate for each key type", []probe.Result{shows(one), shows(one), shows(two)}, [][]*x509.Certificate{one, two}, true, ""},
		{"it went away before it was asked for the other key type", []probe.Result{shows(one), ends(probe.Unreachable)}, [][]*x509.Certificate{one}, false, "it ended with Unreachable"},
		{"its handshake for the other key type fails", []probe.Result{shows(one), ends(probe.HandshakeFailed), ends(probe.NoSuchKeyType)}, [][]*x509.Certificate{one}, false, "it ended with HandshakeFailed"},
		{"what comes after a failure is known all the same", []probe.Result{ends(probe.HandshakeFailed), shows(one), shows(two)}, [][]*x509.Certificate{one, two}, false, "it ended with HandshakeFailed"},
		{"no STARTTLS any more", []probe.Result{shows(one), ends(probe.NoTLS), ends(probe.NoTLS)}, [][]*x509.Certificate{one}, false, "it ended with NoTLS"},
		{"a handshake without a chain", []probe.Result{shows(one), {Outcome: probe.Presented, Message: "no chain"}}, [][]*x509.Certificate{one}, false, "no chain"},
		{"a server that has no key type at all presents nothing", []probe.Result{ends(probe.NoSuchKeyType), ends(probe.NoSuchKeyType)}, nil, false, "it ended with NoSuchKeyType"},
		{"an address that may not be dialled", []probe.Result{ends(probe.Forbidden)}, nil, false, "it ended with Forbidden"},
		{"nothing was tried", nil, nil, false, "not probed"},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			got, complete := presentedBy(endpointProbe{address: "192.0.2.1", port: 25, results: c.results}, nil, time.Unix(1e9, 0))
			if complete != c.complete {
				t.Errorf("complete: %t", complete)
			}
			var want []string
			for _, chain := range c.chains {
				want = append(want, spkiOfChain(chain))
			}
			var shown []string
			unknown := ""
			for _, p := range got {
				if p.Address != "192.0.2.1" || p.Port != 25 {
					t.Errorf("of %s port %d", p.Address, p.Port)
				}
				if p.Unreachable {
					unknown += p.Message
				} else {
					shown = append(shown, p.SPKI)
				}
			}
			if !slices.Equal(shown, want) || unknown != c.unknown {
				t.Errorf("presented %v and unknown %q; want %v and %q", shown, unknown, want, c.unknown)
			}
		})
	}
}

// alwaysPresents is a prober whose every server presents one chain.
type alwaysPresents []*x509.Certificate

func (c alwaysPresents) Probe(_ context.Context, target probe.Target) probe.Result {
	return probe.Result{Target: target, Outcome: probe.Presented, Chain: slices.Clone(c)}
}

func testPool(t *testing.T, objects ...client.Object) *proberPool {
	t.Helper()
	p := newProberPool(byIndexAlone(t, objects...), alwaysPresents(chainOf(t, 1)), testclock.NewFakePassiveClock(time.Unix(1e9, 0)), newObserver(func(types.NamespacedName) {}), 1)
	t.Cleanup(p.stop)
	return p
}

// roundText is what a round says: what was presented by address and port, and what is not known.
func roundText(round rollover.ProbeRound) (presented, unknown []string) {
	for _, p := range round.Presented {
		if p.Unreachable {
			unknown = append(unknown, fmt.Sprintf("%d: %s", p.Port, p.Message))
		} else {
			presented = append(presented, fmt.Sprintf("%s %d", p.Address, p.Port))
		}
	}
	return presented, unknown
}

func TestRoundKnowsWhetherItsAddressesAreAll(t *testing.T) {
	addrs := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
	both := []string{"192.0.2.1 25", "192.0.2.2 25"}
	cases := []struct {
		reason    string
		address   zone.Address
		dnssec    bool
		presented []string
		unknown   string
	}{
		{"every server answered and validates", zone.Address{Addrs: addrs, Complete: true, Signed: true}, true, both, ""},
		{"a server was silent", zone.Address{Addrs: addrs, Signed: true, Message: "ns2: no answer"}, true, both, "0: the addresses of mx1.example.com may not be all: ns2: no answer"},
		{"a server was silent, which DNSSEC has no part in", zone.Address{Addrs: addrs, Message: "ns2: no answer"}, false, both, "0: the addresses of mx1.example.com may not be all: ns2: no answer"},
		{"the answers do not validate", zone.Address{Addrs: addrs, Complete: true, Message: "ns1: bogus"}, true, both, "0: the addresses of mx1.example.com are not proved: ns1: bogus"},
		{"nor need they", zone.Address{Addrs: addrs, Complete: true, Message: "ns1: bogus"}, false, both, ""},
		{"nobody answered", zone.Address{Message: "ns1: no answer"}, false, nil, "0: ns1: no answer"},
		{"there are none", zone.Address{Complete: true, Signed: true}, true, nil, "0: mx1.example.com has no address records"},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			job := probeJob{server: host("mx1.example.com", 25, "crt"), zone: &scriptedZone{address: c.address}, dnssec: c.dnssec}
			round, probes := testPool(t).round(job)
			presented, unknown := roundText(round)
			if !slices.Equal(presented, c.presented) || strings.Join(unknown, "; ") != c.unknown {
				t.Errorf("presented %q, unknown %q", presented, unknown)
			}
			if round.Complete != (c.unknown == "") {
				t.Errorf("complete: %t", round.Complete)
			}
			if len(probes) != len(round.Presented) {
				t.Errorf("status does not tell all: %+v", probes)
			}
		})
	}
}

func TestRoundOfAServiceNamesPortsWithoutEndpoints(t *testing.T) {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "postfix"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "smtp", Port: 25}, {Name: "smtps", Port: 465}, {Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}}},
	}
	slice := func(name string, port int32, ready bool) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "postfix"}},
			Ports:      []discoveryv1.EndpointPort{{Name: &name, Port: &port}},
			Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		}
	}
	cases := []struct {
		reason    string
		objects   []client.Object
		ports     []int32
		presented []string
		unknown   []string
	}{
		{"both ports have a ready endpoint", []client.Object{service, slice("smtp", 2525, true), slice("smtps", 4465, true)}, []int32{25, 465},
			[]string{"10.0.0.1 25", "10.0.0.1 465"}, nil},
		{"one port has none", []client.Object{service, slice("smtp", 2525, true)}, []int32{25, 465},
			[]string{"10.0.0.1 25"}, []string{"465: Service mail/postfix has no ready endpoint for port 465"}},
		{"one that is not ready counts for none", []client.Object{service, slice("smtp", 2525, true), slice("smtps", 4465, false)}, []int32{25, 465},
			[]string{"10.0.0.1 25"}, []string{"465: Service mail/postfix has no ready endpoint for port 465"}},
		{"no port has any", []client.Object{service}, []int32{25, 465}, nil,
			[]string{"25: Service mail/postfix has no ready endpoint for port 25", "465: Service mail/postfix has no ready endpoint for port 465"}},
		{"a port that the Service lacks holds up no other", []client.Object{service, slice("smtp", 2525, true)}, []int32{53, 25},
			[]string{"10.0.0.1 25"}, []string{"53: Service mail/postfix has no TCP port 53"}},
		{"without the Service nothing is known of any port", nil, []int32{25}, nil, []string{`0: Service mail/postfix cannot be read: services "postfix" not found`}},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			job := probeJob{key: hostKey{domain: types.NamespacedName{Namespace: "mail", Name: "example"}}, dnssec: true}
			job.server = v1alpha1.MailServer{Hostname: "mx1.example.com", Probe: v1alpha1.ProbeSpec{ServiceRef: &v1alpha1.ServiceReference{Name: "postfix"}}}
			for _, port := range c.ports {
				job.server.Ports = append(job.server.Ports, v1alpha1.MailServerPort{Port: port})
			}
			round, _ := testPool(t, c.objects...).round(job)
			presented, unknown := roundText(round)
			if !slices.Equal(presented, c.presented) || !slices.Equal(unknown, c.unknown) || round.Complete != (len(c.unknown) == 0) {
				t.Errorf("presented %q, unknown %q, complete %t", presented, unknown, round.Complete)
			}
		})
	}
}

// TestKeptProbesLoseNothing wants a probe to say the same after it was kept.
func TestKeptProbesLoseNothing(t *testing.T) {
	chain := chainOf(t, 7)
	e := endpointProbe{address: "192.0.2.1", port: 25, results: []probe.Result{
		{Outcome: probe.Presented, Chain: chain}, {Outcome: probe.NoSuchKeyType, Message: "no RSA"},
	}}
	kept := e.kept()
	if kept.results[0].Chain != nil || e.results[0].Chain == nil {
		t.Error("a probe that is kept has to leave its parsed chain behind, and the probe as it was")
	}
	back := kept.parsed()
	if len(back.results) != 2 || len(back.results[0].Chain) != len(chain) || !back.results[0].Chain[0].Equal(chain[0]) || back.results[1].Message != "no RSA" {
		t.Errorf("a probe that was kept says %+v", back.results)
	}
	presented, complete := presentedBy(back, nil, paceNow)
	if !complete || len(presented) != 1 || presented[0].Serial != serialOf(chain[0]) {
		t.Errorf("presented %+v, complete %t", presented, complete)
	}
	if other := (endpointProbe{address: "192.0.2.1", port: 25, results: []probe.Result{{Outcome: probe.Presented, Chain: chainOf(t, 8)}, e.results[1]}}); sameProbes([]endpointProbe{kept}, []endpointProbe{other.kept()}) {
		t.Error("another certificate is taken for the same")
	}
}

package cases

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/mail"
)

// idlePace is how often the operator looks at a host that is at rest.
const idlePace = 30 * time.Second

// TestNothingIsWrittenAtRest wants silence once all is done, for longer than the operator's idle pace,
// so that what it does at that pace is seen: no status is written, and the zone's serial stays.
func TestNothingIsWrittenAtRest(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	z := s.createZone()
	s.address(mx)
	s.certificate("mx1", mx)
	s.domain("example", mx, nil, "mx1")
	s.wait("example", settled)
	state := func() string {
		md, err := s.lab.Domain(t.Context(), "example")
		s.must(err)
		s.must(s.lab.Client.Get(t.Context(), types.NamespacedName{Namespace: z.Namespace, Name: z.Name}, z))
		return fmt.Sprintf("MailDomain %s, DNSZone %s, serial %d", md.ResourceVersion, z.ResourceVersion, s.serial())
	}
	// Older answers are forgotten some seconds later, and that is written once more.
	last := state()
	since := time.Now()
	eventually(t, func() string {
		at := time.Now()
		if now := state(); now != last {
			t.Logf("%s after %s", now, at.Sub(since).Round(time.Millisecond))
			last, since = now, time.Now()
		}
		if at.Sub(since) < idlePace+5*time.Second {
			return "something is still being written: " + last
		}
		return ""
	})
}

// TestHandEditIsMended brings records back that somebody deleted, by compare-and-swap.
func TestHandEditIsMended(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone(func(z *v1alpha1.DNSZone) { z.Spec.Propagation.Interval = "100ms" })
	s.address(mx)
	s.certificate("mx1", mx)
	s.domain("example", mx, nil, "mx1")
	s.wait("example", settled)
	want, serial := s.tlsa(s.owner(mx)), s.serial()
	s.zone.Remove(s.owner(mx))
	// One change is the hand edit itself; only a second one can have brought the records back. An idle
	// host is looked at every thirty seconds at the least.
	eventually(t, func() string {
		have, now := s.tlsa(s.owner(mx)), s.serial()
		if now < serial+2 || !slices.Equal(have, want) {
			return fmt.Sprintf("records are %v at serial %d, want %v at %d or later", have, now, want, serial+2)
		}
		return ""
	})
}

// TestServiceEndpoints probes every ready endpoint of a Service: the first publication waits for the
// last of them.
func TestServiceEndpoints(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone()
	s.certificate("mx1", mx)
	own := ownAddress(t)
	quick, err := mail.Start(own+":0", func() ([]byte, []byte) { return s.lab.TLSSecret(context.Background(), "mx1-tls") }, 0)
	s.must(err)
	t.Cleanup(quick.Stop)
	held := make(chan struct{})
	slow, err := mail.Start(own+":0", func() ([]byte, []byte) {
		select {
		case <-held:
			return s.lab.TLSSecret(context.Background(), "mx1-tls")
		default:
			return nil, nil
		}
	}, 0)
	s.must(err)
	t.Cleanup(slow.Stop)
	s.must(s.lab.PutService(t.Context(), s.lab.Namespace, "postfix", 25,
		kube.Endpoint{Address: netip.MustParseAddrPort(quick.Addr)}, kube.Endpoint{Address: netip.MustParseAddrPort(slow.Addr)},
		kube.Endpoint{Address: netip.MustParseAddrPort(own + ":1"), NotReady: true})) // nobody listens there
	s.port = 25
	s.domain("example", mx, func(md *v1alpha1.MailDomain) {
		md.Spec.MailServers[0].Probe.ServiceRef = &v1alpha1.ServiceReference{Name: "postfix"}
	}, "mx1")
	s.wait("example", func(md *v1alpha1.MailDomain) string {
		return waitsWith(md, v1alpha1.ConditionRecordsPublished, v1alpha1.ReasonWaitingForServers)
	})
	if n := len(s.tlsa(s.owner(mx))); n != 0 {
		t.Fatalf("%d records although an endpoint has no certificate", n)
	}
	close(held)
	md := s.wait("example", settled)
	if n := len(md.Status.MailServers[0].Endpoints); n != 2 {
		t.Errorf("%d endpoints in status, want 2: %+v", n, md.Status.MailServers[0].Endpoints)
	}
}

// lent is given to a machine without a private address, and taken away when all tests are over.
const lent = "10.213.77.1"

var lend = sync.OnceValue(func() error {
	out, err := exec.Command("ip", "addr", "replace", lent+"/32", "dev", "lo").CombinedOutput()
	if err != nil {
		return fmt.Errorf("this machine has no private address, and none could be lent to it (as root: ip addr add %s/32 dev lo): %w %s", lent, err, out)
	}
	atEnd = append(atEnd, func() { _ = exec.Command("ip", "addr", "del", lent+"/32", "dev", "lo").Run() })
	return nil
})

// ownAddress is an address of this machine that is not a loopback one, which an EndpointSlice may not hold.
func ownAddress(t *testing.T) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err == nil && prefix.Addr().Is4() && prefix.Addr().IsPrivate() {
			return prefix.Addr().String()
		}
	}
	if err := lend(); err != nil {
		t.Fatal(err)
	}
	return lent
}

// waitsWith returns what is missing for a condition to be not True for a reason.
func waitsWith(md *v1alpha1.MailDomain, kind, reason string) string {
	for _, c := range md.Status.Conditions {
		if c.Type == kind && c.Reason == reason && c.Status != metav1.ConditionTrue {
			return ""
		}
	}
	return fmt.Sprintf("condition %s has not reason %s: %+v", kind, reason, md.Status.Conditions)
}

// TestTwoCertificatesTwoPorts publishes the keys of an ECDSA and an RSA certificate at both ports of
// a host, and rolls one of them alone.
func TestTwoCertificatesTwoPorts(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "ecdsa-tls")
	s.createZone()
	s.address(mx)
	s.certificate("ecdsa", mx)
	s.certificate("rsa", mx)
	second, err := mail.Start("127.0.0.1:0", func() ([]byte, []byte) { return s.lab.TLSSecret(context.Background(), "rsa-tls") }, 0)
	s.must(err)
	t.Cleanup(second.Stop)
	_, port, err := lab.SplitAddr(second.Addr)
	s.must(err)
	s.domain("example", mx, func(md *v1alpha1.MailDomain) {
		md.Spec.MailServers[0].Ports = append(md.Spec.MailServers[0].Ports, v1alpha1.MailServerPort{Port: port, Protocol: v1alpha1.ProtocolSMTP})
	}, "ecdsa", "rsa")
	resting := func(md *v1alpha1.MailDomain) string {
		if missing := lab.Condition(md, v1alpha1.ConditionReady, metav1.ConditionTrue); missing != "" {
			return missing
		}
		next, current := lab.Keys(md, mx, v1alpha1.RoleNext), lab.Keys(md, mx, v1alpha1.RoleCurrent)
		if len(current) != 2 || len(next) != 2 || len(lab.Keys(md, mx, v1alpha1.RolePrevious)) != 0 {
			return fmt.Sprintf("keys are %+v", md.Status.MailServers[0].Keys)
		}
		for _, k := range next {
			if k.Visibility != v1alpha1.VisibilityOmnipresent {
				return "the standby key of " + k.Certificate + " is not known to every cache"
			}
		}
		return ""
	}
	before := s.wait("example", resting)
	for _, owner := range []string{s.owner(mx), fmt.Sprintf("_%d._tcp.%s.", port, mx)} {
		if n := len(s.tlsa(owner)); n != 4 {
			t.Errorf("%d records at %s, want 4: two keys in use, two standby keys", n, owner)
		}
	}
	s.must(s.lab.Renew(t.Context(), s.lab.Namespace, "rsa"))
	after := s.wait("example", func(md *v1alpha1.MailDomain) string {
		if keyOf(md, "rsa") == keyOf(before, "rsa") {
			return "rsa has its old key"
		}
		return resting(md)
	})
	if keyOf(after, "ecdsa") != keyOf(before, "ecdsa") {
		t.Error("the key of ecdsa changed with that of rsa")
	}
}

// keyOf is the Current key of a Certificate.
func keyOf(md *v1alpha1.MailDomain, certificate string) string {
	for _, k := range lab.Keys(md, mx, v1alpha1.RoleCurrent) {
		if k.Certificate == certificate {
			return k.SPKISHA256
		}
	}
	return ""
}

// TestStandbyKeyFollowsTheCertificate makes a standby key of the algorithm that the Certificate asks
// for, and a new one when that changes.
func TestStandbyKeyFollowsTheCertificate(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone()
	s.address(mx)
	s.certificate("mx1", mx)
	s.domain("example", mx, nil, "mx1")
	before := s.wait("example", settled)
	old := lab.Keys(before, mx, v1alpha1.RoleNext)[0].SPKISHA256
	eventually(t, func() string {
		crt := &cmapi.Certificate{}
		s.must(s.lab.Client.Get(t.Context(), types.NamespacedName{Namespace: s.lab.Namespace, Name: "mx1"}, crt))
		crt.Spec.PrivateKey.Algorithm, crt.Spec.PrivateKey.Size = cmapi.RSAKeyAlgorithm, 2048
		if err := s.lab.Client.Update(t.Context(), crt); err != nil {
			return err.Error()
		}
		return ""
	})
	after := s.wait("example", func(md *v1alpha1.MailDomain) string {
		if lab.CurrentKey(md, mx) == lab.CurrentKey(before, mx) {
			return "the certificate has its old key"
		}
		return settled(md)
	})
	if next := lab.Keys(after, mx, v1alpha1.RoleNext)[0].SPKISHA256; next == old {
		t.Error("the standby key is the old one, of another algorithm")
	}
	if strings.Contains(strings.Join(s.tlsa(s.owner(mx)), " "), old) {
		t.Error("the record of the standby key that was given up still stands")
	}
}

package delegation_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/smtp"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/mail"
	"github.com/dane-operator/dane-operator/test/operator"
	"github.com/dane-operator/dane-operator/test/servers"
)

const (
	defaultApex = "example.test."
	defaultHost = "mx1.example.test"
)

// found is a mail domain whose zone is found by its delegation: a root, the zone test. and the zone itself, whose
// servers answer at port 53 of addresses of their own, as the world's do.
type found struct {
	*testing.T
	lab  *lab.Lab
	zone *servers.Primary
	// parent is test., which has no DS record of the zone at first.
	parent *servers.Primary
	root   *servers.Presigned
	// at are the addresses of the zone's servers; the parent knows but the first two.
	at       []netip.AddrPort
	resolver *servers.Resolver
	mail     *mail.Server
	port     int32
	// keyTTL is the TTL of the zone's DNSKEY records in seconds; zero for an hour.
	keyTTL int
}

func (f *found) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// plant starts the name servers and the resolver, which knows where the root is.
func (f *found) plant() {
	f.Helper()
	address := func() string { return servers.PublicAddress(f).String() }
	public := func(at string, to netip.AddrPort) netip.AddrPort {
		return servers.StartPublic(f, netip.MustParseAddr(at), to).Addr
	}
	root, top, ns := address(), address(), []string{address(), address(), address()}
	f.zone = servers.StartPrimary(f, servers.Knot, servers.Options{
		Zone: defaultApex, KeyTTL: cmp.Or(f.keyTTL, 3600), Nameservers: map[string]string{"ns1": ns[0], "ns2": ns[1], "ns3": ns[2]},
		Records: []string{"@ 60 MX 10 mx1", "mx1 60 A 127.0.0.1"},
	})
	bind, nsd := servers.StartBINDSecondary(f, f.zone, ""), servers.StartNSDSecondary(f, f.zone, "")
	for i, to := range []netip.AddrPort{f.zone.Addr, bind.Addr, nsd.Addr} {
		f.at = append(f.at, public(ns[i], to))
	}
	f.parent = servers.StartPrimary(f, servers.BIND, servers.Options{Zone: "test.", Nameservers: map[string]string{"ns1": top}, Records: []string{
		"example NS ns1.example", "example NS ns2.example", "ns1.example A " + ns[0], "ns2.example A " + ns[1],
	}})
	public(top, f.parent.Addr)
	f.root = servers.StartPresigned(f, ".", []string{"test NS ns1.test", "ns1.test A " + top, "test DS " + f.parent.DS})
	f.resolver = servers.StartUnbound(f, servers.ResolverOptions{
		Stubs: []servers.Stub{{Zone: ".", Servers: []netip.AddrPort{public(root, f.root.Addr)}, DS: f.root.DS}},
		Extra: append(slices.Clone(forgetful), `local-zone: "test." nodefault`),
	})
}

// install starts the cluster and the operator, which is given the root's anchor and the resolver.
func (f *found) install() {
	f.Helper()
	anchors := filepath.Join(f.TempDir(), "root.ds")
	f.must(os.WriteFile(anchors, []byte(". DS "+f.root.DS+"\n"), 0o600))
	var err error
	f.lab, err = lab.Start(f.Context(), lab.Options{Namespace: "mail", Operator: operator.Options{
		Args: []string{"--resolvers", f.resolver.Addr.String(), "--trust-anchors", anchors},
	}})
	f.must(err)
	f.Cleanup(func() {
		if f.Failed() {
			f.Log(f.lab.Operator.Tail(25))
		}
		_ = f.lab.Stop()
	})
	f.mail, err = mail.Start("127.0.0.1:0", func() ([]byte, []byte) { return f.lab.TLSSecret(context.Background(), "mx1-tls") }, 200*time.Millisecond)
	f.must(err)
	f.Cleanup(f.mail.Stop)
	_, f.port, err = lab.SplitAddr(f.mail.Addr)
	f.must(err)
}

// apply makes the objects. Nothing is said of name servers, nor of trust anchors.
func (f *found) apply() {
	f.Helper()
	f.must(f.lab.Client.Create(f.Context(), kube.SelfSignedIssuer("mail", "selfsigned")))
	f.must(f.lab.Client.Create(f.Context(), kube.Certificate("mail", "mx1", "selfsigned", defaultHost)))
	z, err := f.lab.CreateZone(f.Context(), "zone", lab.Zone{
		Name: "example.test", Primary: f.at[0].String(), TSIGName: f.zone.TSIGName, TSIGSecret: f.zone.TSIGSecret,
	}, lab.Fast)
	f.must(err)
	if n := z.Spec.Nameservers; n.Discovery != v1alpha1.DiscoveryDelegation || len(n.Addresses) > 0 || len(z.Spec.DNSSEC.TrustAnchors) > 0 {
		f.Fatalf("the DNSZone is not what the API makes by default: %+v", z.Spec)
	}
	f.must(f.lab.Client.Create(f.Context(), f.lab.MailDomain("example", "example.test", defaultHost, f.port, lab.Fast, "mx1")))
}

func (f *found) owner() string { return fmt.Sprintf("_%d._tcp.%s.", f.port, defaultHost) }

// settles waits until the host is at rest with another key than old, and returns its key.
func (f *found) settles(old string) string {
	f.Helper()
	md, err := f.lab.WaitDomain(f.Context(), "example", 4*time.Minute, func(md *v1alpha1.MailDomain) string {
		if old != "" && lab.CurrentKey(md, defaultHost) == old {
			return "the server still has the old key"
		}
		return lab.Settled(md, defaultHost, true)
	})
	f.must(err)
	key := lab.CurrentKey(md, defaultHost)
	for _, at := range f.at {
		if digests, _, err := f.tlsa(at, false); err != nil || len(digests) != 2 || !slices.Contains(digests, key) {
			f.Errorf("%s shows the TLSA records %v (%v), want those of %s and of a standby key", at, digests, err, key)
		}
	}
	return key
}

// tlsa are the digests of the TLSA records that a server gives, and whether it has validated them.
func (f *found) tlsa(at netip.AddrPort, recurse bool) ([]string, bool, error) {
	m, err := servers.AskWithin(patience, at, f.owner(), dns.TypeTLSA, recurse)
	if err != nil {
		return nil, false, err
	}
	var out []string
	for _, rr := range m.Answer {
		if r, ok := rr.(*dns.TLSA); ok {
			out = append(out, r.Certificate)
		}
	}
	return out, m.AuthenticatedData, nil
}

// send does what a sender does: it asks the resolver for TLSA records, and then the mail server for its certificate. It
// says whether there were records.
func (f *found) send() (bool, error) {
	digests, secure, err := f.tlsa(f.resolver.Addr, true)
	if err != nil || len(digests) == 0 {
		return false, err
	}
	if !secure {
		return true, fmt.Errorf("the records %v are not validated", digests)
	}
	key, err := f.served()
	if err == nil && !slices.Contains(digests, key) {
		err = fmt.Errorf("the server presents %s, and the records are of %v", key, digests)
	}
	return true, err
}

// served is the digest of the key that the mail server presents.
func (f *found) served() (string, error) {
	c, err := smtp.Dial(f.mail.Addr)
	if err != nil {
		return "", err
	}
	defer c.Close() //nolint:errcheck // nothing was sent
	//nolint:gosec // TLSA records say whom to trust
	if err := c.StartTLS(&tls.Config{InsecureSkipVerify: true}); err != nil {
		return "", err
	}
	state, _ := c.TLSConnectionState()
	sum := sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:]), nil
}

// sends has a sender try again and again, until stopped; then it says how often there were records.
func (f *found) sends() (stop func() int) {
	done, n := make(chan struct{}), 0
	var all sync.WaitGroup
	all.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(often):
			}
			had, err := f.send()
			if err != nil {
				f.Errorf("a sender fails: %v", err)
			}
			if had {
				n++
			}
		}
	})
	once := sync.OnceFunc(func() { close(done); all.Wait() })
	f.Cleanup(once)
	return func() int { once(); return n }
}

// asked wants the operator to have found every server, and the zone to be well.
func (f *found) asked() {
	f.Helper()
	servers.Eventually(f, "the operator has found all servers of the zone", func() error {
		z, err := f.lab.Zone(f.Context(), "zone")
		f.must(err)
		var got []netip.AddrPort
		for _, n := range z.Status.Nameservers {
			if n.Reachable {
				got = append(got, netip.MustParseAddrPort(n.Address))
			}
		}
		want := slices.SortedFunc(slices.Values(f.at), netip.AddrPort.Compare)
		if slices.SortFunc(got, netip.AddrPort.Compare); !slices.Equal(got, want) {
			return fmt.Errorf("it asks %v, want %v", got, want)
		}
		if z.Status.DNSSEC.State != v1alpha1.DNSSECStateSecure {
			return errors.New("the zone is " + string(z.Status.DNSSEC.State))
		}
		return nil
	})
}

// waitsForDS wants nothing to be published while the parent has no DS record of the zone, and enters it then.
func (f *found) waitsForDS() {
	f.Helper()
	_, err := f.lab.WaitDomain(f.Context(), "example", 4*time.Minute, func(md *v1alpha1.MailDomain) string {
		c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionRecordsPublished)
		if c == nil || c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonWaitingForDNSSEC {
			return fmt.Sprintf("RecordsPublished to wait for DNSSEC; it is %+v", c)
		}
		return ""
	})
	f.must(err)
	for _, at := range f.at {
		if digests, _, err := f.tlsa(at, false); err != nil || len(digests) > 0 {
			f.Errorf("%s shows the TLSA records %v (%v) in a zone that its parent has no DS record of", at, digests, err)
		}
	}
	f.parent.Admin("add " + defaultApex + " 2 DS " + f.zone.DS)
	servers.Eventually(f, "the resolver validates the zone", func() error {
		m, err := servers.AskWithin(patience, f.resolver.Addr, defaultApex, dns.TypeSOA, true)
		if err == nil && !m.AuthenticatedData {
			err = errors.New("it does not")
		}
		return err
	})
}

// TestOperatorByDelegation: with a DNSZone that says nothing of name servers, as most do, the operator finds those that
// the parent and the zone name, publishes the first records at all of them, once the parent has a DS record of the zone, and follows
// a renewal. A sender that validates from the root never fails.
func TestOperatorByDelegation(t *testing.T) {
	t.Parallel()
	f := &found{T: t}
	f.plant()
	f.install()
	f.apply()
	f.waitsForDS()
	stop := f.sends()
	key := f.settles("")
	f.asked()
	f.must(f.lab.Renew(t.Context(), "mail", "mx1"))
	if renewed := f.settles(key); renewed == key {
		t.Error("the renewal kept the key")
	}
	f.asked()
	if n := stop(); n == 0 {
		t.Error("a sender never met records: that proves nothing")
	} else {
		t.Logf("a sender met records %d times", n)
	}
}

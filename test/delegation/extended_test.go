package delegation_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/servers"
)

// TestOperatorShowsExtendedErrors: the operator asks by way of an unbound that validates whatever it is asked (ignore-cd-flag), and
// refuses to give a DS record whose signature has run out: SERVFAIL with an extended error (RFC 8914). What that says
// stands in the condition of the DNSZone, for nothing else tells what is wrong.
func TestOperatorShowsExtendedErrors(t *testing.T) {
	t.Parallel()
	key := servers.NewKey(t, childApex)
	child := servers.StartStaticNSD(t, []servers.StaticZone{key.Sign("$TTL 300\n@ SOA ns1 hostmaster 1 3600 600 86400 300\n@ NS ns1\nns1 A 127.0.0.1\n")})
	at := func(d time.Duration) string { return time.Now().UTC().Add(d).Format("20060102150405") }
	const day = 24 * time.Hour
	// -X is for the keys, whose signature is good.
	parent := servers.StartPresigned(t, parentApex, []string{"child NS ns1.child", "ns1.child A 127.0.0.1", "child DS " + key.DS()},
		"-s", at(-30*day), "-e", at(-day), "-X", at(30*day))
	root := servers.StartPresigned(t, ".", []string{parentApex + " NS ns1." + parentApex, "ns1." + parentApex + " A 127.0.0.1", parentApex + " DS " + parent.DS})
	resolver := servers.StartUnbound(t, servers.ResolverOptions{
		Stubs: []servers.Stub{
			{Zone: ".", Servers: []netip.AddrPort{root.Addr}, DS: root.DS},
			{Zone: parentApex, Servers: []netip.AddrPort{parent.Addr}, Below: true, Bogus: true},
		},
		Extra: append([]string{"ede: yes", "ignore-cd-flag: yes", "val-sig-skew-min: 0", "val-sig-skew-max: 0"}, forgetful...),
	})
	anchors := filepath.Join(t.TempDir(), "root.ds")
	if err := os.WriteFile(anchors, []byte(". DS "+root.DS+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := startCluster(t, "--resolvers", resolver.Addr.String(), "--trust-anchors", anchors)
	c.create(t, "child", v1alpha1.DNSZoneSpec{
		Zone:        strings.TrimSuffix(childApex, "."),
		Nameservers: v1alpha1.NameserversSpec{Addresses: []v1alpha1.ServerAddress{v1alpha1.ServerAddress(child.Address().String())}},
	})
	servers.Eventually(t, "the condition tells of the extended error", func() error {
		got := meta.FindStatusCondition(c.child().Status.Conditions, v1alpha1.ConditionDNSSECSecure)
		if got == nil {
			return errors.New("there is none yet")
		}
		said := "server " + resolver.Addr.String() + ": child.parent.test. DS: it answers SERVFAIL; "
		// The second is what unbound says of an answer that it has found bogus a moment before.
		if strings.HasPrefix(got.Message, said) && (strings.Contains(got.Message, "(the server says: Signature Expired)") || strings.Contains(got.Message, "(the server says: DNSSEC Bogus)")) {
			return nil
		}
		return fmt.Errorf("it is %+v", got)
	})
}

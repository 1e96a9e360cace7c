package delegation_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/servers"
)

// oldCopy is a zone on NSD, and on a BIND whose copy was signed for a time that is over: a secondary that was left behind.
type oldCopy struct {
	*testing.T
	zone      string
	ds        string
	good, old netip.AddrPort
	// expired is when the signatures of the old copy ran out.
	expired time.Time
}

func newOldCopy(t *testing.T) *oldCopy {
	t.Helper()
	o := &oldCopy{T: t, zone: "old.test.", expired: time.Now().Add(-24 * time.Hour).Truncate(time.Second).UTC()}
	key := servers.NewKey(t, o.zone)
	text := "$TTL 300\n@ SOA ns1 hostmaster 1 3600 600 86400 300\n@ NS ns1\n@ NS ns2\nns1 A 192.0.2.3\nns2 A 192.0.2.4\n"
	const form = "20060102150405"
	old := key.Sign(text, "-s", o.expired.Add(-30*24*time.Hour).Format(form), "-e", o.expired.Format(form))
	o.good = servers.StartStaticNSD(t, []servers.StaticZone{key.Sign(text)}).Address()
	o.old = servers.StartStaticBIND(t, []servers.StaticZone{old}).Address()
	o.ds = key.DS()
	return o
}

// TestOperatorTellsWhatIsWrong: the whole operator, with DNSZones that are wrong or of zones that are.
func TestOperatorTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	scrape := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), servers.FreePort(t, "127.0.0.1")).String()
	c := startCluster(t, "--metrics-bind-address", scrape)
	t.Run("old signatures at one server", func(t *testing.T) { c.tellsOfOldSignatures(t, newOldCopy(t), scrape) })
	t.Run("references to parents", c.refusesParents)
}

// create makes a DNSZone of which the operator may not write anything.
func (c *cluster) create(t *testing.T, name string, spec v1alpha1.DNSZoneSpec) {
	t.Helper()
	spec.Nameservers.Discovery = v1alpha1.DiscoveryStatic
	spec.Update = v1alpha1.UpdateSpec{Nameserver: string(spec.Nameservers.Addresses[0]), InsecureUnsigned: true}
	z := &v1alpha1.DNSZone{ObjectMeta: metav1.ObjectMeta{Namespace: "dns", Name: name}, Spec: spec}
	if err := c.Client.Create(t.Context(), z); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) named(t *testing.T, name string) *v1alpha1.DNSZone {
	t.Helper()
	z := &v1alpha1.DNSZone{}
	if err := c.Client.Get(t.Context(), client.ObjectKey{Namespace: "dns", Name: name}, z); err != nil {
		t.Fatal(err)
	}
	return z
}

// tellsOfOldSignatures: the finding stands in status, with the server that shows it; the condition begins with it; and status and
// the metrics say when the signatures ran out.
func (c *cluster) tellsOfOldSignatures(t *testing.T, o *oldCopy, scrape string) {
	t.Helper()
	c.create(t, "old", v1alpha1.DNSZoneSpec{
		Zone: strings.TrimSuffix(o.zone, "."), DNSSEC: v1alpha1.ZoneDNSSECSpec{TrustAnchors: []v1alpha1.TrustAnchor{v1alpha1.TrustAnchor(o.ds)}},
		Nameservers: v1alpha1.NameserversSpec{Addresses: []v1alpha1.ServerAddress{v1alpha1.ServerAddress(o.good.String()), v1alpha1.ServerAddress(o.old.String())}},
	})
	servers.Eventually(t, "status tells of the old signatures", func() error {
		z := c.named(t, "old")
		found, count := map[string]v1alpha1.ZoneFinding{}, map[string]int64{}
		for _, f := range z.Status.DNSSEC.Findings {
			found[f.Code+"@"+f.Server] = f
			count[f.Code]++
			count[string(f.Severity)]++
		}
		f, ok := found["SignatureExpired@"+o.old.String()]
		if _, both := found["SignatureExpired@"+o.good.String()]; !ok || both || f.Severity != v1alpha1.FindingCritical || f.Message == "" {
			return fmt.Errorf("the findings are %+v", z.Status.DNSSEC.Findings)
		}
		secure := meta.FindStatusCondition(z.Status.Conditions, v1alpha1.ConditionDNSSECSecure)
		if secure == nil || secure.Status != metav1.ConditionFalse || !strings.Contains(secure.Message, "SignatureExpired at "+o.old.String()+": ") {
			return fmt.Errorf("DNSSECSecure is %+v", secure)
		}
		if at := z.Status.DNSSEC.SignaturesExpire; at == nil || !at.Time.Equal(o.expired) {
			return fmt.Errorf("the signatures ran out at %s, and status says %v", o.expired, at)
		}
		return o.scraped(scrape, count)
	})
}

// scraped returns an error unless the metrics tell of the zone as status does, which has so many findings of each code and severity.
func (o *oldCopy) scraped(at string, count map[string]int64) error {
	response, err := (&http.Client{Timeout: 20 * time.Second}).Get("http://" + at + "/metrics")
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	of := func(name, labels string, want int64) error {
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, name+"{") && strings.Contains(line, `dnszone="old"`) && strings.Contains(line, labels) {
				words := strings.Fields(line)
				if got, err := strconv.ParseFloat(words[len(words)-1], 64); err != nil || int64(got) != want {
					return fmt.Errorf("want %d, got %s", want, line)
				}
				return nil
			}
		}
		return fmt.Errorf("there is no metric %s of the zone with %s", name, labels)
	}
	return errors.Join(
		of("dane_operator_zone_signatures_expire_timestamp_seconds", "", o.expired.Unix()),
		of("dane_operator_zone_finding", `code="SignatureExpired"`, count["SignatureExpired"]),
		of("dane_operator_zone_findings", `severity="Critical"`, count["Critical"]),
	)
}

// refusesParents: a zone that names itself for its parent, two that name each other, one that names what is not there, and one of
// another namespace that admits nobody. Each says what to do, and the parent that there is gets nothing.
func (c *cluster) refusesParents(t *testing.T) {
	parent := servers.StartPrimary(t, servers.Knot, servers.Options{Zone: parentApex, Records: []string{"child 2 NS ns1.child", "ns1.child 2 A 127.0.0.1"}})
	child := servers.StartPrimary(t, servers.Knot, servers.Options{Zone: childApex})
	child.PublishCDS(servers.CDSOfKey)
	c.must(c.EnsureNamespace(t.Context(), "elsewhere"))
	of := func(p *servers.Primary, ref v1alpha1.ZoneReference) v1alpha1.DNSZoneSpec {
		return v1alpha1.DNSZoneSpec{
			Zone:        strings.TrimSuffix(p.Zone, "."),
			Nameservers: v1alpha1.NameserversSpec{Addresses: []v1alpha1.ServerAddress{v1alpha1.ServerAddress(p.Addr.String())}},
			DNSSEC:      v1alpha1.ZoneDNSSECSpec{TrustAnchors: []v1alpha1.TrustAnchor{v1alpha1.TrustAnchor(p.DS)}, Delegation: &v1alpha1.DelegationSpec{ParentZoneRef: &ref}},
		}
	}
	c.create(t, "itself", of(child, v1alpha1.ZoneReference{Name: "itself"}))
	c.create(t, "circle-below", of(child, v1alpha1.ZoneReference{Name: "circle-above"}))
	c.create(t, "circle-above", of(parent, v1alpha1.ZoneReference{Name: "circle-below"}))
	c.create(t, "nowhere", of(child, v1alpha1.ZoneReference{Name: "gone"}))
	c.create(t, "ungranted", of(child, v1alpha1.ZoneReference{Namespace: "elsewhere", Name: "parent"}))
	for name, want := range map[string][]string{
		"itself":       {v1alpha1.ReasonNotAncestor, "is not above child.parent.test", "leave parentZoneRef out"},
		"circle-above": {v1alpha1.ReasonNotAncestor, "the zone child.parent.test of DNSZone dns/circle-below", "is not above parent.test"},
		"nowhere":      {v1alpha1.ReasonParentZoneNotFound, "dns/gone"},
		"ungranted":    {v1alpha1.ReasonParentNotGranted, "elsewhere/parent"},
		// The half of the circle that is right is one key short of being carried out.
		"circle-below": {v1alpha1.ReasonInitialDSNotAccepted, child.DS, "acceptInitialDS"},
	} {
		servers.Eventually(t, name+" is told of", func() error {
			got := meta.FindStatusCondition(c.named(t, name).Status.Conditions, v1alpha1.ConditionDelegationInSync)
			if got == nil {
				return errors.New("there is no condition yet")
			}
			return says(want[0], want[1:], got.Reason, got.Message)
		})
	}
	if m, err := servers.Ask(parent.Addr, childApex, dns.TypeDS, false); err != nil || len(m.Answer) > 0 {
		t.Errorf("the parent has %v (%v)", m, err)
	}
}

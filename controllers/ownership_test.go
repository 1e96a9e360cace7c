package controllers

import (
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// TestZoneForAmongNamespaces says which DNSZone a host without zoneRef is written to when more than one
// namespace has one.
func TestZoneForAmongNamespaces(t *testing.T) {
	all := grant(v1alpha1.GrantAll, nil)
	own := dnsZone("mail", "own", "example.com")
	offered := dnsZone("dns", "offered", "example.com", all)
	trap := dnsZone("evil", "trap", "mx1.example.com", all)
	aged := func(z v1alpha1.DNSZone, age time.Duration) v1alpha1.DNSZone {
		z.CreationTimestamp = metav1.NewTime(time.Unix(1e9, 0).Add(-age))
		return z
	}
	const host = "mx1.example.com"
	cases := []struct {
		reason string
		zones  []v1alpha1.DNSZone
		want   string
		refuse string
	}{
		{"the own zone stands against a longer one of an outsider", []v1alpha1.DNSZone{own, trap}, "mail/own", ""},
		{"and against an older one of the same length", []v1alpha1.DNSZone{aged(dnsZone("evil", "trap", "example.com", all), time.Hour), own}, "mail/own", ""},
		{"the longest of the own zones", []v1alpha1.DNSZone{own, dnsZone("mail", "longer", host), trap}, "mail/longer", ""},
		{"of two own zones of one name the oldest", []v1alpha1.DNSZone{aged(own, time.Minute), aged(dnsZone("mail", "z", "example.com"), time.Hour)}, "mail/z", ""},
		{"of the same age the name decides", []v1alpha1.DNSZone{dnsZone("mail", "b", "example.com"), dnsZone("mail", "a", "example.com")}, "mail/a", ""},
		{"without an own zone the one that is offered", []v1alpha1.DNSZone{offered}, "dns/offered", ""},
		{"the longest of those that one namespace offers", []v1alpha1.DNSZone{offered, dnsZone("dns", "longer", host, all)}, "dns/longer", ""},
		{"an own zone that does not grant the host is no choice", []v1alpha1.DNSZone{dnsZone("mail", "own", "example.com", grant(v1alpha1.GrantSame, nil, "mx2.example.com")), offered}, "dns/offered", ""},
		{"a zone that is not offered does not count", []v1alpha1.DNSZone{offered, dnsZone("evil", "trap", host)}, "dns/offered", ""},
		{"a zone that does not hold the host does not count", []v1alpha1.DNSZone{offered, dnsZone("evil", "trap", "mx2.example.com", all)}, "dns/offered", ""},
		{"several offers are refused, whichever is longer", []v1alpha1.DNSZone{offered, trap}, "", v1alpha1.ReasonAmbiguousZone},
		{"or older", []v1alpha1.DNSZone{aged(offered, time.Hour), dnsZone("evil", "trap", "example.com", all)}, "", v1alpha1.ReasonAmbiguousZone},
		{"a zone here that grants it to nobody here", []v1alpha1.DNSZone{dnsZone("mail", "own", "example.com", grant(v1alpha1.GrantSame, nil, "mx2.example.com"))}, "", v1alpha1.ReasonNotGranted},
		{"no zone at all", nil, "", v1alpha1.ReasonZoneNotFound},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			for range 2 {
				w := &world{zones: zoneList(c.zones), namespaceLabels: map[string]map[string]string{"mail": {}}}
				z, refused := w.zoneFor("mail", &v1alpha1.MailServer{Hostname: host})
				switch {
				case refused == nil && z.Namespace+"/"+z.Name != c.want:
					t.Errorf("zone %s/%s, want %q", z.Namespace, z.Name, c.want)
				case refused != nil && refused.reason != c.refuse:
					t.Errorf("refused: %+v, want %q", refused, c.refuse)
				}
				slices.Reverse(c.zones)
			}
		})
	}
}

func TestAmbiguousZoneSaysWhatToDoAndNamesNobody(t *testing.T) {
	all := grant(v1alpha1.GrantAll, nil)
	w := &world{
		zones:           zoneList{dnsZone("dns", "offered", "example.com", all), dnsZone("evil", "trap", "mx1.example.com", all)},
		namespaceLabels: map[string]map[string]string{"mail": {}},
	}
	server := v1alpha1.MailServer{Hostname: "mx1.example.com"}
	_, refused := w.zoneFor("mail", &server)
	if refused == nil {
		t.Fatal("not refused")
	}
	for _, word := range []string{"several DNSZones of other namespaces", "mx1.example.com", "namespace mail", "spec.mailServers[].zoneRef"} {
		if !strings.Contains(refused.message, word) {
			t.Errorf("%q does not say %q", refused.message, word)
		}
	}
	for _, word := range []string{"dns", "offered", "evil", "trap"} {
		if strings.Contains(refused.message, word) {
			t.Errorf("%q reveals %q", refused.message, word)
		}
	}
	server.ZoneRef = &v1alpha1.ZoneReference{Name: "offered", Namespace: "dns"}
	if z, refused := w.zoneFor("mail", &server); refused != nil || z.Name != "offered" {
		t.Errorf("zoneRef does not settle it: %+v", refused)
	}
}

// claimsWorld has a zone that all may write, and one that a squatter made for the same name.
func claimsWorld(domains ...v1alpha1.MailDomain) *world {
	return &world{
		zones: zoneList{
			dnsZone("dns", "real", "example.com", grant(v1alpha1.GrantAll, nil)),
			dnsZone("evil", "fake", "example.com"),
		},
		domains:         domains,
		namespaceLabels: map[string]map[string]string{"mail": {}, "evil": {}, "shop": {}},
	}
}

func referring(s v1alpha1.MailServer, namespace, name string) v1alpha1.MailServer {
	s.ZoneRef = &v1alpha1.ZoneReference{Namespace: namespace, Name: name}
	return s
}

func TestClaimsCountInOneDNSZone(t *testing.T) {
	mx := host("mx.example.com", 25, "crt")
	mine := mailDomain("mail", "mine", time.Minute, mx)
	gone := func(md v1alpha1.MailDomain) v1alpha1.MailDomain {
		md.DeletionTimestamp = &metav1.Time{Time: time.Unix(1e9, 0)}
		return md
	}
	two := host("mx.example.com", 465, "crt")
	two.Ports = append(two.Ports, v1alpha1.MailServerPort{Port: 25})
	cases := []struct {
		reason          string
		others          []v1alpha1.MailDomain
		owned, takeOver string
	}{
		{"nobody else", nil, "", ""},
		{"an older one in the same DNSZone", []v1alpha1.MailDomain{mailDomain("shop", "old", time.Hour, mx)}, "shop/old", "shop/old"},
		{"a younger one owns nothing, and can take over", []v1alpha1.MailDomain{mailDomain("shop", "young", 0, mx)}, "", "shop/young"},
		{"a squatter writes to a DNSZone of his own", []v1alpha1.MailDomain{mailDomain("evil", "old", time.Hour, mx)}, "", ""},
		{"in the real one he is a claimant like all", []v1alpha1.MailDomain{mailDomain("evil", "old", time.Hour, referring(mx, "dns", "real"))}, "evil/old", "evil/old"},
		{"a claim in a DNSZone that is not granted", []v1alpha1.MailDomain{mailDomain("shop", "old", time.Hour, referring(mx, "evil", "fake"))}, "", ""},
		{"without certificates nothing is claimed", []v1alpha1.MailDomain{mailDomain("shop", "old", time.Hour, host("mx.example.com", 25))}, "", ""},
		{"another port", []v1alpha1.MailDomain{mailDomain("shop", "old", time.Hour, host("mx.example.com", 465, "c"))}, "", ""},
		{"one port of two", []v1alpha1.MailDomain{mailDomain("shop", "old", time.Hour, two)}, "shop/old", "shop/old"},
		{"another host", []v1alpha1.MailDomain{mailDomain("shop", "old", time.Hour, host("mx2.example.com", 25, "c"))}, "", ""},
		{"one that is being deleted owns until it is gone, and takes nothing over", []v1alpha1.MailDomain{gone(mailDomain("shop", "old", time.Hour, mx))}, "shop/old", ""},
		{"the oldest of several is named", []v1alpha1.MailDomain{mailDomain("shop", "b", time.Hour, mx), mailDomain("shop", "a", 2*time.Hour, mx), mailDomain("shop", "c", time.Hour, mx)}, "shop/a", "shop/a"},
		{"it is named although a squatter is older", []v1alpha1.MailDomain{mailDomain("evil", "older", 3*time.Hour, mx), mailDomain("shop", "a", 2*time.Hour, mx)}, "shop/a", "shop/a"},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			w := claimsWorld(append([]v1alpha1.MailDomain{mine}, c.others...)...)
			if got := w.ownedElsewhere(&mine, &mine.Spec.MailServers[0]); got != c.owned {
				t.Errorf("owned by %q, want %q", got, c.owned)
			}
			if got := w.claimedBy(&mine, &mine.Spec.MailServers[0], 25); got != c.takeOver {
				t.Errorf("claimed by %q, want %q", got, c.takeOver)
			}
		})
	}
}

func TestNobodyTakesOverWhatIsRefused(t *testing.T) {
	mx := host("mx.example.com", 25, "crt")
	mine := mailDomain("mail", "mine", time.Minute, referring(mx, "evil", "fake"))
	w := claimsWorld(mine, mailDomain("shop", "old", time.Hour, mx))
	if got := w.claimedBy(&mine, &mine.Spec.MailServers[0], 25) + w.ownedElsewhere(&mine, &mine.Spec.MailServers[0]); got != "" {
		t.Errorf("%q has a claim on a host that is written nowhere", got)
	}
}

// testScheme knows what the fake API server of these tests holds.
func testScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, cmapi.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestReadWorldKnowsWhoTookOverAHostThatLeft(t *testing.T) {
	mine := mailDomain("mail", "mine", time.Minute, host("mx1.example.com", 25, "crt"))
	mine.Status.MailServers = []v1alpha1.MailServerStatus{{Hostname: "mx1.example.com"}, {Hostname: "mx2.example.com"}}
	heir := mailDomain("shop", "heir", 0, host("mx2.example.com", 25, "crt"))
	stranger := mailDomain("shop", "stranger", 0, host("mx3.example.com", 25, "crt"))
	zone := dnsZone("dns", "real", "example.com", grant(v1alpha1.GrantAll, nil))
	api := fake.NewClientBuilder().WithScheme(testScheme(t)).
		WithObjects(&mine, &heir, &stranger, &zone).
		WithObjects(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "mail"}}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}).
		WithIndex(&v1alpha1.MailDomain{}, hostIndex, func(o client.Object) []string { return hostnames(o.(*v1alpha1.MailDomain)) }).
		WithIndex(&v1alpha1.MailDomain{}, endIndex, aliasEnds).
		WithIndex(&v1alpha1.DNSZone{}, zoneNameIndex, zoneNames).
		WithIndex(&v1alpha1.DNSZone{}, zoneObjectIndex, zoneObjects).
		Build()
	w, err := readWorld(t.Context(), api, &mine, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, md := range w.domains {
		names = append(names, md.Name)
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"heir", "mine"}) {
		t.Errorf("MailDomains %v, want those of the hosts of spec and status", names)
	}
	left := host("mx2.example.com", 25)
	if got := w.claimedBy(&mine, &left, 25); got != "shop/heir" {
		t.Errorf("the host that left is claimed by %q, want shop/heir", got)
	}
}

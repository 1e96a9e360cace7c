package controllers

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

func dnsZone(namespace, name, apex string, grants ...v1alpha1.ZoneGrant) v1alpha1.DNSZone {
	return v1alpha1.DNSZone{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.DNSZoneSpec{Zone: apex, Grants: grants},
	}
}

func grant(from v1alpha1.GrantFrom, selector map[string]string, hosts ...v1alpha1.GrantHostname) v1alpha1.ZoneGrant {
	g := v1alpha1.ZoneGrant{Namespaces: v1alpha1.GrantNamespaces{From: from}, Hostnames: hosts}
	if selector != nil {
		g.Namespaces.Selector = &metav1.LabelSelector{MatchLabels: selector}
	}
	return g
}

func TestGrantsName(t *testing.T) {
	tenant := map[string]string{"tenant": "a"}
	cases := []struct {
		reason    string
		zone      v1alpha1.DNSZone
		namespace string
		host      string
		want      bool
	}{
		{"without grants the zone's own namespace may write every name", dnsZone("dns", "z", "example.com"), "dns", "mx1.example.com", true},
		{"without grants nobody else may", dnsZone("dns", "z", "example.com"), "mail", "mx1.example.com", false},
		{"the apex is a host name too", dnsZone("dns", "z", "example.com"), "dns", "example.com", true},
		{"a name that only ends alike is not below the zone", dnsZone("dns", "z", "example.com"), "dns", "mx1.evilexample.com", false},
		{"All admits every namespace", dnsZone("dns", "z", "example.com", grant(v1alpha1.GrantAll, nil)), "mail", "mx1.example.com", true},
		{"a selector admits namespaces with the label", dnsZone("dns", "z", "example.com", grant(v1alpha1.GrantSelector, tenant)), "mail", "mx1.example.com", true},
		{"a selector shuts out the others", dnsZone("dns", "z", "example.com", grant(v1alpha1.GrantSelector, map[string]string{"tenant": "b"})), "mail", "mx1.example.com", false},
		{"a selector that is missing admits nobody", dnsZone("dns", "z", "example.com", grant(v1alpha1.GrantSelector, nil)), "mail", "mx1.example.com", false},
		{"hostnames limit a grant", dnsZone("dns", "z", "example.com", grant(v1alpha1.GrantAll, nil, "mx2.example.com")), "mail", "mx1.example.com", false},
		{"a wildcard covers every name below", dnsZone("dns", "z", "example.com", grant(v1alpha1.GrantAll, nil, "*.a.example.com")), "mail", "x.y.a.example.com", true},
		{"a wildcard does not cover the name itself", dnsZone("dns", "z", "example.com", grant(v1alpha1.GrantAll, nil, "*.a.example.com")), "mail", "a.example.com", false},
		{"a wildcard needs a label boundary", dnsZone("dns", "z", "example.com", grant(v1alpha1.GrantAll, nil, "*.a.example.com")), "mail", "mx.ba.example.com", false},
		{"a grant for another namespace does not leave the zone's own in", dnsZone("dns", "z", "example.com", grant(v1alpha1.GrantSelector, tenant)), "dns", "mx1.example.com", false},
		{"one of several grants is enough", dnsZone("dns", "z", "example.com", grant(v1alpha1.GrantSame, nil), grant(v1alpha1.GrantAll, nil, "mx1.example.com")), "mail", "mx1.example.com", true},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			labels := map[string]map[string]string{"mail": tenant, "dns": {}}[c.namespace]
			if got := grantsName(&c.zone, c.namespace, labels, c.host); got != c.want {
				t.Errorf("grantsName(%s, %s) = %v, want %v", c.namespace, c.host, got, c.want)
			}
		})
	}
}

func TestZoneFor(t *testing.T) {
	zones := []v1alpha1.DNSZone{
		dnsZone("dns", "parent", "example.com", grant(v1alpha1.GrantAll, nil)),
		dnsZone("dns", "child", "mail.example.com", grant(v1alpha1.GrantAll, nil)),
		dnsZone("secret", "hidden", "hidden.example", grant(v1alpha1.GrantSame, nil)),
		dnsZone("mail", "own", "own.example"),
	}
	cases := []struct {
		reason     string
		server     v1alpha1.MailServer
		want       string
		wantReason string
	}{
		{"the longest zone above the host is taken", v1alpha1.MailServer{Hostname: "mx.mail.example.com"}, "child", ""},
		{"a shorter one where the longer does not cover", v1alpha1.MailServer{Hostname: "mx.example.com"}, "parent", ""},
		{"zoneRef overrides", v1alpha1.MailServer{Hostname: "mx.mail.example.com", ZoneRef: &v1alpha1.ZoneReference{Name: "parent", Namespace: "dns"}}, "parent", ""},
		{"zoneRef without namespace means the own one", v1alpha1.MailServer{Hostname: "mx.own.example", ZoneRef: &v1alpha1.ZoneReference{Name: "own"}}, "own", ""},
		{"a zone of others that is not granted is not told apart from none", v1alpha1.MailServer{Hostname: "mx.hidden.example"}, "", v1alpha1.ReasonZoneNotFound},
		{"zoneRef to a zone of others without a grant", v1alpha1.MailServer{Hostname: "mx.hidden.example", ZoneRef: &v1alpha1.ZoneReference{Name: "hidden", Namespace: "secret"}}, "", v1alpha1.ReasonNotGranted},
		{"zoneRef to nothing elsewhere reads the same", v1alpha1.MailServer{Hostname: "mx.hidden.example", ZoneRef: &v1alpha1.ZoneReference{Name: "none", Namespace: "secret"}}, "", v1alpha1.ReasonNotGranted},
		{"zoneRef to nothing here", v1alpha1.MailServer{Hostname: "mx.own.example", ZoneRef: &v1alpha1.ZoneReference{Name: "none"}}, "", v1alpha1.ReasonZoneNotFound},
		{"a host outside the zone that zoneRef names", v1alpha1.MailServer{Hostname: "mx.other.example", ZoneRef: &v1alpha1.ZoneReference{Name: "own"}}, "", v1alpha1.ReasonNotGranted},
	}
	w := &world{zones: zoneList(zones), namespaceLabels: map[string]map[string]string{"mail": {}}}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			z, refused := w.zoneFor("mail", &c.server)
			if c.wantReason != "" {
				if refused == nil || refused.reason != c.wantReason {
					t.Fatalf("refused = %+v, want reason %s", refused, c.wantReason)
				}
				return
			}
			if refused != nil || z.Name != c.want {
				t.Fatalf("zone = %v, refused = %+v, want %s", z, refused, c.want)
			}
		})
	}
}

func mailDomain(namespace, name string, age time.Duration, servers ...v1alpha1.MailServer) v1alpha1.MailDomain {
	return v1alpha1.MailDomain{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + name), CreationTimestamp: metav1.NewTime(time.Unix(1e9, 0).Add(-age))},
		Spec:       v1alpha1.MailDomainSpec{MailServers: servers},
	}
}

func host(name string, port int32, certificates ...string) v1alpha1.MailServer {
	s := v1alpha1.MailServer{Hostname: name, Ports: []v1alpha1.MailServerPort{{Port: port}}}
	for _, c := range certificates {
		s.Certificates = append(s.Certificates, v1alpha1.CertificateReference{Name: c})
	}
	return s
}

func TestOwnedElsewhere(t *testing.T) {
	mine := mailDomain("mail", "mine", time.Minute, host("mx.example.com", 25, "crt"))
	cases := []struct {
		reason string
		other  v1alpha1.MailDomain
		want   string
	}{
		{"an older claim wins", mailDomain("mail", "old", time.Hour, host("mx.example.com", 25, "c")), "mail/old"},
		{"a younger one does not", mailDomain("mail", "young", 0, host("mx.example.com", 25, "c")), ""},
		{"of the same age the name decides", mailDomain("mail", "alpha", time.Minute, host("mx.example.com", 25, "c")), "mail/alpha"},
		{"listing a host without certificates claims nothing", mailDomain("mail", "old", time.Hour, host("mx.example.com", 25)), ""},
		{"another port is another owner name", mailDomain("mail", "old", time.Hour, host("mx.example.com", 465, "c")), ""},
		{"a claim that is not granted blocks nobody", mailDomain("evil", "old", time.Hour, host("mx.example.com", 25, "c")), ""},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			w := &world{
				zones:           zoneList{dnsZone("mail", "z", "example.com")},
				domains:         []v1alpha1.MailDomain{mine, c.other},
				namespaceLabels: map[string]map[string]string{"mail": {}, "evil": {}},
			}
			if got := w.ownedElsewhere(&mine, &mine.Spec.MailServers[0]); got != c.want {
				t.Errorf("owned by %q, want %q", got, c.want)
			}
		})
	}
}

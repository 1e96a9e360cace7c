package controllers

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/zone"
)

func TestBaseDomain(t *testing.T) {
	for name, want := range map[string]string{
		"_25._tcp.mx1.example.com.": "mx1.example.com",
		"_443._udp.example.com":     "example.com",
		"tlsa.example.com.":         "tlsa.example.com",
		"_dane.example.com.":        "_dane.example.com",
		"_25.example.com.":          "_25.example.com",
		"_x._tcp.example.com.":      "_x._tcp.example.com",
		"_25._tcp.":                 "_25._tcp",
		"mx._25._tcp.example.com.":  "mx._25._tcp.example.com",
		"_._tcp.example.com.":       "_._tcp.example.com",
	} {
		if have := baseDomain(name); have != want {
			t.Errorf("base domain of %s is %q, want %q", name, have, want)
		}
	}
}

// TestZoneForEnd: an end is written as a host of its base domain would be, and the zone of the owner goes
// before others of the same name.
func TestZoneForEnd(t *testing.T) {
	all := v1alpha1.GrantAll
	home := dnsZone("dns", "home", "example.com", grant(all, nil, "mx1.example.com", "_dane.example.com"))
	cases := []struct {
		reason, end, want, refuse string
		others                    []v1alpha1.DNSZone
	}{
		{"the same zone, granted", "_465._tcp.mx1.example.com.", "home", "", nil},
		{"a name without port and protocol is granted as it is", "_dane.example.com.", "home", "", nil},
		{"the same zone, and a host that is not granted", "_25._tcp.mx2.example.com.", "", v1alpha1.ReasonZoneNotFound, nil},
		{"the zone of the owner is no doubt where others offer one too", "_25._tcp.mx1.example.com.", "home", "", []v1alpha1.DNSZone{dnsZone("evil", "trap", "example.com", grant(all, nil)), dnsZone("evil2", "trap", "example.com", grant(all, nil))}},
		{"nor where the own namespace has one of that name", "_25._tcp.mx1.example.com.", "home", "", []v1alpha1.DNSZone{dnsZone("mail", "own", "example.com")}},
		{"a longer own zone", "_25._tcp.mx1.example.com.", "own", "", []v1alpha1.DNSZone{dnsZone("mail", "own", "mx1.example.com")}},
		{"another zone that is offered", "_25._tcp.mx.example.net.", "offered", "", []v1alpha1.DNSZone{dnsZone("net", "offered", "example.net", grant(all, nil, "mx.example.net"))}},
		{"another zone that offers another host", "_25._tcp.mx.example.net.", "", v1alpha1.ReasonZoneNotFound, []v1alpha1.DNSZone{dnsZone("net", "offered", "example.net", grant(all, nil, "mx2.example.net"))}},
		{"another zone that several offer", "_25._tcp.mx.example.net.", "", v1alpha1.ReasonAmbiguousZone, []v1alpha1.DNSZone{dnsZone("net", "offered", "example.net", grant(all, nil)), dnsZone("evil", "trap", "example.net", grant(all, nil))}},
		{"an own zone that grants it to nobody here", "_25._tcp.mx.example.net.", "", v1alpha1.ReasonNotGranted, []v1alpha1.DNSZone{dnsZone("mail", "own", "example.net", grant(v1alpha1.GrantSame, nil, "mx2.example.net"))}},
		{"no zone at all", "_25._tcp.mx.example.net.", "", v1alpha1.ReasonZoneNotFound, nil},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			w := &world{zones: zoneList(append([]v1alpha1.DNSZone{home}, c.others...)), namespaceLabels: map[string]map[string]string{"mail": {}}}
			z, refused := w.zoneForEnd("mail", &home, c.end)
			switch {
			case refused == nil && z.Name != c.want:
				t.Errorf("zone %s/%s, want %q", z.Namespace, z.Name, c.want)
			case refused != nil && refused.reason != c.refuse:
				t.Errorf("refused: %+v, want %q", refused, c.refuse)
			}
		})
	}
}

// led is a MailDomain of a host whose owner at port 25 is, as status says, an alias.
func led(namespace, name string, age time.Duration, hostname, end string, z v1alpha1.DNSZone) v1alpha1.MailDomain {
	md := mailDomain(namespace, name, age, host(hostname, 25, "crt"))
	md.Status.MailServers = []v1alpha1.MailServerStatus{{Hostname: hostname, Aliases: []v1alpha1.AliasStatus{
		{Owner: ownerName(hostname, 25), End: end, ZoneRef: &v1alpha1.ZoneReference{Namespace: z.Namespace, Name: z.Name}},
	}}}
	return md
}

// TestOldestClaimOwnsAnEnd: one MailDomain writes to a name, whichever way its owners lead there.
func TestOldestClaimOwnsAnEnd(t *testing.T) {
	const end = "_25._tcp.mx9.example.com."
	real := dnsZone("dns", "real", "example.com", grant(v1alpha1.GrantAll, nil))
	fake := dnsZone("evil", "fake", "example.com")
	mine := mailDomain("mail", "mine", time.Minute, host("mx1.example.com", 25, "crt"))
	unclaimed := led("shop", "old", time.Hour, "mx2.example.com", end, real)
	unclaimed.Spec.MailServers[0].Certificates = nil
	left := led("shop", "old", time.Hour, "mx2.example.com", end, real)
	left.Spec.MailServers[0].Hostname = "mx3.example.com"
	unwritten := led("shop", "old", time.Hour, "mx2.example.com", end, real)
	unwritten.Status.MailServers[0].Aliases[0].ZoneRef = nil
	cases := []struct {
		reason string
		others []v1alpha1.MailDomain
		want   string
	}{
		{"nobody else", nil, ""},
		{"an older one by an alias", []v1alpha1.MailDomain{led("shop", "old", time.Hour, "mx2.example.com", end, real)}, "shop/old"},
		{"a younger one owns nothing", []v1alpha1.MailDomain{led("shop", "young", 0, "mx2.example.com", end, real)}, ""},
		{"an older one whose host it is", []v1alpha1.MailDomain{mailDomain("shop", "old", time.Hour, host("mx9.example.com", 25, "crt"))}, "shop/old"},
		{"of that host another port", []v1alpha1.MailDomain{mailDomain("shop", "old", time.Hour, host("mx9.example.com", 465, "crt"))}, ""},
		{"an alias that leads elsewhere", []v1alpha1.MailDomain{led("shop", "old", time.Hour, "mx2.example.com", "_25._tcp.mx8.example.com.", real)}, ""},
		{"a squatter writes to a DNSZone of his own", []v1alpha1.MailDomain{led("evil", "old", time.Hour, "mx2.example.com", end, fake)}, ""},
		{"a host without certificates claims nothing", []v1alpha1.MailDomain{unclaimed}, ""},
		{"nor does one that has left the spec", []v1alpha1.MailDomain{left}, ""},
		{"nor an alias whose end its MailDomain may not write", []v1alpha1.MailDomain{unwritten}, ""},
		{"of several the oldest is named", []v1alpha1.MailDomain{led("shop", "b", time.Hour, "mx2.example.com", end, real), led("shop", "a", 2*time.Hour, "mx3.example.com", end, real)}, "shop/a"},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			w := &world{zones: zoneList{real, fake}, domains: append([]v1alpha1.MailDomain{mine}, c.others...), namespaceLabels: map[string]map[string]string{"mail": {}, "evil": {}, "shop": {}}}
			if have := w.nameOwnedElsewhere(&mine, &real, end); have != c.want {
				t.Errorf("owned by %q, want %q", have, c.want)
			}
		})
	}
	t.Run("one whose grant was revoked claims nothing any more", func(t *testing.T) {
		own := dnsZone("dns", "real", "example.com", grant(v1alpha1.GrantAll, nil, "mx1.example.com"))
		w := &world{zones: zoneList{own}, domains: []v1alpha1.MailDomain{mine, led("shop", "old", time.Hour, "mx2.example.com", end, own)}, namespaceLabels: map[string]map[string]string{"mail": {}, "shop": {}}}
		if have := w.nameOwnedElsewhere(&mine, &own, end); have != "" {
			t.Errorf("owned by %q", have)
		}
	})
}

// endBed is a host whose owner is an alias, with what an earlier process and this one know of it.
func endBed(zones []v1alpha1.DNSZone, stored string, seen ...string) (*MailDomainReconciler, *world, *v1alpha1.MailDomain, *hostRun) {
	md := mailDomain("mail", "mine", time.Minute, host("mx1.example.com", 25, "crt"))
	owner := ownerName("mx1.example.com", 25)
	if stored != "" {
		md.Status.MailServers = []v1alpha1.MailServerStatus{{Hostname: "mx1.example.com", Aliases: []v1alpha1.AliasStatus{{Owner: owner, End: stored}}}}
	}
	r := &MailDomainReconciler{zones: newZoneRegistry(), observer: newObserver(func(types.NamespacedName) {})}
	h := r.newHost(&md, md.Spec.MailServers[0])
	if len(seen) > 0 {
		var s rollover.Sweep
		for _, end := range seen {
			s.Answers = append(s.Answers, rollover.Answer{Reachable: true, End: end})
		}
		r.observer.endSweep(h.key, owner, trail{sweep: s})
		h.view = r.observer.view(h.key)
	}
	return r, &world{zones: zoneList(zones), domains: []v1alpha1.MailDomain{md}, namespaceLabels: map[string]map[string]string{"mail": {}}}, &md, h
}

// TestWhereAnOwnerIsWritten: as the servers say, and as status says while they do not.
func TestWhereAnOwnerIsWritten(t *testing.T) {
	const here, there = "_25._tcp.mx2.example.com.", "_25._tcp.mx.example.net."
	own := []v1alpha1.DNSZone{dnsZone("mail", "com", "example.com"), dnsZone("mail", "net", "example.net")}
	cases := []struct {
		reason, stored string
		seen           []string
		end, zone      string
	}{
		{"nothing is known: the owner itself", "", nil, "", "com"},
		{"no alias", "", []string{""}, "", "com"},
		{"an alias in the zone", "", []string{here}, here, "com"},
		{"an alias into another", "", []string{there}, there, "net"},
		{"after a restart", there, nil, there, "net"},
		{"servers that do not agree change nothing", here, []string{there, here}, here, "com"},
		{"nor do they say anything at first", "", []string{"", there}, "", "com"},
		{"an alias that was repointed", there, []string{here}, here, "com"},
		{"an alias that was taken away", there, []string{""}, "", "com"},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			r, w, md, h := endBed(own, c.stored, c.seen...)
			h.place(md, w)
			r.settleEnds(md, w, h)
			e := h.ends[ownerName("mx1.example.com", 25)]
			if h.refused != nil || e.end != c.end || e.zone.Name != c.zone {
				t.Errorf("end %q in %+v, refused %+v", e.end, e.zone, h.refused)
			}
		})
	}
}

func TestRefusedEndSaysWhatToDo(t *testing.T) {
	const there = "_25._tcp.mx.example.net."
	com := dnsZone("mail", "com", "example.com")
	offers := []v1alpha1.DNSZone{com, dnsZone("secret", "a", "example.net", grant(v1alpha1.GrantAll, nil)), dnsZone("hidden", "b", "example.net", grant(v1alpha1.GrantAll, nil))}
	cases := []struct {
		reason string
		zones  []v1alpha1.DNSZone
		stored string
		seen   []string
		words  []string
	}{
		{"no zone", []v1alpha1.DNSZone{com}, "", []string{there}, []string{"_25._tcp.mx1.example.com.", there, "create a DNSZone", "grant mx.example.net to the namespace", "or replace the alias", "nothing is written"}},
		{"no zone after a restart", []v1alpha1.DNSZone{com}, there, nil, []string{there}},
		{"too many zones", offers, "", []string{there}, []string{there, "several DNSZones of other namespaces"}},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			r, w, md, h := endBed(c.zones, c.stored, c.seen...)
			h.place(md, w)
			r.settleEnds(md, w, h)
			if h.refused == nil || h.refused.reason != v1alpha1.ReasonOwnerIsAlias || !h.refusedEnd {
				t.Fatalf("refused: %+v", h.refused)
			}
			for _, word := range c.words {
				if !strings.Contains(h.refused.message, word) {
					t.Errorf("%q does not say %q", h.refused.message, word)
				}
			}
			for _, word := range []string{"secret", "hidden"} {
				if strings.Contains(h.refused.message, word) {
					t.Errorf("%q reveals %q", h.refused.message, word)
				}
			}
		})
	}
}

// TestWorstZoneDecides: with one zone on the way that is not Secure nothing is, and it is named.
func TestWorstZoneDecides(t *testing.T) {
	entry := func(s dnssec.State, changing bool) zoneEntry {
		return zoneEntry{health: &zone.Health{DNSSEC: zone.ZoneDNSSEC{State: s, Message: "why", KeysChanging: changing}}}
	}
	home, net := dnsZone("mail", "com", "example.com"), dnsZone("mail", "net", "example.net")
	cases := []struct {
		reason    string
		own, next zoneEntry
		state     dnssec.State
		message   string
		changing  bool
	}{
		{"both are Secure", entry(dnssec.Secure, false), entry(dnssec.Secure, false), dnssec.Secure, "", false},
		{"that of the end is Insecure", entry(dnssec.Secure, false), entry(dnssec.Insecure, false), dnssec.Insecure, "zone example.net: why", false},
		{"that of the owner is Bogus", entry(dnssec.Bogus, false), entry(dnssec.Insecure, false), dnssec.Bogus, "zone example.com: why", false},
		{"that of the end has not been looked at", entry(dnssec.Secure, false), zoneEntry{}, dnssec.Indeterminate, "zone example.net: the zone has not been looked at yet", false},
		{"the keys of the owner's change", entry(dnssec.Secure, true), entry(dnssec.Secure, false), dnssec.Secure, "", true},
		{"the keys of the end's change", entry(dnssec.Secure, false), entry(dnssec.Secure, true), dnssec.Secure, "", true},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			h := &hostRun{zone: &home, entry: c.own, linked: []linkedZone{{&net, c.next}}}
			d := h.dnssecFacts()
			if d.State != c.state || d.KeysChanging != c.changing || c.message != "" && d.Message != c.message {
				t.Errorf("%+v", d)
			}
		})
	}
}

func TestMostCarefulZoneDecides(t *testing.T) {
	home, net := dnsZone("mail", "com", "example.com"), dnsZone("mail", "net", "example.net")
	home.Spec.Propagation = v1alpha1.PropagationSpec{Sweeps: 5, Delay: "1s", TTLFloor: "2m"}
	net.Spec.Propagation = v1alpha1.PropagationSpec{Sweeps: 2, Delay: "1m", TTLFloor: "1m"}
	md := mailDomain("mail", "mine", 0)
	p, err := policyOf(&md, &home, &hostRun{linked: []linkedZone{{zone: &net}}}, settings{})
	if err != nil || p.Sweeps != 5 || p.Delay != time.Minute || p.TTLFloor != 2*time.Minute {
		t.Errorf("%+v %v", p, err)
	}
}

// TestFormerPortOfSharedEnd: the records that a port leaves behind are those of another one.
func TestFormerPortOfSharedEnd(t *testing.T) {
	const record = "3 1 1 aa"
	for end, want := range map[string]int{"": 1, "_25._tcp.mx1.example.com.": 0, "tlsa.example.com.": 1} {
		s := &v1alpha1.MailServerStatus{Hostname: "mx1.example.com", OwnRecords: []string{record},
			Versions: []v1alpha1.VersionStatus{{Owner: ownerName("mx1.example.com", 465), Records: []string{record}, LastSeen: &metav1.Time{}}}}
		if end != "" {
			s.Aliases = []v1alpha1.AliasStatus{{Owner: ownerName("mx1.example.com", 465), End: end}}
		}
		h := &hostRun{server: host("mx1.example.com", 25, "crt"), previous: s, written: storedRecords(s.OwnRecords)}
		if have := len(h.formerPorts()); have != want {
			t.Errorf("with end %q there are %d former ports, want %d", end, have, want)
		}
	}
}

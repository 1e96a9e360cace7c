package senderview

import (
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

const (
	domain = "example.org"
	server = "mx.example.net"
	target = "real.example.com"
)

func answer(state dnssec.State, kind dnssec.Kind, hops ...Link) Answer {
	return Answer{State: state, Kind: kind, Hops: hops}
}

var (
	data   = answer(dnssec.Secure, dnssec.Data)
	none   = answer(dnssec.Secure, dnssec.NoData)
	noName = answer(dnssec.Secure, dnssec.NXDomain)
	plainA = answer(dnssec.Insecure, dnssec.Data)
	noSec  = answer(dnssec.Insecure, dnssec.NoData)
	bogus  = answer(dnssec.Bogus, dnssec.Data)
	silent = answer(dnssec.Indeterminate, "")
)

func alias(state dnssec.State) Link {
	return Link{Name: server, Type: "CNAME", Target: target, State: state}
}

// good is a domain with one server that senders authenticate.
func good() Domain {
	return Domain{Name: domain, MX: data, Exchanges: []string{server}, Hosts: []Host{{Name: server, A: data, AAAA: none,
		TLSA: []TLSA{{Base: server, Answer: data, Usable: 1, Endpoints: []Endpoint{{Address: "192.0.2.1", Presented: Matched}}}}}}}
}

// aliased is the same behind an alias, with the records at its end.
func aliased(hop dnssec.State) Domain {
	d := good()
	h := &d.Hosts[0]
	h.A, h.AAAA = answer(dnssec.Secure, dnssec.Data, alias(hop)), answer(dnssec.Secure, dnssec.NoData, alias(hop))
	h.TLSA[0].Base = target
	h.TLSA = append(h.TLSA, TLSA{Base: server, Answer: none})
	return d
}

func endpoints(d *Domain, presented ...Presented) {
	t := &d.Hosts[0].TLSA[0]
	t.Endpoints = nil
	for i, p := range presented {
		t.Endpoints = append(t.Endpoints, Endpoint{Address: "192.0.2." + string(rune('1'+i)), Presented: p})
	}
}

type viewCase struct {
	name   string
	change func(*Domain)
	want   Verdict
	// blame is the type and name of the link to blame; base the TLSA base domain.
	blame, base string
	reason      string
}

var viewCases = []viewCase{
	{"all secure", func(*Domain) {}, DANE, "", server, "RFC 7672 section 2.2: secure usable records must be used"},
	{"not seen yet", func(d *Domain) { endpoints(d) }, DANE, "", server, "what DNS says stands, as long as nothing else is known"},

	{"MX insecure", func(d *Domain) { d.MX = plainA }, Opportunistic, "MX example.org", "", "section 2.2.1: DANE is optional then"},
	{"MX insecure, TLSA bogus", func(d *Domain) { d.MX = plainA; d.Hosts[0].TLSA[0].Answer = bogus }, Opportunistic, "MX example.org", "", "TLSA need not be asked for"},
	{"MX insecure, no address", func(d *Domain) { d.MX = plainA; d.Hosts[0].A = none }, Undeliverable, "A mx.example.net", "", "no sender gets anywhere"},
	{"MX through an insecure alias", func(d *Domain) {
		d.MX = answer(dnssec.Secure, dnssec.Data, Link{Name: domain, Type: "CNAME", Target: "hosted.example", State: dnssec.Insecure})
	}, Opportunistic, "CNAME example.org", "", "section 2.1.3: one insecure link makes the rest insecure"},

	{"A insecure", func(d *Domain) { d.Hosts[0].A, d.Hosts[0].AAAA = plainA, noSec }, Opportunistic, "A mx.example.net", "", "section 2.2.2: TLSA is not asked for"},
	{"A insecure, TLSA not looked up", func(d *Domain) { d.Hosts[0].A, d.Hosts[0].AAAA, d.Hosts[0].TLSA = plainA, noSec, nil }, Opportunistic, "A mx.example.net", "", "nor need it be"},
	{"A insecure, TLSA fails", func(d *Domain) { d.Hosts[0].A, d.Hosts[0].TLSA[0].Answer = plainA, silent }, Opportunistic, "A mx.example.net", "", "some large servers fail on TLSA: who does not ask does not notice"},
	{"AAAA secure, A insecure", func(d *Domain) { d.Hosts[0].A, d.Hosts[0].AAAA = plainA, data }, DANE, "", server, "either suffices"},
	{"AAAA fails", func(d *Domain) { d.Hosts[0].AAAA = silent }, DANE, "", server, "a broken denial of AAAA does not stop IPv4"},
	{"A bogus, AAAA secure", func(d *Domain) { d.Hosts[0].A, d.Hosts[0].AAAA = bogus, data }, DANE, "", server, "either suffices"},
	{"A bogus", func(d *Domain) { d.Hosts[0].A = bogus }, Undeliverable, "A mx.example.net", "", "section 2.1.2"},
	{"no A, AAAA fails", func(d *Domain) { d.Hosts[0].A, d.Hosts[0].AAAA = none, silent }, Undeliverable, "AAAA mx.example.net", "", "it might have an address"},
	{"no address", func(d *Domain) { d.Hosts[0].A, d.Hosts[0].AAAA = noName, noName }, Undeliverable, "A mx.example.net", "", "there is nothing to connect to"},

	{"no TLSA", func(d *Domain) { d.Hosts[0].TLSA[0].Answer = noName }, Opportunistic, "TLSA _25._tcp.mx.example.net", "", "a secure denial"},
	{"no TLSA, insecure", func(d *Domain) { d.Hosts[0].TLSA[0].Answer = noSec }, Opportunistic, "TLSA _25._tcp.mx.example.net", "", "section 2.2: insecure, or denied"},
	{"TLSA insecure", func(d *Domain) { d.Hosts[0].TLSA[0].Answer = plainA }, Opportunistic, "TLSA _25._tcp.mx.example.net", "", "insecure records count for nothing"},
	{"TLSA bogus", func(d *Domain) { d.Hosts[0].TLSA[0].Answer = bogus }, Undeliverable, "TLSA _25._tcp.mx.example.net", "", "section 2.1.2"},
	{"TLSA fails", func(d *Domain) { d.Hosts[0].TLSA[0].Answer = silent }, Undeliverable, "TLSA _25._tcp.mx.example.net", "", "a failure is never: no TLSA"},
	{"TLSA not looked up", func(d *Domain) { d.Hosts[0].TLSA = nil }, Undeliverable, "TLSA _25._tcp.mx.example.net", "", "what is not known is not taken for absent"},
	{"TLSA secure but no answer", func(d *Domain) { d.Hosts[0].TLSA[0].Answer = answer(dnssec.Secure, dnssec.TooLong) }, Undeliverable, "TLSA _25._tcp.mx.example.net", "", "YXDOMAIN is no denial"},
	{"TLSA through an alias", func(d *Domain) {
		d.Hosts[0].TLSA[0].Answer = answer(dnssec.Secure, dnssec.Data, Link{Name: "_25._tcp." + server, Type: "CNAME", Target: "tlsa." + domain, State: dnssec.Secure})
	}, DANE, "", server, "section 2.2.3: the base domain stays"},
	{"TLSA through an insecure alias", func(d *Domain) {
		d.Hosts[0].TLSA[0].Answer = answer(dnssec.Secure, dnssec.Data, Link{Name: "_25._tcp." + server, Type: "CNAME", Target: "tlsa." + domain, State: dnssec.Insecure})
	}, Opportunistic, "CNAME _25._tcp.mx.example.net", "", "section 2.1.3"},

	{"unusable", func(d *Domain) { d.Hosts[0].TLSA[0].Usable = 0; endpoints(d, Mismatched) }, EncryptOnly, "TLSA _25._tcp.mx.example.net", server, "section 2.2: TLS, unauthenticated"},
	{"unusable, no STARTTLS", func(d *Domain) { d.Hosts[0].TLSA[0].Usable = 0; endpoints(d, NoTLS) }, Undeliverable, "TLSA _25._tcp.mx.example.net", server, "TLS is mandatory all the same"},
	{"mismatch", func(d *Domain) { endpoints(d, Mismatched) }, Undeliverable, "TLSA _25._tcp.mx.example.net", server, "section 2.2: it must be authenticated"},
	{"no STARTTLS", func(d *Domain) { endpoints(d, NoTLS) }, Undeliverable, "TLSA _25._tcp.mx.example.net", server, "never cleartext"},
	{"it is not known what an address presents", func(d *Domain) { endpoints(d, "") }, Undeliverable, "TLSA _25._tcp.mx.example.net", server, "only a match is a match"},
	{"one address does not match", func(d *Domain) { endpoints(d, Matched, Mismatched) }, Undeliverable, "TLSA _25._tcp.mx.example.net", server, "a sender may come to any address"},
	{"one address is down", func(d *Domain) { endpoints(d, Unreachable, Matched) }, DANE, "", server, "senders take the other"},
	{"all addresses are down", func(d *Domain) { endpoints(d, Unreachable) }, Undeliverable, "", server, "there is nothing to connect to"},

	{"secure alias", func(d *Domain) { *d = aliased(dnssec.Secure) }, DANE, "", target, "section 2.2.2: the end of the aliases first"},
	{"secure alias, records at both", func(d *Domain) { *d = aliased(dnssec.Secure); d.Hosts[0].TLSA[1] = good().Hosts[0].TLSA[0] }, DANE, "", target, "the end of the aliases first"},
	{"secure alias, records at its start", func(d *Domain) {
		*d = aliased(dnssec.Secure)
		d.Hosts[0].TLSA = []TLSA{{Base: target, Answer: noName}, good().Hosts[0].TLSA[0]}
	}, DANE, "", server, "then the host itself"},
	{"secure alias, insecure records at its end", func(d *Domain) {
		*d = aliased(dnssec.Secure)
		d.Hosts[0].TLSA = []TLSA{{Base: target, Answer: plainA}, good().Hosts[0].TLSA[0]}
	}, DANE, "", server, "then the host itself"},
	{"secure alias, failure at its end", func(d *Domain) {
		*d = aliased(dnssec.Secure)
		d.Hosts[0].TLSA = []TLSA{{Base: target, Answer: silent}, good().Hosts[0].TLSA[0]}
	}, Undeliverable, "TLSA _25._tcp.real.example.com", "", "there might be records"},
	{"secure alias, no records", func(d *Domain) { *d = aliased(dnssec.Secure); d.Hosts[0].TLSA[0].Answer = none }, Opportunistic, "TLSA _25._tcp.real.example.com", "", "both are denied"},
	{"secure alias, no records at its end, insecure ones at its start", func(d *Domain) {
		*d = aliased(dnssec.Secure)
		d.Hosts[0].TLSA[0].Answer, d.Hosts[0].TLSA[1].Answer = none, plainA
	}, Opportunistic, "TLSA _25._tcp.mx.example.net", "", "the insecure link is to blame, not that there is none elsewhere"},
	{"secure alias into an insecure zone, records at its start", func(d *Domain) {
		*d = aliased(dnssec.Secure)
		d.Hosts[0].A.State, d.Hosts[0].AAAA.State, d.Hosts[0].TLSA = dnssec.Insecure, dnssec.Insecure, good().Hosts[0].TLSA
	}, DANE, "", server, "only the host itself is asked for"},
	{"secure alias into an insecure zone, records at its end", func(d *Domain) {
		*d = aliased(dnssec.Secure)
		d.Hosts[0].A.State, d.Hosts[0].AAAA.State = dnssec.Insecure, dnssec.Insecure
	}, Opportunistic, "A real.example.com", "", "the end is not asked for"},
	{"insecure alias", func(d *Domain) { *d = aliased(dnssec.Insecure) }, Opportunistic, "CNAME mx.example.net", "", "section 2.2.2"},
	{"bogus alias", func(d *Domain) { *d = aliased(dnssec.Bogus) }, Undeliverable, "CNAME mx.example.net", "", "section 2.1.2"},
	{"host not looked up", func(d *Domain) { d.Hosts = nil }, Undeliverable, "A mx.example.net", "", "what is not known is not taken for absent"},
}

func TestHosts(t *testing.T) {
	for _, c := range viewCases {
		t.Run(c.name, func(t *testing.T) {
			d := good()
			c.change(&d)
			view := View(d)
			if len(view.Hosts) != 1 {
				t.Fatalf("%d hosts", len(view.Hosts))
			}
			h := view.Hosts[0]
			blame := ""
			if h.Blame != nil {
				blame = h.Blame.Type + " " + h.Blame.Name
			}
			if h.Verdict != c.want || blame != c.blame || h.Base != c.base {
				t.Errorf("%s: want %s, blame %q, base %q; got %s, %q, %q: %s", c.reason, c.want, c.blame, c.base, h.Verdict, blame, h.Base, h.Message)
			}
			if view.Verdict != c.want || !strings.Contains(view.Message, server) || !strings.Contains(h.Message, server) {
				t.Errorf("the domain: %s: %s", view.Verdict, view.Message)
			}
		})
	}
}

func TestDomains(t *testing.T) {
	second := func(h Host) func(*Domain) {
		return func(d *Domain) {
			h.Name = "mx2.example.net"
			d.Exchanges, d.Hosts = append(d.Exchanges, "MX2.example.net."), append(d.Hosts, h)
		}
	}
	implicit := func(mx Answer) func(*Domain) {
		return func(d *Domain) {
			d.MX, d.Exchanges, d.Hosts[0].Name, d.Hosts[0].TLSA[0].Base = mx, nil, domain, domain
		}
	}
	for _, c := range []struct {
		name   string
		change func(*Domain)
		want   Verdict
		hosts  int
		reason string
	}{
		{"implicit MX", implicit(none), DANE, 1, "section 2.2.1: the domain is the host, by a secure denial"},
		{"implicit MX, insecure", implicit(noSec), Opportunistic, 1, "the denial of MX is insecure"},
		{"no such domain", implicit(noName), Undeliverable, 0, "NXDOMAIN"},
		{"MX bogus", func(d *Domain) { d.MX = bogus }, Undeliverable, 0, "section 2.1.2"},
		{"MX fails", func(d *Domain) { d.MX = silent }, Undeliverable, 0, "a failure is no denial"},
		{"MX of an unknown state", func(d *Domain) { d.MX.State = "" }, Undeliverable, 0, "a failure"},
		{"null MX", func(d *Domain) { d.Exchanges = []string{"."} }, NoMail, 0, "RFC 7505"},
		{"null MX beside another", func(d *Domain) { d.Exchanges = []string{".", server} }, DANE, 2, "RFC 7505 section 3: it is null alone"},
		{"no exchange", func(d *Domain) { d.Exchanges = nil }, Undeliverable, 0, "records without hosts"},
		{"one of two without TLSA", second(Host{A: data, AAAA: none, TLSA: []TLSA{{Base: "mx2.example.net", Answer: none}}}), Opportunistic, 2, "an attacker can choose it"},
		{"one of two fails", second(Host{A: data, AAAA: none, TLSA: []TLSA{{Base: "mx2.example.net", Answer: silent}}}), DANE, 2, "mail goes to the other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := good()
			c.change(&d)
			view := View(d)
			if view.Verdict != c.want || len(view.Hosts) != c.hosts || view.Message == "" {
				t.Errorf("%s: want %s of %d hosts; got %s of %d: %s", c.reason, c.want, c.hosts, view.Verdict, len(view.Hosts), view.Message)
			}
		})
	}
}

// TestMessages holds some of them as a person reads them.
func TestMessages(t *testing.T) {
	for want, change := range map[string]func(*Domain){
		"senders authenticate mx.example.net by the TLSA records of _25._tcp.mx.example.net": func(*Domain) {},
		"senders do not authenticate mx.example.net: the MX lookup of example.org is insecure (no DS); sign the zone of example.org, and have its DS records put into the parent zone" +
			"; for senders that authenticate all the same: senders do not deliver to mx.example.net: what mx.example.net presents at 192.0.2.1 matches no TLSA record of _25._tcp.mx.example.net; " +
			"publish the records of its certificate, or install the certificate of the records": func(d *Domain) { d.MX = plainA; d.MX.Cause = "no DS"; endpoints(d, Mismatched) },
		"senders authenticate mx.example.net by the TLSA records of _25._tcp.mx.example.net; apart from that, the AAAA lookup of mx.example.net fails; " +
			"see that every name server of the zone of mx.example.net answers it": func(d *Domain) { d.Hosts[0].AAAA = silent },
		"senders do not deliver to mx.example.net: the alias mx.example.net to real.example.com is bogus; " +
			"mend the signatures of the zone of mx.example.net, or its DS records": func(d *Domain) { *d = aliased(dnssec.Bogus) },
		"senders do not authenticate mx.example.net: there are no TLSA records at _465._tcp.mx.example.net; publish them": func(d *Domain) { d.Port = 465; d.Hosts[0].TLSA[0].Answer = none },
		"senders do not deliver to mx.example.net: the TLSA lookup of tlsa.example.org, where _25._tcp.mx.example.net leads, fails (timeout); " +
			"see that every name server of the zone of tlsa.example.org answers it": func(d *Domain) {
			d.Hosts[0].TLSA[0].Answer = Answer{State: dnssec.Indeterminate, Cause: "timeout", Hops: []Link{{Name: "_25._tcp." + server, Type: "CNAME", Target: "tlsa." + domain, State: dnssec.Secure}}}
		},
	} {
		d := good()
		change(&d)
		if got := View(d).Hosts[0].Message; got != want {
			t.Errorf("want %q\ngot  %q", want, got)
		}
	}
}

func TestEager(t *testing.T) {
	d := good()
	d.MX = plainA
	if got := View(d).Hosts[0].Eager; got != DANE {
		t.Errorf("senders that authenticate with insecure MX records: %q", got)
	}
	d.Hosts[0].TLSA = nil
	if got := View(d).Hosts[0].Eager; got != "" {
		t.Errorf("no TLSA was looked up: %q", got)
	}
}

func TestReferenceNames(t *testing.T) {
	d := good()
	d.MX.Hops = []Link{{Name: domain, Target: "Hosted.example.", State: dnssec.Secure}}
	if got := strings.Join(ReferenceNames(d, server+"."), " "); got != "mx.example.net example.org hosted.example" {
		t.Error(got)
	}
	d.MX.Hops[0].State = dnssec.Insecure
	if got := strings.Join(ReferenceNames(d, server), " "); got != server {
		t.Error(got)
	}
}

func TestFrom(t *testing.T) {
	got := From(dnssec.Result{State: dnssec.Insecure, Kind: dnssec.Data, Hops: []dnssec.Hop{{Name: "A.example.", Target: "B.example.", State: dnssec.Secure}}})
	if got.failed() || got.secure() || !got.has() || got.final("a.example") != "b.example" || got.Hops[0].Name != "a.example" {
		t.Errorf("%+v", got)
	} // Of several servers now this one answers first, and now that one.
	cause := From(dnssec.Result{State: dnssec.Insecure, Cause: &dnssec.Error{Zone: "example.", Server: "192.0.2.53:53", Detail: "no DS"}}).Cause
	if cause != "zone example.: no DS" {
		t.Errorf("the cause is %q", cause)
	}
}

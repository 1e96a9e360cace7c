package senderview

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/crowd"
	"github.com/dane-operator/dane-operator/internal/dnssec"
)

var _ Resolver = (*dnssec.Validator)(nil)

// tree answers from results by "name type", and keeps what it was asked.
type tree struct {
	results map[string]dnssec.Result
	asked   []string
}

func (tr *tree) Lookup(_ context.Context, name string, qtype uint16) dnssec.Result {
	question := name + " " + dns.TypeToString[qtype]
	tr.asked = append(tr.asked, question)
	return tr.results[question]
}

func result(t *testing.T, state dnssec.State, lines ...string) dnssec.Result {
	t.Helper()
	out := dnssec.Result{State: state, Kind: dnssec.NoData}
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		out.RRs, out.Kind = append(out.RRs, rr), dnssec.Data
	}
	return out
}

// usesThree takes records with usage 3 for usable, and sees them matched.
func usesThree(host, _ string, _ []string, records []*dns.TLSA) (int, []Endpoint) {
	usable := 0
	for _, r := range records {
		if r.Usage == 3 {
			usable++
		}
	}
	return usable, []Endpoint{{Address: host, Presented: Matched}}
}

const record = " 60 IN TLSA 3 1 1 0000000000000000000000000000000000000000000000000000000000000000"

func TestLook(t *testing.T) {
	secure := func(lines ...string) dnssec.Result { return result(t, dnssec.Secure, lines...) }
	insecure := func(lines ...string) dnssec.Result { return result(t, dnssec.Insecure, lines...) }
	behindAlias := func(r dnssec.Result) dnssec.Result {
		r.Hops = []dnssec.Hop{{Name: "mx.example.net.", Target: "real.example.com.", State: dnssec.Secure}}
		return r
	}
	address := "mx.example.net. 60 IN A 192.0.2.1"
	for _, c := range []struct {
		name    string
		results map[string]dnssec.Result
		want    Verdict
		asked   string
		reason  string
	}{
		{"all secure", map[string]dnssec.Result{
			"example.org. MX":               secure("example.org. 60 IN MX 10 MX.example.net."),
			"mx.example.net. A":             secure(address),
			"mx.example.net. AAAA":          secure(),
			"_25._tcp.mx.example.net. TLSA": secure("_25._tcp.mx.example.net." + record),
		}, DANE, "example.org. MX, mx.example.net. A, mx.example.net. AAAA, _25._tcp.mx.example.net. TLSA", "RFC 7672 section 2.2"},
		{"address insecure", map[string]dnssec.Result{
			"example.org. MX":      secure("example.org. 60 IN MX 10 mx.example.net."),
			"mx.example.net. A":    insecure(address),
			"mx.example.net. AAAA": insecure(),
		}, Opportunistic, "example.org. MX, mx.example.net. A, mx.example.net. AAAA", "section 2.2.2: TLSA is not asked for"},
		{"MX fails", map[string]dnssec.Result{}, Undeliverable, "example.org. MX", "nothing is known of hosts"},
		{"null MX", map[string]dnssec.Result{"example.org. MX": secure("example.org. 60 IN MX 0 .")}, NoMail, "example.org. MX", "RFC 7505"},
		{"implicit MX", map[string]dnssec.Result{
			"example.org. MX":            secure(),
			"example.org. A":             secure("example.org. 60 IN A 192.0.2.1"),
			"example.org. AAAA":          secure(),
			"_25._tcp.example.org. TLSA": secure("_25._tcp.example.org. 60 IN TLSA 1 1 1 00"),
		}, EncryptOnly, "example.org. MX, example.org. A, example.org. AAAA, _25._tcp.example.org. TLSA", "the domain is the host; usage 1 is not usable"},
		{"secure alias", map[string]dnssec.Result{
			"example.org. MX":                 secure("example.org. 60 IN MX 10 mx.example.net."),
			"mx.example.net. A":               behindAlias(secure("real.example.com. 60 IN A 192.0.2.1")),
			"mx.example.net. AAAA":            behindAlias(secure()),
			"_25._tcp.real.example.com. TLSA": secure(),
			"_25._tcp.mx.example.net. TLSA":   secure("_25._tcp.mx.example.net." + record),
		}, DANE, "example.org. MX, mx.example.net. A, mx.example.net. AAAA, _25._tcp.real.example.com. TLSA, _25._tcp.mx.example.net. TLSA", "first the end, then the host"},
		{"secure alias, the lookup at its end fails", map[string]dnssec.Result{
			"example.org. MX":      secure("example.org. 60 IN MX 10 mx.example.net."),
			"mx.example.net. A":    behindAlias(secure("real.example.com. 60 IN A 192.0.2.1")),
			"mx.example.net. AAAA": behindAlias(secure()),
		}, Undeliverable, "example.org. MX, mx.example.net. A, mx.example.net. AAAA, _25._tcp.real.example.com. TLSA", "there might be records"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := &tree{results: c.results}
			view := View(Look(context.Background(), tr, "Example.org.", 0, usesThree))
			if view.Verdict != c.want || strings.Join(tr.asked, ", ") != c.asked {
				t.Errorf("%s: want %s after %s\ngot %s after %s: %s", c.reason, c.want, c.asked, view.Verdict, strings.Join(tr.asked, ", "), view.Message)
			}
		})
	}
}

func TestExchanges(t *testing.T) {
	lines := []string{"example.org. 60 IN MX 20 a.example.", "example.org. 60 IN MX 10 C.example.", "example.org. 60 IN MX 10 b.example.", "example.org. 60 IN MX 30 c.example."}
	if got := exchanges(result(t, dnssec.Secure, lines...).RRs); !slices.Equal(got, []string{"b.example", "c.example", "a.example"}) {
		t.Error(got)
	}
	for i := range 2 * maxHosts {
		lines = append(lines, fmt.Sprintf("example.org. 60 IN MX 40 x%02d.example.", i))
	}
	all := result(t, dnssec.Secure, lines...)
	if got := exchanges(all.RRs); len(got) != 3+2*maxHosts || got[0] != "b.example" {
		t.Error(got)
	}
	d := Look(context.Background(), &tree{results: map[string]dnssec.Result{"example.org. MX": all}}, "example.org", 0, usesThree)
	if len(d.Exchanges) != maxHosts || len(d.Hosts) != maxHosts || d.Exchanges[0] != "b.example" {
		t.Error(d.Exchanges)
	}
}

// TestLookAt looks at one host, whether or not senders are sent to it.
// slow answers nothing, and no question for addresses before as many are asked as may be at once.
type slow struct{ *crowd.Crowd }

func (s slow) Lookup(ctx context.Context, _ string, qtype uint16) dnssec.Result {
	if qtype != dns.TypeA {
		return dnssec.Result{State: dnssec.Secure, Kind: dnssec.NoData}
	}
	s.Join(ctx)
	return dnssec.Result{}
}

// TestLookAtSeveral: hosts whose servers are silent do not wait for each other, and come in their order.
func TestLookAtSeveral(t *testing.T) {
	c := slow{crowd.New(hostsAtOnce)}
	var hosts []string
	for i := range 3 * hostsAtOnce {
		hosts = append(hosts, fmt.Sprintf("mx%d.example.net", i))
	}
	d := LookAt(t.Context(), c, "example.org", 0, hosts, usesThree)
	if n := c.Most(); n != hostsAtOnce || len(d.Hosts) != len(hosts) {
		t.Errorf("%d hosts of %d, %d at once, want %d", len(d.Hosts), len(hosts), n, hostsAtOnce)
	}
	for i, h := range d.Hosts {
		if h.Name != hosts[i] {
			t.Errorf("number %d is %s", i, h.Name)
		}
	}
}

func TestLookAt(t *testing.T) {
	const host = "mx.example.net"
	mx := func(state dnssec.State, exchange string) dnssec.Result {
		return result(t, state, "example.org. 60 IN MX 10 other.example.net.", "example.org. 60 IN MX 10 "+exchange)
	}
	for _, c := range []struct {
		reason  string
		mx      dnssec.Result
		verdict Verdict
		named   bool
		message string
	}{
		{"it is one of the exchanges; the others are not looked at", mx(dnssec.Secure, "MX.example.net."), DANE, true,
			"senders authenticate mx.example.net by the TLSA records of _25._tcp.mx.example.net"},
		{"the MX records name others", mx(dnssec.Secure, "mx9.example.net."), DANE, false,
			"senders authenticate mx.example.net by the TLSA records of _25._tcp.mx.example.net; but no sender is sent to mx.example.net: the MX records of example.org do not name it; add it to them, or leave it out of the mail servers of the domain"},
		{"insecure MX records name it", mx(dnssec.Insecure, "mx.example.net."), Opportunistic, true,
			"senders do not authenticate mx.example.net: the MX lookup of example.org is insecure"},
		{"there are no MX records", result(t, dnssec.Secure), DANE, false,
			"example.org has no MX records, so that mail goes to the host of that name"},
		{"the domain takes no mail", result(t, dnssec.Secure, "example.org. 60 IN MX 0 ."), DANE, false, "example.org takes no mail: it has a null MX"},
		{"where mail goes is not known", mx(dnssec.Bogus, "mx.example.net."), Undeliverable, true,
			"senders do not deliver to example.org: the MX lookup of example.org is bogus"},
		{"there is no such domain", dnssec.Result{State: dnssec.Secure, Kind: dnssec.NXDomain}, Undeliverable, true,
			"senders do not deliver to example.org: there is no such name"},
	} {
		tr := &tree{results: map[string]dnssec.Result{
			"example.org. MX":               c.mx,
			"mx.example.net. A":             result(t, dnssec.Secure, "mx.example.net. 60 IN A 192.0.2.1"),
			"mx.example.net. AAAA":          result(t, dnssec.Secure),
			"_25._tcp.mx.example.net. TLSA": result(t, dnssec.Secure, "_25._tcp.mx.example.net."+record),
		}}
		view, named := ViewAt(LookAt(context.Background(), tr, "example.org", 0, []string{host}, usesThree), host)
		if view.Host != host || view.Verdict != c.verdict || named != c.named || !strings.Contains(view.Message, c.message) {
			t.Errorf("%s: %s, named %t: %s", c.reason, view.Verdict, named, view.Message)
		}
		if slices.ContainsFunc(tr.asked, func(q string) bool { return strings.HasPrefix(q, "other.") }) {
			t.Errorf("%s: asked %v", c.reason, tr.asked)
		}
	}
}

// TestApex asks for what every zone has at its apex.
func TestApex(t *testing.T) {
	tr := &tree{results: map[string]dnssec.Result{"example.org. SOA": {State: dnssec.Bogus}}}
	if got := Apex(context.Background(), tr, "example.org"); got.State != dnssec.Bogus {
		t.Errorf("%+v after %v", got, tr.asked)
	}
}

// TestLookAtPanic: a fault with one host comes out where somebody asks, who can deal with it, once the others are done.
func TestLookAtPanic(t *testing.T) {
	tr := &tree{results: map[string]dnssec.Result{"example.com. MX": result(t, dnssec.Secure, "example.com. 60 IN MX 10 mx.example.com.")}}
	problem := dnssec.Panicked(func() {
		LookAt(t.Context(), sick{tr}, "example.com", 25, []string{"mx.example.com"}, usesThree)
	})
	if !strings.Contains(fmt.Sprint(problem), "a fault with mx.example.com.") {
		t.Errorf("it panicked with %v", problem)
	}
}

// sick has a fault with every host.
type sick struct{ *tree }

func (s sick) Lookup(ctx context.Context, name string, qtype uint16) dnssec.Result {
	if qtype != dns.TypeMX {
		panic("a fault with " + name)
	}
	return s.tree.Lookup(ctx, name, qtype)
}

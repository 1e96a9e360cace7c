package health

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// row is a fault and the findings that it must give, all of them.
type row struct {
	reason string
	// zone changes the zone on both servers, second on the second alone; seen changes what was seen.
	zone, second func(*testZone)
	seen         func(*Observations)
	want         string
}

func (r row) judge(t *testing.T) Report {
	t.Helper()
	first, second := newZone(t), newZone(t)
	if r.zone != nil {
		r.zone(first)
		r.zone(second)
	}
	if r.second != nil {
		r.second(second)
	}
	o := observe(t, first, second)
	if r.seen != nil {
		r.seen(&o)
	}
	return Judge(o)
}

func codesOf(findings []Finding) string {
	var out []string
	for _, f := range findings {
		word := string(f.Code)
		if f.Server != "" {
			word += "@" + f.Server
		}
		if !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// wanted are the codes that rows want.
var wanted = map[Code]bool{}

// TestMain fails when a code has no row that wants it: then nothing shows that it is ever found.
func TestMain(m *testing.M) {
	flag.Parse()
	result := m.Run()
	if flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.list").Value.String() == "" {
		for _, code := range Codes() {
			if !wanted[code] {
				fmt.Println("no row wants", code)
				result = 1
			}
		}
	}
	os.Exit(result)
}

func check(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		for _, word := range strings.Fields(r.want) {
			code, _, _ := strings.Cut(word, "@")
			wanted[Code(code)] = true
		}
		report := r.judge(t)
		if got := codesOf(report.Findings); got != r.want {
			t.Errorf("%s: got %q, want %q", r.reason, got, r.want)
			for _, f := range report.Findings {
				t.Logf("    %s %s %s: %s", f.Severity, f.Code, f.Server, f.Message)
			}
		}
		for _, f := range report.Findings {
			checkFinding(t, r.reason, f)
		}
	}
}

var clockTime = regexp.MustCompile(`\d\d:\d\d|20\d\d-`)

func checkFinding(t *testing.T, reason string, f Finding) {
	t.Helper()
	if f.Severity == "" || f.Message == "" || clockTime.MatchString(f.Message) || strings.Contains(f.Message, "%!") {
		t.Errorf("%s: a finding that says nothing, or tells times: %+v", reason, f)
	}
}

// reply alters the replies to one question at a server.
func reply(o *Observations, server int, name string, qtype uint16, alter func(*Reply)) {
	for i := range o.Servers[server].Stream {
		if r := &o.Servers[server].Stream[i]; r.Name == name && r.Type == qtype {
			alter(r)
		}
	}
}

func silence(o *Observations, server int, problem string) {
	for i := range o.Servers[server].Stream {
		o.Servers[server].Stream[i].Msg, o.Servers[server].Stream[i].Problem = nil, problem
	}
}

func each(o *Observations, server int, alter func(*dns.Msg)) {
	for i := range o.Servers[server].Stream {
		alter(o.Servers[server].Stream[i].Msg)
	}
	alter(o.Servers[server].Packet.Msg)
}

func TestHealthy(t *testing.T) {
	nsec3 := func(z *testZone) {
		z.nsec3 = &dns.NSEC3PARAM{Hdr: dns.RR_Header{Name: apex, Rrtype: dns.TypeNSEC3PARAM, Class: dns.ClassINET}, Hash: dns.SHA1}
	}
	check(t, []row{
		{reason: "NSEC"},
		{reason: "NSEC3", zone: nsec3},
		{reason: "one key for all", zone: func(z *testZone) {
			z.shown, z.data = []testKey{common.ksk}, []testKey{common.ksk}
		}},
		{reason: "a key in reserve in the DNSKEY set", zone: func(z *testZone) { z.shown = append(z.shown, common.spare) }},
		{reason: "CDS and CDNSKEY as the parent has it", zone: func(z *testZone) {
			z.add(ds(common.ksk, 2).ToCDS().String())
			z.add(common.ksk.ToCDNSKEY().String())
		}},
		{reason: "the parent was not asked, the anchor fits", seen: func(o *Observations) {
			o.Parents, o.DS = nil, []*dns.DS{ds(common.ksk, 2)}
		}},
		{reason: "the parent was not asked, and there is no anchor", seen: func(o *Observations) { o.Parents = nil }},
		{reason: "BIND re-signs at 5 days of 14", zone: func(z *testZone) { z.left = 5 * day }},
		{reason: "PowerDNS re-signs at 7 days of 21", zone: func(z *testZone) { z.left, z.validity = 7*day, 21*day }},
		{reason: "dnssec-signzone re-signs at 7.5 days of 30", zone: func(z *testZone) { z.left, z.validity = 7*day+13*time.Hour, 30*day }},
		{reason: "signed on the fly for two days: the EXPIRE of the zone does not fit, nothing else is wrong", zone: func(z *testZone) {
			z.left, z.validity = 24*time.Hour, 48*time.Hour
		}, want: "ExpireBeyondSignatures"},
		{reason: "a serial is behind for a short time", seen: func(o *Observations) { o.Servers[1].BehindSince = at.Add(-9 * time.Minute) }},
		{reason: "a host that has no TLSA records", zone: func(z *testZone) { z.drop(owner, dns.TypeTLSA) }},
		{reason: "a wildcard answers, with its proof", zone: wildcard},
	})
}

func TestServers(t *testing.T) {
	check(t, []row{
		{reason: "nobody answers", want: "NoServerAnswers ServerUnreachable@ns1 ServerUnreachable@ns2", seen: func(o *Observations) {
			for i := range o.Servers {
				silence(o, i, "timeout")
				o.Servers[i].Packet.Msg, o.Servers[i].Packet.Problem = nil, "timeout"
			}
		}},
		{reason: "no TCP", want: "NoTCP@ns2", seen: func(o *Observations) { silence(o, 1, "connection refused") }},
		{reason: "no UDP", want: "NoUDP@ns2", seen: func(o *Observations) {
			o.Servers[1].Packet.Msg, o.Servers[1].Packet.Problem = nil, "timeout"
		}},
		{reason: "UDP was not asked", seen: func(o *Observations) { o.Servers[1].Packet = nil }},
		{reason: "the server refuses the zone", want: "ServerLame@ns2", seen: func(o *Observations) {
			each(o, 1, func(m *dns.Msg) { m.Rcode, m.Authoritative, m.Answer, m.Ns = dns.RcodeRefused, false, nil, nil })
		}},
		{reason: "a cache answers", want: "ServerLame@ns2", seen: func(o *Observations) {
			each(o, 1, func(m *dns.Msg) { m.Authoritative = false })
		}},
		{reason: "another zone is there", want: "ServerLame@ns2", seen: func(o *Observations) {
			each(o, 1, func(m *dns.Msg) { m.Answer = nil })
			o.Servers[1].Stream = o.Servers[1].Stream[:1]
		}},
		{reason: "an excepted server is a notice", want: "NoTCP@ns2", seen: func(o *Observations) {
			silence(o, 1, "connection refused")
			o.Servers[1].Ignored = true
		}},
		{reason: "one type is dropped", want: "QuestionUnanswered@ns2", seen: func(o *Observations) {
			reply(o, 1, apex, dns.TypeCDS, func(r *Reply) { r.Msg, r.Problem = nil, "timeout" })
		}},
		{reason: "one type is refused", want: "QuestionRefused@ns2", seen: func(o *Observations) {
			reply(o, 1, apex, dns.TypeCDS, func(r *Reply) { r.Msg.Rcode = dns.RcodeNotImplemented })
		}},
		{reason: "one type comes from a cache", want: "NotAuthoritative@ns2", seen: func(o *Observations) {
			reply(o, 1, apex, dns.TypeMX, func(r *Reply) { r.Msg.Authoritative = false })
		}},
		{reason: "a query for MX brings TXT", want: "AnswerMismatch@ns2", seen: func(o *Observations) {
			reply(o, 1, apex, dns.TypeMX, func(r *Reply) {
				r.Msg.Answer = []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: apex, Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{"x"}}}
			})
		}},
		{reason: "EDNS is dropped", want: "EDNSDropped@ns2", seen: func(o *Observations) {
			each(o, 1, func(m *dns.Msg) { m.Extra = nil })
		}},
		{reason: "the DO bit is stripped", want: "SignaturesStripped@ns2", seen: func(o *Observations) {
			each(o, 1, func(m *dns.Msg) {
				unsigned := func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG || rr.Header().Rrtype == dns.TypeNSEC }
				m.Answer, m.Ns = slices.DeleteFunc(m.Answer, unsigned), slices.DeleteFunc(m.Ns, unsigned)
			})
		}},
		{reason: "a server that left still answers", want: "FormerServer@ns2", seen: func(o *Observations) { o.Former = o.Servers[1:] }},
		{reason: "one that left and answers nothing is what it should be", want: "", seen: func(o *Observations) { o.Former = []Server{{Label: "ns3"}} }},
		{reason: "one that left is no second server", want: "FormerServer@ns2 SingleServer", seen: func(o *Observations) { o.Servers, o.Former = o.Servers[:1], o.Servers[1:] }},
		{reason: "one server alone", want: "SingleServer", seen: func(o *Observations) { o.Servers = o.Servers[:1] }},
		{reason: "the second is the primary, which is hidden", want: "SingleServer", seen: func(o *Observations) { o.Servers[1].Hidden = true }},
		{reason: "the zone names a server that the parent does not", want: "NSMismatch", zone: func(z *testZone) {
			z.add(apex + " 3600 NS ns3.elsewhere.test.")
		}},
		{reason: "the servers name different servers", want: "NSDiffers NSMismatch", second: func(z *testZone) {
			z.add(apex + " 3600 NS ns3.elsewhere.test.")
		}},
		{reason: "a serial is behind for long", want: "SerialSpread@ns2", seen: func(o *Observations) { o.Servers[1].BehindSince = at.Add(-10 * time.Minute) }},
	})
}

// TestWhoseDSMatchesNoKey: a trust anchor of the DNSZone that is of no key is not blamed on the parent.
func TestWhoseDSMatchesNoKey(t *testing.T) {
	newZone(t)
	wrong := ds(common.spare, 2)
	for _, r := range []struct {
		reason, says, lacks string
		seen                func(*Observations)
	}{
		{"an anchor of the zone, and the parent was not asked", "spec.dnssec.trustAnchors", "validating resolvers refuse", func(o *Observations) {
			o.Parents, o.Anchors, o.DS = nil, []dnssec.Anchor{wrong}, []*dns.DS{wrong}
		}},
		{"found from above, and the parent was not asked again", "have the DS records replaced", "trustAnchors", func(o *Observations) {
			o.Parents, o.Anchors, o.DS = nil, nil, []*dns.DS{wrong}
		}},
		{"the parent's own, beside an anchor", "have the DS records replaced", "trustAnchors", func(o *Observations) {
			o.Parents, o.Anchors = []Parent{parent(t, "p1", wrong), parent(t, "p2", wrong)}, []dnssec.Anchor{wrong}
		}},
	} {
		report := row{reason: r.reason, seen: r.seen}.judge(t)
		i := slices.IndexFunc(report.Findings, func(f Finding) bool { return f.Code == DSMatchesNoKey })
		if i < 0 || !strings.Contains(report.Findings[i].Message, r.says) || strings.Contains(report.Findings[i].Message, r.lacks) {
			t.Errorf("%s: %+v, want a finding that says %q and not %q", r.reason, report.Findings, r.says, r.lacks)
		}
	}
}

func TestDelegation(t *testing.T) {
	parents := func(t *testing.T, first, second []*dns.DS) func(*Observations) {
		return func(o *Observations) { o.Parents = []Parent{parent(t, "p1", first...), parent(t, "p2", second...)} }
	}
	both := func(of ...*dns.DS) func(*Observations) { return parents(t, of, of) }
	newZone(t)
	odd := ds(common.ksk, 2)
	odd.DigestType, odd.Digest = 99, "abcd"
	check(t, []row{
		{reason: "the DS records are of another key", want: "DSMatchesNoKey", seen: both(ds(common.spare, 2))},
		{reason: "the anchor is of another key, and the parent was not asked", want: "DSMatchesNoKey", seen: func(o *Observations) {
			o.Parents, o.DS = nil, []*dns.DS{ds(common.spare, 2)}
		}},
		{reason: "one server shows other keys", want: "DSMatchesNoKey@ns2 KeysDiffer", second: func(z *testZone) {
			z.shown, z.entry = []testKey{common.spare, common.zsk}, []testKey{common.spare}
		}},
		{reason: "the DS records match a key that does not sign", want: "DSKeyDoesNotSign", seen: both(ds(common.spare, 2)), zone: func(z *testZone) {
			z.shown = append(z.shown, common.spare)
		}},
		{reason: "an algorithm of the DS records does not sign", want: "AlgorithmDoesNotSign DSAlgorithmDoesNotSign", seen: both(ds(common.ksk, 2), ds(common.second, 2)), zone: func(z *testZone) {
			z.shown = append(z.shown, common.second)
		}},
		{reason: "a DS record for a key that was taken out, beside a good one", want: "DSWithoutKey", seen: both(ds(common.ksk, 2), ds(common.spare, 2))},
		{reason: "an algorithm of the DS records has no key", want: "DSAlgorithmDoesNotSign DSWithoutKey", seen: both(ds(common.ksk, 2), ds(common.second, 2))},
		{reason: "DS records and no keys", want: "DSOfUnsignedZone", zone: unsign},
		{reason: "DS records and no keys at one server", want: "UnsignedAtServer@ns2", second: unsign},
		{reason: "not signed at all", want: "ZoneUnsigned", zone: unsign, seen: both()},
		{reason: "signed without DS records", want: "SignedWithoutDS", seen: both()},
		{reason: "the parent's servers differ", want: "DSDiffers", seen: parents(t, []*dns.DS{ds(common.ksk, 2)}, nil)},
		{reason: "the parent gives the DS records unsigned", want: "DSUnsigned", seen: func(o *Observations) {
			for i := range o.Parents {
				o.Parents[i].DS.Msg.Answer = o.Parents[i].DS.Msg.Answer[:1]
			}
		}},
		{reason: "the parent does not answer", want: "ParentUnanswered", seen: func(o *Observations) {
			for i := range o.Parents {
				o.Parents[i].DS.Msg, o.Parents[i].DS.Problem = nil, "timeout"
			}
		}},
		{reason: "one server of the parent does not answer", seen: func(o *Observations) { o.Parents[1].DS = Reply{Problem: "timeout"} }},
		{reason: "SHA-1 alone", want: "DSDigestWeak DSWithoutSHA256", seen: both(ds(common.ksk, 1))},
		{reason: "SHA-1 beside SHA-256", want: "DSDigestObsolete", seen: both(ds(common.ksk, 1), ds(common.ksk, 2))},
		{reason: "SHA-384 alone", want: "DSWithoutSHA256", seen: both(ds(common.ksk, 4))},
		{reason: "a digest type that nobody knows", want: "DSDigestUnknown", seen: both(ds(common.ksk, 2), odd)},
		{reason: "nothing but a digest type that nobody knows", want: "DSDigestUnknown DSUnsupported DSWithoutSHA256", seen: both(odd)},
		{reason: "an anchor that the parent does not have", want: "AnchorNotInDS", seen: func(o *Observations) { o.Anchors = []*dns.DS{ds(common.spare, 2)} }},
		{reason: "an anchor that the parent has", seen: func(o *Observations) { o.Anchors = []*dns.DS{ds(common.ksk, 2)} }},
	})
}

// wildcard makes addresses come from a wildcard.
func wildcard(z *testZone) {
	z.drop(host, dns.TypeA)
	z.drop(owner, dns.TypeTLSA)
	z.add("*.example.test. 3600 A 192.0.2.9")
}

// unsign takes keys and signatures out of a zone.
func unsign(z *testZone) { z.shown, z.entry, z.data = nil, nil, nil }

func TestBounded(t *testing.T) {
	o := observe(t, newZone(t), newZone(t))
	for i := range 2 * MaxFindings {
		o.Servers = append(o.Servers, Server{Label: fmt.Sprintf("ns%03d", i), Stream: []Reply{{Name: apex, Type: dns.TypeSOA, Problem: "timeout"}}})
	}
	o.Parents[0].DS.Msg.Answer = []dns.RR{ds(common.spare, 2)}
	o.Parents[1] = o.Parents[0]
	report := Judge(o)
	if len(report.Findings) != MaxFindings || report.Findings[0].Code != DSMatchesNoKey {
		t.Errorf("%d findings, the first is %v", len(report.Findings), report.Findings[0])
	}
	if again := Judge(o); !slices.Equal(again.Findings, report.Findings) {
		t.Error("the same observations give other findings")
	}
}

func TestExpiry(t *testing.T) {
	first, second := newZone(t), newZone(t)
	second.left = 9 * day
	report := Judge(observe(t, first, second))
	if !report.SignaturesExpire.Equal(at.Add(9*day)) || len(report.Expire) != 2 || !report.Expire[0].Equal(at.Add(10*day)) {
		t.Errorf("%v %v", report.SignaturesExpire, report.Expire)
	}
	// The longest of several signatures of one algorithm counts.
	both := newZone(t)
	both.data = []testKey{common.zsk, common.ksk}
	both.alter = func(_ []dns.RR, sig *dns.RRSIG) {
		if sig.KeyTag == common.zsk.KeyTag() {
			sig.Expiration = uint32(at.Add(day).Unix())
		}
	}
	if report := Judge(observe(t, both, both)); !report.SignaturesExpire.Equal(at.Add(10 * day)) {
		t.Errorf("of two signatures: %v", report.SignaturesExpire)
	}
	o := observe(t, first, second)
	o.Servers[1].Ignored = true
	if report := Judge(o); !report.SignaturesExpire.Equal(at.Add(10 * day)) {
		t.Errorf("an excepted server counts: %v", report.SignaturesExpire)
	}
}

// An update server that no resolver meets may be behind the signer, and number its versions by itself.
func TestHiddenPrimary(t *testing.T) {
	unsigned := newZone(t)
	unsign(unsigned)
	o := observe(t, newZone(t), newZone(t))
	hidden := unsigned.server("primary")
	hidden.Hidden, hidden.Packet = true, nil
	o.Servers = append(o.Servers, hidden)
	if got := codesOf(Judge(o).Findings); got != "UnsignedAtServer@primary" {
		t.Errorf("%s", got)
	}
	for _, f := range Judge(o).Findings {
		if f.Severity != Notice {
			t.Errorf("%+v", f)
		}
	}
	unsigned.drop(apex, dns.TypeSOA)
	unsigned.add(apex + " 3600 SOA ns1.example.test. hostmaster.example.test. 9 3600 600 604800 300")
	o.Servers[2] = unsigned.server("primary")
	o.Servers[2].Hidden = true
	if got := Lagging(apex, o.Servers); slices.Contains(got, true) {
		t.Errorf("behind the hidden primary: %v", got)
	}
}

func TestExceptedServers(t *testing.T) {
	o := observe(t, newZone(t), newZone(t))
	silence(&o, 1, "connection refused")
	for ignored, want := range map[bool]Severity{false: Warning, true: Notice} {
		o.Servers[1].Ignored = ignored
		if found := Judge(o).Findings; len(found) != 1 || found[0].Severity != want {
			t.Errorf("excepted %t: %v", ignored, found)
		}
	}
}

func TestLagging(t *testing.T) {
	first, second := newZone(t), newZone(t)
	second.drop(apex, dns.TypeSOA)
	second.add(apex + " 3600 SOA ns1.example.test. hostmaster.example.test. 4294967290 3600 600 604800 300")
	third := newZone(t)
	third.drop(apex, dns.TypeSOA)
	third.add(apex + " 3600 SOA ns.provider.test. hostmaster.example.test. 4294967200 3600 600 604800 300")
	servers := []Server{first.server("a"), second.server("b"), third.server("c"), {Label: "silent"}}
	if got := Lagging(apex, servers); !slices.Equal(got, []bool{false, true, false, false}) {
		t.Errorf("%v", got)
	}
}

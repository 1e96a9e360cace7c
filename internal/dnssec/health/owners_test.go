package health

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// withOwners has what is asked about a host stand beside what is asked about the zone, as about the second of two owners;
// of the first there is nothing to say.
func withOwners(o *Observations) {
	o.Owners = []string{"_25._tcp.mx2." + apex, owner}
	for i := range o.Servers {
		s := &o.Servers[i]
		at := slices.IndexFunc(s.Stream, func(r Reply) bool { return r.Name == owner })
		s.Hosts = [][]Reply{nil, s.Stream[at:]}
		s.Stream = s.Stream[:at]
	}
}

// TestFindingsOfOwners: what is wrong at an owner is told of it alone, and what is wrong with the zone is not told of an
// owner again.
func TestFindingsOfOwners(t *testing.T) {
	for _, c := range []struct {
		row
		owner string
	}{
		{row{reason: "nothing"}, ""},
		{row{reason: "the address", zone: func(z *testZone) {
			z.alter = func(set []dns.RR, sig *dns.RRSIG) {
				if set[0].Header().Rrtype == dns.TypeA {
					sig.Expiration = uint32(at.Add(-time.Hour).Unix())
				}
			}
		}}, "SignatureExpired"},
		{row{reason: "the keys", want: "DSKeyDoesNotSign", seen: func(o *Observations) {
			o.Parents = []Parent{parent(t, "p1", ds(common.zsk, 2))}
		}}, ""},
		{row{reason: "a question about the host, on one server", seen: func(o *Observations) {
			o.Servers[0].Hosts[1][3].Msg = nil
		}}, "QuestionUnanswered@ns1"},
		{row{reason: "a question about the zone, on one server", want: "QuestionUnanswered@ns1", seen: func(o *Observations) {
			reply(o, 0, apex, dns.TypeMX, func(r *Reply) { r.Msg = nil })
		}}, ""},
		{row{reason: "one of either", want: "QuestionUnanswered@ns1", seen: func(o *Observations) {
			reply(o, 0, apex, dns.TypeMX, func(r *Reply) { r.Msg = nil })
			o.Servers[0].Hosts[1][3].Msg = nil
		}}, "QuestionUnanswered@ns1"},
		{row{reason: "the MX host is an alias", zone: func(z *testZone) {
			z.drop(host, dns.TypeA)
			z.add(host + " 300 CNAME elsewhere.")
		}}, "MXIsAlias"},
		{row{reason: "a server was not asked about owners", seen: func(o *Observations) { o.Servers[1].Hosts = nil }}, ""},
	} {
		seen := c.seen
		c.seen = func(o *Observations) {
			withOwners(o)
			if seen != nil {
				seen(o)
			}
		}
		report := c.judge(t)
		if got := codesOf(report.Findings); got != c.want {
			t.Errorf("%s: of the zone is told %q, want %q", c.reason, got, c.want)
		}
		if len(report.Owners) != 2 || len(report.Owners[0].Findings) > 0 {
			t.Fatalf("%s: of the owners is told %+v", c.reason, report.Owners)
		}
		if got := codesOf(report.Owners[1].Findings); got != c.owner {
			t.Errorf("%s: of the owner is told %q, want %q: %v", c.reason, got, c.owner, report.Owners[1].Findings)
		}
		for _, f := range report.Owners[1].Findings {
			if strings.Contains(f.Message, apex+" MX") {
				t.Errorf("%s: what is wrong with the zone is told of the owner: %s", c.reason, f.Message)
			}
		}
	}
}

// TestSignaturesOfOwners: when those about an owner run out is told of it.
func TestSignaturesOfOwners(t *testing.T) {
	soon := at.Add(9 * day)
	report := (row{zone: func(z *testZone) {
		z.alter = func(set []dns.RR, sig *dns.RRSIG) {
			if set[0].Header().Rrtype == dns.TypeTLSA {
				sig.Expiration = uint32(soon.Unix())
			}
		}
	}, seen: withOwners}).judge(t)
	if want := at.Add(10 * day); !report.SignaturesExpire.Equal(want) || !report.Expire[0].Equal(want) {
		t.Errorf("of the zone it is %s, want %s", report.SignaturesExpire, want)
	}
	if !slices.Equal(report.Owners[1].Expire, []time.Time{soon, soon}) || !slices.Equal(report.Owners[0].Expire, []time.Time{{}, {}}) {
		t.Errorf("of the owners it is %v and %v", report.Owners[0].Expire, report.Owners[1].Expire)
	}
}

func TestJoin(t *testing.T) {
	of := func(code Code, server, message string) Finding {
		return Finding{Code: code, Severity: code.Severity(), Server: server, Message: message}
	}
	got := Join(
		[]Finding{of(NoTCP, "ns1", "a"), of(RefreshLate, "ns1", "b"), of(RefreshLate, "ns2", "b"), of(RefreshLate, "ns1", "c")},
		[]Finding{of(NoTCP, "ns1", "a"), of(RefreshLate, "", "b"), of(DenialUnproven, "ns1", "d")},
		nil,
	)
	want := []Finding{of(DenialUnproven, "ns1", "d"), of(NoTCP, "ns1", "a"), of(RefreshLate, "", "b"), of(RefreshLate, "ns1", "c")}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	var many []Finding
	for i := range 2 * MaxFindings {
		many = append(many, of(NoTCP, strings.Repeat("x", i), "a"))
	}
	if got := Join(many[1:], many[:1]); len(got) != 1 {
		t.Errorf("what is true of the zone is told of %d servers too", len(got)-1)
	}
	if got := Join(many[1:]); len(got) != MaxFindings {
		t.Errorf("%d findings", len(got))
	}
}

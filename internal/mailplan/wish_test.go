package mailplan_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/mailplan"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
)

// TestWishes: each record in its one form, or the field and the rule that it breaks.
func TestWishes(t *testing.T) {
	policy := mailrecord.Policy{Mode: mailrecord.ModeEnforce, MaxAge: 7 * 24 * time.Hour, MX: []string{"mx1.example.com"}}
	hosts := []string{"mx1.example.com"}
	long := make([]string, 32)
	for i := range long {
		long[i] = "ip6:2001:db8:1:2:3:4:5:6"
	}
	for _, c := range []struct {
		reason string
		got    mailplan.Wish
		want   string
		fails  []string
	}{
		{"TLS-RPT", mailplan.TLSRPTWish("example.com", mailrecord.TLSRPT{URIs: []string{"mailto:a@example.net", "https://example.net/x"}}), `"v=TLSRPTv1; rua=mailto:a@example.net,https://example.net/x;"`, nil},
		{"a URI that is none", mailplan.TLSRPTWish("example.com", mailrecord.TLSRPT{URIs: []string{"mailto:nobody"}}), "", []string{"spec.tlsReporting.rua: ", "RFC 8460 section 3"}},
		{"SPF", mailplan.SPFWish([]string{"+mx", "ip4:192.0.2.0/24"}, "-"), `"v=spf1 mx ip4:192.0.2.0/24 -all"`, nil},
		{"SPF that is longer than one string", mailplan.SPFWish(long, "~"), "", nil},
		{"an address that is none", mailplan.SPFWish([]string{"ip4:192.0.2.300"}, "-"), "", []string{"spec.spf.mechanisms: ", "RFC 7208 section 5.6"}},
		{"a mechanism that hides another", mailplan.SPFWish([]string{"mx -all"}, "-"), "", []string{"spec.spf"}},
		{"DMARC", mailplan.DMARCWish(mailrecord.DMARC{Policy: mailrecord.DispositionReject, ASPF: "s", RUA: []string{"mailto:a@example.net"}}), `"v=DMARC1; p=reject; aspf=s; rua=mailto:a@example.net"`, nil},
		{"reports to nobody", mailplan.DMARCWish(mailrecord.DMARC{Policy: mailrecord.DispositionNone, RUA: []string{"mailto:@example.net"}}), "", []string{"spec.dmarc.rua: ", "RFC 9989"}},
		{"MTA-STS", mailplan.MTASTSWish(policy, hosts), `"v=STSv1; id=`, nil},
		{"a server that the policy does not name", mailplan.MTASTSWish(policy, []string{"mx1.example.com", "mx9.example.com"}), "", []string{"spec.mailServers: ", "mx9.example.com", "RFC 8461 section 4.1"}},
	} {
		if len(c.fails) == 0 {
			if c.got.Invalid != "" || len(c.got.Data) != 1 || !strings.HasPrefix(c.got.Data[0], c.want) {
				t.Errorf("%s: %v %s", c.reason, c.got.Data, c.got.Invalid)
			}
			continue
		}
		for _, part := range c.fails {
			if len(c.got.Data) > 0 || !strings.Contains(c.got.Invalid, part) {
				t.Errorf("%s: %v %q, want %q", c.reason, c.got.Data, c.got.Invalid, part)
			}
		}
	}
	if got := mailplan.SPFWish(long, "~").Data[0]; strings.Count(got, `" "`) != 3 {
		t.Errorf("a long text is not cut into strings: %s", got)
	}
}

// TestPolicyID: the id is another one for each policy, and the same for the same.
func TestPolicyID(t *testing.T) {
	policy := mailrecord.Policy{Mode: mailrecord.ModeTesting, MaxAge: 7 * 24 * time.Hour, MX: []string{"mx1.example.com"}}
	first := mailplan.MTASTSWish(policy, nil)
	if again := mailplan.MTASTSWish(policy, nil); again.Data[0] != first.Data[0] || again.Policy != policy.Render() {
		t.Errorf("%v and %v", again, first)
	}
	seen := map[string]bool{first.Data[0]: true}
	for _, edit := range []func(*mailrecord.Policy){
		func(p *mailrecord.Policy) { p.Mode = mailrecord.ModeEnforce },
		func(p *mailrecord.Policy) { p.MaxAge *= 2 },
		func(p *mailrecord.Policy) { p.MX = []string{"mx1.example.com", "mx2.example.com"} },
	} {
		p := policy
		edit(&p)
		w := mailplan.MTASTSWish(p, nil)
		if len(w.Data) != 1 || seen[w.Data[0]] {
			t.Errorf("%+v: %v", p, w)
		}
		seen[w.Data[0]] = true
	}
}

// resolver answers TXT questions.
type resolver map[string]string

func (r resolver) Lookup(_ context.Context, name string, qtype uint16) mailrecord.Answer {
	text, ok := r[name]
	switch {
	case text == "SERVFAIL":
		return mailrecord.Answer{Cause: "SERVFAIL"}
	case !ok || qtype != mailrecord.TypeTXT:
		return mailrecord.Answer{}
	}
	return mailrecord.Answer{RRs: []dns.RR{&dns.TXT{Txt: []string{text}}}}
}

// TestSPFLimits: what is included counts.
func TestSPFLimits(t *testing.T) {
	r := resolver{
		"_spf.example.net": "v=spf1 include:a.example.net include:b.example.net -all", "down.example.net": "SERVFAIL",
		"a.example.net": "v=spf1 exists:1.example.net exists:2.example.net exists:3.example.net exists:4.example.net -all",
		"b.example.net": "v=spf1 ip4:192.0.2.1 -all", "many.example.net": "v=spf1" + strings.Repeat(" exists:%{i}.example.net", 10) + " -all",
	}
	for _, c := range []struct {
		reason           string
		mechanisms       []string
		counts           bool
		invalid, unknown string
	}{
		{"addresses alone", []string{"ip4:192.0.2.1"}, false, "", ""},
		{"one that is there", []string{"include:b.example.net"}, true, "", ""},
		{"one that is not", []string{"include:gone.example.net"}, true, "include", ""},
		{"eleven by what is included", []string{"include:many.example.net"}, true, "11 terms of at most 10", ""},
		{"four lookups that find nothing", []string{"include:_spf.example.net"}, true, "find nothing", ""},
		{"one that does not answer", []string{"include:down.example.net"}, true, "", "SERVFAIL"},
	} {
		data := mailplan.SPFWish(c.mechanisms, "-").Data
		if got := mailplan.NeedsCount(data); got != c.counts {
			t.Errorf("%s: needs count: %t", c.reason, got)
		}
		got := mailplan.SPFLimits(t.Context(), r, "example.com", data)
		if (got.Invalid == "") != (c.invalid == "") || !strings.Contains(got.Invalid, c.invalid) || (got.Unknown == "") != (c.unknown == "") || !strings.Contains(got.Unknown, c.unknown) {
			t.Errorf("%s: %+v", c.reason, got)
		}
		if got.Invalid != "" && !strings.HasPrefix(got.Invalid, "spec.spf.") {
			t.Errorf("%s: no field is named: %s", c.reason, got.Invalid)
		}
	}
	if mailplan.NeedsCount(nil) || mailplan.NeedsCount([]string{"x"}) {
		t.Error("no record needs a count")
	}
}

// TestDMARCConsents: those elsewhere that reports go to are asked, by the rule and with what they have to publish.
func TestDMARCConsents(t *testing.T) {
	r := resolver{"example.com._report._dmarc.willing.example": "v=DMARC1", "example.com._report._dmarc.down.example": "SERVFAIL"}
	for _, c := range []struct {
		reason           string
		rua, ruf         []string
		reported         []string
		invalid, unknown string
	}{
		{"nobody is reported to", nil, nil, nil, "", ""},
		{"the domain itself", []string{"mailto:a@example.com", "mailto:b@sub.example.com"}, nil, nil, "", ""},
		{"one that agrees", []string{"mailto:a@willing.example"}, nil, []string{"willing.example"}, "", ""},
		{"one that does not", []string{"mailto:a@willing.example", "mailto:a@other.example"}, nil, []string{"willing.example", "other.example"}, "example.com._report._dmarc.other.example", ""},
		{"one that failure reports go to", nil, []string{"mailto:a@other.example"}, []string{"other.example"}, `"v=DMARC1"`, ""},
		{"one that does not answer", []string{"mailto:a@down.example"}, nil, []string{"down.example"}, "", "SERVFAIL"},
	} {
		data := mailplan.DMARCWish(mailrecord.DMARC{Policy: mailrecord.DispositionNone, RUA: c.rua, RUF: c.ruf}).Data
		if got := mailplan.Reported("example.com", data); !slices.Equal(got, c.reported) {
			t.Errorf("%s: reports go to %v, want %v", c.reason, got, c.reported)
		}
		got := mailplan.DMARCConsents(t.Context(), r, "example.com", data)
		if (got.Invalid == "") != (c.invalid == "") || !strings.Contains(got.Invalid, c.invalid) || (got.Unknown == "") != (c.unknown == "") || !strings.Contains(got.Unknown, c.unknown) {
			t.Errorf("%s: %+v", c.reason, got)
		}
		if got.Invalid != "" && !strings.HasPrefix(got.Invalid, "spec.dmarc.rua: ") {
			t.Errorf("%s: no field is named: %s", c.reason, got.Invalid)
		}
	}
}

// TestAgreed: an agreement counts when every server shows one that is not ours.
func TestAgreed(t *testing.T) {
	const ours, theirs = `"v=DMARC1"`, `"v=DMARC1; rua=mailto:a@other.example"`
	answer := func(reachable bool, data ...string) mailplan.Answer {
		return mailplan.Answer{Server: "ns", Reachable: reachable, Data: data}
	}
	ignored := answer(false)
	ignored.Ignored = true
	for _, c := range []struct {
		reason string
		sweep  []mailplan.Answer
		own    []string
		want   bool
	}{
		{"nobody was asked", nil, nil, false},
		{"nothing stands", []mailplan.Answer{answer(true), answer(true)}, nil, false},
		{"one of somebody else's", []mailplan.Answer{answer(true, theirs), answer(true, theirs, `"x"`)}, nil, true},
		{"what we would write, by hand", []mailplan.Answer{answer(true, ours)}, nil, true},
		{"ours", []mailplan.Answer{answer(true, ours)}, []string{ours}, false},
		{"one server lags", []mailplan.Answer{answer(true, theirs), answer(true)}, nil, false},
		{"one server is silent", []mailplan.Answer{answer(true, theirs), answer(false)}, nil, false},
		{"one that does not count is silent", []mailplan.Answer{answer(true, theirs), ignored}, nil, true},
		{"another text", []mailplan.Answer{answer(true, `"v=spf1 -all"`)}, nil, false},
	} {
		f := mailplan.Facts{Record: mailplan.DMARCReport, Own: c.own}
		if c.sweep != nil {
			f.Sweep = &mailplan.Sweep{Answers: c.sweep}
		}
		if got := f.Agreed(); got != c.want {
			t.Errorf("%s: %t", c.reason, got)
		}
	}
}

package sendercheck_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/sendercheck"
)

// whole is a domain with everything as it should be, but for the policy, which is fetched elsewhere.
func whole(more ...string) zone {
	z := records(append([]string{
		`_smtp._tls.example.com. 60 IN TXT "v=TLSRPTv1; rua=mailto:tls@example.net"`,
		`example.com. 60 IN TXT "site-verification=1"`, `example.com. 60 IN TXT "v=spf1 mx -all"`,
		`_dmarc.example.com. 60 IN TXT "v=DMARC1; p=reject; rua=mailto:dmarc@example.com"`,
		`good._domainkey.example.com. 60 IN TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="`,
	}, more...)...)
	for name, rrs := range example {
		z[name] = append(z[name], rrs...)
	}
	return z
}

// without is the domain without what stands at some names.
func (z zone) without(names ...string) zone {
	for _, name := range names {
		delete(z, name)
	}
	return z
}

// failing answers some names as bogus or not at all.
type failing struct {
	zone
	states map[string]dnssec.State
}

func (f failing) Lookup(ctx context.Context, name string, qtype uint16) dnssec.Result {
	if state, ok := f.states[name]; ok {
		return dnssec.Result{State: state, Cause: &dnssec.Error{Reason: dnssec.Unreachable, Subject: name, Detail: "as told"}}
	}
	return f.zone.Lookup(ctx, name, qtype)
}

// grades checks a domain without connecting, and gives its parts by name.
func grades(t *testing.T, r senderview.Resolver, selectors ...string) map[string]sendercheck.PartReport {
	t.Helper()
	report := sendercheck.Checker{Resolver: r, Now: time.Now, Selectors: selectors}.Check(t.Context(), "example.com", 25)
	out := map[string]sendercheck.PartReport{}
	for _, p := range report.Parts {
		if p.Advice == "" || strings.ContainsAny(p.Advice, "\n\x1b") {
			t.Errorf("%s: the advice is %q", p.Part, p.Advice)
		}
		out[strings.TrimSpace(string(p.Part)+" "+p.Selector)] = p
	}
	return out
}

// TestParts changes one thing of a domain at a time, and wants the grade of that part to tell.
func TestParts(t *testing.T) {
	const txt = " TXT"
	for _, c := range []struct {
		reason string
		r      senderview.Resolver
		part   string
		grade  sendercheck.Grade
		says   string
	}{
		{"MX records", whole(), "MX", sendercheck.Good, "mx1.example.com, mx2.example.com"},
		{"a null MX", records("example.com. 60 IN MX 0 ."), "MX", sendercheck.Good, "takes no mail"},
		{"no MX records", records("example.com. 60 IN A 192.0.2.1"), "MX", sendercheck.Improve, "no MX records"},
		{"a host without address", whole("example.com. 60 IN MX 30 mx3.example.com."), "MX", sendercheck.Improve, "mx3.example.com"},
		{"no host has one", records("example.com. 60 IN MX 30 mx3.example.com."), "MX", sendercheck.Broken, "mx3.example.com"},
		{"the MX lookup fails", failing{whole(), map[string]dnssec.State{"example.com.": dnssec.Indeterminate}}, "MX", sendercheck.Unknown, "as told"},
		{"all of it is signed", whole(), "DNSSEC", sendercheck.Good, "signed"},
		{"the MX lookup is bogus", failing{whole(), map[string]dnssec.State{"example.com.": dnssec.Bogus}}, "DNSSEC", sendercheck.Broken, "bogus"},
		{"an address is bogus", failing{whole(), map[string]dnssec.State{"mx2.example.com.": dnssec.Bogus}}, "DNSSEC", sendercheck.Broken, "mx2.example.com"},
		{"one host has no TLSA records", whole(), "DANE", sendercheck.Missing, "mx2.example.com"},
		{"the domain takes no mail", records("example.com. 60 IN MX 0 ."), "DANE", sendercheck.NotNeeded, "null MX"},
		{"reports go elsewhere", whole(), "TLS-RPT", sendercheck.Good, "mailto:tls@example.net"},
		{"no reports", whole().without("_smtp._tls.example.com." + txt), "TLS-RPT", sendercheck.Missing, "v=TLSRPTv1; rua="},
		{"two records", whole(`_smtp._tls.example.com. 60 IN TXT "v=TLSRPTv1; rua=mailto:b@example.net"`), "TLS-RPT", sendercheck.Broken, "2 of them"},
		{"bogus for everybody who validates", failing{whole(), map[string]dnssec.State{"_smtp._tls.example.com.": dnssec.Bogus}}, "TLS-RPT", sendercheck.Broken, "bogus"},
		{"nobody answers", failing{whole(), map[string]dnssec.State{"_smtp._tls.example.com.": dnssec.Indeterminate}}, "TLS-RPT", sendercheck.Unknown, "as told"},
		{"not needed without mail", records("example.com. 60 IN MX 0 ."), "TLS-RPT", sendercheck.NotNeeded, "takes no mail"},
		{"no MTA-STS", whole(), "MTA-STS", sendercheck.Missing, "https://mta-sts.example.com/.well-known/mta-sts.txt"},
		{"a policy that is not fetched", whole(`_mta-sts.example.com. 60 IN TXT "v=STSv1; id=1"`), "MTA-STS", sendercheck.NotChecked, "not fetched"},
		{"a broken record is broken all the same", whole(`_mta-sts.example.com. 60 IN TXT "v=STSv1; id=2026-01-01"`), "MTA-STS", sendercheck.Broken, "id"},
		{"SPF beside a foreign text", whole(), "SPF", sendercheck.Good, "1 of at most 10"},
		{"no SPF", whole().without("example.com." + txt), "SPF", sendercheck.Missing, "v=spf1 mx ~all"},
		{"no SPF, and no mail", records("example.com. 60 IN MX 0 ."), "SPF", sendercheck.Missing, "v=spf1 -all"},
		{"a second SPF record", whole(`example.com. 60 IN TXT "v=spf1 -all"`), "SPF", sendercheck.Broken, "permerror"},
		{"DMARC at its end", whole(), "DMARC", sendercheck.Good, "receivers refuse mail that is not proved to be from the domain"},
		{"no DMARC", whole().without("_dmarc.example.com." + txt), "DMARC", sendercheck.Missing, "begin with"},
		{"DMARC by the public suffix", whole(`_dmarc.com. 60 IN TXT "v=DMARC1; p=reject; psd=y; rua=mailto:a@nic.com"`).without("_dmarc.example.com." + txt), "DMARC", sendercheck.Good, "by the record of com"},
		{"nobody answers for DMARC", failing{whole(), map[string]dnssec.State{"_dmarc.example.com.": dnssec.Indeterminate}}, "DMARC", sendercheck.Unknown, "_dmarc.example.com"},
		{"the key of a selector", whole(), "DKIM good", sendercheck.Good, "ed25519 with 256 bits"},
		{"a selector without key", whole(), "DKIM none", sendercheck.Missing, "none._domainkey.example.com"},
	} {
		got, ok := grades(t, c.r, "good", "none")[c.part]
		if !ok || got.Grade != c.grade || !strings.Contains(got.Advice, c.says) {
			t.Errorf("%s: %s is %q: %q", c.reason, c.part, got.Grade, got.Advice)
		}
	}
	if got := grades(t, whole())["DKIM"]; got.Grade != sendercheck.NotChecked {
		t.Errorf("without a selector: %+v", got)
	}
}

// TestPartsDoNotChangeTheVerdict: it is what senders with DANE do, whatever else the domain has.
func TestPartsDoNotChangeTheVerdict(t *testing.T) {
	for reason, z := range map[string]zone{"all is there": whole(), "nothing is": example} {
		report := sendercheck.Checker{Resolver: z, Now: time.Now}.Check(t.Context(), "example.com", 25)
		if report.Verdict != senderview.Opportunistic {
			t.Errorf("%s: %s", reason, report.Verdict)
		}
	}
}

// TestDMARCAdvice names the next step from none over quarantine to reject.
func TestDMARCAdvice(t *testing.T) {
	for text, want := range map[string]struct {
		grade sendercheck.Grade
		says  string
	}{
		"v=DMARC1; p=none":                                       {sendercheck.Improve, "add rua="},
		"v=DMARC1; p=none; rua=mailto:a@example.com":             {sendercheck.Improve, "receivers deliver mail that is not proved to be from the domain like any other; go on to p=quarantine"},
		"v=DMARC1; p=reject; t=y; rua=mailto:a@example.com":      {sendercheck.Improve, "receivers treat mail that is not proved to be from the domain as suspicious, most often as spam; take t=y away"},
		"v=DMARC1; p=quarantine; rua=mailto:a@example.com":       {sendercheck.Good, "as suspicious, most often as spam; go on to p=reject"},
		"v=DMARC1; p=reject; rua=mailto:a@example.com":           {sendercheck.Good, "receivers refuse mail that is not proved to be from the domain"},
		"v=DMARC1; p=reject":                                     {sendercheck.Improve, "add rua="},
		"v=DMARC1; p=reject; rua=mailto:a@silent.example":        {sendercheck.Improve, "does not say that it takes them"},
		"v=DMARC1; p=discard":                                    {sendercheck.Broken, "no valid policy"},
		"v=DMARC1; p=quarantine; sp=x; rua=mailto:a@example.com": {sendercheck.Improve, "no policy"},
	} {
		z := whole().without("_dmarc.example.com. TXT")
		for name, rrs := range records(`_dmarc.example.com. 60 IN TXT "` + text + `"`) {
			z[name] = rrs
		}
		if got := grades(t, z)["DMARC"]; got.Grade != want.grade || !strings.Contains(got.Advice, want.says) {
			t.Errorf("%s: %s: %s", text, got.Grade, got.Advice)
		}
	}
}

// allowed are networks of tests: documentation addresses are nobody's.
var allowed = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}

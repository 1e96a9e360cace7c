package plugin

import (
	"io"
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
	"github.com/dane-operator/dane-operator/internal/sendercheck"
)

var report = sendercheck.Report{
	Domain: "example.com", Verdict: senderview.Undeliverable, Message: "mx2.example.com cannot be delivered to",
	Hosts: []sendercheck.HostReport{
		{Host: "mx1.example.com", Verdict: senderview.DANE, Message: "Mail is authenticated.", Base: "mx1.example.com", Records: []string{"3 1 1 00", "3 1 1 01"},
			Endpoints: []sendercheck.EndpointReport{{Address: "192.0.2.1", Presented: senderview.Matched}, {Address: "192.0.2.2", Presented: senderview.Mismatched, Reason: "another key"}}},
		{Host: "mx2.example.com", Verdict: senderview.Undeliverable, Message: "the address is bogus"},
	},
	Parts: []sendercheck.PartReport{
		{Part: sendercheck.PartMX, Grade: sendercheck.Good, Advice: "mail goes to mx1.example.com, mx2.example.com", At: "example.com", DNSSEC: dnssec.Secure},
		{Part: sendercheck.PartTLSRPT, Grade: sendercheck.Missing, Advice: "nobody tells you when TLS fails", At: "_smtp._tls.example.com", DNSSEC: dnssec.Secure},
		{Part: sendercheck.PartMTASTS, Grade: sendercheck.Improve, Advice: "senders report what fails", At: "_mta-sts.example.com", Record: `"v=STSv1; id=1;"`, DNSSEC: dnssec.Secure,
			Policy: &sendercheck.PolicyReport{URL: "https://mta-sts.example.com/.well-known/mta-sts.txt", Mode: mailrecord.ModeTesting, MaxAgeSeconds: 604800, MX: []string{"*.example.com"}}},
		{Part: sendercheck.PartSPF, Grade: sendercheck.Improve, Advice: "two things (and 1 more)", At: "example.com", Record: `"v=spf1 include:_spf.example.net ptr ?all"`, DNSSEC: dnssec.Insecure,
			SPF: &sendercheck.SPFReport{Lookups: 5, VoidLookups: 1, Terms: []sendercheck.SPFTermReport{{Term: "include:_spf.example.net", Lookups: 4}, {Term: "ptr", Lookups: 1}}},
			Problems: mailrecord.Problems{
				{Record: mailrecord.KindSPF, Code: mailrecord.Historic, Severity: mailrecord.Unwise, Tag: "ptr", Rule: "RFC 7208 section 5.5", Message: "it is slow", Advice: "name the addresses"},
				{Record: mailrecord.KindSPF, Code: mailrecord.TooWeak, Severity: mailrecord.Unwise, Tag: "all", Rule: "RFC 7208 section 5.1", Message: "nothing is said of other hosts", Advice: "write ~all"},
			}},
		{Part: sendercheck.PartDKIM, Selector: "2026a", Grade: sendercheck.Good, Advice: "a key of type rsa with 2048 bits", At: "2026a._domainkey.example.com", Record: `"v=DKIM1; p=AAAA"`, DNSSEC: dnssec.Secure},
	},
}

// TestReport compares a report in its three forms.
func TestReport(t *testing.T) {
	for file, format := range map[string]string{"check.txt": "", "check.json": "json", "check.yaml": "yaml"} {
		golden(t, file, func(out io.Writer) error { return writeReport(out, report, format) })
	}
}

// TestCheckExitCodes wants a script to be able to tell what was found.
func TestCheckExitCodes(t *testing.T) {
	for v, want := range map[senderview.Verdict]int{
		senderview.DANE: 0, senderview.NoMail: 0, senderview.EncryptOnly: 2, senderview.Opportunistic: 2, senderview.Undeliverable: 3,
	} {
		if got := ExitCode(exitOf(sendercheck.Report{Verdict: v, Parts: report.Parts}, false)); got != want {
			t.Errorf("%s: exit code %d, want %d", v, got, want)
		}
	}
	for grade, want := range map[sendercheck.Grade]int{
		sendercheck.Good: 0, sendercheck.Improve: 0, sendercheck.NotNeeded: 0, sendercheck.NotChecked: 0,
		sendercheck.Missing: 2, sendercheck.Broken: 2, sendercheck.Unknown: 2,
	} {
		parts := []sendercheck.PartReport{{Part: sendercheck.PartSPF, Grade: grade}}
		if got := ExitCode(exitOf(sendercheck.Report{Verdict: senderview.DANE, Parts: parts}, true)); got != want {
			t.Errorf("--strict, %s: exit code %d, want %d", grade, got, want)
		}
		if got := ExitCode(exitOf(sendercheck.Report{Verdict: senderview.Undeliverable, Parts: parts}, true)); got != 3 {
			t.Errorf("--strict, %s, no mail is delivered: exit code %d", grade, got)
		}
	}
}

// TestCheckRefuses gives what cannot be right, and wants the message to name it.
func TestCheckRefuses(t *testing.T) {
	for names, args := range map[string][]string{
		"Example":         {"Example.com"},
		"-o text":         {"example.com", "-o", "text"},
		"192.0.2.53":      {"example.com", "--resolvers", "192.0.2.53"},
		"--trust-anchors": {"example.com", "--trust-anchors", "testdata/none.ds"},
		"status.txt":      {"example.com", "--trust-anchors", "testdata/status.txt"},
		"--dkim-selector": {"example.com", "--dkim-selector", "a b"},
		"--allow-cidr":    {"example.com", "--allow-cidr", "192.0.2.1"},
	} {
		if _, err := run(append([]string{"check"}, args...)...); err == nil || ExitCode(err) != 1 || !strings.Contains(err.Error(), names) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

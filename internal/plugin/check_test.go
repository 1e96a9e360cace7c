package plugin

import (
	"io"
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/sendercheck"
)

var report = sendercheck.Report{
	Domain: "example.com", Verdict: senderview.Undeliverable, Message: "mx2.example.com cannot be delivered to",
	Hosts: []sendercheck.HostReport{
		{Host: "mx1.example.com", Verdict: senderview.DANE, Message: "Mail is authenticated.", Base: "mx1.example.com", Records: []string{"3 1 1 00", "3 1 1 01"},
			Endpoints: []sendercheck.EndpointReport{{Address: "192.0.2.1", Presented: senderview.Matched}, {Address: "192.0.2.2", Presented: senderview.Mismatched, Reason: "another key"}}},
		{Host: "mx2.example.com", Verdict: senderview.Undeliverable, Message: "the address is bogus"},
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
		if got := ExitCode(exitOf(v)); got != want {
			t.Errorf("%s: exit code %d, want %d", v, got, want)
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
	} {
		if _, err := run(append([]string{"check"}, args...)...); err == nil || ExitCode(err) != 1 || !strings.Contains(err.Error(), names) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

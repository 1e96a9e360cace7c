package plugin

import (
	"bytes"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// inColour is what is written where there are colours and bars.
func inColour(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var out bytes.Buffer
	s, err := newScreen(&out, "always", func([]byte) func() { return func() {} })
	if err := errors.Join(err, write(s)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

var (
	sequence = regexp.MustCompile("\x1b\\[[0-9;]*m")
	bar      = regexp.MustCompile("(?m)^[█░]+ .*\n")
)

// bare is a text without colours and bars.
func bare(text string) string { return bar.ReplaceAllString(sequence.ReplaceAllString(text, ""), "") }

// TestColoursChangeNoLetter: without its colours and bars, what stands at a terminal is what stands in a pipe.
func TestColoursChangeNoLetter(t *testing.T) {
	list := []v1alpha1.MailDomain{*rolling(), {}}
	list[1].Spec.MailServers = list[0].Spec.MailServers
	findings := []finding{{fine, "all is well", ""}, {broken, "a thing of two\nlines", "mend\x1b[31m it"}, {warning, "é…", "look"}}
	for name, write := range map[string]func(io.Writer) error{
		"status":  func(out io.Writer) error { return writeDomain(out, rolling(), noon) },
		"list":    func(out io.Writer) error { return writeDomains(out, list, true, noon) },
		"check":   func(out io.Writer) error { return writeReport(out, report, "") },
		"doctor":  func(out io.Writer) error { return writeFindings(out, findings) },
		"nothing": func(out io.Writer) error { return writeFindings(out, nil) },
	} {
		var plain bytes.Buffer
		if err := write(&plain); err != nil {
			t.Fatal(err)
		}
		painted := inColour(t, write)
		if bare(painted) != plain.String() {
			t.Errorf("%s: at a terminal, without colours:\n%s\nin a pipe:\n%s", name, bare(painted), &plain)
		}
		if strings.ContainsAny(plain.String(), "\x1b█░") {
			t.Errorf("%s: in a pipe there is %q", name, &plain)
		}
		if name != "nothing" && !sequence.MatchString(painted) {
			t.Errorf("%s: no colours", name)
		}
	}
}

// TestColoursTell: what is well is green, what is not is red, and what has to be looked at yellow, each alone.
func TestColoursTell(t *testing.T) {
	md := rolling()
	md.Status.Conditions = append(md.Status.Conditions, condition(v1alpha1.ConditionStalled, "True"), condition(v1alpha1.ConditionSendersReportFailures, "False"), condition(v1alpha1.ConditionDNSSECSecure, "Unknown"))
	status := inColour(t, func(out io.Writer) error { return writeDomain(out, md, noon) })
	checked := inColour(t, func(out io.Writer) error { return writeReport(out, report, "") })
	for _, c := range []struct{ reason, text, in string }{
		{"a condition that should be True", "Ready                   \x1b[32mTrue\x1b[0m", status},
		{"one that is neither good nor bad", "RolloverInProgress      True ", status},
		{"one that should be False", "Stalled                 \x1b[31;1mTrue\x1b[0;22m", status},
		{"one that is False as it should be", "SendersReportFailures   \x1b[32mFalse\x1b[0m", status},
		{"one that is not known", "DNSSECSecure            \x1b[33mUnknown\x1b[0m", status},
		{"what senders do", "Senders: \x1b[32mDANE\x1b[0m. ", status},
		{"a name server", "192.0.2.2:53                   \x1b[31;1mout of sync\x1b[0;22m ", status},
		{"an endpoint", "192.0.2.26 port 25             \x1b[33mnot known\x1b[0m ", status},
		{"the verdict", "example.com\x1b[22m: \x1b[31;1mUndeliverable\x1b[0;22m\n", checked},
		{"a host", "\n\x1b[32mmx1.example.com: DANE\x1b[0m\n---------------------\n", checked},
		{"what a host presents", "192.0.2.2   \x1b[31;1mMismatched\x1b[0;22m ", checked},
		{"a grade", "SPF          \x1b[33mImprove\x1b[0m ", checked},
	} {
		if !strings.Contains(c.in, c.text) {
			t.Errorf("%s: %q is missing in\n%q", c.reason, c.text, c.in)
		}
	}
}

func condition(kind string, status metav1.ConditionStatus) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: "Because"}
}

// TestBars: a wait is drawn as far as it is over, at a terminal alone.
func TestBars(t *testing.T) {
	got := inColour(t, func(out io.Writer) error { return writeDomain(out, rolling(), noon) })
	want := "\x1b[32m" + strings.Repeat("█", 13) + "\x1b[0m" + strings.Repeat("░", 7) + "  66 %  in 60m: key 2b2b2b2b2b2b2b2b may be handed to servers\n"
	if !strings.Contains(got, want) || strings.Count(got, "░ ") != 1 {
		t.Errorf("%q is missing in\n%s", want, got)
	}
}

// TestWhenThereIsColour: nowhere but at a terminal, unless it is asked for; and a choice that there is not is refused.
func TestWhenThereIsColour(t *testing.T) {
	pipe, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	for choice, want := range map[string]bool{"auto": false, "always": true, "never": false} {
		t.Setenv("NO_COLOR", "")
		s, err := newScreen(pipe, choice, func([]byte) func() { return func() {} })
		if err != nil || s.colours != want || s.bars != want {
			t.Errorf("%s: %+v, %v", choice, s, err)
		}
	}
	if out, err := run("explain", "Ready", "--color", "purple"); err == nil || out != "" || !strings.Contains(err.Error(), "--color purple: want auto, always or never") {
		t.Errorf("%v: %s", err, out)
	}
}

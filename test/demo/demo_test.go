package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// limit is how long the demo may take; it takes a minute or two where everything is built.
const limit = 10 * time.Minute

// lastLine is the last but the one that says where to go on.
var lastLine = regexp.MustCompile(`^[1-9][0-9]* sender checks, 0 mismatches$`)

// TestDemo plays the whole demo as "make demo" does.
func TestDemo(t *testing.T) {
	out, err := play(t, build(t))
	if err != nil {
		t.Fatalf("the demo failed: %v; it said\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if last := lines[len(lines)-1]; last != nextPage(false) {
		t.Errorf("the last line is %q, and does not say where to go on", last)
	}
	count := lines[max(len(lines)-2, 0)]
	if !lastLine.MatchString(count) {
		t.Errorf("the line before the last is %q, want it to match %s", count, lastLine)
	}
	t.Log(count)
	readable(t, lines)
	if t.Failed() {
		t.Logf("the demo said\n%s", out)
	}
	policy, enforced, grade := "MTASTS Published", `MTASTS at _mta-sts.example.test: "v=STSv1; id=`, "MTA-STS  Good"
	if why := closed(policyListen()); why != "" {
		t.Logf("the demo cannot serve the policy of MTA-STS here: %s", why)
		if os.Getenv("CI") == "true" {
			t.Error("that is no demo of the whole domain")
		}
		policy, enforced, grade = "MTASTS Waiting", "", "MTA-STS  Missing"
	}
	// It is shown when the picture is drawn next.
	if others := "others     MX Published, TLSRPT Published, " + policy + ", SPF Published, DMARC Published"; !strings.Contains(out, others) {
		t.Errorf("the output lacks %q", others)
	}
	rest := out
	for _, want := range []string{
		"How to read it",
		"── 1. first publication",
		"applying test/demo/manifests/issuer.yaml",
		"applying test/demo/manifests/certificate.yaml",
		"applying test/demo/manifests/dnszone.yaml",
		"applying test/demo/manifests/maildomain.yaml",
		"DNSSEC     Secure",
		"MX at example.test: 10 mx1.example.test.",
		`DMARC at _dmarc.example.test: "v=DMARC1; p=none; rua=mailto:dmarc@example.test"`,
		"can be signed with: every cache knows its record",
		"── 2. renewal with a standby key",
		"── 3. renewal without a standby key",
		"── 4. emergency",
		"── 5. the whole domain",
		enforced,
		"kubectl dane check example.test: DANE\n",
		"MX       Good",
		"DNSSEC   Good",
		"DANE     Good",
		"TLS-RPT  Good",
		grade,
		"SPF      Good",
		"DMARC    Improve",
		"DKIM     Good",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("the output lacks %q, or has it in another order:\n%s", want, out)
		}
		rest = after
	}
}

// readable wants lines that fit, and nothing that looks like a failure without a word that it is expected.
func readable(t *testing.T, lines []string) {
	t.Helper()
	for i, line := range lines {
		if len([]rune(line)) > maxWidth {
			t.Errorf("a line is too wide: %s", line)
		}
		if strings.Contains(line, "failed") && !strings.Contains(strings.Join(lines[i:min(i+3, len(lines))], " "), "expected") {
			t.Errorf("something failed, and it does not say that it is expected: %s", line)
		}
	}
}

// build builds the demo.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "demo")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build the demo: %v\n%s", err, out)
	}
	return program
}

// play runs the demo until its end, with its output not a terminal.
func play(t *testing.T, program string) (string, error) {
	t.Helper()
	end := time.Now().Add(limit)
	if d, ok := t.Deadline(); ok && d.Add(-time.Minute).Before(end) {
		end = d.Add(-time.Minute) // it takes a while to stop
	}
	ctx, cancel := context.WithDeadline(t.Context(), end)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "DEMO_KEEP=") })
	cmd.Stdout, cmd.Stderr = &out, &out
	// It stops its servers when it is told to end.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 45 * time.Second
	err := cmd.Run()
	return out.String(), err
}

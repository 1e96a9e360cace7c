package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/dane-operator/dane-operator/internal/plugin"
)

var (
	ofPlugin = regexp.MustCompile("(?m)^- `kubectl dane ([a-z]+)")
	aFlag    = regexp.MustCompile("`[^`\n]*--([a-z-]+)[^`\n]*`")
	shown    = regexp.MustCompile("(?ms)^```\n(.*?)^```")
)

// exits is a row of the table of exit codes: the commands, and what 0, 1, 2 and 3 mean of them.
var exits = regexp.MustCompile("(?m)^\\| (`[a-z`, ]+) \\| ([^|]+) \\| ([^|]+) \\| ([^|]*) ?\\| ?([^|]*) ?\\|$")

// TestExitCodesStandInOneTable: it has every command once, and a command that tells by its exit code what it found says
// so in its help.
func TestExitCodesStandInOneTable(t *testing.T) {
	text, err := os.ReadFile("kubectl-dane.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "\n## Exit codes\n")
	if table, _, _ = strings.Cut(table, "\n## "); !found {
		t.Fatal("kubectl-dane.md has no exit codes")
	}
	codes := map[string][]string{}
	for _, row := range exits.FindAllStringSubmatch(table, -1) {
		for name := range strings.SplitSeq(row[1], ", ") {
			name = strings.Trim(name, "`")
			if codes[name] != nil {
				t.Errorf("%s stands there twice", name)
			}
			codes[name] = row[2:]
		}
	}
	for _, cmd := range plugin.New(genericiooptions.NewTestIOStreamsDiscard(), time.Now).Commands() {
		row, ok := codes[cmd.Name()]
		delete(codes, cmd.Name())
		if !ok {
			t.Errorf("the table does not tell of %s", cmd.Name())
			continue
		}
		if finds := strings.TrimSpace(row[2]) != ""; finds != strings.Contains(cmd.Long, "The exit code is 0 if") {
			t.Errorf("%s: the table says %q of 2, and the help says\n%s", cmd.Name(), row[2], cmd.Long)
		}
		if third := strings.TrimSpace(row[3]) != ""; third != strings.Contains(cmd.Long, "3 if ") {
			t.Errorf("%s: the table says %q of 3, and the help says\n%s", cmd.Name(), row[3], cmd.Long)
		}
	}
	for name := range codes {
		t.Errorf("the table tells of %s, which is no command", name)
	}
}

// TestDoctorNeedsWhatTheReadmeSays: one version of cert-manager is told of.
func TestDoctorNeedsWhatTheReadmeSays(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := "You need Kubernetes 1.31 or newer and cert-manager " + plugin.NeededCertManager + " "; !strings.Contains(string(text), want) {
		t.Errorf("README.md does not say %q", want)
	}
}

// TestPageOfPluginIsComplete: kubectl-dane.md tells of every command, and of no other; the outputs that it shows are
// what the commands write.
func TestPageOfPluginIsComplete(t *testing.T) {
	text, err := os.ReadFile("kubectl-dane.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	told := map[string]bool{}
	for _, found := range ofPlugin.FindAllStringSubmatch(page, -1) {
		told[found[1]] = true
	}
	flags := map[string]bool{}
	root := plugin.New(genericiooptions.NewTestIOStreamsDiscard(), time.Now)
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) { flags[f.Name] = true })
	root.Flags().VisitAll(func(f *pflag.Flag) { flags[f.Name] = true })
	for _, cmd := range root.Commands() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { flags[f.Name] = true })
		if !told[cmd.Name()] {
			t.Errorf("kubectl-dane.md does not tell of %s", cmd.Name())
		}
		delete(told, cmd.Name())
	}
	for _, found := range aFlag.FindAllStringSubmatch(page, -1) {
		if !flags[found[1]] {
			t.Errorf("no command has the flag --%s", found[1])
		}
	}
	for name := range told {
		t.Errorf("kubectl-dane.md tells of %s, which is no command", name)
	}
	written := ""
	for _, file := range []string{"status.txt", "check.txt", "records.txt"} {
		text, err := os.ReadFile(filepath.Join("../internal/plugin/testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		written += string(text)
	}
	blocks := shown.FindAllStringSubmatch(page, -1)
	if len(blocks) != 3 {
		t.Errorf("the page shows %d outputs", len(blocks))
	}
	for _, block := range blocks {
		for line := range strings.Lines(block[1]) {
			if !strings.Contains(written, line) {
				t.Errorf("no command writes %q", line)
			}
		}
	}
}

package version

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/version"
)

func built(main string, settings ...debug.BuildSetting) *debug.BuildInfo {
	return &debug.BuildInfo{Main: debug.Module{Version: main}, Settings: settings}
}

// TestOf gives what the linker and Go may know, and compares what is made of it.
func TestOf(t *testing.T) {
	history := []debug.BuildSetting{{Key: "vcs.revision", Value: "0a1b"}, {Key: "vcs.time", Value: "2026-01-02T12:00:00Z"}, {Key: "vcs.modified", Value: "false"}}
	edited := append(history[:2:2], debug.BuildSetting{Key: "vcs.modified", Value: "true"})
	for _, c := range []struct {
		reason, release string
		build           *debug.BuildInfo
		want            version.Info
	}{
		{"a release", "v1.2.3", built("v0.0.0-2026", history...), version.Info{Major: "1", Minor: "2", GitVersion: "v1.2.3", GitCommit: "0a1b", GitTreeState: "clean", BuildDate: "2026-01-02T12:00:00Z"}},
		{"built by hand: what the tags lead to", "", built("v0.9.1-0.2026+dirty", edited...), version.Info{Major: "0", Minor: "9", GitVersion: "v0.9.1-0.2026+dirty", GitCommit: "0a1b", GitTreeState: "dirty", BuildDate: "2026-01-02T12:00:00Z"}},
		{"by go install", "", built("v0.9.0"), version.Info{Major: "0", Minor: "9", GitVersion: "v0.9.0"}},
		{"a release out of a folder without history", "v1.2.3", built("(devel)"), version.Info{Major: "1", Minor: "2", GitVersion: "v1.2.3"}},
		{"a folder without history", "", built("(devel)"), version.Info{GitVersion: "(devel)"}},
		{"a test", "", built(""), version.Info{GitVersion: "(devel)"}},
		{"no module", "", nil, version.Info{GitVersion: "(devel)"}},
	} {
		got := of(c.release, c.build)
		if got.GoVersion == "" || got.Compiler == "" || !strings.Contains(got.Platform, "/") {
			t.Errorf("%s: the tools are not told: %+v", c.reason, got)
		}
		got.GoVersion, got.Compiler, got.Platform = "", "", ""
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.reason, got, c.want)
		}
	}
}

// TestCommand asks a program for its version in every way.
func TestCommand(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--version"}, "prog (devel)\n"},
		{[]string{"version"}, "Client Version: (devel)\n"},
		{[]string{"version", "-o", "json"}, `"clientVersion": {`},
		{[]string{"version", "-o", "yaml"}, "clientVersion:\n"},
		{[]string{"version", "-o", "xml"}, "-o xml: want json or yaml"},
		{[]string{"-v"}, "unknown shorthand flag"},
		{[]string{"version", "more"}, "unknown command"},
	} {
		var out bytes.Buffer
		cmd := &cobra.Command{Use: "prog", Run: func(*cobra.Command, []string) {}, SilenceErrors: true, SilenceUsage: true}
		AddTo(cmd, "Client Version", "clientVersion")
		cmd.SetOut(&out)
		cmd.SetArgs(c.args)
		if err := cmd.Execute(); err != nil {
			out.WriteString(err.Error())
		}
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("%v: %q, want %q", c.args, &out, c.want)
		}
	}
}

// TestBuildsPassTheVersion builds a small program with the flags that the builds of the product give to the linker, and
// wants it to know its version by them.
func TestBuildsPassTheVersion(t *testing.T) {
	given := regexp.MustCompile(`-X \S+\.release=\$[({]?VERSION[)}]?`)
	for file, want := range map[string]int{"Makefile": 1, "Dockerfile": 1, "hack/plugin-archives.sh": 1} {
		text, err := os.ReadFile(filepath.Join("..", "..", file))
		if err != nil {
			t.Fatal(err)
		}
		found := given.FindAllString(string(text), -1)
		if len(found) != want {
			t.Errorf("%s gives the linker %q", file, found)
		}
		for _, flag := range found {
			flag, _, _ = strings.Cut(flag, "=")
			program := filepath.Join(t.TempDir(), "show")
			if out, err := exec.CommandContext(t.Context(), "go", "build", "-ldflags", flag+"=v1.2.3", "-o", program, "./testdata/show").CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", file, err, out)
			}
			if out, err := exec.CommandContext(t.Context(), program).CombinedOutput(); err != nil || string(out) != "v1.2.3\n" {
				t.Errorf("%s: the program says %q (%v)", file, out, err)
			}
		}
	}
}

package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// notInFile are the flags that no file can set: it cannot name itself, and who starts the operator, and knows where he
// does, says how the API server is reached. Two ask for something else than to start it.
var notInFile = []string{"config", "help", "kubeconfig", "version"}

// TestEveryFlagHasAField compares the flags with the fields, and what they take.
func TestEveryFlagHasAField(t *testing.T) {
	fields := map[string]setting{}
	for _, s := range settingsOf(reflect.ValueOf(&OperatorConfiguration{}).Elem(), "") {
		if _, twice := fields[s.flag]; twice {
			t.Errorf("--%s has two fields, one of them %s", s.flag, s.path)
		}
		fields[s.flag] = s
	}
	cmd := newCommand()
	cmd.InitDefaultHelpFlag()
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		s, ok := fields[f.Name]
		delete(fields, f.Name)
		if ok == slices.Contains(notInFile, f.Name) {
			t.Errorf("--%s: field %q, and it is among those that have none: %t", f.Name, s.path, !ok)
		}
		if _, list := f.Value.(pflag.SliceValue); ok && list != s.list {
			t.Errorf("%s is a list: %t, --%s: %t", s.path, s.list, f.Name, list)
		}
	})
	for _, s := range fields {
		t.Errorf("%s is for --%s, which is not there", s.path, s.flag)
	}
}

const wholeConfig = `
apiVersion: config.dane-operator.io/v1alpha1
kind: OperatorConfiguration
watch: {namespaces: [mail, dns], selector: "shard in (a, b)", workers: 3}
nameServers: {trustAnchorsFile: /etc/anchors.ds, resolvers: ["192.0.2.53:53", "[2001:db8::53]:53"], queriesPerServer: 0}
mailServers: {allowCIDRs: [10.0.0.0/8], heloName: mx.example}
rollover: {unknownHistory: 48h}
leaderElection: {enabled: true, namespace: dane, leaseDuration: 30s, renewDeadline: 20s, retryPeriod: 5s}
metrics: {bindAddress: ":8443", secure: true, certDir: /etc/tls}
dashboard: {bindAddress: "127.0.0.1:8082", certDir: /etc/page}
health: {bindAddress: ":9999"}
profiling: {bindAddress: "127.0.0.1:6060"}
log: {level: 2, format: console}
`

// TestConfigSetsEverything: a file with every field is the same as a command line with every flag, each another value
// than the default.
func TestConfigSetsEverything(t *testing.T) {
	byFlags, byFile := newCommand(), newCommand()
	if err := byFlags.ParseFlags([]string{
		"--namespace", "mail,dns", "--selector", "shard in (a, b)", "--workers", "3", "--trust-anchors", "/etc/anchors.ds", "--resolvers", "192.0.2.53:53", "--resolvers", "[2001:db8::53]:53",
		"--queries-per-server", "0", "--probe-allow-cidr", "10.0.0.0/8", "--probe-helo-name", "mx.example", "--unknown-history", "48h",
		"--leader-elect", "--leader-election-namespace", "dane", "--leader-election-lease-duration", "30s", "--leader-election-renew-deadline", "20s",
		"--leader-election-retry-period", "5s", "--metrics-bind-address", ":8443", "--metrics-secure", "--metrics-cert-dir", "/etc/tls",
		"--dashboard-address", "127.0.0.1:8082", "--dashboard-cert-dir", "/etc/page", "--health-probe-bind-address", ":9999", "--pprof-bind-address", "127.0.0.1:6060", "-v", "2", "--log-format", "console",
	}); err != nil {
		t.Fatal(err)
	}
	if err := applyConfig(writeConfig(t, wholeConfig), byFile.Flags()); err != nil {
		t.Fatal(err)
	}
	byFile.Flags().VisitAll(func(f *pflag.Flag) {
		if slices.Contains(notInFile, f.Name) {
			return
		}
		if want := byFlags.Flags().Lookup(f.Name).Value.String(); f.Value.String() != want || want == f.DefValue {
			t.Errorf("--%s: %s by the file, %s by the flag, %s by default", f.Name, f.Value, want, f.DefValue)
		}
	})
}

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestFlagsWinOverTheFile, lists as a whole; what neither sets has its default, and what the file sets to nothing has none.
func TestFlagsWinOverTheFile(t *testing.T) {
	cmd := newCommand()
	if err := cmd.ParseFlags([]string{"--workers", "5", "--resolvers", "192.0.2.1:53", "--leader-elect=false", "-v", "0", "--namespace", ""}); err != nil {
		t.Fatal(err)
	}
	const text = `
apiVersion: config.dane-operator.io/v1alpha1
kind: OperatorConfiguration
watch: {workers: 3, namespaces: [mail]}
nameServers: {resolvers: ["192.0.2.2:53"], queriesPerServer: 0}
mailServers: {allowCIDRs: []}
leaderElection: {enabled: true, leaseDuration: 1m}
log: {level: 1}
`
	if err := applyConfig(writeConfig(t, text), cmd.Flags()); err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]string{
		"workers": "5", "resolvers": "[192.0.2.1:53]", "leader-elect": "false", "v": "0", "namespace": "[]",
		"queries-per-server": "0", "probe-allow-cidr": "[]", "leader-election-lease-duration": time.Minute.String(),
		"unknown-history": (24 * time.Hour).String(), "log-format": "json",
	} {
		if got := cmd.Flags().Lookup(flag).Value.String(); got != want {
			t.Errorf("--%s is %s, want %s", flag, got, want)
		}
	}
}

// TestConfigThatCannotBeUsed wants the error to name the file, and what in it is wrong.
func TestConfigThatCannotBeUsed(t *testing.T) {
	const head = "apiVersion: config.dane-operator.io/v1alpha1\nkind: OperatorConfiguration\n"
	for _, row := range []struct{ reason, text, says string }{
		{"no version", "watch: {}", "want apiVersion config.dane-operator.io/v1alpha1"},
		{"a version to come", strings.Replace(head, "v1alpha1", "v2", 1) + "all: new", `apiVersion "config.dane-operator.io/v2"`},
		{"another kind", strings.Replace(head, "Operator", "Other", 1), `kind "OtherConfiguration"`},
		{"an unknown section", head + "wotch: {workers: 3}", `unknown field "wotch"`},
		{"an unknown field", head + "watch: {worker: 3}", `unknown field "watch.worker"`},
		{"a field of another case", head + "watch: {Workers: 3}", `unknown field "watch.Workers"`},
		{"the same twice", head + "log: {level: 1, level: 2}", `"level" already set`},
		{"a number for a duration", head + "rollover: {unknownHistory: 24}", "unknownHistory"},
		{"no duration", head + "rollover: {unknownHistory: soon}", "soon"},
		{"a text for a number", head + "watch: {workers: many}", "workers"},
		{"a text for a list", head + "watch: {namespaces: mail}", "namespaces"},
		{"nothing", "# all of it is to come\n", "want apiVersion"},
		{"no YAML", head + "\t{", "yaml"},
		{"two documents", head + "---\n" + head, "document"},
	} {
		file := writeConfig(t, row.text)
		err := applyConfig(file, newCommand().Flags())
		if err == nil || !strings.Contains(err.Error(), row.says) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v, want it to say %q", row.reason, err, row.says)
		}
	}
	if err := applyConfig(filepath.Join(t.TempDir(), "none.yaml"), newCommand().Flags()); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestConfigFileIsRead: the command goes by the file before anything else, and says what is wrong with it.
func TestConfigFileIsRead(t *testing.T) {
	cmd := newCommand()
	cmd.SetArgs([]string{"--config", writeConfig(t, "apiVersion: config.dane-operator.io/v1alpha1\nkind: OperatorConfiguration\nlog: {format: xml}\n")})
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), `--log-format "xml"`) {
		t.Errorf("%v", err)
	}
}

// TestConfigOfThePage: docs/configuration.md shows a file that is read, with every field beside its flag.
func TestConfigOfThePage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "```yaml\n")
	text, _, _ = strings.Cut(text, "```")
	config, err := readConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range settingsOf(reflect.ValueOf(config).Elem(), "") {
		field := s.path[strings.LastIndexByte(s.path, '.')+1:]
		line := regexp.MustCompile(`(?m)^  ` + field + `: .*# --` + s.flag + `$`)
		if !s.set || !line.MatchString(text) {
			t.Errorf("the page does not show %s with --%s", s.path, s.flag)
		}
	}
	if err := applyConfig(writeConfig(t, text), newCommand().Flags()); err != nil {
		t.Error(err)
	}
}

package docs

import (
	"context"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// flagLine is how the help of the operator tells of a flag, its default in parentheses at the end where it
// has one that is not empty; item is how flags.md does.
var (
	flagLine = regexp.MustCompile(`(?m)^ +(?:-[a-z], )?--([a-z][a-z0-9-]*)(?: .*?)?(?:\(default "?(.+?)"?\))?$`)
	item     = regexp.MustCompile("(?m)^- `--([a-z][a-z0-9-]*)((?:.*\n)(?:  .*\n)*)")
	stated   = regexp.MustCompile(`\(default:? ([^;)]+)`)
	helm     = regexp.MustCompile("Helm: `([a-zA-Z.]+)`(?:, `([a-zA-Z.]+)`)?")
)

// asked runs the operator once for all tests: to link it takes long.
var asked = sync.OnceValues(func() ([]byte, error) {
	return exec.CommandContext(context.Background(), "go", "run", "../cmd/dane-operator", "--help").CombinedOutput()
})

// helpOf are the operator's own words on its flags.
func helpOf(t *testing.T) string {
	t.Helper()
	help, err := asked()
	if err != nil {
		t.Fatalf("ask the operator for its flags: %v\n%s", err, help)
	}
	return string(help)
}

// defaults are the flags of the operator with their defaults, as its help states them.
func defaults(t *testing.T) map[string]string {
	t.Helper()
	_, list, _ := strings.Cut(helpOf(t), "\nFlags:\n")
	out := map[string]string{}
	for _, found := range flagLine.FindAllStringSubmatch(list, -1) {
		out[found[1]] = found[2]
	}
	if len(out) < 15 || out["workers"] == "" || out["unknown-history"] == "" {
		t.Fatalf("the operator's help has the flags %v: does the test still read it right?", out)
	}
	return out
}

// items are what flags.md says of each flag.
func items(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, found := range item.FindAllStringSubmatch(string(read(t, "flags.md")), -1) {
		if _, twice := out[found[1]]; twice {
			t.Errorf("flags.md has --%s twice", found[1])
		}
		out[found[1]] = found[2]
	}
	return out
}

// TestPageOfFlagsIsComplete: flags.md has every flag of the operator with its default, and no other.
func TestPageOfFlagsIsComplete(t *testing.T) {
	have := items(t)
	for name, value := range defaults(t) {
		text, ok := have[name]
		if !ok {
			t.Errorf("flags.md does not tell of --%s", name)
			continue
		}
		said := stated.FindStringSubmatch(text)
		if name != "help" && said == nil {
			t.Errorf("flags.md does not say what --%s is by default", name)
		} else if value != "" && said != nil && !sameDefault(said[1], value) {
			t.Errorf("flags.md says that --%s is %s by default, the operator that it is %s", name, said[1], value)
		}
		delete(have, name)
	}
	for name := range have {
		t.Errorf("flags.md tells of --%s, which the operator does not have", name)
	}
}

// sameDefault compares the page's 24h with the help's 24h0m0s, too.
func sameDefault(page, help string) bool {
	return page == help || strings.HasSuffix(page, "h") && page+"0m0s" == help
}

// TestHelmValuesOfFlagsExist: each value that flags.md names is one of the chart, and the two numbers that
// the chart repeats are the operator's.
func TestHelmValuesOfFlagsExist(t *testing.T) {
	values, tried := string(read(t, "../charts/dane-operator/values.yaml")), 0
	for name, text := range items(t) {
		for _, value := range helm.FindAllStringSubmatch(strings.Join(strings.Fields(text), " "), -1) {
			for _, path := range value[1:] {
				if path == "" {
					continue
				}
				tried++
				pattern := "(?m)^" + strings.Join(strings.Split(path, "."), `:\n(?:(?:  .*)?\n)*?  `) + ":"
				if !regexp.MustCompile(pattern).MatchString(values) {
					t.Errorf("flags.md says that the Helm value of --%s is %s, which the chart does not have", name, path)
				}
			}
		}
	}
	if tried < 10 {
		t.Errorf("only %d values were found: does the test still find them?", tried)
	}
	operator := defaults(t)
	for name, value := range map[string]string{"workers": "workers", "queries-per-server": "queriesPerServer"} {
		if line := "\n" + value + ": " + operator[name] + "\n"; !strings.Contains(values, line) {
			t.Errorf("the chart has another %s than the operator's default: want %q in values.yaml", value, strings.TrimSpace(line))
		}
	}
}

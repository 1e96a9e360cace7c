package manifests

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	for _, row := range []struct{ values, want, reason string }{
		{"# About the file.\n\n# How many,\n# at least.\nreplicas: 1\n", "| `replicas` | `1` | How many, at least. |", "what stands above a gap is about the file"},
		{"image:\n  # a|b\n  tag: \"\"\n  # Full.\n  digest: x\n",
			"| `image.tag` | `\"\"` | a\\|b |\n| `image.digest` | `\"x\"` | Full. |", "a map with comments within is a section"},
		{"# Of a kind.\nprobe:\n  # Networks.\n  allow: []\n", "| `probe` |  | Of a kind. |\n| `probe.allow` | `[]` | Networks. |", "a section may have a text itself"},
		{"a:\n  b:\n    # C.\n    c: 1\n", "| `a.b.c` | `1` | C. |", "also further down"},
		{"# Both.\nresources:\n  limits: {memory: 1Gi}\n  a: true\n", "| `resources` | `{\"a\":true,\"limits\":{\"memory\":\"1Gi\"}}` | Both. |", "a map without comments is one value"},
	} {
		got, err := Table([]byte(row.values))
		if err != nil {
			t.Errorf("%s: %v", row.reason, err)
		}
		if _, lines, _ := strings.Cut(got, "| --- | --- | --- |\n"); lines != row.want+"\n" {
			t.Errorf("%s: got\n%s\nwant\n%s", row.reason, lines, row.want)
		}
	}
}

func TestTableRefuses(t *testing.T) {
	for _, row := range []struct{ values, want, reason string }{
		{"a: 1\n", "value a has no comment", "nobody would know what it does"},
		{"a:\n  # B.\n  b: 1\n  c: 2\n", "value a.c has no comment", "nor further down"},
		{"[1]", "no map", "not values"},
		{"a: [", "read the values", "not YAML"},
	} {
		if _, err := Table([]byte(row.values)); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %q", row.reason, err, row.want)
		}
	}
}

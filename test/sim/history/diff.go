package history

import (
	"encoding/json"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// difference is what is new in an object, in short.
func difference(old, now client.Object) string {
	if old == nil {
		return "is new"
	}
	was := map[string]int{}
	for _, line := range linesOf(old) {
		was[line]++
	}
	var out []string
	for _, line := range linesOf(now) {
		if was[line]--; was[line] < 0 && !strings.HasPrefix(line, `"resourceVersion"`) {
			out = append(out, line)
		}
	}
	const longest = 200
	text := strings.Join(out, " ")
	if len(text) > longest {
		text = text[:longest] + "…"
	}
	return text
}

func linesOf(o client.Object) []string {
	var out []string
	for line := range strings.Lines(string(must(json.MarshalIndent(o, "", " ")))) {
		out = append(out, strings.TrimRight(strings.TrimSpace(line), ","))
	}
	return out
}

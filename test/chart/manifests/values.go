package manifests

import (
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Table lists the values of a values.yaml as a table of Markdown: each with its default, and the comment above it. A
// value without a comment is an error. A map is one value unless there are comments within.
func Table(values []byte) (string, error) {
	document := yaml.Node{}
	if err := yaml.Unmarshal(values, &document); err != nil {
		return "", fmt.Errorf("read the values: %w", err)
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return "", fmt.Errorf("the values are no map")
	}
	t := table{}
	t.line("value", "default", "what it does")
	t.line("---", "---", "---")
	if err := t.add("", document.Content[0]); err != nil {
		return "", err
	}
	return t.String(), nil
}

type table struct{ strings.Builder }

func (t *table) line(cells ...string) {
	for i, cell := range cells {
		cells[i] = strings.ReplaceAll(cell, "|", `\|`)
	}
	t.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// add writes the members of a map.
func (t *table) add(prefix string, of *yaml.Node) error {
	for i := 0; i+1 < len(of.Content); i += 2 {
		name, value := prefix+of.Content[i].Value, of.Content[i+1]
		text := comment(of.Content[i])
		if described(value) {
			if text != "" {
				t.line("`"+name+"`", "", text)
			}
			if err := t.add(name+".", value); err != nil {
				return err
			}
			continue
		}
		if text == "" {
			return fmt.Errorf("the value %s has no comment", name)
		}
		var v any
		if err := value.Decode(&v); err != nil {
			return fmt.Errorf("read the value %s: %w", name, err)
		}
		def, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("write the value %s: %w", name, err)
		}
		t.line("`"+name+"`", "`"+string(def)+"`", text)
	}
	return nil
}

// described says whether a value is a map with comments within.
func described(value *yaml.Node) bool {
	if value.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i+1 < len(value.Content); i += 2 {
		if comment(value.Content[i]) != "" || described(value.Content[i+1]) {
			return true
		}
	}
	return false
}

// comment is the last paragraph above a name, in one line.
func comment(of *yaml.Node) string {
	paragraphs := strings.Split(of.HeadComment, "\n\n")
	var words []string
	for line := range strings.Lines(paragraphs[len(paragraphs)-1]) {
		words = append(words, strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "#"))...)
	}
	return strings.Join(words, " ")
}

package dashboard

import (
	"strings"

	"github.com/dane-operator/dane-operator/internal/glossary"
)

// Block is a paragraph of the documentation, or code of it.
type Block struct {
	Code  bool
	Parts []Part
}

// Part is a piece of a paragraph, set as code or not.
type Part struct {
	Code bool
	Text string
}

// helpOf is what the documentation says of a reason or of the code of a finding. A word may have several entries.
func helpOf(word string) []Block {
	var out []Block
	for _, e := range glossary.Entries() {
		if word != "" && e.Heading == word {
			out = append(out, blocks(glossary.Plain(e.Text))...)
		}
	}
	return out
}

// blocks takes the Markdown of the documentation apart: paragraphs, and code that is indented or fenced. Lists stay
// paragraphs, with their dashes.
func blocks(text string) []Block {
	var out []Block
	for _, paragraph := range strings.Split(text, "\n\n") {
		paragraph = strings.Trim(paragraph, "\n")
		switch {
		case paragraph == "":
		case strings.HasPrefix(paragraph, "    "), strings.HasPrefix(paragraph, "```"):
			var lines []string
			for line := range strings.Lines(paragraph) {
				if !strings.HasPrefix(line, "```") {
					lines = append(lines, strings.TrimPrefix(line, "    "))
				}
			}
			out = append(out, Block{Code: true, Parts: []Part{{Text: strings.Join(lines, "")}}})
		default:
			var parts []Part
			for i, piece := range strings.Split(strings.ReplaceAll(paragraph, "\n", " "), "`") {
				if piece != "" {
					parts = append(parts, Part{Code: i%2 == 1, Text: piece})
				}
			}
			out = append(out, Block{Parts: parts})
		}
	}
	return out
}

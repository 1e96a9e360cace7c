package plugin

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/dane-operator/dane-operator/internal/linewrap"
)

const (
	// pipeWidth is how wide text is where nobody tells: in a pipe, or a file.
	pipeWidth = 80
	// leastWidth is what text needs to be read at all.
	leastWidth = 40
)

// widthOf is how many letters stand in a line of what is written to.
func widthOf(out io.Writer) int {
	if s, ok := out.(*screen); ok && s.width > 0 {
		return max(s.width, leastWidth)
	}
	return pipeWidth
}

// columns is the width of a terminal; 0 where it does not tell.
func columns(file *os.File) int {
	width, _, err := term.GetSize(int(file.Fd())) //nolint:gosec // a small number
	if err != nil {
		return 0
	}
	return width
}

// wrap sets words into lines no wider than width, each of them indented. A word that is wider has a line of its own.
func wrap(words []string, width int, indent string) string {
	lines := linewrap.Wrap(words, width-utf8.RuneCountInString(indent))
	if len(lines) == 0 {
		return ""
	}
	return indent + strings.Join(lines, "\n"+indent)
}

// wrapMarkdown breaks the paragraphs and the items of lists in a text. What is set as code, and tables, it leaves alone.
func wrapMarkdown(text string, width int) string {
	var out []string
	fenced := false
	for block := range strings.SplitSeq(text, "\n\n") {
		code := fenced || strings.HasPrefix(block, "    ") || strings.HasPrefix(block, "```") || strings.HasPrefix(block, "|")
		if strings.Count(block, "```")%2 == 1 {
			fenced = !fenced
		}
		if !code {
			block = wrapBlock(block, width)
		}
		out = append(out, block)
	}
	return strings.Join(out, "\n\n")
}

// wrapBlock breaks a paragraph, or each item of a list.
func wrapBlock(block string, width int) string {
	var items []string
	for line := range strings.SplitSeq(block, "\n") {
		if len(items) == 0 || strings.HasPrefix(line, "- ") {
			items = append(items, line)
			continue
		}
		items[len(items)-1] += "\n" + line
	}
	for i, item := range items {
		if text, listed := strings.CutPrefix(item, "- "); listed {
			items[i] = "-" + wrap(strings.Fields(text), width, "  ")[1:]
			continue
		}
		items[i] = wrap(strings.Fields(item), width, "")
	}
	return strings.Join(items, "\n")
}

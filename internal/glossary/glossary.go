// Package glossary tells what the words mean that the operator uses: conditions, their reasons, codes of findings and
// alerts, and what caches know of a key. It says what the documentation says.
package glossary

import (
	"regexp"
	"slices"
	"strings"

	"github.com/dane-operator/dane-operator/docs"
)

// Entry is a section of a page.
type Entry struct {
	// Heading of the section.
	Heading string
	// Text below it, in Markdown.
	Text string
}

// Word is what the section explains.
func (e Entry) Word() string { return strings.TrimPrefix(e.Heading, "Condition ") }

// Entries are all sections about single words, in the order of the pages.
func Entries() []Entry {
	var out []Entry
	for _, page := range []string{"troubleshooting.md", "findings.md", "alerts.md", "rollover.md"} {
		text, err := docs.Pages.ReadFile(page)
		if err != nil {
			panic(err) // a programming error: the pages are built in
		}
		for _, part := range strings.Split("\n"+string(text), "\n### ")[1:] {
			heading, body, _ := strings.Cut(part, "\n")
			body, _, _ = strings.Cut(body, "\n## ") // the next part of the page
			out = append(out, Entry{heading, strings.TrimSpace(body)})
		}
	}
	return out
}

// Words are all that have an entry, sorted.
func Words() []string {
	var out []string
	for _, e := range Entries() {
		out = append(out, e.Word())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Line is the first paragraph of what is said of a word, as one line; empty where nothing is.
func Line(word string) string {
	for _, e := range Entries() {
		if e.Word() == word {
			first, _, _ := strings.Cut(e.Text, "\n\n")
			return strings.ReplaceAll(Plain(first), "\n", " ")
		}
	}
	return ""
}

var markdownLink = regexp.MustCompile(`\[([^\]]+)\]\(([^)]+)\)`)

// Plain writes links out: the page that they lead to stands behind their text, unless it is that.
func Plain(text string) string {
	return markdownLink.ReplaceAllStringFunc(text, func(link string) string {
		parts := markdownLink.FindStringSubmatch(link)
		if parts[1] == parts[2] {
			return parts[1]
		}
		return parts[1] + " (" + parts[2] + ")"
	})
}

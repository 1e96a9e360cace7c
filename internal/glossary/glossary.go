// Package glossary tells what the words mean that the operator uses: conditions, their reasons, codes of findings and
// alerts, what caches know of a key, and what else status and events say. It says what the documentation says.
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
	// Group is what the words are, in words: "reasons of conditions".
	Group string
}

// prefixes are what headings have before their words, with what the words are then.
var prefixes = []struct{ prefix, group string }{
	{"Condition ", "conditions"},
	{"Role ", "roles of keys"},
	{"Strategy ", "strategies"},
	{"Verdict ", "what senders do"},
	{"Certificate ", "what mail servers present"},
	{"Endpoint ", "what mail servers present"},
	{"Server ", "states of name servers"},
	{"Severity ", "severities of findings"},
	{"Record ", "states of mail records"},
	{"DKIM ", "states of DKIM keys"},
	{"Grade ", "grades of check"},
	{"Part ", "parts of a mail domain"},
	{"Word ", "words about time"},
	{"Trouble ", "troubles in the past"},
	{"State ", "what doctor says"},
	{"Event ", "events"},
	{"Column ", "columns of tables"},
	{"Mark ", "marks in tables"},
}

// pages are those with a section for each word, and what the words without a prefix are.
var pages = []struct{ file, group string }{
	{"troubleshooting.md", "reasons of conditions"},
	{"findings.md", "findings"},
	{"alerts.md", "alerts"},
	{"rollover.md", "what caches know"},
	{"words.md", ""},
}

// Words are what the section explains.
func (e Entry) Words() []string {
	words := e.Heading
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(e.Heading, p.prefix); ok {
			words = rest
		}
	}
	return strings.Split(words, ", ")
}

// About are the sections about a word, whatever its case. Status joins what it says with commas, as in "DANE, some may fail": where
// no section is about all of it, those about each part are given.
func About(word string) []Entry {
	of := func(words []string) (out []Entry) {
		for _, w := range words {
			for _, e := range Entries() {
				if e.Explains(strings.TrimSpace(w)) {
					out = append(out, e)
				}
			}
		}
		return out
	}
	if whole := of([]string{word}); len(whole) > 0 {
		return whole
	}
	parts := strings.Split(word, ",")
	for _, p := range parts {
		if len(of([]string{p})) == 0 {
			return nil
		}
	}
	return of(parts)
}

// Explains says whether the section is about a word, whatever its case.
func (e Entry) Explains(word string) bool {
	return slices.ContainsFunc(e.Words(), func(w string) bool { return strings.EqualFold(w, word) })
}

// Entries are all sections about words, in the order of the pages.
func Entries() []Entry {
	var out []Entry
	for _, page := range pages {
		text, err := docs.Pages.ReadFile(page.file)
		if err != nil {
			panic(err) // a programming error: the pages are built in
		}
		for _, part := range strings.Split("\n"+string(text), "\n### ")[1:] {
			heading, body, _ := strings.Cut(part, "\n")
			body, _, _ = strings.Cut(body, "\n## ") // the next part of the page
			e := Entry{Heading: heading, Text: strings.TrimSpace(body), Group: page.group}
			for _, p := range prefixes {
				if strings.HasPrefix(heading, p.prefix) {
					e.Group = p.group
				}
			}
			out = append(out, e)
		}
	}
	return out
}

// Words are all that have an entry, sorted.
func Words() []string {
	var out []string
	for _, e := range Entries() {
		out = append(out, e.Words()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Group is words of one sort.
type Group struct {
	// Name is what they are, in words.
	Name string
	// Words of it, in the order of the pages.
	Words []string
}

// Groups are all words, by what they are, in the order of the pages.
func Groups() []Group {
	var out []Group
	for _, e := range Entries() {
		i := slices.IndexFunc(out, func(g Group) bool { return g.Name == e.Group })
		if i < 0 {
			i, out = len(out), append(out, Group{Name: e.Group})
		}
		out[i].Words = append(out[i].Words, e.Words()...)
	}
	return out
}

// Line is the first paragraph of what is said of a word, as one line; empty where nothing is.
func Line(word string) string {
	for _, e := range Entries() {
		if slices.Contains(e.Words(), word) {
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

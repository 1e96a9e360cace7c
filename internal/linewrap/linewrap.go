// Package linewrap breaks text into lines, for the kubectl plugin and the demo. Of libraries, github.com/mitchellh/go-wordwrap
// comes nearest: it breaks entries that have a space in them, such as "out of sync", and leaves a word that is too wide behind
// others on its line.
package linewrap

import "unicode/utf8"

// Wrap sets words into lines of at most width letters, with a space between two. A word may have spaces in it, and is never
// broken: one that is wider than width has a line of its own.
func Wrap(words []string, width int) []string {
	var lines []string
	at := 0
	for _, word := range words {
		wide := utf8.RuneCountInString(word)
		if last := len(lines) - 1; last >= 0 && at+1+wide <= width {
			lines[last] += " " + word
			at += 1 + wide
			continue
		}
		lines, at = append(lines, word), wide
	}
	return lines
}

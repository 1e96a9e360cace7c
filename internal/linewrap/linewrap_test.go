package linewrap

import (
	"slices"
	"testing"
)

// TestWrap: lines are as full as they can be, and a word is never broken.
func TestWrap(t *testing.T) {
	for _, c := range []struct {
		reason string
		words  []string
		width  int
		want   []string
	}{
		{"nothing makes no line", nil, 10, nil},
		{"two words that fill a line stay on it", []string{"four", "five5"}, 10, []string{"four five5"}},
		{"one letter more, and there are two lines", []string{"four", "seven77"}, 10, []string{"four", "seven77"}},
		{"an entry of several words stays together", []string{"a", "out of sync,", "b"}, 8, []string{"a", "out of sync,", "b"}},
		{"what is too wide has a line of its own", []string{"a", "https://example.com/", "b"}, 8, []string{"a", "https://example.com/", "b"}},
		{"letters count, not bytes", []string{"äöü", "ß"}, 5, []string{"äöü ß"}},
	} {
		if got := Wrap(c.words, c.width); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.reason, got, c.want)
		}
	}
}

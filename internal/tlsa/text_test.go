package tlsa

import (
	"errors"
	"slices"
	"testing"
)

// TestParseRecord checks the presentation form of RFC 6698 section 2.2.
func TestParseRecord(t *testing.T) {
	for _, tc := range []struct {
		reason, text, want string
	}{
		{"plain", "3 1 1 abcd", "3 1 1 abcd"},
		{"several words in several cases", "3  1\t1 AB cD", "3 1 1 abcd"},
		{"largest numbers", "255 255 255 00", "255 255 255 00"},
		{"leading zeros", "03 01 001 00", "3 1 1 00"},
		{"no data", "3 1 1", ""},
		{"empty", "", ""},
		{"number too large", "3 1 256 00", ""},
		{"negative number", "-3 1 1 00", ""},
		{"no number", "DANE-EE 1 1 00", ""},
		{"odd number of digits", "3 1 1 abc", ""},
		{"no digits", "3 1 1 wxyz", ""},
	} {
		got, err := ParseRecord(tc.text)
		if tc.want == "" {
			if !errors.Is(err, ErrSyntax) {
				t.Errorf("%s: got %v, %v", tc.reason, got, err)
			}
			continue
		}
		if err != nil || got.String() != tc.want {
			t.Errorf("%s: want %s, got %v, %v", tc.reason, tc.want, got, err)
		}
	}
}

// TestParseParameters checks what the API's parameter sets are read with.
func TestParseParameters(t *testing.T) {
	for _, text := range []string{"", "3 1", "3 1 1 1", "3 1 x", "256 1 1"} {
		if got, err := ParseParameters(text); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range allowed {
		if got, err := ParseParameters(" " + text + " "); err != nil || got.String() != text {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
}

// TestShort checks that messages are not flooded with digits.
func TestShort(t *testing.T) {
	for text, want := range map[string]string{
		"3 1 1 0123456789abcdef": "3 1 1 0123456789abcdef", "3 1 1 0123456789abcdef01": "3 1 1 0123456789abcdef...",
	} {
		r, err := ParseRecord(text)
		if err != nil || r.Short() != want {
			t.Errorf("want %s, got %s, %v", want, r.Short(), err)
		}
	}
}

// TestSets checks that lists of records are compared as sets and left as they were.
func TestSets(t *testing.T) {
	a, b := Record{Parameters{3, 1, 1}, "aa"}, Record{Parameters{2, 1, 1}, "bb"}
	list := []Record{a, b, a}
	if got := Normalize(list); !slices.Equal(got, []Record{b, a}) || !slices.Equal(list, []Record{a, b, a}) {
		t.Errorf("got %v of %v", got, list)
	}
	if !Equal(list, []Record{b, a}) || Equal(list, []Record{a}) || !Equal(nil, []Record{}) {
		t.Error("Equal does not compare sets")
	}
}

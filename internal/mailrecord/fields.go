package mailrecord

import (
	"fmt"
	"strings"
)

// Tag is a tag with its value, as it was written.
type Tag struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (t Tag) String() string { return t.Name + "=" + t.Value }

// fields reads what follows the version of a TLS-RPT or MTA-STS record: fields between semicolons, of which one may come
// last. An empty one, or one that is none, is a problem and ends the record.
func fields(c *collector, rule, text, version string) ([]Tag, bool) {
	rest := text[len(version):]
	if strings.HasPrefix(rest, " ") || strings.HasPrefix(rest, "\t") {
		c.at("v", rule).unwise(BadSyntax, "there is white space between the version and the semicolon, and some senders do not know the record for that",
			"write "+version+"; without a space")
	}
	rest = trim(rest)
	if rest = strings.TrimPrefix(rest, ";"); trim(rest) == "" {
		return nil, true
	}
	parts := strings.Split(rest, ";")
	if trim(parts[len(parts)-1]) == "" {
		parts = parts[:len(parts)-1]
	}
	var out []Tag
	for _, part := range parts {
		name, value, ok := strings.Cut(trim(part), "=")
		if !ok || !extensionName(name) {
			c.at("", rule).fatal(BadSyntax, fmt.Sprintf("%q is no field", trim(part)), "write NAME=VALUE, with a semicolon between two of them")
			return nil, false
		}
		out = append(out, Tag{name, value})
	}
	return out, true
}

// extensionName is (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / ".").
func extensionName(name string) bool {
	if name == "" || len(name) > 32 || !alphanumeric(name[0]) {
		return false
	}
	for i := range len(name) {
		if !alphanumeric(name[i]) && !strings.ContainsRune("_-.", rune(name[i])) {
			return false
		}
	}
	return true
}

// extensionValue is 1*(%x21-3A / %x3C / %x3E-7E): no space, semicolon, equals sign or control.
func extensionValue(value string) bool {
	for i := range len(value) {
		if b := value[i]; b <= ' ' || b == ';' || b == '=' || b > '~' {
			return false
		}
	}
	return value != ""
}

// extension takes a field that the RFC does not know, which senders ignore.
func extension(c *collector, rule string, t Tag) bool {
	if !extensionValue(t.Value) {
		c.at(t.Name, rule).fatal(BadSyntax, fmt.Sprintf("%q is no value of a field", t.Value), "take the field away, or write its value without spaces and equals signs")
		return false
	}
	return true
}

func letter(b byte) bool       { return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' }
func digit(b byte) bool        { return b >= '0' && b <= '9' }
func alphanumeric(b byte) bool { return letter(b) || digit(b) }

func all(text string, fits func(byte) bool) bool {
	for i := range len(text) {
		if !fits(text[i]) {
			return false
		}
	}
	return text != ""
}

// render joins a version and fields.
func render(version string, tags []Tag) string {
	var out strings.Builder
	out.WriteString(version + ";")
	for _, t := range tags {
		out.WriteString(" " + t.String() + ";")
	}
	return out.String()
}

package mailrecord

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// macroPiece is a piece of a macro-string (RFC 7208 section 7.1): literal text, or a macro.
type macroPiece struct {
	literal string
	// letter is 0 for literal text.
	letter     byte
	keep       int // how many labels from the right; 0 for all
	reverse    bool
	delimiters string
}

// pieces splits a macro-string; why says what is wrong with it.
func pieces(text string) (out []macroPiece, why string) {
	for text != "" {
		at := strings.IndexByte(text, '%')
		if at < 0 {
			at = len(text)
		}
		if literal := text[:at]; literal != "" {
			if !all(literal, func(b byte) bool { return b > ' ' && b <= '~' }) {
				return nil, "it has a space, a control character or a character beyond ASCII"
			}
			out = append(out, macroPiece{literal: literal})
		}
		if text = text[at:]; text == "" {
			break
		}
		p, length, why := macro(text)
		if why != "" {
			return nil, why
		}
		out = append(out, p)
		text = text[length:]
	}
	return out, ""
}

// escapes are the macros that stand for one text.
var escapes = map[byte]string{'%': "%", '_': " ", '-': "%20"}

// macro reads the macro that a text begins with.
func macro(text string) (p macroPiece, length int, why string) {
	if len(text) > 1 {
		if literal, ok := escapes[text[1]]; ok {
			return macroPiece{literal: literal, letter: text[1]}, 2, ""
		}
	}
	end := strings.IndexByte(text, '}')
	if len(text) < 2 || text[1] != '{' || end < 3 {
		return p, 0, "a % has to begin a macro such as %{d}; %% stands for itself"
	}
	p, why = macroBody(text[2:end])
	return p, end + 1, why
}

// macroBody reads what stands between the braces: a letter, transformers, delimiters.
func macroBody(body string) (p macroPiece, why string) {
	p.letter = body[0]
	if !strings.ContainsRune("slodiphvSLODIPHV", rune(p.letter)) {
		if strings.ContainsRune("crtCRT", rune(p.letter)) {
			return p, fmt.Sprintf("%%{%c} may stand in an explanation alone", p.letter)
		}
		return p, fmt.Sprintf("there is no macro %q", "%{"+body[:1]+"}")
	}
	body = body[1:]
	digits := body[:len(body)-len(strings.TrimLeft(body, "0123456789"))]
	if body = body[len(digits):]; digits != "" {
		n, err := strconv.Atoi(digits)
		if err != nil || n == 0 {
			return p, fmt.Sprintf("%q is no number of labels", digits)
		}
		p.keep = n
	}
	if body != "" && (body[0] == 'r' || body[0] == 'R') {
		p.reverse, body = true, body[1:]
	}
	if strings.Trim(body, ".-+,/_=") != "" {
		return p, fmt.Sprintf("%q are no delimiters", body)
	}
	p.delimiters = body
	return p, ""
}

// macroString says what is wrong with a macro-string; empty if nothing is.
func macroString(text string) string {
	_, why := pieces(text)
	return why
}

// domainSpec says what is wrong with a name with macros: it ends with a macro, or a dot and a label that is not all
// digits (RFC 7208 section 7.1).
func domainSpec(text string) string {
	all, why := pieces(text)
	switch {
	case why != "":
		return why
	case len(all) == 0:
		return "there is no name"
	}
	last := all[len(all)-1]
	if last.letter != 0 {
		return ""
	}
	tail := strings.TrimSuffix(last.literal, ".")
	dot := strings.LastIndexByte(tail, '.')
	if dot < 0 || !topLabel(tail[dot+1:]) {
		return "the name does not end with a dot and a top level domain"
	}
	return ""
}

func topLabel(label string) bool {
	return all(label, func(b byte) bool { return alphanumeric(b) || b == '-' }) && !all(label, digit) &&
		label[0] != '-' && label[len(label)-1] != '-'
}

// expand is the name that a domain-spec comes to for mail of a domain. It is not known where it depends on the message: on
// the sender's local part, address or greeting.
func expand(text, domain string) (name string, known bool) {
	parts, why := pieces(text)
	if why != "" {
		return "", false
	}
	var out strings.Builder
	for _, p := range parts {
		switch p.letter {
		case 'd', 'D', 'o', 'O':
			out.WriteString(p.of(domain))
		case 0, '%', '_', '-':
			out.WriteString(p.literal)
		default:
			return "", false
		}
	}
	name = strings.TrimSuffix(out.String(), ".")
	for len(name) > 253 { // labels are taken off the left (RFC 7208 section 7.3)
		_, rest, ok := strings.Cut(name, ".")
		if !ok {
			return "", false
		}
		name = rest
	}
	return name, true
}

// of applies the transformers.
func (p macroPiece) of(value string) string {
	delimiters := p.delimiters
	if delimiters == "" {
		delimiters = "."
	}
	labels := strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(delimiters, r) })
	if p.reverse {
		slices.Reverse(labels)
	}
	if p.keep > 0 && p.keep < len(labels) {
		labels = labels[len(labels)-p.keep:]
	}
	return strings.Join(labels, ".")
}

package mailrecord

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// reportURI says why reports cannot be sent to a URI; empty if they can. The schemes are those that senders know.
func reportURI(text string, schemes ...string) string {
	u, err := url.Parse(text)
	if err != nil || !all(text, func(b byte) bool { return b > ' ' && b <= '~' }) {
		return fmt.Sprintf("%q is no URI", text)
	}
	scheme := strings.ToLower(u.Scheme)
	if scheme == "" {
		return fmt.Sprintf("%q has no scheme", text)
	}
	if !slices.Contains(schemes, scheme) {
		return fmt.Sprintf("%q: reports are not sent by %s", text, scheme)
	}
	if scheme == "mailto" {
		local, domain, ok := cutAddress(u.Opaque)
		if !ok || local == "" || !hostname(domain) {
			return fmt.Sprintf("%q has no mail address", text)
		}
		return ""
	}
	if !hostname(u.Hostname()) {
		return fmt.Sprintf("%q has no host", text)
	}
	return ""
}

// MailtoDomain is the domain of a mailto URI, in small letters; empty for any other.
func MailtoDomain(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || !strings.EqualFold(u.Scheme, "mailto") {
		return ""
	}
	_, domain, _ := cutAddress(u.Opaque)
	domain, _, _ = strings.Cut(domain, "!") // the size limit that RFC 7489 had
	return strings.ToLower(strings.TrimSuffix(domain, "."))
}

func cutAddress(opaque string) (local, domain string, ok bool) {
	address, err := url.PathUnescape(opaque)
	if err != nil {
		return "", "", false
	}
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return "", "", false
	}
	return address[:at], address[at+1:], true
}

// hostname says whether a text is a name of a host in A-labels, with one dot at least (RFC 1123 section 2.1).
func hostname(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if len(name) > 253 || !strings.Contains(name, ".") {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) > 63 || !all(label, func(b byte) bool { return alphanumeric(b) || b == '-' }) || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}

// uriList reads URIs between commas. Those that reports cannot be sent to are left out, and told of.
func uriList(at place, value string, schemes ...string) []string {
	var out []string
	for part := range strings.SplitSeq(value, ",") {
		uri := trim(part)
		switch why := reportURI(uri, schemes...); {
		case uri == "":
			at.wrong(BadURI, "there is an empty place in the list of URIs", "write the URIs with a comma between two of them, and none at the end")
		case why != "":
			at.wrong(BadURI, why, "write mailto: and an address, and %2C, %3B and %21 for a comma, a semicolon and an exclamation mark in it")
		default:
			out = append(out, uri)
		}
	}
	return out
}

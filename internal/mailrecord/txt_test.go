package mailrecord

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestTextsJoinStrings: the strings of a record are one text without anything between them, whatever octets they have.
func TestTextsJoinStrings(t *testing.T) {
	for _, c := range []struct{ reason, data, want string }{
		{"RFC 7208 section 3.3: second string .... is joined without a space", `"v=spf1 .... first" "second string..."`, "v=spf1 .... firstsecond string..."},
		{"a quote and a backslash", `"a\"b\\c"`, `a"b\c`},
		{"an octet in decimal", `"a\009b\255"`, "a\tb\xff"},
		{"digits behind an escaped backslash", `"a\\065"`, `a\065`},
		{"no quotes", `v=spf1`, "v=spf1"},
		{"an empty string", `""`, ""},
	} {
		got, err := Unquote(c.data)
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", c.reason, got, err, c.want)
		}
	}
	other, err := dns.NewRR(". 0 IN A 192.0.2.1")
	if err != nil || len(Texts([]dns.RR{other})) > 0 {
		t.Errorf("a record of another type is no text (%v)", err)
	}
	if _, err := Unquote("\"a\"\n. 0 IN A 192.0.2.1"); err == nil {
		if got, _ := Unquote("\"a\"\n. 0 IN A 192.0.2.1"); got != "a" {
			t.Errorf("a second line was read: %q", got)
		}
	}
}

// TestSplit wants strings of at most 255 octets, and one at least.
func TestSplit(t *testing.T) {
	for length, want := range map[int][]int{0: {0}, 1: {1}, 255: {255}, 256: {255, 1}, 510: {255, 255}, 600: {255, 255, 90}} {
		var got []int
		parts := Split(strings.Repeat("x", length))
		for _, part := range parts {
			got = append(got, len(part))
		}
		if !slices.Equal(got, want) || len(strings.Join(parts, "")) != length {
			t.Errorf("%d octets: strings of %v, want %v", length, got, want)
		}
	}
}

// TestQuote: what does not print is never shown as it is.
func TestQuote(t *testing.T) {
	for text, want := range map[string]string{
		"v=spf1 -all":                  `"v=spf1 -all"`,
		`a"b\c`:                        `"a\"b\\c"`,
		"a\x1b[31mb\n":                 `"a\027[31mb\010"`,
		"":                             `""`,
		strings.Repeat("x", 255) + `\`: `"` + strings.Repeat("x", 255) + `" "\\"`,
	} {
		if got := Quote(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestSelect finds the one record, keeps what is foreign, and refuses to choose between two.
func TestSelect(t *testing.T) {
	for _, c := range []struct {
		reason  string
		kind    Kind
		texts   []string
		text    string
		foreign int
		several bool
	}{
		{"SPF beside a site verification", KindSPF, []string{"google-site-verification=abc", "v=spf1 -all"}, "v=spf1 -all", 1, false},
		{"SPF in capitals is SPF (RFC 7208 section 12: literals of ABNF)", KindSPF, []string{"V=SPF1 -all"}, "V=SPF1 -all", 0, false},
		{"SPF with another version (RFC 7208 section 4.5: v=spf10 is none)", KindSPF, []string{"v=spf10 -all"}, "", 1, false},
		{"SPF without terms", KindSPF, []string{"v=spf1"}, "v=spf1", 0, false},
		{"a second SPF record (RFC 7208 section 4.5: permerror)", KindSPF, []string{"v=spf1 -all", "v=spf1 mx -all"}, "", 0, true},
		{"Sender ID is foreign", KindSPF, []string{"spf2.0/pra -all", "v=spf1 -all"}, "v=spf1 -all", 1, false},
		{"a second DMARC record (RFC 9989 section 4.10: all are discarded)", KindDMARC, []string{"v=DMARC1; p=none", "v=DMARC1; p=reject"}, "", 0, true},
		{"DMARC with white space around the equals sign", KindDMARC, []string{"v = DMARC1 ; p=none"}, "v = DMARC1 ; p=none", 0, false},
		{"DMARC in small letters is ignored (the value MUST match precisely)", KindDMARC, []string{"v=dmarc1; p=none"}, "", 1, false},
		{"DMARC1 with something behind it", KindDMARC, []string{"v=DMARC12; p=none"}, "", 1, false},
		{"the word of a receiver of reports", KindDMARC, []string{"v=DMARC1"}, "v=DMARC1", 0, false},
		{"TLS-RPT beside a wildcard's text", KindTLSRPT, []string{"v=spf1 -all", "v=TLSRPTv1; rua=mailto:a@example.com"}, "v=TLSRPTv1; rua=mailto:a@example.com", 1, false},
		{"two of TLS-RPT (RFC 8460 section 3: as none)", KindTLSRPT, []string{"v=TLSRPTv1; rua=mailto:a@example.com", "v=TLSRPTv1;rua=mailto:b@example.com"}, "", 0, true},
		{"TLS-RPT in small letters", KindTLSRPT, []string{"v=tlsrptv1; rua=mailto:a@example.com"}, "", 1, false},
		{"two of MTA-STS (RFC 8461 section 3.1: as none)", KindMTASTS, []string{"v=STSv1; id=1", "v=STSv1; id=2"}, "", 0, true},
		{"STSv1 with a space before the semicolon, which the grammar has and the text has not (errata 6285)", KindMTASTS, []string{"v=STSv1 ; id=1"}, "v=STSv1 ; id=1", 0, false},
		{"a key without a version (RFC 6376 section 3.6.1: recommended)", KindDKIM, []string{"k=rsa; p=AA=="}, "k=rsa; p=AA==", 0, false},
		{"another version is no key", KindDKIM, []string{"v=DKIM2; p=AA=="}, "", 1, false},
		{"two keys (RFC 6376 section 3.6.2.2: undefined)", KindDKIM, []string{"v=DKIM1; p=AA==", "p=AA=="}, "", 0, true},
		{"nothing", KindSPF, nil, "", 0, false},
	} {
		got := Select(c.kind, c.texts)
		if got.Text != c.text || len(got.Foreign) != c.foreign || got.Problems.Fatal() != c.several {
			t.Errorf("%s: %+v", c.reason, got)
		}
		if c.several && (got.Problems[0].Code != Several || !strings.Contains(got.Problems[0].Message, "2 of them")) {
			t.Errorf("%s: %v", c.reason, got.Problems)
		}
	}
}

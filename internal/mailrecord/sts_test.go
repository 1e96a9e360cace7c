package mailrecord

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/conformance"
)

func TestParseTLSRPT(t *testing.T) {
	check(t, []row{
		{"RFC 8460 section 3.1: mailto", "v=TLSRPTv1;rua=mailto:reports@example.com", nil, "v=TLSRPTv1; rua=mailto:reports@example.com;"},
		{"RFC 8460 section 3.1: https", "v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt", nil, "v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt;"},
		{"two places in one rua", "v=TLSRPTv1; rua=mailto:a@example.com , https://example.net/r;", nil, "v=TLSRPTv1; rua=mailto:a@example.com,https://example.net/r;"},
		{"rua twice, which the grammar has", "v=TLSRPTv1; rua=mailto:a@example.com; rua=mailto:b@example.com", nil, "v=TLSRPTv1; rua=mailto:a@example.com,mailto:b@example.com;"},
		{"an extension", "v=TLSRPTv1; rua=mailto:a@example.com; ext=yes;", nil, "="},
		{"a comma in an address, encoded", "v=TLSRPTv1; rua=mailto:a%2Cb@example.com;", nil, "="},
		{"a comma in an address, not encoded", "v=TLSRPTv1; rua=mailto:a,b@example.com", []string{"Wrong BadURI rua", "Wrong BadURI rua", "Fatal MissingTag rua"}, ""},
		{"one place that is none, beside one that is", "v=TLSRPTv1; rua=ftp://example.com/,mailto:a@example.com", []string{"Wrong BadURI rua"}, "v=TLSRPTv1; rua=mailto:a@example.com;"},
		{"http is not https", "v=TLSRPTv1; rua=http://example.com/", []string{"Wrong BadURI rua", "Fatal MissingTag rua"}, ""},
		{"a bare address", "v=TLSRPTv1; rua=a@example.com", []string{"Wrong BadURI rua", "Fatal MissingTag rua"}, ""},
		{"mailto:// and an address, as people write it", "v=TLSRPTv1; rua=mailto://a@example.com", []string{"Wrong BadURI rua", "Fatal MissingTag rua"}, ""},
		{"no field", "v=TLSRPTv1;", []string{"Fatal MissingTag rua"}, ""},
		{"a field without a value", "v=TLSRPTv1; rua", []string{"Fatal BadSyntax"}, ""},
		{"an extension with a space", "v=TLSRPTv1; rua=mailto:a@example.com; ext=a b", []string{"Fatal BadSyntax ext"}, ""},
		{"white space before the semicolon", "v=TLSRPTv1 ;rua=mailto:a@example.com", []string{"Unwise BadSyntax v"}, "v=TLSRPTv1; rua=mailto:a@example.com;"},
		{"another version", "v=TLSRPTv2; rua=mailto:a@example.com", []string{"Fatal NotThisRecord v"}, ""},
	}, func(text string) (string, Problems) { r, found := ParseTLSRPT(text); return r.Render(), found })
}

// TestTLSRPTOfOthers compares with what another implementation takes and refuses.
func TestTLSRPTOfOthers(t *testing.T) {
	var cases []struct {
		Record string
		Valid  bool
	}
	if err := json.Unmarshal(conformance.Read(t, "tlsrpt-reports/txt-records.json"), &cases); err != nil || len(cases) < 20 {
		t.Fatalf("%d cases: %v", len(cases), err)
	}
	for _, c := range cases {
		if _, found := ParseTLSRPT(c.Record); found.Fatal() == c.Valid {
			t.Errorf("%q: %v", c.Record, found)
		}
	}
}

func TestValidateTLSRPT(t *testing.T) {
	for _, c := range []struct {
		reason string
		record TLSRPT
		code   Code
	}{
		{"a mailbox elsewhere", TLSRPT{URIs: []string{"mailto:a@example.net"}}, ""},
		{"only the domain itself", TLSRPT{URIs: []string{"mailto:a@example.com", "mailto:b@sub.Example.COM"}}, TooWeak},
		{"one of them elsewhere", TLSRPT{URIs: []string{"mailto:a@example.com", "https://example.net/"}}, ""},
		{"nobody", TLSRPT{}, MissingTag},
		{"a second record in a value", TLSRPT{URIs: []string{"mailto:a@example.net; rua=mailto:b@example.net"}}, BadSyntax},
	} {
		worst := c.record.Validate("example.com").Worst()
		if (worst == nil) != (c.code == "") || worst != nil && worst.Code != c.code && c.code != MissingTag {
			t.Errorf("%s: %v", c.reason, worst)
		}
	}
}

func TestParseMTASTS(t *testing.T) {
	check(t, []row{
		{"RFC 8461 section 3.1: the example", "v=STSv1; id=20160831085700Z;", nil, "="},
		{"no semicolon at the end", "v=STSv1; id=1", nil, "v=STSv1; id=1;"},
		{"an extension", "v=STSv1; id=1; foo=bar;", nil, "="},
		{"no id", "v=STSv1;", []string{"Fatal MissingTag id"}, ""},
		{"an id with a dash", "v=STSv1; id=2016-08-31", []string{"Fatal BadSyntax id"}, ""},
		{"an id of 33", "v=STSv1; id=" + strings.Repeat("1", 33), []string{"Fatal BadSyntax id"}, ""},
		{"two ids", "v=STSv1; id=1; id=2", []string{"Fatal Duplicate id"}, ""},
		{"small letters", "v=stsv1; id=1", []string{"Fatal NotThisRecord v"}, ""},
		{"a space before the semicolon", "v=STSv1 ; id=1", []string{"Unwise BadSyntax v"}, "v=STSv1; id=1;"},
		{"an empty field", "v=STSv1; id=1;;", []string{"Fatal BadSyntax"}, ""},
	}, func(text string) (string, Problems) { r, found := ParseMTASTS(text); return r.Render(), found })
	if found := (MTASTS{ID: "1; v=STSv1"}).Validate(); !found.Fatal() {
		t.Error("an id with a semicolon is published")
	}
	if found := (MTASTS{ID: "1", Extensions: []Tag{{"a", "b"}}}).Validate(); len(found) > 0 {
		t.Error(found)
	}
}

func TestParsePolicy(t *testing.T) {
	const example = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmx: backupmx.example.com\r\nmax_age: 604800\r\n"
	check(t, []row{
		{"RFC 8461 section 3.2: the example", example, nil, "="},
		{"line feeds alone, and none at the end", "version: STSv1\nmode: testing\nmx: mail.example.com\nmax_age: 86400", nil, "version: STSv1\r\nmode: testing\r\nmx: mail.example.com\r\nmax_age: 86400\r\n"},
		{"another order, and no space", "max_age:604800\nmx:Mail.Example.com\nmode:enforce\nversion:STSv1\n", nil, "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmax_age: 604800\r\n"},
		{"none needs no mx", "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n", nil, "="},
		{"an extension with spaces", "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\nnote: a b\r\n", nil, "="},
		{"white space at the end of a line", "version: STSv1 \r\nmode: none\t\r\nmax_age: 86400 \r\n", nil, "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n"},
		{"enforce without mx", "version: STSv1\nmode: enforce\nmax_age: 604800\n", []string{"Fatal MissingTag mx"}, ""},
		{"no version", "mode: none\nmax_age: 86400\n", []string{"Fatal MissingTag version"}, ""},
		{"a web page", "<html>\n<title>Not found</title>\n", []string{"Fatal BadSyntax", "Fatal BadSyntax", "Fatal MissingTag version", "Fatal MissingTag mode", "Fatal MissingTag max_age"}, ""},
		{"nothing", "", []string{"Wrong BadSyntax", "Fatal MissingTag version", "Fatal MissingTag mode", "Fatal MissingTag max_age"}, ""},
		{"a mode in capitals", "version: STSv1\nmode: Enforce\nmx: a.example\nmax_age: 604800\n", []string{"Fatal BadValue mode"}, ""},
		{"a second mode is ignored", "version: STSv1\nmode: none\nmode: enforce\nmax_age: 86400\n", []string{"Wrong Duplicate mode"}, "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n"},
		{"more than a year", "version: STSv1\nmode: enforce\nmx: a.example.com\nmax_age: 31557601\n", []string{"Wrong BadValue max_age"}, "version: STSv1\r\nmode: enforce\r\nmx: a.example.com\r\nmax_age: 31557600\r\n"},
		{"11 digits", "version: STSv1\nmode: none\nmax_age: 00000086400\n", []string{"Fatal BadSyntax max_age"}, ""},
		{"a time with a unit", "version: STSv1\nmode: none\nmax_age: 1w\n", []string{"Fatal BadSyntax max_age"}, ""},
		{"five minutes protect nobody", "version: STSv1\r\nmode: enforce\r\nmx: a.example.com\r\nmax_age: 300\r\n", []string{"Unwise TooWeak max_age"}, "="},
		{"a day is short where it is enforced", "version: STSv1\r\nmode: enforce\r\nmx: a.example.com\r\nmax_age: 86400\r\n", []string{"Unwise TooWeak max_age"}, "="},
		{"a star in the middle", "version: STSv1\nmode: none\nmx: a.*.example.com\nmax_age: 86400\n", []string{"Fatal BadSyntax mx"}, ""},
		{"a pattern with a dot only, as drafts had it", "version: STSv1\nmode: none\nmx: .example.com\nmax_age: 86400\n", []string{"Fatal BadSyntax mx"}, ""},
		{"an empty line", "version: STSv1\n\nmode: none\nmax_age: 86400\n", []string{"Wrong BadSyntax"}, "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n"},
		{"longer than 64 KiB", strings.Repeat("x", MaxPolicySize+1), []string{"Fatal TooLong"}, ""},
	}, func(text string) (string, Problems) { r, found := ParsePolicy(text); return r.Render(), found })
}

// TestPolicyCovers: a star stands for one label, and the first alone (RFC 8461 section 4.1, and RFC 6125 section 6.4.3).
func TestPolicyCovers(t *testing.T) {
	p := Policy{Mode: ModeEnforce, MaxAge: 7 * 24 * time.Hour, MX: []string{"mail.example.com", "*.example.net"}}
	for host, want := range map[string]bool{
		"mail.example.com": true, "MAIL.example.com.": true, "mx.example.net": true,
		"example.net": false, "a.b.example.net": false, "mail2.example.com": false, "x.mail.example.com": false,
	} {
		if got := p.Covers(host); got != want {
			t.Errorf("%s: %t", host, got)
		}
	}
	if found := p.Validate([]string{"mail.example.com", "mx.example.org"}); len(found) != 1 || found[0].Code != Dangling || !strings.Contains(found[0].Message, "mx.example.org") {
		t.Error(found)
	}
	for _, c := range []struct {
		reason string
		mode   Mode
		hosts  []string
		want   Severity
	}{
		{"one of two is left out", ModeEnforce, []string{"mail.example.com", "mx.example.org"}, Wrong},
		{"all are left out, and no mail comes", ModeEnforce, []string{"mx.example.org"}, Fatal},
		{"nothing is refused yet", ModeTesting, []string{"mx.example.org"}, Wrong},
		{"nobody goes by it", ModeNone, []string{"mx.example.org"}, ""},
		{"there are no hosts", ModeEnforce, nil, ""},
	} {
		p.Mode = c.mode
		found := p.Hosts(c.hosts)
		if worst := found.Worst(); (worst == nil) != (c.want == "") || worst != nil && worst.Severity != c.want {
			t.Errorf("%s: %v", c.reason, found)
		}
	}
	p.Mode = ModeEnforce
	p.MX = []string{"mail.example.com\nmode: none"}
	if found := p.Validate(nil); !found.Fatal() {
		t.Errorf("a host with a line end is published: %q", p.Render())
	}
}

package mailrecord

import (
	"context"
	"slices"
	"strings"
	"testing"
)

func TestParseDMARC(t *testing.T) {
	check(t, []row{
		{"RFC 9989 appendix B.2.1: everyone starts with none", "v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com", []string{"Unwise TooWeak p"}, "="},
		{"appendix B.2.2: failure reports", "v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com; ruf=mailto:auth-reports@example.com", []string{"Unwise TooWeak p"}, "="},
		{"appendix B.2.4: quarantine that is tried", "v=DMARC1; p=quarantine; t=y; rua=mailto:dmarc-feedback@example.com,mailto:tld-test@thirdparty.example.net", []string{"Unwise TooWeak t"}, "="},
		{"RFC 7489 appendix B.2.4: with a size and a percentage, which are gone", "v=DMARC1; p=quarantine; rua=mailto:dmarc-feedback@example.com,mailto:tld-test@thirdparty.example.net!10m; pct=25",
			[]string{"Unwise Historic rua", "Unwise Historic pct"}, "v=DMARC1; p=quarantine; rua=mailto:dmarc-feedback@example.com,mailto:tld-test@thirdparty.example.net; pct=25"},
		{"reject, and all tags that there are", "v=DMARC1; p=reject; sp=reject; np=reject; psd=n; adkim=s; aspf=r; rua=mailto:a@example.com; ruf=mailto:b@example.com; fo=0:d:s", nil, "="},
		{"white space as the grammar has it", "v=DMARC1 ;  p = reject\t; rua = mailto:a@example.com , mailto:b@example.com ;", nil, "v=DMARC1; p=reject; rua=mailto:a@example.com,mailto:b@example.com"},
		{"values are case-insensitive", "v=DMARC1; P=Reject; RUA=mailto:a@example.com", nil, "v=DMARC1; p=reject; rua=mailto:a@example.com"},
		{"psd=u and t=n are what is meant without them", "v=DMARC1; p=reject; psd=u; t=n; rua=mailto:a@example.com", nil, "v=DMARC1; p=reject; rua=mailto:a@example.com"},
		{"section 4.10.1: no policy, and reports", "v=DMARC1; rua=mailto:a@example.com", []string{"Wrong MissingTag p", "Unwise TooWeak p"}, "v=DMARC1; p=none; rua=mailto:a@example.com"},
		{"section 4.10.1: no policy, and no reports", "v=DMARC1;", []string{"Fatal MissingTag p"}, ""},
		{"section 4.10.1: a wrong policy, and reports", "v=DMARC1; p=monitor; rua=mailto:a@example.com", []string{"Wrong BadValue p", "Wrong MissingTag p", "Unwise TooWeak p"}, "v=DMARC1; p=none; rua=mailto:a@example.com"},
		{"section 4.10.1: a wrong sp turns reject into none", "v=DMARC1; p=reject; sp=discard; rua=mailto:a@example.com", []string{"Wrong BadValue sp", "Wrong MissingTag p", "Unwise TooWeak p"}, "v=DMARC1; p=none; rua=mailto:a@example.com"},
		{"section 4.10.1: a wrong np, and no reports", "v=DMARC1; p=reject; np=x", []string{"Wrong BadValue np", "Fatal MissingTag p"}, ""},
		{"section 4.10.1: a place for reports that is none does not count", "v=DMARC1; p=x; rua=a@example.com", []string{"Wrong BadValue p", "Wrong BadURI rua", "Fatal MissingTag p"}, ""},
		{"section 4.7: a wrong value of another tag leaves its default", "v=DMARC1; p=reject; adkim=strict; rua=mailto:a@example.com", []string{"Wrong BadValue adkim"}, "v=DMARC1; p=reject; rua=mailto:a@example.com"},
		{"section 4.7: unknown tags are ignored", "v=DMARC1; p=reject; rua=mailto:a@example.com; foo=bar", []string{"Unwise Unreached foo"}, "="},
		{"ri and rf are gone", "v=DMARC1; p=reject; rua=mailto:a@example.com; rf=afrf; ri=86400", []string{"Unwise Historic rf", "Unwise Historic ri"}, "="},
		{"p is not the second tag, which RFC 7489 wants", "v=DMARC1; rua=mailto:a@example.com; p=reject", []string{"Unwise BadSyntax p"}, "v=DMARC1; p=reject; rua=mailto:a@example.com"},
		{"a tag twice", "v=DMARC1; p=reject; p=none; rua=mailto:a@example.com", []string{"Wrong Duplicate p"}, "v=DMARC1; p=reject; rua=mailto:a@example.com"},
		{"no semicolon between tags", "v=DMARC1; p=reject rua=mailto:a@example.com", []string{"Wrong BadValue p", "Fatal MissingTag p"}, ""},
		{"two semicolons", "v=DMARC1; p=reject;; rua=mailto:a@example.com", []string{"Wrong BadSyntax"}, "v=DMARC1; p=reject; rua=mailto:a@example.com"},
		{"subdomains weaker than the domain", "v=DMARC1; p=reject; sp=none; rua=mailto:a@example.com", []string{"Unwise TooWeak sp"}, "="},
		{"nobody hears of failures", "v=DMARC1; p=reject", []string{"Unwise MissingTag rua"}, "="},
		{"fo without ruf is ignored", "v=DMARC1; p=reject; rua=mailto:a@example.com; fo=1", []string{"Unwise Unreached fo"}, "="},
		{"https is no place for reports", "v=DMARC1; p=reject; rua=https://example.com/", []string{"Wrong BadURI rua", "Unwise MissingTag rua"}, "v=DMARC1; p=reject"},
		{"another version", "v=DMARC2; p=reject", []string{"Fatal NotThisRecord v"}, ""},
		{"the version does not come first", "p=reject; v=DMARC1", []string{"Fatal NotThisRecord v"}, ""},
	}, func(text string) (string, Problems) { r, found := ParseDMARC(text); return r.Render(), found })
	if found := (DMARC{Policy: DispositionReject, RUA: []string{"mailto:a@example.com; p=none"}}).Validate(); !found.Fatal() {
		t.Error("a URI with a tag behind it is published")
	}
}

// TestDMARCPath: none, quarantine, reject, each with the next step, and reports first.
func TestDMARCPath(t *testing.T) {
	for text, want := range map[string]string{
		"v=DMARC1; p=none":                                           "add rua=",
		"v=DMARC1; p=none; rua=mailto:a@example.com":                 "go on to p=quarantine",
		"v=DMARC1; p=quarantine; t=y; rua=mailto:a@example.com":      "take t=y away",
		"v=DMARC1; p=quarantine; rua=mailto:a@example.com":           "go on to p=reject",
		"v=DMARC1; p=reject; rua=mailto:a@example.com":               "",
		"v=DMARC1; p=reject; t=y; sp=none; rua=mailto:a@example.com": "take t=y away",
	} {
		r, _ := ParseDMARC(text)
		if got := r.Next(); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// TestTreeWalk is the example of RFC 9989 section 4.10, and its borders.
func TestTreeWalk(t *testing.T) {
	for domain, want := range map[string][]string{
		"a.b.c.d.e.f.g.h.i.j.mail.example.com": {"a.b.c.d.e.f.g.h.i.j.mail.example.com", "g.h.i.j.mail.example.com", "h.i.j.mail.example.com", "i.j.mail.example.com", "j.mail.example.com", "mail.example.com", "example.com", "com"},
		"a.b.c.d.e.f.g.com":                    {"a.b.c.d.e.f.g.com", "b.c.d.e.f.g.com", "c.d.e.f.g.com", "d.e.f.g.com", "e.f.g.com", "f.g.com", "g.com", "com"},
		"b.c.d.e.f.g.com":                      {"b.c.d.e.f.g.com", "c.d.e.f.g.com", "d.e.f.g.com", "e.f.g.com", "f.g.com", "g.com", "com"},
		"example.com":                          {"example.com", "com"},
		"com":                                  {"com"},
	} {
		if got := treeWalk(domain); !slices.Equal(got, want) {
			t.Errorf("%s: %q", domain, got)
		}
	}
}

func TestDiscoverDMARC(t *testing.T) {
	reports := "; rua=mailto:a@example.com"
	for _, c := range []struct {
		reason, domain string
		records        []string
		at, org        string
		applied        Disposition
		asked          int
	}{
		{"at the domain, which is its own organization", "example.com", []string{`_dmarc.example.com. TXT "v=DMARC1; p=reject` + reports + `"`}, "example.com", "example.com", "reject", 2},
		{"section 4.10.2: mail.example.com and example.com have records", "a.mail.example.com",
			[]string{`_dmarc.mail.example.com. TXT "v=DMARC1; p=none` + reports + `"`, `_dmarc.example.com. TXT "v=DMARC1; p=reject; sp=quarantine` + reports + `"`}, "example.com", "example.com", "quarantine", 4},
		{"section 4.10.2: psd=n ends the walk", "a.mail.example.com",
			[]string{`_dmarc.mail.example.com. TXT "v=DMARC1; p=quarantine; psd=n` + reports + `"`, `_dmarc.example.com. TXT "v=DMARC1; p=reject` + reports + `"`}, "mail.example.com", "mail.example.com", "quarantine", 2},
		{"section 4.10.2: only the public suffix has one", "a.mail.example.com", []string{`_dmarc.com. TXT "v=DMARC1; p=reject; sp=none; psd=y` + reports + `"`}, "com", "example.com", "none", 4},
		{"section 4.10.2: psd=y at the parent", "mail.example.com", []string{`_dmarc.mail.example.com. TXT "v=DMARC1; p=reject` + reports + `"`, `_dmarc.example.com. TXT "v=DMARC1; p=none; psd=y` + reports + `"`}, "mail.example.com", "mail.example.com", "reject", 2},
		{"psd=y at the domain itself", "example.com", []string{`_dmarc.example.com. TXT "v=DMARC1; p=reject; psd=y` + reports + `"`}, "example.com", "example.com", "reject", 1},
		{"the domain has one of its own, its organization another", "mail.example.com",
			[]string{`_dmarc.mail.example.com. TXT "v=DMARC1; p=none` + reports + `"`, `_dmarc.example.com. TXT "v=DMARC1; p=reject` + reports + `"`}, "mail.example.com", "example.com", "none", 3},
		{"two records at the domain are none, and the parent's applies", "mail.example.com",
			[]string{`_dmarc.mail.example.com. TXT "v=DMARC1; p=none"`, `_dmarc.mail.example.com. TXT "v=DMARC1; p=reject"`, `_dmarc.example.com. TXT "v=DMARC1; p=reject` + reports + `"`}, "example.com", "example.com", "reject", 3},
		{"t=y is one level weaker", "example.com", []string{`_dmarc.example.com. TXT "v=DMARC1; p=reject; t=y` + reports + `"`}, "example.com", "example.com", "quarantine", 2},
		{"none at all", "example.com", nil, "", "example.com", "", 2},
	} {
		got := DiscoverDMARC(t.Context(), zone(t, c.records...), c.domain)
		if got.Domain != c.at || got.Organizational != c.org || got.Applied != c.applied || len(got.Asked) != c.asked || got.Failed {
			t.Errorf("%s: %+v", c.reason, got)
		}
	}
	twice := DiscoverDMARC(t.Context(), zone(t, `_dmarc.example.com. TXT "v=DMARC1; p=none"`, `_dmarc.example.com. TXT "v=DMARC1; p=reject"`), "example.com")
	if twice.Domain != "" || !twice.Problems.Fatal() || twice.Problems[0].Code != Several {
		t.Errorf("two records: %+v", twice)
	}
	own := DiscoverDMARC(t.Context(), above{zone(t, `_dmarc.example.com. TXT "v=DMARC1; p=reject`+reports+`"`)}, "example.com")
	if own.Failed || own.Applied != "reject" || len(own.Problems) > 0 {
		t.Errorf("what fails above a record of the domain's own does not matter: %+v", own)
	}
	if failed := DiscoverDMARC(t.Context(), zone(t), "mail.fails"); !failed.Failed || len(failed.Asked) != 1 {
		t.Errorf("without an answer for the domain nobody looks further: %+v", failed)
	}
}

// above fails for the top level domain.
type above struct{ world }

func (a above) Lookup(ctx context.Context, name string, qtype uint16) Answer {
	if name == "_dmarc.com" {
		return Answer{Cause: "nobody answers"}
	}
	return a.world.Lookup(ctx, name, qtype)
}

// TestReportReceivers: those of other organizations have to say that they take reports.
func TestReportReceivers(t *testing.T) {
	w := zone(t, `_dmarc.example.com. TXT "v=DMARC1; p=none; rua=mailto:a@reports.example.com,mailto:b@willing.example,mailto:c@silent.example,mailto:d@silent.example; ruf=mailto:e@other.example,mailto:f@all.fails"`,
		`example.com._report._dmarc.willing.example. TXT "v=DMARC1;"`, `example.com._report._dmarc.other.example. TXT "v=spf1 -all"`)
	var got []string
	for _, p := range DiscoverDMARC(t.Context(), w, "example.com").ReportReceivers(t.Context(), w) {
		got = append(got, p.Message)
	}
	if len(got) != 3 || !strings.Contains(got[0], "silent.example") || !strings.Contains(got[1], "other.example") || !strings.Contains(got[2], "cannot be found out") {
		t.Errorf("%q", got)
	}
}

package tlsrpt

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// reportWith is a report that is right but for the parts that are replaced: old, new, old, new, …
func reportWith(replacements ...string) string {
	return strings.NewReplacer(replacements...).Replace(`{
 "organization-name": "Sender Inc.",
 "date-range": {"start-datetime": "2026-04-01T00:00:00Z", "end-datetime": "2026-04-01T23:59:59Z"},
 "contact-info": "tls@sender.example",
 "report-id": "7@sender.example",
 "policies": [{
  "policy": {"policy-type": "tlsa", "policy-string": ["3 1 1 aa"], "policy-domain": "example.com", "mx-host": ["mx1.example.com"]},
  "summary": {"total-successful-session-count": 10, "total-failure-session-count": 2},
  "failure-details": [{"result-type": "tlsa-invalid", "sending-mta-ip": "192.0.2.1",
   "receiving-mx-hostname": "MX1.example.com.", "receiving-ip": "192.0.2.9", "failed-session-count": 2,
   "failure-reason-code": "no match"}]
 }]
}`)
}

func TestParse(t *testing.T) {
	r, err := Parse([]byte(reportWith()))
	if err != nil || len(r.Deviations) > 0 {
		t.Fatal(err, r.Deviations)
	}
	if !r.Start.Equal(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)) || r.Organization != "Sender Inc." || r.ID != "7@sender.example" {
		t.Errorf("the head is %+v", r)
	}
	p := r.Policies[0]
	if p.Type != TLSA || p.Domain != "example.com" || p.Successful != 10 || p.Failed != 2 || p.Strings[0] != "3 1 1 aa" {
		t.Errorf("the policy is %+v", p)
	}
	f := p.Failures[0]
	if f.Result != TLSAInvalid || f.ReceivingMX != "mx1.example.com" || f.Sessions != 2 || f.Reason != "no match" {
		t.Errorf("the failure is %+v", f)
	}
}

func TestMalformed(t *testing.T) {
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	wide := "[" + strings.Repeat("{},", 30_000) + "{}]"
	for _, c := range []struct{ why, text, message string }{
		{"nothing is no report", "", "JSON cannot be read"},
		{"a page of HTML", "<html></html>", "JSON cannot be read"},
		{"cut short in transfer", reportWith()[:300], "JSON cannot be read"},
		{"what follows the report could be another", reportWith() + reportWith(), "invalid character"},
		{"two readers could take either", reportWith(`"report-id"`, `"report-id": "8", "report-id"`), "duplicate field"},
		{"names are told apart by case", reportWith(`"report-id"`, `"Report-ID"`), "no report-id"},
		{"nobody answers for it", reportWith("Sender Inc.", ""), "organization-name"},
		{"it could not be told apart from another", reportWith("7@sender.example", " "), "report-id"},
		{"it says nothing", reportWith(`"policies"`, `"policy"`), "no policies"},
		{"sessions cannot be counted to a time", reportWith("2026-04-01T00:00:00Z", "yesterday"), `start-datetime "yesterday"`},
		{"the times are the wrong way round", reportWith("2026-04-01T00:00:00Z", "2026-04-02T00:00:00Z"), "no time of at most 32 days"},
		{"half a year is no report", reportWith("2026-04-01T00:00:00Z", "2025-10-01T00:00:00Z"), "no time of at most 32 days"},
		{"less than no sessions", reportWith(": 10", ": -10"), "-10 is not a number of sessions"},
		{"half a session", reportWith(": 10", ": 0.5"), "0.5 is not a number of sessions"},
		{"more than all mail of the world", reportWith(": 10", ": 9000000000000000000"), "is not a number of sessions"},
		{"a number that overflows", reportWith(": 10", ": 1e99"), "is not a number of sessions"},
		{"a number in quotes", reportWith(": 10", `: "10"`), "is not a number of sessions"},
		{"a failure of no kind", reportWith("tlsa-invalid", ""), "no result-type"},
		{"nested to exhaust a stack", reportWith(`["3 1 1 aa"]`, deep), "nested"},
		{"objects to fill the memory", reportWith(`["3 1 1 aa"]`, wide), "lists and objects"},
		{"numbers to fill the memory", "[" + strings.Repeat("1,", 600_000) + "1]", "more than 250000 parts"},
		{"a text to fill the memory", reportWith("Sender Inc.", strings.Repeat("\\\"", 33<<10)), "a text of more than 65536 bytes"},
		{"too long", strings.Repeat(" ", MaxSize+1), "more than 10485760 bytes"},
	} {
		_, err := Parse([]byte(c.text))
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: got %v, want %q", c.why, err, c.message)
		}
	}
}

func TestDeviations(t *testing.T) {
	for _, c := range []struct{ why, text, want string }{
		{"a byte order mark before it", "\xef\xbb\xbf" + reportWith(), "[]"},
		{"a field of a later version", reportWith(`"report-id"`, `"x-new": [1], "report-id"`), "[]"},
		{"spaces around the id", reportWith("7@sender.example", "7@sender.example "), "[report-id with spaces around it]"},
		{"a result of nobody's", reportWith("tlsa-invalid", "gremlins"), "[result-type 'gremlins' not in RFC 8460]"},
		{"no failures told", reportWith(`"failure-details"`, `"details"`), "[]"},
		{"more fail in detail than in all", reportWith(`"total-failure-session-count": 2`, `"total-failure-session-count": 1`), "[sum of failed-session-count exceeds total-failure-session-count]"},
		{"a count that is null", reportWith(`"failed-session-count": 2`, `"failed-session-count": null`), "[failed-session-count missing]"},
		{"upper case", reportWith(`"tlsa"`, `"TLSA"`), "[]"},
	} {
		r, err := Parse([]byte(c.text))
		if got := fmt.Sprint(r.Deviations); err != nil || got != c.want {
			t.Errorf("%s: got %s %v, want %s", c.why, got, err, c.want)
		}
	}
}

func TestCleanText(t *testing.T) {
	for _, c := range []struct{ why, text, want string }{
		{"a line that would begin another entry of a log", "a\r\nlevel=error", "a\ufffd\ufffdlevel=error"},
		{"an escape that would move a terminal", "\x1b[2Ja", "\ufffd[2Ja"},
		{"a mark that would turn the direction of writing", "a\u202eb", "a\ufffdb"},
		{"half a character", "a\xc3", "a\ufffd"},
		{"text of any language stays", "Größe 邮件", "Größe 邮件"},
		{"what just fits stays whole", strings.Repeat("a", MaxText), strings.Repeat("a", MaxText)},
		{"what is longer is cut at a character", strings.Repeat("é", MaxText), strings.Repeat("é", (MaxText-3)/2) + "…"},
		{"what grows by cleaning is cut", strings.Repeat("\n", MaxText), strings.Repeat("\ufffd", (MaxText-3)/3) + "…"},
	} {
		if got := CleanText(c.text); got != c.want {
			t.Errorf("%s: got %q, want %q", c.why, got, c.want)
		}
	}
}

// What any bytes are taken for has clean texts alone, and counts that are none below zero.
func FuzzParse(f *testing.F) {
	f.Add([]byte(reportWith()))
	f.Add([]byte(reportWith(`["3 1 1 aa"]`, `"[\"3 1 1 AA\"]"`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		unpacked, err := Unpack(data)
		if err != nil {
			wantClean(t, err.Error())
			return
		}
		r, err := Parse(unpacked)
		if err != nil {
			wantClean(t, err.Error())
			return
		}
		wantClean(t, r.Organization, r.ID, r.Contact)
		wantClean(t, r.Deviations...)
		for _, p := range r.Policies {
			wantClean(t, p.Domain)
			wantClean(t, append(p.MXHosts, p.Strings...)...)
			if p.Successful < 0 || p.Failed < 0 {
				t.Errorf("%d and %d sessions", p.Successful, p.Failed)
			}
			for _, x := range p.Failures {
				wantClean(t, x.ReceivingMX, x.ReceivingHELO, x.ReceivingIP, x.SendingIP, x.Reason, x.Information)
			}
		}
	})
}

func wantClean(t *testing.T, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r != utf8.RuneError && !unicode.IsPrint(r) }) {
			t.Errorf("%q is not clean", s)
		}
	}
}

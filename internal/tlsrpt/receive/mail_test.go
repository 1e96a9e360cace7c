package receive

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/emersion/go-smtp"

	"github.com/dane-operator/dane-operator/internal/tlsrpt"
)

// letter is a message as senders of reports write it.
type letter struct {
	from, kind, name, body string
}

func (l letter) text() string {
	if l.from == "" {
		l.from = "reports@sender.example"
	}
	if l.kind == "" {
		l.kind = "application/tlsrpt+gzip"
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(l.body))
	var lines strings.Builder
	for len(encoded) > 0 {
		n := min(76, len(encoded))
		lines.WriteString(encoded[:n] + "\n")
		encoded = encoded[n:]
	}
	return strings.ReplaceAll(fmt.Sprintf(`From: %s
To: tlsrpt@example.com
Date: Wed, 01 Apr 2026 12:00:00 +0000
Subject: Report Domain: example.com Submitter: sender.example Report-ID: <1>
TLS-Report-Domain: example.com
TLS-Report-Submitter: sender.example
MIME-Version: 1.0
Content-Type: multipart/report; report-type="tlsrpt"; boundary="b"

--b
Content-Type: text/html; charset=x-unheard-of

<p>a report
--b
Content-Type: %s; name="%s"
Content-Transfer-Encoding: base64

%s--b--
`, l.from, l.kind, l.name, lines.String()), "\n", "\r\n")
}

// keys are a signer's; record is what stands in DNS.
type keys struct {
	private crypto.Signer
	record  string
}

func newKeys(t *testing.T, services string) keys {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return keys{private, "v=DKIM1; k=ed25519; " + services + "p=" + base64.StdEncoding.EncodeToString(public)}
}

func sign(t *testing.T, text, domain string, k keys) string {
	t.Helper()
	var out bytes.Buffer
	err := dkim.Sign(&out, strings.NewReader(text), &dkim.SignOptions{
		Domain: domain, Selector: "s1", Signer: k.private,
		HeaderKeys: []string{"From", "To", "Subject", "Date", "Content-Type"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestProof(t *testing.T) {
	good := newKeys(t, "")
	text := letter{body: "x"}.text()
	signed := sign(t, text, "sender.example", good)
	dns := func(k keys) LookupTXT {
		return func(_ context.Context, name string) ([]string, error) {
			if !strings.HasPrefix(name, "s1._domainkey.") {
				return nil, &net.DNSError{IsNotFound: true}
			}
			return []string{k.record}, nil
		}
	}
	away := func(context.Context, string) ([]string, error) {
		return nil, &net.DNSError{IsTemporary: true, IsTimeout: true}
	}
	withLength := strings.Replace(signed, "DKIM-Signature: ", "DKIM-Signature: l=1; ", 1)
	for _, c := range []struct {
		why, text string
		lookup    LookupTXT
		domain    string
		err       error
	}{
		{"signed by who wrote it", signed, dns(good), "sender.example", nil},
		{"signed by another host of the organization", sign(t, text, "mail.sender.example", good), dns(good), "mail.sender.example", nil},
		{"a key for every service", signed, dns(keys{record: strings.Replace(good.record, "p=", "s=*; p=", 1)}), "sender.example", nil},
		{"a key for reports alone", signed, dns(keys{record: strings.Replace(good.record, "p=", "s = tlsrpt ; p=", 1)}), "sender.example", nil},
		{"a key for reports and mail", signed, dns(keys{record: strings.Replace(good.record, "p=", "s=email:tlsrpt; p=", 1)}), "sender.example", nil},
		{"a key for mail alone", signed, dns(keys{record: strings.Replace(good.record, "p=", "s=email; p=", 1)}), "", errUnproved},
		{"not signed", text, dns(good), "", errUnproved},
		{"signed by somebody else", sign(t, text, "attacker.example", good), dns(good), "", errUnproved},
		{"signed by a registry above", sign(t, text, "example", good), dns(good), "", errUnproved},
		{"signed by two, the second speaks for it", sign(t, sign(t, text, "sender.example", good), "list.example", good), dns(good), "sender.example", nil},
		{"changed on the way", strings.Replace(signed, "Report-ID: <1>", "Report-ID: <2>", 1), dns(good), "", errUnproved},
		{"another key stands in DNS", signed, dns(newKeys(t, "")), "", errUnproved},
		{"the key was withdrawn", signed, dns(keys{record: "v=DKIM1; k=ed25519; p="}), "", errUnproved},
		{"signed in part (l=)", withLength, dns(good), "", errUnproved},
		{"DNS does not answer", signed, away, "", errKeys},
		{"two authors", sign(t, letter{from: "a@sender.example, b@other.example", body: "x"}.text(), "sender.example", good), dns(good), "", errUnproved},
		{"no header", "", dns(good), "", errUnproved},
	} {
		domain, err := proof(context.Background(), []byte(c.text), c.lookup)
		if domain != c.domain || !errors.Is(err, c.err) {
			t.Errorf("%s: %q %v, want %q %v", c.why, domain, err, c.domain, c.err)
		}
	}
}

func TestAttachment(t *testing.T) {
	many := strings.Repeat("--b\r\nContent-Type: text/plain\r\n\r\nx\r\n", 30)
	nested := ""
	for i := range 10 {
		nested += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	for _, c := range []struct{ why, text, want string }{
		{"of the type of RFC 8460", letter{body: "x"}.text(), "x"},
		{"JSON", letter{body: "x", kind: "application/tlsrpt+json"}.text(), "x"},
		{"known by its file name alone", letter{body: "x", kind: "application/octet-stream", name: "A!B!1!2.JSON.GZ"}.text(), "x"},
		{"a zip", letter{body: "x", kind: "application/zip", name: "a.zip"}.text(), "x"},
		{"a picture", letter{body: "x", kind: "image/png", name: "a.png"}.text(), ""},
		{"the whole message is the report", "Content-Type: application/tlsrpt+gzip\r\n\r\nx", "x"},
		{"parts without end", "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + many, ""},
		{"parts in parts without end", nested, ""},
		{"no message", "\x00", ""},
	} {
		got, err := attachment([]byte(c.text))
		if string(got) != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q %v, want %q", c.why, got, err, c.want)
		}
	}
}

// deliver hands messages on as a mail server does by LMTP, and returns what it is answered.
func deliver(t *testing.T, r *rig, lookup LookupTXT, limits Limits, to string, messages ...string) []error {
	t.Helper()
	return deliverBy(t, r, MailOptions{LMTP: true, Lookup: lookup, Limits: limits}, to, messages...)
}

// deliverBy delivers messages by LMTP or by SMTP.
func deliverBy(t *testing.T, r *rig, o MailOptions, to string, messages ...string) []error {
	t.Helper()
	o.Domain, o.Accepts = "tlsrpt.example.com", func(a string) bool { return a == "tlsrpt@example.com" }
	s := NewMailServer(r.Intake, o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	defer s.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client := smtp.NewClient
	if o.LMTP {
		client = smtp.NewClientLMTP
	}
	c := client(conn)
	defer c.Close()
	var out []error
	for _, m := range messages {
		out = append(out, one(c, to, m))
	}
	return out
}

func one(c *smtp.Client, to, message string) error {
	if err := c.Mail("", nil); err != nil {
		return err
	}
	if err := c.Rcpt(to, nil); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := strings.NewReader(message).WriteTo(w); err != nil {
		return err
	}
	return w.Close()
}

func TestByMail(t *testing.T) {
	k := newKeys(t, "s=tlsrpt; ")
	lookup := func(context.Context, string) ([]string, error) { return []string{k.record}, nil }
	away := func(context.Context, string) ([]string, error) { return nil, &net.DNSError{IsTemporary: true} }
	signed := func(l letter) string { return sign(t, l.text(), "sender.example", k) }
	good := letter{body: packed(t, report)}
	for _, c := range []struct {
		why, text string
		lookup    LookupTXT
		outcome   Outcome
		again     bool
	}{
		{"signed", signed(good), lookup, Kept, false},
		{"not signed: who stands in it may have nothing to do with it, and gets no bounce", good.text(), lookup, Unproved, false},
		{"the key cannot be fetched: the sender comes again", signed(good), away, Failed, true},
		{"no report", signed(letter{body: "x"}), lookup, Malformed, false},
		{"no attachment", signed(letter{body: "x", kind: "image/png"}), lookup, Malformed, false},
		{"a bomb", signed(letter{body: packed(t, strings.Repeat(" ", tlsrpt.MaxSize+1))}), lookup, TooLarge, false},
		{"about somebody else", signed(letter{body: packed(t, strings.Replace(report, "example.com", "example.net", 1))}), lookup, Foreign, false},
	} {
		for _, lmtp := range []bool{true, false} {
			r := newRig()
			err := deliverBy(t, r, MailOptions{LMTP: lmtp, Lookup: c.lookup, Limits: generous}, "tlsrpt@example.com", c.text)[0]
			if (err != nil) != c.again || r.outcomes[0] != c.outcome {
				t.Errorf("%s, by LMTP (%t): %v %v %v, want %s", c.why, lmtp, err, r.outcomes, r.reasons, c.outcome)
				continue
			}
			if c.outcome == Kept && r.items[0].Origin.Proof != "sender.example" {
				t.Errorf("%s, by LMTP (%t): its origin is %+v", c.why, lmtp, r.items[0].Origin)
			}
			var refused smtp.LMTPDataError
			if err != nil && !errors.As(err, &refused) && !temporary(err) {
				t.Errorf("%s, by LMTP (%t): %v is no reason to come again", c.why, lmtp, err)
			}
		}
	}
}

func temporary(err error) bool {
	var e *smtp.SMTPError
	return errors.As(err, &e) && e.Temporary()
}

func TestMailIsBounded(t *testing.T) {
	lookup := func(context.Context, string) ([]string, error) { return nil, &net.DNSError{IsNotFound: true} }
	r := newRig()
	if err := deliver(t, r, lookup, generous, "else@example.com", "x")[0]; err == nil || temporary(err) || len(r.outcomes) > 0 {
		t.Errorf("mail to others: %v", err)
	}
	large := "Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", maxMessage/70)
	if err := deliver(t, r, lookup, generous, "tlsrpt@example.com", large)[0]; err == nil || r.outcomes[0] != TooLarge {
		t.Errorf("too large: %v %v", err, r.outcomes)
	}
	r = newRig()
	got := deliver(t, r, lookup, Limits{PerSource: 0.1, SourceBurst: 1, All: 10, AllBurst: 10}, "tlsrpt@example.com", letter{body: "x"}.text(), letter{body: "x"}.text())
	if got[0] != nil || got[1] == nil || r.outcomes[1] != Limited {
		t.Errorf("too many: %v %v", got, r.outcomes)
	}
}

// Whatever a message is, it proves nothing without a key, and what is found in it is bounded.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(letter{body: "x"}.text()))
	f.Add([]byte(letter{body: "x", kind: "application/zip", name: "a.zip"}.text()))
	f.Fuzz(func(t *testing.T, data []byte) {
		domain, err := proof(context.Background(), data, func(context.Context, string) ([]string, error) { return nil, &net.DNSError{IsNotFound: true} })
		if domain != "" || err == nil {
			t.Errorf("%q was proved", domain)
		}
		if report, err := attachment(data); err == nil && len(report) > tlsrpt.MaxPacked+1 {
			t.Errorf("%d bytes were read", len(report))
		}
	})
}

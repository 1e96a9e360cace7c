package controllers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/mailplan"
)

// TestEachValueOfTheSpec: what each field and value of the records beside TLSA comes to in DNS.
func TestEachValueOfTheSpec(t *testing.T) {
	const head = "version: STSv1\r\nmode: "
	for _, c := range []struct {
		record     mailplan.Record
		spec, want string
	}{
		{mailplan.TLSRPT, `{tlsReporting: {rua: ["mailto:a@example.net"]}}`, `"v=TLSRPTv1; rua=mailto:a@example.net;"`},
		{mailplan.TLSRPT, `{tlsReporting: {rua: ["mailto:a@example.net", "https://example.net/v1?a=b%2Cc"], ingest: Disabled}}`, `"v=TLSRPTv1; rua=mailto:a@example.net,https://example.net/v1?a=b%2Cc;"`},

		{mailplan.MTASTS, `{mtaSTS: {mode: Enforce}}`, head + "enforce\r\nmx: mx1.example.com\r\nmx: mx2.example.com\r\nmax_age: 604800\r\n"},
		{mailplan.MTASTS, `{mtaSTS: {mode: Testing, maxAge: 86400}}`, head + "testing\r\nmx: mx1.example.com\r\nmx: mx2.example.com\r\nmax_age: 86400\r\n"},
		{mailplan.MTASTS, `{mtaSTS: {mode: None, maxAge: 31557600}}`, head + "none\r\nmx: mx1.example.com\r\nmx: mx2.example.com\r\nmax_age: 31557600\r\n"},

		{mailplan.SPF, `{spf: {all: Fail}}`, `"v=spf1 -all"`},
		{mailplan.SPF, `{spf: {mechanisms: [mx, "ip4:192.0.2.0/24", "include:_spf.example.net"], all: SoftFail}}`, `"v=spf1 mx ip4:192.0.2.0/24 include:_spf.example.net ~all"`},
		{mailplan.SPF, `{spf: {mechanisms: ["?a:mail.example.net", "-ip6:2001:db8::/32"], all: Neutral}}`, `"v=spf1 ?a:mail.example.net -ip6:2001:db8::/32 ?all"`},

		{mailplan.DMARC, `{dmarc: {policy: None}}`, `"v=DMARC1; p=none"`},
		{mailplan.DMARC, `{dmarc: {policy: Quarantine, subdomainPolicy: Reject}}`, `"v=DMARC1; p=quarantine; sp=reject"`},
		{mailplan.DMARC, `{dmarc: {policy: Reject, subdomainPolicy: None, rua: ["mailto:a@example.com", "mailto:b@example.com"], ruf: ["mailto:c@example.com"]}}`,
			`"v=DMARC1; p=reject; sp=none; rua=mailto:a@example.com,mailto:b@example.com; ruf=mailto:c@example.com"`},
		{mailplan.DMARC, `{dmarc: {policy: Reject, subdomainPolicy: Quarantine, alignment: {dkim: Strict}}}`, `"v=DMARC1; p=reject; sp=quarantine; adkim=s"`},
		{mailplan.DMARC, `{dmarc: {policy: Reject, alignment: {spf: Strict}}}`, `"v=DMARC1; p=reject; aspf=s"`},
		{mailplan.DMARC, `{dmarc: {policy: Reject, alignment: {dkim: Strict, spf: Strict}}}`, `"v=DMARC1; p=reject; adkim=s; aspf=s"`},
		{mailplan.DMARC, `{dmarc: {policy: Reject, alignment: {dkim: Relaxed, spf: Relaxed}}}`, `"v=DMARC1; p=reject; adkim=r; aspf=r"`},
	} {
		md := mailDomain("mail", "example", 0, host("mx1.example.com", 25), host("mx2.example.com", 25))
		md.Spec.Domain = "example.com"
		if err := yaml.UnmarshalStrict([]byte(c.spec), &md.Spec); err != nil {
			t.Fatal(err)
		}
		got := wishOf(&md, c.record, hostnames(&md), nil)
		text := strings.Join(got.Data, " and ")
		if c.record == mailplan.MTASTS && strings.HasPrefix(text, `"v=STSv1; id=`) {
			text = got.Policy
		}
		if got.Invalid != "" || text != c.want {
			t.Errorf("%s comes to %q %s, want %q", c.spec, text, got.Invalid, c.want)
		}
		if c.record != mailplan.DMARC && wishOf(&md, mailplan.DMARC, hostnames(&md), nil).Data != nil {
			t.Errorf("%s comes to a record of DMARC, too", c.spec)
		}
	}
}

// TestMXIsChecked: with policy Check the MX records are told of, whoever wrote them, and nothing is written.
func TestMXIsChecked(t *testing.T) {
	b := newRecordBed(t, func(s *v1alpha1.MailDomainSpec) { s.MX = &v1alpha1.MXSpec{Policy: v1alpha1.MXCheck} })
	const theirs = "10 old.example.com."
	b.zone.sets[setName(mailplan.MX, "example.com")] = []string{theirs}
	b.settle()
	b.is(v1alpha1.RecordMX, v1alpha1.MailRecordNotManaged)
	if r := b.get().Status.Record(v1alpha1.RecordMX); !slices.Equal(r.Found, []string{theirs}) || len(r.Own) > 0 || b.zone.writes > 0 {
		t.Errorf("%d updates, and status is %+v", b.zone.writes, r)
	}
	b.shows(mailplan.MX, theirs)
}

// TestMTASTSChanges: each change of mode or maxAge is served before the record tells senders that there is another policy, be it one
// that is tried before, enforced after, or withdrawn at last.
func TestMTASTSChanges(t *testing.T) {
	b := newRecordBed(t, func(s *v1alpha1.MailDomainSpec) { s.MTASTS = &v1alpha1.MTASTSSpec{Mode: v1alpha1.MTASTSTesting} })
	name := setName(mailplan.MTASTS, "example.com")
	ids := map[string]bool{}
	for _, c := range []struct {
		mode   v1alpha1.MTASTSMode
		maxAge int32
		says   string
	}{
		{v1alpha1.MTASTSTesting, 0, "mode: testing"}, {v1alpha1.MTASTSTesting, 1209600, "max_age: 1209600"}, {v1alpha1.MTASTSEnforce, 1209600, "mode: enforce"},
		{v1alpha1.MTASTSEnforce, 604800, "max_age: 604800"}, {v1alpha1.MTASTSNone, 604800, "mode: none"},
	} {
		b.edit(func(md *v1alpha1.MailDomain) { md.Spec.MTASTS.Mode, md.Spec.MTASTS.MaxAge = c.mode, c.maxAge })
		before := slices.Clone(b.zone.sets[name])
		b.settle()
		b.step(2 * time.Minute)
		wanted := b.get().Status.Record(v1alpha1.RecordMTASTS)
		if !slices.Equal(b.zone.sets[name], before) || !strings.Contains(wanted.Policy, c.says) {
			t.Fatalf("%s: while %q is served there stands %v, and %v before; wanted is %+v", c.says, b.policy, b.zone.sets[name], before, wanted)
		}
		b.is(v1alpha1.RecordMTASTS, v1alpha1.MailRecordWaiting, "mta-sts.example.com")
		b.policy = wanted.Policy
		b.step(2 * time.Minute)
		b.settle()
		b.is(v1alpha1.RecordMTASTS, v1alpha1.MailRecordPublished)
		if after := b.zone.sets[name]; len(after) != 1 || ids[after[0]] {
			t.Errorf("%s: there stands %v", c.says, after)
		} else {
			ids[after[0]] = true
		}
	}
}

// TestEachPartAdopts: each of the records replaces what somebody else wrote at its name where its own part says adopt, and only there.
func TestEachPartAdopts(t *testing.T) {
	theirs := map[mailplan.Record]string{
		mailplan.MX: "10 old.example.com.", mailplan.TLSRPT: `"v=TLSRPTv1; rua=mailto:b@example.net"`, mailplan.MTASTS: `"v=STSv1; id=1;"`,
		mailplan.SPF: `"v=spf1 a ~all"`, mailplan.DMARC: `"v=DMARC1; p=reject"`,
	}
	adopts := map[mailplan.Record]func(*v1alpha1.MailDomainSpec){
		mailplan.MX:     func(s *v1alpha1.MailDomainSpec) { s.MX.Adopt = true },
		mailplan.TLSRPT: func(s *v1alpha1.MailDomainSpec) { s.TLSReporting.Adopt = true },
		mailplan.MTASTS: func(s *v1alpha1.MailDomainSpec) { s.MTASTS.Adopt = true },
		mailplan.SPF:    func(s *v1alpha1.MailDomainSpec) { s.SPF.Adopt = true },
		mailplan.DMARC:  func(s *v1alpha1.MailDomainSpec) { s.DMARC.Adopt = true },
	}
	for adopted, adopt := range adopts {
		b := newRecordBed(t, func(s *v1alpha1.MailDomainSpec) {
			all(s)
			s.MTASTS = &v1alpha1.MTASTSSpec{Mode: v1alpha1.MTASTSTesting}
			adopt(s)
		})
		for record, data := range theirs {
			b.zone.sets[setName(record, "example.com")] = []string{data}
		}
		b.settle()
		b.policy = b.get().Status.Record(v1alpha1.RecordMTASTS).Policy
		b.step(2 * time.Minute)
		for record, data := range theirs {
			stays := slices.Equal(b.zone.sets[setName(record, "example.com")], []string{data})
			if stays == (record == adopted) {
				t.Errorf("%s adopts: %s is left as it is: %t; %+v", adopted, record, stays, b.get().Status.Record(v1alpha1.MailRecord(record)))
			}
			if record != adopted {
				b.is(v1alpha1.MailRecord(record), v1alpha1.MailRecordConflict)
			}
		}
	}
}

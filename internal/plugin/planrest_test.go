package plugin

import (
	"bytes"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// TestPlanOfTheRest: the records beside TLSA that a spec asks for, and its keys, by themselves and beside what status tells of.
func TestPlanOfTheRest(t *testing.T) {
	plan := func(md *v1alpha1.MailDomain) string {
		var out bytes.Buffer
		writeRest(&out, md)
		return out.String()
	}
	asksNothing := rolling()
	asksNothing.Status.DKIM = nil
	if got := plan(asksNothing); got != "" {
		t.Errorf("a spec that asks for nothing comes to\n%s", got)
	}
	md := rolling()
	if err := yaml.UnmarshalStrict([]byte(`
mx: {policy: Manage}
tlsReporting: {rua: ["mailto:tlsrpt@example.net"]}
mtaSTS: {mode: Testing}
spf: {mechanisms: [mx], all: Fail}
dmarc: {policy: None, rua: ["mailto:@example.com"]}
dkim: {keys: [{name: rsa, algorithm: RSA, secretName: dkim-rsa}, {name: new, algorithm: Ed25519, secretName: dkim-new}]}
`), &md.Spec); err != nil {
		t.Fatal(err)
	}
	md.Status.Records = []v1alpha1.MailRecordStatus{
		{Record: v1alpha1.RecordMX, Name: "example.com", Found: []string{"10 mx1.example.com.", "30 old.example.com."}, Own: []string{"30 old.example.com."}},
		{Record: v1alpha1.RecordSPF, Name: "example.com", Found: []string{`"v=spf1 a ~all"`}},
	}
	md.Status.DKIM[0].SecretName = "dkim-rsa"
	const want = `
The other records
-----------------
MX example.com. MX
    10 mx1.example.com.
  + 10 mx2.example.net.
  - 30 old.example.com.
TLSRPT _smtp._tls.example.com. TXT
  + "v=TLSRPTv1; rua=mailto:tlsrpt@example.net;"
SPF example.com. TXT
  + "v=spf1 mx -all"
    "v=spf1 a ~all" (foreign: it stays, and nothing is written, unless adopt is true)
DMARC _dmarc.example.com. TXT
  it is not published: spec.dmarc.rua: `
	got := plan(md)
	for _, part := range append(strings.Split(want, "\n")[1:], `written once https://mta-sts.example.com/.well-known/mta-sts.txt serves:`, "    mode: testing\n",
		"rsa (RSA 2048): selector rsa-3f9a2b1c77d0 is in use, in Secret dkim-rsa", "new (Ed25519): it is made, published at new-DIGITS._domainkey.example.com, and put into Secret dkim-new") {
		if !strings.Contains(got, part) {
			t.Errorf("%q is missing in\n%s", part, got)
		}
	}
	md.Spec.SPF.Adopt = true
	if got := plan(md); !strings.Contains(got, "  - \"v=spf1 a ~all\"\n") {
		t.Errorf("what is adopted stays in\n%s", got)
	}
}

// TestWhenServed: what plan says of a new key is true of the strategy, and nothing is said where no certificate is named.
func TestWhenServed(t *testing.T) {
	md := rolling()
	md.Spec.Rollover.Strategy = v1alpha1.StrategyGate
	if said := whenServed(md); !strings.Contains(said, "strategy Gate: a new key is served ") {
		t.Errorf("of Gate it says %q", said)
	}
	md.Spec.Rollover.Strategy = v1alpha1.StrategyFollow
	if said := whenServed(md); !strings.Contains(said, "nothing holds a new key back") || strings.Contains(said, "at the earliest") {
		t.Errorf("of Follow it says %q", said)
	}
	for i := range md.Spec.MailServers {
		md.Spec.MailServers[i].Certificates = nil
	}
	if said := whenServed(md); said != "" {
		t.Errorf("without certificates it says %q", said)
	}
}

// TestRecordOfAStandbyKeyThatGoes: with standby keys switched off, the record of the next key does not stay as a matter of course.
func TestRecordOfAStandbyKeyThatGoes(t *testing.T) {
	now := &v1alpha1.MailServerStatus{Keys: []v1alpha1.KeyStatus{{Role: v1alpha1.RoleNext, Records: []string{"3 1 1 aa"}}}}
	for mode, goes := range map[v1alpha1.StandbyKeyMode]bool{v1alpha1.StandbyEnabled: false, v1alpha1.StandbyDisabled: true} {
		md := &v1alpha1.MailDomain{}
		md.Spec.Rollover = v1alpha1.RolloverSpec{Strategy: v1alpha1.StrategyGate, StandbyKey: mode}
		if why := keptFor(md, now, "3 1 1 aa"); !strings.HasPrefix(why, "of the next key") || strings.Contains(why, "it goes") != goes {
			t.Errorf("standby keys %s: %q", mode, why)
		}
	}
}

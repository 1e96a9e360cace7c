package plugin

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/servers"
)

// byHand is a MailDomain whose status has every kind of record: some that are new, and some in place of what stands.
func byHand(t *testing.T, namespace, spki string) {
	t.Helper()
	md := settled(t, namespace, spki)
	text := func(record v1alpha1.MailRecord, name, wanted string, found ...string) v1alpha1.MailRecordStatus {
		return v1alpha1.MailRecordStatus{Record: record, Name: name, Type: "TXT", State: v1alpha1.MailRecordConflict, Wanted: []string{wanted}, Found: found}
	}
	md.Status.Records = []v1alpha1.MailRecordStatus{
		{Record: v1alpha1.RecordMX, Name: "example.com", Type: "MX", State: v1alpha1.MailRecordNotManaged, Found: []string{"30 old.example.com."}},
		text(v1alpha1.RecordTLSRPT, "_smtp._tls.example.com", `"v=TLSRPTv1; rua=mailto:tlsrpt@example.net;"`),
		text(v1alpha1.RecordMTASTS, "_mta-sts.example.com", `"v=STSv1; id=2;"`, `"v=STSv1; id=1;"`),
		text(v1alpha1.RecordSPF, "example.com", `"v=spf1 mx -all"`, `"v=spf1 a ~all"`),
		text(v1alpha1.RecordDMARC, "_dmarc.example.com", `"v=DMARC1; p=none; rua=mailto:dmarc@example.com"`),
	}
	md.Status.DKIM = []v1alpha1.DKIMStatus{{Name: "rsa", SecretName: "dkim", State: v1alpha1.DKIMInUse, Selector: "rsa-1", Keys: []v1alpha1.DKIMKeyStatus{
		{Selector: "rsa-1", Role: v1alpha1.RoleCurrent, Visibility: v1alpha1.VisibilityOmnipresent, Record: `"v=DKIM1; k=rsa; p=` + strings.Repeat("A", 237) + `" "` + strings.Repeat("B", 120) + `"`},
		{Selector: "rsa-2", Role: v1alpha1.RoleNext, Visibility: v1alpha1.VisibilityHidden},
	}}}
	must(t, cluster.Client.Status().Update(t.Context(), md))
}

// shown are the records of a name and type at BIND, sorted.
func shown(t *testing.T, p *servers.Primary, name string, kind uint16) []string {
	t.Helper()
	m, err := servers.Ask(p.Addr, name+".", kind, false)
	must(t, err)
	var out []string
	for _, rr := range m.Answer {
		if rr.Header().Rrtype == kind { // its signature is none
			out = append(out, strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
	}
	slices.Sort(out)
	return out
}

// carryOut has nsupdate do at BIND what a script says.
func carryOut(t *testing.T, p *servers.Primary, script string) {
	t.Helper()
	key := filepath.Join(t.TempDir(), "admin.key")
	must(t, os.WriteFile(key, fmt.Appendf(nil, "key %s { algorithm hmac-sha256; secret %q; };\n", servers.AdminName, p.AdminSecret()), 0o600))
	nsupdate := exec.CommandContext(t.Context(), servers.Find(t, "nsupdate"), "-v", "-k", key)
	nsupdate.Stdin = strings.NewReader(fmt.Sprintf("server %s %d\n%s", p.Addr.Addr(), p.Addr.Port(), script))
	if out, err := nsupdate.CombinedOutput(); err != nil {
		t.Fatalf("nsupdate: %v\n%s\n%s", err, out, script)
	}
}

// TestRecordsByHand has nsupdate carry out what "kubectl dane records" prints, at BIND: all of it stands then, what was to go is gone,
// and another TXT record has stayed. The lines of a zone file are the same records.
func TestRecordsByHand(t *testing.T) {
	namespace := cluster.Namespace(t.Context(), t)
	spki := strings.Repeat("0a", 32)
	byHand(t, namespace, spki)
	p := servers.StartBINDPrimary(t, servers.Options{Zone: "example.com", Records: []string{
		"mx1 60 A 192.0.2.1", "old 60 A 192.0.2.9", "@ 60 MX 30 old", `@ 60 TXT "site-verification=1"`, `@ 60 TXT "v=spf1 a ~all"`, `_mta-sts 60 TXT "v=STSv1; id=1;"`,
	}})
	script, code := dane(t, namespace, "records", "example.com", "-o", "nsupdate")
	if code != 2 {
		t.Fatalf("exit code %d where something is held back and missing:\n%s", code, script)
	}
	carryOut(t, p, script)
	if got := shown(t, p, "_mta-sts.example.com", dns.TypeTXT); !slices.Equal(got, []string{`"v=STSv1; id=1;"`}) {
		t.Errorf("before the policy is served, %v stands at _mta-sts", got)
	}
	script, code = dane(t, namespace, "records", "example.com", "-o", "nsupdate", "--policy-served")
	if code != 2 || !strings.Contains(script, "; missing: DKIM key rsa: the record of selector rsa-2 ") {
		t.Fatalf("exit code %d:\n%s", code, script)
	}
	carryOut(t, p, script)
	zone, _ := dane(t, namespace, "records", "example.com", "--policy-served")
	for _, c := range []struct {
		name string
		kind uint16
		want []string
	}{
		{"_25._tcp.mx1.example.com", dns.TypeTLSA, []string{"3 1 1 " + spki, "3 1 1 " + strings.Repeat("0f", 32)}},
		{"example.com", dns.TypeMX, []string{"10 mx1.example.com.", "10 mx2.example.net."}},
		{"example.com", dns.TypeTXT, []string{`"site-verification=1"`, `"v=spf1 mx -all"`}},
		{"_smtp._tls.example.com", dns.TypeTXT, []string{`"v=TLSRPTv1; rua=mailto:tlsrpt@example.net;"`}},
		{"_mta-sts.example.com", dns.TypeTXT, []string{`"v=STSv1; id=2;"`}},
		{"_dmarc.example.com", dns.TypeTXT, []string{`"v=DMARC1; p=none; rua=mailto:dmarc@example.com"`}},
		{"rsa-1._domainkey.example.com", dns.TypeTXT, []string{`"v=DKIM1; k=rsa; p=` + strings.Repeat("A", 237) + `" "` + strings.Repeat("B", 120) + `"`}},
		{"rsa-2._domainkey.example.com", dns.TypeTXT, nil},
	} {
		if got := shown(t, p, c.name, c.kind); !slices.Equal(got, c.want) {
			t.Errorf("at %s there stands %v, want %v", c.name, got, c.want)
		}
		for _, data := range c.want {
			if data != `"site-verification=1"` && !strings.Contains(zone, "\t"+data+"\n") {
				t.Errorf("%s is no line of the zone file:\n%s", data, zone)
			}
		}
	}
}

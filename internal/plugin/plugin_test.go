package plugin

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/statusview"
)

var update = flag.Bool("update", false, "write testdata anew")

// golden compares a text with a file of testdata, which -update writes.
func golden(t *testing.T, name string, write func(io.Writer) error) {
	t.Helper()
	var got bytes.Buffer
	if err := write(&got); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, &got, want)
	}
}

// noon is when everything here is looked at.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func hours(n int) *metav1.Time { return &metav1.Time{Time: noon.Add(time.Duration(n) * time.Hour)} }

// rolling is a mail domain whose new key waits for caches.
func rolling() *v1alpha1.MailDomain {
	md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "example"}}
	md.Spec.Domain = "example.com"
	md.Spec.Rollover.Strategy = v1alpha1.StrategyGate
	md.Spec.TLSA.TTL = 3600
	md.Spec.MailServers = []v1alpha1.MailServer{{
		Hostname: "mx1.example.com", Ports: []v1alpha1.MailServerPort{{Port: 25}, {Port: 465}},
		Certificates: []v1alpha1.CertificateReference{{Name: "mx1"}},
	}, {Hostname: "mx2.example.net"}}
	now, next := strings.Repeat("1a", 32), strings.Repeat("2b", 32)
	md.Status.Conditions = []metav1.Condition{
		{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, Message: "All is well"},
		{Type: v1alpha1.ConditionRolloverSafe, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSafe},
		{Type: v1alpha1.ConditionRolloverInProgress, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonWaitingForCaches},
	}
	md.Status.NextTransition = &v1alpha1.Transition{Time: hours(1), Action: "mx1.example.com: key 2b2b2b2b2b2b2b2b of Certificate mx1 is deployed"}
	md.Status.MailServers = []v1alpha1.MailServerStatus{{
		Hostname:   "mx1.example.com",
		SenderView: &v1alpha1.SenderViewStatus{Verdict: v1alpha1.SenderDANE, Message: "Mail is authenticated."},
		Keys: []v1alpha1.KeyStatus{
			{SPKISHA256: now, Certificate: "mx1", Role: v1alpha1.RoleCurrent, Visibility: v1alpha1.VisibilityOmnipresent, Since: hours(-900), NotAfter: hours(700), Records: []string{"3 1 1 " + now}},
			{SPKISHA256: next, Certificate: "mx1", Role: v1alpha1.RoleNext, Visibility: v1alpha1.VisibilityRumoured, Since: hours(-2), DeployableAt: hours(1), Records: []string{"3 1 1 " + next}},
			{SPKISHA256: strings.Repeat("3c", 32), Certificate: "mx1", Role: v1alpha1.RolePrevious, Visibility: v1alpha1.VisibilityUnretentive, Since: hours(-900), GoneSince: hours(-880), RemovableAt: hours(-860), Records: []string{"3 1 1 " + strings.Repeat("3c", 32)}},
		},
		ForeignRecords: []string{"_25._tcp.mx1.example.com. 3600 IN TLSA 2 1 1 " + strings.Repeat("4d", 32)},
		Versions: []v1alpha1.VersionStatus{
			{Owner: "_25._tcp.mx1.example.com.", TTL: 3600, FirstSeen: hours(-860), LastSeen: hours(-1), Records: []string{"3 1 1 " + now}},
			{Owner: "_25._tcp.mx1.example.com.", TTL: 3600, FirstSeen: hours(-2), Open: true, Records: []string{"3 1 1 " + now, "3 1 1 " + next}},
		},
		Aliases:     []v1alpha1.AliasStatus{{Owner: "_465._tcp.mx1.example.com.", End: "tlsa.example.org."}},
		Nameservers: []v1alpha1.NameserverSync{{Name: "ns1.example.com", Address: "192.0.2.1:53", InSync: true}, {Address: "192.0.2.2:53", Message: "shows the records of before"}},
		Endpoints: []v1alpha1.EndpointStatus{
			{Address: "192.0.2.25", Port: 25, Verified: true, SPKISHA256: now}, {Address: "192.0.2.26", Port: 25, Message: "the connection timed out"},
			{Address: "192.0.2.27", Port: 25, SPKISHA256: next, Message: "presents another key"},
			{Address: "mx1.example.com", Message: "the lookup of its addresses timed out"},
		},
	}}
	md.Status.DKIM = []v1alpha1.DKIMStatus{
		{Name: "rsa", State: v1alpha1.DKIMInUse, Selector: "rsa-3f9a2b1c77d0", Message: "key rsa-8d01c2f4a9be waits until no cache holds records without it", Keys: []v1alpha1.DKIMKeyStatus{
			{Selector: "rsa-3f9a2b1c77d0", Role: v1alpha1.RoleCurrent, Visibility: v1alpha1.VisibilityOmnipresent, Record: `"v=DKIM1; k=rsa; h=sha256; p=AAAA"`},
			{Selector: "rsa-8d01c2f4a9be", Role: v1alpha1.RoleNext, Visibility: v1alpha1.VisibilityRumoured, DeployableAt: hours(2), Record: `"v=DKIM1; k=rsa; h=sha256; p=BBBB"`},
		}},
		{Name: "ed", State: v1alpha1.DKIMInUse, Selector: "ed-5b7e01aa93c4", NextRotation: hours(1000), Keys: []v1alpha1.DKIMKeyStatus{
			{Selector: "ed-5b7e01aa93c4", Role: v1alpha1.RoleCurrent, Visibility: v1alpha1.VisibilityOmnipresent, Record: `"v=DKIM1; k=ed25519; h=sha256; p=CCCC"`},
			{Selector: "ed-9c44d0e71b25", Role: v1alpha1.RolePrevious, Visibility: v1alpha1.VisibilityRumoured, RemovableAt: hours(30), RevokedAt: hours(-5), Record: `"v=DKIM1; p="`},
		}, Own: []v1alpha1.DKIMRecordStatus{{Selector: "ed-9c44d0e71b25", Record: `"v=DKIM1; k=ed25519; h=sha256; p=DDDD"`}, {Selector: "ed-9c44d0e71b25", Record: `"v=DKIM1; p="`}}},
	}
	return md
}

// TestStatusOfOne compares what is written of a mail domain in the middle of a rollover.
func TestStatusOfOne(t *testing.T) {
	golden(t, "status.txt", func(out io.Writer) error { return writeDomain(out, rolling(), noon) })
}

// TestStatusTellsBothTruths: where a rollover is not safe, it is not said that all senders deliver; and each word for what
// caches know is put into a sentence once.
func TestStatusTellsBothTruths(t *testing.T) {
	md := rolling()
	md.Spec.MailServers = md.Spec.MailServers[:1]
	md.Status.MailServers[0].Unsafe = &v1alpha1.UnsafeStatus{Reason: v1alpha1.ReasonGateBypassed, Message: "past the gate"}
	md.Status.MailServers = append(md.Status.MailServers, md.Status.MailServers[0])
	var one, list bytes.Buffer
	if err := errors.Join(writeDomain(&one, md, noon), writeDomains(&list, []v1alpha1.MailDomain{*md}, false, noon)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(one.String(), "Senders: DANE, some may fail. Those that look everything up now: Mail is authenticated. Those whose caches hold former answers may fail.\n") {
		t.Errorf("of one it says\n%s", &one)
	}
	if !strings.Contains(list.String(), "  DANE, some may fail  ") {
		t.Errorf("the list says\n%s", &list)
	}
	for _, v := range []v1alpha1.Visibility{v1alpha1.VisibilityRumoured, v1alpha1.VisibilityOmnipresent, v1alpha1.VisibilityUnretentive} {
		if n := strings.Count(one.String(), "\n"+string(v)+": "); n != 1 {
			t.Errorf("%s is explained %d times", v, n)
		}
	}
	if strings.Contains(one.String(), "\nHidden: ") {
		t.Error("a word is explained that is not shown")
	}
}

// TestStatusOfMany compares the list of mail domains, one of which waits for what has no known end and one of which
// was never looked at.
func TestStatusOfMany(t *testing.T) {
	waiting := rolling()
	waiting.Name, waiting.Spec.MailServers = "waiting", waiting.Spec.MailServers[:1]
	waiting.Status.NextTransition = &v1alpha1.Transition{Action: "mx1.example.com: a certificate is waited for"}
	fresh := rolling()
	fresh.Name, fresh.Status = "new", v1alpha1.MailDomainStatus{}
	golden(t, "list.txt", func(out io.Writer) error {
		return writeDomains(out, []v1alpha1.MailDomain{*rolling(), *waiting, *fresh}, true, noon)
	})
}

// TestZone compares what is written of a zone.
func TestZone(t *testing.T) {
	dz := &v1alpha1.DNSZone{ObjectMeta: metav1.ObjectMeta{Namespace: "dns", Name: "example"}}
	dz.Spec.Zone = "example.com"
	dz.Status.Serial = 42
	dz.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, Message: "all is well"}}
	dz.Status.Nameservers = []v1alpha1.ZoneNameserverStatus{{Name: "ns1.example.com", Address: "192.0.2.1:53", Serial: 42, Reachable: true}, {Address: "192.0.2.2:53", Message: "timed out"}}
	dz.Status.DNSSEC = v1alpha1.ZoneDNSSECStatus{State: v1alpha1.DNSSECStateSecure, DS: []string{"1 13 2 00"}, SignaturesExpire: hours(100)}
	if !statusview.Healthy(dz) {
		t.Error("a zone that is Ready and has no findings is not healthy")
	}
	dz.Status.DNSSEC.Findings = []v1alpha1.ZoneFinding{{Code: "SingleServer", Severity: v1alpha1.FindingWarning, Message: "one server alone"}}
	if !statusview.Healthy(dz) {
		t.Error("a warning makes a zone unhealthy")
	}
	golden(t, "zone.txt", func(out io.Writer) error { return writeZone(out, dz, noon) })
	dz.Status.DNSSEC.Findings[0].Severity = v1alpha1.FindingCritical
	if statusview.Healthy(dz) {
		t.Error("a critical finding leaves a zone healthy")
	}
}

// TestRecords compares the records to put in DNS by hand: with those of others, and without those taken out.
func TestRecords(t *testing.T) {
	list := recordList(wholeDomain(), false)
	for file, format := range map[string]string{"records.txt": "zone", "nsupdate.txt": "nsupdate", "records.json": "json", "records.yaml": "yaml"} {
		golden(t, file, func(out io.Writer) error { return list.write(out, format) })
	}
	held(t)
	none := rolling()
	none.Status.MailServers[0].Keys, none.Status.DKIM = nil, nil
	if list := recordList(none, false); len(list.Missing) != 1 || !strings.HasPrefix(list.Missing[0], "TLSA of mx1.example.com: ") {
		t.Errorf("without keys there is %+v", list)
	}
	none.Spec.DKIM = &v1alpha1.DKIMSpec{Keys: []v1alpha1.DKIMKeySpec{{Name: "rsa"}}}
	if list := recordList(none, false); len(list.Missing) != 2 || !strings.HasPrefix(list.Missing[1], "DKIM key rsa: ") {
		t.Errorf("without DKIM keys there is %+v", list)
	}
	none.Status.DKIM = rolling().Status.DKIM
	none.Status.DKIM[0].Keys[1].Record = ""
	list = recordList(none, false)
	if i := slices.IndexFunc(list.Records, func(r recordSet) bool { return slices.Contains(r.Data, "") }); i >= 0 {
		t.Errorf("a record that is not known is printed as an empty one: %+v", list.Records[i])
	}
	if last := list.Missing[len(list.Missing)-1]; !strings.HasPrefix(last, "DKIM key rsa: the record of selector rsa-8d01c2f4a9be ") {
		t.Errorf("of a record that is not known it says %q", list.Missing)
	}
}

// held wants the record of MTA-STS held back until somebody says that the policy is served, or the record stands already; and
// then no line of either form to change anything at its name.
func held(t *testing.T) {
	t.Helper()
	for _, c := range []struct {
		reason string
		served bool
		found  []string
		want   bool
	}{
		{"nothing stands, and nobody has said that the policy is served", false, nil, true},
		{"the record of a former policy stands", false, []string{`"v=STSv1; id=0;"`}, true},
		{"somebody has seen the policy served", true, []string{`"v=STSv1; id=0;"`}, false},
		{"the record stands", false, []string{`"v=STSv1; id=1;"`}, false},
	} {
		md := wholeDomain()
		md.Status.Record(v1alpha1.RecordMTASTS).Found = c.found
		for _, format := range []string{"zone", "nsupdate"} {
			var out bytes.Buffer
			if err := recordList(md, c.served).write(&out, format); err != nil {
				t.Fatal(err)
			}
			live, before := false, "send"
			for line := range strings.Lines(out.String()) {
				line = strings.TrimSuffix(line, "\n")
				live = live || !strings.HasPrefix(line, ";") && strings.Contains(line, "_mta-sts.")
				if line == "send" && before == "send" {
					t.Errorf("%s: nothing is sent in\n%s", c.reason, &out)
				}
				if !strings.HasPrefix(line, ";") {
					before = line
				}
			}
			if live == c.want {
				t.Errorf("%s: -o %s has a line that changes the record: %t\n%s", c.reason, format, live, &out)
			}
		}
	}
}

// wholeDomain is that of rolling with the other records: one that stands, one beside that of somebody else, one with a
// policy, one that breaks a rule, and one that nobody asks for.
func wholeDomain() *v1alpha1.MailDomain {
	md := rolling()
	twenty := int32(20)
	md.Spec.MailServers[1].Preference = &twenty
	md.Status.Records = []v1alpha1.MailRecordStatus{
		{Record: v1alpha1.RecordMX, Name: "example.com", Type: "MX", State: v1alpha1.MailRecordNotManaged, Found: []string{"10 mx1.example.com.", "30 old.example.com."}},
		{Record: v1alpha1.RecordTLSRPT, Name: "_smtp._tls.example.com", Type: "TXT", State: v1alpha1.MailRecordPublished,
			Found: []string{`"v=TLSRPTv1; rua=mailto:tlsrpt@example.net;"`}, Wanted: []string{`"v=TLSRPTv1; rua=mailto:tlsrpt@example.net;"`}},
		{Record: v1alpha1.RecordMTASTS, Name: "_mta-sts.example.com", Type: "TXT", State: v1alpha1.MailRecordWaiting, Wanted: []string{`"v=STSv1; id=1;"`},
			Policy: "version: STSv1\r\nmode: testing\r\nmx: mx1.example.com\r\nmax_age: 604800\r\n"},
		{Record: v1alpha1.RecordSPF, Name: "example.com", Type: "TXT", State: v1alpha1.MailRecordConflict, Message: "SPF: a record that\nthe operator did not write stands", Found: []string{`"v=spf1 a ~all"`}, Wanted: []string{`"v=spf1 mx -all"`}},
		{Record: v1alpha1.RecordDMARC, Name: "_dmarc.example.com", Type: "TXT", State: v1alpha1.MailRecordInvalid, Message: "spec.dmarc.rua: no address"},
	}
	return md
}

// run runs the command as a shell does.
func run(args ...string) (string, error) {
	var out bytes.Buffer
	cmd := New(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &out}, func() time.Time { return noon })
	cmd.SetArgs(args)
	err := cmd.Execute()
	return out.String(), err
}

// TestHelpTeaches wants every command to say what it does, and to have an example where it has flags of its own.
func TestHelpTeaches(t *testing.T) {
	for _, cmd := range New(genericiooptions.NewTestIOStreamsDiscard(), time.Now).Commands() {
		if cmd.Short == "" || len(cmd.Long) < 80 {
			t.Errorf("%s says too little of itself", cmd.Name())
		}
		out, err := run(cmd.Name(), "--help")
		if err != nil || !strings.Contains(out, "kubectl dane "+cmd.Name()) {
			t.Errorf("%s --help: %v\n%s", cmd.Name(), err, out)
		}
	}
}

// TestExitCodes wants what was found to differ from what failed.
func TestExitCodes(t *testing.T) {
	unsafe := rolling()
	unsafe.Status.Conditions[1].Status = metav1.ConditionFalse
	for want, err := range map[int]error{0: judge([]v1alpha1.MailDomain{*rolling()}), 1: io.EOF, 2: judge([]v1alpha1.MailDomain{*rolling(), *unsafe})} {
		if got := ExitCode(err); got != want {
			t.Errorf("%v: exit code %d, want %d", err, got, want)
		}
	}
}

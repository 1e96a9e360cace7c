package reports

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/emersion/go-smtp"
	"github.com/miekg/dns"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/plugin"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/operator"
)

// yesterday is a report of today about the day before: of how many sessions with mx1 failed.
func yesterday(organization, id string, failed int) string {
	day := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -1)
	return fmt.Sprintf(`{"organization-name": %q, "report-id": %q,
 "date-range": {"start-datetime": %q, "end-datetime": %q},
 "policies": [{"policy": {"policy-type": "tlsa", "policy-domain": "example.com", "policy-string": ["3 1 1 aa"]},
  "summary": {"total-successful-session-count": 10, "total-failure-session-count": %d},
  "failure-details": [{"result-type": "tlsa-invalid", "receiving-mx-hostname": "mx1.example.com", "failed-session-count": %d}]}]}`,
		organization, id, day.Format(time.RFC3339), day.Add(24*time.Hour-time.Second).Format(time.RFC3339), failed, failed)
}

// domainNow is the MailDomain as the API server has it.
func (r *rig) domainNow() *v1alpha1.MailDomain {
	r.Helper()
	md := &v1alpha1.MailDomain{}
	if err := r.cluster.Client.Get(context.Background(), types.NamespacedName{Namespace: "mail", Name: "example"}, md); err != nil {
		r.Fatal(err)
	}
	return md
}

// told waits until the status tells of so many reports.
func (r *rig) told(reports int64) *v1alpha1.TLSReportsStatus {
	r.Helper()
	var out *v1alpha1.TLSReportsStatus
	r.until(fmt.Sprintf("the status tells of %d reports", reports), func() error {
		if out = r.domainNow().Status.TLSReports; out == nil || out.Reports != reports {
			return fmt.Errorf("it tells %+v", out)
		}
		return nil
	})
	return out
}

// What is reported, by POST or by mail, turns up in the status of the MailDomain, beside what the operator writes there;
// and nothing is written while nothing new comes.
func (r *rig) status() {
	ctx := context.Background()
	md := r.domainNow()
	md.Status.MailServers = []v1alpha1.MailServerStatus{{Hostname: "mx1.example.com", OwnRecords: []string{"3 1 1 aa"}}}
	if err := r.cluster.Client.Status().Update(ctx, md); err != nil {
		r.Fatal(err)
	}
	s := newSender(r)
	one := r.startIn(s.namespace(), "told", "--database", filepath.Join(r.TempDir(), "reports.db"), "--status-every", "100ms")
	one.post(yesterday("Anybody", "1", 3))
	if got := r.told(1); got.FailedSessions != 3 || got.SuccessfulSessions != 10 || got.Host("mx1.example.com").LastDANEFailure != nil || len(got.Failures) > 0 {
		r.Errorf("of what anybody may have posted it tells %+v", got)
	}
	s.mail(one.lmtp, yesterday("Sender", "2", 4))
	got := r.told(2)
	if h := got.Host("mx1.example.com"); h.FailedSessions != 7 || h.LastDANEFailure == nil {
		r.Errorf("of the host it tells %+v", h)
	}
	if f := got.Failures; len(f) != 1 || f[0].Domain != "sender.example" || f[0].Result != "tlsa-invalid" || f[0].Sessions != 4 {
		r.Errorf("of failures that are proved it tells %+v", f)
	}
	if own := r.domainNow().Status.MailServer("mx1.example.com"); own == nil || len(own.OwnRecords) != 1 {
		r.Errorf("what the operator wrote is gone: %+v", own)
	}
	r.atRest(one)
	r.acted()
}

// acted starts the operator: its condition tells of what was proved, kubectl dane shows it, and a person puts it aside.
func (r *rig) acted() {
	r.Helper()
	ctx := context.Background()
	md := r.domainNow()
	md.Status.MailServers = nil
	if err := r.cluster.Client.Status().Update(ctx, md); err != nil {
		r.Fatal(err)
	}
	process, err := operator.Start(ctx, r.cluster, operator.Options{WithoutPolicy: true})
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = process.Stop() }()
	r.condition(process, metav1.ConditionTrue, "sender.example (Sender): tlsa-invalid on mx1.example.com from ")
	out, code := r.dane("reports", "example.com")
	for _, want := range []string{"Sender", "sender.example", "Anybody", "tlsa-invalid", "mx1.example.com", "the operator noted nothing wrong then"} {
		if !strings.Contains(out, want) || code != 2 {
			r.Errorf("exit code %d, and %q is missing in:\n%s", code, want, out)
		}
	}
	if out, code := r.dane("reports", "example", "--seen"); code != 0 {
		r.Errorf("exit code %d: %s", code, out)
	}
	r.condition(process, metav1.ConditionFalse, "")
	if out, code := r.dane("reports", "example"); code != 0 || !strings.Contains(out, "sender.example") {
		r.Errorf("exit code %d: %s", code, out)
	}
	if told := r.domainNow().Status.TLSReports; told == nil || told.Reports != 2 {
		r.Errorf("the operator has changed what the receiver told: %+v", told)
	}
}

// condition waits until the operator says so of reports.
func (r *rig) condition(process *kube.Process, want metav1.ConditionStatus, message string) {
	r.Helper()
	r.until("the condition is "+string(want), func() error {
		c := meta.FindStatusCondition(r.domainNow().Status.Conditions, v1alpha1.ConditionSendersReportFailures)
		if c == nil || c.Status != want || !strings.HasPrefix(c.Message, message) {
			return fmt.Errorf("it is %+v\n%s", c, process.Tail(10))
		}
		return nil
	})
}

// dane runs kubectl dane, and gives what it printed and its exit code.
func (r *rig) dane(args ...string) (string, int) {
	var out bytes.Buffer
	cmd := plugin.New(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &out}, time.Now)
	cmd.SetArgs(append([]string{"--kubeconfig", r.cluster.Kubeconfig, "--namespace", "mail"}, args...))
	err := cmd.ExecuteContext(context.Background())
	return out.String(), plugin.ExitCode(err)
}

// atRest wants no write while no report comes, nor after a restart.
func (r *rig) atRest(one *receiver) {
	r.Helper()
	before := r.domainNow().ResourceVersion
	one.post(yesterday("Anybody", "1", 3))
	one.counts(knownReports(1))
	if err := one.process.Restart(); err != nil {
		r.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	if after := r.domainNow().ResourceVersion; after != before {
		r.Errorf("with nothing new it was written: %s, then %s", before, after)
	}
}

// accountWritesReportsAlone: of the status the account may change tlsReports, and nothing that a rollover rests on.
func (r *rig) accountWritesReportsAlone() {
	c, err := client.New(r.account.Config, client.Options{Scheme: kube.Scheme()})
	if err != nil {
		r.Fatal(err)
	}
	ctx := context.Background()
	try := func(change func(*v1alpha1.MailDomain)) error {
		md := r.domainNow()
		before := md.DeepCopy()
		change(md)
		return c.Status().Patch(ctx, md, client.MergeFrom(before))
	}
	// A policy holds some time after it was made.
	r.until("the policy holds", func() error {
		if err := try(func(md *v1alpha1.MailDomain) { md.Status.ObservedGeneration++ }); !apierrors.IsForbidden(err) {
			return fmt.Errorf("it may write what the status is of: %v", err)
		}
		return nil
	})
	for what, change := range map[string]func(*v1alpha1.MailDomain){
		"versions of answers": func(md *v1alpha1.MailDomain) {
			md.Status.MailServers = []v1alpha1.MailServerStatus{{Hostname: "mx9.example.com", Versions: []v1alpha1.VersionStatus{{Owner: "x."}}}}
		},
		"conditions": func(md *v1alpha1.MailDomain) {
			md.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "True", Reason: "Ready", LastTransitionTime: metav1.Now()}}
		},
		"what comes next": func(md *v1alpha1.MailDomain) { md.Status.NextTransition = &v1alpha1.Transition{Action: "nothing"} },
	} {
		if err := try(change); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "writes status.tlsReports") {
			r.Errorf("it may write %s: %v", what, err)
		}
	}
	md := r.domainNow()
	before := md.DeepCopy()
	md.Status.TLSReports = &v1alpha1.TLSReportsStatus{Reports: 1}
	if err := c.Status().Patch(ctx, md, client.MergeFrom(before)); err != nil {
		r.Errorf("it may not write tlsReports: %v", err)
	}
	md = r.domainNow()
	before = md.DeepCopy()
	md.Status.TLSReports = nil
	if err := r.cluster.Client.Status().Patch(ctx, md, client.MergeFrom(before)); err != nil {
		r.Fatal(err)
	}
	spec := r.domainNow()
	before = spec.DeepCopy()
	spec.Spec.Suspend = true
	if err := c.Patch(ctx, spec, client.MergeFrom(before)); !apierrors.IsForbidden(err) {
		r.Errorf("it may write the spec: %v", err)
	}
}

// sender is an organization that signs its reports; its key is in a DNS that the receiver asks.
type sender struct {
	*rig
	key ed25519.PrivateKey
	// about is the domain that its reports are about.
	about string
}

// resolver is an address of the loopback network, whose port 53 is free.
const resolver = "127.0.0.53"

// newSender publishes a key.
func newSender(r *rig) *sender {
	r.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		r.Fatal(err)
	}
	record := "v=DKIM1; k=ed25519; s=tlsrpt; p=" + base64.StdEncoding.EncodeToString(public)
	packets, err := net.ListenPacket("udp", net.JoinHostPort(resolver, "53"))
	if err != nil {
		r.Fatal(err)
	}
	server := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Name == "one._domainkey.sender.example." && q.Question[0].Qtype == dns.TypeTXT {
			m.Answer = []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}, Txt: []string{record}}}
		} else {
			m.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = server.ActivateAndServe() }()
	r.Cleanup(func() { _ = server.Shutdown() })
	return &sender{r, private, "example.com"}
}

// namespace is a command that runs another in a mount namespace, where it asks the sender's DNS.
func (s *sender) namespace() []string {
	s.Helper()
	file := filepath.Join(s.TempDir(), "resolv.conf")
	if err := os.WriteFile(file, []byte("nameserver "+resolver+"\n"), 0o600); err != nil {
		s.Fatal(err)
	}
	return []string{"unshare", "--mount", "sh", "-c", `mount --bind "$0" /etc/resolv.conf && exec "$@"`, file}
}

// mail sends a report as RFC 8460 section 5.3 says, signed, to a server that speaks LMTP.
func (s *sender) mail(to, report string) {
	s.Helper()
	conn, err := net.Dial("tcp", to)
	if err != nil {
		s.Fatal(err)
	}
	s.say(smtp.NewClientLMTP(conn), report)
}

// say sends a signed report by a connection.
func (s *sender) say(c *smtp.Client, report string) {
	s.Helper()
	defer c.Close()
	var message, signed strings.Builder
	for _, line := range []string{
		"From: reports@sender.example", "To: tlsrpt@example.com", "Subject: Report Domain: " + s.about + " Submitter: sender.example Report-ID: <2>",
		"TLS-Report-Domain: " + s.about, "TLS-Report-Submitter: sender.example", "MIME-Version: 1.0",
		`Content-Type: multipart/report; report-type="tlsrpt"; boundary="b"`, "", "--b", "Content-Type: text/plain", "", "A report.", "--b",
		`Content-Type: application/tlsrpt+json; name="report.json"`, "Content-Transfer-Encoding: 8bit", "", strings.ReplaceAll(report, "\n", "\r\n"), "--b--", "",
	} {
		message.WriteString(line + "\r\n")
	}
	err := dkim.Sign(&signed, strings.NewReader(message.String()), &dkim.SignOptions{Domain: "sender.example", Selector: "one", Signer: s.key})
	if err != nil {
		s.Fatal(err)
	}
	if err := c.SendMail("reports@sender.example", []string{"tlsrpt@example.com"}, strings.NewReader(signed.String())); err != nil {
		s.Fatal(err)
	}
}

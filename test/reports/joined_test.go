package reports

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/mail"
	"github.com/dane-operator/dane-operator/test/operator"
	"github.com/dane-operator/dane-operator/test/servers"
)

const (
	lagging   = "example.test"
	laggingMX = "mx1." + lagging
	// remembered is how long a trouble has to last to be remembered when it is over: a secondary takes less to follow.
	remembered = time.Minute
)

// faulty is a mail domain whose secondary can be made to fall behind: BIND, NSD, a mail server, cert-manager and the
// operator.
type faulty struct {
	*rig
	lab       *lab.Lab
	primary   *servers.Primary
	secondary *servers.Secondary
	owner     string
}

func newFaulty(t *testing.T) *faulty {
	t.Helper()
	f := &faulty{}
	f.primary = servers.StartBINDPrimary(t, servers.Options{Records: []string{"@ 60 MX 10 mx1", "mx1 60 A 127.0.0.1"}})
	f.secondary = servers.StartNSDSecondary(t, f.primary, "")
	unbound := servers.StartUnbound(t, servers.ResolverOptions{Stubs: []servers.Stub{servers.StubOf(f.primary, f.secondary)}, Extra: []string{"cache-max-negative-ttl: 1"}})
	var err error
	f.lab, err = lab.Start(t.Context(), lab.Options{
		Namespace: "mail", Dir: t.TempDir(), Progress: func(line string) { t.Log(line) },
		Operator: operator.Options{Args: []string{"--resolvers", unbound.Addr.String()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(f.lab.Operator.Tail(40))
		}
		if err := f.lab.Stop(); err != nil {
			t.Error(err)
		}
	})
	f.rig = &rig{T: t, cluster: f.lab.Cluster, program: filepath.Join(f.lab.Dir, "dane-operator")}
	f.install()
	f.objects()
	return f
}

func (f *faulty) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// objects makes the zone, the certificate with its mail server, and the MailDomain.
func (f *faulty) objects() {
	f.Helper()
	ctx := f.Context()
	_, err := f.lab.CreateZone(ctx, "zone", lab.Zone{
		Name: lagging, Primary: f.primary.Addr.String(), Servers: []string{f.primary.Addr.String(), f.secondary.Addr.String()},
		TSIGName: f.primary.TSIGName, TSIGSecret: f.primary.TSIGSecret, DS: f.primary.DS,
	}, lab.Fast)
	f.must(err)
	f.must(f.lab.Client.Create(ctx, kube.SelfSignedIssuer("mail", "selfsigned")))
	f.must(f.lab.Client.Create(ctx, kube.Certificate("mail", "mx1", "selfsigned", laggingMX)))
	server, err := mail.Start("127.0.0.1:0", func() ([]byte, []byte) { return f.lab.TLSSecret(ctx, "mx1-tls") }, 0)
	f.must(err)
	f.Cleanup(server.Stop)
	_, port, err := lab.SplitAddr(server.Addr)
	f.must(err)
	f.owner = fmt.Sprintf("_%d._tcp.%s.", port, laggingMX)
	md := f.lab.MailDomain("example", lagging, laggingMX, port, lab.Fast, "mx1")
	md.Spec.Rollover.StandbyKey = v1alpha1.StandbyDisabled
	f.must(f.lab.Client.Create(ctx, md))
}

// wait waits for the MailDomain.
func (f *faulty) wait(done func(*v1alpha1.MailDomain) string) *v1alpha1.MailDomain {
	f.Helper()
	md, err := f.lab.WaitDomain(f.Context(), "example", 3*patience, done)
	f.must(err)
	return md
}

// behind is what the operator remembers of the secondary; nil where it remembers nothing.
func (f *faulty) behind(md *v1alpha1.MailDomain) *v1alpha1.TroubleStatus {
	s := md.Status.MailServer(laggingMX)
	if s == nil {
		return nil
	}
	for i, t := range s.Troubles {
		if t.Kind == v1alpha1.TroubleNameserver && t.Subject == f.secondary.Addr.String() {
			return &s.Troubles[i]
		}
	}
	return nil
}

// tlsa are the keys whose records a server has now.
func (f *faulty) tlsa(at netip.AddrPort) []string {
	f.Helper()
	m, err := servers.Ask(at, f.owner, dns.TypeTLSA, false)
	f.must(err)
	var out []string
	for _, rr := range m.Answer {
		if t, ok := rr.(*dns.TLSA); ok {
			out = append(out, strings.ToLower(t.Certificate))
		}
	}
	return out
}

// fallsBehind has the secondary serve the old set during a renewal, for longer than a secondary takes to follow, and
// returns what the operator has noted of that by itself, and the new key.
func (f *faulty) fallsBehind() (noted v1alpha1.TroubleStatus, key string) {
	f.Helper()
	old := lab.CurrentKey(f.wait(func(md *v1alpha1.MailDomain) string { return lab.Settled(md, laggingMX, false) }), laggingMX)
	f.secondary.Lag()
	f.must(f.lab.Renew(f.Context(), "mail", "mx1"))
	began := f.behind(f.wait(func(md *v1alpha1.MailDomain) string {
		if t := f.behind(md); t == nil || t.Until != nil {
			return fmt.Sprintf("nothing is noted of the secondary: %+v", md.Status.MailServers)
		}
		return ""
	}))
	for time.Since(began.Since.Time) < remembered+2*time.Second {
		time.Sleep(time.Second)
	}
	if fresh, stale := f.tlsa(f.primary.Addr), f.tlsa(f.secondary.Addr); len(fresh) != 2 || !slices.Equal(stale, []string{old}) {
		f.Fatalf("the primary shows %v, and the secondary %v: want a new key at the one, and at the other %s alone", fresh, stale, old)
	}
	f.secondary.Follow()
	md := f.wait(func(md *v1alpha1.MailDomain) string {
		if t := f.behind(md); t == nil || t.Until == nil {
			return fmt.Sprintf("the end of it is not noted: %+v", t)
		}
		if lab.CurrentKey(md, laggingMX) == old {
			return "the old key is in use"
		}
		return lab.Settled(md, laggingMX, false)
	})
	return *f.behind(md), lab.CurrentKey(md, laggingMX)
}

// invalid is a report of failures of a time.
func invalid(id string, from, to time.Time) string {
	return fmt.Sprintf(`{"organization-name": "Sender", "report-id": %q, "date-range": {"start-datetime": %q, "end-datetime": %q},
 "policies": [{"policy": {"policy-type": "tlsa", "policy-domain": %q, "policy-string": ["3 1 1 aa"]},
  "summary": {"total-successful-session-count": 10, "total-failure-session-count": 4},
  "failure-details": [{"result-type": "tlsa-invalid", "receiving-mx-hostname": %q, "failed-session-count": 4}]}]}`,
		id, from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339), lagging, laggingMX)
}

// span is a time as conditions tell it.
func span(from, to time.Time) string {
	end := "2006-01-02 15:04"
	if from.UTC().Format(time.DateOnly) == to.UTC().Format(time.DateOnly) {
		end = "15:04"
	}
	return "from " + from.UTC().Format("2006-01-02 15:04") + " to " + to.UTC().Format(end)
}

// TestReportsMeetWhatSweepsSaw: a secondary serves the old set for a while, which the operator sees by its sweeps; when a
// sender reports failures of that time, signed and by mail, the condition says who, what, where and when, and that the
// secondary was behind then, and until when. Of another time it says that nothing was wrong.
func TestReportsMeetWhatSweepsSaw(t *testing.T) {
	f := newFaulty(t)
	noted, key := f.fallsBehind()
	s := newSender(f.rig)
	s.about = lagging
	one := f.startIn(s.namespace(), "joined", "--database", filepath.Join(t.TempDir(), "reports.db"), "--status-every", "100ms")
	from, to := noted.Since.Add(-5*time.Minute), time.Now()
	s.mail(one.lmtp, invalid("1", from, to))
	earlier := noted.Since.Add(-26 * time.Hour)
	s.mail(one.lmtp, invalid("2", earlier, earlier.Add(time.Hour)))
	f.told(2)

	const who = "sender.example (Sender): tlsa-invalid on " + laggingMX + " "
	wants := []string{
		who + span(from, to) + "; the operator saw: key " + key[:16] + " was taken into use ",
		"name server " + f.secondary.Addr.String() + " shows other records for " + f.owner + " " + span(noted.Since.Time, noted.Until.Time),
		who + span(earlier, earlier.Add(time.Hour)) + "; the operator noted nothing wrong then",
	}
	f.wait(func(md *v1alpha1.MailDomain) string {
		c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionSendersReportFailures)
		for _, want := range wants {
			if c == nil || c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, want) {
				return fmt.Sprintf("%q is missing in %+v", want, c)
			}
		}
		t.Log(c.Message)
		return ""
	})
	out, code := f.dane("reports", lagging)
	if code != 2 || !strings.Contains(strings.Join(strings.Fields(out), " "), wants[1]) {
		t.Errorf("exit code %d, and %q is missing in:\n%s", code, wants[1], out)
	}
}

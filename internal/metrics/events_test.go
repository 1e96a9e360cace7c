package metrics_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/guard"
	"github.com/dane-operator/dane-operator/internal/metrics"
)

func at(hour int) *metav1.Time {
	return &metav1.Time{Time: time.Date(2026, 1, 2, hour, 0, 0, 0, time.UTC)}
}

func domain(name string, status v1alpha1.MailDomainStatus, edit func(*v1alpha1.MailDomainSpec)) v1alpha1.MailDomain {
	md := v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: name}, Status: status}
	md.Spec.Rollover.Strategy = v1alpha1.StrategyGate
	for _, s := range status.MailServers {
		md.Spec.MailServers = append(md.Spec.MailServers, v1alpha1.MailServer{
			Hostname: s.Hostname, Certificates: []v1alpha1.CertificateReference{{Name: "mx1"}},
		})
	}
	if edit != nil {
		edit(&md.Spec)
	}
	return md
}

func safe(status metav1.ConditionStatus, reason string) []metav1.Condition {
	return []metav1.Condition{{Type: v1alpha1.ConditionRolloverSafe, Status: status, Reason: reason}}
}

// theDomains are MailDomains in every state that a metric tells of.
func theDomains() cached {
	key := func(role v1alpha1.KeyRole, notAfter, deployable *metav1.Time) v1alpha1.KeyStatus {
		return v1alpha1.KeyStatus{Certificate: "mx1", Role: role, NotAfter: notAfter, DeployableAt: deployable}
	}
	rolling := v1alpha1.MailDomainStatus{
		Conditions:     safe(metav1.ConditionTrue, v1alpha1.ReasonSafe),
		NextTransition: &v1alpha1.Transition{Time: at(5), Action: "the key is deployed"},
		MailServers: []v1alpha1.MailServerStatus{{
			Hostname: "mx1.example.com", SenderView: &v1alpha1.SenderViewStatus{Verdict: v1alpha1.SenderDANE},
			Keys:        []v1alpha1.KeyStatus{key(v1alpha1.RoleNext, nil, nil), key(v1alpha1.RoleNext, nil, at(5)), key(v1alpha1.RoleCurrent, at(20), nil), key(v1alpha1.RoleCurrent, at(18), nil)},
			Nameservers: []v1alpha1.NameserverSync{{InSync: true}, {InSync: true}, {}},
			Endpoints:   []v1alpha1.EndpointStatus{{Verified: true, SPKISHA256: "00"}, {SPKISHA256: "01"}, {}},
		}},
	}
	unsafe := v1alpha1.MailDomainStatus{
		Conditions:     safe(metav1.ConditionFalse, v1alpha1.ReasonFollowed),
		NextTransition: &v1alpha1.Transition{Action: "a certificate is waited for"},
		MailServers: []v1alpha1.MailServerStatus{
			{Hostname: "mx1.example.net", Unsafe: &v1alpha1.UnsafeStatus{Reason: v1alpha1.ReasonFollowed, Since: at(1), Until: at(3)}},
			{Hostname: "mx2.example.net"},
		},
	}
	unsafe.MailServers[1].Keys = []v1alpha1.KeyStatus{{Role: v1alpha1.RolePrevious, HeldUntil: at(7)}, {Role: v1alpha1.RolePrevious, HeldUntil: at(6)}}
	unsafe.MailServers[1].Troubles = []v1alpha1.TroubleStatus{
		{Kind: v1alpha1.TroubleEndpoint, Since: *at(0), Until: at(1)}, {Kind: v1alpha1.TroubleEndpoint, Since: *at(3)},
		{Kind: v1alpha1.TroubleEndpoint, Since: *at(2)}, {Kind: v1alpha1.TroubleNameserver, Since: *at(1)},
	}
	adopted := v1alpha1.MailDomainStatus{
		Conditions:  safe(metav1.ConditionUnknown, v1alpha1.ReasonHistoryUnknown),
		MailServers: []v1alpha1.MailServerStatus{{Hostname: "mx1.example.org"}},
	}
	return cached{
		domain("rolling", rolling, nil),
		domain("unsafe", unsafe, func(s *v1alpha1.MailDomainSpec) { s.Rollover.Strategy = v1alpha1.StrategyFollow }),
		domain("adopted", adopted, func(s *v1alpha1.MailDomainSpec) { s.Suspend = true }),
		domain("new", v1alpha1.MailDomainStatus{}, func(s *v1alpha1.MailDomainSpec) {
			s.MailServers = []v1alpha1.MailServer{{Hostname: "mx1.example.edu"}}
		}),
	}
}

// TestMetricsLint holds every metric against the conventions of Prometheus.
func TestMetricsLint(t *testing.T) {
	events := metrics.NewEvents()
	events.Update("Applied", time.Second)
	events.Probe("Presented")
	events.Approved(time.Minute)
	events.Panic(guard.Zone)
	problems, err := testutil.CollectAndLint(events)
	if err != nil {
		t.Error(err)
	}
	of, err := promlint.New(strings.NewReader(serve(t, theDomains()).get(nil).text)).Lint()
	if err != nil {
		t.Error(err)
	}
	problems = append(problems, of...)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestEvents wants each thing that happens to be counted once, and nothing to fail where nobody counts.
func TestEvents(t *testing.T) {
	var nobody *metrics.Events
	e := metrics.NewEvents()
	for _, e := range []*metrics.Events{nobody, e} {
		e.Update("Applied", 2*time.Millisecond)
		e.Update("Conflict", 2*time.Second)
		e.Probe("NoTLS")
		e.Approved(2 * time.Hour)
		e.Panic(guard.Probe)
	}
	want, err := os.Open("testdata/events.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close() //nolint:errcheck // was read
	if err := testutil.CollectAndCompare(e, want); err != nil {
		t.Error(err)
	}
}

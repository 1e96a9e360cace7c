package reportserver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	testclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/tlsrpt"
	"github.com/dane-operator/dane-operator/internal/tlsrpt/store"
)

// telling is a Teller, with what it reads and what it wrote.
type telling struct {
	*Teller
	of       store.Scope
	overview store.Overview
	broken   error
	wrote    []v1alpha1.MailDomainStatus
	uid      types.UID
	refuses  error
}

func (t *telling) Overview(_ context.Context, of store.Scope) (store.Overview, error) {
	t.of = of
	return t.overview, t.broken
}

func (t *telling) Apply(_ context.Context, what runtime.ApplyConfiguration, options ...client.SubResourceApplyOption) error {
	if t.refuses != nil {
		return t.refuses
	}
	u := what.(interface{ UnstructuredContent() map[string]any }).UnstructuredContent()
	md := &v1alpha1.MailDomain{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u, md, true); err != nil {
		return err
	}
	o := &client.SubResourceApplyOptions{}
	o.ApplyOpts(options)
	if o.FieldManager != v1alpha1.ReportsFieldManager || o.Force == nil || !*o.Force {
		return fmt.Errorf("applied with %+v", o)
	}
	fields, _, _ := unstructured.NestedMap(u, "status")
	delete(fields, "tlsReports")
	if len(fields) > 0 {
		return fmt.Errorf("more is written than tlsReports: %v", fields)
	}
	t.wrote, t.uid = append(t.wrote, md.Status), md.UID
	return nil
}

var monday = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func newTelling(t *testing.T, domains ...*v1alpha1.MailDomain) *telling {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	b := indexed{fake.NewClientBuilder().WithScheme(scheme)}
	if err := IndexNames(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for _, md := range domains {
		slim, err := NamesOnly(md)
		if err != nil {
			t.Fatal(err)
		}
		b.WithObjects(slim.(client.Object)).WithStatusSubresource(slim.(client.Object))
	}
	out := &telling{}
	out.Teller = &Teller{Reader: b.Build(), Status: out, Store: out, Clock: testclock.NewFakeClock(monday), Every: time.Minute}
	return out
}

func domain(name string, hosts ...string) *v1alpha1.MailDomain {
	md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: name, UID: types.UID("uid-" + name)}}
	md.Spec.Domain = name + ".example"
	for _, h := range hosts {
		md.Spec.MailServers = append(md.Spec.MailServers, v1alpha1.MailServer{Hostname: h})
	}
	return md
}

func (t *telling) look(test *testing.T, name string) error {
	test.Helper()
	result, err := t.Reconcile(test.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: "mail", Name: name}})
	if err == nil && t.refuses == nil && result.RequeueAfter != lookEvery && name == "one" {
		test.Errorf("looked at again after %s", result.RequeueAfter)
	}
	return err
}

// TestTold: what reports say is written once, with what it is about, and nothing where nothing has changed.
func TestTold(t *testing.T) {
	md := domain("one", "mx1.one.example", "mx2.one.example")
	r := newTelling(t, md)
	if err := r.look(t, "one"); err != nil || len(r.wrote) > 0 {
		t.Fatalf("with no report: wrote %v, %v", r.wrote, err)
	}
	if r.of.Domain != "one.example" || len(r.of.Hosts) != 2 || !r.of.Since.Equal(monday.AddDate(0, 0, -7)) {
		t.Errorf("asked for %+v", r.of)
	}
	r.overview = store.Overview{
		Last: monday, Reports: 2, Successful: 5, Failed: 3,
		Results:       []store.ResultTotal{{Policy: "tlsa", Result: "tlsa-invalid", Sessions: 3, Proved: 3}},
		Hosts:         []store.HostTotal{{Host: "mx1.one.example", Sessions: 2, LastDANE: monday}, {Sessions: 1}},
		Organizations: []store.OrganizationTotal{{Name: "Sender\u202e", Proof: "sender.example", Failed: 3}},
		Failures: []store.Failure{{
			Proof: "sender.example", Organization: strings.Repeat("ü", 200), Host: "mx1.one.example", Result: "tlsa-invalid", Sessions: 3,
			From: monday.Add(-time.Hour), To: monday, Last: monday,
		}},
	}
	if err := r.look(t, "one"); err != nil || len(r.wrote) != 1 || r.uid != md.UID {
		t.Fatalf("wrote %v to %q, %v", r.wrote, r.uid, err)
	}
	told := r.wrote[0].TLSReports
	if told == nil || told.FailedSessions != 3 || told.Host("mx1.one.example").LastDANEFailure == nil || told.Host("").LastDANEFailure != nil {
		t.Fatalf("told %+v", told)
	}
	if name := told.Organizations[0].Name; name != "Sender\ufffd" {
		t.Errorf("the organization is called %q", name)
	}
	if n := len([]rune(told.Failures[0].Organization)); n != maxOrganization {
		t.Errorf("the organization has %d letters", n)
	}
	md.Status.TLSReports = told
	again := newTelling(t, md)
	again.overview = r.overview
	if err := again.look(t, "one"); err != nil || len(again.wrote) > 0 {
		t.Errorf("nothing has changed, and %v was written, %v", again.wrote, err)
	}
	again.overview = store.Overview{}
	if err := again.look(t, "one"); err != nil || len(again.wrote) != 1 || again.wrote[0].TLSReports != nil {
		t.Errorf("all is forgotten, and %v was written, %v", again.wrote, err)
	}
}

// TestTellerErrors: one that went is no error; what cannot be read or written is tried again.
func TestTellerErrors(t *testing.T) {
	r := newTelling(t, domain("one"))
	if err := r.look(t, "none"); err != nil {
		t.Errorf("one that is not there: %v", err)
	}
	r.broken = errors.New("the disk is full")
	if err := r.look(t, "one"); !errors.Is(err, r.broken) {
		t.Errorf("the store fails: %v", err)
	}
	r.broken, r.overview = nil, store.Overview{Last: monday}
	for _, gone := range []error{apierrors.NewNotFound(schema.GroupResource{}, "one"), apierrors.NewConflict(schema.GroupResource{}, "one", nil)} {
		if r.refuses = gone; r.look(t, "one") != nil {
			t.Errorf("%v is an error", gone)
		}
	}
	r.refuses = apierrors.NewForbidden(schema.GroupResource{}, "one", nil)
	if err := r.look(t, "one"); err == nil || !strings.Contains(err.Error(), "mail/one") {
		t.Errorf("it may not be written: %v", err)
	}
}

// TestWhoIsLookedAt: reports wake the MailDomains that they are about, each once in a while, and those that name a host
// of which a failure is proved.
func TestWhoIsLookedAt(t *testing.T) {
	failure := tlsrpt.Policy{Failures: []tlsrpt.Failure{{ReceivingMX: "mx.shared.example"}}}
	about := func(subject, proof string) store.Item {
		return store.Item{Report: tlsrpt.Report{Policies: []tlsrpt.Policy{failure}}, Subjects: []string{subject}, Origin: store.Origin{Proof: proof}}
	}
	var flood []store.Item
	for i := range maxNoted + 1 {
		flood = append(flood, about(fmt.Sprint(i), ""))
	}
	for _, c := range []struct {
		why   string
		items []store.Item
		want  string
	}{
		{"no report", nil, ""},
		{"one about a domain", []store.Item{about("one.example", "")}, "one"},
		{"several about a domain", []store.Item{about("one.example", ""), about("one.example", "")}, "one"},
		{"one that is proved, with a host that others have", []store.Item{about("one.example", "a.example")}, "one two"},
		{"one about the host", []store.Item{about("mx.shared.example", "")}, "one two"},
		{"a part that is about nobody", []store.Item{about("", "a.example")}, ""},
		{"too many to be noted", flood, "one three two"},
	} {
		r := newTelling(t, domain("one", "mx.shared.example"), domain("two", "mx.shared.example"), domain("three"))
		r.queue = workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		for _, item := range c.items {
			r.Note(item)
		}
		r.wake(t.Context())
		r.wake(t.Context())
		woken := map[string]bool{}
		for range r.queue.Len() {
			req, _ := r.queue.Get()
			woken[req.Name] = true
		}
		var got []string
		for _, name := range []string{"one", "three", "two"} {
			if woken[name] {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != c.want || len(got) != len(woken) {
			t.Errorf("%s: looked at are %v, want %q", c.why, woken, c.want)
		}
	}
}

// TestReportsThatNobodyWants: with ingest Disabled no report of a domain is taken in, and what was told is taken back.
func TestReportsThatNobodyWants(t *testing.T) {
	for _, c := range []struct {
		why    string
		edit   func(*v1alpha1.MailDomain)
		wanted bool
	}{
		{"nothing is said of reports", func(*v1alpha1.MailDomain) {}, true},
		{"the record alone is asked for", func(md *v1alpha1.MailDomain) { md.Spec.TLSReporting = &v1alpha1.TLSReportingSpec{} }, true},
		{"they are wanted", func(md *v1alpha1.MailDomain) {
			md.Spec.TLSReporting = &v1alpha1.TLSReportingSpec{Ingest: v1alpha1.IngestEnabled}
		}, true},
		{"they are not", func(md *v1alpha1.MailDomain) {
			md.Spec.TLSReporting = &v1alpha1.TLSReportingSpec{Ingest: v1alpha1.IngestDisabled}
		}, false},
	} {
		md := domain("one", "mx1.one.example")
		md.Status.TLSReports = &v1alpha1.TLSReportsStatus{}
		c.edit(md)
		r := newTelling(t, md)
		r.overview = store.Overview{Last: monday, Reports: 1, Successful: 5}
		if err := r.look(t, "one"); err != nil || len(r.wrote) != 1 || (r.wrote[0].TLSReports != nil) != c.wanted {
			t.Errorf("%s: wrote %+v, %v", c.why, r.wrote, err)
		}
		for _, name := range []string{"one.example", "mx1.one.example"} {
			if found := (Names{Reader: r.Reader}).Subject(tlsrpt.Policy{Domain: name}); (found != "") != c.wanted {
				t.Errorf("%s: a report of %s is taken for one of %q", c.why, name, found)
			}
		}
	}
}

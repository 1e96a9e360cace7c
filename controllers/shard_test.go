package controllers

import (
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	testclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/shard"
)

const shardLabel = "mail.dane-operator.io/shard"

func partOf(t *testing.T, selector string) shard.Shard {
	t.Helper()
	s, err := shard.Parse(selector)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func labelled[O client.Object](o O, part string) O {
	o.SetLabels(map[string]string{shardLabel: part})
	return o
}

// relabel moves the MailDomain of the bed to a shard. That changes no generation.
func (b *recordBed) relabel(part string) {
	b.Helper()
	md := labelled(b.get(), part)
	if err := b.api.Update(b.Context(), md); err != nil {
		b.Fatal(err)
	}
}

// TestOthersAreLeftAlone: an operator does nothing for a MailDomain of another shard, takes it up when its label says so, and
// lets go of all that it knows of it when it says otherwise. Its finalizer is served by whoever acts for it.
func TestOthersAreLeftAlone(t *testing.T) {
	b := newRecordBed(t, published)
	b.r.shard, b.r.wakeZone = partOf(t, shardLabel+"=a"), func(types.NamespacedName) {}
	b.relabel("b")
	b.settle()
	if md := b.get(); b.puts+b.zone.writes+b.zone.sweeps > 0 || len(md.Finalizers) > 0 || b.r.observer.count() > 0 {
		t.Fatalf("%d writes of status, %d updates and %d sweeps for another's MailDomain, which has finalizers %v", b.puts, b.zone.writes, b.zone.sweeps, md.Finalizers)
	}

	b.relabel("a")
	b.settle()
	if b.zone.writes == 0 || !controllerutil.ContainsFinalizer(b.get(), v1alpha1.Finalizer) || b.r.observer.count() == 0 {
		t.Fatalf("%d updates once it is this operator's, and %d hosts that are watched", b.zone.writes, b.r.observer.count())
	}
	if _, decided := b.r.decisions.get(recordName); !decided {
		t.Fatal("nothing was decided")
	}

	b.relabel("b")
	puts, writes, sweeps := b.puts, b.zone.writes, b.zone.sweeps
	if result := b.reconcile(); result.RequeueAfter > 0 {
		t.Errorf("it looks again after %s", result.RequeueAfter)
	}
	if err := b.api.Delete(t.Context(), b.get()); err != nil {
		t.Fatal(err)
	}
	b.step(2 * time.Hour)
	if _, decided := b.r.decisions.get(recordName); decided || b.r.observer.count() > 0 || sum(b.r.senders.count()) > 0 {
		t.Errorf("what was known of it is not forgotten: decided %t, %d hosts", decided, b.r.observer.count())
	}
	if b.puts != puts || b.zone.writes != writes || b.zone.sweeps != sweeps || b.get() == nil {
		t.Errorf("another's MailDomain is worked on: %d writes of status, %d updates, %d sweeps", b.puts-puts, b.zone.writes-writes, b.zone.sweeps-sweeps)
	}

	b.relabel("a")
	for range 10 {
		b.step(time.Hour)
		if b.get() == nil {
			return
		}
	}
	t.Errorf("it is not let go: %+v", b.get())
}

func sum(of map[v1alpha1.SenderVerdict]int) int {
	out := 0
	for _, n := range of {
		out += n
	}
	return out
}

// gateBed is a request of Certificate mx, and the MailDomains of its namespace.
type gateBed struct {
	*testing.T
	api   client.Client
	r     *GateReconciler
	key   string
	asked []string
}

const gateRequest = "mx-1"

func newGateBed(t *testing.T, gate string, lagging []client.Object, domains ...client.Object) *gateBed {
	t.Helper()
	cr, key := request(t)
	cr.Namespace, cr.Name = "mail", gateRequest
	cr.Annotations = map[string]string{requestNameAnnotation: "mx", v1alpha1.GateAnnotation: gate}
	build := func(objects []client.Object) client.WithWatch {
		return fake.NewClientBuilder().WithScheme(testScheme(t)).WithIndex(&v1alpha1.MailDomain{}, certificateIndex, namedCertificates).
			WithStatusSubresource(&cmapi.CertificateRequest{}).WithObjects(objects...).WithObjects(cr).Build()
	}
	b := &gateBed{T: t, key: key}
	b.api = build(domains)
	live := b.api
	if lagging != nil {
		live = build(lagging)
	}
	clock := testclock.NewFakePassiveClock(paceNow)
	b.r = &GateReconciler{Client: b.api, Clock: clock, shard: partOf(t, shardLabel+"=a"), keeper: gatekeeper{
		live: live, clock: clock, decisions: newDecisionBoard(), wake: func(n types.NamespacedName) { b.asked = append(b.asked, n.Name) },
	}}
	return b
}

// named is a MailDomain of a shard that names Certificates.
func named(name, part string, strategy v1alpha1.Strategy, certificates ...string) *v1alpha1.MailDomain {
	md := mailDomain("mail", name, 0, host("mx1.example.com", 25, certificates...))
	md.Spec.Rollover.Strategy = strategy
	return labelled(&md, part)
}

// takingOut is one whose host stands in DNS no more by its spec, and yet by its status.
func takingOut(md *v1alpha1.MailDomain) *v1alpha1.MailDomain {
	md.Status.MailServers = []v1alpha1.MailServerStatus{{Hostname: "mx9.example.com", OwnRecords: []string{"3 1 1 00"}}}
	return md
}

func namesOf(of []v1alpha1.MailDomain) string {
	var out []string
	for i := range of {
		out = append(out, of[i].Name)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// TestVoters: who has a say over a request, and that the others of another operator are told apart.
func TestVoters(t *testing.T) {
	const gate, follow = v1alpha1.StrategyGate, v1alpha1.StrategyFollow
	for _, row := range []struct {
		reason      string
		gate        string
		domains     []client.Object
		lagging     []client.Object
		own, others string
	}{
		{"its own", "one", []client.Object{named("one", "a", gate, "mx")}, nil, "one", ""},
		{"another's", "one", []client.Object{named("one", "b", gate, "mx")}, nil, "", "one"},
		{"one of each", "one", []client.Object{named("one", "a", gate, "mx"), named("two", "b", gate, "mx")}, nil, "one", "two"},
		{"the other holds nothing back", "one", []client.Object{named("one", "a", gate, "mx"), named("two", "b", follow, "mx")}, nil, "one", ""},
		{"another Certificate", "one", []client.Object{named("one", "a", gate, "mx"), named("two", "b", gate, "my")}, nil, "one", ""},
		{"another's left it, and takes a host out", "two", []client.Object{named("one", "a", gate, "mx"), takingOut(named("two", "b", gate))}, nil, "one", "two"},
		{"another's left it, and has nothing to take out", "two", []client.Object{named("one", "a", gate, "mx"), named("two", "b", gate)}, nil, "one", ""},
		{"another's left it, and nobody else has it", "two", []client.Object{named("two", "b", gate)}, nil, "", "two"},
		{"its own left it", "two", []client.Object{named("one", "a", gate, "mx"), named("two", "a", gate)}, nil, "one two", ""},
		{"nobody is left", "two", nil, nil, "", ""},
		{"the cache has not seen another's yet", "two", nil, []client.Object{named("two", "b", gate, "mx")}, "", "two"},
		{"the cache has not seen its own yet", "two", nil, []client.Object{named("two", "a", gate, "mx")}, "two", ""},
		{"the cache has not seen one that the annotation does not name", "gone", nil, []client.Object{named("two", "b", gate, "mx")}, "", "two"},
		{"the cache has not seen one that holds nothing back", "gone", nil, []client.Object{named("two", "b", follow, "mx")}, "", ""},
	} {
		b := newGateBed(t, row.gate, row.lagging, row.domains...)
		cr := &cmapi.CertificateRequest{}
		if err := b.api.Get(t.Context(), types.NamespacedName{Namespace: "mail", Name: gateRequest}, cr); err != nil {
			t.Fatal(err)
		}
		say, err := b.r.votersOf(t.Context(), cr, "mx")
		if err != nil || namesOf(say.own) != row.own || namesOf(say.others) != row.others {
			t.Errorf("%s: own %q, others %q, %v; want %q and %q", row.reason, namesOf(say.own), namesOf(say.others), err, row.own, row.others)
		}
	}
}

// approved looks at the request, with every own MailDomain letting the key go, and says whether it was approved.
func (b *gateBed) approved() bool {
	b.Helper()
	var list v1alpha1.MailDomainList
	if err := b.r.keeper.live.List(b.Context(), &list); err != nil {
		b.Fatal(err)
	}
	for i := range list.Items {
		md := &list.Items[i]
		b.r.keeper.decisions.decisions[client.ObjectKeyFromObject(md)] = gateDecision{at: paceNow, resourceVersion: md.ResourceVersion, hosts: []hostGate{
			{host: "mx1.example.com", certificates: []string{"mx"}, deploy: []string{b.key}},
		}}
	}
	b.r.events = discarded{}
	name := types.NamespacedName{Namespace: "mail", Name: gateRequest}
	if _, err := b.r.Reconcile(b.Context(), ctrl.Request{NamespacedName: name}); err != nil {
		b.Fatal(err)
	}
	cr := &cmapi.CertificateRequest{}
	if err := b.api.Get(b.Context(), name, cr); err != nil {
		b.Fatal(err)
	}
	return isTrue(cr, cmapi.CertificateRequestConditionApproved)
}

// TestRequestsOfOthers are never approved, whatever this operator thinks of the key; nor those that it shares with another.
func TestRequestsOfOthers(t *testing.T) {
	const gate = v1alpha1.StrategyGate
	for reason, row := range map[string]struct {
		domains, live []client.Object
		want          bool
	}{
		"its own":             {[]client.Object{named("one", "a", gate, "mx")}, nil, true},
		"another's":           {[]client.Object{named("one", "b", gate, "mx")}, nil, false},
		"of both":             {[]client.Object{named("one", "a", gate, "mx"), named("two", "b", gate, "mx")}, nil, false},
		"nobody's":            {nil, nil, true},
		"nobody's, it seems":  {nil, []client.Object{named("two", "b", gate, "mx")}, false},
		"of one that is ours": {[]client.Object{named("one", "a", gate, "mx"), named("two", "a", gate, "mx")}, nil, true},
	} {
		if got := newGateBed(t, "one", row.live, row.domains...).approved(); got != row.want {
			t.Errorf("a request %s: approved %t", reason, got)
		}
	}
}

// TestCertificateOfTwoOperators: where another operator's MailDomain names a Certificate, too, nothing is approved, that is
// said, and a host that has no records yet gets none.
func TestCertificateOfTwoOperators(t *testing.T) {
	const gate = v1alpha1.StrategyGate
	for _, row := range []struct {
		reason           string
		selector         string
		other            *v1alpha1.MailDomain
		strategy         v1alpha1.Strategy
		removing         bool
		apart, published bool
	}{
		{"another's", shardLabel + "=a", named("two", "b", gate, "mx"), gate, false, true, true},
		{"another's, before anything stands", shardLabel + "=a", named("two", "b", gate, "mx"), gate, false, true, false},
		{"its own", shardLabel + "=a", named("two", "a", gate, "mx"), gate, false, false, true},
		{"another's that holds nothing back", shardLabel + "=a", named("two", "b", v1alpha1.StrategyFollow, "mx"), gate, false, false, true},
		{"this one holds nothing back", shardLabel + "=a", named("two", "b", gate, "mx"), v1alpha1.StrategyStage, false, false, true},
		{"another Certificate", shardLabel + "=a", named("two", "b", gate, "my"), gate, false, false, true},
		{"it is being taken out", shardLabel + "=a", named("two", "b", gate, "mx"), gate, true, false, true},
		{"one operator for all", "", named("two", "b", gate, "mx"), gate, false, false, true},
	} {
		md := named("one", "a", row.strategy, "mx")
		api := fake.NewClientBuilder().WithScheme(testScheme(t)).WithIndex(&v1alpha1.MailDomain{}, certificateIndex, namedCertificates).WithObjects(md, row.other).Build()
		r := &MailDomainReconciler{Client: api, shard: partOf(t, row.selector)}
		h := &hostRun{server: md.Spec.MailServers[0], removing: row.removing, decided: true, decision: rollover.Decision{Deploy: []string{"key"}}}
		h.facts.Keys = []rollover.Key{{ID: "key", SPKI: "key"}}
		if row.published {
			h.previous = &v1alpha1.MailServerStatus{OwnRecords: []string{"3 1 1 00"}}
		}
		if err := r.findApart(t.Context(), md, h); err != nil {
			t.Fatal(err)
		}
		run := &domainRun{md: md, hosts: []*hostRun{h}}
		say, why := gateDecision{hosts: []hostGate{gateOf(run, h)}}.verdict("mx", "key")
		stalled := h.stalled(run)
		if got := say == deny; got != row.apart || (h.refused != nil) != (row.apart && !row.published) {
			t.Errorf("%s: it says %s to the key (%s), and the host is refused: %t", row.reason, say, why, h.refused != nil)
		}
		if row.apart && (stalled == nil || stalled.reason != v1alpha1.ReasonCertificateHeldElsewhere || !strings.Contains(stalled.message, "mail/two") || why != stalled.message) {
			t.Errorf("%s: it is stalled: %+v, and the gate says %q", row.reason, stalled, why)
		}
	}
}

// TestNeighboursByCertificate: a MailDomain whose Certificate another one names is looked at when that one moves to another
// operator.
func TestNeighboursByCertificate(t *testing.T) {
	one, two, three := named("one", "a", v1alpha1.StrategyGate, "mx"), named("two", "a", v1alpha1.StrategyGate, "mx"), named("three", "a", v1alpha1.StrategyGate, "my")
	two.Spec.MailServers[0].Hostname, three.Spec.MailServers[0].Hostname = "mx2.example.com", "mx3.example.com"
	api := fake.NewClientBuilder().WithScheme(testScheme(t)).WithIndex(&v1alpha1.MailDomain{}, certificateIndex, namedCertificates).
		WithIndex(&v1alpha1.MailDomain{}, hostIndex, func(o client.Object) []string { return hostnames(o.(*v1alpha1.MailDomain)) }).
		WithIndex(&v1alpha1.MailDomain{}, endIndex, aliasEnds).WithIndex(&v1alpha1.MailDomain{}, domainIndex, recordDomains).
		WithObjects(one, two, three).Build()
	woken := neighbours(api, partOf(t, shardLabel+"=a"))(t.Context(), two)
	if len(woken) != 1 || woken[0].Name != "one" {
		t.Errorf("woken are %v, want one", woken)
	}
	if woken := neighbours(api, shard.Shard{})(t.Context(), two); len(woken) > 0 {
		t.Errorf("with one operator %v are woken", woken)
	}
}

// TestGateAnnotationIsNotFoughtFor: of several MailDomains that gate a Certificate the first one puts its name there, and the
// others leave it; one that does not gate it any more is replaced.
func TestGateAnnotationIsNotFoughtFor(t *testing.T) {
	gone := named("two", "b", v1alpha1.StrategyGate, "mx")
	gone.DeletionTimestamp, gone.Finalizers = &metav1.Time{Time: paceNow}, []string{v1alpha1.Finalizer}
	for reason, row := range map[string]struct {
		annotation string
		other      *v1alpha1.MailDomain
		want       bool
	}{
		"another gates it":          {"two", named("two", "b", v1alpha1.StrategyGate, "mx"), true},
		"nobody does":               {"", named("two", "b", v1alpha1.StrategyGate, "mx"), false},
		"it names another now":      {"two", named("two", "b", v1alpha1.StrategyGate, "my"), false},
		"it holds nothing back now": {"two", named("two", "b", v1alpha1.StrategyStage, "mx"), false},
		"it is being deleted":       {"two", gone, false},
		"it is gone":                {"three", named("two", "b", v1alpha1.StrategyGate, "mx"), false},
	} {
		r := &MailDomainReconciler{Client: fake.NewClientBuilder().WithScheme(testScheme(t)).WithObjects(row.other).Build()}
		crt := &cmapi.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "mx", Annotations: map[string]string{v1alpha1.GateAnnotation: row.annotation}}}
		if got, err := r.gatedByAnother(t.Context(), crt); got != row.want || err != nil {
			t.Errorf("%s: %t, %v", reason, got, err)
		}
	}
}

// TestGateGoesToTheNext: who lets a Certificate go leaves the annotation to another MailDomain that gates it, if there is one.
func TestGateGoesToTheNext(t *testing.T) {
	gone := named("a", "b", v1alpha1.StrategyGate, "mx")
	gone.DeletionTimestamp, gone.Finalizers = &metav1.Time{Time: paceNow}, []string{v1alpha1.Finalizer}
	md := named("one", "a", v1alpha1.StrategyGate, "mx")
	for reason, row := range map[string]struct {
		others []client.Object
		want   string
	}{
		"nobody else":                        {nil, ""},
		"others, of whatever operator":       {[]client.Object{named("two", "b", v1alpha1.StrategyGate, "mx"), named("three", "a", v1alpha1.StrategyGate, "mx")}, "three"},
		"one that holds nothing back":        {[]client.Object{named("two", "b", v1alpha1.StrategyFollow, "mx")}, ""},
		"one that names another Certificate": {[]client.Object{named("two", "b", v1alpha1.StrategyGate, "my")}, ""},
		"one that is being deleted":          {[]client.Object{gone}, ""},
	} {
		r := &MailDomainReconciler{Client: fake.NewClientBuilder().WithScheme(testScheme(t)).
			WithIndex(&v1alpha1.MailDomain{}, certificateIndex, namedCertificates).WithObjects(md).WithObjects(row.others...).Build()}
		if got, err := r.heirOf(t.Context(), md, "mx"); got != row.want || err != nil {
			t.Errorf("%s: %q, want %q, %v", reason, got, row.want, err)
		}
	}
}

// discarded records no events.
type discarded struct{}

func (discarded) Eventf(runtime.Object, runtime.Object, string, string, string, string, ...any) {}

package reportserver

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/tlsrpt/store"
)

const (
	// window is how long ago what is told may be.
	window = 7 * 24 * time.Hour
	// lookEvery is how often a MailDomain is looked at of which no report came: reports leave the window.
	lookEvery = time.Hour
	// askWithin is how long the store may take to tell of one MailDomain.
	askWithin = 30 * time.Second
	// maxNoted is how many names are noted. With more, all MailDomains are looked at.
	maxNoted = 4096
)

// Teller tells in status.tlsReports of each MailDomain what reports say of it. It owns that field alone, by server-side
// apply, and writes only what has changed: every replica that keeps reports in one database finds the same.
type Teller struct {
	// Reader is a cache that IndexNames has prepared.
	Reader client.Reader
	// Status writes.
	Status interface {
		Apply(context.Context, runtime.ApplyConfiguration, ...client.SubResourceApplyOption) error
	}
	Store interface {
		Overview(context.Context, store.Scope) (store.Overview, error)
	}
	Clock clock.WithTicker
	// Every is how long reports that come are gathered before their MailDomains are looked at: that is how often one of
	// them is written at the most.
	Every time.Duration

	mu sync.Mutex
	// noted are names that reports came about; tooMany says that there were more.
	noted   map[string]bool
	tooMany bool
	queue   workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// Setup has a manager run it, in every replica.
func (t *Teller) Setup(mgr ctrl.Manager) error {
	queue := source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.queue = q
		return nil
	})
	err := ctrl.NewControllerManagedBy(mgr).Named("tls-reports").
		For(&v1alpha1.MailDomain{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(queue).Complete(t)
	if err != nil {
		return fmt.Errorf("set up what tells of reports: %w", err)
	}
	return mgr.Add(t)
}

// Note notes that a report was kept. It does not wait for anything.
func (t *Teller) Note(item store.Item) {
	t.mu.Lock()
	defer t.mu.Unlock()
	note := func(name string) {
		switch {
		case name == "":
		case len(t.noted) >= maxNoted && !t.noted[name]:
			t.tooMany = true
		case t.noted == nil:
			t.noted = map[string]bool{name: true}
		default:
			t.noted[name] = true
		}
	}
	for i, subject := range item.Subjects {
		note(subject)
		// What is proved of a host concerns every MailDomain that names it.
		if subject != "" && item.Origin.Proof != "" {
			for _, f := range item.Report.Policies[i].Failures {
				note(f.ReceivingMX)
			}
		}
	}
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (*Teller) NeedLeaderElection() bool { return false }

// Start has the MailDomains looked at that reports came about, until ctx ends. It implements manager.Runnable.
func (t *Teller) Start(ctx context.Context) error {
	ticker := t.Clock.NewTicker(t.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C():
		case <-ctx.Done():
			return nil
		}
		t.wake(ctx)
	}
}

// wake has looked at what was noted.
func (t *Teller) wake(ctx context.Context) {
	t.mu.Lock()
	names, all, queue := slices.Collect(maps.Keys(t.noted)), t.tooMany, t.queue
	if queue != nil {
		t.noted, t.tooMany = nil, false
	}
	t.mu.Unlock()
	if queue == nil {
		return
	}
	enqueue := func(options ...client.ListOption) {
		var list v1alpha1.MailDomainList
		// The cache is in memory: where it fails, the periodic look finds what came.
		if err := t.Reader.List(ctx, &list, append(options, client.UnsafeDisableDeepCopy)...); err == nil {
			for i := range list.Items {
				queue.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
			}
		}
	}
	if all {
		enqueue()
		return
	}
	for _, name := range names {
		enqueue(client.MatchingFields{namesIndex: name})
	}
}

// Reconcile writes what reports say of a MailDomain, where that has changed.
func (t *Teller) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	md := &v1alpha1.MailDomain{}
	if err := t.Reader.Get(ctx, req.NamespacedName, md); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	next, err := t.status(ctx, md)
	if err != nil {
		return ctrl.Result{}, err
	}
	if digestOf(next) != md.Annotations[toldAnnotation] {
		if err := t.tell(ctx, md, next); err != nil {
			return ctrl.Result{}, fmt.Errorf("write what reports say to MailDomain %s: %w", req.NamespacedName, err)
		}
	}
	return ctrl.Result{RequeueAfter: lookEvery}, nil
}

// status is what reports say of a MailDomain; nil where they say nothing, or none are wanted.
func (t *Teller) status(ctx context.Context, md *v1alpha1.MailDomain) (*v1alpha1.TLSReportsStatus, error) {
	if !wanted(md) {
		return nil, nil
	}
	within, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	overview, err := t.Store.Overview(within, t.scope(md))
	if err != nil {
		return nil, err
	}
	return statusOf(overview), nil
}

func (t *Teller) scope(md *v1alpha1.MailDomain) store.Scope {
	s := store.Scope{Domain: md.Spec.Domain, Since: t.Clock.Now().Add(-window)}
	for _, server := range md.Spec.MailServers {
		s.Hosts = append(s.Hosts, server.Hostname)
	}
	return s
}

// tell writes status.tlsReports. An object of the same name that was made meanwhile is another, and left alone.
func (t *Teller) tell(ctx context.Context, md *v1alpha1.MailDomain, next *v1alpha1.TLSReportsStatus) error {
	status := map[string]any{}
	if next != nil {
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(next)
		if err != nil {
			return err
		}
		status["tlsReports"] = fields
	}
	u := &unstructured.Unstructured{Object: map[string]any{"status": status}}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("MailDomain"))
	u.SetNamespace(md.Namespace)
	u.SetName(md.Name)
	u.SetUID(md.UID)
	err := t.Status.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(v1alpha1.ReportsFieldManager), client.ForceOwnership)
	if apierrors.IsConflict(err) {
		return nil
	}
	return client.IgnoreNotFound(err)
}

package controllers

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	eventsv1 "k8s.io/client-go/kubernetes/typed/events/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/eventlog"
	"github.com/dane-operator/dane-operator/internal/guard"
	"github.com/dane-operator/dane-operator/internal/metrics"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/shard"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// Options say how the controllers run.
type Options struct {
	Clock clock.WithTicker
	// Uptime says how long the process has run, by a clock that nobody sets; nil is for a Clock that measures by one.
	Uptime func() time.Duration
	// Ahead says by how much Clock is ahead of that of the API server; negative when it is behind. nil is for where nobody can
	// know.
	Ahead func(context.Context) (time.Duration, error)
	// ClockHeld is told why nothing is decided when Clock is found to be behind, and nil when it is right again. It may be nil.
	ClockHeld func(error)
	// Trust are the DNSSEC trust anchors of zones that name none; nil for none.
	Trust *Trust
	// Resolvers are the recursive servers (host:port) that delegations are found with.
	Resolvers []string
	// Prober connects to mail servers.
	Prober probe.Prober
	// NewZoneClient makes the client of a zone.
	NewZoneClient func(zone.Config) zone.Client
	// NewResolver makes what validates answers from trust anchors down, to find out what senders see. With
	// nil nobody looks at that.
	NewResolver func([]dnssec.Anchor) senderview.Resolver
	// FetchPolicy gets policies of MTA-STS, with what NewResolver makes. With nil nobody does, and no record of one is
	// written.
	FetchPolicy PolicyFetch
	// UnknownHistory is how long an answer counts as cached that may have been in DNS before the
	// operator looked.
	UnknownHistory time.Duration
	// ReportQuiet is how long after the newest report of failures the records of a key that is gone stay, and
	// MaxReportHold how long reports keep them at the most. 0 is the default: two days and a week.
	ReportQuiet, MaxReportHold time.Duration
	// Shard are the MailDomains and DNSZones that are acted for. The caches hold all.
	Shard shard.Shard
	// Workers is how many MailDomains are reconciled at once.
	Workers int
	// ParallelProbes is how many hosts are probed at once.
	ParallelProbes int
	// Random makes standby keys; nil is the system's own.
	Random io.Reader
	// Counts counts what happens; nil counts nothing.
	Counts *metrics.Events
	// Status shows MailDomains to who scrapes; Setup has it read the cache. nil shows none.
	Status *metrics.Status
	// Guard keeps a panic with one object, zone or host from ending the process; with nil it does end it.
	Guard *guard.Guard
	// Beside runs a probe round beside the reconcilers; nil starts a goroutine for each.
	Beside func(func())
}

// wakeup lets code outside a reconciler enqueue a request. Before the controller runs it does nothing.
type wakeup struct {
	mu    sync.Mutex
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

func (w *wakeup) source() source.Source {
	return source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.queue = q
		return nil
	})
}

func (w *wakeup) add(name types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue != nil {
		w.queue.Add(reconcile.Request{NamespacedName: name})
	}
}

// Setup registers the three controllers with a manager.
func Setup(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if err := AddIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	var domains, zones, requests wakeup
	if o.Counts == nil {
		o.Counts = metrics.NewEvents()
	}
	recorder, err := recorderOf(mgr, o.Clock)
	if err != nil {
		return err
	}
	parts := Assemble(Surroundings{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: recorder,
		WakeDomain: domains.add, WakeZone: zones.add, WakeRequest: requests.add,
	}, o)
	if err := parts.MailDomains.setup(mgr, &domains, o); err != nil {
		return fmt.Errorf("set up the MailDomain controller: %w", err)
	}
	if err := parts.Zones.setup(mgr, &zones, o); err != nil {
		return fmt.Errorf("set up the DNSZone controller: %w", err)
	}
	if err := parts.Requests.setup(mgr, &requests, o); err != nil {
		return fmt.Errorf("set up the CertificateRequest gate: %w", err)
	}
	collectors := []prometheus.Collector{
		zoneCollector{parts.outside.registry, o.Trust}, senderCollector{parts.MailDomains.senders}, o.Counts,
	}
	if err := registerMetrics(o.Guard, collectors...); err != nil {
		return err
	}
	if o.Status != nil {
		o.Status.Reader, o.Status.Guard = mgr.GetClient(), o.Guard
	}
	if o.Trust != nil {
		o.Trust.changed = func() { wakeZones(parts.outside.registry, zones.add) }
		if err := mgr.Add(o.Trust); err != nil {
			return fmt.Errorf("set up the trust anchors: %w", err)
		}
	}
	return mgr.Add(parts.outside)
}

// recorderOf makes what records events, and has the manager run what writes them.
func recorderOf(mgr ctrl.Manager, c clock.WithTicker) (events.EventRecorder, error) {
	api, err := eventsv1.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("make a client for events: %w", err)
	}
	writer, err := eventlog.New(&events.EventSinkImpl{Interface: api}, c, mgr.GetLogger().WithName("events"))
	if err != nil {
		return nil, err
	}
	return writer.Recorder(mgr.GetScheme(), "dane-operator"), mgr.Add(writer)
}

// outside ends what runs beside the reconcilers when the operator stops: probes and looks are broken off, and
// an update that is in flight is waited for, so that none ends half-way.
type outside struct {
	registry *zoneRegistry
	// stop breaks off what may be.
	stop func()
}

// updateGrace is how long an update in flight is waited for.
const updateGrace = 20 * time.Second

// Start runs until the operator stops.
func (o *outside) Start(ctx context.Context) error {
	<-ctx.Done()
	o.stop()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), updateGrace)
	defer cancel()
	o.registry.closeAll(grace)
	return nil
}

// NeedLeaderElection says that it starts and stops with the reconcilers.
func (o *outside) NeedLeaderElection() bool { return true }

var _ manager.LeaderElectionRunnable = (*outside)(nil)

// wakeDomains enqueues the MailDomains that a DNSZone concerns: those that name it or were written to
// it, and those with a host below its zone.
func wakeDomains(reader client.Reader, wake func(types.NamespacedName), z types.NamespacedName, zone string) {
	apex := strings.TrimSuffix(zone, ".")
	for _, fields := range []client.MatchingFields{{zoneIndex: z.String()}, {zoneIndex: apex}, {hostIndex: apex}} {
		var list v1alpha1.MailDomainList
		if err := reader.List(context.Background(), &list, fields, client.UnsafeDisableDeepCopy); err != nil {
			return // the periodic look finds it
		}
		for i := range list.Items {
			wake(client.ObjectKeyFromObject(&list.Items[i]))
		}
	}
}

func wakeRequests(reader client.Reader, wake func(types.NamespacedName), namespace, certificate string) {
	var list cmapi.CertificateRequestList
	if err := reader.List(context.Background(), &list, client.InNamespace(namespace), client.MatchingFields{requestIndex: certificate}); err != nil {
		return // the gate looks again by itself
	}
	for i := range list.Items {
		wake(client.ObjectKeyFromObject(&list.Items[i]))
	}
}

func (r *MailDomainReconciler) setup(mgr ctrl.Manager, wake *wakeup, o Options) error {
	b := ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.MailDomain{}).
		Named("maildomain").
		WithOptions(controller.Options{MaxConcurrentReconciles: max(o.Workers, 1)}).
		WatchesRawSource(wake.source())
	return watching(b, guarded(o.Guard, r.Watches())).Complete(r)
}

func (r *DNSZoneReconciler) setup(mgr ctrl.Manager, wake *wakeup, o Options) error {
	b := ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.DNSZone{}).
		Named("dnszone").
		WithOptions(controller.Options{MaxConcurrentReconciles: max(o.Workers/4, 1)}).
		WatchesRawSource(wake.source())
	return watching(b, guarded(o.Guard, r.Watches())).Complete(r)
}

func watching(b *builder.Builder, watches []Watch) *builder.Builder {
	for _, w := range watches {
		if w.MetadataOnly {
			b = b.WatchesMetadata(w.Object, handler.EnqueueRequestsFromMapFunc(w.Of))
		} else {
			b = b.Watches(w.Object, handler.EnqueueRequestsFromMapFunc(w.Of))
		}
	}
	return b
}

func (r *GateReconciler) setup(mgr ctrl.Manager, wake *wakeup, o Options) error {
	return ctrl.NewControllerManagedBy(mgr).For(&cmapi.CertificateRequest{}).
		Named("certificaterequest-gate").
		WithOptions(controller.Options{MaxConcurrentReconciles: max(o.Workers, 1)}).
		WatchesRawSource(wake.source()).
		Complete(r)
}

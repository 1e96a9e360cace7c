package controllers

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// Options say how the controllers run.
type Options struct {
	Clock clock.WithTicker
	// Trust are the DNSSEC trust anchors of zones that name none; nil for none.
	Trust *Trust
	// Resolvers are the recursive servers (host:port) that delegations are found with.
	Resolvers []string
	// Prober connects to mail servers.
	Prober probe.Prober
	// NewZoneClient makes the client of a zone.
	NewZoneClient func(zone.Config) zone.Client
	// UnknownHistory is how long an answer counts as cached that may have been in DNS before the
	// operator looked.
	UnknownHistory time.Duration
	// Workers is how many MailDomains are reconciled at once.
	Workers int
	// ParallelProbes is how many hosts are probed at once.
	ParallelProbes int
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
	if err := addIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	if err := addEventIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	var domains, zones, requests wakeup
	registry := newZoneRegistry()
	obs := newObserver(domains.add)
	board := newDecisionBoard()
	board.wake = func(namespace, certificate string) { wakeRequests(mgr.GetClient(), &requests, namespace, certificate) }
	pool := newProberPool(mgr.GetClient(), o.Prober, o.Clock, obs, max(o.ParallelProbes, 1))
	recorder := mgr.GetEventRecorder("dane-operator")
	keeper := gatekeeper{live: mgr.GetAPIReader(), clock: o.Clock, decisions: board, wake: domains.add}
	r := &MailDomainReconciler{
		Client: mgr.GetClient(), live: mgr.GetAPIReader(), Clock: o.Clock, events: recorder,
		settings: settings{unknownHistory: o.UnknownHistory},
		keys:     keyReader{cached: mgr.GetClient(), live: mgr.GetAPIReader(), standbys: newStandbyMemory()},
		standby:  standbyStore{client: mgr.GetClient(), random: rand.Reader},
		zones:    registry, observer: obs, probes: pool, decisions: board, keeper: keeper,
	}
	if err := r.setup(mgr, &domains, o); err != nil {
		return fmt.Errorf("set up the MailDomain controller: %w", err)
	}
	z := &DNSZoneReconciler{
		Client: mgr.GetClient(), live: mgr.GetAPIReader(), Clock: o.Clock, events: recorder, zones: registry,
		newClient: o.NewZoneClient, trust: o.Trust, resolvers: o.Resolvers, wake: zones.add,
		wakeDomains: func(z types.NamespacedName, zone string) { wakeDomains(mgr.GetClient(), &domains, z, zone) },
	}
	if err := z.setup(mgr, &zones, o); err != nil {
		return fmt.Errorf("set up the DNSZone controller: %w", err)
	}
	g := &GateReconciler{Client: mgr.GetClient(), Clock: o.Clock, events: recorder, keeper: keeper}
	if err := g.setup(mgr, &requests, o); err != nil {
		return fmt.Errorf("set up the CertificateRequest gate: %w", err)
	}
	if err := registerMetrics(zoneCollector{registry, o.Trust}); err != nil {
		return err
	}
	if o.Trust != nil {
		o.Trust.changed = func() { wakeZones(registry, zones.add) }
		if err := mgr.Add(o.Trust); err != nil {
			return fmt.Errorf("set up the trust anchors: %w", err)
		}
	}
	return mgr.Add(&outside{registry: registry, pool: pool})
}

// outside ends what runs beside the reconcilers when the operator stops: probes are broken off, and
// an update that is in flight is waited for, so that none ends half-way.
type outside struct {
	registry *zoneRegistry
	pool     *proberPool
}

// updateGrace is how long an update in flight is waited for.
const updateGrace = 20 * time.Second

// Start runs until the operator stops.
func (o *outside) Start(ctx context.Context) error {
	<-ctx.Done()
	o.pool.stop()
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
func wakeDomains(reader client.Reader, domains *wakeup, z types.NamespacedName, zone string) {
	apex := strings.TrimSuffix(zone, ".")
	for _, fields := range []client.MatchingFields{{zoneIndex: z.String()}, {zoneIndex: apex}, {hostIndex: apex}} {
		var list v1alpha1.MailDomainList
		if err := reader.List(context.Background(), &list, fields, client.UnsafeDisableDeepCopy); err != nil {
			return // the periodic look finds it
		}
		for i := range list.Items {
			domains.add(client.ObjectKeyFromObject(&list.Items[i]))
		}
	}
}

func wakeRequests(reader client.Reader, requests *wakeup, namespace, certificate string) {
	var list cmapi.CertificateRequestList
	if err := reader.List(context.Background(), &list, client.InNamespace(namespace), client.MatchingFields{requestIndex: certificate}); err != nil {
		return // the gate looks again by itself
	}
	for i := range list.Items {
		requests.add(client.ObjectKeyFromObject(&list.Items[i]))
	}
}

func (r *MailDomainReconciler) setup(mgr ctrl.Manager, wake *wakeup, o Options) error {
	c := mgr.GetClient()
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.MailDomain{}).
		Named("maildomain").
		WithOptions(controller.Options{MaxConcurrentReconciles: max(o.Workers, 1)}).
		Watches(&v1alpha1.MailDomain{}, handler.EnqueueRequestsFromMapFunc(neighbours(c))).
		Watches(&cmapi.Certificate{}, handler.EnqueueRequestsFromMapFunc(domainsOfCertificate(c))).
		Watches(&cmapi.CertificateRequest{}, handler.EnqueueRequestsFromMapFunc(domainsOfRequest(c))).
		Watches(&discoveryv1.EndpointSlice{}, handler.EnqueueRequestsFromMapFunc(domainsOfService(c, r.observer))).
		WatchesMetadata(secret, handler.EnqueueRequestsFromMapFunc(domainsOfSecret(c))).
		WatchesRawSource(wake.source()).
		Complete(r)
}

func (r *DNSZoneReconciler) setup(mgr ctrl.Manager, wake *wakeup, o Options) error {
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.DNSZone{}).
		Named("dnszone").
		WithOptions(controller.Options{MaxConcurrentReconciles: max(o.Workers/4, 1)}).
		WatchesMetadata(secret, handler.EnqueueRequestsFromMapFunc(zonesOfSecret(mgr.GetClient()))).
		WatchesRawSource(wake.source()).
		Complete(r)
}

func (r *GateReconciler) setup(mgr ctrl.Manager, wake *wakeup, o Options) error {
	return ctrl.NewControllerManagedBy(mgr).For(&cmapi.CertificateRequest{}).
		Named("certificaterequest-gate").
		WithOptions(controller.Options{MaxConcurrentReconciles: max(o.Workers, 1)}).
		WatchesRawSource(wake.source()).
		Complete(r)
}

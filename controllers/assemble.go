package controllers

import (
	"cmp"
	"context"
	"crypto/rand"
	"io"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/clockwatch"
)

// Surroundings are what the reconcilers live in.
type Surroundings struct {
	// Client reads from a cache and writes; Live reads past the cache.
	Client client.Client
	Live   client.Reader
	Events events.EventRecorder
	// WakeDomain, WakeZone and WakeRequest enqueue an object for its reconciler. They may be called from
	// anywhere, and must not call back.
	WakeDomain, WakeZone, WakeRequest func(types.NamespacedName)
}

// Parts are the reconcilers of one operator process, wired to each other and run by nobody yet: Setup has
// a manager run them, and the simulator (test/sim) runs them by itself.
type Parts struct {
	MailDomains *MailDomainReconciler
	Zones       *DNSZoneReconciler
	Requests    *GateReconciler
	outside     *outside
}

// Assemble makes the parts of one operator process.
func Assemble(s Surroundings, o Options) *Parts {
	registry := newZoneRegistry()
	obs := newObserver(s.WakeDomain)
	board := newDecisionBoard()
	board.wake = func(namespace, certificate string) { wakeRequests(s.Client, s.WakeRequest, namespace, certificate) }
	pool := newProberPool(s.Client, o.Prober, o.Clock, obs, max(o.ParallelProbes, 1))
	if o.Beside != nil {
		pool.beside = o.Beside
	}
	pool.counts, pool.guard = o.Counts, o.Guard
	senders := newSenderWatch(o, obs, s.WakeDomain)
	book := newRecordBook(s.WakeDomain)
	keeper := gatekeeper{live: s.Live, clock: o.Clock, decisions: board, wake: s.WakeDomain}
	machine := &machineClock{watch: clockwatch.New(o.Clock, o.Uptime), ahead: o.Ahead, held: o.ClockHeld, counts: o.Counts}
	return &Parts{
		MailDomains: &MailDomainReconciler{
			Client: s.Client, live: s.Live, Clock: o.Clock, machine: machine, events: s.Events, counts: o.Counts,
			settings: settings{
				unknownHistory: o.UnknownHistory,
				reportQuiet:    cmp.Or(o.ReportQuiet, reportQuiet), maxReportHold: cmp.Or(o.MaxReportHold, maxReportHold),
			},
			shard:   o.Shard,
			keys:    keyReader{cached: s.Client, live: s.Live, standbys: newStandbyMemory()},
			standby: standbyStore{client: s.Client, random: cmp.Or[io.Reader](o.Random, rand.Reader)},
			zones:   registry, observer: obs, probes: pool, senders: senders, decisions: board,
			records: book, looks: &recordLooks{book: book, senders: senders, fetch: o.FetchPolicy}, keeper: keeper,
			guard: o.Guard, wakeZone: s.WakeZone,
		},
		Zones: &DNSZoneReconciler{
			Client: s.Client, live: s.Live, Clock: o.Clock, machine: machine, events: s.Events, zones: registry, shard: o.Shard,
			newClient: o.NewZoneClient, trust: o.Trust, resolvers: o.Resolvers, wake: s.WakeZone,
			wakeDomains: func(z types.NamespacedName, zone string) { wakeDomains(s.Client, s.WakeDomain, z, zone) },
		},
		Requests: &GateReconciler{Client: s.Client, Clock: o.Clock, events: s.Events, counts: o.Counts, keeper: keeper, shard: o.Shard},
		outside:  &outside{registry: registry, stop: func() { pool.stop(); senders.stop() }},
	}
}

// AddIndexes registers the indexes of the cache that the reconcilers list by.
func AddIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	if err := addIndexes(ctx, indexer); err != nil {
		return err
	}
	return addEventIndexes(ctx, indexer)
}

// Watch is a kind of object whose changes concern others than itself.
type Watch struct {
	Object client.Object
	// MetadataOnly says that no more of it is watched: the data of Secrets stays out of the cache.
	MetadataOnly bool
	// Of says which objects of the reconciler a change concerns.
	Of handler.MapFunc
}

// Watches are the kinds that concern MailDomains, which are watched themselves too.
func (r *MailDomainReconciler) Watches() []Watch {
	return []Watch{
		{Object: &v1alpha1.MailDomain{}, Of: neighbours(r.Client, r.shard)},
		{Object: &cmapi.Certificate{}, Of: domainsOfCertificate(r.Client)},
		{Object: &cmapi.CertificateRequest{}, Of: domainsOfRequest(r.Client)},
		{Object: &discoveryv1.EndpointSlice{}, Of: domainsOfService(r.Client, r.observer)},
		{Object: secretMetadata(), MetadataOnly: true, Of: domainsOfSecret(r.Client)},
	}
}

// Watches are the kinds that concern DNSZones, which are watched themselves too.
func (r *DNSZoneReconciler) Watches() []Watch {
	return []Watch{{Object: secretMetadata(), MetadataOnly: true, Of: zonesOfSecret(r.Client)}}
}

func secretMetadata() *metav1.PartialObjectMetadata {
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return secret
}

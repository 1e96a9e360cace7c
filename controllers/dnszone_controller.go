package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/shard"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// DNSZoneReconciler keeps a zone client for every DNSZone and says how the zone is.
type DNSZoneReconciler struct {
	client.Client
	live    client.Reader
	Clock   clock.PassiveClock
	events  events.EventRecorder
	machine *machineClock
	zones   *zoneRegistry
	// contests are of who writes the status.
	contests contestBoard
	shard    shard.Shard
	// newClient makes the client of a zone.
	newClient func(zone.Config) zone.Client
	// trust are the operator's trust anchors, resolvers its recursive servers.
	trust     *Trust
	resolvers []string
	// wake enqueues a DNSZone; wakeDomains the MailDomains that it concerns, by its name and its zone.
	wake        func(types.NamespacedName)
	wakeDomains func(z types.NamespacedName, zone string)
}

const (
	// zoneIdle is how often a healthy zone is looked at, zoneBusy one that is not, or of which not all is known yet.
	zoneIdle = 5 * time.Minute
	zoneBusy = 15 * time.Second
)

// Reconcile configures the client of one zone, and looks at the zone when that is due.
func (r *DNSZoneReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	z := &v1alpha1.DNSZone{}
	if err := r.Get(ctx, req.NamespacedName, z); err != nil {
		if apierrors.IsNotFound(err) {
			r.contests.forget(req.NamespacedName)
			r.wakeDomains(req.NamespacedName, r.zones.remove(ctx, req.NamespacedName))
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("read DNSZone %s: %w", req.NamespacedName, err)
	}
	if !z.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	if _, err := r.machine.read(ctx); err != nil {
		return r.machine.hold(err)
	}
	if !r.shard.Has(z) {
		return r.assist(ctx, z)
	}
	config, err := r.config(ctx, z)
	var unusable *configError
	switch {
	case errors.As(err, &unusable):
		r.disable(ctx, z, unusable)
		again, err := r.storeZone(ctx, z, unusableStatus(z, unusable, r.Clock.Now()))
		return ctrl.Result{RequeueAfter: cmp.Or(again, zoneIdle)}, err
	case err != nil:
		return ctrl.Result{}, err
	}
	return r.serve(ctx, z, config)
}

// serve looks at a zone that can be used, tells of it, and keeps its delegation right.
func (r *DNSZoneReconciler) serve(ctx context.Context, z *v1alpha1.DNSZone, config zone.Config) (ctrl.Result, error) {
	entry := r.configure(z, config)
	wait := r.check(client.ObjectKeyFromObject(z), entry)
	if entry.health == nil {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	next := zoneStatus(z, entry.health, r.trustProblem(z), r.Clock.Now())
	task, again, err := r.delegate(ctx, z, &next)
	if err != nil {
		return ctrl.Result{}, err
	}
	later, err := r.storeZone(ctx, z, next)
	wait = soonest(wait, again, later)
	if err != nil || later > 0 || task == nil {
		return ctrl.Result{RequeueAfter: wait}, err
	}
	return ctrl.Result{RequeueAfter: wait}, task(ctx)
}

// soonest is the least of some waits; one of 0 is none.
func soonest(wait time.Duration, others ...time.Duration) time.Duration {
	for _, other := range others {
		if other > 0 {
			wait = min(wait, other)
		}
	}
	return wait
}

// configure makes or reconfigures the client of a zone.
func (r *DNSZoneReconciler) configure(z *v1alpha1.DNSZone, config zone.Config) zoneEntry {
	name := client.ObjectKeyFromObject(z)
	changed := false
	r.zones.update(name, func(e *zoneEntry) {
		e.keys.recall(z)
		e.findings.recall(z)
		e.tend(r.shard.Has(z))
		e.problem = ""
		switch {
		case e.client == nil:
			first := config
			first.Known, first.Signer = knownServers(z), knownSigner(z)
			e.client, changed = r.newClient(first), true
		case !reflect.DeepEqual(e.config, config):
			e.client.Configure(config)
			changed = true
		}
		if changed {
			// What was seen before, or is being looked at, was seen with other eyes.
			e.config, e.configured, e.health, e.checking = config, e.configured+1, nil, false
		}
	})
	if changed {
		r.wakeDomains(name, config.Zone)
	}
	entry, _ := r.zones.get(name)
	return entry
}

// disable takes a zone out of use whose configuration cannot be used any more. Its client goes, and with
// it the old key: going on with it, or without any, is not what the owner of the zone has asked for.
func (r *DNSZoneReconciler) disable(ctx context.Context, z *v1alpha1.DNSZone, problem *configError) {
	var old zone.Client
	changed := false
	r.zones.update(client.ObjectKeyFromObject(z), func(e *zoneEntry) {
		e.keys.recall(z)
		e.tend(r.shard.Has(z))
		old, changed = e.client, e.problem != problem.message
		e.client, e.config, e.problem, e.checking = nil, zone.Config{}, problem.message, false
		// MailDomains of other namespaces see this one: it does not name the Secret.
		e.health = &zone.Health{At: r.Clock.Now(), DNSSEC: zone.ZoneDNSSEC{
			State: dnssec.Indeterminate, Message: problem.outside(),
		}}
	})
	if changed {
		r.wakeDomains(client.ObjectKeyFromObject(z), z.Spec.Zone)
	}
	if old != nil {
		old.Close(ctx)
	}
}

// check looks at the zone when that is due, and returns when it is due next.
func (r *DNSZoneReconciler) check(name types.NamespacedName, entry zoneEntry) time.Duration {
	pace := entry.pace()
	if entry.health != nil && entry.unlike == 0 {
		if wait := entry.health.At.Add(pace).Sub(r.Clock.Now()); wait > 0 {
			return wait
		}
	}
	start := false
	r.zones.update(name, func(e *zoneEntry) { start, e.checking = !e.checking, true })
	if start {
		entry.client.Check(func(h zone.Health) { r.looked(name, entry, h) })
	}
	return pace
}

// pace is how long after its newest look a zone is looked at again. Only a look ends a change of the zone's keys, which
// holds rollovers: one is made when its time is over.
func (e zoneEntry) pace() time.Duration {
	switch {
	case e.health == nil || !healthy(e.health) || len(e.findings.kept) > 0:
		return zoneBusy
	case e.keys.over.IsZero():
		return zoneIdle
	}
	return min(max(e.keys.over.Sub(e.health.At), zoneBusy), zoneIdle)
}

// looked notes what a look has found, unless the zone was configured anew since the look began.
func (r *DNSZoneReconciler) looked(name types.NamespacedName, begun zoneEntry, h zone.Health) {
	current, changed := false, false
	r.zones.amend(name, func(e *zoneEntry) {
		if current = e.client == begun.client && e.configured == begun.configured; !current {
			return
		}
		even := r.machine.watch.Read().EvenSince
		if !r.machine.steady() { // what it has found would be noted by a clock that is wrong: another look follows
			e.checking = false
			return
		}
		e.keys.even(even)
		e.keys.note(&h.DNSSEC, r.Clock.Now())
		e.findings.note(&h)
		changed = e.health == nil || begun.unlike > 0 || e.health.DNSSEC.State != h.DNSSEC.State || e.health.DNSSEC.KeysChanging != h.DNSSEC.KeysChanging
		e.health, e.checking, e.unlike = &h, false, max(e.unlike-begun.unlike, 0)
	})
	if current {
		r.wake(name)
	}
	if changed {
		r.wakeDomains(name, begun.config.Zone)
	}
}

func healthy(h *zone.Health) bool {
	if h.Discovery != "" || h.PrimaryAccepts.Class != zone.Applied || h.DNSSEC.State != dnssec.Secure {
		return false
	}
	for _, s := range h.Servers {
		if !s.Reachable && !s.Ignored && s.FormerUntil.IsZero() {
			return false
		}
	}
	return true
}

// configError says why a DNSZone cannot be used: a reason of UpdatesAccepted and what to do.
type configError struct{ reason, message string }

func (e *configError) Error() string { return e.message }

// outside is what those are told who may write to the zone, and perhaps not read the DNSZone.
func (e *configError) outside() string {
	if e.reason == unattended {
		return e.message
	}
	return fmt.Sprintf("the DNSZone cannot be used (%s): its conditions say what to do", e.reason)
}

// config turns the spec of a DNSZone, and the Secrets it names, into the client's configuration.
func (r *DNSZoneReconciler) config(ctx context.Context, z *v1alpha1.DNSZone) (zone.Config, error) {
	c := zone.Config{
		Zone: z.Spec.Zone + ".", Primary: primaryAddress(z), Protocol: zone.Protocol(z.Spec.Update.Protocol),
		Delegation: z.Spec.Nameservers.Discovery != v1alpha1.DiscoveryStatic, Resolvers: r.resolvers,
		Interval: z.Spec.Propagation.Interval.Or(10 * time.Second), Delay: z.Spec.Propagation.Delay.Or(5 * time.Minute),
	}
	for _, n := range z.Spec.Nameservers.Ignore {
		c.Ignore = append(c.Ignore, string(n))
	}
	for _, a := range z.Spec.Nameservers.Addresses {
		addr, err := parseServerAddress(string(a))
		if err != nil {
			return c, &configError{v1alpha1.ReasonInvalidSpec, fmt.Sprintf("spec.nameservers.addresses: %q is no IP address with an optional port", a)}
		}
		c.Static = append(c.Static, addr)
	}
	var err error
	if c.Anchors, err = r.anchorsOf(z); err != nil {
		return c, err
	}
	if c.TSIG, err = r.tsig(ctx, z); err != nil {
		return c, err
	}
	c.TLS, err = r.tls(ctx, z)
	return c, err
}

// primaryAddress adds the default port to spec.update.nameserver.
func primaryAddress(z *v1alpha1.DNSZone) string {
	server := z.Spec.Update.Nameserver
	port := "53"
	if z.Spec.Update.Protocol == v1alpha1.UpdateTLSProtocol {
		port = "853"
	}
	if strings.HasSuffix(server, "]") || !strings.Contains(server, ":") {
		return server + ":" + port
	}
	return server
}

// parseServerAddress reads an address with an optional port.
func parseServerAddress(text string) (netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return netip.AddrPortFrom(addr, 53), nil
	}
	return netip.ParseAddrPort(text)
}

// secretValue reads one key of a Secret of the zone's namespace, live.
func (r *DNSZoneReconciler) secretValue(ctx context.Context, namespace, name, key, field string) ([]byte, error) {
	if wrong := content.IsPathSegmentName(name); len(wrong) > 0 {
		return nil, &configError{v1alpha1.ReasonSecretNotFound, fmt.Sprintf("%s: %q is no name of a Secret: it %s", field, name, strings.Join(wrong, ", "))}
	}
	secret := &corev1.Secret{}
	err := r.live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return nil, &configError{v1alpha1.ReasonSecretNotFound, fmt.Sprintf("Secret %s/%s, which %s names, does not exist", namespace, name, field)}
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s/%s: %w", namespace, name, err)
	}
	value, ok := secret.Data[key]
	if !ok {
		return nil, &configError{v1alpha1.ReasonSecretNotFound, fmt.Sprintf("Secret %s/%s has no key %q, which %s names", namespace, name, key, field)}
	}
	return value, nil
}

func (r *DNSZoneReconciler) tsig(ctx context.Context, z *v1alpha1.DNSZone) (*zone.TSIG, error) {
	u := z.Spec.Update
	if u.TSIGSecretSecretRef == nil {
		return nil, nil
	}
	key := u.TSIGSecretSecretRef.Key
	if key == "" {
		key = "secret"
	}
	value, err := r.secretValue(ctx, z.Namespace, u.TSIGSecretSecretRef.Name, key, "spec.update.tsigSecretSecretRef")
	if err != nil {
		return nil, err
	}
	t := &zone.TSIG{Name: u.TSIGKeyName, Algorithm: string(u.TSIGAlgorithm), Secret: strings.TrimSpace(string(value))}
	if err := t.Check(); err != nil {
		return nil, &configError{v1alpha1.ReasonSecretInvalid, fmt.Sprintf("key %q of Secret %s/%s: %v", key, z.Namespace, u.TSIGSecretSecretRef.Name, err)}
	}
	return t, nil
}

func (r *DNSZoneReconciler) tls(ctx context.Context, z *v1alpha1.DNSZone) (*zone.TLSConfig, error) {
	t := z.Spec.Update.TLS
	if t == nil {
		return nil, nil
	}
	out := &zone.TLSConfig{ServerName: t.ServerName}
	var err error
	if ref := t.CABundleSecretRef; ref != nil {
		if out.CABundle, err = r.secretValue(ctx, z.Namespace, ref.Name, ref.Key, "spec.update.tls.caBundleSecretRef"); err != nil {
			return nil, err
		}
	}
	if ref := t.ClientCertSecretRef; ref != nil {
		if out.ClientCert, err = r.secretValue(ctx, z.Namespace, ref.Name, corev1.TLSCertKey, "spec.update.tls.clientCertSecretRef"); err != nil {
			return nil, err
		}
		if out.ClientKey, err = r.secretValue(ctx, z.Namespace, ref.Name, corev1.TLSPrivateKeyKey, "spec.update.tls.clientCertSecretRef"); err != nil {
			return nil, err
		}
	}
	return out, nil
}

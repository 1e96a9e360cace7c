package controllers

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// zoneEntry is a DNSZone that is being served: its client and the last look at its health.
type zoneEntry struct {
	// own says that this operator acts for the DNSZone, and not only for MailDomains that are written to it.
	own bool
	// client is nil while the zone cannot be used: nothing is written to it then, nor deployed.
	client zone.Client
	// config is what the client was configured with, to see whether it changed; configured counts the
	// changes, to know a look that began before one.
	config     zone.Config
	configured int
	health     *zone.Health
	// problem says why the zone cannot be used; empty when it can.
	problem string
	// checking says that a look is under way.
	checking bool
	// unlike counts the sweeps that have met other keys or DS records than the newest look and were not followed by another, which is
	// due now: until that says since when they change they count as changing. A look that began before a sweep says nothing of what
	// that met.
	unlike   int
	keys     keyMemory
	findings findingMemory
	// delegation is what is known of the DS records in the parent.
	delegation delegationWork
}

// zoneRegistry holds the clients of all DNSZones.
type zoneRegistry struct {
	mu      sync.Mutex
	entries map[types.NamespacedName]*zoneEntry
	// wanted says when a DNSZone was last asked for that another operator acts for.
	wanted map[types.NamespacedName]time.Time
}

func newZoneRegistry() *zoneRegistry {
	return &zoneRegistry{entries: map[types.NamespacedName]*zoneEntry{}, wanted: map[types.NamespacedName]time.Time{}}
}

// get returns a copy of the entry of a DNSZone.
func (r *zoneRegistry) get(name types.NamespacedName) (zoneEntry, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.entries[name]
	if !ok {
		return zoneEntry{}, false
	}
	return *e, true
}

// each calls f with a copy of every entry, always in the same order.
func (r *zoneRegistry) each(f func(types.NamespacedName, zoneEntry)) {
	r.mu.Lock()
	all := make(map[types.NamespacedName]zoneEntry, len(r.entries))
	for name, e := range r.entries {
		all[name] = *e
	}
	r.mu.Unlock()
	for _, name := range slices.SortedFunc(maps.Keys(all), byName) {
		f(name, all[name])
	}
}

// update changes the entry of a DNSZone under the lock, making it first where it is missing.
func (r *zoneRegistry) update(name types.NamespacedName, change func(*zoneEntry)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.entries[name]
	if !ok {
		e = &zoneEntry{}
		r.entries[name] = e
	}
	change(e)
}

// amend changes the entry of a DNSZone under the lock, if there is one.
func (r *zoneRegistry) amend(name types.NamespacedName, change func(*zoneEntry)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.entries[name]; ok {
		change(e)
	}
}

// remove stops the client of a DNSZone, forgets it, and returns the zone that it served, if any.
func (r *zoneRegistry) remove(ctx context.Context, name types.NamespacedName) string {
	r.mu.Lock()
	e := r.entries[name]
	delete(r.entries, name)
	delete(r.wanted, name)
	r.mu.Unlock()
	if e == nil || e.client == nil {
		return ""
	}
	e.client.Close(ctx)
	return e.config.Zone
}

// closeAll stops every client, waiting for messages in flight as long as ctx allows.
func (r *zoneRegistry) closeAll(ctx context.Context) {
	r.mu.Lock()
	entries := r.entries
	r.entries = map[types.NamespacedName]*zoneEntry{}
	r.mu.Unlock()
	var wg sync.WaitGroup
	for _, e := range entries {
		if e.client == nil {
			continue
		}
		wg.Go(func() { e.client.Close(ctx) })
	}
	wg.Wait()
}

// inZone says whether host is the apex of the zone or below it, by labels.
func inZone(host, zoneName string) bool {
	return host == zoneName || strings.HasSuffix(host, "."+zoneName)
}

// grantsName says whether a DNSZone lets a namespace write the TLSA records of a host (design
// section 3: without grants, its own namespace and every name).
func grantsName(z *v1alpha1.DNSZone, namespace string, namespaceLabels map[string]string, host string) bool {
	if !inZone(host, z.Spec.Zone) {
		return false
	}
	if len(z.Spec.Grants) == 0 {
		return namespace == z.Namespace
	}
	for _, g := range z.Spec.Grants {
		if grantAdmits(g, z.Namespace, namespace, namespaceLabels) && grantCovers(g.Hostnames, host) {
			return true
		}
	}
	return false
}

func grantAdmits(g v1alpha1.ZoneGrant, zoneNamespace, namespace string, namespaceLabels map[string]string) bool {
	switch g.Namespaces.From {
	case v1alpha1.GrantAll:
		return true
	case v1alpha1.GrantSelector:
		if g.Namespaces.Selector == nil {
			return false
		}
		selector, err := metav1.LabelSelectorAsSelector(g.Namespaces.Selector)
		return err == nil && selector.Matches(labels.Set(namespaceLabels))
	default:
		return namespace == zoneNamespace
	}
}

// grantCovers says whether a list of host names covers host: by name, or by *.NAME for every name
// below NAME.
func grantCovers(hostnames []v1alpha1.GrantHostname, host string) bool {
	if len(hostnames) == 0 {
		return true
	}
	for _, h := range hostnames {
		below, wildcard := strings.CutPrefix(string(h), "*.")
		if wildcard && strings.HasSuffix(host, "."+below) || string(h) == host {
			return true
		}
	}
	return false
}

// byName orders objects by their namespaces and names.
func byName(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) }

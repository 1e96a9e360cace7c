package controllers

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

const (
	// zoneNameIndex finds DNSZones by the zone that they are for.
	zoneNameIndex = "spec.zone"
	// zoneObjectIndex finds a DNSZone by its own NAMESPACE/NAME.
	zoneObjectIndex = "metadata.namespace/name"
)

// zoneSource finds DNSZones. What it returns is shared and must not be changed.
type zoneSource interface {
	// covering are the DNSZones of the zones that could hold a name: its own, and those above it.
	covering(name string) []*v1alpha1.DNSZone
	// named is the DNSZone of that name; nil when there is none.
	named(name types.NamespacedName) *v1alpha1.DNSZone
	// failure is the error by which something was not found, if there was one: nothing is concluded then.
	failure() error
}

// cachedZones finds DNSZones in the cache, by its indexes: to go through all of them for each MailDomain would
// cost the product of both. What was found once stays the same for as long as the source is used. It is safe
// for use by many goroutines, since a sweep asks it where the aliases that it meets lead to.
type cachedZones struct {
	list func(field, key string) ([]v1alpha1.DNSZone, error)

	mu    sync.Mutex
	known map[string][]*v1alpha1.DNSZone
	err   error
}

func newCachedZones(ctx context.Context, reader client.Reader) *cachedZones {
	// The source outlives the reconcile that made it.
	ctx = context.WithoutCancel(ctx)
	return &cachedZones{known: map[string][]*v1alpha1.DNSZone{}, list: func(field, key string) ([]v1alpha1.DNSZone, error) {
		var found v1alpha1.DNSZoneList
		if err := reader.List(ctx, &found, client.MatchingFields{field: key}, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("list DNSZones with %s %s: %w", field, key, err)
		}
		return found.Items, nil
	}}
}

func (c *cachedZones) covering(name string) []*v1alpha1.DNSZone {
	out := c.find(zoneNameIndex, name)
	for _, above := range ancestors(name) {
		out = append(out, c.find(zoneNameIndex, above)...)
	}
	return out
}

func (c *cachedZones) named(name types.NamespacedName) *v1alpha1.DNSZone {
	if found := c.find(zoneObjectIndex, name.String()); len(found) > 0 {
		return found[0]
	}
	return nil
}

// find returns a slice of its own.
func (c *cachedZones) find(field, key string) []*v1alpha1.DNSZone {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := field + "\x00" + key
	if found, ok := c.known[at]; ok {
		return append([]*v1alpha1.DNSZone(nil), found...)
	}
	list, err := c.list(field, key)
	if err != nil {
		c.err = err
		return nil
	}
	var found []*v1alpha1.DNSZone
	for i := range list {
		found = append(found, &list[i])
	}
	c.known[at] = found
	return append([]*v1alpha1.DNSZone(nil), found...)
}

func (c *cachedZones) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func zoneNames(o client.Object) []string { return []string{o.(*v1alpha1.DNSZone).Spec.Zone} }

func zoneObjects(o client.Object) []string { return []string{client.ObjectKeyFromObject(o).String()} }

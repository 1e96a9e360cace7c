package history

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/controllers"
)

// view is the cache of one operator process: for each kind, what the API server held at some instant that
// only moves forward.
type view struct {
	store   *store
	cursor  [kinds]int
	objects [kinds]map[types.NamespacedName]client.Object
	// sorted are the names of the objects of a kind, in order; nil when that has changed.
	sorted [kinds][]types.NamespacedName
	// found are the objects of a kind by an index and a value of it, in order; nil when some object has changed.
	found [kinds]map[indexed][]client.Object
	// stalled is until when the watch of a kind shows nothing.
	stalled [kinds]time.Time
	indexes map[string]client.IndexerFunc
}

// indexed is a value of an index, named as the view names it.
type indexed struct{ index, value string }

// newView is a cache that was filled by an API server that was behind.
func newView(s *store, behind time.Duration) *view {
	v := &view{store: s, indexes: map[string]client.IndexerFunc{}}
	if err := controllers.AddIndexes(context.Background(), v); err != nil {
		panic(err)
	}
	for k := range kinds {
		v.objects[k] = map[types.NamespacedName]client.Object{}
		old := slices.IndexFunc(s.history[k], func(c *change) bool { return c.at.After(s.time.now.Add(-behind)) })
		if old < 0 {
			old = len(s.history[k])
		}
		v.advance(k, old)
	}
	return v
}

// IndexField implements client.FieldIndexer. There are no Services here.
func (v *view) IndexField(_ context.Context, o client.Object, field string, of client.IndexerFunc) error {
	if _, endpoints := o.(*discoveryv1.EndpointSlice); endpoints {
		return nil
	}
	v.indexes[kindOf(o).String()+"/"+field] = of
	return nil
}

// shift is how an object was and is, as the cache shows it; nil for none.
type shift struct{ old, now client.Object }

// advance shows what happened until an entry of the kind's history. What changed several times in between
// is told of once.
func (v *view) advance(k kind, to int) []shift {
	var order []types.NamespacedName
	before := map[types.NamespacedName]client.Object{}
	for ; v.cursor[k] < to; v.cursor[k]++ {
		v.found[k] = nil
		c := v.store.history[k][v.cursor[k]]
		name := c.of.name
		if _, seen := before[name]; !seen {
			order = append(order, name)
			before[name] = v.objects[k][name]
		}
		if _, have := v.objects[k][name]; have != (c.object != nil) {
			v.sorted[k] = nil
		}
		if c.object == nil {
			delete(v.objects[k], name)
		} else {
			v.objects[k][name] = c.kept()
		}
	}
	out := make([]shift, 0, len(order))
	for _, name := range order {
		out = append(out, shift{before[name], v.objects[k][name]})
	}
	return out
}

// kept is the object as the operator's caches keep it.
func (c *change) kept() client.Object {
	if c.slim != nil {
		return c.slim
	}
	var full any
	switch o := c.object.(type) {
	case *corev1.Secret:
		full = &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: *o.ObjectMeta.DeepCopy()}
	case *corev1.Namespace:
		full = &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: *o.ObjectMeta.DeepCopy()}
	default:
		full = o.DeepCopyObject()
	}
	c.slim = must(controllers.Slim(full)).(client.Object)
	return c.slim
}

// names are all objects of a kind, sorted. They are not to be changed.
func (v *view) names(k kind) []types.NamespacedName {
	if v.sorted[k] == nil {
		out := make([]types.NamespacedName, 0, len(v.objects[k]))
		for name := range v.objects[k] {
			out = append(out, name)
		}
		slices.SortFunc(out, func(a, b types.NamespacedName) int {
			return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
		})
		v.sorted[k] = out
	}
	return v.sorted[k]
}

// matching are the objects of a kind that list options ask for, in a slice of the caller's own.
func (v *view) matching(k kind, o client.ListOptions) []client.Object {
	var out []client.Object
	for _, object := range v.selected(k, o.FieldSelector) {
		if o.Namespace == "" || o.Namespace == object.GetNamespace() {
			out = append(out, object)
		}
	}
	return out
}

// selected are those that a field selector asks for, of one requirement or none.
func (v *view) selected(k kind, selector fields.Selector) []client.Object {
	if selector == nil {
		return v.all(k)
	}
	requirements := selector.Requirements()
	if len(requirements) != 1 {
		panic("the simulator's cache looks for one field at a time")
	}
	index := k.String() + "/" + requirements[0].Field
	of := v.indexes[index]
	if of == nil {
		return nil
	}
	if v.found[k] == nil {
		v.found[k] = map[indexed][]client.Object{}
	}
	at := indexed{index, requirements[0].Value}
	out, known := v.found[k][at]
	if !known {
		for _, object := range v.all(k) {
			if slices.Contains(of(object), at.value) {
				out = append(out, object)
			}
		}
		v.found[k][at] = out
	}
	return out
}

// all are the objects of a kind.
func (v *view) all(k kind) []client.Object {
	names := v.names(k)
	out := make([]client.Object, 0, len(names))
	for _, name := range names {
		out = append(out, v.objects[k][name])
	}
	return out
}

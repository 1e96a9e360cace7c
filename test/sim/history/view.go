package history

import (
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	// stalled is until when the watch of a kind shows nothing.
	stalled [kinds]time.Time
	indexes map[string]client.IndexerFunc
}

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
		c := v.store.history[k][v.cursor[k]]
		name := c.of.name
		if _, seen := before[name]; !seen {
			order = append(order, name)
			before[name] = v.objects[k][name]
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

// names are all objects of a kind, sorted.
func (v *view) names(k kind) []types.NamespacedName {
	out := make([]types.NamespacedName, 0, len(v.objects[k]))
	for name := range v.objects[k] {
		out = append(out, name)
	}
	slices.SortFunc(out, func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// matching are the objects of a kind that list options ask for.
func (v *view) matching(k kind, o client.ListOptions) []client.Object {
	var out []client.Object
	for _, name := range v.names(k) {
		object := v.objects[k][name]
		if o.Namespace != "" && o.Namespace != name.Namespace || !v.selects(k, o, object) {
			continue
		}
		out = append(out, object)
	}
	return out
}

func (v *view) selects(k kind, o client.ListOptions, object client.Object) bool {
	if o.FieldSelector == nil {
		return true
	}
	for _, r := range o.FieldSelector.Requirements() {
		of := v.indexes[k.String()+"/"+r.Field]
		if of == nil || !slices.Contains(of(object), r.Value) {
			return false
		}
	}
	return true
}

package dashboard

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// Informers are those of a cache.
type Informers interface {
	GetInformer(ctx context.Context, of client.Object, o ...cache.InformerGetOption) (cache.Informer, error)
}

// WatchCache watches by the informers of a cache, which the operator has anyway: the API server notices nothing of it.
func WatchCache(ctx context.Context, informers Informers) Watch {
	return func(changed func(string)) (func(), error) {
		var stops []func()
		stop := func() {
			for _, s := range stops {
				s()
			}
		}
		for _, of := range []client.Object{&v1alpha1.MailDomain{}, &v1alpha1.DNSZone{}} {
			informer, err := informers.GetInformer(ctx, of)
			if err != nil {
				stop()
				return nil, fmt.Errorf("get the informer of %T: %w", of, err)
			}
			handle, err := informer.AddEventHandler(handlerOf(changed))
			if err != nil {
				stop()
				return nil, fmt.Errorf("watch %T: %w", of, err)
			}
			// It fails for a handler of another informer alone.
			stops = append(stops, func() { _ = informer.RemoveEventHandler(handle) })
		}
		return stop, nil
	}
}

// handlerOf tells of changes. What is there at the beginning is none, nor is an object that comes again as it was.
func handlerOf(changed func(string)) toolscache.ResourceEventHandler {
	tell := func(object any) {
		if last, gone := object.(toolscache.DeletedFinalStateUnknown); gone {
			object = last.Obj
		}
		if o, err := meta.Accessor(object); err == nil {
			changed(o.GetNamespace())
		}
	}
	return toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(object any, initial bool) {
			if !initial {
				tell(object)
			}
		},
		UpdateFunc: func(before, after any) {
			was, err := meta.Accessor(before)
			is, err2 := meta.Accessor(after)
			if err == nil && err2 == nil && was.GetResourceVersion() == is.GetResourceVersion() {
				return
			}
			tell(after)
		},
		DeleteFunc: tell,
	}
}

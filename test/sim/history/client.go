package history

import (
	"context"
	"encoding/json"
	"fmt"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// apiClient is the client of one operator process: it reads from its cache and writes to the API server.
// What no reconciler uses is not implemented, and ends the history with a panic.
type apiClient struct {
	client.Client
	op *operator
}

// Get implements client.Reader from the cache.
func (c *apiClient) Get(_ context.Context, name types.NamespacedName, into client.Object, _ ...client.GetOption) error {
	k := kindOf(into)
	have := c.op.view.objects[k][name]
	if have == nil {
		return apierrors.NewNotFound(k.resource(), name.Name)
	}
	copyObject(have, into)
	c.op.seeAsOld(into)
	return nil
}

// List implements client.Reader from the cache.
func (c *apiClient) List(_ context.Context, into client.ObjectList, options ...client.ListOption) error {
	o := client.ListOptions{}
	o.ApplyOptions(options)
	shared := o.UnsafeDisableDeepCopy != nil && *o.UnsafeDisableDeepCopy && !c.op.old
	fill(into, c.op.view.matching(kindOf(into), o), shared)
	if list, ok := into.(*v1alpha1.MailDomainList); ok {
		for i := range list.Items {
			c.op.seeAsOld(&list.Items[i])
		}
	}
	return nil
}

// Create implements client.Writer.
func (c *apiClient) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	c.op.useKnownKey(o)
	return c.op.write("create "+referenceTo(o).String(), func() error { return c.op.store.create(o) })
}

// Update implements client.Writer.
func (c *apiClient) Update(_ context.Context, o client.Object, _ ...client.UpdateOption) error {
	c.op.useKnownKey(o)
	return c.op.write("update "+referenceTo(o).String(), func() error { return c.op.store.update(o, false) })
}

// Patch implements client.Writer for the patches that the operator makes: of metadata, with the
// resourceVersion that they began with.
func (c *apiClient) Patch(_ context.Context, o client.Object, _ client.Patch, _ ...client.PatchOption) error {
	return c.op.write("patch "+referenceTo(o).String(), func() error { return c.op.store.update(o, false) })
}

// Apply implements client.Writer for the annotations of a Certificate.
func (c *apiClient) Apply(_ context.Context, a runtime.ApplyConfiguration, _ ...client.ApplyOption) error {
	var wanted metav1.PartialObjectMetadata
	if err := json.Unmarshal(must(json.Marshal(a)), &wanted); err != nil {
		return err
	}
	name := client.ObjectKeyFromObject(&wanted)
	return c.op.write("apply Certificate "+name.Name, func() error {
		found := edit(c.op.store, certificates, name, func(crt *cmapi.Certificate) {
			delete(crt.Annotations, v1alpha1.GateAnnotation)
			for key, value := range wanted.Annotations {
				metav1.SetMetaDataAnnotation(&crt.ObjectMeta, key, value)
			}
		})
		if !found {
			return apierrors.NewNotFound(certificates.resource(), name.Name)
		}
		return nil
	})
}

// Status implements client.StatusClient.
func (c *apiClient) Status() client.SubResourceWriter { return &statusWriter{op: c.op} }

type statusWriter struct {
	client.SubResourceWriter
	op *operator
}

// Update implements client.SubResourceWriter.
func (w *statusWriter) Update(_ context.Context, o client.Object, _ ...client.SubResourceUpdateOption) error {
	w.op.seeAsOld(o)
	return w.op.write("status of "+referenceTo(o).String(), func() error { return w.op.store.update(o, true) })
}

// liveReader reads what stands now.
type liveReader struct {
	client.Reader
	op *operator
}

// Get implements client.Reader past the cache.
func (r *liveReader) Get(_ context.Context, name types.NamespacedName, into client.Object, _ ...client.GetOption) error {
	if err := r.op.read(); err != nil {
		return err
	}
	k := kindOf(into)
	have := r.op.store.get(k, name)
	if have == nil {
		return apierrors.NewNotFound(k.resource(), name.Name)
	}
	copyObject(have, into)
	r.op.seeAsOld(into)
	return nil
}

// List implements client.Reader past the cache, by namespace alone.
func (r *liveReader) List(_ context.Context, into client.ObjectList, options ...client.ListOption) error {
	if err := r.op.read(); err != nil {
		return err
	}
	o := client.ListOptions{}
	o.ApplyOptions(options)
	now := newView(r.op.store, 0)
	full := now.matching(kindOf(into), client.ListOptions{Namespace: o.Namespace})
	for i := range full {
		full[i] = r.op.store.objects[reference{kindOf(into), client.ObjectKeyFromObject(full[i])}]
	}
	fill(into, full, false)
	return nil
}

// seeAsOld takes out of an object what a process of the older version does not know.
func (op *operator) seeAsOld(o client.Object) {
	if md, ok := o.(*v1alpha1.MailDomain); ok && op.old {
		withoutNewFields(&md.Status)
	}
}

func copyObject(from, into client.Object) {
	switch to := into.(type) {
	case *v1alpha1.MailDomain:
		from.(*v1alpha1.MailDomain).DeepCopyInto(to)
	case *v1alpha1.DNSZone:
		from.(*v1alpha1.DNSZone).DeepCopyInto(to)
	case *cmapi.Certificate:
		from.(*cmapi.Certificate).DeepCopyInto(to)
	case *cmapi.CertificateRequest:
		from.(*cmapi.CertificateRequest).DeepCopyInto(to)
	case *corev1.Secret:
		from.(*corev1.Secret).DeepCopyInto(to)
	case *metav1.PartialObjectMetadata:
		from.(*metav1.PartialObjectMetadata).DeepCopyInto(to)
	default:
		panic(fmt.Sprintf("the simulator cannot copy a %T", into))
	}
}

func fill(into client.ObjectList, found []client.Object, shared bool) {
	if !shared {
		for i := range found {
			found[i] = found[i].DeepCopyObject().(client.Object)
		}
	}
	switch list := into.(type) {
	case *v1alpha1.MailDomainList:
		for _, o := range found {
			list.Items = append(list.Items, *o.(*v1alpha1.MailDomain))
		}
	case *v1alpha1.DNSZoneList:
		for _, o := range found {
			list.Items = append(list.Items, *o.(*v1alpha1.DNSZone))
		}
	case *cmapi.CertificateRequestList:
		for _, o := range found {
			list.Items = append(list.Items, *o.(*cmapi.CertificateRequest))
		}
	case *cmapi.CertificateList:
		for _, o := range found {
			list.Items = append(list.Items, *o.(*cmapi.Certificate))
		}
	default:
		panic(fmt.Sprintf("the simulator cannot list a %T", into))
	}
}

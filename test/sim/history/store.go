package history

import (
	"fmt"
	"reflect"
	"strconv"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// kind of object that the API server holds.
type kind int

const (
	domains kind = iota
	zones
	certificates
	requests
	secrets
	namespaces
	kinds
)

var kindNames = [kinds]string{"MailDomain", "DNSZone", "Certificate", "CertificateRequest", "Secret", "Namespace"}

func (k kind) String() string { return kindNames[k] }

func (k kind) resource() schema.GroupResource { return schema.GroupResource{Resource: k.String()} }

// kindOf says what kind an object is, whole or its metadata alone.
func kindOf(o any) kind {
	switch o := o.(type) {
	case *v1alpha1.MailDomain, *v1alpha1.MailDomainList:
		return domains
	case *v1alpha1.DNSZone, *v1alpha1.DNSZoneList:
		return zones
	case *cmapi.Certificate, *cmapi.CertificateList:
		return certificates
	case *cmapi.CertificateRequest, *cmapi.CertificateRequestList:
		return requests
	case *corev1.Secret:
		return secrets
	case *corev1.Namespace:
		return namespaces
	case *metav1.PartialObjectMetadata:
		if o.Kind == "Secret" {
			return secrets
		}
		return namespaces
	}
	panic(fmt.Sprintf("the simulator's API server has no kind for %T", o))
}

// reference names an object.
type reference struct {
	kind kind
	name types.NamespacedName
}

func (r reference) String() string { return r.kind.String() + " " + r.name.Name }

func referenceTo(o client.Object) reference {
	return reference{kindOf(o), client.ObjectKeyFromObject(o)}
}

// change is one entry of a kind's history; object is nil when it was deleted. Objects are never changed.
type change struct {
	at     time.Time
	of     reference
	object client.Object
	// slim is the object as caches keep it; made when the first one wants it.
	slim client.Object
}

// store is the API server: what stands now, and all that stood.
type store struct {
	time    *timeline
	objects map[reference]client.Object
	history [kinds][]*change
	version int
	uids    int
	// watchers are told of every change, at once.
	watchers []func(*change)
}

func newStore(t *timeline) *store {
	return &store{time: t, objects: map[reference]client.Object{}}
}

func (s *store) note(of reference, o client.Object) {
	if o == nil {
		delete(s.objects, of)
	} else {
		s.version++
		o.SetResourceVersion(strconv.Itoa(s.version))
		s.objects[of] = o
	}
	c := &change{at: s.time.now, of: of, object: o}
	s.history[of.kind] = append(s.history[of.kind], c)
	for _, tell := range s.watchers {
		tell(c)
	}
}

// get returns an object, not to be changed; nil when there is none.
func (s *store) get(k kind, name types.NamespacedName) client.Object {
	return s.objects[reference{k, name}]
}

func (s *store) create(o client.Object) error {
	of := referenceTo(o)
	if s.objects[of] != nil {
		return apierrors.NewAlreadyExists(of.kind.resource(), of.name.Name)
	}
	s.uids++
	made := o.DeepCopyObject().(client.Object)
	made.SetUID(types.UID("uid-" + strconv.Itoa(s.uids)))
	made.SetGeneration(1)
	made.SetCreationTimestamp(metav1.NewTime(s.time.now))
	s.note(of, made)
	o.SetUID(made.GetUID())
	o.SetResourceVersion(made.GetResourceVersion())
	return nil
}

// update replaces an object but its status, or its status alone, if the version is the newest.
func (s *store) update(o client.Object, status bool) error {
	of := referenceTo(o)
	have := s.objects[of]
	if have == nil {
		return apierrors.NewNotFound(of.kind.resource(), of.name.Name)
	}
	if v := o.GetResourceVersion(); v != "" && v != have.GetResourceVersion() {
		return apierrors.NewConflict(of.kind.resource(), of.name.Name, fmt.Errorf("the object has been modified"))
	}
	made := o.DeepCopyObject().(client.Object)
	if status {
		made = withStatus(have.DeepCopyObject().(client.Object), made)
	} else {
		made = withStatus(made, have.DeepCopyObject().(client.Object))
		made.SetUID(have.GetUID())
	}
	made.SetResourceVersion(have.GetResourceVersion())
	if reflect.DeepEqual(have, made) {
		return nil // nothing is new, and nobody is told of it
	}
	if made.GetDeletionTimestamp() != nil && len(made.GetFinalizers()) == 0 {
		s.note(of, nil)
		return nil
	}
	s.note(of, made)
	if s.time.record {
		s.time.say(of.String(), "%s", difference(have, made))
	}
	o.SetResourceVersion(made.GetResourceVersion())
	return nil
}

// withStatus puts the status of one object into another.
func withStatus(into, from client.Object) client.Object {
	switch to := into.(type) {
	case *v1alpha1.MailDomain:
		to.Status = from.(*v1alpha1.MailDomain).Status
	case *v1alpha1.DNSZone:
		to.Status = from.(*v1alpha1.DNSZone).Status
	case *cmapi.Certificate:
		to.Status = from.(*cmapi.Certificate).Status
	case *cmapi.CertificateRequest:
		to.Status = from.(*cmapi.CertificateRequest).Status
	}
	return into
}

func (s *store) remove(k kind, name types.NamespacedName) {
	if s.objects[reference{k, name}] != nil {
		s.note(reference{k, name}, nil)
	}
}

// delete is what people do: an object with a finalizer stays until that is gone.
func (s *store) delete(k kind, name types.NamespacedName) {
	have := s.get(k, name)
	if have == nil || have.GetDeletionTimestamp() != nil {
		return
	}
	if len(have.GetFinalizers()) == 0 {
		s.remove(k, name)
		return
	}
	made := have.DeepCopyObject().(client.Object)
	now := metav1.NewTime(s.time.now)
	made.SetDeletionTimestamp(&now)
	made.SetGeneration(made.GetGeneration() + 1)
	s.note(reference{k, name}, made)
}

// edit changes an object as somebody does who always reads the newest first. It reports whether it exists.
func edit[T client.Object](s *store, k kind, name types.NamespacedName, how func(T)) bool {
	have := s.get(k, name)
	if have == nil {
		return false
	}
	made := have.DeepCopyObject().(T)
	how(made)
	if reflect.DeepEqual(have, made) {
		return true
	}
	if k == domains || k == zones {
		made.SetGeneration(made.GetGeneration() + 1)
	}
	s.note(reference{k, name}, made)
	return true
}

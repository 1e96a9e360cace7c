package controllers

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/clockwatch"
)

// zoneList is all DNSZones there are.
type zoneList []v1alpha1.DNSZone

func (l zoneList) covering(name string) []*v1alpha1.DNSZone {
	var out []*v1alpha1.DNSZone
	for i := range l {
		if inZone(name, l[i].Spec.Zone) {
			out = append(out, &l[i])
		}
	}
	return out
}

func (l zoneList) named(name types.NamespacedName) *v1alpha1.DNSZone {
	for i := range l {
		if client.ObjectKeyFromObject(&l[i]) == name {
			return &l[i]
		}
	}
	return nil
}

func (l zoneList) failure() error { return nil }

// TestCachedZones: the indexes find what a look at every DNSZone would find.
func TestCachedZones(t *testing.T) {
	all := zoneList{
		dnsZone("a", "com", "com"), dnsZone("a", "example", "example.com"), dnsZone("b", "example", "example.com"),
		dnsZone("a", "mx", "mx.example.com"), dnsZone("a", "like", "ample.com"), dnsZone("a", "sibling", "mx2.example.com"),
	}
	builder := fake.NewClientBuilder().WithScheme(testScheme(t)).
		WithIndex(&v1alpha1.DNSZone{}, zoneNameIndex, zoneNames).WithIndex(&v1alpha1.DNSZone{}, zoneObjectIndex, zoneObjects)
	for i := range all {
		builder = builder.WithObjects(&all[i])
	}
	zones := newCachedZones(t.Context(), builder.Build())
	keys := func(found []*v1alpha1.DNSZone) []string {
		var out []string
		for _, z := range found {
			out = append(out, client.ObjectKeyFromObject(z).String())
		}
		slices.Sort(out)
		return out
	}
	for _, name := range []string{"mx.example.com", "mx1.example.com", "example.com", "com", "example.org", "_25._tcp.mx.example.com"} {
		for range 2 { // the second time from memory
			if got, want := keys(zones.covering(name)), keys(all.covering(name)); !slices.Equal(got, want) {
				t.Errorf("%s is covered by %v, want %v", name, got, want)
			}
		}
	}
	for _, name := range []types.NamespacedName{{Namespace: "b", Name: "example"}, {Namespace: "b", Name: "com"}} {
		got, want := zones.named(name), all.named(name)
		if (got == nil) != (want == nil) || got != nil && got.Spec.Zone != want.Spec.Zone {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if err := zones.failure(); err != nil {
		t.Error(err)
	}
}

// TestZonesThatCannotBeRead: nothing is concluded from a cache that cannot be read, and it is asked again.
func TestZonesThatCannotBeRead(t *testing.T) {
	broken := errors.New("broken")
	answers := []error{broken, nil}
	zones := &cachedZones{known: map[string][]*v1alpha1.DNSZone{}, list: func(string, string) ([]v1alpha1.DNSZone, error) {
		err := answers[0]
		answers = answers[1:]
		if err != nil {
			return nil, err
		}
		return []v1alpha1.DNSZone{dnsZone("a", "example", "example.com")}, nil
	}}
	name := types.NamespacedName{Namespace: "a", Name: "example"}
	if z := zones.named(name); z != nil || !errors.Is(zones.failure(), broken) {
		t.Errorf("found %v, and the failure is %v", z, zones.failure())
	}
	if z := zones.named(name); z == nil {
		t.Error("it was not asked again")
	}
	mine := mailDomain("mail", "mine", time.Minute, host("mx1.example.com", 25, "crt"))
	mine.Spec.TLSA.Parameters = []v1alpha1.TLSAParameters{"3 1 1"}
	api := fake.NewClientBuilder().WithScheme(testScheme(t)).WithObjects(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "mail"}}).
		WithIndex(&v1alpha1.MailDomain{}, hostIndex, func(o client.Object) []string { return hostnames(o.(*v1alpha1.MailDomain)) }).
		WithIndex(&v1alpha1.MailDomain{}, endIndex, aliasEnds).
		WithIndex(&cmapi.CertificateRequest{}, requestIndex, byAnnotation(requestNameAnnotation)).
		Build() // none for DNSZones: the fake refuses to list them so
	r := &MailDomainReconciler{
		Client: api, Clock: clock.RealClock{}, machine: &machineClock{watch: clockwatch.New(clock.RealClock{}, nil)}, keys: keyReader{cached: api, live: api}, zones: newZoneRegistry(),
		observer: newObserver(func(types.NamespacedName) {}),
	}
	if run, err := r.gather(t.Context(), &mine); err == nil || !strings.Contains(err.Error(), "list DNSZones") {
		t.Errorf("gathered %+v: %v", run, err)
	}
}

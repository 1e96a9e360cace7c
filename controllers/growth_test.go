package controllers

import (
	"context"
	"fmt"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/mailplan"
)

// others are n other MailDomains of the namespace, each with a host and a Certificate below the same zone.
func others(n int) []client.Object {
	var out []client.Object
	for i := range n {
		name := fmt.Sprintf("neighbour%d", i)
		md := mailDomain("mail", name, time.Minute, host(name+".example.com", 25))
		md.UID, md.Generation, md.Spec.Domain = types.UID(name), 1, "of-"+name+".example.com"
		crt := cmapi.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: name, Annotations: map[string]string{v1alpha1.GateAnnotation: name}}}
		out = append(out, &md, &crt)
	}
	return out
}

// work is what one MailDomain costs beside n others, from its creation to rest and through a change of its spec: objects that
// were read or listed, reconciles that looked, changes of other objects' queues, sweeps and updates.
type work struct{ read, woken, sweeps, writes int }

// costs does the work beside n others.
func costs(t *testing.T, n int) work {
	b := newRecordBed(t, published, others(n)...)
	var out work
	counted := interceptor.NewClient(b.api.(client.WithWatch), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			out.read++
			return c.Get(ctx, key, o, options...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			err := c.List(ctx, list, options...)
			out.read += 1 + meta.LenList(list)
			return err
		},
	})
	b.api = counted
	b.restart()
	b.r.observer = newObserver(func(types.NamespacedName) { out.woken++ })
	b.settle()
	b.edit(func(md *v1alpha1.MailDomain) {
		md.Spec.TLSReporting.RUA = []v1alpha1.TLSReportURI{"mailto:other@example.com"}
	})
	b.step(2 * time.Hour)
	b.shows(mailplan.TLSRPT, `"v=TLSRPTv1; rua=mailto:other@example.com;"`)
	out.sweeps, out.writes = b.zone.sweeps, b.zone.writes
	return out
}

// TestWorkDoesNotGrow: what a MailDomain costs is the same beside two others of its namespace and zone and beside eighty. If each
// cost grew with their number, all of them together would cost its square.
func TestWorkDoesNotGrow(t *testing.T) {
	few, many := costs(t, 2), costs(t, 80)
	if few != many {
		t.Errorf("beside 2 others the work is %+v, beside 80 %+v", few, many)
	}
	if few.read == 0 || few.sweeps == 0 || few.writes == 0 {
		t.Errorf("the work is not counted: %+v", few)
	}
}

package lab

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// abandonTimeout is for a machine that does much else.
const abandonTimeout = time.Minute

// AbandonAfter clears a namespace when the test ends, and logs what its objects say if it has failed. Call it after the servers of the test were
// started, so that it comes before they are stopped. A test does not fail by it.
func (l *Lab) AbandonAfter(t testing.TB, namespace string) {
	t.Helper()
	t.Cleanup(func() {
		// The test's own context has ended by now.
		ctx, cancel := context.WithTimeout(context.Background(), abandonTimeout)
		defer cancel()
		if t.Failed() {
			l.tell(ctx, t, namespace)
		}
		if err := l.abandon(ctx, namespace); err != nil {
			t.Logf("namespace %s is not cleared: %v", namespace, err)
		}
	})
}

// abandon lets the MailDomains of a namespace go without their records, and deletes its DNSZones and
// Certificates. An operator that many tests share would look for ever after the servers of those that
// have ended.
func (l *Lab) abandon(ctx context.Context, namespace string) error {
	var domains v1alpha1.MailDomainList
	if err := l.Client.List(ctx, &domains, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("list MailDomains: %w", err)
	}
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"true"}}}`, v1alpha1.AbandonAnnotation))
	var errs []error
	for i := range domains.Items {
		md := &domains.Items[i]
		errs = append(errs,
			client.IgnoreNotFound(l.Client.Patch(ctx, md, patch)),
			client.IgnoreNotFound(l.Client.Delete(ctx, md)))
	}
	return errors.Join(append(errs,
		l.Client.DeleteAllOf(ctx, &v1alpha1.DNSZone{}, client.InNamespace(namespace)),
		l.Client.DeleteAllOf(ctx, &cmapi.Certificate{}, client.InNamespace(namespace)))...)
}

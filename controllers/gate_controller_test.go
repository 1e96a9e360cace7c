package controllers

import (
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	testclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// TestGateAsksOnce: a request without a fresh decision asks its MailDomain for one, and waits to be woken by it: with
// thousands of renewals at once, requests that look again and again would hold up the decisions that they wait for.
func TestGateAsksOnce(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "example"}}
	md.Spec.Rollover.Strategy = v1alpha1.StrategyGate
	md.Spec.MailServers = []v1alpha1.MailServer{{Hostname: "mx1.example.com", Certificates: []v1alpha1.CertificateReference{{Name: "mx1"}}}}
	cr := &cmapi.CertificateRequest{ObjectMeta: metav1.ObjectMeta{
		Namespace: "mail", Name: "mx1-2",
		Annotations: map[string]string{requestNameAnnotation: "mx1", v1alpha1.GateAnnotation: "example"},
	}}
	for _, c := range []struct {
		reason string
		age    time.Duration // of the decision; negative for none
		asked  int
		again  time.Duration
	}{
		{"nothing has been decided", -1, 1, gateRetry},
		{"what was decided is old", 6 * time.Second, 1, gateRetry},
		// The request cannot be read, which cert-manager tells: that it was looked at shows that the gate went on.
		{"the decision is fresh", 5 * time.Second, 0, 0},
	} {
		asked := 0
		board := newDecisionBoard()
		if c.age >= 0 {
			board.decisions[types.NamespacedName{Namespace: "mail", Name: "example"}] = gateDecision{at: now.Add(-c.age)}
		}
		api := fake.NewClientBuilder().WithScheme(testScheme(t)).WithIndex(&v1alpha1.MailDomain{}, certificateIndex, namedCertificates).WithObjects(md, cr).Build()
		clock := testclock.NewFakePassiveClock(now)
		r := &GateReconciler{Client: api, Clock: clock, keeper: gatekeeper{live: api, clock: clock, decisions: board, wake: func(types.NamespacedName) { asked++ }}}
		result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: "mail", Name: "mx1-2"}})
		if err != nil || asked != c.asked || result.RequeueAfter != c.again {
			t.Errorf("%s: asked %d times, looks again after %s, %v", c.reason, asked, result.RequeueAfter, err)
		}
	}
}

package controllers

import (
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
)

// TestHeldElsewhere: a key that this MailDomain lets go, and another one of its Certificate does not, is said to wait for that one.
func TestHeldElsewhere(t *testing.T) {
	waiting, key := request(t)
	crt := &cmapi.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "mx"}}
	gates := func(waits ...rollover.Wait) *gateDecision {
		return &gateDecision{hosts: []hostGate{{host: "mx1.example.net", certificates: []string{"mx"}, deploy: []string{key}[len(waits):], waits: waits}}}
	}
	const handed = "the new key is handed to the servers"
	for _, row := range []struct {
		reason   string
		strategy v1alpha1.Strategy
		decision *gateDecision
		want     string
	}{
		{"the other one waits for its name servers", v1alpha1.StrategyGate, gates(rollover.Wait{Message: "ns2 does not answer"}),
			"request mx-1 waits for MailDomain mail/other, which names Certificate mx, too: mx1.example.net: ns2 does not answer"},
		{"it lets the key go, too", v1alpha1.StrategyGate, gates(), handed},
		{"it has decided nothing yet", v1alpha1.StrategyGate, nil, handed},
		{"it holds nothing back", v1alpha1.StrategyFollow, gates(rollover.Wait{Message: "ns2 does not answer"}), handed},
	} {
		md, other := mailDomain("mail", "one", 0, host("mx1.example.com", 25)), mailDomain("mail", "other", 0, host("mx1.example.net", 25))
		md.UID, other.UID = "one", "other"
		md.Spec.Rollover.Strategy, other.Spec.Rollover.Strategy = v1alpha1.StrategyGate, row.strategy
		api := fake.NewClientBuilder().WithScheme(testScheme(t)).WithObjects(&md, &other).
			WithIndex(&v1alpha1.MailDomain{}, certificateIndex, func(client.Object) []string { return []string{"mx"} }).Build()
		r := &MailDomainReconciler{Client: api, decisions: newDecisionBoard()}
		if row.decision != nil {
			r.decisions.decisions[types.NamespacedName{Namespace: "mail", Name: "other"}] = *row.decision
		}
		h := &hostRun{decided: true, server: md.Spec.MailServers[0], certs: []*certificateFacts{{certificate: crt, pending: waiting}}}
		h.facts.Keys = []rollover.Key{{ID: key, SPKI: key, Stage: rollover.StageRequested}}
		h.decision = rollover.Decision{Published: true, Deploy: []string{key}}
		run := &domainRun{md: &md, hosts: []*hostRun{h}}
		if err := r.findHeldElsewhere(t.Context(), run, h); err != nil {
			t.Fatal(err)
		}
		if f := progressFinding(run, h); f.reason != v1alpha1.ReasonHeld || f.message != row.want {
			t.Errorf("%s: it says %s %q, want %q", row.reason, f.reason, f.message, row.want)
		}
		if next := nextTransition(run); (next != nil) != (row.want != handed) || next != nil && !strings.HasSuffix(next.Action, row.want) {
			t.Errorf("%s: the next transition is %+v", row.reason, next)
		}
	}
}

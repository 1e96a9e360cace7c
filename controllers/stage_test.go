package controllers

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
)

// stageHost is a host whose server mounts the Secret live, and the keys that it may serve.
func stageHost(name, secret string, deploy ...string) *hostRun {
	h := gateHostRun(name, []string{"mx"}, deploy...)
	h.server.Certificates[0].ServingSecretName = secret
	h.facts.Policy.Strategy = rollover.Stage
	return h
}

// TestSharedServingSecret: what is copied is served by every host that mounts the Secret, so that each of
// them has to allow it.
func TestSharedServingSecret(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	elsewhere := stageHost("mx2", "live")
	elsewhere.refused = &refusal{v1alpha1.ReasonHostOwnedElsewhere, "another's"}
	unready := stageHost("mx2", "live", keyB)
	unready.decided = false
	neighbour := func(deploy ...string) *domainRun {
		return &domainRun{now: now, md: stageDomain("neighbour", "live"), hosts: []*hostRun{stageHost("mx3", "live", deploy...)}}
	}
	rows := []struct {
		reason    string
		other     *hostRun
		neighbour *domainRun
		allowed   bool
	}{
		{"nobody else mounts it", stageHost("mx2", "other"), nil, true},
		{"the other host may serve it too", stageHost("mx2", "live", keyB), nil, true},
		{"the other host may not", stageHost("mx2", "live"), nil, false},
		{"the other host's zone is not ready", unready, nil, false},
		{"the other host is another MailDomain's", elsewhere, nil, true},
		{"a host of another MailDomain may serve it too", stageHost("mx2", "live", keyB), neighbour(keyB), true},
		{"a host of another MailDomain may not", stageHost("mx2", "live", keyB), neighbour(), false},
	}
	for _, row := range rows {
		t.Run(row.reason, func(t *testing.T) {
			board := newDecisionBoard()
			objects := fake.NewClientBuilder().WithScheme(testScheme(t)).WithIndex(&v1alpha1.MailDomain{}, certificateIndex, namedCertificates)
			mine := &domainRun{now: now, md: stageDomain("mine", "live"), hosts: []*hostRun{stageHost("mx1", "live", keyB), row.other}}
			objects.WithObjects(mine.md)
			if row.neighbour != nil {
				objects.WithObjects(row.neighbour.md)
			}
			api := objects.Build()
			if row.neighbour != nil {
				stored := &v1alpha1.MailDomain{}
				if err := api.Get(t.Context(), row.neighbour.key(), stored); err != nil {
					t.Fatal(err)
				}
				row.neighbour.md = stored
				board.put(row.neighbour)
			}
			r := &MailDomainReconciler{Client: api, keeper: gatekeeper{live: api, clock: testclock.NewFakePassiveClock(now), decisions: board, wake: func(types.NamespacedName) {}}}
			allowed, err := r.othersAllow(t.Context(), mine, mine.hosts[0], mine.hosts[0].server.Certificates[0], keyB)
			if err != nil || allowed != row.allowed {
				t.Errorf("allowed %t, %v; want %t", allowed, err, row.allowed)
			}
		})
	}
}

func stageDomain(name, secret string) *v1alpha1.MailDomain {
	md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: name}}
	md.Spec.Rollover.Strategy = v1alpha1.StrategyStage
	md.Spec.MailServers = []v1alpha1.MailServer{stageHost("mx1", secret).server}
	return md
}

package plugin

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/shard"
)

// deployed is the Deployment of an operator with flags.
func deployed(name string, args ...string) client.Object {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "ops", Name: name, Labels: map[string]string{"app.kubernetes.io/name": "dane-operator"}}}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "manager", Args: append([]string{"--leader-elect"}, args...)}}
	return d
}

// TestShards: doctor tells of what no operator acts for, and of what several do, where the Deployments say it.
func TestShards(t *testing.T) {
	inShard := func(of string) map[string]string { return map[string]string{"shard": of} }
	objects := []client.Object{
		&v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "one", Labels: inShard("a")}},
		&v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "two", Labels: inShard("b")}},
		&v1alpha1.DNSZone{ObjectMeta: metav1.ObjectMeta{Namespace: "dns", Name: "zone"}},
	}
	for _, row := range []struct {
		reason    string
		operators []client.Object
		want      []string // a state and a word each
	}{
		{"one for each", []client.Object{deployed("a", "--selector=shard=a"), deployed("b", "--selector", "shard!=a")}, []string{"ok one of 2 operators"}},
		{"nobody has the zone", []client.Object{deployed("a", "--selector=shard=a"), deployed("b", "--selector=shard=b")}, []string{"warning DNSZone dns/zone: no operator"}},
		{"both have one", []client.Object{deployed("a", "--selector=shard in (a, b)"), deployed("b", "--selector=shard!=a")}, []string{"FAILED MailDomain mail/two: several operators act for it, ops/a and ops/b"}},
		{"the namespace is not watched", []client.Object{deployed("a", "--selector=shard=a", "--namespace=dns"), deployed("b", "--selector=shard!=a", "--namespace=mail", "--namespace=dns")}, []string{"warning MailDomain mail/one: no operator"}},
		{"one for everything", []client.Object{deployed("a")}, nil},
		{"a file may have a selector", []client.Object{deployed("a", "--selector=shard=a"), deployed("b", "--config=/etc/dane/config.yaml")}, nil},
		{"one that does not start", []client.Object{deployed("a", "--selector=shard=a"), deployed("b", "--selector=(")}, nil},
		{"no Deployment", nil, nil},
	} {
		found := examineShards(t.Context(), clusterWith(t, objects, row.operators), time.Now())
		for i, want := range row.want {
			state, says, _ := strings.Cut(want, " ")
			if i >= len(found) || string(found[i].state) != state || !strings.Contains(found[i].what+": "+found[i].advice, says) {
				t.Errorf("%s: wanted %q at %d of %+v", row.reason, want, i, found)
			}
		}
		if len(found) != len(row.want) {
			t.Errorf("%s: %+v", row.reason, found)
		}
	}
}

// TestLeasesOfShards: each operator's lease is looked at, and no other lease.
func TestLeasesOfShards(t *testing.T) {
	now := time.Now()
	lease := func(name string, age time.Duration) client.Object {
		seconds, renewed := int32(15), metav1.NewMicroTime(now.Add(-age))
		return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "ops", Name: name}, Spec: coordinationv1.LeaseSpec{LeaseDurationSeconds: &seconds, RenewTime: &renewed}}
	}
	a, err := shard.Parse("shard=a")
	if err != nil {
		t.Fatal(err)
	}
	found := examineLease(t.Context(), clusterWith(t, []client.Object{
		lease((shard.Shard{}).LeaseName(), time.Second), lease(a.LeaseName(), time.Hour), lease("node-1", time.Hour),
	}), now)
	if len(found) != 2 || found[1].state != fine && found[0].state != fine {
		t.Fatalf("found %+v", found)
	}
	for _, f := range found {
		if own := strings.Contains(f.what, a.LeaseName()); own != (f.state == broken) {
			t.Errorf("%+v", f)
		}
	}
}

// TestAccountsOfOnePolicy: a policy for several operators is examined for each of them.
func TestAccountsOfOnePolicy(t *testing.T) {
	both := gateOf("a", "one:dane-operator', 'system:serviceaccount:two")
	found, err := gates(t.Context(), clusterWith(t, both))
	if err != nil || len(found) != 1 || strings.Join(found[0].accounts, " ") != "system:serviceaccount:one:dane-operator system:serviceaccount:two:dane-operator" {
		t.Errorf("found %+v, %v", found, err)
	}
}

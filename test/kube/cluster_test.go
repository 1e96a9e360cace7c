package kube

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestUsersHaveTheirOwnRights shows that RBAC decides: a new user may do nothing, and then what it
// was given.
func TestUsersHaveTheirOwnRights(t *testing.T) {
	user, err := cluster.AddUser(ServiceAccount("mail", "reader"), "system:serviceaccounts")
	if err != nil {
		t.Fatal(err)
	}
	as, err := client.New(user.Config, client.Options{Scheme: Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	list := func() error { return as.List(t.Context(), &corev1.SecretList{}) }
	if err := list(); !apierrors.IsForbidden(err) {
		t.Fatalf("a user without rights listed Secrets: %v", err)
	}
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "read-secrets"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"list"}}},
	}
	create(t, role)
	if err := cluster.GrantClusterRole(t.Context(), role.Name, user.Name); err != nil {
		t.Fatal(err)
	}
	// The API server's authorizer learns of the binding by a watch.
	err = cluster.WaitFor(t.Context(), role, issueTimeout, func() string {
		if err := list(); err != nil {
			return err.Error()
		}
		return ""
	})
	if err != nil {
		t.Error(err)
	}
}

// TestAdmissionPolicies shows that the API server runs ValidatingAdmissionPolicies, which the gate
// stands on.
func TestAdmissionPolicies(t *testing.T) {
	namespace := cluster.Namespace(t.Context(), t)
	err := cluster.Apply(t.Context(), `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-forbidden-name}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  validations: [{expression: "!object.metadata.name.startsWith('forbidden')", message: not that name}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-forbidden-name}
spec: {policyName: no-forbidden-name, validationActions: [Deny]}
`)
	if err != nil {
		t.Fatal(err)
	}
	probe := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	err = cluster.WaitFor(t.Context(), probe, issueTimeout, func() string {
		forbidden := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "forbidden-"}}
		if err := cluster.Client.Create(t.Context(), forbidden); err == nil || !strings.Contains(err.Error(), "not that name") {
			return "the policy to refuse a ConfigMap"
		}
		return ""
	})
	if err != nil {
		t.Error(err)
	}
	create(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "allowed"}})
}

// TestApplyRefusesUnknownFields: a manifest with a misspelt field fails rather than mean less.
func TestApplyRefusesUnknownFields(t *testing.T) {
	namespace := cluster.Namespace(t.Context(), t)
	err := cluster.Apply(t.Context(), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: "+namespace+"}\ndatta: {a: b}\n")
	if err == nil || !strings.Contains(err.Error(), "datta") {
		t.Errorf("want an error that names the field datta, got %v", err)
	}
}

func TestPutServiceReplacesEndpoints(t *testing.T) {
	namespace := cluster.Namespace(t.Context(), t)
	rows := []struct {
		reason    string
		endpoints []Endpoint
	}{
		{"two endpoints, one of them not ready", []Endpoint{
			{Address: netip.MustParseAddrPort("192.0.2.1:2525")},
			{Address: netip.MustParseAddrPort("192.0.2.1:2526"), NotReady: true},
		}},
		{"one of another address family takes their place", []Endpoint{{Address: netip.MustParseAddrPort("[2001:db8::1]:25")}}},
		{"none at all", nil},
	}
	for _, row := range rows {
		if err := cluster.PutService(t.Context(), namespace, "postfix", 25, row.endpoints...); err != nil {
			t.Fatalf("%s: %v", row.reason, err)
		}
		var slices discoveryv1.EndpointSliceList
		if err := cluster.Client.List(t.Context(), &slices, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		if len(slices.Items) != len(row.endpoints) {
			t.Errorf("%s: %d slices, want %d", row.reason, len(slices.Items), len(row.endpoints))
		}
		for _, slice := range slices.Items {
			requireListed(t, row.reason, slice, row.endpoints)
		}
	}
}

func requireListed(t *testing.T, reason string, slice discoveryv1.EndpointSlice, want []Endpoint) {
	t.Helper()
	address := netip.AddrPortFrom(netip.MustParseAddr(slice.Endpoints[0].Addresses[0]), uint16(*slice.Ports[0].Port))
	for _, endpoint := range want {
		if endpoint.Address == address && endpoint.NotReady != *slice.Endpoints[0].Conditions.Ready {
			return
		}
	}
	t.Errorf("%s: slice for %s (ready %t) was not asked for", reason, address, *slice.Endpoints[0].Conditions.Ready)
}

// TestStopLeavesNothing: neither a process nor a file of a cluster outlives it.
func TestStopLeavesNothing(t *testing.T) {
	c, err := Start(t.Context(), Options{WithoutCRDs: true})
	if err != nil {
		t.Fatal(err)
	}
	sleeper, err := c.StartProcess("sleeper", "sleep", []string{"600"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(c.Config.Host, "https://")
	for range 2 { // the second time is for callers that stop in more than one place
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if sleeper.Running() {
		t.Error("a child process runs on")
	}
	if connection, err := net.DialTimeout("tcp", address, time.Second); err == nil {
		_ = connection.Close()
		t.Errorf("%s answers still", address)
	}
	if _, err := os.Stat(c.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder %s is there still: %v", c.Dir, err)
	}
}

// TestWaitForSaysWhatItWaitsFor: the error of a wait that lasts too long is enough to act on.
func TestWaitForSaysWhatItWaitsFor(t *testing.T) {
	rows := []struct{ reason, name, want string }{
		{"an object that never comes", "missing", "still waiting for it to exist"},
		{"a condition that never comes", "kube-system", "still waiting for pigs to fly"},
	}
	for _, row := range rows {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: row.name}}
		// Long enough for a busy machine to read the object once.
		err := cluster.WaitFor(t.Context(), namespace, 5*time.Second, func() string { return "pigs to fly" })
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: want a time-out that says %q, got %v", row.reason, row.want, err)
		}
	}
}

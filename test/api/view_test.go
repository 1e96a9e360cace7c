package api

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// TestNames: the short names and the category that kubectl finds through discovery.
func TestNames(t *testing.T) {
	lookup, err := discovery.NewDiscoveryClientForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	served, err := lookup.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"maildomains": "md", "dnszones": "dz"}
	for _, resource := range served.APIResources {
		short, ours := want[resource.Name]
		if !ours {
			continue
		}
		delete(want, resource.Name)
		if !slices.Equal(resource.ShortNames, []string{short}) || !slices.Equal(resource.Categories, []string{"dane"}) || !resource.Namespaced {
			t.Errorf("%s: short names %v, categories %v, namespaced %t", resource.Name, resource.ShortNames, resource.Categories, resource.Namespaced)
		}
	}
	if len(want) > 0 {
		t.Errorf("not served: %v", want)
	}
}

// table is what the API server shows kubectl get: the columns, and the cells of one object.
func table(t *testing.T, resource, namespace, name string) map[string]any {
	t.Helper()
	clients, err := kubernetes.NewForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := clients.RESTClient().Get().
		AbsPath("/apis", v1alpha1.GroupVersion.String(), "namespaces", namespace, resource, name).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var shown metav1.Table
	if err := json.Unmarshal(raw, &shown); err != nil {
		t.Fatal(err)
	}
	if len(shown.Rows) != 1 {
		t.Fatalf("%d rows, want one", len(shown.Rows))
	}
	cells := map[string]any{}
	for i, column := range shown.ColumnDefinitions {
		cells[strings.Repeat("wide:", int(min(column.Priority, 1)))+column.Name] = shown.Rows[0].Cells[i]
	}
	return cells
}

// condition is one that passes the schema.
func condition(kind, status, reason string) metav1.Condition {
	return metav1.Condition{
		Type: kind, Status: metav1.ConditionStatus(status), Reason: reason, LastTransitionTime: metav1.Now(), Message: "because",
	}
}

// TestMailDomainColumns: kubectl get md answers whether it is safe, what it waits for and until when.
func TestMailDomainColumns(t *testing.T) {
	namespace := cluster.Namespace(t.Context(), t)
	md := &v1alpha1.MailDomain{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "a"},
		Spec: v1alpha1.MailDomainSpec{
			Domain:      "example.com",
			MailServers: []v1alpha1.MailServer{{Hostname: "mx1.example.com"}},
		},
	}
	if err := cluster.Client.Create(t.Context(), md); err != nil {
		t.Fatal(err)
	}
	until := metav1.NewTime(time.Date(2031, 5, 4, 3, 2, 1, 0, time.UTC))
	md.Status.Conditions = []metav1.Condition{
		condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonPropagating),
		condition(v1alpha1.ConditionRolloverSafe, "True", v1alpha1.ReasonSafe),
		condition(v1alpha1.ConditionRolloverInProgress, "True", v1alpha1.ReasonWaitingForCaches),
		condition(v1alpha1.ConditionDNSSECSecure, "Unknown", v1alpha1.ReasonIndeterminate),
	}
	md.Status.NextTransition = &v1alpha1.Transition{Time: &until, Action: "deploy the new key of mx1.example.com"}
	if err := cluster.Client.Status().Update(t.Context(), md); err != nil {
		t.Fatal(err)
	}
	cells := table(t, "maildomains", namespace, "a")
	requireCells(t, cells, map[string]any{
		"Name": "a", "Domain": "example.com", "Ready": "False", "Safe": "True",
		"Waiting For": "deploy the new key of mx1.example.com", "Until": "2031-05-04T03:02:01Z",
		"wide:Reason": v1alpha1.ReasonPropagating, "wide:Rollover": v1alpha1.ReasonWaitingForCaches, "wide:DNSSEC": "Unknown",
	})
}

func TestDNSZoneColumns(t *testing.T) {
	namespace := cluster.Namespace(t.Context(), t)
	zone := &v1alpha1.DNSZone{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "a"},
		Spec: v1alpha1.DNSZoneSpec{
			Zone:   "example.com",
			Update: v1alpha1.UpdateSpec{Nameserver: "192.0.2.53", InsecureUnsigned: true},
		},
	}
	if err := cluster.Client.Create(t.Context(), zone); err != nil {
		t.Fatal(err)
	}
	until := metav1.NewTime(time.Date(2031, 5, 4, 3, 2, 1, 0, time.UTC))
	zone.Status.Conditions = []metav1.Condition{
		condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonOutOfSync),
		condition(v1alpha1.ConditionNameserversInSync, "False", v1alpha1.ReasonOutOfSync),
		condition(v1alpha1.ConditionUpdatesAccepted, "True", v1alpha1.ReasonAccepted),
		condition(v1alpha1.ConditionDelegationInSync, "False", v1alpha1.ReasonParentBehind),
	}
	zone.Status.DNSSEC = v1alpha1.ZoneDNSSECStatus{
		State: v1alpha1.DNSSECStateSecure, SignaturesExpire: &until,
		Delegation: &v1alpha1.DelegationStatus{DS: []string{"1 13 2 AB", "2 13 2 CD"}},
		Findings: []v1alpha1.ZoneFinding{
			{Code: "SignatureExpired", Severity: v1alpha1.FindingCritical, Server: "ns1", Message: "sign it"},
			{Code: "NoTCP", Severity: v1alpha1.FindingWarning, Server: "ns2", Message: "open it"},
		},
	}
	if err := cluster.Client.Status().Update(t.Context(), zone); err != nil {
		t.Fatal(err)
	}
	cells := table(t, "dnszones", namespace, "a")
	requireCells(t, cells, map[string]any{
		"Name": "a", "Zone": "example.com", "Ready": "False", "DNSSEC": "Secure", "In Sync": "False", "Updates": "True",
		"wide:DS In Sync": "False", "wide:DS": `["1 13 2 AB","2 13 2 CD"]`,
		"wide:Reason": v1alpha1.ReasonOutOfSync, "wide:Signatures Until": "2031-05-04T03:02:01Z",
		"wide:Worst Finding": "SignatureExpired",
	})
}

// requireCells wants exactly these columns, and Age.
func requireCells(t *testing.T, got, want map[string]any) {
	t.Helper()
	if _, shown := got["Age"]; !shown {
		t.Error("no column Age")
	}
	delete(got, "Age")
	same(t, "the table", got, want)
}

// TestStatusIsKept: everything that a full status says is read back, so that no field of it is
// missing in the schema. What is lost there would slow the next rollover down.
func TestStatusIsKept(t *testing.T) {
	namespace := cluster.Namespace(t.Context(), t)
	md := &v1alpha1.MailDomain{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "full"},
		Spec: v1alpha1.MailDomainSpec{
			Domain:      "example.com",
			MailServers: []v1alpha1.MailServer{{Hostname: "mx1.example.com"}},
		},
	}
	zone := &v1alpha1.DNSZone{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "full"},
		Spec: v1alpha1.DNSZoneSpec{
			Zone:   "example.com",
			Update: v1alpha1.UpdateSpec{Nameserver: "192.0.2.53", InsecureUnsigned: true},
		},
	}
	for _, object := range []client.Object{md, zone} {
		if err := cluster.Client.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, &md.Status)
	fill(t, &zone.Status)
	sent, sentZone := md.Status.DeepCopy(), zone.Status.DeepCopy()
	for _, object := range []client.Object{md, zone} {
		if err := cluster.Client.Status().Update(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "status of the MailDomain", asJSON(t, md.Status), asJSON(t, *sent))
	same(t, "status of the DNSZone", asJSON(t, zone.Status), asJSON(t, *sentZone))
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

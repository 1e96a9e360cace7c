package rights

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/operator"
)

// TestTakenOut takes the operator out while it runs, as "make uninstall" and "helm uninstall" do: rights, account and policy
// go, and then the pod. DNS records, MailDomain, DNSZone and Certificate stay as they are, whatever it tries with the rights
// gone. TestUpgradeAndUninstallLeaveObjectsAlone says that Helm deletes nothing else.
func TestTakenOut(t *testing.T) {
	r := start(t, operator.Options{})
	child := r.zone("example.test")
	r.must(child.zone.Add(gated + ". 60 IN A 127.0.0.1"))
	_, err := r.lab.CreateZone(r.Context(), "zone", child.reach(), lab.Fast)
	r.must(err)
	r.secretsOf("gated")
	r.create("gated", gated, nil)
	r.settled("gated", gated, true)
	before := tlsa(child.zone.Records())
	if len(before) != 2 {
		t.Fatalf("the zone has the TLSA records %q, want that of the key in use and that of the standby key", before)
	}

	r.takeOut()
	r.eventually(func() string { // the API server learns of it by a watch
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: operator.Name, ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: "update", Group: v1alpha1.GroupVersion.Group, Resource: "maildomains", Subresource: "status",
			},
		}}
		r.must(r.lab.Client.Create(r.Context(), review))
		if review.Status.Allowed {
			return "the operator still has its rights"
		}
		return ""
	})
	r.edit("gated", func(md *v1alpha1.MailDomain) { md.Spec.TLSA.TTL++ }) // something that it would do
	r.eventually(func() string {
		all, err := r.lab.Audited()
		r.must(err)
		for _, q := range all {
			if q.User.Name == operator.Name && q.Answer.Code == 403 && q.Of != nil && q.Of.Resource == "maildomains" && q.Of.Subresource == "status" {
				return ""
			}
		}
		if !r.lab.Operator.Running() { // without its lease it ends
			return ""
		}
		return "the operator has not tried to store what it would do"
	})
	md, err := r.lab.Domain(r.Context(), "gated")
	r.must(err)
	r.must(r.lab.Operator.Stop())

	if after := tlsa(child.zone.Records()); !slices.Equal(after, before) {
		t.Errorf("the TLSA records were %q, and are %q", before, after)
	}
	now, err := r.lab.Domain(r.Context(), "gated")
	r.must(err)
	if now.ResourceVersion != md.ResourceVersion || now.DeletionTimestamp != nil || !slices.Contains(now.Finalizers, v1alpha1.Finalizer) {
		t.Errorf("the MailDomain was written to at the end, or lost its finalizer: %+v", now.ObjectMeta)
	}
	z, crt := &v1alpha1.DNSZone{}, &cmapi.Certificate{}
	r.must(r.lab.Client.Get(r.Context(), types.NamespacedName{Namespace: namespace, Name: "zone"}, z))
	r.must(r.lab.Client.Get(r.Context(), types.NamespacedName{Namespace: namespace, Name: "gated"}, crt))
	if z.DeletionTimestamp != nil || crt.Annotations[v1alpha1.GateAnnotation] != "gated" {
		t.Errorf("the DNSZone is %+v, and the Certificate %+v", z.ObjectMeta, crt.ObjectMeta)
	}
}

// takeOut deletes what an installation has beside the CRDs, the pod and the namespace.
func (r *rig) takeOut() {
	r.Helper()
	for _, file := range operator.Installed {
		if filepath.Base(file) == "namespace.yaml" {
			continue
		}
		text, err := os.ReadFile(filepath.Join("..", "..", file))
		r.must(err)
		objects, err := kube.Decode(string(text))
		r.must(err)
		for _, o := range objects {
			if err := r.lab.Client.Delete(r.Context(), o); err != nil && !apierrors.IsNotFound(err) {
				r.Fatal(err)
			}
		}
	}
}

// tlsa are the TLSA records among those of a zone, sorted.
func tlsa(records []string) []string {
	var out []string
	for _, record := range records {
		if strings.Contains(record, "\tTLSA\t") {
			out = append(out, record)
		}
	}
	slices.Sort(out)
	return out
}

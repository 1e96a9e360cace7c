package plugin

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/plugin"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/operator"
	"github.com/dane-operator/dane-operator/test/servers"
)

// approval is a cluster of its own, with cert-manager's controllers: what is gated there would be told in every other test.
type approval struct {
	*testing.T
	*kube.Cluster
	namespace   string
	certManager *kube.Process
}

// runs starts cert-manager's controllers, with its approver or without, in place of those before.
func (a *approval) runs(o kube.CertManagerOptions) {
	a.Helper()
	if a.certManager != nil {
		must(a.T, a.certManager.Stop())
	}
	var err error
	a.certManager, err = a.StartCertManager(a.Context(), o)
	must(a.T, err)
}

// gated makes a Certificate that the operator gates, and waits for the request of it.
func (a *approval) gated(name string) string {
	a.Helper()
	crt := kube.Certificate(a.namespace, name, "selfsigned", "mx1.example.com")
	crt.Annotations = map[string]string{v1alpha1.GateAnnotation: "example"}
	must(a.T, a.Client.Create(a.Context(), crt))
	request := ""
	servers.Eventually(a, "cert-manager asks for "+name, func() error {
		of, err := a.RequestsOf(a.Context(), a.namespace, name)
		if err != nil || len(of) != 1 {
			return errors.Join(err, errors.New("there is no request"))
		}
		request = of[0].Name
		return nil
	})
	return request
}

// approve has an account approve a request.
func (a *approval) approve(as client.Client, request, reason string, o ...client.SubResourceUpdateOption) error {
	a.Helper()
	cr := &cmapi.CertificateRequest{}
	for {
		must(a.T, a.Client.Get(a.Context(), client.ObjectKey{Namespace: a.namespace, Name: request}, cr))
		cmutil.SetCertificateRequestCondition(cr, cmapi.CertificateRequestConditionApproved, cmmeta.ConditionTrue, reason, "by the test")
		if err := as.Status().Update(a.Context(), cr, o...); !apierrors.IsConflict(err) { // cert-manager writes, too
			return err
		}
	}
}

// doctor wants lines of what it says, and that it says nothing else about who approves.
func (a *approval) doctor(state string, lines ...string) {
	a.Helper()
	var out bytes.Buffer
	cmd := plugin.New(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &out}, time.Now)
	cmd.SetArgs([]string{"--kubeconfig", a.Kubeconfig, "doctor"})
	_ = cmd.ExecuteContext(a.Context()) // other things are missing
	about := 0
	for _, line := range lines {
		if !regexp.MustCompile(`(?m)^` + line).MatchString(out.String()) {
			a.Errorf("%s: doctor does not say %q:\n%s", state, line, out.String())
		}
		if strings.Contains(line, "approve") {
			about++
		}
	}
	said := regexp.MustCompile(`(?m)^\w+ +(another approver|the operator alone|approver-policy|who approves)`).FindAllString(out.String(), -1)
	if len(said) != about {
		a.Errorf("%s: doctor says %q of who approves, want %d lines:\n%s", state, said, about, out.String())
	}
}

// policy applies the gate policy, and waits until it refuses somebody else than the operator.
func (a *approval) policy(request string) {
	a.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "policy", "gate.yaml"))
	must(a.T, err)
	must(a.T, a.Apply(a.Context(), string(text)))
	servers.Eventually(a, "the gate policy is in force", func() error {
		if err := a.approve(a.Client, request, "cert-manager.io", client.DryRunAll); !apierrors.IsForbidden(err) {
			return errors.Join(errors.New("it lets others approve"), err)
		}
		return nil
	})
}

// withoutPolicy deletes it, and waits until it refuses nobody.
func (a *approval) withoutPolicy(request string) {
	a.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "policy", "gate.yaml"))
	must(a.T, err)
	objects, err := kube.Decode(string(text))
	must(a.T, err)
	for _, o := range objects {
		must(a.T, a.Client.Delete(a.Context(), o))
	}
	servers.Eventually(a, "the gate policy is gone", func() error { return a.approve(a.Client, request, "cert-manager.io", client.DryRunAll) })
}

// operatorsClient is a client of the operator's account.
func (a *approval) operatorsClient() client.Client {
	a.Helper()
	user, err := operator.User(a.Cluster)
	must(a.T, err)
	must(a.T, a.GrantClusterRole(a.Context(), "cluster-admin", user.Name)) // its rights are no matter here
	c, err := client.New(user.Config, client.Options{Scheme: kube.Scheme()})
	must(a.T, err)
	return c
}

const theGate, noGate = `ok +the gate policy dane-operator-gate +-`, `FAILED +the gate policy +no ValidatingAdmissionPolicy heeds`

// TestDoctorTellsOfApprovers goes through the ways in which a gated request is approved, or is not, by cert-manager's own
// controllers and the operator's account at a real API server: doctor warns where something else has approved one, and
// nowhere else.
func TestDoctorTellsOfApprovers(t *testing.T) {
	a := &approval{T: t, Cluster: kube.ForTest(t, kube.Options{Dir: t.TempDir()})}
	a.namespace = a.Namespace(t.Context(), t)
	a.doctor("nothing is there", noGate)

	a.runs(kube.CertManagerOptions{WithoutApprover: true})
	must(t, a.Client.Create(t.Context(), kube.SelfSignedIssuer(a.namespace, "selfsigned")))
	first := a.gated("first")
	a.doctor("nobody approves, and no policy", noGate)

	a.policy(first)
	a.runs(kube.CertManagerOptions{})
	servers.Eventually(t, "cert-manager's approver is refused", func() error {
		if !strings.Contains(a.certManager.Tail(200), "dane-operator approves it when every cache knows the TLSA records of its key") {
			return errors.New("its log does not say so")
		}
		return nil
	})
	a.doctor("cert-manager's approver tries in vain", theGate)

	must(t, a.approve(a.operatorsClient(), first, v1alpha1.ApprovalReason))
	_, err := a.WaitIssued(t.Context(), a.namespace, "first", 1)
	must(t, err)
	a.doctor("the operator has approved", theGate, `ok +the operator alone approved 1 gated request +-`)

	second := a.gated("second")
	a.withoutPolicy(second)
	_, err = a.WaitIssued(t.Context(), a.namespace, "second", 1)
	must(t, err)
	foreign := `warning +another approver: 1 of 2 gated requests +something else than the operator approved ` + a.namespace + `/` + second + ` \(cert-manager\.io\): `
	a.doctor("cert-manager's approver was quicker", noGate, foreign)

	third := a.gatedUnapproved("third")
	a.policy(third)
	a.doctor("the policy came too late", theGate, foreign)

	must(t, a.Client.Create(t.Context(), approverPolicyCRD()))
	a.doctor("approver-policy", theGate, foreign, `warning +approver-policy is installed +.*use strategy Stage`)
}

// gatedUnapproved is gated without cert-manager's approver.
func (a *approval) gatedUnapproved(name string) string {
	a.Helper()
	a.runs(kube.CertManagerOptions{WithoutApprover: true})
	return a.gated(name)
}

// approverPolicyCRD is what of cert-manager's approver-policy is looked for.
func approverPolicyCRD() *apiextensionsv1.CustomResourceDefinition {
	keep := true
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "certificaterequestpolicies.policy.cert-manager.io"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "policy.cert-manager.io", Scope: apiextensionsv1.ClusterScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "certificaterequestpolicies", Singular: "certificaterequestpolicy", Kind: "CertificateRequestPolicy", ListKind: "CertificateRequestPolicyList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1alpha1", Served: true, Storage: true, Schema: &apiextensionsv1.CustomResourceValidation{
				OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &keep},
			}}},
		},
	}
}

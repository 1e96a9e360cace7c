// Package plugin runs "kubectl dane" against a real API server.
package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/spf13/cobra"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/util/cert"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/plugin"
	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/test/kube"
)

var cluster *kube.Cluster

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	cluster, err = kube.Start(context.Background(), kube.Options{Progress: func(line string) { fmt.Fprintln(os.Stderr, line) }})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = cluster.Stop() }()
	return m.Run()
}

// dane runs the command in a namespace, and gives what it printed and its exit code.
func dane(t *testing.T, namespace string, args ...string) (string, int) {
	t.Helper()
	var out bytes.Buffer
	cmd := plugin.New(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &out}, time.Now)
	own := []string{"--kubeconfig", cluster.Kubeconfig, "--namespace", namespace}
	if args[0] == cobra.ShellCompRequestCmd { // has to come first
		own, args = append(args[:1:1], own...), args[1:]
	}
	cmd.SetArgs(append(own, args...))
	err := cmd.ExecuteContext(t.Context())
	if err != nil && err.Error() != "" {
		fmt.Fprintln(&out, "error:", err)
	}
	return out.String(), plugin.ExitCode(err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t *testing.T, got string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(got, text) {
			t.Errorf("%q is missing in:\n%s", text, got)
		}
	}
}

// mailDomain is a manifest.
const mailDomain = `
apiVersion: mail.dane-operator.io/v1alpha1
kind: MailDomain
metadata: {name: example, namespace: %s}
spec:
  domain: example.com
  mailServers:
  - hostname: mx1.example.com
    certificates: [{name: mx1}]
  - hostname: mx2.example.net
`

// certificate makes a Certificate with its Secret, as cert-manager leaves them, and gives the digest of its key.
func certificate(t *testing.T, namespace, name string) string {
	t.Helper()
	chain, key, err := cert.GenerateSelfSignedCertKey("mx1.example.com", nil, nil)
	must(t, err)
	must(t, cluster.Client.Create(t.Context(), kube.Certificate(namespace, name, "ca", "mx1.example.com")))
	must(t, cluster.Client.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name + "-tls"},
		Type:       corev1.SecretTypeTLS, Data: map[string][]byte{corev1.TLSCertKey: chain, corev1.TLSPrivateKeyKey: key},
	}))
	parsed, err := tlsa.ParseChain(chain)
	must(t, err)
	return tlsa.SPKISHA256(parsed[0].RawSubjectPublicKeyInfo)
}

// shownRecord is a record in status but for its digest, as the operator writes it.
const shownRecord = "_25._tcp.mx1.example.com. 3600 IN TLSA 3 1 1 "

// settled makes the MailDomain with the status of one that is well.
func settled(t *testing.T, namespace, spki string) *v1alpha1.MailDomain {
	t.Helper()
	must(t, cluster.Apply(t.Context(), fmt.Sprintf(mailDomain, namespace)))
	md := &v1alpha1.MailDomain{}
	must(t, cluster.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "example"}, md))
	now := metav1.Now()
	for _, condition := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionRolloverSafe} {
		md.Status.Conditions = append(md.Status.Conditions, metav1.Condition{Type: condition, Status: metav1.ConditionTrue, Reason: "Fine", LastTransitionTime: now})
	}
	md.Status.MailServers = []v1alpha1.MailServerStatus{{
		Hostname: "mx1.example.com", Records: []string{shownRecord + spki, shownRecord + strings.Repeat("0f", 32)}, ForeignRecords: []string{shownRecord + strings.Repeat("0f", 32)},
		Keys: []v1alpha1.KeyStatus{{SPKISHA256: spki, Certificate: "mx1", Role: v1alpha1.RoleCurrent, Visibility: v1alpha1.VisibilityOmnipresent, Records: []string{"3 1 1 " + spki}}},
	}}
	must(t, cluster.Client.Status().Update(t.Context(), md))
	return md
}

// TestStatus lists, shows one by its name and by its domain, and says by the exit code whether all is well.
func TestStatus(t *testing.T) {
	namespace := cluster.Namespace(t.Context(), t)
	out, code := dane(t, namespace, "status")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	wants(t, out, "No MailDomains found in namespace ", "; -A looks into all.")
	if out, code := dane(t, namespace, "status", "example.com"); code != 1 || !strings.Contains(out, "no MailDomain") {
		t.Errorf("exit code %d: %s", code, out)
	}
	md := settled(t, namespace, strings.Repeat("0a", 32))
	for _, args := range [][]string{{"status"}, {"status", "-A"}, {"status", "example"}, {"status", "example.com"}} {
		out, code := dane(t, namespace, args...)
		if code != 0 {
			t.Errorf("%v: exit code %d", args, code)
		}
		wants(t, out, "mx1.example.com", "True")
	}
	out, code = dane(t, namespace, "status", "example", "-o", "json")
	var read v1alpha1.MailDomain
	if err := json.Unmarshal([]byte(out), &read); err != nil || code != 0 || read.Kind != "MailDomain" || read.UID != md.UID {
		t.Errorf("exit code %d, %v: %s", code, err, out)
	}
	out, _ = dane(t, namespace, "status", "-o", "name")
	wants(t, out, "maildomain.mail.dane-operator.io/example")
	md.Status.Conditions[1].Status = metav1.ConditionFalse
	must(t, cluster.Client.Status().Update(t.Context(), md))
	if _, code := dane(t, namespace, "status"); code != 2 {
		t.Errorf("exit code %d where senders may fail", code)
	}
	out, _ = dane(t, namespace, "records", "example.com")
	wants(t, out, "_25._tcp.mx1.example.com.\t3600\tIN\tTLSA\t3 1 1 "+strings.Repeat("0a", 32))
	out, code = dane(t, namespace, cobra.ShellCompRequestCmd, "status", "")
	if code != 0 {
		t.Errorf("completion: exit code %d", code)
	}
	wants(t, out, "example\texample.com")
}

// TestPlan says what a manifest would come to, and stores nothing.
func TestPlan(t *testing.T) {
	namespace := cluster.Namespace(t.Context(), t)
	spki := certificate(t, namespace, "mx1")
	file := filepath.Join(t.TempDir(), "md.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, mailDomain, namespace), 0o600))
	out, code := dane(t, namespace, "plan", "-f", file)
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	wants(t, out, "strategy Gate", "_25._tcp.mx1.example.com. TTL 3600", "+ 3 1 1 "+spki, "mx2.example.net", "names no certificates")
	err := cluster.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "example"}, &v1alpha1.MailDomain{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the MailDomain was stored: %v", err)
	}
	wants(t, out, "The record of a standby key comes beside these")
	md := settled(t, namespace, spki)
	next := strings.Repeat("0e", 32)
	md.Status.MailServers[0].Records = append(md.Status.MailServers[0].Records, shownRecord+next)
	md.Status.MailServers[0].Keys = append(md.Status.MailServers[0].Keys, v1alpha1.KeyStatus{
		SPKISHA256: next, Certificate: "mx1", Role: v1alpha1.RoleNext, Visibility: v1alpha1.VisibilityOmnipresent, Records: []string{"3 1 1 " + next},
	})
	must(t, cluster.Client.Status().Update(t.Context(), md))
	out, _ = dane(t, namespace, "plan", "-f", file)
	wants(t, out, "\n    3 1 1 "+spki+"\n", "\n    3 1 1 "+next+" (of the next key)\n", "\n    3 1 1 "+strings.Repeat("0f", 32)+" (foreign)\n")
	for _, change := range []string{"  + ", "  - ", "comes beside"} {
		if strings.Contains(out, change) {
			t.Errorf("nothing is to change, and it says %q: %s", change, out)
		}
	}
	must(t, os.WriteFile(file, fmt.Appendf(nil, strings.Replace(mailDomain, "domain: example.com", "domain: example.com\n  tlsa: {parameters: [\"3 1 2\"]}", 1), namespace), 0o600))
	out, _ = dane(t, namespace, "plan", "-f", file)
	wants(t, out, "+ 3 1 2 ", "- 3 1 1 "+spki, "  3 1 1 "+strings.Repeat("0f", 32)+" (foreign)")
	rest := mailDomain + "  mx: {policy: Manage}\n  spf: {mechanisms: [mx], all: Fail}\n  dkim: {keys: [{name: ed, algorithm: Ed25519, secretName: dkim-ed}]}\n"
	must(t, os.WriteFile(file, fmt.Appendf(nil, rest, namespace), 0o600))
	out, _ = dane(t, namespace, "plan", "-f", file)
	wants(t, out, "MX example.com. MX", "+ 10 mx1.example.com.", `+ "v=spf1 mx -all"`, "ed (Ed25519): it is made, published at ed-DIGITS._domainkey.example.com")
	must(t, os.WriteFile(file, fmt.Appendf(nil, strings.Replace(mailDomain, "example.com\n", "Example.com\n", 1), namespace), 0o600))
	if out, code := dane(t, namespace, "plan", "-f", file); code != 1 || !strings.Contains(out, "spec.domain") {
		t.Errorf("a wrong domain: exit code %d: %s", code, out)
	}
	must(t, os.WriteFile(file, []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"), 0o600))
	if out, code := dane(t, namespace, "plan", "-f", file); code != 1 || !strings.Contains(out, "no MailDomain") {
		t.Errorf("another object: exit code %d: %s", code, out)
	}
}

// TestRollover begins a renewal, and names the key that is left where it is compromised.
func TestRollover(t *testing.T) {
	namespace := cluster.Namespace(t.Context(), t)
	spki := certificate(t, namespace, "mx1")
	settled(t, namespace, spki)
	state := func() (issuing bool, compromised []v1alpha1.SPKIDigest) {
		var crt cmapi.Certificate
		must(t, cluster.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "mx1"}, &crt))
		var md v1alpha1.MailDomain
		must(t, cluster.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "example"}, &md))
		return kube.IsIssuing(&crt), md.Spec.Rollover.CompromisedKeys
	}
	out, code := dane(t, namespace, "rollover", "mx1.example.com", "--compromised", "--dry-run")
	if issuing, compromised := state(); code != 0 || issuing || len(compromised) > 0 {
		t.Errorf("a dry run did something, or ended with %d: %s", code, out)
	}
	wants(t, out, spki, "certificate/mx1", "(dry run)")
	if out, code := dane(t, namespace, "rollover", "mx1.example.com"); code != 0 {
		t.Errorf("exit code %d: %s", code, out)
	}
	if issuing, compromised := state(); !issuing || len(compromised) > 0 {
		t.Errorf("issuing %t, compromised %v", issuing, compromised)
	}
	if out, code := dane(t, namespace, "rollover", "mx1.example.com", "--compromised"); code != 0 {
		t.Errorf("exit code %d: %s", code, out)
	}
	if _, compromised := state(); len(compromised) != 1 || string(compromised[0]) != spki {
		t.Errorf("compromised %v, want %s", compromised, spki)
	}
	for names, args := range map[string][]string{
		"mx9.example.com": {"rollover", "mx9.example.com"},
		"mx2.example.net": {"rollover", "mx2.example.net"}, // somebody else's
		`"other"`:         {"rollover", "mx1.example.com", "--certificate", "other"},
	} {
		if out, code := dane(t, namespace, args...); code != 1 || !strings.Contains(out, names) {
			t.Errorf("%v: exit code %d: %s", args, code, out)
		}
	}
}

// TestDoctor finds what is missing, and nothing when all is there.
func TestDoctor(t *testing.T) {
	namespace := cluster.Namespace(t.Context(), t)
	out, code := dane(t, namespace, "doctor")
	if code != 2 {
		t.Errorf("exit code %d without a gate policy", code)
	}
	wants(t, out, "no ValidatingAdmissionPolicy", "no replica has ever led", "cert-manager")
	for _, file := range []string{"rbac/role.yaml", "policy/gate.yaml"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "config", file))
		must(t, err)
		must(t, cluster.Apply(t.Context(), string(text)))
	}
	out, code = dane(t, namespace, "doctor")
	if code != 2 {
		t.Errorf("exit code %d without rights", code)
	}
	wants(t, out, "may not approve signers")
	must(t, cluster.GrantClusterRole(t.Context(), "dane-operator", kube.ServiceAccount("dane-operator-system", "dane-operator")))
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "dane-operator.mail.dane-operator.io"}}
	renewed := metav1.NewMicroTime(time.Now())
	lease.Spec = coordinationv1.LeaseSpec{RenewTime: &renewed, LeaseDurationSeconds: ptr.To[int32](600)}
	must(t, cluster.Client.Create(t.Context(), lease))
	out, code = dane(t, namespace, "doctor")
	if code != 0 {
		t.Errorf("exit code %d where all is there:\n%s", code, out)
	}
	wants(t, out, "the gate policy dane-operator-gate", "the rights of system:serviceaccount:dane-operator-system:dane-operator")
	past := metav1.NewMicroTime(time.Now().Add(-time.Hour * 24))
	lease.Spec.RenewTime = &past
	must(t, cluster.Client.Update(t.Context(), lease))
	if out, code := dane(t, namespace, "doctor"); code != 2 || !strings.Contains(out, "no replica leads") {
		t.Errorf("a lease that ran out: exit code %d:\n%s", code, out)
	}
}

// TestDoctorJudgesCertManager: by the label that cert-manager's own chart and manifests give its CRDs. The version of
// which the tests run the controllers is new enough.
func TestDoctorJudgesCertManager(t *testing.T) {
	list := func(what string) string {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{."+what+"}}", "github.com/cert-manager/cert-manager")
		out, err := cmd.Output()
		must(t, err)
		return strings.TrimSpace(string(out))
	}
	helpers, err := os.ReadFile(filepath.Join(list("Dir"), "deploy/charts/cert-manager/templates/_helpers.tpl"))
	must(t, err)
	wants(t, string(helpers), "app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}", "{{- define \"cert-manager.crd-labels\" -}}")
	namespace := cluster.Namespace(t.Context(), t)
	crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "certificates.cert-manager.io"}}
	label := func(version any) {
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]any{"app.kubernetes.io/version": version}}})
		must(t, err)
		must(t, cluster.Client.Patch(context.Background(), crd, client.RawPatch(types.MergePatchType, patch)))
	}
	t.Cleanup(func() { label(nil) })
	for _, c := range []struct {
		version any
		says    string
	}{
		{list("Version"), `(?m)^ok +cert-manager ` + regexp.QuoteMeta(list("Version")) + ` +-$`},
		{"v1.20.2", `(?m)^FAILED +cert-manager v1\.20\.2 +it is too old: upgrade cert-manager and its CRDs to 1\.21 or newer$`},
		{"v1.9.1", `(?m)^FAILED +cert-manager v1\.9\.1 `},
		{nil, `(?m)^warning +cert-manager +the label app\.kubernetes\.io/version of its CRDs does not tell its version: see that it is 1\.21 or newer$`},
	} {
		label(c.version)
		out, code := dane(t, namespace, "doctor")
		if !regexp.MustCompile(c.says).MatchString(out) || strings.HasPrefix(c.says, "(?m)^FAILED") && code != 2 {
			t.Errorf("%v: exit code %d, want %s in\n%s", c.version, code, c.says, out)
		}
	}
}

package plugin

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// signing is a MailDomain of lab.test whose key k1 is in use, and another one on its way.
func signing(t *testing.T, namespace string) *v1alpha1.MailDomain {
	t.Helper()
	must(t, cluster.Apply(t.Context(), fmt.Sprintf(`
apiVersion: mail.dane-operator.io/v1alpha1
kind: MailDomain
metadata: {name: signing, namespace: %s}
spec:
  domain: lab.test
  mailServers: [{hostname: mx1.lab.test}]
  dkim: {keys: [{name: k, algorithm: Ed25519, secretName: dkim}]}
`, namespace)))
	md := &v1alpha1.MailDomain{}
	must(t, cluster.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "signing"}, md))
	md.Status.DKIM = []v1alpha1.DKIMStatus{{Name: "k", SecretName: "dkim", State: v1alpha1.DKIMInUse, Selector: "k1", Keys: []v1alpha1.DKIMKeyStatus{
		{Selector: "k1", Role: v1alpha1.RoleCurrent, Visibility: v1alpha1.VisibilityOmnipresent, Record: `"v=DKIM1; p="`},
		{Selector: "coming", Role: v1alpha1.RoleNext, Visibility: v1alpha1.VisibilityRumoured, Record: `"v=DKIM1; p="`},
	}}}
	must(t, cluster.Client.Status().Update(t.Context(), md))
	return md
}

// TestCheckTakesSelectorsFromMailDomain: check looks at the DKIM keys that the MailDomain of the domain tells of, in the
// cluster or in a file, unless selectors are named; and does without a cluster.
func TestCheckTakesSelectorsFromMailDomain(t *testing.T) {
	resolver, anchors := mailLab(t)
	namespace := cluster.Namespace(t.Context(), t)
	md := signing(t, namespace)
	md.APIVersion, md.Kind = v1alpha1.GroupVersion.String(), "MailDomain"
	file := func(name string, md *v1alpha1.MailDomain) string {
		text, err := yaml.Marshal(md)
		must(t, err)
		path := filepath.Join(t.TempDir(), name)
		must(t, os.WriteFile(path, text, 0o600))
		return path
	}
	told := file("told.yaml", md)
	bare := md.DeepCopy()
	bare.Status = v1alpha1.MailDomainStatus{}
	away := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, os.WriteFile(away, []byte(`{apiVersion: v1, kind: Config, current-context: x, contexts: [{name: x, context: {cluster: x}}], clusters: [{name: x, cluster: {server: "https://127.0.0.1:1"}}]}`), 0o600))
	none := filepath.Join(t.TempDir(), "none")
	must(t, os.WriteFile(none, []byte(`{apiVersion: v1, kind: Config}`), 0o600))
	const asked, notAsked = "DKIM k1 ", "name the selectors in use"
	for _, c := range []struct {
		why, domain string
		args        []string
		want, not   string
	}{
		{"the cluster has it", "lab.test", nil, asked, "coming"},
		{"with a dot at its end", "lab.test.", nil, asked, "coming"},
		{"another domain", "bad.lab.test", nil, notAsked, asked},
		{"another namespace", "lab.test", []string{"--namespace", "default"}, notAsked, asked},
		{"selectors that are named are all", "lab.test", []string{"--dkim-selector", "other"}, "DKIM other ", asked},
		{"the file has it, and no cluster is there", "lab.test", []string{"--kubeconfig", away, "-f", told}, asked, "the cluster"},
		{"the file and the flag", "lab.test", []string{"-f", told, "--dkim-selector", "other"}, "DKIM other ", notAsked},
		{"the file is a manifest", "lab.test", []string{"-f", file("bare.yaml", bare)}, "its status does", asked},
		{"the file is about another domain", "bad.lab.test", []string{"-f", told}, "error: -f: there is no MailDomain of bad.lab.test", "GRADE"},
		{"the cluster is away", "lab.test", []string{"--kubeconfig", away}, "the cluster does not tell which DKIM keys there are", asked},
		{"the cluster is away, and the rest is graded", "lab.test", []string{"--kubeconfig", away}, "DMARC", asked},
		{"there is no cluster", "lab.test", []string{"--kubeconfig", none}, notAsked, "the cluster"},
	} {
		args := append([]string{"check", c.domain, "--no-connect", "--resolvers", resolver, "--trust-anchors", anchors}, c.args...)
		out, _ := dane(t, namespace, args...)
		out = strings.Join(strings.Fields(out), " ")
		if !strings.Contains(out+" ", c.want) || c.not != "" && strings.Contains(out, c.not) {
			t.Errorf("%s: want %q and not %q in\n%s", c.why, c.want, c.not, out)
		}
	}
}

package plugin

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
)

// TestKubectlCompletes: kubectl itself completes what follows "kubectl dane", by the link that kubectl-dane.md tells to
// make: commands, flags, and the names of MailDomains.
func TestKubectlCompletes(t *testing.T) {
	namespace := cluster.Namespace(t.Context(), t)
	settled(t, namespace, strings.Repeat("0a", 32))
	must(t, cluster.Apply(t.Context(), fmt.Sprintf(`
apiVersion: mail.dane-operator.io/v1alpha1
kind: DNSZone
metadata: {name: zone, namespace: %s}
spec:
  zone: example.com
  update: {nameserver: 192.0.2.53, tsigKeyName: key, tsigSecretSecretRef: {name: tsig, key: secret}}
`, namespace)))
	t.Cleanup(func() { // "doctor" looks into every namespace
		must(t, cluster.Client.DeleteAllOf(context.Background(), &v1alpha1.DNSZone{}, client.InNamespace(namespace)))
	})
	kubectl, err := kube.Program(t.Context(), "kubectl", func(line string) { t.Log(line) })
	must(t, err)
	path, err := program()
	must(t, err)
	folder := t.TempDir()
	for _, name := range []string{"kubectl-dane", "kubectl_complete-dane"} {
		must(t, os.Symlink(path, filepath.Join(folder, name)))
	}
	env := append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"), "KUBECONFIG="+cluster.Kubeconfig)
	completes := func(words ...string) string {
		cmd := exec.CommandContext(t.Context(), kubectl, append([]string{"__complete", "dane"}, words...)...)
		cmd.Env = env
		out, err := cmd.Output()
		must(t, err)
		return string(out)
	}
	for want, words := range map[string][]string{
		"status\tShow mail domains, or the rollover of one\n": {"st"},
		"--dkim-selector\t":                     {"check", "--dkim"},
		"always\n":                              {"status", "--color", "al"},
		"WaitingForCaches\n":                    {"explain", "WaitingForC"},
		"example\texample.com\n":                {"status", "--namespace", namespace, ""},
		"mx1.example.com\tMailDomain example\n": {"rollover", "--namespace", namespace, ""},
		"mx1\tmx1.example.com\n":                {"rollover", "--namespace", namespace, "mx1.example.com", "--certificate", ""},
		"zone\texample.com\n":                   {"zone", "--namespace", namespace, ""},
		"--helo-name\tNAME to say EHLO with":    {"check", "--helo"},
	} {
		if out := completes(words...); !strings.Contains(out, want) {
			t.Errorf("%q is completed to\n%s\nwithout %q", words, out, want)
		}
	}
	page, err := os.ReadFile("../../docs/kubectl-dane.md")
	must(t, err)
	wants(t, string(page), `ln -s "$(command -v kubectl-dane)" ~/.local/bin/kubectl_complete-dane`)
}

// TestCompletionScript: bash takes the script, and asks the program by it.
func TestCompletionScript(t *testing.T) {
	path, err := program()
	must(t, err)
	bash := exec.CommandContext(t.Context(), "bash", "-euc", `source <("$0" completion bash) && complete -p kubectl-dane`, path)
	out, err := bash.CombinedOutput()
	if err != nil || !strings.Contains(string(out), " -F __start_kubectl-dane kubectl-dane") {
		t.Errorf("bash says %q (%v)", out, err)
	}
	for _, shell := range []string{"zsh", "fish", "powershell"} {
		script, err := exec.CommandContext(t.Context(), path, "completion", shell).Output() //nolint:gosec // just built
		if err != nil || !strings.Contains(string(script), "kubectl-dane") {
			t.Errorf("%s: %v\n%s", shell, err, script)
		}
	}
}

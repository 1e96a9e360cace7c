package plugin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPlanOfAFolder: what kustomize alone reads is left out of a folder, and told of; another kind that no API server knows is an error.
func TestPlanOfAFolder(t *testing.T) {
	must(t, cluster.EnsureNamespace(t.Context(), "mail"))
	out, code := dane(t, "default", "plan", "-f", filepath.Join("..", "..", "config", "samples"))
	if code != 0 {
		t.Errorf("the samples: exit code %d:\n%s", code, out)
	}
	wants(t, out, "a Kustomization is left out: it is for kustomize. ", "MailDomain mail/example-com-dkim of example.com")
	if n := strings.Count(out, "is left out"); n != 1 {
		t.Errorf("%d files are left out:\n%s", n, out)
	}
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "config", "samples"))))
	must(t, os.WriteFile(filepath.Join(dir, "typo.yaml"), []byte("apiVersion: mail.dane-operator.io/v1alpha1\nkind: MailDomian\nmetadata: {name: x}\n"), 0o600))
	if out, code := dane(t, "default", "plan", "-f", dir); code != 1 || !strings.Contains(out, "MailDomian") {
		t.Errorf("a kind that nobody knows: exit code %d:\n%s", code, out)
	}
}

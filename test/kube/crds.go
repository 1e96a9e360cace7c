package kube

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"
)

// installCRDs installs our CRDs, straight from config/crd/bases, and cert-manager's, and waits until
// the API server serves them.
func (c *Cluster) installCRDs(ctx context.Context) error {
	theirs, err := certManagerCRDs(ctx, c.root)
	if err != nil {
		return err
	}
	ours := filepath.Join(c.root, "config", "crd", "bases")
	c.progress("installing the CRDs")
	for _, dir := range []string{theirs, ours} {
		crds, err := readCRDs(dir)
		if err != nil {
			return err
		}
		if _, err := envtest.InstallCRDs(c.Config, envtest.CRDInstallOptions{
			CRDs: crds, Scheme: Scheme(), MaxTime: time.Minute,
		}); err != nil {
			return fmt.Errorf("install the CRDs of %s: %w", dir, err)
		}
	}
	return nil
}

// certManagerCRDs is the folder of the CRDs in the module of cert-manager that test/go.mod pins.
func certManagerCRDs(ctx context.Context, root string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/cert-manager/cert-manager")
	cmd.Dir = filepath.Join(root, "test")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find the module of cert-manager: %w: %s", err, stderr.String())
	}
	return filepath.Join(string(bytes.TrimSpace(out)), "deploy", "crds"), nil
}

// readCRDs reads every YAML file of a folder, each with one CRD. Unknown fields are an error: the
// file would not mean what it says.
func readCRDs(dir string) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no CRD in %s: run make generate: %w", dir, err)
	}
	var crds []*apiextensionsv1.CustomResourceDefinition
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read a CRD: %w", err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(text, crd); err != nil {
			return nil, fmt.Errorf("read the CRD %s: %w", file, err)
		}
		crds = append(crds, crd)
	}
	return crds, nil
}

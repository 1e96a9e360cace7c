// Package operator builds and starts the operator for tests and for the demo, as a user with exactly
// the rights that config/rbac grants, and installs the admission policy of config/policy.
package operator

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/dane-operator/dane-operator/test/kube"
)

// Name under which the operator acts, as config/ installs it.
var Name = kube.ServiceAccount("dane-operator-system", "dane-operator")

// Options say how the operator runs.
type Options struct {
	// Args are more flags.
	Args []string
	// WithoutPolicy leaves out the admission policy that holds requests for the operator.
	WithoutPolicy bool
	// Progress is called with a line about what is being done now.
	Progress func(string)
}

// Start builds the operator, gives it its rights, and starts it. The program can be killed and
// started again through the process that is returned.
func Start(ctx context.Context, c *kube.Cluster, o Options) (*kube.Process, error) {
	root, err := kube.Root()
	if err != nil {
		return nil, err
	}
	if o.Progress != nil {
		o.Progress("building the operator")
	}
	program, err := Build(ctx, root, c.Dir)
	if err != nil {
		return nil, err
	}
	user, err := c.AddUser(Name, "system:serviceaccounts", "system:serviceaccounts:dane-operator-system")
	if err != nil {
		return nil, err
	}
	files := []string{"config/rbac/role.yaml"}
	if !o.WithoutPolicy {
		files = append(files, "config/policy/gate.yaml")
	}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		if err := c.Apply(ctx, string(text)); err != nil {
			return nil, fmt.Errorf("apply %s: %w", file, err)
		}
	}
	if err := c.GrantClusterRole(ctx, "dane-operator", user.Name); err != nil {
		return nil, err
	}
	args := append([]string{"--kubeconfig", user.Kubeconfig, "--health-probe-bind-address", "0", "-v", "1"}, o.Args...)
	return c.StartProcess("dane-operator", program, args, nil)
}

// Build builds the operator into dir and returns the path of the program.
func Build(ctx context.Context, root, dir string) (string, error) {
	program := filepath.Join(dir, "dane-operator")
	cmd := exec.CommandContext(ctx, "go", "build", "-C", root, "-o", program, "./cmd/dane-operator")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the operator: %w\n%s", err, out)
	}
	return program, nil
}

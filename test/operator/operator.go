// Package operator builds and starts the operator for tests and for the demo, as a user with exactly
// the rights that config/rbac grants, and installs the admission policy of config/policy.
package operator

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/test/kube"
)

// Name under which the operator acts, as config/ installs it.
var Name = kube.ServiceAccount(namespace, "dane-operator")

const (
	// namespace in which config/ installs the operator.
	namespace = "dane-operator-system"
	// program is the name of the operator's program and process.
	program = "dane-operator"
)

// Options say how the operator runs.
type Options struct {
	// Args are more flags.
	Args []string
	// Env is added to its environment, as NAME=VALUE.
	Env []string
	// Namespaced has StartInstalled go by config/namespaced: the operator has the namespace mail alone, which has to exist.
	Namespaced bool
	// ReadSecrets has StartInstalled take the rights to write Secrets away, as `rbac.secrets: Read` of the chart does.
	ReadSecrets bool
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
	path, err := Build(ctx, root, c.Dir)
	if err != nil {
		return nil, err
	}
	user, err := User(c)
	if err != nil {
		return nil, err
	}
	files := []string{"config/rbac/role.yaml"}
	if !o.WithoutPolicy {
		files = append(files, "config/policy/gate.yaml")
	}
	if err := apply(ctx, c, files...); err != nil {
		return nil, err
	}
	if err := c.GrantClusterRole(ctx, "dane-operator", user.Name); err != nil {
		return nil, err
	}
	return c.StartProcess(program, path, arguments(user, o), o.Env)
}

// Installed is what config/ gives to the operator: its account, its rights and the policy.
var Installed = []string{
	"config/default/namespace.yaml", "config/rbac/service_account.yaml", "config/rbac/role.yaml", "config/rbac/role_binding.yaml",
	"config/rbac/leader_election_role.yaml", "config/policy/gate.yaml",
}

// InstalledInMail is what config/namespaced gives to it: the same, bound in the namespace mail, and what is about no
// namespace.
var InstalledInMail = append(slices.DeleteFunc(slices.Clone(Installed), func(file string) bool { return file == "config/rbac/role_binding.yaml" }),
	"config/namespaced/cluster_role.yaml", "config/namespaced/role_binding.yaml")

// StartInstalled starts the operator as config/ installs it: it elects a leader, and has the rights that the
// bindings of config/ give to its account, and no others.
func StartInstalled(ctx context.Context, c *kube.Cluster, o Options) (*kube.Process, error) {
	root, err := kube.Root()
	if err != nil {
		return nil, err
	}
	if _, err := Build(ctx, root, c.Dir); err != nil {
		return nil, err
	}
	files := Installed
	if o.Namespaced {
		files = InstalledInMail
		o.Args = append(o.Args, "--namespace", "mail")
	}
	if err := apply(ctx, c, files...); err != nil {
		return nil, err
	}
	if o.ReadSecrets {
		if err := readSecretsOnly(ctx, c); err != nil {
			return nil, err
		}
	}
	return Replica(ctx, c, program, o)
}

// readSecretsOnly takes from the operator's role the verbs on Secrets that write.
func readSecretsOnly(ctx context.Context, c *kube.Cluster) error {
	role := &rbacv1.ClusterRole{}
	if err := c.Client.Get(ctx, types.NamespacedName{Name: "dane-operator"}, role); err != nil {
		return err
	}
	for i, rule := range role.Rules {
		if slices.Contains(rule.Resources, "secrets") {
			role.Rules[i].Verbs = slices.DeleteFunc(rule.Verbs, func(verb string) bool { return verb == "create" || verb == "update" })
		}
	}
	return c.Client.Update(ctx, role)
}

func arguments(user *kube.User, o Options) []string {
	return append([]string{"--kubeconfig", user.Kubeconfig, "--health-probe-bind-address", "0", "-v", "1"}, o.Args...)
}

// Replica starts one more operator beside the one of Start, which has built it and given it its rights.
// Replicas elect a leader among them, as those of a Deployment do; the one of Start knows nothing of
// that, and must not run meanwhile. A leader that is gone is succeeded after Lease.
func Replica(ctx context.Context, c *kube.Cluster, name string, o Options) (*kube.Process, error) {
	user, err := User(c)
	if err != nil {
		return nil, err
	}
	if err := c.EnsureNamespace(ctx, namespace); err != nil {
		return nil, err
	}
	if err := apply(ctx, c, "config/rbac/leader_election_role.yaml"); err != nil {
		return nil, err
	}
	o.Args = append([]string{
		"--leader-elect", "--leader-election-namespace", namespace, "--leader-election-lease-duration", Lease.String(),
		"--leader-election-renew-deadline", (Lease * 2 / 3).String(), "--leader-election-retry-period", (Lease / 8).String(),
	}, o.Args...)
	return c.StartProcess(name, filepath.Join(c.Dir, program), arguments(user, o), o.Env)
}

// User is the one that Start gives the operator's rights.
func User(c *kube.Cluster) (*kube.User, error) {
	return c.AddUser(Name, "system:serviceaccounts", "system:serviceaccounts:"+namespace)
}

// Beside starts one more operator beside the one of Start, which has built it and given it its rights. It
// reaches the API server by a kubeconfig. It asks nobody whether it leads: it needs namespaces of its own, unless
// it is to meet another one.
func Beside(c *kube.Cluster, name, kubeconfig string, o Options) (*kube.Process, error) {
	return c.StartProcess(name, filepath.Join(c.Dir, program), arguments(&kube.User{Kubeconfig: kubeconfig}, o), o.Env)
}

// Lease is how long a leader among replicas has the lease for.
const Lease = 4 * time.Second

// Leader is the lease that replicas contend for.
func Leader(ctx context.Context, c *kube.Cluster) (*coordinationv1.Lease, error) {
	lease := &coordinationv1.Lease{}
	key := types.NamespacedName{Namespace: namespace, Name: "dane-operator.mail.dane-operator.io"}
	return lease, c.Client.Get(ctx, key, lease)
}

// apply applies files of the repository.
func apply(ctx context.Context, c *kube.Cluster, files ...string) error {
	root, err := kube.Root()
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(root, file)) //nolint:gosec // a file of the repository
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		if err := c.Apply(ctx, string(text)); err != nil {
			return fmt.Errorf("apply %s: %w", file, err)
		}
	}
	return nil
}

// Build builds the operator into dir and returns the path of the program.
func Build(ctx context.Context, root, dir string) (string, error) { return build(ctx, root, dir) }

// BuildForImage does as Build does, and without C as the Dockerfile: the program needs no file beside itself.
func BuildForImage(ctx context.Context, root, dir string) (string, error) {
	return build(ctx, root, dir, "CGO_ENABLED=0")
}

func build(ctx context.Context, root, dir string, env ...string) (string, error) {
	path := filepath.Join(dir, program)
	cmd := exec.CommandContext(ctx, "go", "build", "-C", root, "-o", path, "./cmd/dane-operator")
	cmd.Env = slices.Concat(os.Environ(), []string{"GOWORK=off"}, env)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the operator: %w\n%s", err, out)
	}
	return path, nil
}

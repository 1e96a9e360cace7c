package operator

import (
	"context"
	"path/filepath"

	"github.com/dane-operator/dane-operator/test/kube"
)

// ReportsName is the name under which the receiver of TLS reports acts, as config/reports installs it.
var ReportsName = kube.ServiceAccount(namespace, "dane-operator-reports")

// Reports starts "dane-operator reports" with more flags, of the program that Start has built. It acts with the rights and
// under the policy of config/reports, and no others.
func Reports(ctx context.Context, c *kube.Cluster, name string, o Options) (*kube.Process, error) {
	if err := c.EnsureNamespace(ctx, namespace); err != nil {
		return nil, err
	}
	if err := apply(ctx, c, "config/reports/rbac.yaml", "config/reports/policy.yaml"); err != nil {
		return nil, err
	}
	account, err := c.AddUser(ReportsName)
	if err != nil {
		return nil, err
	}
	return c.StartProcess(name, filepath.Join(c.Dir, program), append([]string{"reports", "--kubeconfig", account.Kubeconfig}, o.Args...), o.Env)
}

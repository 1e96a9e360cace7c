package kube

import (
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// CertManagerUser is the name under which cert-manager's controllers act.
const CertManagerUser = "system:serviceaccount:cert-manager:cert-manager"

// CertManagerOptions say how cert-manager's controllers run. The zero value is a default installation.
type CertManagerOptions struct {
	// WithoutApprover leaves out the controller that approves every request.
	WithoutApprover bool
	// Args are more flags of test/certmanager.
	Args []string
}

// StartCertManager builds cert-manager's own controllers, cached and with progress as Assets does,
// and starts them as a user of their own. The namespace cert-manager holds the Secrets of ClusterIssuers.
func (c *Cluster) StartCertManager(ctx context.Context, o CertManagerOptions) (*Process, error) {
	program, err := runEnvtest(ctx, c.root, c.progress, "cert-manager")
	if err != nil {
		return nil, err
	}
	user, err := c.AddUser(CertManagerUser, "system:serviceaccounts", "system:serviceaccounts:cert-manager")
	if err != nil {
		return nil, err
	}
	if err := c.GrantClusterRole(ctx, "cluster-admin", user.Name); err != nil {
		return nil, err
	}
	if err := c.EnsureNamespace(ctx, "cert-manager"); err != nil {
		return nil, err
	}
	c.progress("starting cert-manager's controllers")
	args := []string{"--kubeconfig", user.Kubeconfig, fmt.Sprintf("--approver=%t", !o.WithoutApprover)}
	return c.StartProcess("cert-manager", program, append(args, o.Args...), nil)
}

// GrantClusterRole binds a ClusterRole to a user, for every namespace. To do it again changes nothing.
func (c *Cluster) GrantClusterRole(ctx context.Context, role, user string) error {
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role + ":" + user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
	}
	if err := client.IgnoreAlreadyExists(c.Client.Create(ctx, binding)); err != nil {
		return fmt.Errorf("give %s to %s: %w", role, user, err)
	}
	return nil
}

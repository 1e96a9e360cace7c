package kube

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// User is somebody the API server knows by a client certificate.
type User struct {
	// Name as RBAC and admission policies see it.
	Name string
	// Config to act as that user, without a client-side rate limit.
	Config *rest.Config
	// Kubeconfig is the path of a file that says the same.
	Kubeconfig string
}

// ServiceAccount is the user name of a service account.
func ServiceAccount(namespace, name string) string {
	return "system:serviceaccount:" + namespace + ":" + name
}

// AddUser makes a user of that name and groups. It has no right until RBAC gives it one; see
// GrantClusterRole and Apply.
func (c *Cluster) AddUser(name string, groups ...string) (*User, error) {
	added, err := c.env.AddUser(envtest.User{Name: name, Groups: groups}, &rest.Config{QPS: -1, Burst: -1})
	if err != nil {
		return nil, fmt.Errorf("make the user %s: %w", name, err)
	}
	text, err := added.KubeConfig()
	if err != nil {
		return nil, fmt.Errorf("make a kubeconfig for %s: %w", name, err)
	}
	path := filepath.Join(c.Dir, strings.NewReplacer(":", "-", "/", "-").Replace(name)+".kubeconfig")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, fmt.Errorf("write the kubeconfig of %s: %w", name, err)
	}
	return &User{Name: name, Config: added.Config(), Kubeconfig: path}, nil
}

// Package shards tries two operators in one cluster, in one namespace and with one zone, each of which acts for the objects
// that its selector matches. They have accounts of their own, and one gate policy lets both approve.
package shards

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/ns"
	"github.com/dane-operator/dane-operator/test/operator"
)

// label says which shard an object is in.
const label = "mail.dane-operator.io/shard"

// shared is the cluster, with cert-manager and the operator of shard a; second is the operator of shard b.
var (
	shared *lab.Lab
	second *kube.Process
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	tree, err := ns.StartTree("127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer tree.Stop()
	if err := start(context.Background(), tree.Addr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if code != 0 {
		fmt.Fprintf(os.Stderr, "the operator of shard a:\n%s\nthe operator of shard b:\n%s\n", shared.Operator.Tail(40), second.Tail(40))
	}
	if err := shared.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// start starts both operators.
func start(ctx context.Context, resolver string) error {
	args := func(part string) []string { return []string{"--resolvers", resolver, "--selector", label + "=" + part} }
	var err error
	shared, err = lab.Start(ctx, lab.Options{
		Namespace: "shared", Progress: func(line string) { fmt.Fprintln(os.Stderr, line) },
		Operator: operator.Options{Args: args("a"), WithoutPolicy: true},
	})
	if err != nil {
		return err
	}
	user, err := shared.AddUser(operator.Name+"-b", "system:serviceaccounts")
	if err != nil {
		return err
	}
	if err := shared.GrantClusterRole(ctx, "dane-operator", user.Name); err != nil {
		return err
	}
	if err := policyFor(ctx, operator.Name, user.Name); err != nil {
		return err
	}
	second, err = operator.Beside(shared.Cluster, "second", user.Kubeconfig, operator.Options{Args: append(lab.OperatorArgs(), args("b")...)})
	return err
}

// policyFor installs the gate policy with a list of accounts, as docs/configuration.md says.
func policyFor(ctx context.Context, accounts ...string) error {
	root, err := kube.Root()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(root, "config/policy/gate.yaml")) //nolint:gosec // a file of the repository
	if err != nil {
		return err
	}
	one, all := "'"+operator.Name+"'", "'"+strings.Join(accounts, "', '")+"'"
	if !strings.Contains(string(text), one) {
		return fmt.Errorf("the gate policy does not name %s", one)
	}
	return shared.Apply(ctx, strings.Replace(string(text), one, all, 1))
}

// Package e2e runs whole rollovers on BIND, Knot and PowerDNS, with secondaries of other makes,
// cert-manager's own controllers and a real Postfix, while two independent senders check the host all
// the time: Postfix through unbound, and one that replays every answer that a cache may still hold to
// libssl. A case is good only if no check fails; in the unsafe ones, exactly what the object's
// conditions announced.
package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/dane-operator/dane-operator/test/acme"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
)

// challenges is the resolver that cert-manager asks for the zone of an ACME challenge.
var challenges *acme.Resolver

// shared is the cluster with cert-manager, its approver included, and the operator; every test has a
// namespace, a zone and a mail server of its own.
var shared *lab.Lab

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if challenges, err = acme.StartResolver(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer challenges.Stop()
	shared, err = lab.Start(context.Background(), lab.Options{
		Namespace: "shared", Progress: func(line string) { fmt.Fprintln(os.Stderr, line) },
		CertManager: kube.CertManagerOptions{Args: []string{"--dns01-recursive-nameservers", challenges.Addr.String()}},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if code != 0 {
		fmt.Fprintln(os.Stderr, shared.Operator.Tail(60))
	}
	if err := shared.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

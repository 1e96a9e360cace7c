// Package api tests the schema of the API against a real API server: every rule with a good and a
// bad row, every limit, every default, and the columns that kubectl shows.
package api

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/dane-operator/dane-operator/test/kube"
)

// cluster is shared by every test of the package; each object has a name of its own.
var cluster *kube.Cluster

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	cluster, err = kube.Start(context.Background(), kube.Options{
		Progress: func(line string) { fmt.Fprintln(os.Stderr, line) },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := cluster.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

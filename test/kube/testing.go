package kube

import (
	"context"
	"testing"
)

// ForTest starts a cluster that ends with the test, and tells its progress to the test's log.
func ForTest(t testing.TB, o Options) *Cluster {
	t.Helper()
	if o.Progress == nil {
		o.Progress = func(line string) { t.Log(line) }
	}
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Namespace makes a namespace of a new name for a test and returns the name. Namespaces are never
// deleted, since nothing would finish that.
func (c *Cluster) Namespace(ctx context.Context, t testing.TB) string {
	t.Helper()
	namespace := newNamespace()
	if err := c.Client.Create(ctx, namespace); err != nil {
		t.Fatalf("make a namespace: %v", err)
	}
	return namespace.Name
}

package main

import (
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/internal/metrics"
)

// leaseWith is the lease of an operator with flags.
func leaseWith(t *testing.T, selector string) string {
	t.Helper()
	o := &options{}
	o.metrics.address = "0"
	if err := o.selector.Set(selector); err != nil {
		t.Fatal(err)
	}
	got, err := o.managerOptions(&metrics.Status{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Cache.ByObject) > 0 || got.Cache.DefaultLabelSelector != nil {
		t.Errorf("with the selector %q the cache lacks objects", selector)
	}
	return got.LeaderElectionID
}

// TestEachShardHasItsLease: operators with different selectors never wait for each other, and the one without has the lease
// that it has always had. The cache holds everything, whatever the selector.
func TestEachShardHasItsLease(t *testing.T) {
	none, a, b := leaseWith(t, ""), leaseWith(t, "shard=a"), leaseWith(t, "shard!=a")
	if none != "dane-operator.mail.dane-operator.io" || a == none || a == b || b == none {
		t.Errorf("the leases are %s, %s and %s", none, a, b)
	}
}

// TestSelectorThatIsNone is refused as a flag and in a file, by its name.
func TestSelectorThatIsNone(t *testing.T) {
	cmd := newCommand()
	if err := cmd.ParseFlags([]string{"--selector", "shard in (a"}); err == nil || !strings.Contains(err.Error(), "--selector") {
		t.Errorf("as a flag: %v", err)
	}
	const text = "apiVersion: config.dane-operator.io/v1alpha1\nkind: OperatorConfiguration\nwatch: {selector: 'shard in (a'}\n"
	if err := applyConfig(writeConfig(t, text), newCommand().Flags()); err == nil || !strings.Contains(err.Error(), "watch.selector") {
		t.Errorf("in a file: %v", err)
	}
}

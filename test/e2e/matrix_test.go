package e2e

import (
	"os"
	"testing"

	"github.com/dane-operator/dane-operator/test/servers"
)

// everywhere says that every case runs on a primary of every make; otherwise each runs on those that it
// names, chosen so that every make meets cases of each kind. "make test-matrix" sets it.
var everywhere = os.Getenv("DANE_TEST_MATRIX") == "full"

// on runs a case on primaries of the makes. Each has everything of its own but the cluster and the
// operator, and runs beside others: a case that stops the operator, or takes the policy away, is for
// alone.
func on(t *testing.T, makes []servers.Make, test func(t *testing.T, m servers.Make)) {
	t.Helper()
	t.Parallel()
	for _, m := range chosen(makes) {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			test(t, m)
		})
	}
}

// only runs a case on a primary of one make, whatever the matrix: it is about something that others do not have, or say in other
// words.
func only(t *testing.T, m servers.Make, test func(t *testing.T, m servers.Make)) {
	t.Helper()
	t.Parallel()
	t.Run(string(m), func(t *testing.T) {
		t.Parallel()
		test(t, m)
	})
}

// alone runs a case on primaries of the makes, one after the other: beside no other case at all, unless its
// caller runs beside others.
func alone(t *testing.T, makes []servers.Make, test func(t *testing.T, m servers.Make)) {
	t.Helper()
	for _, m := range chosen(makes) {
		t.Run(string(m), func(t *testing.T) { test(t, m) })
	}
}

func chosen(makes []servers.Make) []servers.Make {
	if everywhere {
		return servers.Makes
	}
	return makes
}

// The choices of makes.
var (
	all      = servers.Makes
	bind     = []servers.Make{servers.BIND}
	knot     = []servers.Make{servers.Knot}
	powerDNS = []servers.Make{servers.PowerDNS}
)

package dashboard

import (
	"net/http"
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/internal/shard"
)

// TestShardIsShown: the page has the objects that the operator acts for, in its lists and by their addresses, and no others.
func TestShardIsShown(t *testing.T) {
	part, err := shard.Parse("shard=a")
	if err != nil {
		t.Fatal(err)
	}
	inShard := map[string]string{"shard": "a"}
	own, ownZone := domain("three", "third", mx1), zoneFixture("ownzone")
	own.Labels, ownZone.Labels = inShard, inShard
	b := newBed(t, fakeClock(), func(o *Options) { o.Shard = part }, &own, &ownZone)
	for path, want := range map[string]struct {
		status int
		has    string
		lacks  string
	}{
		"/":      {http.StatusOK, "three", "second"},
		"/zones": {http.StatusOK, "dnszone=ownzone", "dnszone=zone&"},
		"/host?namespace=three&maildomain=third&host=" + mx1: {http.StatusOK, "", ""},
		"/host?namespace=two&maildomain=second&host=" + mx2:  {http.StatusNotFound, "another operator", ""},
		zoneLink(ownZone.Namespace, ownZone.Name):            {http.StatusOK, "", ""},
		zoneLink(ownZone.Namespace, "zone"):                  {http.StatusNotFound, "another operator", ""},
	} {
		got := b.get(path, "all")
		body := got.Body.String()
		if got.Code != want.status || !strings.Contains(body, want.has) || want.lacks != "" && strings.Contains(body, want.lacks) {
			t.Errorf("%s: %d, want %d, %q and no %q:\n%.3000s", path, got.Code, want.status, want.has, want.lacks, body)
		}
	}
}

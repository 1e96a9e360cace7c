package harness

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// TTL of all that the benchmarks publish.
const TTL = time.Hour

// ParseMake finds a make of server by its name, in any case.
func ParseMake(name string) (servers.Make, error) {
	for _, m := range servers.Makes {
		if strings.EqualFold(string(m), name) {
			return m, nil
		}
	}
	return "", fmt.Errorf("there is no server %q; choose one of %v", name, servers.Makes)
}

// StartActor starts the operator's own writer of a zone.
func StartActor(t testing.TB, p *servers.Primary, opts zone.Options) *zone.Actor {
	t.Helper()
	config := zone.Config{
		Zone: p.Zone, Primary: p.Addr.String(), Protocol: zone.TCP, Static: []netip.AddrPort{p.Addr},
		TSIG: &zone.TSIG{Name: p.TSIGName, Algorithm: p.TSIGAlgorithm, Secret: p.TSIGSecret},
	}
	ds, err := dnssec.ParseDS(p.DS, p.Zone)
	if err != nil {
		t.Fatal(err)
	}
	config.Anchors = []dnssec.Anchor{ds}
	actor := zone.NewActor(config, opts)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), bareTimeout)
		defer cancel()
		actor.Close(ctx)
	})
	return actor
}

// Records are two associations, told apart by the words.
func Records(words string) []tlsa.Record {
	out := make([]tlsa.Record, 2)
	for i := range out {
		sum := sha256.Sum256(fmt.Append(nil, words, i))
		out[i] = tlsa.Record{Parameters: tlsa.Parameters{Usage: 3, Selector: 1, MatchingType: 1}, Data: hex.EncodeToString(sum[:])}
	}
	return tlsa.Normalize(out)
}

package resolve

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestAddressesOfResolvers(t *testing.T) {
	for _, c := range []struct {
		reason  string
		entries []string
		want    []string
		says    string
	}{
		{"addresses", []string{"192.0.2.53:53", "[2001:db8::53]:5353"}, []string{"192.0.2.53:53", "[2001:db8::53]:5353"}, ""},
		{"an address of IPv4 in other clothes", []string{"[::ffff:192.0.2.53]:53"}, []string{"192.0.2.53:53"}, ""},
		{"a name", []string{"localhost:53"}, []string{"127.0.0.1:53"}, ""},
		{"one that cannot be used beside one that can", []string{"192.0.2.53:domain", "192.0.2.54:53"}, []string{"192.0.2.54:53"}, ""},
		{"no port", []string{"192.0.2.53"}, nil, "want HOST:PORT"},
		{"no port number", []string{"192.0.2.53:70000"}, nil, "want a port number"},
		{"a name without address", []string{"nothing.invalid:53"}, nil, "the address of the resolver nothing.invalid:53 is not known"},
	} {
		got, err := addressesOf(t.Context(), c.entries)
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) || len(got) > 0 {
				t.Errorf("%s: %v, %v", c.reason, got, err)
			}
			continue
		}
		for _, want := range c.want {
			if !slices.Contains(got, netip.MustParseAddrPort(want)) {
				t.Errorf("%s: %v, %v, want %s", c.reason, got, err, want)
			}
		}
	}
}

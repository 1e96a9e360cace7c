package servers

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/dane-operator/dane-operator/test/wire"
)

// dnsPort is where delegations lead to, and mailPort where MX records do: neither gives a port.
const dnsPort, mailPort = 53, 25

// PublicAddress is a loopback address that nothing listens on at port 53, for a server that delegations lead to, or a
// resolver: libc asks no other port. To listen there needs root.
func PublicAddress(t testing.TB) netip.Addr {
	t.Helper()
	return publicAddress(t, dnsPort).Addr()
}

// MailAddress is a loopback address where nothing listens at port 25, which MX records lead to.
func MailAddress(t testing.TB) netip.AddrPort {
	t.Helper()
	return publicAddress(t, mailPort)
}

func publicAddress(t testing.TB, port uint16) netip.AddrPort {
	t.Helper()
	given.Lock()
	defer given.Unlock()
	var err error
	for range 200 {
		addr := netip.AddrFrom4([4]byte{127, 54, byte(rand.IntN(256)), byte(1 + rand.IntN(254))}) //nolint:gosec // no secret
		at := netip.AddrPortFrom(addr, port)
		if given.ports[at] {
			continue
		}
		if err = free(at); err == nil {
			given.ports[at] = true
			return at
		}
	}
	t.Fatalf("port %d of no loopback address is free, or this user may not listen there (root may): %v", port, err)
	return netip.AddrPort{}
}

// AtPort53 is where delegations lead to at an address.
func AtPort53(addr netip.Addr) netip.AddrPort { return netip.AddrPortFrom(addr, dnsPort) }

// StartPublic has a server answer at port 53 of a PublicAddress too, for as long as the test runs: messages go to it as
// they are, and come back so. named by itself listens only on addresses that an interface has.
func StartPublic(t testing.TB, addr netip.Addr, server netip.AddrPort) *wire.DNS {
	t.Helper()
	var p *wire.DNS
	Eventually(t, "the address is free", func() (err error) { // what stood there may just have been stopped
		if p, err = wire.StartDNS(server.String(), AtPort53(addr)); err != nil {
			return fmt.Errorf("give %s a public address: %w", server, err)
		}
		return nil
	})
	t.Cleanup(p.Stop)
	return p
}

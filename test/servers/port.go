package servers

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
)

// Daemons get their ports from here. The kernel hands out those from 32768 on to clients (Linux; 49152
// elsewhere): one of them may be gone between the look that finds it free and the daemon's bind, and
// while a daemon is stopped. Nobody hands out those below, and so that several tests may run at the
// same time each takes some at random.
const firstPort, endOfPorts = 20000, 32000

// given are the ports that this program has handed out; a daemon may take its own only later.
var given = struct {
	sync.Mutex
	ports map[netip.AddrPort]bool
}{ports: map[netip.AddrPort]bool{}}

// FreePort finds a port of an address that is free for TCP and UDP.
func FreePort(t testing.TB, address string) uint16 {
	t.Helper()
	ip, err := netip.ParseAddr(address)
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	given.Lock()
	defer given.Unlock()
	for range 200 {
		at := netip.AddrPortFrom(ip, uint16(firstPort+rand.IntN(endOfPorts-firstPort))) //nolint:gosec // no secret
		if given.ports[at] {
			continue
		}
		if err = free(at); err == nil {
			given.ports[at] = true
			return at.Port()
		}
	}
	t.Fatalf("no port of %s is free for both TCP and UDP: %v", address, err)
	return 0
}

// free returns nil if nothing uses a port.
func free(at netip.AddrPort) error {
	l, err := net.Listen("tcp", at.String())
	if err != nil {
		return fmt.Errorf("by TCP: %w", err)
	}
	_ = l.Close()
	p, err := net.ListenPacket("udp", at.String())
	if err != nil {
		return fmt.Errorf("by UDP: %w", err)
	}
	return p.Close()
}

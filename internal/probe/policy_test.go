package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// class is what the dial policy makes of an address.
type class string

const (
	public  class = "public"
	inside  class = "private" // for a Service of the cluster, or when it is allowed
	unusual class = "special" // when it is allowed
	taboo   class = "never"
)

// admitted says in so many words what each class means.
func (c class) admitted(trusted, allowed bool) bool {
	switch c {
	case public:
		return true
	case inside:
		return trusted || allowed
	case unusual:
		return allowed
	default:
		return false
	}
}

// everything is the widest leave that there is.
var everything = prefixes("0.0.0.0/0", "::/0")

// recorder is a Dial that only writes down what it is asked for.
type recorder struct{ dialled []string }

func (r *recorder) dial(_ context.Context, network, address string) (net.Conn, error) {
	r.dialled = append(r.dialled, network+" "+address)
	return nil, errors.New("nothing is dialled here")
}

var addresses = []struct {
	reason string
	addr   string
	want   class
}{
	{"public IPv4", "1.1.1.1", public},
	{"public IPv6", "2606:4700:4700::1111", public},
	{"IPv4 below 10/8", "9.255.255.255", public},
	{"IPv4 above 10/8", "11.0.0.0", public},
	{"IPv4 below 172.16/12", "172.15.255.255", public},
	{"IPv4 above 172.16/12", "172.32.0.0", public},
	{"IPv4 below CGNAT", "100.63.255.255", public},
	{"IPv4 above CGNAT", "100.128.0.0", public},
	{"IPv4 below link-local", "169.253.255.255", public},
	{"IPv4 above link-local", "169.255.0.0", public},
	{"IPv4 below multicast", "223.255.255.255", public},
	{"IPv6 beside the documentation", "2001:db7::1", public},
	{"RFC 1918, 10/8", "10.0.0.1", inside},
	{"RFC 1918, end of 10/8", "10.255.255.255", inside},
	{"RFC 1918, 172.16/12", "172.16.0.1", inside},
	{"RFC 1918, end of 172.16/12", "172.31.255.255", inside},
	{"RFC 1918, 192.168/16", "192.168.1.1", inside},
	{"CGNAT", "100.64.0.1", inside},
	{"end of CGNAT", "100.127.255.255", inside},
	{"ULA", "fd12:3456:789a::1", inside},
	{"ULA of the half not yet defined", "fc00::1", inside},
	{"ULA with a zone", "fd12::1%eth0", inside},
	{"loopback", "127.0.0.1", unusual},
	{"end of loopback", "127.255.255.254", unusual},
	{"loopback IPv6", "::1", unusual},
	{"loopback IPv6 with a zone", "::1%lo", unusual},
	{"protocol assignments", "192.0.0.8", unusual},
	{"benchmarks", "198.18.0.1", unusual},
	{"documentation 1", "192.0.2.1", unusual},
	{"documentation 2", "198.51.100.1", unusual},
	{"documentation 3", "203.0.113.1", unusual},
	{"documentation IPv6", "2001:db8::1", unusual},
	{"documentation IPv6, the newer", "3fff::1", unusual},
	{"discard", "100::1", unusual},
	{"segment routing", "5f00::1", unusual},
	{"site-local", "fec0::1", unusual},
	{"link-local", "169.254.1.1", taboo},
	{"metadata", "169.254.169.254", taboo},
	{"metadata of Alibaba, within CGNAT", "100.100.100.200", taboo},
	{"metadata of AWS, within ULA", "fd00:ec2::254", taboo},
	{"link-local IPv6", "fe80::1", taboo},
	{"link-local IPv6 with a zone", "fe80::1%eth0", taboo},
	{"this network", "0.0.0.0", taboo},
	{"this network, which Linux takes for loopback", "0.1.2.3", taboo},
	{"unspecified IPv6", "::", taboo},
	{"multicast", "224.0.0.1", taboo},
	{"end of multicast", "239.255.255.255", taboo},
	{"multicast IPv6", "ff02::1", taboo},
	{"multicast IPv6 with a zone", "ff02::1%eth0", taboo},
	{"reserved", "240.0.0.1", taboo},
	{"broadcast", "255.255.255.255", taboo},
	{"6to4 of a private address", "2002:a00:1::1", taboo},
	{"6to4 of a public address", "2002:101:101::1", taboo},
	{"Teredo", "2001:0:1::1", taboo},
	{"NAT64 of a private address", "64:ff9b::10.0.0.1", taboo},
	{"NAT64 of metadata", "64:ff9b::169.254.169.254", taboo},
	{"NAT64 for networks", "64:ff9b:1::10.0.0.1", taboo},
	{"IPv4-translated address of metadata", "::ffff:0:169.254.169.254", taboo},
	{"IPv4-compatible address of a private one", "::10.0.0.1", taboo},
	{"IPv4-compatible address of loopback", "::127.0.0.1", taboo},
}

// TestDialPolicy checks each address by itself and mapped into IPv6, for a Service and for a name of the
// DNS, with leave for everything and with none. What is forbidden must not be dialled.
func TestDialPolicy(t *testing.T) {
	for _, tc := range addresses {
		t.Run(tc.reason, func(t *testing.T) {
			addr := netip.MustParseAddr(tc.addr)
			notations := []netip.Addr{addr}
			if addr.Is4() {
				notations = append(notations, netip.AddrFrom16(addr.As16()))
			}
			for _, addr := range notations {
				for _, trusted := range []bool{false, true} {
					for _, allowed := range [][]netip.Prefix{nil, everything} {
						checkPolicy(t, addr, trusted, allowed, tc.want)
					}
				}
			}
		})
	}
}

func checkPolicy(t *testing.T, addr netip.Addr, trusted bool, allowed []netip.Prefix, want class) {
	t.Helper()
	var r recorder
	target := Target{Host: host, Addr: netip.AddrPortFrom(addr, 25), Protocol: SMTP, KeyType: AnyKey, Trusted: trusted}
	got := New(Options{AllowCIDRs: allowed, Dial: r.dial}).Probe(context.Background(), target)
	if want.admitted(trusted, allowed != nil) {
		if got.Outcome != Unreachable || !slices.Equal(r.dialled, []string{"tcp " + target.Addr.String()}) {
			t.Errorf("%s, trusted %v, allowed %v: want it dialled, got %s: %s", addr, trusted, allowed, got.Outcome, got.Message)
		}
		return
	}
	text := " is not a public address: name the Service in probe.serviceRef, or start the operator with --probe-allow-cidr for its network"
	if want == taboo {
		text = " is a link-local, metadata or multicast address, which is never probed"
	}
	if got.Outcome != Forbidden || got.Message != addr.Unmap().WithZone("").String()+text || len(r.dialled) != 0 {
		t.Errorf("%s, trusted %v, allowed %v: got %s: %s, dialled %v", addr, trusted, allowed, got.Outcome, got.Message, r.dialled)
	}
}

// TestLeaveIsForItsNetworkAlone checks what one network of the allowed ones opens.
func TestLeaveIsForItsNetworkAlone(t *testing.T) {
	for _, tc := range []struct {
		reason string
		leave  string
		addr   string
		want   bool
	}{
		{"within", "10.1.0.0/16", "10.1.2.3", true},
		{"within, mapped", "10.1.0.0/16", "::ffff:10.1.2.3", true},
		{"beside", "10.1.0.0/16", "10.2.0.1", false},
		{"another private network", "10.0.0.0/8", "192.168.0.1", false},
		{"one address", "127.0.0.1/32", "127.0.0.1", true},
		{"beside one address", "127.0.0.1/32", "127.0.0.2", false},
		{"all of IPv4 is not IPv6", "0.0.0.0/0", "fd00::1", false},
		{"all of IPv6 is not IPv4", "::/0", "10.0.0.1", false},
		{"all of IPv6 is not mapped IPv4", "::/0", "::ffff:10.0.0.1", false},
		{"with a zone", "fd00::/8", "fd12::1%eth0", true},
		{"leave for metadata is of no use", "169.254.169.254/32", "169.254.169.254", false},
		{"leave for link-local is of no use", "fe80::/10", "fe80::1%eth0", false},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			why := forbidden(netip.MustParseAddr(tc.addr), false, prefixes(tc.leave))
			if (why == "") != tc.want {
				t.Errorf("got %q", why)
			}
		})
	}
	if why := forbidden(netip.Addr{}, true, everything); !strings.Contains(why, "never probed") {
		t.Errorf("no address at all: got %q", why)
	}
}

// TestPolicyOfAnyAddress checks what holds for every address: notation and zone change nothing, and trust
// and leave never take anything away nor open what is never probed.
func TestPolicyOfAnyAddress(t *testing.T) {
	octets := rapid.SliceOfN(rapid.Byte(), 16, 16)
	networks := slices.Concat(never, private, special)
	rapid.Check(t, func(t *rapid.T) {
		addr := netip.AddrFrom16([16]byte(octets.Draw(t, "octets"))).Unmap()
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			addr = rapid.SampledFrom(networks).Draw(t, "network").Addr()
		case 1:
			addr = netip.AddrFrom4([4]byte(octets.Draw(t, "IPv4")[:4]))
		}
		plain, trusted := forbidden(addr, false, nil), forbidden(addr, true, nil)
		allowed := forbidden(addr, false, everything)
		closed := contains(never, addr) && addr != netip.IPv6Loopback()
		if plain == "" && (trusted != "" || allowed != "") || closed != (allowed != "") {
			t.Errorf("%s: by itself %q, trusted %q, allowed %q", addr, plain, trusted, allowed)
		}
		mapped := netip.AddrFrom16(addr.As16())
		if got := forbidden(mapped, false, nil); got != plain {
			t.Errorf("%s: %q, mapped %q", addr, plain, got)
		}
		if got := forbidden(mapped.WithZone("eth0"), false, nil); got != plain {
			t.Errorf("%s: %q, with a zone %q", addr, plain, got)
		}
	})
}

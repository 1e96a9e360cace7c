package zone

import (
	"net/netip"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// foundEndpoint is a server that records in DNS tell of. They may hold any address, that of something in the network
// that this program runs in too: what is forbidden is not asked, unless the user names it as well.
func foundEndpoint(opts Options, cfg Config, at netip.AddrPort, p Protocol) endpoint {
	e := endpoint{name: at.String(), address: at.String(), protocol: p}
	if !configured(cfg, at.Addr()) {
		e.forbidden = dnssec.Forbidden(at.Addr(), opts.Allowed)
	}
	return e
}

// publicEndpoint is a name server that records in DNS tell of.
func publicEndpoint(opts Options, cfg Config, addr netip.Addr) endpoint {
	return foundEndpoint(opts, cfg, netip.AddrPortFrom(addr, dnsPort), TCP)
}

// configured says whether the user names an address, as that of the update server or of another one.
func configured(cfg Config, addr netip.Addr) bool {
	for _, s := range cfg.Static {
		if s.Addr().Unmap() == addr.Unmap() {
			return true
		}
	}
	primary, err := netip.ParseAddrPort(cfg.Primary)
	return err == nil && primary.Addr().Unmap() == addr.Unmap()
}

// forbiddenError is that of a connection to a server that may not be asked.
type forbiddenError struct{ why string }

func (e *forbiddenError) Error() string { return e.why }

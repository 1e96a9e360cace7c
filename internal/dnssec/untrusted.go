package dnssec

import "github.com/miekg/dns"

// UntrustedKeys are the keys that a zone shows, whatever leads to them: with them it can be told what is
// wrong inside a zone although its delegation is broken, or nobody has delegated it yet. What they verify
// is not secure. It is nil when there are none that may sign; more than MaxKeys verify nothing, and say so.
func (c *Cache) UntrustedKeys(zone string, dnskeys []dns.RR) *Keys {
	zone = dns.CanonicalName(zone)
	keys, err := keysOf(zone, dnskeys)
	if err == nil && len(keys) == 0 {
		return nil
	}
	return &Keys{zone: zone, keys: keys, excess: err, checked: c}
}

package servers

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/miekg/dns"
)

// Beside is one more zone that a primary serves, with the host www in it. Its name server is ns1 of the primary's own
// zone, from which it is meant to be delegated.
type Beside struct {
	// Zone apex.
	Zone string
	// Unsigned leaves DNSSEC away. Otherwise the server signs it, as it does its own; see Primary.DSOf.
	Unsigned bool
}

// besideFile is the zone file of the nth.
func besideFile(n int) string { return fmt.Sprintf("beside-%d.db", n) }

func (p *Primary) besideText(z Beside) string {
	return fmt.Sprintf("$ORIGIN %[1]s\n$TTL 300\n@ SOA ns1.%[2]s hostmaster 1 3600 600 86400 60\n@ NS ns1.%[2]s\nwww A 192.0.2.1\n", dns.Fqdn(z.Zone), p.Zone)
}

// DSOf is the RDATA of the DS record of a zone of Options.Beside, in presentation form.
func (p *Primary) DSOf(zone string) string {
	p.t.Helper()
	var out string
	Eventually(p.t, "the zone "+zone+" is signed", func() error {
		ds, err := signedDS(p.Addr, zone)
		if err == nil {
			out = presentDS(ds)
		}
		return err
	})
	return out
}

func presentDS(ds *dns.DS) string {
	return fmt.Sprintf("%d %d %d %s", ds.KeyTag, ds.Algorithm, ds.DigestType, strings.ToUpper(ds.Digest))
}

func (b *bind) beside(p *Primary) string {
	var out strings.Builder
	for n, z := range p.options.Beside {
		signing := "dnssec-policy default; inline-signing no; "
		if z.Unsigned {
			signing = ""
		}
		fmt.Fprintf(&out, "zone %q { type primary; file %q; %supdate-policy { grant %s zonesub ANY; }; };\n", dns.Fqdn(z.Zone), besideFile(n), signing, AdminName)
	}
	return out.String()
}

func (k knot) beside(p *Primary) string {
	var out strings.Builder
	for n, z := range p.options.Beside {
		signing := "on"
		if z.Unsigned {
			signing = "off"
		}
		fmt.Fprintf(&out, "  - domain: %s\n    storage: %q\n    file: %s\n    dnssec-signing: %s\n    dnssec-policy: mail\n", dns.Fqdn(z.Zone), p.dir, besideFile(n), signing)
	}
	return out.String()
}

func (d powerDNS) beside(p *Primary) {
	p.t.Helper()
	for n, z := range p.options.Beside {
		commands := [][]string{{"load-zone", dns.Fqdn(z.Zone), filepath.Join(p.dir, besideFile(n))}, {"secure-zone", dns.Fqdn(z.Zone)}, {"rectify-zone", dns.Fqdn(z.Zone)}}
		if z.Unsigned {
			commands = append(commands[:1], commands[2])
		}
		for _, c := range commands {
			if _, err := d.util(p, c...); err != nil {
				p.t.Fatal(err)
			}
		}
	}
}

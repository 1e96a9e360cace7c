package zone_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// What BIND and NSD prove of names that are not there must validate, or a removal would never count
// as seen; with NSEC and with NSEC3, whose proofs take other ways.
func TestDenialsOfRealServersValidate(t *testing.T) {
	for _, hashed := range []bool{false, true} {
		t.Run(fmt.Sprintf("NSEC3 %t", hashed), func(t *testing.T) {
			r := newRig(t, servers.Options{NSEC3: hashed, Records: []string{
				"mx1 A 192.0.2.1", "_25._tcp.mx2 A 192.0.2.1", "_443._tcp.mx3 A 192.0.2.1", "*._tcp.wild A 192.0.2.1",
				"*.wider TXT x", "_25._tcp.alias CNAME nothere",
			}}).withSecondaries()
			if hashed {
				servers.Eventually(t, "the zone has its NSEC3 chain", func() error { return hasNSEC3(r.primary) })
				for _, s := range r.secondaries {
					s.CatchUp()
				}
			}
			r.start(zone.Options{})
			for reason, owner := range map[string]string{
				"a host without the name below":        "_25._tcp.mx1.example.test.",
				"a name with another type":             "_25._tcp.mx2.example.test.",
				"a name beside another below the host": "_25._tcp.mx3.example.test.",
				"an empty non-terminal":                "_tcp.mx3.example.test.",
				"a host that is not there":             "_25._tcp.nothere.example.test.",
				"a wildcard without the type":          "_25._tcp.wild.example.test.",
				"a wildcard further up":                "_25._tcp.mx.wider.example.test.",
				"an alias to nothing":                  "_25._tcp.alias.example.test.",
				"the apex":                             "example.test.",
			} {
				s := r.sweep(owner)
				if len(s.Answers) != 3 {
					t.Errorf("%s: %d answers", reason, len(s.Answers))
				}
				if err := green(s); err != nil {
					t.Errorf("%s: %v", reason, err)
				}
			}
		})
	}
}

func hasNSEC3(p *servers.Primary) error {
	m, err := servers.Ask(p.Addr, "nothere."+apex, dns.TypeTLSA, false)
	if err != nil {
		return err
	}
	for _, rr := range m.Ns {
		if rr.Header().Rrtype == dns.TypeNSEC3 {
			return nil
		}
	}
	return fmt.Errorf("no NSEC3 in the denial yet")
}

// A wildcard's TLSA record answers for the owner; published records take its place, and when they
// go the wildcard shows again. Both count as done.
func TestWildcardRecordIsNotTheOwners(t *testing.T) {
	r := newRig(t, servers.Options{Records: []string{"*._tcp.mx1 60 TLSA 3 1 1 " + record(7).Data}}).withSecondaries().start(zone.Options{})
	r.eventuallyGreen(mx1, 3, record(7))
	r.mustPublish(zone.Change{Owner: mx1, Expect: []tlsa.Record{record(7)}, Want: []tlsa.Record{record(1)}})
	r.eventuallyGreen(mx1, 3, record(1))
	r.mustPublish(zone.Change{Owner: mx1, Expect: []tlsa.Record{record(1)}})
	r.eventuallyGreen(mx1, 3, record(7))
}

// BIND with inline-signing says NOERROR before it serves the change.
func TestInlineSigningIsWaitedFor(t *testing.T) {
	r := newRig(t, servers.Options{InlineSigning: true}).start(zone.Options{ReadBackFor: 20 * time.Second})
	var before []tlsa.Record
	for i := range 20 {
		want := []tlsa.Record{record(i)}
		r.mustPublish(zone.Change{Owner: mx1, Expect: before, Want: want})
		before = want
	}
}

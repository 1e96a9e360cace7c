package zone_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// TestRowsOfRecords are the rows about what becomes of records.
func TestRowsOfRecords(t *testing.T) {
	tryRows(t, servers.Options{Records: []string{
		"_25._tcp.r07 60 CNAME elsewhere", "r09 60 DNAME other",
		"*.r22 60 TLSA 3 1 1 " + record(7).Data, "mx.r22 A 192.0.2.1",
	}}, []row{
		{1, "identical re-add", rowIdentical},
		{2, "same rdata with another TTL", rowOtherTTL},
		{3, "second rdata with another TTL", rowSecondTTL},
		{4, "RRset deleted and added again in one message", rowReplaced},
		{5, "value-dependent prerequisite that matches, is stale, is a subset", rowPrerequisite},
		{6, "update sent again after it was applied", rowSentAgain},
		{7, "TLSA where a CNAME is", rowAtAlias},
		{8, "CNAME where a TLSA is", rowAliasAt},
		{9, "TLSA below a DNAME", rowBelowDNAME},
		{19, "CDS of somebody else in a signed zone", rowCDS},
		{20, "DS without NS", rowDS},
		{21, "owner in mixed case", rowMixedCase},
		{22, "wildcard", rowWildcard},
	})
}

func rowIdentical(t *testing.T, s *site) {
	const name = "_25._tcp.r01"
	s.does(t, "first add", s.op.send(s.op.add(tl(name, 60, 1))), every("NOERROR"))
	s.does(t, "add again", s.leaves(t, func() { s.op.send(s.op.add(tl(name, 60, 1))) }), every("same serial"))
	s.does(t, "the actor's change to what stands", s.leaves(t, func() {
		s.ends(t, s.publish(name, 60, recs(1), recs(1)), every("Unchanged"))
	}), every("same serial"))
}

// Knot says NOERROR and keeps the old TTL. The actor deletes the RRset in the same message.
func rowOtherTTL(t *testing.T, s *site) {
	const name = "_25._tcp.r02"
	s.op.send(s.op.add(tl(name, 60, 1)))
	s.does(t, "add with another TTL", s.op.send(s.op.add(tl(name, 90, 1))), every("NOERROR"))
	s.does(t, "served then", s.shows(t, name), by{servers.BIND: "90: 1", servers.Knot: "60: 1", servers.PowerDNS: "90: 1"})
	s.ends(t, s.publish(name, 120, recs(1), recs(1)), every("Applied"))
	s.does(t, "served after the actor", s.shows(t, name), every("120: 1"))
}

func rowSecondTTL(t *testing.T, s *site) {
	const name = "_25._tcp.r03"
	s.op.send(s.op.add(tl(name, 60, 1)))
	s.does(t, "add", s.op.send(s.op.add(tl(name, 90, 2))), every("NOERROR"))
	s.does(t, "served then", s.shows(t, name), every("90: 1 2"))
	s.ends(t, s.publish(name, 120, recs(1, 2), recs(1, 2, 3)), every("Applied"))
	s.does(t, "served after the actor", s.shows(t, name), every("120: 1 2 3"))
}

// PowerDNS raises the serial and tells the secondaries although nothing changes: the actor compares first.
func rowReplaced(t *testing.T, s *site) {
	const name = "_25._tcp.r04"
	s.op.send(s.op.add(tl(name, 60, 1)))
	replace := s.op.replace(tl(name, 90, 2), tl(name, 90, 3))
	s.does(t, "replace", s.op.send(replace), every("NOERROR"))
	s.does(t, "served then", s.shows(t, name), every("90: 2 3"))
	s.does(t, "replace again", s.leaves(t, func() { s.op.send(replace) }),
		by{servers.BIND: "same serial", servers.Knot: "same serial", servers.PowerDNS: "serial raised"})
	s.does(t, "the actor twice", s.leaves(t, func() {
		s.ends(t, s.publish(name, 90, recs(2, 3), recs(2, 3)), every("Unchanged"))
	}), every("same serial"))
}

// swap is compare-and-swap of a whole RRset.
func (r raw) swap(name string, expect []int, want ...int) *dns.Msg {
	r.t.Helper()
	m := r.update()
	for _, n := range expect {
		m.Used(r.rr(tl(name, 0, n)))
	}
	for _, rr := range m.Answer {
		rr.Header().Ttl = 0
	}
	m.RemoveRRset(r.rr(tl(name, 0, 0)))
	for _, n := range want {
		m.Insert(r.rr(tl(name, 60, n)))
	}
	return m
}

func rowPrerequisite(t *testing.T, s *site) {
	const name = "_25._tcp.r05"
	s.op.send(s.op.add(tl(name, 60, 1), tl(name, 60, 2)))
	s.does(t, "stale", s.op.send(s.op.swap(name, []int{3}, 4)), every("NXRRSET"))
	s.does(t, "a subset", s.op.send(s.op.swap(name, []int{1}, 4)), every("NXRRSET"))
	s.does(t, "served then", s.shows(t, name), every("60: 1 2"))
	for _, expect := range [][]int{{3}, {1}, nil} {
		s.ends(t, s.publish(name, 60, recs(expect...), recs(4)), every("Conflict"), full(name), "somebody else", "nothing was overwritten")
	}
	s.does(t, "matching", s.op.send(s.op.swap(name, []int{2, 1}, 4)), every("NOERROR"))
	s.ends(t, s.publish(name, 60, recs(4), recs(5)), every("Applied"))
	s.does(t, "served at last", s.shows(t, name), every("60: 5"))
}

// The answer to a second try looks like a conflict and is our own success: what stands decides.
func rowSentAgain(t *testing.T, s *site) {
	const name = "_25._tcp.r06"
	s.op.send(s.op.add(tl(name, 60, 1)))
	again := s.op.swap(name, []int{1}, 2)
	s.does(t, "first", s.op.send(again), every("NOERROR"))
	s.does(t, "again", s.op.send(again), every("NXRRSET"))
	s.ends(t, s.publish(name, 60, recs(1), recs(2)), every("Unchanged"))
	deaf := s.with(nil, zone.Options{Dial: deafToUpdates})
	s.ends(t, s.publishBy(deaf, zone.Change{Owner: full(name), Expect: recs(2), Want: recs(3)}), every("Applied"))
	s.does(t, "served at last", s.shows(t, name), every("60: 3"))
}

// deafToUpdates opens connections on which no reply to an update arrives, although it was made.
func deafToUpdates(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	d := &deaf{Conn: conn}
	return interposed{Conn: d, before: func() { d.update = true }}, nil
}

type deaf struct {
	net.Conn
	update bool
}

// Read waits for the reply, and loses it.
func (d *deaf) Read(octets []byte) (int, error) {
	n, err := d.Conn.Read(octets)
	if d.update && err == nil {
		return 0, io.EOF
	}
	return n, err
}

// BIND and Knot say NOERROR and do nothing; PowerDNS refuses the whole message. The actor sends nothing.
func rowAtAlias(t *testing.T, s *site) {
	const name = "_25._tcp.r07"
	s.does(t, "add", s.op.send(s.op.replace(tl(name, 60, 1))), by{servers.BIND: "NOERROR", servers.Knot: "NOERROR", servers.PowerDNS: "REFUSED"})
	s.does(t, "served then", s.shows(t, name), every("alias"))
	s.ends(t, s.publish(name, 60, nil, recs(1)), every("OwnerIsAlias"), full(name), full("elsewhere"), "remove the CNAME")
}

func rowAliasAt(t *testing.T, s *site) {
	const name = "_25._tcp.r08"
	s.ends(t, s.publish(name, 60, nil, recs(1)), every("Applied"))
	s.does(t, "add CNAME", s.admin.send(s.admin.add(name+" 60 CNAME elsewhere")), by{servers.BIND: "NOERROR", servers.Knot: "NOERROR", servers.PowerDNS: "REFUSED"})
	s.does(t, "served then", s.shows(t, name), every("60: 1"))
	s.ends(t, s.publish(name, 60, recs(1), recs(2)), every("Applied"))
	s.p.Admin("delete "+full(name)+" TLSA", "add "+full(name)+" 60 CNAME elsewhere."+apex)
	s.does(t, "served when the TLSA makes way in the same message", s.shows(t, name), by{servers.BIND: "alias", servers.Knot: "nothing", servers.PowerDNS: "alias"})
	s.p.Admin("add " + full(name) + " 60 CNAME elsewhere." + apex)
	s.does(t, "served when the CNAME comes after", s.shows(t, name), every("alias"))
	s.ends(t, s.publish(name, 60, recs(2), recs(3)), every("OwnerIsAlias"), full(name), "remove the CNAME")
}

// PowerDNS knows no DNAME unless told (dname-processing): it serves what stands below. Its secondaries of
// other makes do not: TestBelowDNAMEOfPowerDNS.
func rowBelowDNAME(t *testing.T, s *site) {
	const name = "_25._tcp.r09"
	s.does(t, "add", s.op.send(s.op.replace(tl(name, 60, 1))), by{servers.BIND: "NOERROR", servers.Knot: "REFUSED", servers.PowerDNS: "NOERROR"})
	s.does(t, "served then", s.shows(t, name), by{servers.BIND: "alias", servers.Knot: "alias", servers.PowerDNS: "60: 1"})
	s.ends(t, s.publish("_26._tcp.r09", 60, nil, recs(1)), by{servers.BIND: "OwnerIsAlias", servers.Knot: "OwnerIsAlias", servers.PowerDNS: "Applied"},
		full("_26._tcp.r09"), full("r09"), "remove the DNAME")
}

// Knot keeps its own; the others take anybody's who may write CDS. The health of the zone shows them.
func rowCDS(t *testing.T, s *site) {
	foreign := "12345 13 2 " + strings.ToUpper(record(3).Data)
	own := s.cds(t)
	s.does(t, "add", s.admin.send(s.admin.add("@ 60 CDS "+foreign)), every("NOERROR"))
	after := map[servers.Make]string{servers.BIND: foreign, servers.Knot: own, servers.PowerDNS: foreign}[s.m]
	if got := s.cds(t); got != after || s.m == servers.Knot && got == "" {
		t.Errorf("CDS is %q, want %q", got, after)
	}
	if got := strings.Join(s.actor.check().DNSSEC.CDS, " "); got != after {
		t.Errorf("the health shows CDS %q, want %q", got, after)
	}
	m := s.admin.update()
	m.RemoveRRset(s.admin.rr("@ 60 CDS " + foreign))
	s.does(t, "delete", s.admin.send(m), every("NOERROR"))
	if got := s.cds(t); got != own {
		t.Errorf("after deletion CDS is %q, want %q", got, own)
	}
}

func (s *site) cds(t *testing.T) string {
	t.Helper()
	out := ""
	for _, rr := range rrset(answer(t, s.p.Addr, apex, dns.TypeCDS), apex, dns.TypeCDS) {
		c := rr.(*dns.CDS)
		out += fmt.Sprintf("%d %d %d %s", c.KeyTag, c.Algorithm, c.DigestType, strings.ToUpper(c.Digest))
	}
	return out
}

// A DS record alone makes no zone cut: records below it are published and validate.
func rowDS(t *testing.T, s *site) {
	s.does(t, "add", s.admin.send(s.admin.add("r20 60 DS 12345 13 2 "+record(3).Data)), every("NOERROR"))
	stored := fmt.Sprint(len(rrset(answer(t, s.p.Addr, full("r20"), dns.TypeDS), full("r20"), dns.TypeDS)))
	s.does(t, "DS records served", stored, by{servers.BIND: "0", servers.Knot: "1", servers.PowerDNS: "1"})
	s.ends(t, s.publish("_25._tcp.r20", 60, nil, recs(1)), every("Applied"))
	if err := green(s.actor.sweep(full("_25._tcp.r20")), record(1)); err != nil {
		t.Error(err)
	}
}

func rowMixedCase(t *testing.T, s *site) {
	const name = "_25._tcp.r21"
	s.op.send(s.op.add(tl(name, 60, 1)))
	s.does(t, "add in capitals", s.op.send(s.op.add(tl("_25._TCP.R21.Example.TEST.", 60, 2))), every("NOERROR"))
	s.does(t, "served then", s.shows(t, name), every("60: 1 2"))
	got := s.publishBy(s.actor, zone.Change{Owner: "_25._TCP.R21.EXAMPLE.test.", Expect: recs(1, 2), Want: recs(3)})
	s.ends(t, got, every("Applied"))
	s.does(t, "served after the actor", s.shows(t, name), every("60: 3"))
	if err := green(s.actor.sweep(full("_25._TCP.R21")), record(3)); err != nil {
		t.Error(err)
	}
}

// A wildcard answers below itself where nothing is, and not below a host that is there. It is not the
// owner's: published records take its place, and removed ones uncover it.
func rowWildcard(t *testing.T, s *site) {
	s.does(t, "below nothing", s.shows(t, "_25._tcp.nothere.r22"), every("60: 7"))
	s.does(t, "below a host", s.shows(t, "_443._tcp.mx.r22"), every("nothing"))
	const name = "_25._tcp.there.r22"
	s.ends(t, s.publish(name, 60, recs(7), recs(1)), every("Applied"))
	s.does(t, "served over the wildcard", s.shows(t, name), every("60: 1"))
	s.ends(t, s.publish(name, 60, recs(1), nil), every("Applied"))
	s.does(t, "served when it is gone", s.shows(t, name), every("60: 7"))
	for owner, want := range map[string][]int{"_25._tcp.nothere.r22": {7}, "_443._tcp.mx.r22": nil, name: {7}} {
		if err := green(s.actor.sweep(full(owner)), recs(want...)...); err != nil {
			t.Errorf("%s: %v", owner, err)
		}
	}
}

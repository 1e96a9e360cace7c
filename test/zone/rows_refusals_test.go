package zone_test

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// otherSecret is of the right length and nobody's.
const otherSecret = "b3RoZXIgc2VjcmV0IHRoYXQgaXMgbG9uZyBlbm91Z2g="

// narrow lets the operator's key write TLSA at the first name and at nothing else.
var narrow = map[servers.Make]func(owner string) []string{
	servers.BIND: func(owner string) []string { return []string{"grant tlsa-key name " + owner + " TLSA;"} },
	servers.Knot: func(owner string) []string {
		return []string{"update-type: [TLSA]", "update-owner: name", "update-owner-match: equal", "update-owner-name: [" + strings.TrimSuffix(owner, "."+apex) + "]"}
	},
	servers.PowerDNS: func(owner string) []string {
		return []string{`update:getQType() == pdns.TLSA and update:getQName():equal("` + owner + `")`}
	},
}

// TestRowsOfRefusals are the rows about who may write what.
func TestRowsOfRefusals(t *testing.T) {
	tryRows(t, servers.Options{}, []row{
		{10, "zone that is not served, and one that is no apex", rowNotServed},
		{11, "record outside the zone", rowOutside},
		{12, "unknown key, other secret, other algorithm", rowKeys},
		{13, "clock that is more than the fudge off", rowClock},
		{14, "good key, type not permitted", rowType},
		{15, "no TSIG", rowUnsigned},
	})
}

func rowNotServed(t *testing.T, s *site) {
	other := s.op
	other.zone = "other.test."
	m := other.update()
	m.NameUsed([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: "other.test."}}})
	want := by{servers.BIND: "NOTAUTH", servers.Knot: "NOTAUTH unsigned", servers.PowerDNS: "NOTAUTH"}
	s.does(t, "a zone that is not served", other.send(m), want)
	other.zone = "r10." + apex
	s.does(t, "a name that is no apex", other.send(other.add(tl("_25._tcp.r10", 60, 1))), want)
	for zoneName, owner := range map[string]string{"other.test.": "_25._tcp.mx.other.test.", "r10." + apex: full("_25._tcp.r10")} {
		r := s.with(func(c *zone.Config) { c.Zone = zoneName }, zone.Options{})
		s.ends(t, s.publishBy(r, zone.Change{Owner: owner, Want: recs(1)}), every("NotPrimary"), "the zone "+zoneName, "spec.update.nameserver", "spec.zone")
		s.ends(t, r.check().PrimaryAccepts, every("NotPrimary"), "the zone "+zoneName, "spec.update.nameserver")
	}
	s.does(t, "served then", s.shows(t, "_25._tcp.r10"), every("nothing"))
}

// Knot asks its acl first, which such a record never matches.
func rowOutside(t *testing.T, s *site) {
	outside := func(r raw) *dns.Msg {
		m := r.update()
		rr := r.rr(tl("_25._tcp.mx", 60, 1))
		rr[0].Header().Name = "_25._tcp.mx.other.test."
		m.Insert(rr)
		return m
	}
	s.does(t, "a key that may write everything", s.admin.send(outside(s.admin)), every("NOTZONE"))
	s.does(t, "a key that may write TLSA", s.op.send(outside(s.op)), by{servers.BIND: "NOTZONE", servers.Knot: "NOTAUTH BADKEY", servers.PowerDNS: "NOTZONE"})
	got := s.publishBy(s.actor, zone.Change{Owner: "_25._tcp.mx.evilexample.test.", Want: recs(1)})
	if got.Class != zone.NotInZone || !strings.Contains(got.Message, "not below the zone "+apex) || !strings.Contains(got.Message, "_25._tcp.mx.evilexample.test.") {
		t.Errorf("%+v", got)
	}
}

// powerDNSHidden is what PowerDNS makes a person check.
var powerDNSHidden = []string{"PowerDNS", "does not know", "another secret", "clock", "pdnsutil list-tsig-keys", "dnsupdate=yes"}

// PowerDNS says nothing of what is wrong with a signature.
func rowKeys(t *testing.T, s *site) {
	cases := []struct {
		about string
		raw   func(*raw)
		actor func(*zone.TSIG)
		says  by
		ends  by
		words []string
	}{
		{"unknown key", func(r *raw) { r.key = "other-key." }, func(k *zone.TSIG) { k.Name = "other-key" },
			by{servers.BIND: "NOTAUTH BADKEY", servers.Knot: "NOTAUTH BADKEY", servers.PowerDNS: "REFUSED unsigned"},
			by{servers.BIND: "BadKeyOrACL", servers.Knot: "BadKeyOrACL", servers.PowerDNS: "NotPermitted"},
			[]string{"other-key.", "exactly this name and algorithm", "acl", "TLSA at"}},
		{"another secret", func(r *raw) { r.secret = otherSecret }, func(k *zone.TSIG) { k.Secret = otherSecret },
			by{servers.BIND: "NOTAUTH BADSIG", servers.Knot: "NOTAUTH BADSIG", servers.PowerDNS: "REFUSED unsigned"},
			by{servers.BIND: "BadSecret", servers.Knot: "BadSecret", servers.PowerDNS: "NotPermitted"},
			[]string{"tlsa-key.", "another secret", "spec.update.tsigSecretSecretRef"}},
		{"another algorithm", func(r *raw) { r.algorithm = dns.HmacSHA512 }, func(k *zone.TSIG) { k.Algorithm = "HMACSHA512" },
			by{servers.BIND: "NOTAUTH BADKEY", servers.Knot: "NOTAUTH BADKEY", servers.PowerDNS: "REFUSED unsigned"},
			by{servers.BIND: "BadKeyOrACL", servers.Knot: "BadKeyOrACL", servers.PowerDNS: "NotPermitted"},
			[]string{"tlsa-key.", "exactly this name and algorithm"}},
	}
	for _, c := range cases {
		wrong, words := s.op, c.words
		c.raw(&wrong)
		s.does(t, c.about, wrong.send(wrong.add(tl("_25._tcp.r12", 60, 1))), c.says)
		if s.m == servers.PowerDNS {
			words = append(powerDNSHidden, words[0])
		}
		r := s.with(func(config *zone.Config) { c.actor(config.TSIG) }, zone.Options{})
		s.ends(t, s.publishBy(r, zone.Change{Owner: full("_25._tcp.r12"), Want: recs(1)}), c.ends, append(words, full("_25._tcp.r12"))...)
		s.ends(t, r.check().PrimaryAccepts, c.ends, words...)
	}
	s.does(t, "served then", s.shows(t, "_25._tcp.r12"), every("nothing"))
}

func rowClock(t *testing.T, s *site) {
	for skew, side := range map[time.Duration]string{10 * time.Minute: "10 minutes behind", -10 * time.Minute: "10 minutes ahead of"} {
		wrong := s.op
		wrong.skew = skew
		s.does(t, "skew", wrong.send(wrong.add(tl("_25._tcp.r13", 60, 1))),
			by{servers.BIND: "NOTAUTH BADTIME", servers.Knot: "NOTAUTH BADTIME", servers.PowerDNS: "REFUSED unsigned"})
		words := []string{side, "this machine's", "300 seconds", "NTP"}
		if s.m == servers.PowerDNS {
			words = append(powerDNSHidden, "300 seconds", "NTP")
		}
		want := by{servers.BIND: "ClockSkew", servers.Knot: "ClockSkew", servers.PowerDNS: "NotPermitted"}
		r := s.with(nil, zone.Options{Clock: shifted{by: skew}})
		s.ends(t, s.publishBy(r, zone.Change{Owner: full("_25._tcp.r13"), Want: recs(1)}), want, append(words, full("_25._tcp.r13"))...)
		s.ends(t, r.check().PrimaryAccepts, want, words...)
	}
	s.does(t, "served then", s.shows(t, "_25._tcp.r13"), every("nothing"))
}

// Knot calls it a bad key. PowerDNS with a policy script says NOERROR and does nothing. Names that are not
// permitted: TestNarrowGrants.
func rowType(t *testing.T, s *site) {
	both := s.op.add(tl("_25._tcp.r14", 60, 1), "r14 60 A 192.0.2.1")
	s.does(t, "a TLSA and an A record", s.op.send(both), by{servers.BIND: "REFUSED", servers.Knot: "NOTAUTH BADKEY", servers.PowerDNS: "NOERROR"})
	a := len(rrset(answer(t, s.p.Addr, full("r14"), dns.TypeA), full("r14"), dns.TypeA))
	if a != 0 {
		t.Error("the A record is served")
	}
	s.does(t, "of the TLSA record", s.shows(t, "_25._tcp.r14"), by{servers.BIND: "nothing", servers.Knot: "nothing", servers.PowerDNS: "60: 1"})

	const owner = "_smtp._tls.r14"
	change := zone.SetChange{SetName: zone.SetName{Owner: full(owner), Type: zone.Type("TXT")}, Want: []string{`"v=TLSRPTv1; rua=mailto:a@example.com"`}}
	s.ends(t, s.with(nil, zone.Options{}).publishSet(change),
		by{servers.BIND: "NotPermitted", servers.Knot: "BadKeyOrACL", servers.PowerDNS: "NotStored"}, full(owner), "TXT")
}

// Knot says that it is not the primary, PowerDNS with a policy script NOERROR.
func rowUnsigned(t *testing.T, s *site) {
	bare := s.op
	bare.key = ""
	s.does(t, "no TSIG", bare.send(bare.add(tl("_25._tcp.r15", 60, 1))),
		by{servers.BIND: "REFUSED unsigned", servers.Knot: "NOTAUTH unsigned", servers.PowerDNS: "NOERROR unsigned"})
	words := map[servers.Make][]string{
		servers.BIND:     {"unsigned", "spec.update.tsigKeyName", full("_25._tcp.r15")},
		servers.Knot:     {"the zone " + apex, "it wants updates to be signed"},
		servers.PowerDNS: {full("_25._tcp.r15"), "updates without a key", "spec.update.tsigKeyName", "lua-dnsupdate-policy-script"},
	}
	r := s.with(func(c *zone.Config) { c.TSIG = nil }, zone.Options{})
	s.ends(t, s.publishBy(r, zone.Change{Owner: full("_25._tcp.r15"), Want: recs(1)}),
		by{servers.BIND: "NotPermitted", servers.Knot: "NotPrimary", servers.PowerDNS: "NotStored"}, words[s.m]...)
	s.does(t, "served then", s.shows(t, "_25._tcp.r15"), every("nothing"))
}

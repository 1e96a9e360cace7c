package zone_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// mailGrants are those of docs/mail-records.md.
var mailGrants = map[servers.Make][]string{
	servers.BIND: {
		"grant tlsa-key name example.test. MX TXT;", "grant tlsa-key name _smtp._tls.example.test. TXT;",
		"grant tlsa-key name _mta-sts.example.test. TXT;", "grant tlsa-key name _dmarc.example.test. TXT;",
	},
	servers.Knot: {
		"update-type: [MX, TXT]", "update-owner: name", "update-owner-match: equal",
		"update-owner-name: [example.test., _smtp._tls.example.test., _mta-sts.example.test., _dmarc.example.test.]",
	},
	servers.PowerDNS: {`(update:getQType() == pdns.MX or update:getQType() == pdns.TXT) and update:getQName():isPartOf(newDN("example.test."))`},
}

// publishSet tries again what may be tried again: PowerDNS with SQLite is busy now and then.
func (r *rig) publishSet(c zone.SetChange) zone.Result {
	r.t.Helper()
	if c.TTL == 0 {
		c.TTL = time.Minute
	}
	ch := make(chan zone.Result, 1)
	for n := 0; ; n++ {
		r.actor.PublishSet(c, func(got zone.Result) { ch <- got })
		got := receive(r.t, ch)
		if n == 20 || got.Class != zone.ServerFailure && got.Class != zone.Unreachable {
			return got
		}
	}
}

// setShows waits until every server shows an RRset, by answers that validate, with a TTL if it is not zero.
func (r *rig) setShows(name zone.SetName, count int, ttl time.Duration, want ...string) {
	r.t.Helper()
	slices.Sort(want)
	servers.Eventually(r.t, fmt.Sprintf("every server shows %v", want), func() error {
		ch := make(chan []zone.SetSweep, 1)
		r.actor.SweepSets([]zone.SetName{name}, false, func(s []zone.SetSweep) { ch <- s })
		s := receive(r.t, ch)[0]
		if len(s.Answers) != count {
			return fmt.Errorf("%d servers were asked", len(s.Answers))
		}
		for _, a := range s.Answers {
			if !a.Reachable || !a.Signed || !slices.Equal(a.Data, want) || ttl != 0 && a.TTL != ttl {
				return fmt.Errorf("%s: %+v", a.Address, a)
			}
		}
		return nil
	})
}

// odd is a text with all that may go wrong on the way: quotes, backslashes, octets that do not print, runs of spaces, and
// strings of 255 octets and of none.
const odd = `"a\"b\\c  d;\009\255" "" "` + "%s" + `"`

// One record of a TXT RRset is changed, beside others that come back as they were, octet by octet and with their TTL; MX
// records beside it are others. That holds for every make, and at its secondaries.
func TestRecordsBesideOthersOnEveryMake(t *testing.T) {
	onEvery(t, func(t *testing.T, m servers.Make) {
		foreign := fmt.Sprintf(odd, strings.Repeat("x", 255))
		r := newRigOf(t, m, servers.Options{
			Grants: mailGrants[m], Records: []string{"@ 300 TXT " + foreign, `@ 300 TXT "site-verification=1"`, "@ 60 MX 10 mx1", "mx1 60 A 127.0.0.1", "mx2 60 A 127.0.0.2"},
		}).withSecondaries().start(zone.Options{})
		text, exchanges := zone.SetName{Owner: apex, Type: zone.TXT}, zone.SetName{Owner: apex, Type: zone.MX}
		const token, first, second = `"site-verification=1"`, `"v=spf1 mx -all"`, `"v=spf1 ip4:192.0.2.1 -all"`
		r.setShows(text, 3, 5*time.Minute, foreign, token)
		for _, c := range []struct {
			reason       string
			expect, want []string
			class        zone.Class
			stands       []string
		}{
			{"a record beside others", []string{foreign, token}, []string{foreign, token, first}, zone.Applied, []string{foreign, token, first}},
			{"the same again", []string{foreign, token}, []string{foreign, token, first}, zone.Unchanged, []string{foreign, token, first}},
			{"what was there before is not there any more", []string{foreign, token}, []string{foreign, token, second}, zone.Conflict, []string{foreign, token, first}},
			{"another record in its place", []string{foreign, token, first}, []string{foreign, token, second}, zone.Applied, []string{foreign, token, second}},
			{"ours goes", []string{foreign, token, second}, []string{foreign, token}, zone.Applied, []string{foreign, token}},
		} {
			got := r.publishSet(zone.SetChange{SetName: text, Expect: c.expect, Want: c.want})
			if got.Class != c.class {
				t.Fatalf("%s: %s: %s", c.reason, got.Class, got.Message)
			}
			r.setShows(text, 3, 5*time.Minute, c.stands...)
		}
		r.setShows(exchanges, 3, time.Minute, "10 mx1.example.test.")
		got := r.publishSet(zone.SetChange{SetName: exchanges, Expect: []string{"10 mx1.example.test."}, Want: []string{"10 mx1.example.test.", "20 mx2.example.test."}})
		if got.Class != zone.Applied {
			t.Fatalf("MX: %s: %s", got.Class, got.Message)
		}
		r.setShows(exchanges, 3, time.Minute, "10 mx1.example.test.", "20 mx2.example.test.")
		r.others(m)
	})
}

// others tries the names of the other records, with a TTL of their own, and what the key may not write.
func (r *rig) others(m servers.Make) {
	r.t.Helper()
	for _, owner := range []string{"_smtp._tls.", "_mta-sts.", "_dmarc."} {
		name := zone.SetName{Owner: owner + apex, Type: zone.TXT}
		long := `"` + strings.Repeat("y", 255) + `" "` + strings.Repeat("z", 100) + `"`
		if got := r.publishSet(zone.SetChange{SetName: name, Want: []string{long}, TTL: time.Hour}); got.Class != zone.Applied {
			r.t.Fatalf("%s: %s: %s", owner, got.Class, got.Message)
		}
		r.setShows(name, 3, time.Hour, long)
		if got := r.publishSet(zone.SetChange{SetName: name, Expect: []string{long}}); got.Class != zone.Applied {
			r.t.Fatalf("%s is removed: %s: %s", owner, got.Class, got.Message)
		}
		r.setShows(name, 3, 0)
	}
	if m == servers.PowerDNS {
		return // its script is told of everything below the zone
	}
	got := r.publishSet(zone.SetChange{SetName: zone.SetName{Owner: "www." + apex, Type: zone.TXT}, Want: []string{`"x"`}})
	if got.Class != zone.NotPermitted && got.Class != zone.BadKeyOrACL || !strings.Contains(got.Message, "TXT") {
		r.t.Errorf("a name that is not granted: %s: %s", got.Class, got.Message)
	}
	if m, err := servers.Ask(r.primary.Addr, "www."+apex, dns.TypeTXT, false); err != nil || len(m.Answer) > 0 {
		r.t.Errorf("www has %v (%v)", m, err)
	}
}

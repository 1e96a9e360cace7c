package zone_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// The rows are the table of what name servers do with updates in doubtful cases. Each is a test on each
// make: what the server really does, so that a version which does otherwise is noticed, and what the zone
// actor makes of it, down to what a person gets to read.

// row is one of them.
type row struct {
	number int
	about  string
	test   func(t *testing.T, s *site)
}

// site is a server with one zone for all rows of a group: each has names of its own there.
type site struct {
	m         servers.Make
	p         *servers.Primary
	op, admin raw
	actor     *rig
}

// by is what each make does.
type by map[servers.Make]string

// every make does the same.
func every(what string) by {
	return by{servers.BIND: what, servers.Knot: what, servers.PowerDNS: what}
}

// onEvery runs a test on each make, side by side with those on others.
func onEvery(t *testing.T, test func(t *testing.T, m servers.Make)) {
	t.Parallel()
	for _, m := range servers.Makes {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			test(t, m)
		})
	}
}

func newSite(t *testing.T, m servers.Make, o servers.Options) *site {
	t.Helper()
	p := servers.StartPrimary(t, m, o)
	r := (&rig{t: t, primary: p, config: configOf(t, p)}).start(zone.Options{ReadBackFor: 200 * time.Millisecond})
	return &site{m: m, p: p, op: asOperator(t, p), admin: asAdmin(t, p), actor: r}
}

// tryRows runs rows on a server of each make.
func tryRows(t *testing.T, o servers.Options, rows []row) {
	onEvery(t, func(t *testing.T, m servers.Make) {
		s := newSite(t, m, o)
		for _, r := range rows {
			t.Run(fmt.Sprintf("row %02d: %s", r.number, r.about), func(t *testing.T) {
				here := *s
				here.op.t, here.admin.t = t, t
				here.actor = &rig{t: t, primary: s.p, config: s.actor.config, actor: s.actor.actor}
				r.test(t, &here)
			})
		}
	})
}

// does compares what the server did with what its make is known to do.
func (s *site) does(t *testing.T, what, got string, want by) {
	t.Helper()
	if got != want[s.m] {
		t.Errorf("%s: %s: got %q, want %q", s.m, what, got, want[s.m])
	}
}

// full is a name below the apex, absolute.
func full(name string) string { return name + "." + apex }

// tl is a TLSA record in presentation form.
func tl(name string, ttl, n int) string {
	return fmt.Sprintf("%s %d TLSA 3 1 1 %s", name, ttl, record(n).Data)
}

func recs(numbers ...int) []tlsa.Record {
	var out []tlsa.Record
	for _, n := range numbers {
		out = append(out, record(n))
	}
	return tlsa.Normalize(out)
}

// shows is what the server serves at a name: "TTL: record numbers", "alias", or why there is nothing.
func (s *site) shows(t *testing.T, name string) string {
	t.Helper()
	m := answer(t, s.p.Addr, full(name), dns.TypeTLSA)
	set := rrset(m, full(name), dns.TypeTLSA)
	for _, rr := range m.Answer {
		if len(set) == 0 && (rr.Header().Rrtype == dns.TypeCNAME || rr.Header().Rrtype == dns.TypeDNAME) {
			return "alias"
		}
	}
	if len(set) == 0 {
		return "nothing"
	}
	var numbers []int
	for _, rr := range set {
		n, err := strconv.ParseInt(rr.(*dns.TLSA).Certificate, 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, int(n))
	}
	slices.Sort(numbers)
	return fmt.Sprintf("%d: %s", set[0].Header().Ttl, strings.Trim(fmt.Sprint(numbers), "[]"))
}

func (s *site) serial(t *testing.T) uint32 {
	t.Helper()
	set := rrset(answer(t, s.p.Addr, apex, dns.TypeSOA), apex, dns.TypeSOA)
	if len(set) != 1 {
		t.Fatal("no SOA record")
	}
	return set[0].(*dns.SOA).Serial
}

// leaves says whether something leaves the serial as it is. Signing may raise it in between: what does
// so once in three times is no evidence.
func (s *site) leaves(t *testing.T, do func()) string {
	t.Helper()
	for range 3 {
		before := s.serial(t)
		do()
		if s.serial(t) == before {
			return "same serial"
		}
	}
	return "serial raised"
}

// ends makes sure how a change ended, and that the message tells a person all it must: the server, and
// the words.
func (s *site) ends(t *testing.T, got zone.Result, want by, words ...string) {
	t.Helper()
	s.does(t, "the actor's result", string(got.Class), want)
	if got.Class == zone.Applied || got.Class == zone.Unchanged {
		return
	}
	for _, word := range append(words, s.p.Addr.String()) {
		if !strings.Contains(got.Message, word) {
			t.Errorf("%s: the message does not say %q: %s", s.m, word, got.Message)
		}
	}
}

// publish has the actor write records at a name, once more where the server locks (raw.locks).
func (s *site) publish(name string, ttl int, expect, want []tlsa.Record) zone.Result {
	s.actor.t.Helper()
	return s.publishBy(s.actor, zone.Change{Owner: full(name), Expect: expect, Want: want, TTL: time.Duration(ttl) * time.Second})
}

func (s *site) publishBy(r *rig, c zone.Change) zone.Result {
	s.actor.t.Helper()
	for tries := 0; ; tries++ {
		got := r.publish(c)
		if got.Class != zone.ServerFailure || !s.op.locks || tries == 20 {
			return got
		}
		s.ends(s.actor.t, got, every("ServerFailure"), "SERVFAIL", "SQLite", c.Owner)
		time.Sleep(20 * time.Millisecond)
	}
}

// with is an actor of its own with another configuration.
func (s *site) with(change func(*zone.Config), opts zone.Options) *rig {
	config := s.actor.config
	if config.TSIG != nil {
		key := *config.TSIG
		config.TSIG = &key
	}
	if change != nil {
		change(&config)
	}
	if opts.ReadBackFor == 0 {
		opts.ReadBackFor = 200 * time.Millisecond
	}
	return (&rig{t: s.actor.t, primary: s.p, config: config}).start(opts)
}

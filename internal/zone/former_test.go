package zone

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	testclock "k8s.io/utils/clock/testing"

	"github.com/dane-operator/dane-operator/internal/dnssec/health"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

const oddAddress = "192.0.2.12:53"

// departing is a delegation without an update server, whose ns2.elsewhere (oddAddress) can leave it. The NS records
// and glue have a TTL of 300.
func departing(t *testing.T) (*delegatedZone, *testclock.FakeClock) {
	t.Helper()
	d := newDelegation(t)
	d.cfg.Primary, d.cfg.TSIG = "", nil
	d.world["tcp [2001:db8::12]:53"] = d.odd.addr
	d.child.publishDirect(1, record(1))
	d.odd.publishDirect(1, record(1))
	return d, d.pace()
}

// leave takes ns2.elsewhere out of the delegation; the others show a new record from then on.
func (d *delegatedZone) leave(clock *testclock.FakeClock) {
	d.parent.set(ns(testZone, "ns1."+testZone))
	d.child.publishDirect(1, record(2))
	clock.Step(31 * time.Second)
}

// at is what a sweep says of an address; nil where it says nothing.
func at(s Sweep, address string) *Answer {
	for i := range s.Answers {
		if s.Answers[i].Address == address {
			return &s.Answers[i]
		}
	}
	return nil
}

func TestFormerServerCounts(t *testing.T) {
	cases := []struct {
		reason  string
		becomes func(d *delegatedZone)
		// shows is the record that the sweep has of it; nil where it is left out.
		shows  *tlsa.Record
		signed bool
	}{
		{"it goes on with the old records", nil, new(record(1)), true},
		{"it shows the new ones", func(d *delegatedZone) { d.odd.publishDirect(1, record(2)) }, new(record(2)), true},
		{"its answer does not validate", func(d *delegatedZone) { d.odd.signer = nil }, new(record(1)), false},
		{"it refuses", func(d *delegatedZone) { d.oddFault.become(toQueries(replyRefused)) }, nil, false},
		{"it cannot serve the zone", func(d *delegatedZone) { d.oddFault.become(toQueries(replyServfail)) }, nil, false},
		{"it has no authority", func(d *delegatedZone) { d.oddFault.become(toQueries(replyNoAA)) }, nil, false},
		{"it is silent", func(d *delegatedZone) { d.oddFault.become(toQueries(noReply)) }, nil, false},
		{"nobody listens there", func(d *delegatedZone) { delete(d.world, "tcp "+oddAddress) }, nil, false},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			d, clock := departing(t)
			a := startActor(t, d.cfg, d.opts)
			if s := at(sweepOf(t, a, ownerName(1)), oddAddress); s == nil || s.Former {
				t.Fatalf("before it leaves: %+v", s)
			}
			if c.becomes != nil {
				c.becomes(d)
			}
			d.leave(clock)
			s := sweepOf(t, a, ownerName(1))
			got := at(s, oddAddress)
			switch {
			case c.shows == nil:
				if got != nil {
					t.Errorf("it gives no answer, and holds the sweep up: %+v", got)
				}
			case got == nil || !got.Former || !got.Reachable || got.Signed != c.signed || !slices.Equal(got.Records, []tlsa.Record{*c.shows}):
				t.Errorf("it answers, and the sweep says %+v", got)
			}
			for _, other := range s.Answers {
				if other.Address != oddAddress && !strings.HasPrefix(other.Address, "[2001:db8::12]") && (other.Former || !other.Signed) {
					t.Errorf("another server: %+v", other)
				}
			}
		})
	}
}

// TestFormerServerComesBack: what refuses for a while is asked on, until no cache can know it any more.
func TestFormerServerComesBack(t *testing.T) {
	d, clock := departing(t)
	d.cfg.Delay = time.Minute
	a := startActor(t, d.cfg, d.opts)
	sweepOf(t, a, ownerName(1))
	d.oddFault.become(toQueries(replyRefused))
	d.leave(clock)
	seen := func() bool { return at(sweepOf(t, a, ownerName(1)), oddAddress) != nil }
	if seen() {
		t.Error("it refuses, and is in the sweep")
	}
	d.oddFault.become(toQueries(behave))
	if !seen() {
		t.Error("it is back with its old records, and not in the sweep")
	}
	clock.Step(5*time.Minute + 59*time.Second)
	if !seen() {
		t.Error("it was named until a second less than the TTL and the delay ago, and is not in the sweep")
	}
	clock.Step(2 * time.Second)
	if seen() {
		t.Error("no cache can know it any more, and it is in the sweep")
	}
}

// TestFormerServerOfAnEarlierProcess: the status tells a new process of servers that left while none ran.
func TestFormerServerOfAnEarlierProcess(t *testing.T) {
	cases := []struct {
		reason string
		known  Known
		// until is how long after the start it is asked, to a second.
		until time.Duration
	}{
		{"it was named when the process ended", Known{LeadTTL: 10 * time.Minute}, 10 * time.Minute},
		{"by records of which nobody knows the TTL", Known{}, maxLead},
		{"by records with a TTL that no cache heeds", Known{LeadTTL: 30 * 24 * time.Hour}, maxLead},
		{"it had left", Known{LeadTTL: time.Hour, FormerUntil: time.Now().Add(20 * time.Minute)}, 20 * time.Minute},
		{"it had left, and a status says nonsense", Known{FormerUntil: time.Now().Add(90 * 24 * time.Hour)}, maxLead},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			now := time.Now()
			r := roster{}
			c.known.Server = Server{Name: "ns2.elsewhere", Addr: netip.MustParseAddrPort(oddAddress)}
			cfg := Config{Zone: testZone, Known: []Known{c.known}}
			r.recall(cfg, now)
			named := []Server{{Addr: netip.MustParseAddrPort("192.0.2.11:53")}}
			first := r.call(cfg, named, 5*time.Minute, true, now)
			if len(first) != 1 || first[0].until.Sub(now).Round(time.Minute) != c.until {
				t.Fatalf("asked besides: %+v, want for %s", first, c.until)
			}
			if before := r.call(cfg, named, 5*time.Minute, true, first[0].until.Add(-time.Second)); len(before) != 1 {
				t.Error("it is forgotten too soon")
			}
			if after := r.call(cfg, named, 5*time.Minute, true, first[0].until); len(after) != 0 {
				t.Error("it is not forgotten")
			}
		})
	}
	d, _ := departing(t)
	d.parent.set(ns(testZone, "ns1."+testZone))
	d.cfg.Known = []Known{{Server: Server{Name: "ns2.elsewhere", Addr: netip.MustParseAddrPort(oddAddress)}, LeadTTL: time.Hour}}
	if got := at(sweepOf(t, startActor(t, d.cfg, d.opts), ownerName(1)), oddAddress); got == nil || !got.Former || !got.Reachable {
		t.Errorf("a sweep of the new process: %+v", got)
	}
}

func TestRosterOfServers(t *testing.T) {
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	a, b := Server{Addr: netip.MustParseAddrPort("192.0.2.1:53")}, Server{Addr: netip.MustParseAddrPort("192.0.2.2:53")}
	both, alone := []Server{a, b}, []Server{a}
	type look struct {
		at    time.Duration
		named []Server
		ttl   time.Duration
		part  bool
	}
	cases := []struct {
		reason string
		delay  time.Duration
		looks  []look
		// until when b is asked, after the beginning; zero where it is no former server.
		until time.Duration
	}{
		{"it leaves at some time before the look that misses it", 0, []look{{0, both, time.Hour, false}, {time.Minute, alone, time.Hour, false}}, 61 * time.Minute},
		{"servers of the parent zone may be late", 5 * time.Minute, []look{{0, both, time.Hour, false}, {0, alone, time.Hour, false}}, 65 * time.Minute},
		{"a TTL that was lowered counts as long as caches may go by the longer one", 0,
			[]look{{0, both, 48 * time.Hour, false}, {time.Hour, both, time.Minute, false}, {2 * time.Hour, alone, time.Minute, false}}, 50 * time.Hour},
		{"and no longer", 0,
			[]look{{0, both, 48 * time.Hour, false}, {48 * time.Hour, both, time.Minute, false}, {49 * time.Hour, alone, time.Minute, false}}, 49*time.Hour + time.Minute},
		{"no cache keeps a month", 0, []look{{0, both, 720 * time.Hour, false}, {0, alone, time.Hour, false}}, maxLead},
		{"no TTL is known", 0, []look{{0, both, 0, false}, {0, alone, 0, false}}, maxLead},
		{"a TTL is known by the time that it leaves", 0, []look{{0, both, 0, false}, {0, both, time.Hour, false}, {0, alone, time.Hour, false}}, time.Hour},
		{"a look that is not whole says nothing of who left", 0, []look{{0, both, time.Hour, false}, {time.Hour, alone, time.Hour, true}}, 0},
		{"the time begins with the whole look after it", 0,
			[]look{{0, both, time.Hour, false}, {time.Hour, alone, time.Hour, true}, {2 * time.Hour, alone, time.Hour, false}}, 3 * time.Hour},
		{"it is named again", 0, []look{{0, both, time.Hour, false}, {0, alone, time.Hour, false}, {0, both, time.Hour, false}}, 0},
	}
	for _, c := range cases {
		r, cfg := roster{}, Config{Zone: testZone, Delay: c.delay}
		var got []rostered
		for _, l := range c.looks {
			got = r.call(cfg, l.named, l.ttl, !l.part, begin.Add(l.at))
		}
		former := slices.DeleteFunc(got, func(m rostered) bool { return m.named })
		if c.until == 0 && len(former) != 0 || c.until != 0 && (len(former) != 1 || former[0].until.Sub(begin) != c.until) {
			t.Errorf("%s: got %+v, want until %s", c.reason, former, c.until)
		}
	}
}

// TestRosterIsBounded: a delegation that changes all the time must not have the operator ask ever more servers.
func TestRosterIsBounded(t *testing.T) {
	r, now := roster{}, time.Now()
	for i := range 3 * maxFormer {
		now = now.Add(time.Second)
		s := Server{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), dnsPort)}
		r.call(Config{Zone: testZone}, []Server{s}, time.Hour, true, now)
	}
	got := r.call(Config{Zone: testZone}, nil, time.Hour, true, now)
	if last := got[len(got)-1]; len(got) != maxFormer || len(r.members) != maxFormer || last.Addr.Addr().As4()[3] < 3*maxFormer-maxFormer-1 {
		t.Errorf("%d former servers of %d, the oldest %v", len(got), len(r.members), last.Addr)
	}
}

// TestAddressThatLeavesTheSpec: a person's change has caches forget nothing.
func TestAddressThatLeavesTheSpec(t *testing.T) {
	primary := newFakeServer(t)
	primary.publishDirect(1, record(1))
	other := primary.twin()
	primary.startTCP()
	other.startTCP()
	cfg := testConfig(primary)
	cfg.Static = []netip.AddrPort{primary.addrPort(), other.addrPort()}
	a := startActor(t, cfg, quick())
	sweepOf(t, a, ownerName(1))
	cfg.Static = cfg.Static[:1]
	a.Configure(cfg)
	if got := at(sweepOf(t, a, ownerName(1)), other.addr); got == nil || !got.Former || !got.Reachable {
		t.Errorf("it still answers, and the sweep says %+v", got)
	}
	cfg.Ignore = []string{other.addr}
	a.Configure(cfg)
	if got := at(sweepOf(t, a, ownerName(1)), other.addr); got == nil || !got.Ignored {
		t.Errorf("a person has excepted it, and the sweep says %+v", got)
	}
}

// TestHealthOfAFormerServer: it is shown as what it is, and is no fault of the zone.
func TestHealthOfAFormerServer(t *testing.T) {
	d, clock := departing(t)
	a := startActor(t, d.cfg, d.opts)
	checked, found := make(chan Health, 1), make(chan Address, 1)
	look := func() (Health, *ServerHealth) {
		a.Check(func(h Health) { checked <- h })
		h := wait(t, checked)
		for i := range h.Servers {
			if h.Servers[i].Addr.String() == oddAddress {
				return h, &h.Servers[i]
			}
		}
		return h, nil
	}
	if _, s := look(); s == nil || !s.FormerUntil.IsZero() || s.LeadTTL != 5*time.Minute {
		t.Fatalf("before it leaves: %+v", s)
	}
	d.leave(clock)
	older := dns.Copy(d.odd.get(testZone, dns.TypeSOA)[0]).(*dns.SOA)
	older.Serial = 0
	d.odd.set(older)
	h, s := look()
	if s == nil || !s.FormerUntil.Equal(clock.Now().Add(5*time.Minute)) || !s.Reachable || !strings.Contains(s.Message, "still answers") {
		t.Errorf("it left and still answers: %+v", s)
	}
	for _, f := range h.Findings {
		if strings.Contains(f.Server, oddAddress) && (f.Code != health.FormerServer || f.Severity != health.Notice) {
			t.Errorf("a finding about it: %+v", f)
		}
	}
	if !slices.ContainsFunc(h.Findings, func(f health.Finding) bool {
		return f.Code == health.FormerServer && strings.Contains(f.Server, oddAddress)
	}) {
		t.Errorf("no finding tells of it: %+v", h.Findings)
	}
	d.oddFault.become(toQueries(replyRefused))
	h, s = look()
	if s == nil || s.FormerUntil.IsZero() || s.Reachable || !strings.Contains(s.Message, "holds nothing up") {
		t.Errorf("it left and refuses: %+v", s)
	}
	if slices.ContainsFunc(h.Findings, func(f health.Finding) bool { return strings.Contains(f.Server, oddAddress) }) {
		t.Errorf("it refuses, as it should: %+v", h.Findings)
	}
	a.Addresses("mx."+testZone, func(a Address) { found <- a })
	if got := wait(t, found); !got.Complete {
		t.Errorf("addresses without those of a server that is gone: %+v", got)
	}
	d.oddFault.become(toQueries(behave))
	d.odd.set(&dns.A{Hdr: header("mx."+testZone, dns.TypeA, 300), A: []byte{203, 0, 113, 7}})
	a.Addresses("mx."+testZone, func(a Address) { found <- a })
	if got := wait(t, found); !slices.Contains(got.Addrs, netip.MustParseAddr("203.0.113.7")) {
		t.Errorf("addresses without those that senders still get from it: %+v", got)
	}
}

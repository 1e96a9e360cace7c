package zone

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	testclock "k8s.io/utils/clock/testing"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// onUpdates makes the server misbehave at the first n updates.
func onUpdates(n int, f fault) func(*dns.Msg) fault {
	return func(req *dns.Msg) fault {
		if req.Opcode != dns.OpcodeUpdate || n == 0 {
			return behave
		}
		n--
		return f
	}
}

// always makes the server misbehave at every update.
func always(f fault) func(*dns.Msg) fault { return onUpdates(-1, f) }

// toQueries makes the server misbehave at every query.
func toQueries(f fault) func(*dns.Msg) fault {
	return func(req *dns.Msg) fault {
		if req.Opcode == dns.OpcodeQuery {
			return f
		}
		return behave
	}
}

// wireFault is something that a server does, and what becomes of the first publication of an owner.
type wireFault struct {
	reason string
	server func(*fakeServer)
	want   Class
	text   string
	// retry says that it may succeed later by itself; stored that the record stands there.
	retry, stored bool
}

var wireFaults = []wireFault{
	{"an unsigned reply is not believed, and the read-back shows that it was carried out",
		func(s *fakeServer) { s.misbehave = always(replyUnsigned) }, Applied, "", false, true},
	{"a forged unsigned NOERROR is not believed",
		func(s *fakeServer) { s.misbehave = always(forgeNoError) }, UnsignedReply, "not signed", true, false},
	{"a NOERROR signed by another secret is not believed",
		func(s *fakeServer) { s.misbehave = always(forgeWrongMAC) }, UnsignedReply, "signature of the reply is wrong", true, false},
	{"unsigned answers to the read before are not believed",
		func(s *fakeServer) { s.misbehave = toQueries(replyUnsigned) }, UnsignedReply, "not signed", true, false},
	{"a reply with another ID is doubtful: the read-back decides",
		func(s *fakeServer) { s.misbehave = always(replyWrongID) }, Applied, "", false, true},
	{"answers with other IDs say nothing",
		func(s *fakeServer) { s.misbehave = toQueries(replyWrongID) }, Unreachable, "ID of no question", true, false},
	{"a reply about another zone is doubtful: the read-back decides",
		func(s *fakeServer) { s.misbehave = always(replyOtherZone) }, Applied, "", false, true},
	{"garbage is doubtful: the read-back decides",
		func(s *fakeServer) { s.misbehave = always(replyGarbage) }, Applied, "", false, true},
	{"garbage to a query is told as such",
		func(s *fakeServer) { s.misbehave = toQueries(replyGarbage) }, Unreachable, "not a DNS reply", true, false},
	{"half a reply is doubtful: the read-back decides",
		func(s *fakeServer) { s.misbehave = always(replyTruncated) }, Applied, "", false, true},
	{"BADTIME shows the skew from the server's clock",
		func(s *fakeServer) { s.misbehave = always(replyBadTime) }, ClockSkew, "10 minutes ahead of", true, false},
	{"BADKEY to an update of a key that queries were signed with is an ACL (Knot)",
		func(s *fakeServer) { s.misbehave = always(replyBadKey) }, BadKeyOrACL, "acl that does not match", false, false},
	{"BADKEY to the query before is a key that the server does not know",
		func(s *fakeServer) { s.misbehave = toQueries(replyBadKey) }, BadKeyOrACL, "does not know key " + testKey, false, false},
	{"BADSIG is another secret",
		func(s *fakeServer) { s.misbehave = toQueries(replyBadSig) }, BadSecret, "another secret", false, false},
	{"NOTAUTH without a TSIG error is not the primary",
		func(s *fakeServer) { s.misbehave = always(replyNotAuth) }, NotPrimary, "not the primary", false, false},
	{"SERVFAIL after it was carried out is success",
		func(s *fakeServer) { s.misbehave = always(applyThenFail) }, Applied, "", false, true},
	{"SERVFAIL is to be tried again",
		func(s *fakeServer) { s.misbehave = always(replyServfail) }, ServerFailure, "SERVFAIL", true, false},
	{"a timeout after it was carried out is success",
		func(s *fakeServer) { s.misbehave = always(applyThenSilence) }, Applied, "", false, true},
	{"a timeout is to be tried again",
		func(s *fakeServer) { s.misbehave = always(noReply) }, Unreachable, "no reply in time", true, false},
	{"a reset after it was carried out is success",
		func(s *fakeServer) { s.misbehave = always(applyThenReset) }, Applied, "", false, true},
	{"a reset is to be tried again",
		func(s *fakeServer) { s.misbehave = always(reset) }, Unreachable, "", true, false},
	{"a REFUSED that nobody signed is not believed: the read-back decides",
		func(s *fakeServer) { s.misbehave = always(applyThenRefuse) }, Applied, "", false, true},
	{"NOERROR to an update that is ignored is not success",
		func(s *fakeServer) { s.misbehave = always(ignoreUpdate) }, NotStored, "ignored the update", true, false},
	{"a server that shows the change a little later is waited for",
		func(s *fakeServer) { s.misbehave = always(applyLate) }, Applied, "", false, true},
	{"a TTL lowered without a word is not success",
		func(s *fakeServer) { s.capTTL = 60 }, NotStored, "TTL 60 instead of 3600", true, true},
	{"records dropped without a word are not success",
		func(s *fakeServer) { s.capCount = 1 }, NotStored, "only 1 of the 2", true, true},
	{"REFUSED says what to grant, naming zone, owner, key and server",
		func(s *fakeServer) { s.misbehave = always(replyRefused) }, NotPermitted, "grant tlsa-key name " + ownerName(1) + " TLSA", false, false},
	{"NOTIMP is a server without updates",
		func(s *fakeServer) { s.misbehave = always(replyNotImp) }, UpdatesDisabled, "dnsupdate=yes", false, false},
	{"NOTZONE is another zone", func(s *fakeServer) { s.misbehave = always(replyNotZone) }, NotInZone, "spec.zone", false, false},
	{"FORMERR is told", func(s *fakeServer) { s.misbehave = always(replyFormErr) }, Malformed, "FORMERR", false, false},
	{"a server without authority for the zone is not its primary",
		func(s *fakeServer) { s.misbehave = toQueries(replyNoAA) }, NotPrimary, "without authority", false, false},
	{"a CNAME at the owner is refused before anything is sent",
		func(s *fakeServer) { s.rr(ownerName(1) + " 60 CNAME other." + testZone) }, OwnerIsAlias, "CNAME", false, false},
	{"so is a CNAME that leads out of the zone",
		func(s *fakeServer) { s.rr(ownerName(1) + " 60 CNAME other.elsewhere.") }, OwnerIsAlias, "alias", false, false},
	{"so is an owner below a DNAME",
		func(s *fakeServer) { s.rr("mx1." + testZone + " 60 DNAME other." + testZone) }, OwnerIsAlias, "DNAME", false, false},
	{"so is an owner below a zone cut",
		func(s *fakeServer) { s.rr("mx1." + testZone + " 60 NS ns.elsewhere.") }, OwnerIsAlias, "delegated", false, false},
}

func TestWireFaults(t *testing.T) {
	for _, c := range wireFaults {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			s := newFakeServer(t)
			c.server(s)
			s.startTCP()
			a := startActor(t, testConfig(s), quick())
			change := first(1)
			change.Want = append(change.Want, record(2))
			got := publish(t, a, change)
			if got.Class != c.want || !strings.Contains(got.Message, c.text) || got.Retryable != c.retry {
				t.Errorf("got %s (retryable %t): %s; want %s with %q", got.Class, got.Retryable, got.Message, c.want, c.text)
			}
			if stored := len(s.get(ownerName(1), dns.TypeTLSA)) > 0; stored != c.stored {
				t.Errorf("stored is %t", stored)
			}
			if c.want == OwnerIsAlias && len(s.sent()) > 0 {
				t.Error("an update was sent")
			}
			if strings.Contains(got.Message, testSecret) {
				t.Error("the secret is in the message")
			}
		})
	}
}

func TestMessagesAreStable(t *testing.T) {
	for _, f := range []fault{reset, replyTruncated, noReply, replyServfail, replyRefused, replyBadTime, replySignedLate} {
		s := newFakeServer(t)
		s.misbehave = func(*dns.Msg) fault { return f }
		s.startTCP()
		opts := quick()
		// From one attempt to the next the clocks drift a little further apart.
		clock := testclock.NewFakeClock(time.Now())
		opts.Clock = clock
		a := startActor(t, testConfig(s), opts)
		one := publish(t, a, first(1))
		clock.Step(3 * time.Second)
		two := publish(t, a, first(1))
		if one.Message != two.Message || one.Message == "" {
			t.Errorf("two attempts that fail alike say %q and %q", one.Message, two.Message)
		}
	}
}

func TestRoughly(t *testing.T) {
	cases := []struct {
		reason string
		skew   time.Duration
		want   string
	}{
		{"to ten seconds", 94 * time.Second, "90 seconds"},
		{"either way", -97 * time.Second, "100 seconds"},
		{"below two minutes", 119 * time.Second, "120 seconds"},
		{"to a minute from then on", 2 * time.Minute, "2 minutes"},
		{"up to the next", 10*time.Minute + 31*time.Second, "11 minutes"},
		{"and down", 10*time.Minute + 29*time.Second, "10 minutes"},
		{"to an hour from an hour on", time.Hour, "1 hour"},
		{"a time zone taken for UTC", -2*time.Hour - 3*time.Minute, "2 hours"},
		{"a clock that was never set", 56 * 365 * 24 * time.Hour, "490560 hours"},
	}
	for _, c := range cases {
		if got := roughly(c.skew); got != c.want {
			t.Errorf("%s: %s", c.reason, got)
		}
	}
}

func TestResentUpdateIsNoConflict(t *testing.T) {
	s := newFakeServer(t)
	// The reply and the read-back after it are lost; then the same change is asked for again.
	lost := false
	s.misbehave = func(req *dns.Msg) fault {
		if req.Opcode == dns.OpcodeUpdate {
			lost = true
			return applyThenReset
		}
		if lost && req.Question[0].Qtype == dns.TypeTLSA {
			lost = false
			return reset
		}
		return behave
	}
	s.startTCP()
	a := startActor(t, testConfig(s), quick())
	if got := publish(t, a, first(1)); got.Class != Unreachable || !got.Retryable || got.CurrentKnown {
		t.Fatalf("got %+v", got)
	}
	if got := publish(t, a, first(1)); got.Class != Unchanged {
		t.Errorf("our own earlier success is called %s: %s", got.Class, got.Message)
	}
}

func TestPrerequisiteFailureIsComparedWithWhatIsWanted(t *testing.T) {
	cases := []struct {
		reason string
		other  []tlsa.Record
		want   Class
	}{
		{"somebody wrote just what is wanted: that is success", []tlsa.Record{record(1)}, Applied},
		{"somebody wrote something else: that is a conflict", []tlsa.Record{record(7)}, Conflict},
	}
	for _, c := range cases {
		s := newFakeServer(t)
		// Between our read and our update somebody else writes.
		s.misbehave = func(req *dns.Msg) fault {
			if req.Opcode == dns.OpcodeUpdate {
				s.set(rrs(ownerName(1), c.other, first(1).TTL)...)
			}
			return behave
		}
		s.startTCP()
		got := publish(t, startActor(t, testConfig(s), quick()), first(1))
		if got.Class != c.want || !got.CurrentKnown || got.Current[0] != c.other[0] {
			t.Errorf("%s: got %+v", c.reason, got)
		}
	}
}

func TestUpdateMessageOnTheWire(t *testing.T) {
	s := newFakeServer(t).startTCP()
	a := startActor(t, testConfig(s), quick())
	publish(t, a, Change{Owner: ownerName(1), Want: []tlsa.Record{record(1), record(2)}, TTL: 3600e9})
	publish(t, a, Change{Owner: ownerName(1), Expect: []tlsa.Record{record(1), record(2)}, Want: []tlsa.Record{record(3)}, TTL: 60e9})
	sent := s.sent()
	if len(sent) != 2 {
		t.Fatalf("%d updates", len(sent))
	}
	none, whole := sent[0], sent[1]
	if h := none.Answer[0].Header(); len(none.Answer) != 1 || h.Class != dns.ClassNONE || h.Rrtype != dns.TypeTLSA {
		t.Errorf("a first publication must require that there is no RRset (2.4.3): %v", none.Answer)
	}
	if len(whole.Answer) != 2 || whole.Answer[0].Header().Class != dns.ClassINET || whole.Answer[0].Header().Ttl != 0 {
		t.Errorf("a change must require the whole RRset by value, TTL 0 (2.4.2): %v", whole.Answer)
	}
	for i, m := range sent {
		if h := m.Ns[0].Header(); h.Class != dns.ClassANY || h.Rrtype != dns.TypeTLSA {
			t.Errorf("update %d does not delete the RRset first: %v", i, m.Ns)
		}
		for _, rr := range m.Ns[1:] {
			if rr.Header().Class != dns.ClassINET || rr.Header().Ttl != []uint32{3600, 60}[i] {
				t.Errorf("update %d adds %v", i, rr)
			}
		}
		if tsig := m.IsTsig(); tsig == nil || tsig.Fudge != 300 {
			t.Errorf("update %d is not signed with a fudge of 300 s", i)
		}
	}
	if sent[0].Id == sent[1].Id {
		t.Error("two messages have one ID")
	}
}

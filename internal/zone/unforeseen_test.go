package zone

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/miekg/dns"
	"k8s.io/utils/clock"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/guard"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// bomb is a fault of the operator that what one server sends brings about, at a place that a test chooses.
type bomb struct {
	// address of the server; place is one of those that the methods of bombConn and dial name.
	address, place string
	off            atomic.Bool
	panics         atomic.Int32
}

func (b *bomb) count(guard.Part) { b.panics.Add(1) }

func (b *bomb) options() Options {
	o := quick()
	o.Guard, o.Dial = guard.New(logr.Discard(), b.count), b.dial
	return o
}

// at panics at the place.
func (b *bomb) at(place string) {
	if place == b.place && !b.off.Load() {
		panic("a fault that what the server sent brings about")
	}
}

func (b *bomb) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if address == b.address {
		b.at("dial")
	}
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil || address != b.address {
		return c, err
	}
	return &bombConn{Conn: c, bomb: b}, nil
}

// bombConn tells its bomb what is done with it: whether an update has gone through it before or is written now.
type bombConn struct {
	net.Conn
	bomb    *bomb
	updates atomic.Int32
	queries atomic.Int32
}

func (c *bombConn) Write(octets []byte) (int, error) {
	switch isUpdate := len(octets) > 4 && int(octets[4]>>3&0xf) == dns.OpcodeUpdate; {
	case isUpdate:
		c.updates.Add(1)
		c.bomb.at("write update")
	case c.updates.Load() > 0:
		c.queries.Add(1)
		c.bomb.at("write read-back")
	default:
		c.bomb.at("write query")
	}
	return c.Conn.Write(octets)
}

func (c *bombConn) Read(octets []byte) (int, error) {
	n, err := c.Conn.Read(octets)
	switch {
	case c.updates.Load() == 0:
		c.bomb.at("read answer")
	case c.queries.Load() == 0:
		c.bomb.at("read reply to update")
	default:
		c.bomb.at("read read-back")
	}
	return n, err
}

// TestPanicWithOneServer: the others' answers stand in the sweep, that server counts as one that gave none, for every
// owner, and it is asked again when the fault is gone, however often it came.
func TestPanicWithOneServer(t *testing.T) {
	for _, place := range []string{"dial", "write query", "read answer"} {
		t.Run(place, func(t *testing.T) {
			s := newFakeServer(t)
			for i := range 3 {
				s.publishDirect(i, record(i))
			}
			other := s.twin().startTCP()
			s.startTCP()
			b := &bomb{address: other.addr, place: place}
			cfg := testConfig(s)
			cfg.Static = []netip.AddrPort{s.addrPort(), other.addrPort()}
			a := startActor(t, cfg, b.options())
			for round := range maxConnections + 3 {
				got := sweepOf(t, a, ownerName(round%3))
				for _, answer := range got.Answers {
					bad := answer.Address == other.addr
					if answer.Reachable == bad || answer.Signed == bad || bad && !strings.Contains(answer.Message, unforeseen) {
						t.Fatalf("round %d: %+v", round, answer)
					}
				}
				if len(got.Answers) != 2 {
					t.Fatalf("round %d: %+v", round, got)
				}
			}
			if b.panics.Load() == 0 {
				t.Error("nothing is counted")
			}
			b.off.Store(true)
			for _, answer := range sweepOf(t, a, ownerName(1)).Answers {
				if !answer.Reachable || !answer.Signed {
					t.Errorf("after the fault: %+v", answer)
				}
			}
		})
	}
}

// TestPanicOnTheWayToThePrimary: a change never counts as made on the strength of what was not read, nor as not made, and
// the next try ends well.
func TestPanicOnTheWayToThePrimary(t *testing.T) {
	for _, row := range []struct {
		place string
		ends  Class
		// stored says that the server has carried it out by then.
		stored bool
	}{
		{"dial", ServerFailure, false},
		{"write query", Unreachable, false},
		{"read answer", ServerFailure, false},
		{"write update", Unreachable, false},
		{"read reply to update", ServerFailure, true},
		// What was asked on a connection that has ended is asked on another one.
		{"write read-back", Applied, true},
		{"read read-back", ServerFailure, true},
	} {
		t.Run(row.place, func(t *testing.T) {
			s := newFakeServer(t).startTCP()
			b := &bomb{address: s.addr, place: row.place}
			a := startActor(t, testConfig(s), b.options())
			got := publish(t, a, first(1))
			if told := got.Retryable && strings.Contains(got.Message, unforeseen); got.Class != row.ends || told == (got.Class == Applied) {
				t.Errorf("it ended with %+v", got)
			}
			if stored := len(s.get(ownerName(1), dns.TypeTLSA)) > 0; stored != row.stored || b.panics.Load() == 0 {
				t.Errorf("stored: %t; %d panics", stored, b.panics.Load())
			}
			b.off.Store(true)
			want := Applied
			if row.stored {
				want = Unchanged
			}
			if got := publish(t, a, first(1)); got.Class != want {
				t.Errorf("the next try: %+v, want %s", got, want)
			}
			// What it holds is known anew: the change after that goes through.
			second := Change{Owner: ownerName(1), Expect: []tlsa.Record{record(1)}, Want: []tlsa.Record{record(2)}, TTL: time.Hour}
			if got := publish(t, a, second); got.Class != Applied {
				t.Errorf("the change after that: %+v", got)
			}
		})
	}
}

// TestPanicInALookAtTheZone: nothing is claimed of the zone for what its server sends, and the look ends.
func TestPanicInALookAtTheZone(t *testing.T) {
	s := newFakeServer(t).startTCP()
	b := &bomb{address: s.addr, place: "read answer"}
	a := startActor(t, testConfig(s), b.options())
	healthOf := func() Health {
		looks := make(chan Health, 1)
		a.Check(func(h Health) { looks <- h })
		return wait(t, looks)
	}
	h := healthOf()
	if h.DNSSEC.State == dnssec.Secure || h.DNSSEC.State == dnssec.Bogus || h.DNSSEC.State == dnssec.Insecure {
		t.Errorf("it is called %s", h.DNSSEC.State)
	}
	if len(h.Servers) > 0 && h.Servers[0].Reachable || b.panics.Load() == 0 {
		t.Errorf("%+v, %d panics", h, b.panics.Load())
	}
	addresses := make(chan Address, 1)
	a.Addresses("mx1."+testZone, func(found Address) { addresses <- found })
	if found := wait(t, addresses); found.Complete || !strings.Contains(found.Message, unforeseen) {
		t.Errorf("addresses: %+v", found)
	}
	b.off.Store(true)
	if h := healthOf(); h.DNSSEC.State != dnssec.Secure || h.PrimaryAccepts.Class != Applied {
		t.Errorf("after the fault: %+v", h)
	}
}

// poisonedClock panics where answers are judged, the second time.
type poisonedClock struct {
	clock.RealClock
	asked atomic.Int32
}

func (c *poisonedClock) Now() time.Time {
	var pcs [1]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	if f, _ := frames.Next(); strings.HasSuffix(f.Function, ".judge") && c.asked.Add(1) == 2 {
		panic("a fault that one owner's records bring about")
	}
	return time.Now()
}

// TestPanicWithOneOwner: what else the server said in the same round stands.
func TestPanicWithOneOwner(t *testing.T) {
	s := newFakeServer(t)
	for i := range 3 {
		s.publishDirect(i, record(i))
	}
	s.startTCP()
	opts := quick()
	opts.Guard, opts.Clock = guard.Silent(), &poisonedClock{}
	a := startActor(t, testConfig(s), opts)
	hold, held := make(chan struct{}), make(chan struct{})
	a.post(func(*state) { close(held); <-hold })
	<-held
	sweeps := make([]chan Sweep, 3)
	for i := range sweeps {
		sweeps[i] = make(chan Sweep, 1)
		a.Sweep(ownerName(i), func(s Sweep) { sweeps[i] <- s })
	}
	close(hold)
	for i := range sweeps {
		got := wait(t, sweeps[i]).Answers[0]
		if bad := i == 1; got.Reachable == bad || got.Signed == bad || (len(got.Records) == 0) != bad || (got.Message == unforeseen) != bad {
			t.Errorf("owner %d: %+v", i, got)
		}
	}
}

// TestPanicOfWhoWaits: one who is told and panics takes nothing from the others who are told, nor from the zone.
func TestPanicOfWhoWaits(t *testing.T) {
	s := newFakeServer(t).startTCP()
	b := &bomb{}
	a := startActor(t, testConfig(s), b.options())
	for range 2 {
		var told sync.WaitGroup
		told.Add(8)
		for i := range 2 {
			say := func() {
				told.Done()
				if i == 0 {
					panic("who waits")
				}
			}
			a.Sweep(ownerName(1), func(Sweep) { say() })
			a.Publish(first(1), func(Result) { say() })
			a.Check(func(Health) { say() })
			a.Addresses("mx1."+testZone, func(Address) { say() })
		}
		all := make(chan struct{})
		go func() { told.Wait(); close(all) }()
		wait(t, all)
	}
	for until := time.Now().Add(10 * time.Second); b.panics.Load() < 8 && time.Now().Before(until); { // the last is counted after it was told
		time.Sleep(time.Millisecond)
	}
	if n := b.panics.Load(); n != 8 {
		t.Errorf("%d panics are counted, want 8", n)
	}
}

// panickingResolver is a validator with a fault.
type panickingResolver struct{ Resolver }

func (panickingResolver) LookupDS(context.Context, string) dnssec.Result {
	panic("a fault in validation")
}

// TestPanicOnTheWayToTheZone: how the zone is entered is then not known, and it is neither Secure nor insecure.
func TestPanicOnTheWayToTheZone(t *testing.T) {
	s := newFakeServer(t)
	s.publishDirect(1, record(1))
	s.startTCP()
	b := &bomb{}
	cfg, opts := testConfig(s), b.options()
	above := *s.ds()
	above.Hdr.Name = "test."
	cfg.Anchors = []*dns.DS{&above}
	opts.NewResolver = func([]dnssec.Anchor) Resolver { return panickingResolver{} }
	got := sweepOf(t, startActor(t, cfg, opts), ownerName(1)).Answers[0]
	if got.Signed || !strings.Contains(got.Message, unforeseen) || b.panics.Load() == 0 {
		t.Errorf("%+v, %d panics", got, b.panics.Load())
	}
}

// TestPanicOfOneZone: another zone of the same server does not notice.
func TestPanicOfOneZone(t *testing.T) {
	s := newFakeServer(t).startTCP()
	b := &bomb{address: s.addr, place: "read answer"}
	sick, well := startActor(t, testConfig(s), b.options()), startActor(t, testConfig(s), quick())
	for i := range 20 {
		if got := publish(t, sick, first(i)); got.Class != ServerFailure {
			t.Fatalf("%+v", got)
		}
		if got := publish(t, well, first(100+i)); got.Class != Applied {
			t.Fatalf("%+v", got)
		}
	}
}

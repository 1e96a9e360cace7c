package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/servers"
	"github.com/dane-operator/dane-operator/test/wire"
)

// thorough says that every fault and every crash point is tried, not only a handful. "make faults" and "make
// crash" set it.
var thorough = os.Getenv("DANE_TEST_FAULTS") == "full"

// wireFault is something that happens to messages between the operator and its primary.
type wireFault struct {
	name string
	// fault of a site: some need the primary's secret.
	fault func(*site) wire.Fault
	// holds says that nothing that can be believed gets through: the new key waits until that is over.
	// Without it the rollover has to end in spite of the fault.
	holds bool
	// written says that the update arrives all the same, and its answer does not.
	written bool
	// says is what a condition tells beside the address of the server.
	says string
	// always says that it is tried in CI.
	always bool
}

// plain is a fault that needs nothing of the site.
func plain(f wire.Fault) func(*site) wire.Fault { return func(*site) wire.Fault { return f } }

// skewed is a server whose clock is a quarter of an hour behind.
func skewed(s *site) wire.Fault {
	return wire.Skew{By: 15 * time.Minute, Secret: s.primary.TSIGSecret}
}

// onStreams are the faults of updates by TCP.
var onStreams = []wireFault{
	// A stream stands still; what was sent comes through when it goes on, and may be out of date by then.
	{name: "drop", fault: plain(wire.Drop{}), holds: true, says: "no reply in time"},
	// The ambiguous case: done, and nobody knows.
	{name: "replies lost", fault: plain(wire.DropReplies{}), holds: true, written: true, says: "no reply in time", always: true},
	// Slower than a sweep of an idle network, and quicker than a server that counts as silent.
	{name: "delay", fault: plain(wire.Delay{By: time.Second})},
	// The second copy of an update finds its prerequisites broken, and the second copy of a reply is one to nothing.
	{name: "duplicate", fault: plain(wire.Duplicate{}), always: true},
	// TC on a stream: nothing to try next.
	{name: "truncate", fault: plain(wire.Truncate{}), holds: true, written: true},
	// The stream ends within a message.
	{name: "cut", fault: plain(wire.Cut{}), holds: true, written: true},
	{name: "reset", fault: plain(wire.Reset{}), holds: true, says: "reset", always: true},
	// NOERROR to everything, as a resolver between says that knows nothing of TSIG.
	{name: "forged, unsigned", fault: plain(wire.Forge{}), holds: true, says: "not signed", always: true},
	{name: "forged, wrong MAC", fault: plain(wire.Forge{Signature: true}), holds: true, says: "signature"},
	// Octets come all the time, and the message never.
	{name: "trickle", fault: plain(wire.Trickle{Every: 200 * time.Millisecond}), holds: true, written: true},
	{name: "garbage", fault: plain(wire.Garbage{}), holds: true},
	// The server refuses with BADTIME.
	{name: "clock skew", fault: skewed, holds: true, says: "BADTIME", always: true},
}

// onPackets are the faults of updates by UDP.
var onPackets = []wireFault{
	{name: "drop", fault: plain(wire.Drop{}), holds: true, says: "no reply in time", always: true},
	{name: "replies lost", fault: plain(wire.DropReplies{}), holds: true, written: true},
	{name: "delay", fault: plain(wire.Delay{By: 500 * time.Millisecond})},
	{name: "duplicate", fault: plain(wire.Duplicate{})},
	// An unsigned TC bit is anybody's.
	{name: "truncate", fault: plain(wire.Truncate{}), holds: true, written: true, always: true},
	{name: "cut", fault: plain(wire.Cut{}), holds: true, written: true},
	// The true reply comes behind the forged one: the forged one is passed over.
	{name: "forged, unsigned", fault: plain(wire.Forge{}), always: true},
	{name: "forged, wrong MAC", fault: plain(wire.Forge{Signature: true})},
	{name: "garbage", fault: plain(wire.Garbage{}), holds: true},
	{name: "clock skew", fault: skewed, holds: true, says: "BADTIME"},
}

// Under each fault in turn a renewal makes no wrong step and says whom it waits for, and it ends when
// the fault is over. What the other makes say to a wrong signature is TestRowsOfRefusals of test/zone.
func TestFaultsOnTheWire(t *testing.T) {
	t.Parallel()
	for protocol, faults := range map[v1alpha1.UpdateProtocol][]wireFault{
		v1alpha1.UpdateTCP: onStreams, v1alpha1.UpdateUDP: onPackets,
	} {
		t.Run(string(protocol), func(t *testing.T) {
			only(t, servers.BIND, func(t *testing.T, m servers.Make) { faultsOnTheWire(t, m, protocol, faults) })
		})
	}
}

func faultsOnTheWire(t *testing.T, m servers.Make, protocol v1alpha1.UpdateProtocol, faults []wireFault) {
	s := newSite(t, m, "mx1-tls")
	proxy := s.proxied(func(z *v1alpha1.DNSZone) { z.Spec.Update.Protocol = protocol })
	for _, f := range faults {
		if !f.always && !thorough {
			continue
		}
		s.rollsUnder(proxy, f)
		if t.Failed() {
			t.Fatalf("the fault was: %s", f.name)
		}
	}
	s.restsBehind(proxy)
	s.verdict()
}

// proxied brings a host with strategy Gate to rest whose primary is updated through a proxy, and starts the judges.
func (s *site) proxied(edits ...func(*v1alpha1.DNSZone)) *wire.DNS {
	s.Helper()
	at := netip.AddrPortFrom(s.primary.Addr.Addr(), servers.FreePort(s, s.primary.Addr.Addr().String()))
	proxy, err := wire.StartDNS(s.primary.Addr.String(), at)
	s.must(err)
	s.Cleanup(proxy.Stop)
	s.createZone(append(edits, func(z *v1alpha1.DNSZone) { z.Spec.Update.Nameserver = at.String() })...)
	s.certificate("selfsigned", nil)
	s.domain(withoutStandby)
	s.settle(false)
	s.judges()
	return proxy
}

// rollsUnder renews while there is a fault, which ends in the middle of that, or lasts when it holds nothing.
func (s *site) rollsUnder(proxy *wire.DNS, f wireFault) {
	s.Helper()
	s.showsOne()
	published := s.published()
	proxy.Set(f.fault(s))
	before := s.startRenewal()
	if f.holds {
		s.heldUntil(time.Now().Add(caches+time.Second), func() error {
			if f.written {
				return nil
			}
			return s.unchanged(published)
		})
		said := s.complains(proxy.Addr.String(), f.says)
		lifted := time.Now() // not yet
		proxy.Set(nil)
		s.heldUntil(lifted.Add(caches))
		s.settleBeyond(before, false)
		s.Logf("%s: it said %q, and the rollover ended %s after the fault", f.name, said, time.Since(lifted).Round(time.Second))
		return
	}
	s.heldUntil(s.changesFrom(published).Add(caches))
	s.settleBeyond(before, false)
	s.Logf("%s: the rollover ended in spite of it", f.name)
	proxy.Set(nil)
}

// restsBehind wants no update and no other status over ten resyncs, when the faults are over.
func (s *site) restsBehind(proxy *wire.DNS) {
	s.Helper()
	s.showsOne()
	look := func(i int) v1alpha1.MailDomainStatus {
		s.editDomain(func(md *v1alpha1.MailDomain) {
			md.Annotations = map[string]string{"example.test/resync": fmt.Sprint(i)}
		})
		time.Sleep(200 * time.Millisecond)
		md, err := s.lab.Domain(s.Context(), s.lab.Namespace)
		s.must(err)
		return md.Status
	}
	servers.Eventually(s, "nothing that is past stands in the status", func() error {
		now := look(0)
		rest := now.DeepCopy()
		withoutPast(rest)
		return unless(equality.Semantic.DeepEqual(now, *rest), "something does")
	})
	updates, before := proxy.Counts().Updates, look(1)
	for i := range resyncs {
		if now := look(2 + i); !equality.Semantic.DeepEqual(now, before) {
			s.Errorf("at rest the status became %+v, from %+v", now, before)
		}
	}
	if n := proxy.Counts().Updates - updates; n > 0 {
		s.Errorf("at rest %d updates were sent", n)
	}
}

// showsOne waits until every name server shows the record of the key in use and no other: status says that a
// key is gone before its record is taken out.
func (s *site) showsOne() {
	s.Helper()
	servers.Eventually(s, "one record is left everywhere", func() error {
		want := "3 1 1" + s.postfix.Served()
		for _, server := range s.authoritative() {
			shown, err := s.shownBy(server)
			if err != nil {
				return err
			}
			if shown != want {
				return fmt.Errorf("%s shows %q instead of %q", server, shown, want)
			}
		}
		return nil
	})
}

// unchanged returns an error when the primary shows other records than before.
func (s *site) unchanged(before string) error {
	s.Helper()
	if now := s.published(); now != before {
		return fmt.Errorf("the primary shows\n%s\ninstead of\n%s", now, before)
	}
	return nil
}

// complains waits until a condition of the MailDomain names a server, and it or the server's entry in status says
// some text of it. It returns both.
func (s *site) complains(server, text string) string {
	s.Helper()
	var said string
	servers.Eventually(s, fmt.Sprintf("%s is named, and that %q", server, text), func() error {
		md, err := s.lab.Domain(s.Context(), s.lab.Namespace)
		s.must(err)
		said = ""
		for _, c := range md.Status.Conditions {
			if strings.Contains(c.Message, server) {
				said = c.Type + ": " + c.Message
			}
		}
		for _, n := range md.Status.MailServers[0].Nameservers {
			if n.Address == server {
				said += "; " + n.Message
			}
		}
		if !strings.HasPrefix(said, "; ") && strings.Contains(said, text) {
			return nil
		}
		return fmt.Errorf("it says %q; %s", said, conditions(md))
	})
	return said
}

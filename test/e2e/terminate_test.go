package e2e

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/servers"
	"github.com/dane-operator/dane-operator/test/wire"
)

// podGrace is the terminationGracePeriodSeconds of config/manager: what has not ended by then is killed.
const podGrace = 40 * time.Second

// The operator is told to end (SIGTERM) while an update of its is under way. It waits for the answer, reads back what
// stands there, and ends by itself in the time that its pod has. DNS shows the whole old RRset or the whole new one at
// every instant, and the operator that comes next ends the rollover.
func TestTerminatedDuringAnUpdate(t *testing.T) { alone(t, bind, terminatedDuringAnUpdate) }

func terminatedDuringAnUpdate(t *testing.T, m servers.Make) {
	s := newSite(t, m, "mx1-tls")
	proxy := s.proxied()
	s.editDomain(func(md *v1alpha1.MailDomain) { md.Spec.TLSA.Parameters = []v1alpha1.TLSAParameters{"3 1 1", "3 1 2"} })
	for _, c := range []terminated{
		{name: "the answer comes late", fault: wire.Hold{Replies: true}, written: true, lifted: true},
		{name: "the update arrives late", fault: wire.Hold{}, lifted: true},
		{name: "the answer never comes", fault: wire.Hold{Replies: true}, written: true},
	} {
		s.terminatedDuring(proxy, c)
		if t.Failed() {
			t.Fatalf("the case was: %s", c.name)
		}
	}
	s.verdict()
}

// terminated is an update during which the operator is told to end.
type terminated struct {
	name  string
	fault wire.Fault
	// written says that the primary has carried it out by then.
	written bool
	// lifted says that the fault is over while the operator waits.
	lifted bool
}

func (s *site) terminatedDuring(proxy *wire.DNS, c terminated) {
	s.Helper()
	s.showRecords(2)
	old, start := s.published(), proxy.Counts()
	proxy.Set(c.fault)
	before := s.startRenewal()
	servers.Eventually(s, "an update is under way", func() error {
		return unless(proxy.Counts().Updates > start.Updates && (!c.written || s.published() != old), "it is not")
	})
	watch := s.watchRecords()
	told, done := time.Now(), s.lab.Operator.Done()
	ended := make(chan error, 1)
	go func() { ended <- s.lab.Operator.Stop() }()
	select {
	case <-done:
		s.Errorf("%s: the operator ended without waiting for the answer", c.name)
	case <-time.After(3 * time.Second): // as long as anything else takes at its end
	}
	queries := proxy.Counts().Queries
	if c.lifted {
		proxy.Set(nil)
	}
	s.must(<-ended)
	took := time.Since(told)
	if code := s.lab.Operator.ExitCode(); code != 0 || took > podGrace {
		s.Errorf("%s: the operator ended with %d, %s after it was told to", c.name, code, took)
	}
	if c.lifted && proxy.Counts().Queries == queries {
		s.Errorf("%s: the operator did not read back what stands there", c.name)
	}
	if n := proxy.Counts().Updates - start.Updates; n != 1 {
		s.Errorf("%s: %d updates", c.name, n)
	}
	s.changesEverywhere(old)
	s.wasWhole(watch(), old)
	proxy.Set(nil)
	s.must(s.lab.Operator.Start())
	s.settleBeyond(before, false)
	s.Logf("%s: it took %s to end", c.name, took.Round(time.Second))
}

// showRecords waits until every name server shows that many records.
func (s *site) showRecords(n int) {
	s.Helper()
	servers.Eventually(s, "every name server shows the records of one key", func() error {
		for _, at := range s.authoritative() {
			shown, err := s.shownBy(at)
			if err != nil {
				return err
			}
			if err := unless(strings.Count(shown, "\n")+1 == n, at.String()+" shows "+shown); err != nil {
				return err
			}
		}
		return nil
	})
}

// watchRecords notes every RRset that a name server shows until the function that it returns is called.
func (s *site) watchRecords() func() []string {
	var seen []string
	quit := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			for _, at := range s.authoritative() {
				if shown, err := s.shownBy(at); err == nil && !slices.Contains(seen, shown) {
					seen = append(seen, shown)
				}
			}
			select {
			case <-quit:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	return func() []string {
		close(quit)
		watching.Wait()
		return seen
	}
}

// wasWhole wants nothing to have been seen but the RRset of before and the one with both records of the new key too.
func (s *site) wasWhole(seen []string, old string) {
	s.Helper()
	whole := s.published()
	records := strings.Split(whole, "\n")
	for _, r := range strings.Split(old, "\n") {
		if !slices.Contains(records, r) {
			s.Errorf("%q went", r)
		}
	}
	if len(records) != 4 {
		s.Errorf("the primary shows\n%s", whole)
	}
	for _, set := range seen {
		if set != old && set != whole {
			s.Errorf("a name server showed\n%s\nwhich is neither\n%s\nnor\n%s", set, old, whole)
		}
	}
	if !slices.Contains(seen, whole) {
		s.Error("the new RRset was never seen: the watch saw too little")
	}
}

package rollover

import (
	"testing"
	"time"
)

// TestWhatEveryCacheHasStaysKnown: a key whose records stand in every answer that may be cached is Omnipresent, whatever else
// one name server does not show; one that an answer lacks, or that was never shown by all of them, is not.
func TestWhatEveryCacheHasStaysKnown(t *testing.T) {
	visibility := func(d Decision, key string) string {
		for _, k := range d.Keys {
			if k.SPKI == digest(key) {
				return k.Visibility
			}
		}
		return ""
	}
	for _, row := range []struct {
		reason string
		fault  func(*shower)
		a, b   string
	}{
		{"it lags: its answer has the key in use, and not the next one", func(n *shower) { n.stuck = true }, omnipresent, rumoured},
		{"it is away: caches have what it showed before", func(n *shower) { n.down = true }, omnipresent, rumoured},
		{"its signatures ran out: nobody takes its answers", func(n *shower) { n.unsigned = true }, omnipresent, rumoured},
		{"it has lost the records: it denies them", func(n *shower) { n.stuck, n.shows = true, map[string]answerSet{} }, rumoured, rumoured},
	} {
		s := published(t)
		row.fault(s.servers[2])
		s.hold("b", StageRequested)
		s.settle()
		d := s.at(s.now.Add(30 * 24 * time.Hour))
		if a, b := visibility(d, "a"), visibility(d, "b"); a != row.a || b != row.b {
			t.Errorf("%s: the key in use is %s, the next one %s; want %s and %s", row.reason, a, b, row.a, row.b)
		}
		if d.Owners[0].InSync {
			t.Errorf("%s: it is in sync", row.reason)
		}
	}
	s := newScene(t)
	s.servers[2].down = true
	if d := s.settle(); visibility(d, "a") != rumoured {
		t.Errorf("a server has not shown the first records yet: the key is %s", visibility(d, "a"))
	}
}

package zone

import (
	"testing"

	"github.com/miekg/dns"
)

// TestMessagesGrowWithTheOwners: ten times the owners take about ten times the messages, questions and updates together. If one
// owner cost a look at the others, it were a hundred times. What is late is asked again: that is why twice as many may be.
func TestMessagesGrowWithTheOwners(t *testing.T) {
	messages := func(owners int) (n int) {
		s := newFakeServer(t)
		s.misbehave = func(*dns.Msg) fault { n++; return behave }
		s.startTCP()
		for owner, r := range publishAll(t, testConfig(s), manyChanges(owners)) {
			if r.Class != Applied {
				t.Errorf("%s: %s %s", owner, r.Class, r.Message)
			}
		}
		s.hook.Lock()
		defer s.hook.Unlock()
		return n
	}
	few, many := messages(50), messages(500)
	if many > 20*few || few < 50 {
		t.Errorf("50 owners took %d messages, 500 took %d", few, many)
	}
	t.Logf("50 owners: %d messages; 500 owners: %d", few, many)
}

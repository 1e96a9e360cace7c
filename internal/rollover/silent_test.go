package rollover

import (
	"strings"
	"testing"
)

// The message that a person sees first names the servers that gave no answer, and no other.
func TestSilentServersAreNamed(t *testing.T) {
	for _, test := range []struct {
		name   string
		silent []int
		want   string
	}{
		{"the primary alone keeps the records from being written", []int{0}, "primary gives no authoritative answer"},
		{"all of them", []int{0, 1, 2}, "ns1 gives no authoritative answer, ns2 gives no authoritative answer, primary gives no authoritative answer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := published(t)
			for _, i := range test.silent {
				s.servers[i].down = true
			}
			s.hold("b", StageRequested)
			s.look()
			d := s.decide()
			s.held(d, "b", WaitSweep, "have to be asked for "+firstOwner+": "+test.want)
			if first := d.Waits[0].Message; len(test.silent) == 1 && strings.Contains(first, "ns1") {
				t.Errorf("%q names a server that has answered", first)
			}
		})
	}
}

package zone

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// digests512 are n records of SHA-512.
func digests512(from, n int) []tlsa.Record {
	var out []tlsa.Record
	for i := range n {
		out = append(out, tlsa.Record{Parameters: tlsa.Parameters{Usage: 3, Selector: 1, MatchingType: 2}, Data: fmt.Sprintf("%0128x", from+i)})
	}
	return tlsa.Normalize(out)
}

// wholeKeys are n records of so many octets each.
func wholeKeys(n, octets int) []tlsa.Record {
	var out []tlsa.Record
	for i := range n {
		out = append(out, tlsa.Record{Parameters: tlsa.Parameters{Usage: 3}, Data: fmt.Sprintf("%0*x", 2*octets, i)})
	}
	return tlsa.Normalize(out)
}

func TestMessagesAreCutBySize(t *testing.T) {
	small := func(i int) Change { return first(i) }
	large := func(i int) Change {
		return Change{Owner: ownerName(i), Expect: digests512(0, 12), Want: digests512(100, 12), TTL: time.Hour}
	}
	oneLarge := func(i int) Change {
		if i == 3 {
			return large(i)
		}
		return small(i)
	}
	cases := []struct {
		reason   string
		protocol Protocol
		owners   int
		change   func(int) Change
		// limit of octets for messages of several owners; least and most messages.
		limit, least, most int
	}{
		{"small changes fill a message of 50", TCP, 50, small, streamBudget, 1, 1},
		{"twelve SHA-512 digests for twelve others take 2 KiB an owner", TCP, 50, large, streamBudget, 6, 8},
		{"one large owner takes its share", TCP, 50, oneLarge, streamBudget, 1, 1},
		{"packets hold a few small owners", UDP, 50, small, maxUDP, 4, 10},
		{"packets hold one large owner each", UDP, 10, large, maxUDP, 10, 10},
		{"a large owner goes alone, and the others together", UDP, 10, oneLarge, maxUDP, 3, 4},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			s := newFakeServer(t)
			var changes []Change
			for i := range c.owners {
				changes = append(changes, c.change(i))
				if before := changes[i].Expect; len(before) > 0 {
					s.publishDirect(i, before...)
				}
			}
			if c.protocol == UDP {
				s.startUDP()
			} else {
				s.startTCP()
			}
			cfg := testConfig(s)
			cfg.Protocol = c.protocol
			for owner, r := range publishAll(t, cfg, changes) {
				if r.Class != Applied {
					t.Errorf("%s: %s %s", owner, r.Class, r.Message)
				}
			}
			sent := s.sent()
			if len(sent) < c.least || len(sent) > c.most {
				t.Errorf("%d messages of %v octets", len(sent), s.octets)
			}
			for i, m := range sent {
				if n := rrsetsIn(m); n > 1 && s.octets[i] > c.limit {
					t.Errorf("%d owners in %d octets", n, s.octets[i])
				}
			}
		})
	}
}

// Records of others may be as large as a message; to name them as they are and as they shall be takes
// two such messages.
func TestChangeThatNoMessageHolds(t *testing.T) {
	for _, protocol := range []Protocol{TCP, UDP} {
		s := newFakeServer(t)
		foreign := wholeKeys(12, 2800)
		s.publishDirect(1, foreign...)
		if protocol == UDP {
			s.startUDP()
		} else {
			s.startTCP()
		}
		cfg := testConfig(s)
		cfg.Protocol = protocol
		changes := []Change{first(0), {Owner: ownerName(1), Expect: foreign, Want: append(slices.Clone(foreign), record(1)), TTL: time.Hour}, first(2)}
		got := publishAll(t, cfg, changes)
		r := got[ownerName(1)]
		for _, text := range []string{ownerName(1), "12 TLSA records before and 13 TLSA records after", "octets", "matching type 0"} {
			if !strings.Contains(r.Message, text) {
				t.Errorf("%s: %q is not in %q", protocol, text, r.Message)
			}
		}
		if r.Class != Malformed || r.Retryable || got[ownerName(0)].Class != Applied || got[ownerName(2)].Class != Applied {
			t.Errorf("%s: got %+v", protocol, got)
		}
		if n := len(s.get(ownerName(1), dns.TypeTLSA)); n != 12 {
			t.Errorf("%s: %d records", protocol, n)
		}
	}
}

func TestChangeThatCannotBeWrittenFailsAlone(t *testing.T) {
	s := newFakeServer(t).startTCP()
	odd := first(1)
	odd.Want = []tlsa.Record{{Parameters: tlsa.Parameters{Usage: 3, Selector: 1, MatchingType: 1}, Data: "abc"}}
	got := publishAll(t, testConfig(s), []Change{first(0), odd, first(2)})
	if r := got[ownerName(1)]; r.Class != Malformed || r.Retryable || !strings.Contains(r.Message, ownerName(1)) {
		t.Errorf("got %+v", r)
	}
	if got[ownerName(0)].Class != Applied || got[ownerName(2)].Class != Applied {
		t.Errorf("its neighbours suffer: %+v", got)
	}
}

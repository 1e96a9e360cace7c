package zone

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// afterUpdate makes the server misbehave at updates in one way, and at the queries after the first
// update in another.
func afterUpdate(update, query fault) func(*dns.Msg) fault {
	seen := false
	return func(m *dns.Msg) fault {
		if m.Opcode == dns.OpcodeUpdate {
			seen = true
			return update
		}
		if seen {
			return query
		}
		return behave
	}
}

// An update that may have been carried out is never a refusal for certain, whatever keeps it from
// being read back.
func TestDoubtStaysDoubt(t *testing.T) {
	cases := []struct {
		reason        string
		update, query fault
		want          Class
		// texts that the message must hold beside the owner.
		texts []string
	}{
		{"SERVFAIL, then the key is gone", applyThenFail, replyBadKey, ServerFailure, []string{"SERVFAIL", "may have been carried out", "BADKEY"}},
		{"SERVFAIL, then another secret", applyThenFail, replyBadSig, ServerFailure, []string{"may have been carried out", "BADSIG"}},
		{"SERVFAIL, then queries are refused", applyThenFail, replyRefused, ServerFailure, []string{"may have been carried out", "REFUSED"}},
		{"SERVFAIL, then the zone is gone", applyThenFail, replyNotAuth, ServerFailure, []string{"may have been carried out", "NOTAUTH"}},
		{"SERVFAIL, then no authority", applyThenFail, replyNoAA, ServerFailure, []string{"may have been carried out", "without authority"}},
		{"a timeout, then the key is gone", applyThenSilence, replyBadKey, Unreachable, []string{"no reply in time", "may have been carried out", "BADKEY"}},
		{"a timeout, then queries are refused", applyThenSilence, replyRefused, Unreachable, []string{"may have been carried out", "REFUSED"}},
		{"a reset, then the zone is gone", applyThenReset, replyNotAuth, Unreachable, []string{"may have been carried out", "NOTAUTH"}},
		{"an unsigned NOERROR, then the key is gone", replyUnsigned, replyBadKey, UnsignedReply, []string{"cannot be believed", "may have been carried out", "BADKEY"}},
		{"an unsigned refusal, then queries are refused", applyThenRefuse, replyRefused, NotPermitted, []string{"may have been carried out", "REFUSED"}},
		{"NOERROR, then the key is gone", behave, replyBadKey, BadKeyOrACL, []string{"acknowledged and could not be read back", "BADKEY"}},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			s := newFakeServer(t)
			s.misbehave = afterUpdate(c.update, c.query)
			s.startTCP()
			got := publish(t, startActor(t, testConfig(s), quick()), first(1))
			if got.Class != c.want || !got.Retryable || got.CurrentKnown {
				t.Errorf("got %+v", got)
			}
			for _, text := range append(c.texts, ownerName(1)) {
				if !strings.Contains(got.Message, text) {
					t.Errorf("%q is not in %q", text, got.Message)
				}
			}
		})
	}
}

// So does a prerequisite that failed: it may be our own earlier update that stands there.
func TestPrerequisiteThatCannotBeReadBack(t *testing.T) {
	s := newFakeServer(t)
	s.refuse = func(string) int { return dns.RcodeNXRrset }
	s.misbehave = afterUpdate(behave, replyBadKey)
	s.startTCP()
	got := publish(t, startActor(t, testConfig(s), quick()), first(1))
	if got.Class != Conflict || !got.Retryable || got.CurrentKnown || !strings.Contains(got.Message, ownerName(1)) || !strings.Contains(got.Message, "BADKEY") {
		t.Errorf("got %+v", got)
	}
}

// A server may end a connection whenever it likes; that is no outage.
func TestPrimaryThatEndsConnections(t *testing.T) {
	for _, perConn := range []int{1, 3} {
		s := newFakeServer(t)
		s.perConn = perConn
		s.startTCP()
		changes := manyChanges(10)
		for owner, r := range publishAll(t, testConfig(s), changes) {
			if r.Class != Applied {
				t.Errorf("%d messages a connection: %s: %s %s", perConn, owner, r.Class, r.Message)
			}
		}
		if n := len(s.sent()); n != 1 {
			t.Errorf("%d messages a connection: %d updates were sent", perConn, n)
		}
	}
}

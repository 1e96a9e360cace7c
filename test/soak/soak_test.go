// Package soak has the whole stack at work for as long as one likes: hosts on BIND, Knot and PowerDNS with each
// strategy, certificates that live for minutes, one fault after the other, mail servers that have a certificate late,
// and senders that check each host every second. "make soak" runs it for an hour; "make test" for a moment.
package soak

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// options say how long the soak is, and how much there is in it.
type options struct {
	duration time.Duration
	hosts    int
	seed     uint64
}

// fromEnv reads DANE_TEST_SOAK (a duration), DANE_TEST_SOAK_HOSTS and DANE_TEST_SOAK_SEED. Without them the soak
// is short and small.
func fromEnv(t *testing.T) options {
	t.Helper()
	o := options{duration: 20 * time.Second, hosts: 6, seed: uint64(time.Now().UnixNano())} //nolint:gosec // after 1970
	var err error
	if v := os.Getenv("DANE_TEST_SOAK"); v != "" {
		if o.duration, err = time.ParseDuration(v); err != nil {
			t.Fatalf("DANE_TEST_SOAK: %v", err)
		}
		o.hosts = 200
	}
	if v := os.Getenv("DANE_TEST_SOAK_HOSTS"); v != "" {
		if o.hosts, err = strconv.Atoi(v); err != nil {
			t.Fatalf("DANE_TEST_SOAK_HOSTS: %v", err)
		}
	}
	if v := os.Getenv("DANE_TEST_SOAK_SEED"); v != "" {
		if o.seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatalf("DANE_TEST_SOAK_SEED: %v", err)
		}
	}
	return o
}

// No sender ever meets a key that the records it may have cached do not match, whatever goes wrong meanwhile; when
// nothing goes wrong any more every host comes to rest; and the operator has grown no goroutines and connections.
func TestSoak(t *testing.T) {
	o := fromEnv(t)
	w := newWorld(t, o)
	w.rest("at the beginning")
	w.check()
	before, since := w.rollovers(), w.resources()
	w.say("at rest: %s", since)

	w.renew(renewBefore)
	w.soak(func() bool { return w.rollovers()-before >= o.hosts })
	w.renew(notYet)
	w.rest("at the end")
	after := w.resources()
	w.stopChecking()

	rollovers := w.rollovers() - before
	w.say("seed %d: %d hosts, %s, %d rollovers, %d faults (%s), %d issuances that cert-manager failed",
		o.seed, o.hosts, o.duration, rollovers, w.faults.total(), w.faults, w.failedIssuances)
	w.say("%s", w.checks.Summary())
	w.say("at the end: %s", after)
	if grown := after.beyond(since); grown != "" {
		t.Errorf("the operator has grown: %s", grown)
	}
	if rollovers < o.hosts {
		t.Errorf("%d rollovers of %d hosts: too few to judge by", rollovers, o.hosts)
	}
	w.verdict()
}

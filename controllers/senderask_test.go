package controllers

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/crowd"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// impatient is how long questions take in these tests that nobody answers.
const impatient = 5 * time.Millisecond

// asking asks a resolver, with all the time and all the places.
func asking(r senderview.Resolver) *asker {
	return &asker{resolver: r, limit: time.Minute, places: make(chan struct{}, senderQuestions)}
}

// TestSlowFailures: a failure that takes all the time there is counts as one that comes at once.
func TestSlowFailures(t *testing.T) {
	for _, row := range []struct {
		reason  string
		slow    []string
		verdict v1alpha1.SenderVerdict
		message string
	}{
		{"the servers of the domain are silent", []string{"example.org. MX"}, v1alpha1.SenderUndeliverable, "the MX lookup of example.org fails"},
		{"those of the host", []string{"mx.example.net. A", "mx.example.net. AAAA"}, v1alpha1.SenderUndeliverable, "the A lookup of mx.example.net fails"},
		{"those of the records", []string{"_25._tcp.mx.example.net. TLSA"}, v1alpha1.SenderUndeliverable, "the TLSA lookup of _25._tcp.mx.example.net fails"},
		{"one type of addresses is enough", []string{"mx.example.net. AAAA"}, v1alpha1.SenderDANE, "the AAAA lookup of mx.example.net fails"},
		{"the root is silent too: it may be the operator's network", []string{"example.org. MX", ". SOA"}, v1alpha1.SenderDANE, "senders authenticate"},
	} {
		t.Run(row.reason, func(t *testing.T) {
			b := newSenderBed(t)
			b.r.senders.patience = impatient
			b.pass(1)
			b.resolver.drag(row.slow...)
			b.pass(1)
			if v, _ := b.status(); v.Verdict != v1alpha1.SenderDANE {
				t.Errorf("what was seen once is believed: %+v", v)
			}
			b.pass(1)
			if v, _ := b.status(); v.Verdict != row.verdict || !strings.Contains(v.Message, row.message) {
				t.Errorf("%+v, want %s, %q", v, row.verdict, row.message)
			}
		})
	}
}

// TestSlowHostsBesideOthers: what is found of one host does not depend on the time that another one takes.
func TestSlowHostsBesideOthers(t *testing.T) {
	r := &answers{by: secured(t), slow: []string{"slow.example.net. A", "slow.example.net. AAAA"}}
	ask := asking(r)
	ask.limit = impatient
	job := senderJob{name: senderName, domain: "example.org", targets: []senderTarget{{"slow.example.net", 25, false}, {senderMX, 25, false}}, zones: []string{"."}}
	obs := newObserver(func(types.NamespacedName) {})
	found := job.look(t.Context(), ask, obs, paceClock)
	if v := found[senderMX].Verdict; v != v1alpha1.SenderDANE {
		t.Errorf("the other host: %q", v)
	}
	if v := found["slow.example.net"].Verdict; v != v1alpha1.SenderUndeliverable {
		t.Errorf("the slow host: %q", v)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if found := job.look(gone, ask, obs, paceClock); len(found) > 0 {
		t.Errorf("a look that was broken off says %+v", found)
	}
}

// TestBusyIsNoFailure: a question for which the operator had no turn says nothing of the domain.
func TestBusyIsNoFailure(t *testing.T) {
	for reason, found := range map[dnssec.Reason]int{dnssec.Busy: 0, dnssec.Unreachable: 1} {
		failed := dnssec.Result{State: dnssec.Indeterminate, Cause: &dnssec.Error{Reason: reason, Detail: "so it is"}}
		r := &answers{by: but(secured(t), "example.org. MX", failed)}
		job := senderJob{name: senderName, domain: "example.org", targets: []senderTarget{{senderMX, 25, false}}, zones: []string{"."}}
		if got := job.look(t.Context(), asking(r), newObserver(func(types.NamespacedName) {}), paceClock); len(got) != found {
			t.Errorf("%s: %+v", reason, got)
		}
	}
}

// slow answers no question before as many are asked as there are places.
type slow struct{ *crowd.Crowd }

func (s slow) Lookup(ctx context.Context, _ string, _ uint16) dnssec.Result {
	s.Join(ctx)
	return dnssec.Result{State: dnssec.Secure}
}

// TestSenderQuestionsTakePlaces: looks leave turns for the zones, and who must go does not wait for a place.
func TestSenderQuestionsTakePlaces(t *testing.T) {
	c := slow{crowd.New(senderQuestions)}
	made := 0
	w := newSenderWatch(Options{NewResolver: func([]dnssec.Anchor) senderview.Resolver { made++; return c }}, nil, nil)
	var all sync.WaitGroup
	for range 3 * senderQuestions {
		ask := w.askerOf(senderJob{})
		all.Go(func() { ask.Lookup(t.Context(), "example.org.", 1) })
	}
	all.Wait()
	if n := c.Most(); n != senderQuestions {
		t.Errorf("%d questions were on the way at once, want %d", n, senderQuestions)
	}
	if made != 3*senderQuestions {
		t.Errorf("resolvers are kept here: %d were asked for in %d looks", made, 3*senderQuestions)
	}
	for range senderQuestions {
		w.places <- struct{}{}
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if r := w.askerOf(senderJob{}).Lookup(gone, "example.org.", 1); r.State != dnssec.Indeterminate {
		t.Errorf("who had to go got %+v", r)
	}
}

// TestBogusZoneOfTheDomain: the DNSZone of the mail domain itself counts, although no host is in it.
func TestBogusZoneOfTheDomain(t *testing.T) {
	for _, row := range []struct {
		reason  string
		state   dnssec.State
		verdict v1alpha1.SenderVerdict
	}{
		{"its own servers show it broken", dnssec.Bogus, v1alpha1.SenderUndeliverable},
		{"its own servers show it well: the operator's way to it is broken", dnssec.Secure, v1alpha1.SenderDANE},
	} {
		t.Run(row.reason, func(t *testing.T) {
			b := newSenderBed(t)
			z := dnsZone(senderName.Namespace, "org", "example.org")
			if err := b.api.Create(t.Context(), &z); err != nil {
				t.Fatal(err)
			}
			b.r.zones.update(types.NamespacedName{Namespace: z.Namespace, Name: z.Name}, func(e *zoneEntry) {
				e.health = &zone.Health{DNSSEC: zone.ZoneDNSSEC{State: row.state}}
			})
			b.pass(1)
			broken := but(b.resolver.by, "example.org. MX", dnssec.Result{State: dnssec.Bogus})
			broken["example.org. SOA"] = dnssec.Result{State: dnssec.Bogus}
			b.resolver.put(broken)
			b.pass(2)
			if v, _ := b.status(); v.Verdict != row.verdict {
				t.Errorf("%+v, want %s", v, row.verdict)
			}
		})
	}
}

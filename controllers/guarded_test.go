package controllers

import (
	"context"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/guard"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// counting is a guard, and counts by part.
func counting() (*guard.Guard, *[5]atomic.Int32) {
	var counts [5]atomic.Int32
	return guard.New(logr.Discard(), func(p guard.Part) {
		for i, part := range guard.Parts() {
			if part == p {
				counts[i].Add(1)
			}
		}
	}), &counts
}

// poisonous is a prober that a host, or an address, makes panic.
type poisonous struct {
	probe.Prober
	host, address string
}

func (p poisonous) Probe(ctx context.Context, target probe.Target) probe.Result {
	if target.Host == p.host || target.Addr.Addr().String() == p.address {
		panic("a fault that what the server sent brings about")
	}
	return p.Prober.Probe(ctx, target)
}

// TestPanicWithOneAddress: the other addresses of the host are known, and the round is not complete.
func TestPanicWithOneAddress(t *testing.T) {
	pool := testPool(t)
	g, counts := counting()
	pool.guard, pool.prober = g, poisonous{Prober: pool.prober, address: "192.0.2.1"}
	a := zone.Address{Complete: true, Signed: true, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}}
	round, probes := pool.round(probeJob{server: host("mx1.example.com", 25, "crt"), zone: &scriptedZone{address: a}})
	presented, unknown := roundText(round)
	if round.Complete || len(presented) != 1 || presented[0] != "192.0.2.2 25" || len(unknown) != 1 || unknown[0] != "25: "+unforeseen {
		t.Errorf("presented %q, unknown %q, complete %t", presented, unknown, round.Complete)
	}
	if len(probes) != 2 || counts[1].Load() != 1 {
		t.Errorf("%+v; %d panics", probes, counts[1].Load())
	}
}

// panickingZone is a zone whose client has a fault.
type panickingZone struct{ *scriptedZone }

func (panickingZone) Addresses(string, func(zone.Address)) { panic("a fault of the zone's client") }

// TestPanicWithOneHost: its rounds end with nothing known, again and again, and those of other hosts with what they
// present; none is left under way, and no worker is lost.
func TestPanicWithOneHost(t *testing.T) {
	pool := testPool(t)
	g, counts := counting()
	pool.guard, pool.prober, pool.parallel = g, poisonous{Prober: pool.prober, host: "sick.example.com"}, 2
	a := zone.Address{Complete: true, Signed: true, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
	clients := map[string]zone.Client{
		"sick.example.com": &scriptedZone{address: a}, "lost.example.com": panickingZone{&scriptedZone{}},
		"well.example.com": &scriptedZone{address: a},
	}
	key := func(name string) hostKey {
		return hostKey{domain: types.NamespacedName{Namespace: "mail", Name: "example"}, host: name}
	}
	const rounds = 10
	for range rounds {
		for name, c := range clients {
			pool.start(probeJob{key: key(name), server: host(name, 25, "crt"), zone: c})
		}
		for name := range clients {
			until := time.Now().Add(30 * time.Second)
			for pool.observer.view(key(name)).probing {
				if time.Now().After(until) {
					t.Fatalf("the probe of %s never ends", name)
				}
				time.Sleep(time.Millisecond)
			}
		}
	}
	for name := range clients {
		v := pool.observer.view(key(name))
		if well := name == "well.example.com"; len(v.rounds) != rounds || v.last.Complete != well {
			t.Errorf("%s: %d rounds, complete %t", name, len(v.rounds), v.last.Complete)
		} else if _, unknown := roundText(*v.last); !well && (len(unknown) != 1 || !strings.Contains(unknown[0], unforeseen)) {
			t.Errorf("%s: %q", name, unknown)
		}
	}
	if n := counts[1].Load(); n != 2*rounds {
		t.Errorf("%d panics are counted, want %d", n, 2*rounds)
	}
}

// TestPanicIsToldInConditions: a host whose probes are given up is not verified, and its condition says so.
func TestPanicIsToldInConditions(t *testing.T) {
	h := &hostRun{server: v1alpha1.MailServer{Hostname: "mx1.example.com", Ports: []v1alpha1.MailServerPort{{Port: 25}}}, decided: true}
	h.decision.Published = true
	h.view.probes = []endpointProbe{notProbed("192.0.2.1", 25)}
	h.view.last = &rollover.ProbeRound{Presented: []rollover.Presented{{Address: "192.0.2.1", Port: 25, Unreachable: true, Message: unforeseen}}}
	f := verifiedFinding(nil, h)
	if f.status == metav1.ConditionTrue || !strings.Contains(f.message, unforeseen) {
		t.Errorf("%s: %s", f.status, f.message)
	}
}

// TestPanicWhileASweepIsPutTogether: the sweep ends all the same, at its time, and nothing is known of the records.
func TestPanicWhileASweepIsPutTogether(t *testing.T) {
	g, counts := counting()
	end := time.Unix(1e9, 0)
	s := zone.Sweep{Start: end.Add(-time.Second), End: end, Answers: []zone.Answer{{Reachable: true, Alias: "x.here."}}}
	// What is found of an alias says at least why nothing is; without a word of it there is a fault.
	got := (&pursuit{guard: g}).joined(types.NamespacedName{Name: "here"}, asked, s, map[string]trail{"x.here.": {}})
	if len(got.sweep.Answers) != 1 || got.sweep.Answers[0].Reachable || got.sweep.Answers[0].Message != unforeseen || got.sweep.End != end || counts[0].Load() != 1 {
		t.Errorf("%+v, %d panics", got, counts[0].Load())
	}
}

// TestPanicOfACallback: what a watch calls back for one object is given up for that object alone.
func TestPanicOfACallback(t *testing.T) {
	g, counts := counting()
	of := func(_ context.Context, o client.Object) []reconcile.Request {
		if o.GetName() == "sick" {
			panic("a fault that an object brings about")
		}
		return []reconcile.Request{{NamespacedName: client.ObjectKeyFromObject(o)}}
	}
	w := guarded(g, []Watch{{Object: &v1alpha1.MailDomain{}, Of: of}})
	for name, want := range map[string]int{"sick": 0, "well": 1} {
		md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if got := w[0].Of(t.Context(), md); len(got) != want {
			t.Errorf("%s concerns %v", name, got)
		}
	}
	if n := counts[3].Load(); n != 1 {
		t.Errorf("%d panics are counted, want 1", n)
	}
}

// panickingCollector has one good series and a fault.
type panickingCollector struct{}

func (panickingCollector) Describe(out chan<- *prometheus.Desc) { out <- trustUsable }

func (panickingCollector) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(trustUsable, prometheus.GaugeValue, 1)
	panic("a fault that an object brings about")
}

// TestPanicOfACollector: the scrape fails, which an alert tells of, and the operator goes on.
func TestPanicOfACollector(t *testing.T) {
	g, counts := counting()
	registry := prometheus.NewRegistry()
	registry.MustRegister(guardedCollector{panickingCollector{}, g})
	for range 2 {
		if _, err := registry.Gather(); err == nil || !strings.Contains(err.Error(), unforeseen) {
			t.Errorf("the scrape says %v", err)
		}
	}
	if n := counts[4].Load(); n != 2 {
		t.Errorf("%d panics are counted, want 2", n)
	}
}

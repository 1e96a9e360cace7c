package zone

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// BenchmarkSweep sweeps the owners of a zone on a server in this process: what is measured is both. The server
// looks through all that it has for each answer, so a larger zone would measure it alone. Signatures are
// checked in the first round; later ones find them in the cache.
func BenchmarkSweep(b *testing.B) {
	for _, owners := range []int{10, 100} {
		b.Run(fmt.Sprintf("owners=%d", owners), func(b *testing.B) {
			s := newFakeServer(b).startTCP()
			// Signatures made once are the same in each round, as those of a real server are.
			signedOnce(s, owners)
			a := NewActor(testConfig(s), Options{})
			defer a.Close(b.Context())
			done := make(chan Sweep, owners)
			b.ReportAllocs()
			for b.Loop() {
				for i := range owners {
					a.Sweep(ownerName(i), func(s Sweep) { done <- s })
				}
				for range owners {
					if got := <-done; !got.Answers[0].Signed {
						b.Fatal(got.Answers[0].Message)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*owners), "µs/owner")
		})
	}
}

// signedOnce publishes owners with signatures that stay the same.
func signedOnce(s *fakeServer, owners int) {
	for i := range owners {
		s.set(s.signed(rrs(ownerName(i), first(i).Want, time.Hour))...)
	}
	s.set(s.signed(s.get(s.zone, dns.TypeDNSKEY))...)
	s.signer = nil
}

// BenchmarkAtRest tells what an actor keeps for each owner that it has published and swept.
func BenchmarkAtRest(b *testing.B) {
	const zones, owners = 10, 100
	s := newFakeServer(b).startTCP()
	signedOnce(s, owners)
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		goroutines := runtime.NumGoroutine()
		var actors []*Actor
		for range zones {
			a := NewActor(testConfig(s), Options{})
			actors = append(actors, a)
			done := make(chan Sweep, owners)
			for i := range owners {
				a.Sweep(ownerName(i), func(s Sweep) { done <- s })
			}
			for range owners {
				<-done
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/(zones*owners), "B/owner")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/zones, "goroutines/zone")
		for _, a := range actors {
			a.Close(b.Context())
		}
	}
}

// BenchmarkBatches cuts fifty small changes into messages, as is done before each full one.
func BenchmarkBatches(b *testing.B) {
	cfg := testConfig(newFakeServer(b).startTCP())
	w := newWriter(Options{}.withDefaults(), cfg, &packetPath{})
	defer w.close()
	members := make([]*member, BatchSize)
	for i := range members {
		members[i] = &member{change: first(i)}
	}
	b.ReportAllocs()
	for b.Loop() {
		if n := len(w.batches(members)); n != 1 {
			b.Fatalf("%d messages", n)
		}
	}
}

package controllers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// dialled are the addresses that a prober connects to; none of them answers.
type dialled struct {
	mu    sync.Mutex
	addrs []string
}

func (d *dialled) dial(_ context.Context, _, address string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.addrs = append(d.addrs, address)
	return nil, errors.New("no route to host")
}

func (d *dialled) take() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := d.addrs
	d.addrs = nil
	slices.Sort(out)
	return out
}

// TestRebinding has a name lead to another address at each look: what is connected to are the addresses of that
// look that policy lets through, and the name is not resolved again on the way.
func TestRebinding(t *testing.T) {
	var d dialled
	pool := testPool(t)
	pool.prober = probe.New(probe.Options{Dial: d.dial})
	for _, c := range []struct {
		addrs, want []string
		// forbidden is of which address a person is told that it is not probed.
		forbidden string
	}{
		{[]string{"9.9.9.9"}, []string{"9.9.9.9:25"}, ""},
		{[]string{"169.254.169.254"}, nil, "169.254.169.254"},
		{[]string{"10.96.0.1"}, nil, "10.96.0.1"},
		{[]string{"::ffff:127.0.0.1"}, nil, "127.0.0.1"},
		{[]string{"fd00:ec2::254"}, nil, "fd00:ec2::254"},
		{[]string{"64:ff9b::a9fe:a9fe"}, nil, "64:ff9b::a9fe:a9fe"},
		{[]string{"9.9.9.9", "100.100.100.200"}, []string{"9.9.9.9:25"}, "100.100.100.200"},
		{[]string{"9.9.9.10"}, []string{"9.9.9.10:25"}, ""},
	} {
		a := zone.Address{Complete: true, Signed: true}
		for _, text := range c.addrs {
			a.Addrs = append(a.Addrs, netip.MustParseAddr(text))
		}
		round, _ := pool.round(probeJob{server: host("mx1.example.com", 25, "crt"), zone: &scriptedZone{address: a}, dnssec: true})
		if got := d.take(); !slices.Equal(got, c.want) {
			t.Errorf("%v: connected to %v, want %v", c.addrs, got, c.want)
		}
		_, unknown := roundText(round)
		if told := strings.Join(unknown, "; "); !strings.Contains(told, c.forbidden) || round.Complete {
			t.Errorf("%v: told %q; complete: %t", c.addrs, told, round.Complete)
		}
	}
}

// throng is a prober that counts how many endpoints are connected to at once.
type throng struct {
	mu             sync.Mutex
	now, most, all int
	arrived, goOn  chan struct{}
}

func (c *throng) Probe(_ context.Context, target probe.Target) probe.Result {
	c.mu.Lock()
	c.now++
	c.all++
	c.most = max(c.most, c.now)
	c.mu.Unlock()
	c.arrived <- struct{}{}
	<-c.goOn
	c.mu.Lock()
	c.now--
	c.mu.Unlock()
	return probe.Result{Target: target, Outcome: probe.Unreachable, Message: "no answer"}
}

// TestManyAddresses has a name with as many addresses as an answer holds: some of them are connected to, not all
// of those at once, and what the others present is said not to be known.
func TestManyAddresses(t *testing.T) {
	a := zone.Address{Complete: true, Signed: true}
	for i := range 4000 {
		a.Addrs = append(a.Addrs, netip.AddrFrom4([4]byte{9, 9, byte(i >> 8), byte(i)}))
	}
	server := host("mx1.example.com", 25, "crt")
	server.Ports = append(server.Ports, server.Ports[0])
	server.Ports[1].Port = 465
	c := &throng{arrived: make(chan struct{}), goOn: make(chan struct{})}
	pool := testPool(t)
	pool.prober = c
	unknown := make(chan string, 1)
	go func() {
		round, _ := pool.round(probeJob{server: server, zone: &scriptedZone{address: a}, dnssec: true})
		_, told := roundText(round)
		unknown <- fmt.Sprint(round.Complete, told[len(told)-1])
	}()
	for range maxAtOnce {
		<-c.arrived
	}
	close(c.goOn)
	for range 2*maxAddresses - maxAtOnce {
		<-c.arrived
	}
	if got := <-unknown; !strings.HasPrefix(got, "false0: mx1.example.com has more than 64 addresses") {
		t.Errorf("it is said: %s", got)
	}
	if c.most != maxAtOnce || c.all != 2*maxAddresses {
		t.Errorf("%d endpoints were connected to, %d at once", c.all, c.most)
	}
}

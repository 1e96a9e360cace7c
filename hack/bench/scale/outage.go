package main

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/test/wire"
)

// startProxies puts a proxy before each address of BIND, so that BIND can be taken away and what is asked
// meanwhile counted.
func (w *world) startProxies() error {
	if w.flags.outage == 0 {
		return nil
	}
	for _, upstream := range w.bind.addresses {
		port, err := freePort()
		if err != nil {
			return err
		}
		at, err := netip.ParseAddrPort(fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return err
		}
		proxy, err := wire.StartDNS(upstream, at)
		if err != nil {
			return err
		}
		w.proxies = append(w.proxies, proxy)
	}
	return nil
}

// nameservers are the addresses that the operator is told of; the first one takes the updates.
func (w *world) nameservers() []string {
	if len(w.proxies) == 0 {
		return w.bind.addresses
	}
	var out []string
	for _, p := range w.proxies {
		out = append(out, p.Addr.String())
	}
	return out
}

// outage takes every name server away, renews every certificate meanwhile, so that every host wants something
// written, and brings them back.
func outage(ctx context.Context, w *world, r *result) error {
	events, err := w.countEvents(ctx)
	if err != nil {
		return err
	}
	_, writes, err := w.requests()
	if err != nil {
		return err
	}
	w.say("the name servers are away for %s, and every certificate is renewed", w.flags.outage)
	w.setFault(wire.Reset{})
	for _, h := range w.hosts {
		w.player.renew(h)
	}
	r.OutageSeconds = w.flags.outage.Seconds()
	if r.OutageAskedMean, r.OutageAskedMost, err = w.askedFor(ctx, w.flags.outage); err != nil {
		return err
	}
	_, writesAfter, err := w.requests()
	if err != nil {
		return err
	}
	eventsAfter, err := w.countEvents(ctx)
	if err != nil {
		return err
	}
	r.OutageWrites, r.OutageEvents = writesAfter-writes, eventsAfter-events
	w.setFault(nil)
	return w.afterOutage(ctx, r, eventsAfter)
}

// afterOutage watches what is asked on return, until every host is at rest with its new certificate.
func (w *world) afterOutage(ctx context.Context, r *result, events int64) error {
	since := time.Now()
	window, cancel := context.WithCancel(ctx)
	defer cancel()
	var watching sync.WaitGroup
	watching.Go(func() { _, r.ReturnAskedMost, _ = w.askedFor(window, w.flags.patience) })
	took, err := w.await(ctx, "renewed and settled", w.hosts, since, func(h *host) bool { return h.switched(2) && h.settled() })
	cancel()
	watching.Wait()
	if err != nil {
		return err
	}
	r.ReturnSettled = took.Seconds()
	eventsAfter, err := w.countEvents(ctx)
	if err != nil {
		return err
	}
	r.ReturnEvents = eventsAfter - events
	if err := r.storms(int64(len(w.hosts)), len(w.proxies)); err != nil {
		return err
	}
	return w.calm(ctx)
}

// What an outage may cost for each host, and what may arrive at an address of the name servers in a second when it is
// over. A host tells of the renewal, of what holds it, and of what is wrong with the zone.
const (
	eventsEach = 5
	writesEach = 12
	// mostAsked is the limit of queries for each second and server, each of which may have a connection of its own,
	// and as much again for updates and for seconds that are not measured to the millisecond.
	mostAsked = 2 * 2 * 500
)

// storms says which limit an outage has gone beyond.
func (r *result) storms(hosts int64, addresses int) error {
	switch {
	case r.OutageEvents > eventsEach*hosts:
		return fmt.Errorf("%d events of %d hosts while the name servers were away: a storm", r.OutageEvents, hosts)
	case r.OutageWrites > writesEach*hosts:
		return fmt.Errorf("%d API writes for %d hosts while the name servers were away: a storm", r.OutageWrites, hosts)
	case r.ReturnAskedMost > float64(mostAsked*addresses):
		return fmt.Errorf("%.0f messages and connections in the busiest second at %d addresses: a herd", r.ReturnAskedMost, addresses)
	}
	return nil
}

func (w *world) setFault(f wire.Fault) {
	for _, p := range w.proxies {
		p.Set(f)
	}
}

// askedFor samples once a second how much arrives at the name servers: messages, and connections that may
// have brought none.
func (w *world) askedFor(ctx context.Context, d time.Duration) (mean, most float64, err error) {
	sum := func() (n int) {
		for _, p := range w.proxies {
			n += p.Counts().Sum()
		}
		return n
	}
	began, tick := time.Now(), time.NewTicker(time.Second)
	defer tick.Stop()
	first := sum()
	last, at := first, began
	for time.Since(began) < d {
		select {
		case <-ctx.Done():
			return mean, most, ctx.Err()
		case <-tick.C:
		}
		n, now := sum(), time.Now()
		most = max(most, float64(n-last)/now.Sub(at).Seconds())
		mean = float64(n-first) / now.Sub(began).Seconds()
		last, at = n, now
	}
	return mean, most, nil
}

// countEvents counts the events in the namespace, repetitions included.
func (w *world) countEvents(ctx context.Context) (int64, error) {
	var list eventsv1.EventList
	if err := w.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return 0, fmt.Errorf("count the events: %w", err)
	}
	var n int64
	for i := range list.Items {
		n++
		if s := list.Items[i].Series; s != nil {
			n += int64(s.Count) - 1
		}
	}
	return n, nil
}

package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// result is what one run has measured. Durations are in seconds, memory in MiB.
type result struct {
	Domains int `json:"domains"`
	Zones   int `json:"zones"`

	ColdPublished float64 `json:"coldPublishedSeconds"`
	ColdSettled   float64 `json:"coldSettledSeconds"`
	ColdCPU       float64 `json:"coldCPUSeconds"`
	ColdPeak      float64 `json:"coldPeakMiB"`
	ColdWrites    int64   `json:"coldAPIWrites"`
	// ColdWritesBy counts the writes of everybody, those of the operator among them.
	ColdWritesBy map[string]int64 `json:"coldAPIWritesBy,omitempty"`

	RestSeconds       float64          `json:"restSeconds"`
	RestRSS           float64          `json:"restRSSMiB"`
	RestCPU           float64          `json:"restCPUCores"`
	RestReads         int64            `json:"restAPIReads"`
	RestWrites        int64            `json:"restAPIWrites"`
	RestWritesBy      map[string]int64 `json:"restAPIWritesBy,omitempty"`
	RestZonesChanged  int              `json:"restZonesChanged"`
	RestQueriesMean   float64          `json:"restQueriesPerSecondMean"`
	RestQueriesMost   float64          `json:"restQueriesPerSecondMax"`
	RestServerQueries int64            `json:"restQueries"`

	OutageSeconds   float64 `json:"outageSeconds,omitempty"`
	OutageAskedMean float64 `json:"outageAskedPerSecondMean,omitempty"`
	OutageAskedMost float64 `json:"outageAskedPerSecondMax,omitempty"`
	OutageWrites    int64   `json:"outageAPIWrites,omitempty"`
	OutageEvents    int64   `json:"outageEvents,omitempty"`
	ReturnAskedMost float64 `json:"returnAskedPerSecondMax,omitempty"`
	ReturnSettled   float64 `json:"returnSettledSeconds,omitempty"`
	ReturnEvents    int64   `json:"returnEvents,omitempty"`

	RestartReady        float64          `json:"restartReadySeconds"`
	RestartSwept        float64          `json:"restartSweptSeconds"`
	RestartProbed       float64          `json:"restartProbedSeconds"`
	RestartWrites       int64            `json:"restartAPIWrites"`
	RestartWritesBy     map[string]int64 `json:"restartAPIWritesBy,omitempty"`
	RestartZonesChanged int              `json:"restartZonesChanged"`
	RestartPeak         float64          `json:"restartPeakMiB"`

	SwitchHosts int     `json:"switchHosts"`
	SwitchP50   float64 `json:"switchDelayP50Seconds"`
	SwitchP99   float64 `json:"switchDelayP99Seconds"`
	SwitchMax   float64 `json:"switchDelayMaxSeconds"`

	RenewalSwitched float64 `json:"renewalSwitchedSeconds"`
	RenewalSettled  float64 `json:"renewalSettledSeconds"`
	RenewalCPU      float64 `json:"renewalCPUSeconds"`
	RenewalWrites   int64   `json:"renewalAPIWrites"`
	Peak            float64 `json:"peakMiB"`
	EndRSS          float64 `json:"endRSSMiB"`

	// ended has the phases that came to their end.
	ended map[string]bool
}

// measure runs every phase in its order.
func measure(ctx context.Context, w *world) (*result, error) {
	r := &result{Domains: w.flags.domains, Zones: w.flags.zones, ended: map[string]bool{}}
	for _, phase := range []struct {
		name string
		run  func(context.Context, *world, *result) error
	}{
		{"cold start", coldStart}, {"rest", atRest}, {"outage", outage}, {"restart", restart},
		{"switch of waiting rollovers", switches}, {"mass renewal", massRenewal},
	} {
		if phase.name == "outage" && w.flags.outage == 0 {
			continue
		}
		w.say("phase: %s", phase.name)
		if err := phase.run(ctx, w, r); err != nil {
			return r, fmt.Errorf("%s: %w", phase.name, err)
		}
		r.ended[phase.name] = true
		if phase.name == w.flags.until {
			break
		}
	}
	return r, nil
}

// coldStart starts the operator on names that have no records.
func coldStart(ctx context.Context, w *world, r *result) error {
	before, err := w.apiWrites(ctx)
	if err != nil {
		return err
	}
	since, err := w.startOperator(ctx)
	if err != nil {
		return err
	}
	go w.profile("cold", "profile")
	published, err := w.await(ctx, "published and Ready", w.hosts, since, (*host).isPublished)
	if err != nil {
		return err
	}
	settled, err := w.await(ctx, "settled", w.hosts, since, (*host).settled)
	if err != nil {
		return err
	}
	w.profile("cold", "heap")
	if _, r.ColdWrites, err = w.requests(); err != nil {
		return err
	}
	writes, err := w.apiWrites(ctx)
	if err != nil {
		return err
	}
	r.ColdWritesBy, _ = sinceThen(before, writes)
	u, err := w.usage()
	r.ColdPublished, r.ColdSettled, r.ColdCPU, r.ColdPeak = published.Seconds(), settled.Seconds(), u.cpu.Seconds(), u.peak
	return err
}

// quiet waits until the DNSZones tell of the serials that are served, and the API server is written to
// no more.
func (w *world) quiet(ctx context.Context) error {
	if w.flags.quick {
		return w.calm(ctx)
	}
	serials, err := w.bind.serials()
	if err != nil {
		return err
	}
	if _, err := w.await(ctx, "DNSZones up to date", w.hosts[:1], time.Now(), func(*host) bool {
		var list v1alpha1.DNSZoneList
		err := w.Client.List(ctx, &list)
		return err == nil && !slices.ContainsFunc(list.Items, func(z v1alpha1.DNSZone) bool {
			return z.Status.Serial != int64(serials[z.Spec.Zone])
		})
	}); err != nil {
		return err
	}
	return w.calm(ctx)
}

// calm waits until the API server is written to no more.
func (w *world) calm(ctx context.Context) error {
	const calm = 15 * time.Second
	before, err := w.apiWrites(ctx)
	since := time.Now()
	for begun := since; err == nil && time.Since(since) < calm; {
		if time.Since(begun) > w.flags.patience {
			return fmt.Errorf("the API server was still written to after %s", w.flags.patience)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(3 * time.Second):
		}
		var after map[string]int64
		after, err = w.apiWrites(ctx)
		if _, n := sinceThen(before, after); n > 0 {
			before, since = after, time.Now()
		}
	}
	return err
}

// atRest looks on while nothing changes.
func atRest(ctx context.Context, w *world, r *result) error {
	if err := w.quiet(ctx); err != nil {
		return err
	}
	w.say("quiet; watching for %s", w.flags.rest)
	serials, err := w.bind.serials()
	if err != nil {
		return err
	}
	writes, err := w.apiWrites(ctx)
	if err != nil {
		return err
	}
	counted, err := w.bind.counts()
	if err != nil {
		return err
	}
	before, err := w.usage()
	if err != nil {
		return err
	}
	reads, _, err := w.requests()
	if err != nil {
		return err
	}
	go w.profile("rest", "profile")
	window, cancel := context.WithTimeout(ctx, w.flags.rest)
	defer cancel()
	r.RestQueriesMean, r.RestQueriesMost = w.rates(window)
	after, err := w.usage()
	if err != nil {
		return err
	}
	readsAfter, _, err := w.requests()
	if err != nil {
		return err
	}
	r.RestReads = readsAfter - reads
	w.profile("rest", "heap")
	r.RestSeconds = after.at.Sub(before.at).Seconds()
	r.RestCPU, r.RestRSS = (after.cpu-before.cpu).Seconds()/r.RestSeconds, after.rss
	countedAfter, err := w.bind.counts()
	if err != nil {
		return err
	}
	r.RestServerQueries = countedAfter.queries - counted.queries
	r.RestWritesBy, r.RestWrites, r.RestZonesChanged, err = w.since(ctx, writes, serials)
	return err
}

// since is what was written to the API server, and in how many zones something changed.
func (w *world) since(ctx context.Context, writes map[string]int64, serials map[string]uint32) (map[string]int64, int64, int, error) {
	now, err := w.apiWrites(ctx)
	if err != nil {
		return nil, 0, 0, err
	}
	by, n := sinceThen(writes, now)
	served, err := w.bind.serials()
	return by, n, changedSerials(serials, served), err
}

// restart kills the operator and starts it again.
func restart(ctx context.Context, w *world, r *result) error {
	serials, err := w.bind.serials()
	if err != nil {
		return err
	}
	writes, err := w.apiWrites(ctx)
	if err != nil {
		return err
	}
	if err := w.operator.Kill(); err != nil {
		return err
	}
	since, err := w.watchRestart(ctx, r)
	if err != nil {
		return err
	}
	u, err := w.usage()
	if err != nil {
		return err
	}
	r.RestartPeak = u.peak
	const late = 20 * time.Second // what is written late counts too
	time.Sleep(late - time.Since(since))
	r.RestartWritesBy, r.RestartWrites, r.RestartZonesChanged, err = w.since(ctx, writes, serials)
	return err
}

// watchRestart starts the operator, at the time that it returns, and waits until it has looked at everything
// anew.
func (w *world) watchRestart(ctx context.Context, r *result) (time.Time, error) {
	for _, h := range w.hosts {
		h.probed.Store(false)
	}
	counted, err := w.bind.counts()
	if err != nil {
		return time.Time{}, err
	}
	since := time.Now()
	if err := w.operator.Start(); err != nil {
		return since, err
	}
	if err := w.awaitReady(ctx, r, since); err != nil {
		return since, err
	}
	// Every owner was asked for at both addresses.
	want := counted.tlsa + int64(len(w.hosts)*len(w.bind.addresses))
	took, err := w.await(ctx, "swept", w.hosts[:1], since, func(*host) bool {
		now, err := w.bind.counts()
		return err == nil && now.tlsa >= want
	})
	if err != nil {
		return since, err
	}
	r.RestartSwept = took.Seconds()
	took, err = w.await(ctx, "probed", w.hosts, since, func(h *host) bool { return h.probed.Load() })
	r.RestartProbed = took.Seconds()
	return since, err
}

// awaitReady waits until /readyz says yes.
func (w *world) awaitReady(ctx context.Context, r *result, since time.Time) error {
	took, err := w.await(ctx, "readyz", w.hosts[:1], since, func(*host) bool {
		response, err := http.Get("http://" + w.health + "/readyz") //nolint:noctx // local
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	r.RestartReady = took.Seconds()
	return err
}

// switches renews the hosts that have no standby key, and compares the instant that the rule names with
// that at which the approval is seen.
func switches(ctx context.Context, w *world, r *result) error {
	held := w.hosts[:w.flags.held]
	if len(held) == 0 {
		return nil
	}
	since := time.Now()
	if err := w.renewAll(ctx, held, since, w.flags.stagger); err != nil {
		return err
	}
	var late []float64
	for _, h := range held {
		h.mu.Lock()
		if h.due.IsZero() {
			h.mu.Unlock()
			return fmt.Errorf("%s was approved without ever naming an instant", h.object)
		}
		// Status rounds the instant up to the second: this is the most that it can have been.
		most := h.approved.Sub(h.due) + time.Second
		h.mu.Unlock()
		if most < 0 {
			return fmt.Errorf("%s was approved %s before the instant that it named", h.object, -most)
		}
		late = append(late, most.Seconds())
	}
	slices.Sort(late)
	r.SwitchHosts = len(late)
	r.SwitchP50, r.SwitchP99, r.SwitchMax = percentile(late, 50), percentile(late, 99), late[len(late)-1]
	_, err := w.await(ctx, "settled", held, since, (*host).settled)
	return err
}

func percentile(sorted []float64, p int) float64 {
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}

// renewAll renews hosts, with a pause between two, and waits until every new certificate is in its Secret.
func (w *world) renewAll(ctx context.Context, hosts []*host, since time.Time, pause time.Duration) error {
	goal := map[*host]int{}
	for _, h := range hosts {
		goal[h] = h.revision + 1
		w.player.renew(h)
		time.Sleep(pause)
	}
	_, err := w.await(ctx, "switched", hosts, since, func(h *host) bool { return h.switched(goal[h]) })
	return err
}

// massRenewal renews every host at once.
func massRenewal(ctx context.Context, w *world, r *result) error {
	before, err := w.usage()
	if err != nil {
		return err
	}
	_, writes, err := w.requests()
	if err != nil {
		return err
	}
	since := time.Now()
	go w.profile("renewal", "profile")
	if err := w.renewAll(ctx, w.hosts, since, 0); err != nil {
		return err
	}
	r.RenewalSwitched = time.Since(since).Seconds()
	took, err := w.await(ctx, "settled", w.hosts, since, (*host).settled)
	if err != nil {
		return err
	}
	w.profile("renewal", "heap")
	r.RenewalSettled = took.Seconds()
	_, writesAfter, err := w.requests()
	if err != nil {
		return err
	}
	r.RenewalWrites = writesAfter - writes
	after, err := w.usage()
	r.RenewalCPU, r.Peak, r.EndRSS = (after.cpu - before.cpu).Seconds(), after.peak, after.rss
	return err
}

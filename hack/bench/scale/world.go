package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/operator"
	"github.com/dane-operator/dane-operator/test/wire"
)

// world is everything that runs: the API server, BIND, the mail servers, the operator, and what this
// program knows of its hosts.
type world struct {
	*kube.Cluster
	flags flags
	hosts []*host
	ca    *authority
	bind  *bind
	mail  *mailServers
	// proxies are in front of BIND where it is taken away.
	proxies  []*wire.DNS
	player   *player
	operator *kube.Process
	// metrics and pprof are where the operator serves them (host:port).
	metrics, pprof string
	// health is where it says that it is ready.
	health string
	began  time.Time
}

// say writes a line of progress.
func (w *world) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%7.1fs  %s\n", time.Since(w.began).Seconds(), fmt.Sprintf(format, args...))
}

// newWorld starts all but the operator and makes every object.
func newWorld(ctx context.Context, f flags) (*world, error) {
	w := &world{flags: f, began: time.Now()}
	if err := w.start(ctx); err != nil {
		return nil, errors.Join(err, w.stop())
	}
	return w, nil
}

func (w *world) start(ctx context.Context) error {
	var err error
	if w.ca, err = newAuthority(); err != nil {
		return err
	}
	w.hosts = makeHosts(w.flags.domains, w.flags.held, zoneNames(w.flags.zones))
	if w.mail, err = startMail(w.hosts); err != nil {
		return err
	}
	progress := func(line string) { w.say("%s", line) }
	if w.Cluster, err = kube.Start(ctx, kube.Options{Progress: progress, Dir: w.flags.dir}); err != nil {
		return err
	}
	w.say("starting BIND with %d zones and %d hosts", w.flags.zones, w.flags.domains)
	if w.bind, err = startBIND(filepath.Join(w.Dir, "bind"), zoneNames(w.flags.zones), w.hosts); err != nil {
		return err
	}
	if err := w.startProxies(); err != nil {
		return err
	}
	if err := w.EnsureNamespace(ctx, namespace); err != nil {
		return err
	}
	w.say("creating the objects")
	if err := w.createZones(ctx); err != nil {
		return err
	}
	if err := forEach(w.hosts, func(h *host) error { return w.createHost(ctx, h) }); err != nil {
		return err
	}
	w.player = newPlayer(w)
	go w.player.run(ctx)
	return w.observe(ctx)
}

func zoneNames(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("z%03d.bench.test", i)
	}
	return out
}

// startOperator builds it and starts it; the time is when it was started.
func (w *world) startOperator(ctx context.Context) (time.Time, error) {
	var ports []string
	for range 3 {
		port, err := freePort()
		if err != nil {
			return time.Time{}, err
		}
		ports = append(ports, fmt.Sprintf("127.0.0.1:%d", port))
	}
	w.metrics, w.pprof, w.health = ports[0], ports[1], ports[2]
	args := []string{
		"--probe-allow-cidr", "127.0.0.0/8", "--unknown-history", "10s", "-v", "0",
		"--metrics-bind-address", w.metrics, "--pprof-bind-address", w.pprof, "--health-probe-bind-address", w.health,
	}
	args = append(args, strings.Fields(w.flags.operatorArgs)...)
	var err error
	w.operator, err = operator.Start(ctx, w.Cluster, operator.Options{Args: args, Env: []string{"GOMEMLIMIT=" + w.flags.memory}, Progress: func(line string) { w.say("%s", line) }})
	return time.Now(), err
}

func (w *world) stop() error {
	var errs []error
	if w.Cluster != nil {
		errs = append(errs, w.Stop())
	}
	for _, p := range w.proxies {
		p.Stop()
	}
	w.bind.stop()
	w.mail.stop()
	return errors.Join(errs...)
}

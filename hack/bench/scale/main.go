// Command scale measures one operator with many MailDomains over many zones: from a cold start to all
// published, at rest, after a crash, how late a waiting rollover is switched, and a renewal of every
// certificate at once. Everything around the operator is real but cert-manager, whose part this program
// plays, so that the figures are the operator's: kube-apiserver and etcd, BIND that signs the zones and
// takes the updates, and a mail server with a certificate for every host.
//
//	go -C hack/bench run ./scale -domains 1000 -zones 10
//	go -C hack/bench run ./scale -growth 100,300,1000,3000,10000 -csv growth.csv -plot ../../docs/performance.svg
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// flags are the command's.
type flags struct {
	domains, zones, held                       int
	ttl, publishSafety, retireSafety, interval time.Duration
	stagger, rest, patience, outage            time.Duration
	json, quick                                bool
	growth, csv, plot, profiles, dir           string
	operatorArgs, until, memory                string
}

func main() {
	f := parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, f); err != nil {
		fmt.Fprintln(os.Stderr, "scale: "+err.Error())
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func parse() flags {
	var f flags
	flag.IntVar(&f.domains, "domains", 1000, "how many MailDomains, each with one host")
	flag.IntVar(&f.zones, "zones", 10, "how many zones they are spread over")
	flag.IntVar(&f.held, "held", -1, "how many hosts have no standby key and thus wait at a renewal; -1 for a tenth")
	flag.DurationVar(&f.ttl, "ttl", 20*time.Second, "TTL of the records")
	flag.DurationVar(&f.publishSafety, "publish-safety", 40*time.Second, "spec.rollover.publishSafety: with the TTL it makes a wait of a minute")
	flag.DurationVar(&f.retireSafety, "retire-safety", 30*time.Second, "spec.rollover.retireSafety")
	flag.DurationVar(&f.interval, "interval", 10*time.Second, "spec.propagation.interval of the zones")
	flag.DurationVar(&f.stagger, "stagger", 500*time.Millisecond, "between two renewals of hosts that wait: with 0 all instants fall together, and what is measured is how fast the API server writes")
	flag.DurationVar(&f.rest, "rest", time.Minute, "how long to look on at rest")
	flag.DurationVar(&f.outage, "outage", 0, "after the rest, take the name servers away for so long and renew every certificate meanwhile; 0 leaves it out")
	flag.DurationVar(&f.patience, "patience", 40*time.Minute, "how long a phase may take before the run is given up")
	flag.StringVar(&f.memory, "memory", "460MiB", "GOMEMLIMIT of the operator: what it chooses in the container of config/ and of the chart, with 512 MiB")
	flag.BoolVar(&f.json, "json", false, "print JSON instead of a table")
	flag.StringVar(&f.until, "until", "", "`PHASE` to end after: cold start, rest, outage, restart or switch of waiting rollovers; default all")
	flag.BoolVar(&f.quick, "quick", false, "do not wait, before the rest, until the DNSZones tell of the newest serials, up to five minutes: the restart then writes those")
	flag.StringVar(&f.growth, "growth", "", "run with each of these `NUMBERS` of MailDomains, a hundred to a zone, and at least ten zones")
	flag.StringVar(&f.csv, "csv", "", "`FILE` that the figures are added to, a line a run")
	flag.StringVar(&f.plot, "plot", "", "`FILE` for a plot of what -csv holds, as SVG; with -domains 0 nothing is run before")
	flag.StringVar(&f.profiles, "profiles", "", "`FOLDER` for CPU and heap profiles of the operator")
	flag.StringVar(&f.dir, "dir", "", "`FOLDER` for logs and kubeconfigs; default a temporary one; with -growth one for each run in it")
	flag.StringVar(&f.operatorArgs, "operator-args", "", "more `FLAGS` for the operator")
	flag.Parse()
	return f
}

func run(ctx context.Context, f flags) error {
	runs := []flags{f}
	if f.growth != "" {
		runs = nil
		for text := range strings.SplitSeq(f.growth, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil {
				return fmt.Errorf("-growth %q: want numbers: %w", text, err)
			}
			one := f
			one.domains, one.zones = n, max(n/100, 10)
			if f.dir != "" {
				one.dir = filepath.Join(f.dir, strconv.Itoa(n))
			}
			runs = append(runs, one)
		}
	}
	for _, one := range runs {
		if one.domains == 0 {
			continue
		}
		if err := runOnce(ctx, one); err != nil {
			return err
		}
	}
	if f.plot != "" {
		return drawGrowth(f.csv, f.plot)
	}
	return nil
}

func runOnce(ctx context.Context, f flags) (err error) {
	if f.held < 0 {
		f.held = f.domains / 10
	}
	for _, folder := range []string{f.dir, f.profiles} {
		if folder == "" {
			continue
		}
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return fmt.Errorf("make the folder for logs or profiles: %w", err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	w, err := newWorld(ctx, f)
	if err != nil {
		cancel()
		return err
	}
	defer func() {
		cancel() // the API server waits at its end for those who watch
		err = errors.Join(err, w.stop())
	}()
	r, err := measure(ctx, w)
	if err != nil {
		// What the phases before it found took long to find.
		fmt.Println("the run did not end; what it measured before:")
		printTable(os.Stdout, r)
		return err
	}
	if f.csv != "" {
		if err := addLine(f.csv, r); err != nil {
			return err
		}
	}
	if f.json {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		return out.Encode(r)
	}
	printTable(os.Stdout, r)
	return nil
}

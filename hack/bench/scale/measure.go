package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// usage is what the operator's process has used.
type usage struct {
	at time.Time
	// cpu since it started, resident memory now and at its peak, in MiB.
	cpu       time.Duration
	rss, peak float64
}

// clockTicks a second in /proc (getconf CLK_TCK is 100 on every Linux).
const clockTicks = 100

func (w *world) usage() (usage, error) {
	pid := strconv.Itoa(w.operator.PID())
	u := usage{at: time.Now()}
	stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return u, fmt.Errorf("read the operator's usage: %w", err)
	}
	// The name in parentheses may hold spaces; utime and stime are fields 14 and 15.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, at := range []int{11, 12} {
		ticks, err := strconv.ParseInt(fields[at], 10, 64)
		if err != nil {
			return u, fmt.Errorf("read the operator's usage: %w", err)
		}
		u.cpu += time.Duration(ticks) * time.Second / clockTicks
	}
	status, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
	if err != nil {
		return u, fmt.Errorf("read the operator's usage: %w", err)
	}
	u.rss, u.peak = memoryLine(status, "VmRSS:"), memoryLine(status, "VmHWM:")
	return u, nil
}

func memoryLine(status []byte, key string) float64 {
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == key {
			kib, _ := strconv.ParseFloat(fields[1], 64)
			return kib / 1024
		}
	}
	return 0
}

// writeLine is a counter of kube-apiserver's metrics.
var writeLine = regexp.MustCompile(`^apiserver_request_total\{(.*)\} ([0-9.e+]+)$`)

var labelPair = regexp.MustCompile(`(\w+)="([^"]*)"`)

// apiWrites counts what was written to the API server, by "verb resource". Leases, which kube-apiserver
// writes for itself, are left out; while this program writes nothing, the rest is the operator's.
func (w *world) apiWrites(ctx context.Context) (map[string]int64, error) {
	config := rest.CopyConfig(w.Config)
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("read the API server's metrics: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(config.Host, "/")+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("read the API server's metrics: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	out := map[string]int64{}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		found := writeLine.FindStringSubmatch(lines.Text())
		if found == nil {
			continue
		}
		labels := map[string]string{}
		for _, pair := range labelPair.FindAllStringSubmatch(found[1], -1) {
			labels[pair[1]] = pair[2]
		}
		switch labels["verb"] {
		case "POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION":
		default:
			continue
		}
		if labels["resource"] == "leases" || strings.HasSuffix(labels["resource"], "reviews") {
			continue
		}
		n, err := strconv.ParseFloat(found[2], 64)
		if err != nil {
			return nil, fmt.Errorf("read the API server's metrics: %w", err)
		}
		out[labels["verb"]+" "+labels["resource"]] += int64(n)
	}
	return out, lines.Err()
}

// requestLine is a counter of the operator's metrics.
var requestLine = regexp.MustCompile(`^rest_client_requests_total\{.*method="([A-Z]+)".*\} ([0-9.e+]+)$`)

// requests counts what the operator's process has asked of the API server, watches aside.
func (w *world) requests() (reads, writes int64, err error) {
	response, err := http.Get("http://" + w.metrics + "/metrics") //nolint:noctx // local
	if err != nil {
		return 0, 0, fmt.Errorf("read the operator's metrics: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		found := requestLine.FindStringSubmatch(lines.Text())
		if found == nil {
			continue
		}
		n, err := strconv.ParseFloat(found[2], 64)
		if err != nil {
			return 0, 0, fmt.Errorf("read the operator's metrics: %w", err)
		}
		if found[1] == http.MethodGet {
			reads += int64(n)
		} else {
			writes += int64(n)
		}
	}
	return reads, writes, lines.Err()
}

// sinceThen are the counters that grew.
func sinceThen(before, after map[string]int64) (map[string]int64, int64) {
	out, total := map[string]int64{}, int64(0)
	for what, n := range after {
		if grown := n - before[what]; grown > 0 {
			out[what] = grown
			total += grown
		}
	}
	return out, total
}

// changedSerials counts the zones whose serial is another.
func changedSerials(before, after map[string]uint32) int {
	n := 0
	for zone, serial := range after {
		if serial != before[zone] {
			n++
		}
	}
	return n
}

// profile fetches a profile of the operator into the folder for profiles, if there is one.
func (w *world) profile(phase, kind string) {
	if w.flags.profiles == "" {
		return
	}
	query := "" // a CPU profile lasts as long as it is asked to
	if kind == "profile" {
		query = "?seconds=20"
	}
	name := filepath.Join(w.flags.profiles, fmt.Sprintf("%d-%s-%s.pprof", w.flags.domains, phase, kind))
	var err error
	for range 50 { // the operator may be starting
		if err = fetch("http://"+w.pprof+"/debug/pprof/"+kind+query, name); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	w.say("profile %s: %v", name, err)
}

func fetch(url, name string) error {
	response, err := http.Get(url) //nolint:gosec,noctx // local
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // only read
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, response.Body)
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// rates samples BIND's counters once a second until ctx ends.
func (w *world) rates(ctx context.Context) (mean, most float64) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	began := time.Now()
	first, err := w.bind.counts()
	if err != nil {
		return 0, 0
	}
	last, at := first, began
	for {
		select {
		case <-ctx.Done():
			return float64(last.queries-first.queries) / at.Sub(began).Seconds(), most
		case <-tick.C:
		}
		now, err := w.bind.counts()
		if err != nil {
			continue
		}
		most = max(most, float64(now.queries-last.queries)/time.Since(at).Seconds())
		last, at = now, time.Now()
	}
}

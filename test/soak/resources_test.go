package soak

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/dane-operator/dane-operator/test/servers"
)

// resources are what the operator's process holds.
type resources struct {
	goroutines, files, sockets int
	// heap in use and resident memory, in MiB.
	heap, resident int
}

// String is for a person.
func (r resources) String() string {
	return fmt.Sprintf("%d goroutines, %d open files of which %d sockets, %d MiB of heap, %d MiB resident",
		r.goroutines, r.files, r.sockets, r.heap, r.resident)
}

// beyond says what is more than before; empty when nothing is. A process that works on hundreds of hosts is never
// quite still: some looks may be under way.
func (r resources) beyond(before resources) string {
	var grown []string
	for _, g := range []struct {
		what          string
		was, now, may int
	}{{"goroutines", before.goroutines, r.goroutines, before.goroutines/4 + 20}, {"open files", before.files, r.files, 10}} {
		if g.now > g.was+g.may {
			grown = append(grown, fmt.Sprintf("%d %s instead of %d", g.now, g.what, g.was))
		}
	}
	return strings.Join(grown, ", ")
}

// resources reads what the operator holds now.
func (w *world) resources() resources {
	w.Helper()
	r := resources{}
	servers.Eventually(w, "the operator tells its metrics", func() error {
		values, err := scrape(w.metrics.String())
		if err != nil {
			return err
		}
		r.goroutines, r.heap = int(values["go_goroutines"]), int(values["go_memstats_heap_inuse_bytes"])>>20
		r.resident = int(values["process_resident_memory_bytes"]) >> 20
		return nil
	})
	descriptors, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(w.lab.Operator.PID()), "fd", "*"))
	w.must(err)
	r.files = len(descriptors)
	for _, d := range descriptors {
		if to, err := os.Readlink(d); err == nil && strings.HasPrefix(to, "socket:") {
			r.sockets++
		}
	}
	return r
}

// scrape reads the gauges of a process.
func scrape(address string) (map[string]float64, error) {
	client := http.Client{Timeout: 10 * time.Second}
	reply, err := client.Get("http://" + address + "/metrics")
	if err != nil {
		return nil, err
	}
	defer func() { _ = reply.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(reply.Body)
	if err != nil {
		return nil, fmt.Errorf("read the metrics of %s: %w", address, err)
	}
	values := map[string]float64{}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetGauge() != nil {
				values[name] = m.GetGauge().GetValue()
			}
		}
	}
	return values, nil
}

package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
)

// row is a figure of a result, under the name that it has in CSV and in words.
type row struct {
	name, words string
	value       float64
}

// phaseOf has, by the first word of a figure's name, the phase that measures it.
var phaseOf = map[string]string{
	"cold": "cold start", "rest": "rest", "outage": "outage", "return": "outage", "restart": "restart",
	"switch": "switch of waiting rollovers", "renewal": "mass renewal", "peak": "mass renewal", "end": "mass renewal",
}

// measured says whether the phase of a figure came to its end.
func (r *result) measured(line row) bool {
	first, _, _ := strings.Cut(line.name, "_")
	phase, ok := phaseOf[first]
	return !ok || r.ended[phase]
}

func (r *result) rows() []row {
	n := func(i int) float64 { return float64(i) }
	return []row{
		{"domains", "MailDomains", n(r.Domains)},
		{"zones", "zones", n(r.Zones)},
		{"cold_published_s", "cold start: until all are published and Ready, s", r.ColdPublished},
		{"cold_settled_s", "cold start: until every standby key is known to every cache, s", r.ColdSettled},
		{"cold_cpu_s", "cold start: CPU time of the operator, s", r.ColdCPU},
		{"cold_peak_mib", "cold start: memory at peak, MiB", r.ColdPeak},
		{"cold_api_writes", "cold start: API writes", float64(r.ColdWrites)},
		{"rest_s", "rest: looked on for, s", r.RestSeconds},
		{"rest_rss_mib", "rest: memory, MiB", r.RestRSS},
		{"rest_cpu_percent", "rest: CPU of one core, %", 100 * r.RestCPU},
		{"rest_api_reads", "rest: API reads", float64(r.RestReads)},
		{"rest_api_writes", "rest: API writes", float64(r.RestWrites)},
		{"rest_zones_changed", "rest: zones with another serial", n(r.RestZonesChanged)},
		{"rest_queries_mean", "rest: DNS queries a second, mean", r.RestQueriesMean},
		{"rest_queries_max", "rest: DNS queries in the busiest second", r.RestQueriesMost},
		{"outage_s", "outage: the name servers were away for, s", r.OutageSeconds},
		{"outage_asked_mean", "outage: messages and connections to the name servers a second, mean", r.OutageAskedMean},
		{"outage_asked_max", "outage: the same in the busiest second", r.OutageAskedMost},
		{"outage_api_writes", "outage: API writes", float64(r.OutageWrites)},
		{"outage_events", "outage: events", float64(r.OutageEvents)},
		{"return_asked_max", "return: messages and connections in the busiest second", r.ReturnAskedMost},
		{"return_settled_s", "return: until every host is at rest with its new certificate, s", r.ReturnSettled},
		{"return_events", "return: events", float64(r.ReturnEvents)},
		{"restart_ready_s", "restart: until /readyz answers, s", r.RestartReady},
		{"restart_swept_s", "restart: until every owner was asked for anew, s", r.RestartSwept},
		{"restart_probed_s", "restart: until every mail server was probed anew, s", r.RestartProbed},
		{"restart_api_writes", "restart: API writes", float64(r.RestartWrites)},
		{"restart_zones_changed", "restart: zones with another serial", n(r.RestartZonesChanged)},
		{"restart_peak_mib", "restart: memory at peak, MiB", r.RestartPeak},
		{"switch_hosts", "switch of waiting rollovers: hosts", n(r.SwitchHosts)},
		{"switch_p50_s", "switch: at most after the instant of the rule, median, s", r.SwitchP50},
		{"switch_p99_s", "switch: at most after the instant of the rule, p99, s", r.SwitchP99},
		{"switch_max_s", "switch: at most after the instant of the rule, longest, s", r.SwitchMax},
		{"renewal_switched_s", "mass renewal: until every new certificate is issued, s", r.RenewalSwitched},
		{"renewal_settled_s", "mass renewal: until every old key is gone and the next standby key ready, s", r.RenewalSettled},
		{"renewal_cpu_s", "mass renewal: CPU time of the operator, s", r.RenewalCPU},
		{"renewal_api_writes", "mass renewal: API writes of the operator", float64(r.RenewalWrites)},
		{"peak_mib", "memory at peak since the restart, MiB", r.Peak},
		{"end_rss_mib", "memory at the end, MiB", r.EndRSS},
	}
}

func printTable(out io.Writer, r *result) {
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, line := range r.rows() {
		if r.measured(line) {
			fmt.Fprintf(t, "%s\t%s\n", line.words, strconv.FormatFloat(line.value, 'f', places(line.value), 64))
		}
	}
	for what, by := range map[string]map[string]int64{"cold start (everybody's writes)": r.ColdWritesBy, "rest": r.RestWritesBy, "restart": r.RestartWritesBy} {
		for verb, n := range by {
			fmt.Fprintf(t, "%s: %s\t%d\n", what, verb, n)
		}
	}
	_ = t.Flush() // to the terminal
	for _, missed := range r.missed() {
		fmt.Fprintln(out, missed)
	}
}

// targets are the most that a figure should be, with ten thousand MailDomains and less.
var targets = map[string]float64{
	"cold_peak_mib": 400, "rest_rss_mib": 400, "restart_peak_mib": 400, "peak_mib": 400,
	"rest_cpu_percent": 5, "rest_api_writes": 0, "rest_zones_changed": 0,
	"restart_api_writes": 0, "restart_zones_changed": 0, "restart_ready_s": 60, "switch_p99_s": 2,
}

// missed says which targets were missed.
func (r *result) missed() []string {
	var out []string
	for _, line := range r.rows() {
		if most, ok := targets[line.name]; ok && r.measured(line) && line.value > most {
			out = append(out, fmt.Sprintf("the target of %g is missed: %s", most, line.words))
		}
	}
	return out
}

// places after the point that a figure is worth.
func places(v float64) int {
	switch {
	case v == float64(int64(v)):
		return 0
	case v < 10:
		return 2
	}
	return 1
}

// addLine adds a result to a CSV file, which begins with the names. What was not measured is left empty.
func addLine(name string, r *result) error {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644) //nolint:gosec // figures for everybody
	if err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	var names, values []string
	for _, line := range r.rows() {
		names = append(names, line.name)
		value := ""
		if r.measured(line) {
			value = strconv.FormatFloat(line.value, 'f', -1, 64)
		}
		values = append(values, value)
	}
	w := csv.NewWriter(file)
	if info.Size() == 0 {
		_ = w.Write(names) // Error below
	}
	_ = w.Write(values)
	w.Flush()
	if err := w.Error(); err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	return file.Close()
}

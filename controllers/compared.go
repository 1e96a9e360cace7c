package controllers

import (
	"slices"
	"sync"

	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// comparisons remembers how what one endpoint presented compares with what servers show. Both stay the same for days,
// and are compared at each look at a host, for its status and for its conditions. It is safe for use by many
// goroutines. A nil *comparisons remembers nothing.
type comparisons struct {
	mu sync.Mutex
	// newest of each result of the probe.
	newest []*comparison
}

// comparison is how one chain compares with records, and all that it rests on but the chain: that is the one of its
// place.
type comparison struct {
	// sweep is where the records are from; another may have shown the same.
	sweep   *rollover.Sweep
	records []tlsa.Record
	names   []string
	matched bool
	message string
}

// compare says how the chain of a result, which has its place in the probe, compares with what a sweep saw, at the
// time of the result, for a server that is called by names.
func (c *comparisons) compare(place int, r probe.Result, sweep *rollover.Sweep, names []string) comparison {
	if c == nil {
		return newComparison(r, recordsShown(sweep), names)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.newest) <= place {
		c.newest = append(c.newest, nil)
	}
	known := c.newest[place]
	if known == nil || known.sweep != sweep || !slices.Equal(known.names, names) {
		made := known.renewed(r, recordsShown(sweep), names)
		made.sweep = sweep
		known = &made
		c.newest[place] = known
	}
	return *known
}

// renewed is the comparison with other records or names, which is the same where they are.
func (c *comparison) renewed(r probe.Result, records []tlsa.Record, names []string) comparison {
	if c != nil && slices.Equal(c.records, records) && slices.Equal(c.names, names) {
		return *c
	}
	return newComparison(r, records, names)
}

func newComparison(r probe.Result, records []tlsa.Record, names []string) comparison {
	result := tlsa.Match(records, r.Chain, names, r.End)
	return comparison{records: records, names: names, matched: result.Verdict == tlsa.Matched, message: result.String()}
}

// recordsShown are the records that some server showed in a sweep.
func recordsShown(sweep *rollover.Sweep) []tlsa.Record {
	var out []tlsa.Record
	for _, s := range shown(sweep) {
		out = append(out, s.record)
	}
	return out
}

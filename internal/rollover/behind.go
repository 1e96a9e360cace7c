package rollover

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// Fault is what keeps one name server from showing what is wanted.
type Fault struct {
	Name, Address string
	// Problem in words without times or counters, such as "shows other records".
	Problem string
}

// String is the server and its problem.
func (f Fault) String() string {
	if f.Name == "" || f.Name == f.Address {
		return f.Address + " " + f.Problem
	}
	return f.Name + " (" + f.Address + ") " + f.Problem
}

// faults are the servers that do not show what is wanted of an owner, sorted.
func (r *run) faults(o *ownerRun) []Fault {
	var out []Fault
	for _, a := range o.last.Answers {
		if problem := r.problem(o, a); problem != "" && !a.Ignored {
			if a.Former {
				problem += ", and caches may still know it for a server of the zone, which names it no more"
			}
			out = append(out, Fault{Name: a.Name, Address: a.Address, Problem: problem})
		}
	}
	slices.SortFunc(out, func(a, b Fault) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(out)
}

// silent are the servers at fault that gave no answer of their own.
func (o *ownerRun) silent() []Fault {
	return slices.DeleteFunc(slices.Clone(o.Behind), func(f Fault) bool {
		return !slices.ContainsFunc(o.last.Answers, func(a Answer) bool { return a.Address == f.Address && !a.Reachable })
	})
}

// problem says what is wrong with the answer of one address; empty when nothing is.
func (r *run) problem(o *ownerRun, a Answer) string {
	p := r.f.Policy
	if !a.Reachable {
		if a.Alias != "" {
			return a.Message
		}
		return "gives no authoritative answer"
	}
	switch {
	case p.DNSSECRequired && !a.Signed && (len(a.Records) > 0 || a.Alias != ""):
		return "gives an answer that does not validate"
	case o.split():
		return splitProblem(a)
	case a.Alias != "":
		return ""
	case !a.shows(r.dueNow(o)):
		return "shows other records"
	case len(r.dueNow(o)) > 0 && a.TTL != p.TTL:
		return fmt.Sprintf("shows them with TTL %d instead of %d", int64(a.TTL/time.Second), int64(p.TTL/time.Second))
	}
	return ""
}

// dueNow are the records that each server should show by now: where those of a removed host stay, what the primary has.
func (r *run) dueNow(o *ownerRun) []tlsa.Record {
	if r.f.Policy.stays() && o.primaryKnown {
		return o.primary
	}
	return o.Records
}

// named adds the servers at fault to a message; all of them would be too many to read.
func named(message string, faults []Fault) string {
	const most = 3
	if len(faults) == 0 {
		return message
	}
	var words []string
	for _, f := range faults[:min(most, len(faults))] {
		words = append(words, f.String())
	}
	if len(faults) > most {
		words = append(words, "and others (see status.mailServers[].nameservers)")
	}
	return message + ": " + strings.Join(words, ", ")
}

package history

import "slices"

// Add adds up what histories have counted.
func (r *Result) Add(o Result) {
	r.Rollovers += o.Rollovers
	r.Checks += o.Checks
	r.Risked += o.Risked
	r.Updates += o.Updates
	r.Writes += o.Writes
	r.Reconciles += o.Reconciles
	r.Sweeps += o.Sweeps
	r.Faults += o.Faults
	for what, n := range o.Seen {
		s := r.Seen[what]
		if r.Seen == nil {
			r.Seen = map[string]Sighting{}
		}
		r.Seen[what] = Sighting{Times: s.Times + n.Times, Histories: s.Histories + n.Histories}
	}
}

// Shrink leaves out of a failing history what it breaks the same promise without: halves first, then
// quarters, at last one thing after the other (Zeller's ddmin). The outcome depends on nothing but the plan.
func Shrink(failing Result) Result {
	best := failing
	for size := max(len(best.Plan.Faults)/2, 1); ; size = max(size/2, 1) {
		shrunk := false
		for from := 0; from < len(best.Plan.Faults); {
			p := best.Plan
			p.Faults = slices.Delete(slices.Clone(p.Faults), from, min(from+size, len(p.Faults)))
			r := Run(p, false)
			if r.Violation != nil && r.Violation.Promise == failing.Violation.Promise {
				best, shrunk = r, true
				continue
			}
			from += size
		}
		if size == 1 && !shrunk {
			return best
		}
	}
}

package rollover

import (
	"slices"
	"testing"
	"time"
)

// TestFold: what a sweep says of versions that are remembered, beside what the traps try.
func TestFold(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	policy := Policy{TTL: time.Hour, Sweeps: 1}
	empty := func(start time.Time, reachable bool) Sweep {
		return Sweep{Start: start, End: start.Add(time.Second), Answers: []Answer{{Address: "192.0.2.1:53", Reachable: reachable, Signed: true}}}
	}
	version := Version{Owner: firstOwner, Records: of(p311, "a"), TTL: time.Hour, FirstSeen: noon, LastSeen: noon}
	planned, open := version, version
	planned.Open, planned.Planned, open.Open = true, true, true
	for _, c := range []struct {
		name  string
		owner Owner
		want  func(Version) bool // of the version; nil wants it gone
	}{
		{"an update whose end nobody knows may have been carried out", Owner{Versions: []Version{planned}},
			func(v Version) bool { return v.Open && v.Planned }},
		{"one that was refused for certain never stood", Owner{Versions: []Version{planned}, Refused: true}, nil},
		{"while no server answers, resolvers may serve what is stale: the wait begins anew (RFC 8767)",
			Owner{Versions: []Version{version}, Sweeps: []Sweep{empty(noon.Add(time.Hour), false)}},
			func(v Version) bool { return v.LastSeen.Equal(noon.Add(time.Hour + time.Second)) }},
		{"once every cache has forgotten it, there is nothing stale to serve",
			Owner{Versions: []Version{version}, Sweeps: []Sweep{empty(noon.Add(3*time.Hour), false)}},
			func(v Version) bool { return v.LastSeen.Equal(noon) }},
		{"a server that was asked before the update says nothing of what it made",
			Owner{Versions: []Version{open}, Sweeps: []Sweep{empty(noon.Add(-time.Millisecond), true)}},
			func(v Version) bool { return v.Open && v.AbsentSweeps == 0 }},
		{"one that was asked after it does", Owner{Versions: []Version{open}, Sweeps: []Sweep{empty(noon, true)}},
			func(v Version) bool { return !v.Open }},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.owner.Name, c.owner.Known = firstOwner, true
			got := fold(c.owner, policy)
			i := slices.IndexFunc(got, func(v Version) bool { return len(v.Records) > 0 })
			if c.want == nil && i >= 0 || c.want != nil && (i < 0 || !c.want(got[i])) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestLongestWait: of all versions without a key the one counts that caches hold the longest, in whatever order
// they were seen.
func TestLongestWait(t *testing.T) {
	s := newScene(t)
	long := Version{Owner: firstOwner, Records: of(p311, "a"), TTL: 24 * time.Hour, LastSeen: s.now}
	short := Version{Owner: firstOwner, Records: of(p311, "a"), TTL: time.Hour, LastSeen: s.now}
	for _, versions := range [][]Version{{long, short}, {short, long}} {
		r := &run{f: Facts{Policy: Policy{Parameters: s.policy.Parameters}}, owners: []ownerRun{{OwnerDecision: OwnerDecision{Versions: versions}}}}
		r.account()
		at, known := r.deployableAt(&tracked{KeyState: KeyState{Records: of(p311, "b")}})
		if want := s.now.Add(48 * time.Hour); !known || !at.Equal(want) {
			t.Errorf("it may be deployed at %s (%t), want %s", at, known, want)
		}
	}
}

// TestSuspendedDeploysNothing: what could be deployed is not, while nothing shall happen.
func TestSuspendedDeploysNothing(t *testing.T) {
	s := published(t)
	gone := s.requests("b")
	s.policy.Suspended = true
	s.held(s.at(gone.Add(2*soak)), "b", WaitSuspended)
	s.policy.Suspended = false
	if d := s.work(); !slices.Contains(d.Deploy, digest("b")) {
		t.Errorf("it is not deployed afterwards: %+v", d.Waits)
	}
}

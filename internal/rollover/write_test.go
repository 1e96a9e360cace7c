package rollover

import (
	"slices"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// TestPlannedIsNoted: what an update is about to make is among the versions before it is sent: it may be carried out
// although nobody hears of it.
func TestPlannedIsNoted(t *testing.T) {
	s := published(t)
	s.hold("b", StageRequested)
	d := s.work()
	want := of(p311, "a", "b")
	if o := d.Owners[0]; !o.Write || !slices.ContainsFunc(o.Versions, func(v Version) bool { return v.Planned && v.Open && slices.Equal(v.Records, want) }) {
		t.Errorf("written: %t, versions: %+v", o.Write, o.Versions)
	}
}

// TestOldSweepWritesNothing: what was seen a while ago is no ground for an update.
func TestOldSweepWritesNothing(t *testing.T) {
	s := published(t)
	s.hold("b", StageRequested)
	s.now = s.now.Add(s.policy.SweepFreshness + time.Second)
	if d := s.decide(); d.Owners[0].Write || !d.NeedSweep {
		t.Errorf("written: %t, a sweep is asked for: %t", d.Owners[0].Write, d.NeedSweep)
	}
	if d := s.work(); !d.Owners[0].Write {
		t.Errorf("after a look it is not written: %+v", d.Waits)
	}
}

// TestForeignStays: records of others are taken out only where the user wants that, and nothing can need them.
func TestForeignStays(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy Policy
		o      ownerRun
		want   bool
	}{
		{"they are to be kept", Policy{ProbeDisabled: true}, ownerRun{}, false},
		{"they are to go, and the user vouches for the endpoints", Policy{RemoveForeign: true, ProbeDisabled: true}, ownerRun{}, true},
		{"nobody knows what the endpoints present", Policy{RemoveForeign: true}, ownerRun{}, false},
		{"others may lead to the name by aliases", Policy{RemoveForeign: true, ProbeDisabled: true}, ownerRun{OwnerDecision: OwnerDecision{End: "mail.example.net."}}, false},
		{"only our own records go when we go", Policy{RemoveForeign: true, ProbeDisabled: true}, ownerRun{removing: true}, false},
	} {
		c.o.Foreign = of(p311, "z")
		r := &run{f: Facts{Policy: c.policy}}
		if got := r.foreignMayGo(&c.o); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

// TestForeignIsWritten: what others have at the name is part of every update, unless it may go.
func TestForeignIsWritten(t *testing.T) {
	s := published(t)
	s.write(firstOwner, answerSet{of(p311, "a", "z"), s.policy.TTL})
	s.hold("b", StageRequested)
	if d := s.work(); !d.Owners[0].Write || !slices.Equal(d.Owners[0].Records, of(p311, "a", "b", "z")) {
		t.Errorf("written: %t, records: %v", d.Owners[0].Write, d.Owners[0].Records)
	}
}

// TestWorseIsNotWritten: a chain that what stands matches, and what is wanted does not, holds an update back.
func TestWorseIsNotWritten(t *testing.T) {
	matches := func(name string) func(tlsa.Record) bool {
		return func(k tlsa.Record) bool { return slices.Contains(of(p311, name), k) }
	}
	for _, c := range []struct {
		presents string
		want     WaitCode
	}{{"a", WaitEndpoints}, {"b", WaitNone}} {
		r := &run{parameters: map[tlsa.Parameters]bool{p311: true}, f: Facts{LastRound: &ProbeRound{
			Complete: true, Presented: []Presented{{Port: 25, Matches: matches(c.presents)}},
		}}}
		o := &ownerRun{facts: Owner{Port: 25}, primary: of(p311, "a")}
		o.Records = of(p311, "b")
		if code, message := r.writeBlocked(o); code != c.want {
			t.Errorf("an endpoint presents %s: %s %s", c.presents, code, message)
		}
	}
}

// TestSetWaitsForEveryKey: a set that a key lacks which may be presented is not published.
func TestSetWaitsForEveryKey(t *testing.T) {
	r := &run{f: Facts{Policy: Policy{ProbeDisabled: true}}}
	r.keys = []tracked{{KeyState: KeyState{SPKI: "a", Deployed: true, Records: of(p311, "a")}}}
	if r.notReady(&ownerRun{}, p312) == "" {
		t.Error("it is ready although a key has no record of it")
	}
	r.keys[0].Records = append(r.keys[0].Records, of(p312, "a")...)
	if why := r.notReady(&ownerRun{}, p312); why != "" {
		t.Error(why)
	}
}

// TestUpdateUnderWayIsNotAskedForAnew: while an update is on its way nothing of its version changes, so that the status does not.
func TestUpdateUnderWayIsNotAskedForAnew(t *testing.T) {
	s := published(t)
	s.owners[0].loses = true
	s.hold("b", StageRequested)
	s.work()
	first := slices.Clone(s.owners[0].versions)
	s.owners[0].sending = true
	s.now = s.now.Add(5 * time.Second)
	if d := s.work(); !d.Owners[0].Write || !s.owners[0].planned(t).FirstSeen.Equal(planIn(t, first).FirstSeen) {
		t.Errorf("it is %+v, and was %+v", s.owners[0].versions, first)
	}
	s.owners[0].sending = false
	s.now = s.now.Add(5 * time.Second)
	s.work()
	if now := s.owners[0].planned(t); !now.FirstSeen.Equal(s.now) {
		t.Errorf("it was sent again, and is awaited from before: %+v", now)
	}
}

func (o *remembered) planned(t *testing.T) Version {
	t.Helper()
	return planIn(t, o.versions)
}

func planIn(t *testing.T, versions []Version) Version {
	t.Helper()
	i := slices.IndexFunc(versions, func(v Version) bool { return v.Planned })
	if i < 0 {
		t.Fatalf("nothing is planned: %+v", versions)
	}
	return versions[i]
}

// TestTTLOfOthersIsTheirs: the TTL alone is a reason to write only where something of ours stands. What another MailDomain
// counts with for its records is the TTL that it has asked for.
func TestTTLOfOthersIsTheirs(t *testing.T) {
	for _, c := range []struct {
		reason   string
		stands   []tlsa.Record
		removing bool
		want     bool
	}{
		{"nothing of ours is there, and nothing is to be", of(p311, "z"), true, false},
		{"ours stands with another TTL", of(p311, "a"), false, true},
		{"so it does beside a record of somebody else", of(p311, "a", "z"), false, true},
	} {
		s := newScene(t)
		if !c.removing {
			s = published(t)
		}
		s.policy.Removing = c.removing
		s.write(firstOwner, answerSet{c.stands, 2 * s.policy.TTL})
		if o := s.work().Owners[0]; o.Write != c.want {
			t.Errorf("%s: written: %t, %v", c.reason, o.Write, o.Records)
		}
	}
}

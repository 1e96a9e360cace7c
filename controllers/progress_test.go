package controllers

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// TestProgressLasts goes through a rollover: whoever waits for the condition to be False finds the new key served, and no
// record of the old one at any name server.
func TestProgressLasts(t *testing.T) {
	record := func(digest byte) tlsa.Record {
		return tlsa.Record{Parameters: tlsa.Parameters{Usage: 3, Selector: 1, MatchingType: 1}, Data: string([]byte{digest})}
	}
	old, current, foreign := record(1), record(2), record(3)
	key := func(id string, role v1alpha1.KeyRole, of string, r tlsa.Record) rollover.KeyState {
		return rollover.KeyState{ID: id, Certificate: of, Role: string(role), Records: []tlsa.Record{r}}
	}
	shows := func(open bool, records ...tlsa.Record) rollover.Version {
		return rollover.Version{Open: open, Records: records}
	}
	for _, row := range []struct {
		reason   string
		keys     []rollover.Key
		states   []rollover.KeyState
		deploy   []string
		versions []rollover.Version
		removing bool
		want     string
	}{
		{"at rest, with a standby key", nil, []rollover.KeyState{key("b", v1alpha1.RoleCurrent, "mx", current), key("c", v1alpha1.RoleNext, "mx", old)}, nil,
			[]rollover.Version{shows(true, current, old)}, false, v1alpha1.ReasonNoRollover},
		{"a key is asked for", []rollover.Key{{ID: "b", Stage: rollover.StageRequested}}, []rollover.KeyState{key("a", v1alpha1.RoleCurrent, "mx", old)}, nil, nil, false, v1alpha1.ReasonHeld},
		{"it may be served, and is not approved yet", []rollover.Key{{ID: "b", Stage: rollover.StageRequested}}, []rollover.KeyState{key("a", v1alpha1.RoleCurrent, "mx", old)}, []string{"b"}, nil, false,
			v1alpha1.ReasonHeld},
		{"it is approved, or issued, and servers have the other one", nil, []rollover.KeyState{key("a", v1alpha1.RoleCurrent, "mx", old), key("b", v1alpha1.RoleCurrent, "mx", current)}, nil, nil, false,
			v1alpha1.ReasonDeploying},
		{"two Certificates side by side have a key each", nil, []rollover.KeyState{key("a", v1alpha1.RoleCurrent, "rsa", old), key("b", v1alpha1.RoleCurrent, "ecdsa", current)}, nil, nil, false,
			v1alpha1.ReasonNoRollover},
		{"nothing presents the old one any more", nil, []rollover.KeyState{key("b", v1alpha1.RoleCurrent, "mx", current), key("a", v1alpha1.RolePrevious, "mx", old)}, nil, nil, false, v1alpha1.ReasonRetiring},
		{"it is forgotten, and a server shows its record", nil, []rollover.KeyState{key("b", v1alpha1.RoleCurrent, "mx", current)}, nil,
			[]rollover.Version{shows(true, current, old), shows(true, current)}, false, v1alpha1.ReasonRetiring},
		{"no server does", nil, []rollover.KeyState{key("b", v1alpha1.RoleCurrent, "mx", current)}, nil,
			[]rollover.Version{shows(false, current, old), shows(true, current)}, false, v1alpha1.ReasonNoRollover},
		{"a foreign record is no rollover", nil, []rollover.KeyState{key("b", v1alpha1.RoleCurrent, "mx", current)}, nil,
			[]rollover.Version{shows(true, current, foreign)}, false, v1alpha1.ReasonNoRollover},
		{"nor is it when the host leaves", nil, nil, nil, []rollover.Version{shows(true, current, old)}, true, v1alpha1.ReasonNoRollover},
	} {
		h := &hostRun{server: v1alpha1.MailServer{Hostname: "mx1.example.com"}, decided: true, removing: row.removing}
		h.facts.Keys, h.facts.Owners = row.keys, []rollover.Owner{{Written: []tlsa.Record{old, current}}}
		h.decision = rollover.Decision{Published: true, Keys: row.states, Deploy: row.deploy, Owners: []rollover.OwnerDecision{{Records: []tlsa.Record{current}, Versions: row.versions}}}
		f := progressFinding(nil, h)
		if f.reason != row.want || (f.status == metav1.ConditionTrue) != (row.want != v1alpha1.ReasonNoRollover) {
			t.Errorf("%s: %s %s %q, want %s", row.reason, f.status, f.reason, f.message, row.want)
		}
	}
}

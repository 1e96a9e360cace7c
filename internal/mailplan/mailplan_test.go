package mailplan_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/mailplan"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	token  = `"site-verification=abc  def" " more"`
	ours   = `"v=spf1 mx -all"`
	other  = `"v=spf1 a ~all"`
	other2 = `"V=SPF1 ip4:192.0.2.1 -all"`
)

// sweep is a primary with some records and a secondary that shows the same.
func sweep(data ...string) *mailplan.Sweep {
	a := mailplan.Answer{Server: "ns1", Reachable: true, Signed: true, Primary: true, Data: data, TTL: 5 * time.Minute}
	b := a
	b.Server, b.Primary = "ns2", false
	return &mailplan.Sweep{End: now, Answers: []mailplan.Answer{a, b}}
}

func spf(edit ...func(*mailplan.Facts)) mailplan.Facts {
	f := mailplan.Facts{Now: now, Record: mailplan.SPF, Name: "example.com", Goal: mailplan.Keep, Want: []string{ours}, Sweep: sweep(), Validate: true}
	for _, e := range edit {
		e(&f)
	}
	return f
}

func shows(data ...string) func(*mailplan.Facts) {
	return func(f *mailplan.Facts) { f.Sweep = sweep(data...) }
}

func owning(data ...string) func(*mailplan.Facts) {
	return func(f *mailplan.Facts) { f.Own = data }
}

func goal(g mailplan.Goal) func(*mailplan.Facts) { return func(f *mailplan.Facts) { f.Goal = g } }
func adopt(f *mailplan.Facts)                    { f.Adopt = true }
func lost(f *mailplan.Facts)                     { f.Lost = true }
func stale(f *mailplan.Facts)                    { f.Stale = true }

// secondary changes what the second server says.
func secondary(edit func(*mailplan.Answer)) func(*mailplan.Facts) {
	return func(f *mailplan.Facts) { edit(&f.Sweep.Answers[1]) }
}

func primary(edit func(*mailplan.Answer)) func(*mailplan.Facts) {
	return func(f *mailplan.Facts) { edit(&f.Sweep.Answers[0]) }
}

// TestDecide: what becomes of an SPF record among other TXT records.
func TestDecide(t *testing.T) {
	set := func(edit func(*mailplan.Facts)) func(*mailplan.Facts) { return edit }
	for _, c := range []struct {
		reason string
		facts  mailplan.Facts
		state  mailplan.State
		// writes is the RRset afterwards; nil when nothing is written, and empty when it is removed.
		writes  []string
		own     []string
		message string
	}{
		{"nothing stands", spf(), mailplan.Publishing, []string{ours}, []string{ours}, ""},
		{"other texts are kept", spf(shows(token, `"x"`)), mailplan.Publishing, []string{token, ours, `"x"`}, []string{ours}, ""},
		{"it stands", spf(shows(ours), owning(ours)), mailplan.Published, nil, []string{ours}, ""},
		{"it stands in other strings", spf(shows(`"v=spf1 " "mx -all"`), owning(ours)), mailplan.Published, nil, []string{ours}, ""},
		{"it stood before us: it is right, and not ours to remove", spf(shows(ours)), mailplan.Published, nil, nil, ""},
		{"it stood before us, and is taken over", spf(shows(ours), adopt), mailplan.Published, nil, []string{ours}, ""},
		{"it stands, and what is ours is not known any more", spf(shows(ours), lost), mailplan.Published, nil, []string{ours}, ""},
		{"another one of ours stands", spf(shows(token, other), owning(other)), mailplan.Publishing, []string{token, ours}, []string{other, ours}, ""},
		{"one that is not ours stands", spf(shows(token, other)), mailplan.Conflict, nil, nil, "set adopt: true"},
		{"one that is not ours stands, and what is ours is not known any more", spf(shows(other), lost), mailplan.Conflict, nil, []string{ours}, "v=spf1 a ~all"},
		{"it is taken over", spf(shows(token, other), adopt), mailplan.Publishing, []string{token, ours}, []string{ours}, ""},
		{"a second one appears beside ours", spf(shows(ours, other2), owning(ours)), mailplan.Conflict, nil, []string{ours}, "readers go by none"},
		{"two of others", spf(shows(other, other2)), mailplan.Conflict, nil, nil, "2 records"},
		{"a second one is taken over", spf(shows(ours, other2), owning(ours), adopt), mailplan.Publishing, []string{ours}, []string{ours}, ""},
		{"somebody removed ours", spf(shows(token), owning(ours)), mailplan.Publishing, []string{ours, token}, []string{ours}, ""},
		{"a wildcard answers, and nothing stands", spf(shows(other), adopt, primary(func(a *mailplan.Answer) { a.Synthesized = true })), mailplan.Publishing, []string{ours}, []string{ours}, ""},
		{"nobody was asked", spf(set(func(f *mailplan.Facts) { f.Sweep = nil }), owning(ours)), mailplan.Unknown, nil, []string{ours}, "not been asked"},
		{"the primary is silent", spf(primary(func(a *mailplan.Answer) { a.Reachable, a.Message = false, "no answer: down" }), owning(other)), mailplan.Unknown, nil, []string{other}, "down"},
		{"the primary is silent, and all was well", spf(shows(ours), owning(ours), primary(func(a *mailplan.Answer) { a.Reachable = false }), set(func(f *mailplan.Facts) { f.WasPublished = true })), mailplan.Published, nil, []string{ours}, ""},
		{"a secondary is behind", spf(shows(ours), owning(ours), secondary(func(a *mailplan.Answer) { a.Data = nil })), mailplan.Publishing, nil, []string{ours}, "ns2: shows no such record"},
		{"a secondary is behind, and all was well not long ago", spf(shows(ours), owning(ours), secondary(func(a *mailplan.Answer) { a.Data = nil }), set(func(f *mailplan.Facts) { f.WasPublished = true })), mailplan.Published, nil, []string{ours}, ""},
		{"a secondary is behind for long", spf(shows(ours), owning(ours), secondary(func(a *mailplan.Answer) { a.Data = nil }), set(func(f *mailplan.Facts) { f.WasPublished, f.Late = true, true })), mailplan.Publishing, nil, []string{ours}, "ns2"},
		{"a secondary that the user excepted is behind", spf(shows(ours), owning(ours), secondary(func(a *mailplan.Answer) { a.Data, a.Ignored = nil, true })), mailplan.Published, nil, []string{ours}, ""},
		{"a secondary is silent", spf(shows(ours), owning(ours), secondary(func(a *mailplan.Answer) { a.Reachable, a.Message = false, "no answer" })), mailplan.Publishing, nil, []string{ours}, "ns2: no answer"},
		{"an answer does not validate", spf(shows(ours), owning(ours), secondary(func(a *mailplan.Answer) { a.Signed = false })), mailplan.Publishing, nil, []string{ours}, "does not validate"},
		{"an answer does not validate where that is not asked for", spf(shows(ours), owning(ours), secondary(func(a *mailplan.Answer) { a.Signed = false }), set(func(f *mailplan.Facts) { f.Validate = false })), mailplan.Published, nil, []string{ours}, ""},
		{"an update was sent since", spf(stale), mailplan.Publishing, nil, nil, ""},
		{"an update was sent since: what was to be written is remembered", spf(stale, owning(ours, other)), mailplan.Publishing, nil, []string{other, ours}, ""},
		{"an old one of ours is gone from everywhere", spf(shows(ours), owning(ours, other)), mailplan.Published, nil, []string{ours}, ""},
		{"an old one of ours is shown by a secondary", spf(shows(ours), owning(ours, other), secondary(func(a *mailplan.Answer) { a.Data = []string{other} })), mailplan.Publishing, nil, []string{other, ours}, ""},
		{"it breaks a rule", spf(set(func(f *mailplan.Facts) { f.Want, f.Invalid = nil, "spec.spf: no" }), shows(other), owning(other)), mailplan.Invalid, nil, []string{other}, "spec.spf: no"},
		{"the name may not be written", spf(set(func(f *mailplan.Facts) { f.Refused = "no grant" })), mailplan.Refused, nil, nil, "no grant"},
		{"the name is an alias", spf(primary(func(a *mailplan.Answer) { a.Alias = "elsewhere.example." })), mailplan.Refused, nil, nil, "an alias of elsewhere.example."},
		{"something comes before", spf(set(func(f *mailplan.Facts) { f.Hold = "first the other" })), mailplan.Waiting, nil, nil, "first the other"},
		{"what comes before is undone", spf(shows(ours), owning(ours), set(func(f *mailplan.Facts) { f.Hold = "the other is gone" })), mailplan.Published, nil, []string{ours}, "the other is gone"},
		{"suspended", spf(set(func(f *mailplan.Facts) { f.Suspended = true })), mailplan.Waiting, nil, nil, "spec.suspend"},
		{"suspended, and right", spf(shows(ours), set(func(f *mailplan.Facts) { f.Suspended = true })), mailplan.Published, nil, nil, ""},
		{"the last update failed", spf(set(func(f *mailplan.Facts) { f.Failure, f.HeldBack = "SERVFAIL", true }), owning(ours)), mailplan.Publishing, nil, []string{ours}, "SERVFAIL"},
		{"the primary refuses it", spf(set(func(f *mailplan.Facts) { f.Failure, f.Final = "REFUSED", true })), mailplan.Refused, []string{ours}, []string{ours}, "REFUSED"},
		{"not asked for", spf(goal(mailplan.Look), shows(other)), mailplan.NotManaged, nil, nil, ""},
		{"not asked for, and broken", spf(goal(mailplan.Look), shows(`"v=spf1 ipv4:192.0.2.1"`)), mailplan.NotManaged, nil, nil, "no such mechanism"},
		{"not asked for, and two", spf(goal(mailplan.Look), shows(other, other2)), mailplan.NotManaged, nil, nil, "leave one"},
		{"ours is removed", spf(goal(mailplan.Remove), shows(token, ours), owning(ours)), mailplan.Removing, []string{token}, []string{ours}, ""},
		{"ours is removed, another one stays", spf(goal(mailplan.Remove), shows(other, ours), owning(ours), adopt), mailplan.Removing, []string{other}, []string{ours}, ""},
		{"the RRset goes with it", spf(goal(mailplan.Remove), shows(ours), owning(ours)), mailplan.Removing, []string{}, []string{ours}, ""},
		{"nothing is ours", spf(goal(mailplan.Remove), shows(ours)), mailplan.NotManaged, nil, nil, ""},
		{"what is ours is not known any more", spf(goal(mailplan.Remove), shows(ours), lost), mailplan.Removing, []string{}, []string{ours}, ""},
		{"a secondary still shows it", spf(goal(mailplan.Remove), owning(ours), secondary(func(a *mailplan.Answer) { a.Data = []string{ours} })), mailplan.Removing, nil, []string{ours}, "not gone from every server"},
		{"it was removed, and nobody has looked since", spf(goal(mailplan.Remove), owning(ours), stale), mailplan.Removing, nil, []string{ours}, "looked at"},
		{"gone", spf(goal(mailplan.Remove), owning(ours)), mailplan.NotManaged, nil, nil, ""},
		{"gone, for an alias is there", spf(goal(mailplan.Remove), owning(ours), primary(func(a *mailplan.Answer) { a.Alias = "x." })), mailplan.NotManaged, nil, nil, ""},
		{"suspended, and to be removed", spf(goal(mailplan.Remove), shows(ours), owning(ours), set(func(f *mailplan.Facts) { f.Suspended = true })), mailplan.Waiting, nil, []string{ours}, "spec.suspend"},
	} {
		d := mailplan.Decide(c.facts)
		if d.State != c.state || !strings.Contains(d.Message, c.message) || c.message == "" && d.State == mailplan.Published && d.Message != "" {
			t.Errorf("%s: %s: %q, want %s with %q", c.reason, d.State, d.Message, c.state, c.message)
		}
		if d.Write != (c.writes != nil) || d.Write && !equal(d.Records, c.writes) {
			t.Errorf("%s: writes %t %v, want %v", c.reason, d.Write, d.Records, c.writes)
		}
		if !equal(d.Own, c.own) {
			t.Errorf("%s: own %v, want %v", c.reason, d.Own, c.own)
		}
		if gone := strings.HasPrefix(c.reason, "gone") || c.reason == "nothing is ours"; d.Gone != gone {
			t.Errorf("%s: gone is %t", c.reason, d.Gone)
		}
	}
}

func equal(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// TestKinds: each record is told from other texts by what it begins with, at its own name.
func TestKinds(t *testing.T) {
	for record, c := range map[mailplan.Record]struct{ name, want, foreign string }{
		mailplan.TLSRPT: {"_smtp._tls.example.com", `"v=TLSRPTv1; rua=mailto:a@example.net;"`, `"v=TLSRPTv1;rua=mailto:b@example.net"`},
		mailplan.MTASTS: {"_mta-sts.example.com", `"v=STSv1; id=1;"`, `"v=STSv1; id=2"`},
		mailplan.SPF:    {"example.com", ours, other},
		mailplan.DMARC:  {"_dmarc.example.com", `"v=DMARC1; p=none"`, `"v=DMARC1;p=reject"`},
	} {
		if got := record.Name("example.com"); got != c.name || record.Type() != "TXT" {
			t.Errorf("%s stands at %s", record, got)
		}
		f := mailplan.Facts{Now: now, Record: record, Name: c.name, Goal: mailplan.Keep, Want: []string{c.want}, Sweep: sweep(token)}
		if d := mailplan.Decide(f); !d.Write || !equal(d.Records, []string{token, c.want}) || len(d.Found) > 0 {
			t.Errorf("%s: %+v", record, d)
		}
		f.Sweep = sweep(token, c.foreign)
		if d := mailplan.Decide(f); d.State != mailplan.Conflict || !equal(d.Found, []string{c.foreign}) {
			t.Errorf("%s: %+v", record, d)
		}
	}
}

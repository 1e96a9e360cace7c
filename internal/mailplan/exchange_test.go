package mailplan_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/mailplan"
)

const mx1, mx2, mx3 = "10 mx1.example.com.", "20 mx2.example.com.", "30 mx3.example.net."

func mx(exchanges []mailplan.Exchange, edit ...func(*mailplan.Facts)) mailplan.Facts {
	f := mailplan.Facts{Now: now, Record: mailplan.MX, Name: "example.com", Goal: mailplan.Keep, Exchanges: exchanges, Sweep: sweep(), Validate: true}
	for _, e := range edit {
		e(&f)
	}
	return f
}

// TestExchanges: a server is named once senders can deliver to it, and none leaves before all that are wanted are named.
func TestExchanges(t *testing.T) {
	one := mailplan.Exchange{Host: "mx1.example.com", Preference: 10}
	two := mailplan.Exchange{Host: "mx2.example.com", Preference: 20}
	later := two
	later.NotReady = "mx2.example.com: its TLSA records are not published yet"
	for _, c := range []struct {
		reason  string
		facts   mailplan.Facts
		state   mailplan.State
		writes  []string
		message string
	}{
		{"both are ready", mx([]mailplan.Exchange{one, two}), mailplan.Publishing, []string{mx1, mx2}, ""},
		{"one is not", mx([]mailplan.Exchange{one, later}), mailplan.Publishing, []string{mx1}, ""},
		{"the one that is stands", mx([]mailplan.Exchange{one, later}, shows(mx1), owning(mx1)), mailplan.Waiting, nil, "mx2.example.com"},
		{"none is", mx([]mailplan.Exchange{later}), mailplan.Waiting, nil, "mx2.example.com"},
		{"one is replaced by one that is not ready", mx([]mailplan.Exchange{later}, shows(mx1), owning(mx1)), mailplan.Waiting, nil, "mx2.example.com"},
		{"one is replaced by one that is", mx([]mailplan.Exchange{two}, shows(mx1), owning(mx1)), mailplan.Publishing, []string{mx2}, ""},
		{"what is named already is not taken out for not being ready", mx([]mailplan.Exchange{one, later}, shows(mx1, mx2), owning(mx1, mx2)), mailplan.Published, nil, ""},
		{"another preference", mx([]mailplan.Exchange{{Host: "mx1.example.com", Preference: 5}}, shows(mx1), owning(mx1)), mailplan.Publishing, []string{"5 mx1.example.com."}, ""},
		{"another preference, and one that is not ready", mx([]mailplan.Exchange{{Host: "mx1.example.com", Preference: 5}, later}, shows(mx1), owning(mx1)), mailplan.Publishing, []string{"5 mx1.example.com."}, ""},
		{"somebody else's", mx([]mailplan.Exchange{one}, shows(mx1, mx3)), mailplan.Conflict, nil, mx3},
		{"somebody else's, taken over", mx([]mailplan.Exchange{one}, shows(mx1, mx3), adopt), mailplan.Publishing, []string{mx1}, ""},
		{"somebody else's stays until all are ready", mx([]mailplan.Exchange{later}, shows(mx3), adopt), mailplan.Waiting, nil, "mx2.example.com"},
		{"a null MX (RFC 7505) goes at once when it is taken over", mx([]mailplan.Exchange{one, later}, shows("0 ."), adopt), mailplan.Publishing, []string{mx1}, ""},
		{"an MX that was right before us", mx([]mailplan.Exchange{one}, shows(mx1)), mailplan.Published, nil, ""},
	} {
		d := mailplan.Decide(c.facts)
		if d.State != c.state || !strings.Contains(d.Message, c.message) || d.Write != (c.writes != nil) || d.Write && !equal(d.Records, c.writes) {
			t.Errorf("%s: %s %q, writes %t %v", c.reason, d.State, d.Message, d.Write, d.Records)
		}
	}
}

// TestLeaving: a server that is not named any more is remembered until no cache names it.
func TestLeaving(t *testing.T) {
	two := []mailplan.Exchange{{Host: "mx2.example.com", Preference: 20}}
	until := now.Add(10 * time.Minute)
	leaving := func(l ...mailplan.Leaving) func(*mailplan.Facts) {
		return func(f *mailplan.Facts) { f.Leaving = l }
	}
	at := func(d time.Duration) func(*mailplan.Facts) {
		return func(f *mailplan.Facts) { f.Now = now.Add(d) }
	}
	for _, c := range []struct {
		reason string
		facts  mailplan.Facts
		want   []mailplan.Leaving
	}{
		{"it stands, and is to go", mx(two, shows(mx1), owning(mx1)), []mailplan.Leaving{{Host: "mx1.example.com"}}},
		{"an update was sent", mx(two, shows(mx1), owning(mx1), stale), []mailplan.Leaving{{Host: "mx1.example.com"}}},
		{"a secondary still names it", mx(two, shows(mx2), owning(mx1, mx2), secondary(func(a *mailplan.Answer) { a.Data = []string{mx1} })), []mailplan.Leaving{{Host: "mx1.example.com"}}},
		{"a secondary is silent", mx(two, shows(mx2), owning(mx1, mx2), secondary(func(a *mailplan.Answer) { a.Reachable = false })), []mailplan.Leaving{{Host: "mx1.example.com"}}},
		{"no server names it", mx(two, shows(mx2), owning(mx1, mx2)), []mailplan.Leaving{{"mx1.example.com", until}}},
		{"it is waited for", mx(two, shows(mx2), owning(mx2), leaving(mailplan.Leaving{Host: "mx1.example.com", Until: until}), at(9*time.Minute)), []mailplan.Leaving{{"mx1.example.com", until}}},
		{"it is over", mx(two, shows(mx2), owning(mx2), leaving(mailplan.Leaving{Host: "mx1.example.com", Until: until}), at(10*time.Minute)), nil},
		{"a server names it again", mx(two, shows(mx1, mx2), owning(mx2), leaving(mailplan.Leaving{Host: "mx1.example.com", Until: until})), []mailplan.Leaving{{Host: "mx1.example.com"}}},
		{"it is wanted again", mx(two, shows(mx2), owning(mx2), leaving(mailplan.Leaving{Host: "mx2.example.com", Until: until})), nil},
		{"all of them go", mx(two, goal(mailplan.Remove), shows(mx2), owning(mx2)), []mailplan.Leaving{{Host: "mx2.example.com"}}},
		{"all are gone: they had the TTL of new ones, as far as is known", mx(two, goal(mailplan.Remove), owning(mx2)), []mailplan.Leaving{{"mx2.example.com", now.Add(2 * time.Hour)}}},
		{"not managed", mx(two, goal(mailplan.Look), shows(mx1)), nil},
	} {
		d := mailplan.Decide(c.facts)
		if !slices.Equal(d.Leaving, c.want) {
			t.Errorf("%s: %v, want %v", c.reason, d.Leaving, c.want)
		}
		if waits := len(c.want) > 0 && !c.want[0].Until.IsZero(); waits != !d.Next.IsZero() {
			t.Errorf("%s: next is %v", c.reason, d.Next)
		}
	}
}

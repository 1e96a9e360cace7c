package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// sweptZone is a zone client that has an answer of each server for each name.
type sweptZone struct {
	scriptedZone
	answers map[string][]zone.Answer
	asked   *int
	// later counts those of them that nobody waited for.
	later *int
	// unlike are the names at which other keys are met.
	unlike []string
}

func (z *sweptZone) Sweep(name string, done func(zone.Sweep)) {
	*z.asked++
	at := time.Unix(1e9+int64(*z.asked), 0)
	done(zone.Sweep{Start: at, End: at.Add(time.Second), Answers: z.answers[name], Unlike: slices.Contains(z.unlike, name), UnlikeTTL: time.Hour})
}

func (z *sweptZone) SweepLater(name string, done func(zone.Sweep)) {
	*z.later++
	z.Sweep(name, done)
}

const asked = "_25._tcp.mx.here."

var one = []tlsa.Record{{Parameters: tlsa.Parameters{Usage: 3, Selector: 1, MatchingType: 1}, Data: "aa"}}

// says is an answer with records, leads one that is an alias.
func says(server string, ttl time.Duration, records ...tlsa.Record) zone.Answer {
	return zone.Answer{Name: server, Reachable: true, Signed: true, Records: records, TTL: ttl, CacheTTL: ttl}
}

func leads(server string, ttl time.Duration, target string) zone.Answer {
	return zone.Answer{Name: server, Reachable: true, Signed: true, Alias: target, TTL: ttl, CacheTTL: ttl}
}

func with(a zone.Answer, change func(*zone.Answer)) zone.Answer {
	change(&a)
	return a
}

// lines are the answers of a trail in short: server, what it says, the TTLs, and marks.
func lines(s rollover.Sweep) []string {
	var out []string
	for _, a := range s.Answers {
		line := fmt.Sprintf("%s %d records", a.Name, len(a.Records))
		if a.Alias != "" {
			line = a.Name + " leads to " + a.Alias
		}
		if a.End != "" {
			line += " at " + a.End
		}
		line += fmt.Sprintf(", TTL %.0f, cached %.0f, alias %.0f", a.TTL.Seconds(), a.CacheTTL.Seconds(), a.AliasTTL.Seconds())
		for i, on := range []bool{!a.Reachable, !a.Signed, a.Primary, a.Ignored} {
			if on {
				line += []string{" silent", " unsigned", " primary", " ignored"}[i]
			}
		}
		out = append(out, line)
	}
	return out
}

// chain is a run of n aliases from the name asked for to there.
func chain(n int) map[string][]zone.Answer {
	out := map[string][]zone.Answer{}
	name := asked
	for i := range n {
		next := fmt.Sprintf("hop%d.here.", i+1)
		out[name] = []zone.Answer{leads("a", time.Duration(i)*time.Second, next)}
		name = next
	}
	out[name] = []zone.Answer{says("a", time.Second, one...)}
	return out
}

// fan is an answer of each of n servers that leads to a name of its own.
func fan(n int) map[string][]zone.Answer {
	out := map[string][]zone.Answer{}
	for i := range n {
		target := fmt.Sprintf("t%02d.here.", i)
		out[asked] = append(out[asked], leads("a", time.Second, target))
		out[target] = []zone.Answer{says("a", time.Second)}
	}
	return out
}

func TestAliasesAreFollowedAsASenderDoes(t *testing.T) {
	const there = "tlsa.there."
	primary := func(a *zone.Answer) { a.Primary = true }
	ignored := func(a *zone.Answer) { a.Ignored = true }
	cases := []struct {
		reason  string
		answers map[string][]zone.Answer
		want    []string
		ends    []string
		zones   string
	}{
		{"no alias", map[string][]zone.Answer{asked: {with(says("a", 60*time.Second, one...), primary)}},
			[]string{"a 1 records, TTL 60, cached 60, alias 0 primary"}, []string{""}, "here"},
		{"the alias may be cached longer than the records, which keep their own TTL",
			map[string][]zone.Answer{asked: {with(leads("a", 300*time.Second, there), primary)}, there: {with(says("b", 60*time.Second, one...), primary), says("c", 60*time.Second)}},
			[]string{"a leads to tlsa.there., TTL 300, cached 300, alias 0", "b 1 records at tlsa.there., TTL 60, cached 300, alias 300 primary", "c 0 records at tlsa.there., TTL 60, cached 300, alias 300"},
			[]string{there}, "here there"},
		{"and the records longer than the alias", map[string][]zone.Answer{asked: {leads("a", 60*time.Second, there)}, there: {says("b", 300*time.Second, one...)}},
			[]string{"a leads to tlsa.there., TTL 60, cached 60, alias 0", "b 1 records at tlsa.there., TTL 300, cached 300, alias 60"}, []string{there}, "here there"},
		{"of two TTLs of one alias the longer", map[string][]zone.Answer{asked: {leads("a", 60*time.Second, there), leads("b", 90*time.Second, there)}, there: {says("c", 30*time.Second)}},
			[]string{"a leads to tlsa.there., TTL 60, cached 60, alias 0", "b leads to tlsa.there., TTL 90, cached 90, alias 0", "c 0 records at tlsa.there., TTL 30, cached 90, alias 90"}, []string{there}, "here there"},
		{"servers that lead to different names: what both have is served",
			map[string][]zone.Answer{asked: {leads("a", 60*time.Second, there), leads("b", 60*time.Second, "tlsa.here.")}, there: {says("c", time.Second, one...)}, "tlsa.here.": {says("a", time.Second)}},
			[]string{"a leads to tlsa.there., TTL 60, cached 60, alias 0", "b leads to tlsa.here., TTL 60, cached 60, alias 0", "a 0 records at tlsa.here., TTL 1, cached 60, alias 60", "c 1 records at tlsa.there., TTL 1, cached 60, alias 60"},
			[]string{"tlsa.here.", there}, "here there"},
		{"a server that has no alias beside one that has", map[string][]zone.Answer{asked: {leads("a", 60*time.Second, there), says("b", 60*time.Second, one...)}, there: {says("c", time.Second)}},
			[]string{"a leads to tlsa.there., TTL 60, cached 60, alias 0", "b 1 records, TTL 60, cached 60, alias 0", "c 0 records at tlsa.there., TTL 1, cached 60, alias 60"}, []string{"", there}, "here there"},
		{"a server that is silent says nothing of where it leads", map[string][]zone.Answer{asked: {leads("a", 60*time.Second, there), {Name: "b"}}, there: {says("c", time.Second)}},
			[]string{"a leads to tlsa.there., TTL 60, cached 60, alias 0", "b 0 records, TTL 0, cached 0, alias 0 silent unsigned", "c 0 records at tlsa.there., TTL 1, cached 60, alias 60"}, []string{there}, "here there"},
		{"a name in no zone that is known", map[string][]zone.Answer{asked: {leads("a", 60*time.Second, "tlsa.elsewhere.")}},
			[]string{"a leads to tlsa.elsewhere. at tlsa.elsewhere., TTL 60, cached 60, alias 0 silent"}, []string{"tlsa.elsewhere."}, "here"},
		{"a chain through a second zone, and its longest TTL", map[string][]zone.Answer{asked: {leads("a", 60*time.Second, "x.there.")}, "x.there.": {leads("b", 90*time.Second, "y.here.")}, "y.here.": {says("a", 30*time.Second, one...)}},
			[]string{"a leads to x.there., TTL 60, cached 60, alias 0", "b leads to y.here., TTL 90, cached 90, alias 60", "a 1 records at y.here., TTL 30, cached 90, alias 90"}, []string{"y.here."}, "here there"},
		{"a chain whose end is in no zone that is known", map[string][]zone.Answer{asked: {leads("a", 60*time.Second, "x.there.")}, "x.there.": {leads("b", 90*time.Second, "y.elsewhere.")}},
			[]string{"a leads to x.there., TTL 60, cached 60, alias 0", "b leads to y.elsewhere. at y.elsewhere., TTL 90, cached 90, alias 60 silent"}, []string{"y.elsewhere."}, "here there"},
		{"where the user excepted the server that leads there, its end holds nothing up",
			map[string][]zone.Answer{asked: {leads("a", 60*time.Second, there), with(leads("b", 60*time.Second, "tlsa.here."), ignored)}, there: {says("c", time.Second)}, "tlsa.here.": {says("a", time.Second)}},
			[]string{"a leads to tlsa.there., TTL 60, cached 60, alias 0", "b leads to tlsa.here., TTL 60, cached 60, alias 0 ignored", "a 0 records at tlsa.here., TTL 1, cached 60, alias 60 ignored", "c 0 records at tlsa.there., TTL 1, cached 60, alias 60"},
			[]string{there}, "here there"},
		{"an alias whose signature is bad is followed, and stays unsigned", map[string][]zone.Answer{asked: {with(leads("a", 60*time.Second, there), func(a *zone.Answer) { a.Signed = false })}, there: {says("c", time.Second)}},
			[]string{"a leads to tlsa.there., TTL 60, cached 60, alias 0 unsigned", "c 0 records at tlsa.there., TTL 1, cached 60, alias 60"}, []string{there}, "here there"},
		{"eight aliases in a row are followed", chain(8), nil, []string{"hop8.here."}, "here"},
		{"nine are not", chain(9), nil, []string{"hop9.here."}, "here"},
		{"nor is one that leads to itself", map[string][]zone.Answer{asked: {leads("a", time.Second, asked)}}, nil, []string{asked}, "here"},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			found := followed(c.answers)
			if have := lines(found.sweep); c.want != nil && !slices.Equal(have, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(c.want, "\n"))
			}
			if ends := found.sweep.Ends(); !slices.Equal(ends, c.ends) {
				t.Errorf("ends %q, want %q", ends, c.ends)
			}
			var zones []string
			for _, z := range found.zones {
				zones = append(zones, z.Name)
			}
			if have := strings.Join(zones, " "); have != c.zones {
				t.Errorf("zones %q, want %q", have, c.zones)
			}
		})
	}
}

// followed asks for a name of zone here, beside which there is zone there.
func followed(answers map[string][]zone.Answer) trail {
	n, later := 0, 0
	return pursued(&sweptZone{answers: answers, asked: &n, later: &later}, false)
}

// TestWhatNobodyWaitsForIsAskedLater, at every name on the way.
func TestWhatNobodyWaitsForIsAskedLater(t *testing.T) {
	for _, later := range []bool{false, true} {
		n, asLater := 0, 0
		pursued(&sweptZone{answers: chain(3), asked: &n, later: &asLater}, later)
		if want := map[bool]int{false: 0, true: n}[later]; n != 4 || asLater != want {
			t.Errorf("later %t: %d of %d sweeps were asked for later, want %d", later, asLater, n, want)
		}
	}
}

func pursued(client *sweptZone, later bool) trail {
	p := &pursuit{later: later, unlike: func(types.NamespacedName, time.Duration) {}, route: pursuedRoute(client)}
	var out trail
	p.follow(station{name: types.NamespacedName{Name: "here"}, client: client}, asked, 0, func(t trail) { out = t })
	return out
}

// TestOtherKeysAreToldBeforeTheSweep, of each zone on the way that shows them: who decides by the sweep has to know.
func TestOtherKeysAreToldBeforeTheSweep(t *testing.T) {
	n, told, done := 0, []string(nil), false
	client := &sweptZone{asked: &n, unlike: []string{"x.there."}, answers: map[string][]zone.Answer{
		asked: {leads("a", time.Second, "x.there.")}, "x.there.": {says("b", time.Second, one...)},
	}}
	p := &pursuit{route: pursuedRoute(client), unlike: func(z types.NamespacedName, ttl time.Duration) {
		if ttl != time.Hour {
			t.Errorf("what was met is kept for %s", ttl)
		}
		if told = append(told, z.Name); done {
			t.Error("it is told after the sweep was handed over")
		}
	}}
	p.follow(station{name: types.NamespacedName{Name: "here"}, client: client}, asked, 0, func(trail) { done = true })
	if !done || !slices.Equal(told, []string{"there"}) {
		t.Errorf("done %t, told of %v; want of there alone", done, told)
	}
}

// pursuedRoute finds two zones at one client.
func pursuedRoute(client *sweptZone) func(string) (station, string) {
	return func(name string) (station, string) {
		for _, z := range []string{"here", "there"} {
			if strings.HasSuffix(name, "."+z+".") {
				return station{name: types.NamespacedName{Name: z}, client: client}, ""
			}
		}
		return station{}, "leads to " + name + ", which is in no zone"
	}
}

// TestFollowingHasAnEnd: servers that lead to ever more names are not followed without end, and what is
// not followed is told.
func TestFollowingHasAnEnd(t *testing.T) {
	cases := []struct {
		reason  string
		answers map[string][]zone.Answer
		problem string
	}{
		{"as many names as are followed", fan(maxNames), ""},
		{"one more", fan(maxNames + 1), "leads to more than 16 names"},
		{"as many aliases in a row as are followed", chain(maxAliases), ""},
		{"one more in a row", chain(maxAliases + 1), "leads through more than 8 aliases"},
		{"a ring", map[string][]zone.Answer{asked: {leads("a", time.Second, "x.here.")}, "x.here.": {leads("a", time.Second, asked)}}, "leads through more than 8 aliases"},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			problem := ""
			for _, a := range followed(c.answers).sweep.Answers {
				if !a.Reachable {
					problem += a.Message
				}
			}
			if problem != c.problem {
				t.Errorf("problem %q, want %q", problem, c.problem)
			}
		})
	}
}

// TestTrailSpansItsSweeps: what is seen last ends the trail, what is asked first begins it.
func TestTrailSpansItsSweeps(t *testing.T) {
	s := followed(chain(2)).sweep
	if begin, end := time.Unix(1e9+1, 0), time.Unix(1e9+4, 0); !s.Start.Equal(begin) || !s.End.Equal(end) {
		t.Errorf("from %s to %s, want %s to %s", s.Start, s.End, begin, end)
	}
}

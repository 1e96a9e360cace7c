package controllers

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/internal/guard"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// This file asks for a TLSA owner as a sender does: where the owner is an alias (CNAME, DNAME), the name
// that it leads to is asked for too, at the servers of its own zone. No resolver is believed.

const (
	// maxAliases is how many aliases in a row are followed.
	maxAliases = 8
	// maxNames is how many names are asked for in one go, when servers lead to different ones.
	maxNames = 16
)

// station is a zone whose servers can be asked.
type station struct {
	name   types.NamespacedName
	client zone.Client
}

// trail is what one sweep of an owner has found, with those of the names that its aliases lead to.
type trail struct {
	sweep rollover.Sweep
	// zones are the DNSZones whose servers were asked, that of the owner first.
	zones []types.NamespacedName
	// words as in ownerObservation.
	words map[tlsa.Record]string
}

// pursuit follows the aliases of one owner. Its callbacks come from the goroutines of zone clients.
type pursuit struct {
	// route finds the zone that holds a name; the text says why there is none.
	route func(name string) (station, string)
	// later says that nobody waits for it.
	later bool
	// unlike is told of a zone that shows other keys, or has other DS records, than the newest look at it has found, and how long
	// caches keep these.
	unlike func(of types.NamespacedName, ttl time.Duration)
	guard  *guard.Guard

	mu    sync.Mutex
	names int
}

// follow sweeps a name and those that it leads to, and hands over what all of them say together.
func (p *pursuit) follow(at station, name string, depth int, done func(trail)) {
	ask := at.client.Sweep
	if p.later {
		ask = at.client.SweepLater
	}
	ask(name, func(s zone.Sweep) {
		if s.Unlike {
			p.unlike(at.name, s.UnlikeTTL)
		}
		targets := aliasesIn(s)
		found := make(map[string]trail, len(targets))
		if len(targets) == 0 {
			done(p.joined(at.name, name, s, found))
			return
		}
		var mu sync.Mutex
		left := len(targets)
		for _, target := range targets {
			p.next(target, depth+1, func(t trail) {
				mu.Lock()
				found[target] = t
				left--
				last := left == 0
				mu.Unlock()
				if last {
					done(p.joined(at.name, name, s, found))
				}
			})
		}
	})
}

// joined is joined of what a name's servers say; one that cannot be put together is a name that was not asked for.
func (p *pursuit) joined(at types.NamespacedName, name string, s zone.Sweep, found map[string]trail) trail {
	out := lost(name, unforeseen)
	out.sweep.Start, out.sweep.End = s.Start, s.End
	p.guard.Do(guard.Zone, func() { out = joined(at, s, found) }, "dnszone", at, "owner", name)
	return out
}

// next follows one alias, if it may be followed.
func (p *pursuit) next(target string, depth int, done func(trail)) {
	if depth > maxAliases {
		done(lost(target, fmt.Sprintf("leads through more than %d aliases", maxAliases)))
		return
	}
	p.mu.Lock()
	p.names++
	tooMany := p.names > maxNames
	p.mu.Unlock()
	if tooMany {
		done(lost(target, fmt.Sprintf("leads to more than %d names", maxNames)))
		return
	}
	at, problem := p.route(target)
	if problem != "" {
		done(lost(target, problem))
		return
	}
	p.follow(at, target, depth, done)
}

// lost is the trail of a name that could not be asked for.
func lost(name, problem string) trail {
	return trail{sweep: rollover.Sweep{Answers: []rollover.Answer{{Alias: name, End: name, Message: problem}}}}
}

// isLost says whether a trail is one of lost.
func (t trail) isLost() bool { return len(t.zones) == 0 }

// aliasesIn are the names that the servers of a sweep lead to, sorted. Servers may differ.
func aliasesIn(s zone.Sweep) []string {
	var out []string
	for _, a := range s.Answers {
		if a.Reachable && a.Alias != "" {
			out = append(out, a.Alias)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// joined puts the sweep of a name and the trails of what it leads to together, as a sender sees them:
// each answer at an end counts with the longest TTL on the way to it, for each RRset is cached on its
// own; and the servers that tell of the alias stand beside it with their own signatures.
func joined(at types.NamespacedName, s zone.Sweep, found map[string]trail) trail {
	out := trail{zones: []types.NamespacedName{at}, sweep: rollover.Sweep{Start: s.Start, End: s.End}}
	for _, a := range s.Answers {
		said := ruleAnswer(a)
		if t, ok := found[a.Alias]; ok && a.Reachable && t.isLost() {
			// It tells of an alias that cannot be followed: what it serves is not known.
			said.Reachable, said.End, said.Message = false, a.Alias, t.sweep.Answers[0].Message
		}
		// Where there is an alias, the update server of the alias's zone says nothing of the records.
		said.Primary = said.Primary && len(found) == 0
		out.sweep.Answers = append(out.sweep.Answers, said)
	}
	for _, target := range aliasesIn(s) {
		t := found[target]
		if t.isLost() {
			continue
		}
		out.sweep.Answers = append(out.sweep.Answers, beyond(s, target, t.sweep)...)
		if t.sweep.End.After(out.sweep.End) {
			out.sweep.End = t.sweep.End
		}
		for _, z := range t.zones {
			if !slices.Contains(out.zones, z) {
				out.zones = append(out.zones, z)
			}
		}
	}
	return out
}

// beyond are the answers of a trail as they are seen through an alias that leads to its name. They hold
// nothing up where only servers lead there that the user excepted.
func beyond(s zone.Sweep, target string, t rollover.Sweep) []rollover.Answer {
	link := rollover.Answer{Ignored: true}
	for _, a := range s.Answers {
		if a.Reachable && a.Alias == target {
			link.CacheTTL = max(link.CacheTTL, a.CacheTTL)
			link.Ignored = link.Ignored && a.Ignored
		}
	}
	out := slices.Clone(t.Answers)
	for i := range out {
		a := &out[i]
		a.Ignored = a.Ignored || link.Ignored
		a.CacheTTL, a.AliasTTL = max(a.CacheTTL, link.CacheTTL), max(a.AliasTTL, link.CacheTTL)
		if a.Alias == "" && a.End == "" {
			a.End = target
		}
	}
	return out
}

// ruleAnswer is an answer of the zone in the words of the rule.
func ruleAnswer(a zone.Answer) rollover.Answer {
	return rollover.Answer{
		Name: a.Name, Address: a.Address, Reachable: a.Reachable, Signed: a.Signed, Records: a.Records, Alias: a.Alias,
		TTL: a.TTL, CacheTTL: a.CacheTTL, SignatureExpires: a.SignatureExpires, SignatureValidity: a.SignatureValidity,
		Message: a.Message, Ignored: a.Ignored, Primary: a.Primary, Former: a.Former,
	}
}

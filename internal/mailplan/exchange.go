package mailplan

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// This file has the order of MX records. A mail server is named once senders with DANE can deliver to it; until every
// wanted one is, none is taken out. One that is not named any more has to keep its records and its key until no cache
// names it: senders that come by an older answer would else meet a server without them.

// Exchange is a mail server that the MX records are to name.
type Exchange struct {
	// Host without a dot at the end.
	Host       string
	Preference int
	// NotReady says why it is not to be named yet; empty when it is. It counts while it is not named.
	NotReady string
}

// Leaving is a mail server that the MX records are not to name.
type Leaving struct {
	Host string
	// Until is when no cache names it any more; zero while some server does.
	Until time.Time
}

func (e Exchange) data() string { return fmt.Sprintf("%d %s.", e.Preference, e.Host) }

func exchangeData(all []Exchange) []string {
	var out []string
	for _, e := range all {
		out = append(out, e.data())
	}
	slices.Sort(out)
	return out
}

// hostOf is the host that the data of an MX record names, without a dot at the end; empty for a null MX (RFC 7505).
func hostOf(data string) string {
	_, host, _ := strings.Cut(data, " ")
	return strings.TrimSuffix(host, ".")
}

// exchanges are the MX records to publish now, and what those wait for that are not among them.
func (r *run) exchanges() ([]string, string) {
	named := map[string]bool{}
	for _, d := range r.standing() {
		named[hostOf(d)] = true
	}
	var now, hold []string
	wanted := map[string]bool{}
	for _, e := range r.Exchanges {
		wanted[e.Host] = true
		if e.NotReady != "" && !named[e.Host] {
			hold = append(hold, e.NotReady)
			continue
		}
		now = append(now, e.data())
	}
	if len(hold) > 0 {
		for _, d := range r.standing() {
			if host := hostOf(d); host != "" && !wanted[host] && (r.ours(d) || r.Adopt) {
				now = append(now, d)
			}
		}
	}
	slices.Sort(now)
	slices.Sort(hold)
	return now, strings.Join(hold, "; ")
}

// leave finds which mail servers caches may still name although the wanted records do not.
func (r *run) leave() {
	if r.Goal == Look {
		return
	}
	shown := Hosts(r.d.Found)
	for _, l := range r.unwanted() {
		switch {
		case slices.Contains(shown, l.Host):
			l.Until = time.Time{}
		case l.Until.IsZero() && r.certain():
			l.Until = r.Sweep.End.Add(2 * r.longestTTL())
		}
		if l.Until.IsZero() || r.Now.Before(l.Until) {
			r.d.Leaving = append(r.d.Leaving, l)
			r.wakeAt(l.Until)
		}
	}
	slices.SortFunc(r.d.Leaving, func(a, b Leaving) int { return strings.Compare(a.Host, b.Host) })
}

// unwanted are the mail servers that are not wanted and were: those that leave, and those that stand or are ours.
func (r *run) unwanted() []Leaving {
	out := slices.Clone(r.Leaving)
	for _, host := range Hosts(slices.Concat(r.d.Found, r.Own)) {
		if !slices.ContainsFunc(out, func(l Leaving) bool { return l.Host == host }) {
			out = append(out, Leaving{Host: host})
		}
	}
	return slices.DeleteFunc(out, func(l Leaving) bool { return r.Goal == Keep && r.names(l.Host) })
}

// wakeAt keeps the earliest instant, if there is one.
func (r *run) wakeAt(at time.Time) {
	if !at.IsZero() && (r.d.Next.IsZero() || at.Before(r.d.Next)) {
		r.d.Next = at
	}
}

// names says whether the wanted records name a host.
func (r *run) names(host string) bool {
	return slices.ContainsFunc(r.Exchanges, func(e Exchange) bool { return e.Host == host })
}

// longestTTL is the longest that caches keep MX records of the name. Where none stand, they had the TTL of new ones at most,
// as far as that is known.
func (r *run) longestTTL() time.Duration {
	longest := time.Duration(0)
	for _, a := range r.Sweep.Answers {
		if len(a.Data) > 0 {
			longest = max(longest, a.TTL)
		}
	}
	if longest == 0 {
		return DefaultTTL
	}
	return longest
}

// Hosts are the mail servers that MX records name, without a null MX (RFC 7505).
func Hosts(data []string) []string {
	var out []string
	for _, d := range data {
		if host := hostOf(d); host != "" && !slices.Contains(out, host) {
			out = append(out, host)
		}
	}
	return out
}

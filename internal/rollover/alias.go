package rollover

import (
	"slices"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// This file is about owners that are aliases (RFC 7672 section 2.2.3): their records stand at the name
// that the aliases lead to, and other hosts or ports may lead to the same.

// Ends are the names at which the addresses of a sweep say that the records stand, sorted; the owner
// itself is the empty one. There is none while nothing is known, and there is more than one while
// servers do not agree: an alias is being changed, or a server lags behind.
func (s *Sweep) Ends() []string {
	if s == nil {
		return nil
	}
	var out []string
	for _, a := range s.Answers {
		followed := a.Reachable && a.Alias != ""
		silent := !a.Reachable && a.End == ""
		if !a.Ignored && !followed && !silent {
			out = append(out, a.End)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// splitText says that servers do not agree on where the records stand, and which says what.
func splitText(o *ownerRun, waits string) string {
	return named(waits+" the name servers agree on where "+o.Name+" leads", o.Behind)
}

// splitProblem is what an address says of the way to the records, where addresses do not agree; empty for
// one that stands at the end of a way.
func splitProblem(a Answer) string {
	switch {
	case a.Alias != "":
		return "says that it is an alias of " + a.Alias
	case a.End == "":
		return "knows no alias there"
	}
	return ""
}

// unprovedAlias says whether an alias on the way comes without a valid signature: anybody may have said so.
func (o *ownerRun) unprovedAlias() bool {
	return o.last != nil && slices.ContainsFunc(o.last.Answers, func(a Answer) bool {
		return a.Reachable && !a.Ignored && a.Alias != "" && !a.Signed
	})
}

// aliasTTL is the longest that a cache may keep the aliases on the way to the records.
func (o *ownerRun) aliasTTL() time.Duration {
	var longest time.Duration
	for _, a := range o.last.Answers {
		longest = max(longest, a.AliasTTL)
	}
	return longest
}

// ours are the records that the host wants at the name, and those that its peers want there.
func (o *ownerRun) ours() []tlsa.Record {
	return tlsa.Normalize(append(slices.Clone(o.Own), o.facts.Shared...))
}

// Leaving are the records that we have written, but for those that stay for a peer.
func (o Owner) Leaving() []tlsa.Record {
	return slices.DeleteFunc(slices.Clone(o.Written), func(k tlsa.Record) bool { return slices.Contains(o.Shared, k) })
}

// kept are the records that stay for the peers where those of the host are taken out: those that stand
// there. To add others is the peers' business.
func kept(o *ownerRun) []tlsa.Record {
	return slices.DeleteFunc(tlsa.Normalize(o.facts.Shared), func(k tlsa.Record) bool { return !slices.Contains(o.primary, k) })
}

// withPeers are the owner's own endpoints, and those of its peers.
func (r *run) withPeers(o *ownerRun) []Peer {
	own := Peer{Host: r.f.Host, Port: o.facts.Port, Round: r.f.LastRound, Vouched: r.f.Policy.ProbeDisabled}
	return append([]Peer{own}, o.facts.Peers...)
}

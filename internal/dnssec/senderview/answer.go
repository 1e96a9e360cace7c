package senderview

import (
	"slices"
	"strings"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// Answer is what a lookup came to. Only data and denials are answers: whatever else happened is a failure,
// and never says that there is nothing (RFC 7672 section 2.1.2). The zero Answer is a failure as well.
type Answer struct {
	State dnssec.State
	// Kind is Data, NoData or NXDomain.
	Kind dnssec.Kind
	// Hops are the aliases on the way, in their order.
	Hops []Link
	// Cause says why it is not Secure; it may be empty.
	Cause string
}

// From takes over what the validator found.
func From(r dnssec.Result) Answer {
	out := Answer{State: r.State, Kind: r.Kind, Cause: text(r.Cause)}
	for _, h := range r.Hops {
		out.Hops = append(out.Hops, Link{Name: plain(h.Name), Type: "CNAME", Target: plain(h.Target), State: h.State, Cause: text(h.Cause)})
	}
	return out
}

// text leaves out which server said it: each of a zone may, and another one the next time.
func text(cause *dnssec.Error) string {
	if cause == nil {
		return ""
	}
	c := *cause
	c.Server = ""
	return c.Error()
}

// plain is a name as it is compared and shown: in small letters, without the last dot.
func plain(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// has says that the RRset exists.
func (a Answer) has() bool { return a.Kind == dnssec.Data }

// failed says that it is no answer.
func (a Answer) failed() bool { return !answers(a.weakest("", "").State) || !a.answered() }

func (a Answer) answered() bool {
	return a.Kind == dnssec.Data || a.Kind == dnssec.NoData || a.Kind == dnssec.NXDomain
}

func answers(s dnssec.State) bool { return s == dnssec.Secure || s == dnssec.Insecure }

// secure says that every link on the way is.
func (a Answer) secure() bool { return !a.failed() && a.weakest("", "").State == dnssec.Secure }

// weakest is the link that makes the answer what it is: the first that fails, else the first that is
// insecure (RFC 7672 section 2.1.3), else the RRset at the end. Name and type are those asked for.
func (a Answer) weakest(name, rrtype string) Link {
	end := Link{Name: a.final(name), Type: rrtype, State: a.State, Cause: a.Cause}
	if len(a.Hops) > 0 {
		end.Asked = name
	}
	links := append(slices.Clone(a.Hops), end)
	for _, l := range links {
		if !answers(l.State) {
			return l
		}
	}
	for _, l := range links {
		if l.State != dnssec.Secure {
			return l
		}
	}
	return end
}

// final is the name at the end of the aliases.
func (a Answer) final(name string) string {
	if len(a.Hops) == 0 {
		return name
	}
	return plain(a.Hops[len(a.Hops)-1].Target)
}

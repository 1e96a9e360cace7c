package delegation

import (
	"fmt"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// Decide says what the DS RRset should become. Whatever is missing, or differs, or does not validate,
// leaves it as it is: nothing is ever taken away because something could not be read.
func Decide(f Facts) Decision { return newLook(f).decide() }

// Compare is Decide for a parent that is somebody else's, whose answers count unless they are bogus: it may be unsigned, or
// nobody here can validate it. The action is what the parent should do. It must never be carried out.
func Compare(f Facts) Decision {
	l := newLook(f)
	l.unvalidated = true
	return l.decide()
}

func newLook(f Facts) *look {
	l := &look{Facts: f, cache: dnssec.NewCache()}
	l.Child = dns.CanonicalName(f.Child)
	return l
}

func (l *look) decide() Decision {
	d := l.refuse()
	if d == nil {
		d = l.change()
	}
	d.Expect, d.ExpectKnown, d.Asked, d.AskedKnown, d.Mark = l.current, l.currentKnown, l.asked.ds, l.askedKnown, l.Mark
	if d.Action != Keep || d.Reason == InSync && len(l.current) > 0 {
		d.Mark = l.mark()
	}
	if d.Action == Keep {
		d.Want = l.current
	}
	return *d
}

// refuse goes through the checks until one settles the matter.
func (l *look) refuse() *Decision {
	for _, step := range []func() *Decision{l.readParents, l.readChildren, l.vouch, l.validate, l.order, l.fit} {
		if d := step(); d != nil {
			return d
		}
	}
	return nil
}

// look is what is known at each step of a decision.
type look struct {
	Facts
	// current is the DS RRset in the parent, and asked what the zone wants.
	current []*dns.DS
	asked   request
	// currentKnown and askedKnown say that those could be found out.
	currentKnown, askedKnown bool
	// unvalidated lets answers of the parent count that are not secure, but for those that are bogus.
	unvalidated bool
	cache       *dnssec.Cache
	// anchors are what the zone's answers are validated by: current, or what vouched for it.
	anchors []*dns.DS
	// vouched are the name servers of the delegation, when their signals vouched for the anchors.
	vouched []string
	// signed is when the oldest of the answers in force was signed, by server.
	signed oldest
}

// keep leaves everything as it is because of a server, or of none.
func keep(reason Reason, server, format string, args ...any) *Decision {
	return &Decision{Action: Keep, Reason: reason, Server: server, Message: fmt.Sprintf(format, args...)}
}

// order ends here when the zone asks for nothing new, for its removal, or by records that are too old.
func (l *look) order() *Decision {
	switch {
	case !l.asked.remove && sameDS(l.asked.ds, l.current):
		return nil
	case !l.Mark.IsZero() && l.signed.at.Before(l.Mark):
		return keep(Replayed, l.signed.server, "%s shows CDS or CDNSKEY records of %s that were signed before those last acted on: an old copy of the zone, or a replay; have the zone signed anew, with a clock that is right, and see that the server has it",
			l.signed.server, l.Child)
	case l.asked.remove && !l.Policy.AllowDelete:
		return keep(DeleteNotAllowed, "", "the zone %s asks to have its DS records removed (CDS 0 0 0 00), which makes it insecure: set spec.dnssec.delegation.allowDelete: true if that is meant, or have the signer withdraw the request", l.Child)
	case l.asked.remove:
		return &Decision{Action: Remove, Reason: DeleteAsked, Message: fmt.Sprintf("the zone %s asks to have its DS records removed", l.Child)}
	}
	return nil
}

// change is what to do with a request that passed every check.
func (l *look) change() *Decision {
	d := &Decision{Want: l.asked.ds}
	switch {
	case sameDS(l.current, l.asked.ds):
		d.Action, d.Reason = Keep, InSync
	case len(l.current) == 0:
		d.Action, d.Reason, d.Nameservers = Begin, InitialAccepted, l.vouched
		d.Message = fmt.Sprintf("the zone %s asks for its first DS records: %s", l.Child, listDS(l.asked.ds))
	default:
		d.Action, d.Reason = Replace, Asked
		d.Message = fmt.Sprintf("the zone %s asks for the DS records %s in place of %s", l.Child, listDS(l.asked.ds), listDS(l.current))
	}
	return d
}

package delegation

import (
	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// readParents finds the DS RRset that every server of the parent shows. A lie about it would let
// anybody choose the keys that the zone's records are believed by, so each answer has to validate.
func (l *look) readParents() *Decision {
	if len(l.Parents) == 0 {
		return keep(ParentUnreachable, "", "no server of the parent zone of %s is known", l.Child)
	}
	for _, p := range l.Parents {
		if p.Problem != "" {
			return keep(ParentUnreachable, p.Server, "the DS records of %s could not be read from %s: %s; nothing is changed until every server of the parent zone answers", l.Child, p.Server, p.Problem)
		}
		if p.State != dnssec.Secure && (!l.unvalidated || p.State == dnssec.Bogus) {
			return keep(ParentNotSecure, p.Server, "the answer of %s for the DS records of %s is not secure (%s): %s; nothing is changed on the word of such an answer", p.Server, l.Child, p.State, p.Message)
		}
	}
	first := l.Parents[0]
	for _, p := range l.Parents[1:] {
		if !sameDS(first.DS, p.DS) {
			return keep(ParentDiffers, p.Server, "the servers of the parent zone do not agree on the DS records of %s: %s has %s, and %s has %s; wait until the zone transfer is through, or see why it is not",
				l.Child, first.Server, listDS(first.DS), p.Server, listDS(p.DS))
		}
	}
	l.current, l.currentKnown = normalDS(first.DS), true
	return nil
}

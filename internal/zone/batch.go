package zone

import (
	"fmt"

	"github.com/miekg/dns"
)

// Octets of one message. Beyond streamBudget no compression pointer reaches, and at 64 KiB nothing can
// be sent; a packet over maxUDP may be cut up on the way and lost, and over maxPacket cannot be sent.
const (
	streamBudget = 16 << 10
	maxPacket    = 65507
)

// batches cuts members into messages of no more octets than the budget: BatchSize was chosen with small
// RRsets in mind. A member that is larger goes alone; one that no message can hold ends here.
func (w *writer) batches(members []*member) [][]*member {
	budget, limit := streamBudget, dns.MaxMsgSize
	if w.session.endpoint.protocol == UDP {
		budget, limit = maxUDP, maxPacket
	}
	if w.together(members, budget) {
		return [][]*member{members}
	}
	var out [][]*member
	var batch []*member
	empty, _ := w.size()
	// Together, members share more of their names than each alone with the zone's: the sum is no less
	// than what the message will take.
	total := empty
	for _, m := range members {
		size, err := w.size(m.step())
		switch {
		case err != nil:
			w.end(m, outcome{class: Malformed, message: fmt.Sprintf("the update of %s was not sent: it cannot be written as a DNS message: %v", m.change.Owner, err)})
			continue
		case size > limit:
			w.end(m, w.tooLarge(m, size, limit))
			continue
		case len(batch) > 0 && total+size-empty > budget:
			out, batch, total = append(out, batch), nil, empty
		}
		batch, total = append(batch, m), total+size-empty
	}
	if len(batch) > 0 {
		out = append(out, batch)
	}
	return out
}

// together says whether one message holds all members. Nearly always it does, and then it need be packed once to say so, and not
// each member by itself: the server has nothing to do meanwhile.
func (w *writer) together(members []*member, budget int) bool {
	if len(members) < 2 {
		return false
	}
	steps := make([]step, len(members))
	for i, m := range members {
		steps[i] = m.step()
	}
	size, err := w.size(steps...)
	return err == nil && size <= budget
}

// size is what a message of these steps takes, signed.
func (w *writer) size(steps ...step) (int, error) {
	wire, _, err := w.session.endpoint.signer.pack(updateMessage(w.who.zone, steps), w.opts.Clock.Now())
	return len(wire), err
}

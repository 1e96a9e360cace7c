package dnssec

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// reply is an answer and who gave it.
type reply struct {
	msg    *dns.Msg
	server string
}

// source finds answers. It gives one after the other to accept until that is content. Otherwise the
// error is the first that accept gave, or why there was no answer.
type source interface {
	find(ctx context.Context, l *lookup, name string, qtype uint16, accept func(reply) *Error) *Error
	// deepest is the deepest delegation at or above a name that was seen. It proves nothing. Who sees no delegations at all
	// says so.
	deepest(name string, now time.Time) (zone string, sees bool)
}

// forwarder asks recursive servers: those listed, and those that more gives.
type forwarder struct {
	servers []netip.AddrPort
	more    func(context.Context) ([]netip.AddrPort, error)
}

func (f *forwarder) find(ctx context.Context, l *lookup, name string, qtype uint16, accept func(reply) *Error) *Error {
	servers, worst := f.all(ctx, name+" "+typeText(qtype))
	for _, server := range servers {
		m, err := l.exchange(ctx, server, question(name, qtype, true))
		if err == nil {
			err = accept(reply{m, server.String()})
		}
		if err == nil {
			return nil
		}
		if worst = telling(worst, err); ctx.Err() != nil {
			break // nobody waits for what the others would say
		}
	}
	return worst
}

// all are the servers to ask. The error is what counts when none of them answers.
func (f *forwarder) all(ctx context.Context, subject string) ([]netip.AddrPort, *Error) {
	if f.more == nil {
		return f.servers, nil
	}
	found, err := f.more(ctx)
	servers := append(slices.Clone(f.servers), found...)
	switch {
	case err != nil:
		return servers, fail(Unreachable, subject, "no server to ask: %v", err)
	case len(servers) == 0:
		return nil, fail(Unreachable, subject, "no server to ask: no resolver is known")
	}
	return servers, nil
}

// deepest is not known: recursive servers give no referrals.
func (f *forwarder) deepest(string, time.Time) (string, bool) { return "", false }

// telling is the error that says more: that something is bogus, before that nobody answers; and the
// first of several.
func telling(a, b *Error) *Error {
	if a == nil || a.State() == Indeterminate && b.State() == Bogus {
		return b
	}
	return a
}

// exchange asks one server and makes sure that there is an answer to the question.
func (l *lookup) exchange(ctx context.Context, server netip.AddrPort, q *dns.Msg) (*dns.Msg, *Error) {
	asked := q.Question[0]
	subject := asked.Name + " " + typeText(asked.Qtype)
	if l.messages++; l.messages > maxMessages {
		return nil, fail(Unreachable, subject, "this takes more than %d messages: the delegations on the way are broken", maxMessages)
	}
	return l.askOne(ctx, server, q)
}

// askOne is exchange that does not count.
func (l *lookup) askOne(ctx context.Context, server netip.AddrPort, q *dns.Msg) (*dns.Msg, *Error) {
	asked := q.Question[0]
	subject := asked.Name + " " + typeText(asked.Qtype)
	m, err := l.config.Transport.Exchange(ctx, server, q)
	if errors.Is(err, ErrNoTurn) {
		return nil, fail(Busy, subject, "it was not asked: it has as many questions of the operator's as it may get in this time; it is asked later").from(server.String())
	}
	if err != nil {
		return nil, fail(Unreachable, subject, "no answer: %s", plainText(err)).from(server.String())
	}
	if text := unusable(m, asked); text != "" {
		return nil, fail(Unreachable, subject, "%s", text).from(server.String(), ExtendedErrors(m)...)
	}
	return m, nil
}

// plainText is the text of a network error without addresses and ports of this machine, which change.
func plainText(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// unusable says why a message is no answer to a question; empty if it is one.
func unusable(m *dns.Msg, asked dns.Question) string {
	switch {
	case m == nil || !m.Response:
		return "it does not answer with a response"
	case len(m.Question) != 1 || m.Question[0].Qtype != asked.Qtype || dns.CanonicalName(m.Question[0].Name) != asked.Name:
		return "it answers another question"
	case m.Truncated:
		return "its answer is truncated"
	}
	switch m.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError, dns.RcodeYXDomain:
		return ""
	}
	if text, ok := dns.RcodeToString[m.Rcode]; ok {
		return "it answers " + text
	}
	return "it answers with an unknown response code"
}

package zone

import (
	"context"
	"fmt"
	"slices"

	"github.com/miekg/dns"
)

// childAnswer is what a server says of the zone's servers: the NS set, and the addresses of those in
// the zone. The problem says why it did not say it all.
type childAnswer struct {
	msgs    []*dns.Msg
	problem string
}

// askChildren asks every server that the parent names for the zone's own NS set, and for the
// addresses of the names in it that are in the zone. Each is asked, since one may list a server that
// nobody else does. So one that does not answer leaves the set open, even if it answers a sweep soon
// after.
func (f *finder) askChildren(ctx context.Context) {
	listed := f.servers()
	answers := make([]childAnswer, len(listed))
	each(len(listed), func(i int) {
		f.opts.try(aServer, listed[i].Addr.String(), func() { answers[i] = f.askChild(ctx, listed[i]) }, func() {
			answers[i] = childAnswer{problem: unforeseen}
		})
	})
	for i, of := range answers {
		if of.problem != "" && !ignored(f.ignore, listed[i]) {
			f.silent[listed[i].Addr] = fmt.Sprintf("its own list of the servers of %s could not be read, which may name one that nobody else does: %s", f.zone, of.problem)
		}
		for _, m := range of.msgs {
			f.addChild(ctx, m)
		}
	}
}

func (f *finder) addChild(ctx context.Context, m *dns.Msg) {
	before := len(f.names)
	f.add(find(m.Answer, f.zone, dns.TypeNS).set, append(slices.Clone(m.Extra), m.Answer...))
	for _, name := range f.names[before:] {
		f.lookUp(ctx, name)
	}
	for _, name := range f.names {
		f.addGlue(name, m.Answer)
	}
}

func (f *finder) askChild(ctx context.Context, server Server) childAnswer {
	s := sweepSession(f.opts, f.zone, publicEndpoint(f.opts, f.cfg, server.Addr.Addr()))
	defer s.close()
	r := s.ask(ctx, query(f.zone, dns.TypeNS))[0]
	if r.err != nil {
		return childAnswer{problem: "no answer: " + silenceText(r.err)}
	}
	if _, err := readAnswer(f.zone, f.zone, dns.TypeNS, r.msg); err != nil {
		return childAnswer{problem: err.Error()}
	}
	set := find(r.msg.Answer, f.zone, dns.TypeNS).set
	if len(set) == 0 {
		return childAnswer{problem: fmt.Sprintf("it serves no NS records for %s: that is not a zone there", f.zone)}
	}
	out := childAnswer{msgs: []*dns.Msg{r.msg}}
	var questions []*dns.Msg
	for _, ns := range nameServers(set) {
		if dns.IsSubDomain(f.zone, ns) {
			questions = append(questions, query(ns, dns.TypeA), query(ns, dns.TypeAAAA))
		}
	}
	for i, r := range s.askAll(ctx, questions) {
		name := questions[i].Question[0].Name
		switch {
		case r.err != nil:
			out.problem = fmt.Sprintf("no answer to a query for the address of %s: %s", name, silenceText(r.err))
		case r.msg.Rcode != dns.RcodeSuccess && r.msg.Rcode != dns.RcodeNameError:
			out.problem = fmt.Sprintf("it answers %s to a query for the address of %s", rcodeText(r.msg.Rcode), name)
		case r.msg.Authoritative:
			out.msgs = append(out.msgs, r.msg)
		}
		// Without authority it refers to a zone below: the resolvers were asked too.
	}
	return out
}

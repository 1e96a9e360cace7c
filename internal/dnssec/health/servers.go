package health

import (
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// transport finds what is wrong with the ways to the servers, and with their headers.
func (l *look) transport() {
	public := 0
	for _, s := range l.servers {
		if !s.Hidden {
			public++
		}
		if l.ways(s) {
			l.soa(s)
			l.questions(s)
			l.extensions(s)
		}
	}
	if l.answering() == 0 {
		l.addZone(NoServerAnswers, "no server answers for the zone %s: see the other findings for each server", l.Zone)
	}
	if public < 2 {
		l.addZone(SingleServer, "one address alone serves the zone %s: add a second name server in another network", l.Zone)
	}
}

// ways says whether the server answers at all, and notes the ways by which it does not.
func (l *look) ways(s *server) bool {
	stream, packet := heard(s.Stream), s.Packet != nil && s.Packet.Msg != nil
	switch {
	case !stream && !packet:
		l.add(ServerUnreachable, s, "it does not answer (%s): start it and open UDP and TCP port 53 to it, or take it out of the NS set", problemOf(s.Stream))
	case !stream:
		l.add(NoTCP, s, "it answers over UDP and not over TCP (%s): open TCP port 53; larger answers need it", problemOf(s.Stream))
	case s.Packet != nil && !packet:
		l.add(NoUDP, s, "it answers over TCP and not over UDP (%s): open UDP port 53; resolvers ask there first", s.Packet.Problem)
	}
	return stream || packet
}

// former tells of the servers that the zone does not name any more and that still answer for it.
func (l *look) former() {
	for i := range l.Former {
		if s := l.read(&l.Former[i]); s.answers {
			l.add(FormerServer, s, "it still answers for the zone %s, which does not name it any more: resolvers that have the old NS records cached ask it, and what it shows counts until they have forgotten them (status.nameservers[].formerUntil); keep its copy of the zone up to date until then, or have it refuse queries for the zone", l.Zone)
		}
	}
}

func heard(replies []Reply) bool {
	return slices.ContainsFunc(replies, func(r Reply) bool { return r.Msg != nil })
}

func problemOf(replies []Reply) string {
	for _, r := range replies {
		if r.Problem != "" {
			return r.Problem
		}
	}
	return "it was not asked"
}

// soa makes sure that the server serves the zone at all.
func (l *look) soa(s *server) {
	r := s.reply(l.Zone, dns.TypeSOA)
	if r == nil || r.Msg == nil {
		r = s.Packet
	}
	if r == nil || r.Msg == nil || s.answers {
		return
	}
	const todo = "make it serve the zone, or take it out of the NS set"
	switch m := r.Msg; {
	case m.Rcode != dns.RcodeSuccess:
		l.add(ServerLame, s, "it answers %s for the zone %s: %s", rcode(m), l.Zone, todo)
	case !m.Authoritative:
		l.add(ServerLame, s, "it answers for the zone %s without authority (no AA bit): %s", l.Zone, todo)
	case len(find(m.Answer, l.Zone, dns.TypeSOA)) == 0:
		l.add(ServerLame, s, "it has no SOA record of %s: %s", l.Zone, todo)
	}
}

// What a server that serves the zone does with single questions, and what is said of it; the list of the
// questions goes in the middle.
var answers = map[Code]struct{ before, after string }{
	QuestionUnanswered: {"it does not answer queries for ", ", though it does others: see its log, and firewalls before it that look into DNS"},
	NotAuthoritative:   {"it answers queries for ", " without authority (no AA bit): something before it answers from a cache; make the server itself answer"},
	AnswerMismatch:     {"it answers queries for ", " with records that were not asked for: resolvers take that for a failure; update the server"},
	QuestionRefused:    {"it answers queries for ", " with an error: see its log; resolvers take that for a failure of the server"},
}

// questions finds what a server that serves the zone does not answer well.
func (l *look) questions(s *server) {
	if !s.answers && !s.keysKnown {
		return
	}
	found := map[Code]map[string]bool{}
	for i := range s.asked {
		r := &s.asked[i]
		code, detail := r.fault(l.Zone)
		if code == "" {
			continue
		}
		if found[code] == nil {
			found[code] = map[string]bool{}
		}
		found[code][r.subject()+detail] = true
	}
	for code, questions := range found {
		l.add(code, s, "%s%s%s", answers[code].before, list(questions), answers[code].after)
	}
}

// fault says what is wrong with a reply by itself, and an error by its name; empty when nothing is.
func (r *Reply) fault(zone string) (code Code, detail string) {
	switch {
	case r.Msg == nil:
		return QuestionUnanswered, ""
	case r.Msg.Rcode != dns.RcodeSuccess && r.Msg.Rcode != dns.RcodeNameError:
		return QuestionRefused, " (" + rcode(r.Msg) + ")"
	case !r.Msg.Authoritative && dns.CanonicalName(r.Name) == zone:
		return NotAuthoritative, ""
	case r.answersOtherwise():
		return AnswerMismatch, ""
	}
	return "", ""
}

// extensions looks for what is lost of EDNS and DO on the way.
func (l *look) extensions(s *server) {
	if s.stripped {
		l.add(SignaturesStripped, s, "it has DNSKEY records and gives no signatures to queries with the DO bit: validating resolvers refuse its answers; serve the signed zone, with DNSSEC turned on, and let nothing before it strip the bit")
	}
	for _, r := range []*Reply{s.reply(l.Zone, dns.TypeSOA), s.Packet} {
		if r != nil && r.Msg != nil && r.Msg.IsEdns0() == nil {
			l.add(EDNSDropped, s, "its answers lack EDNS (RFC 6891): without it nobody gets signatures; update the server, or what stands before it")
			return
		}
	}
}

// answersOtherwise says that there are records in the answer, and neither those asked for nor an alias.
func (r *Reply) answersOtherwise() bool {
	return len(r.Msg.Answer) > 0 && !slices.ContainsFunc(r.Msg.Answer, func(rr dns.RR) bool {
		kind := rr.Header().Rrtype
		return kind == r.Type || kind == dns.TypeCNAME || kind == dns.TypeDNAME
	})
}

func rcode(m *dns.Msg) string {
	if text, ok := dns.RcodeToString[m.Rcode]; ok {
		return text
	}
	return "an unknown response code"
}

func (r *Reply) subject() string { return r.Name + " " + dns.TypeToString[r.Type] }

// list presents a set, sorted.
func list(set map[string]bool) string {
	var out []string
	for word := range set {
		out = append(out, word)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// Package health judges a signed zone as a whole: from what the servers of the zone and of its parent said
// it finds what is broken, what will break, and what is out of fashion. It asks nobody itself.
package health

import (
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// Severity says how bad a finding is.
type Severity string

// The severities.
const (
	// Critical: validating resolvers fail, or soon will; mail of DANE senders stops with them.
	Critical Severity = "Critical"
	// Warning: nothing fails yet, or DANE is without effect; somebody should act.
	Warning Severity = "Warning"
	// Notice: worth knowing; nothing need be done now.
	Notice Severity = "Notice"
)

// Finding is one thing that is wrong with a zone.
type Finding struct {
	Code     Code
	Severity Severity
	// Server that it was found at, as Server.Label; empty when it is true of the zone as a whole.
	Server string
	// Message says what is wrong and what to do. It holds no times and no counters that go on by
	// themselves, so that it stays the same as long as the fault does.
	Message string
}

// Reply is what one server said to one question.
type Reply struct {
	// Name and Type of the question; the name is absolute and in lower case.
	Name string
	Type uint16
	// Msg is what came; nil when nothing did, and then Problem says why.
	Msg     *dns.Msg
	Problem string
}

// Server is one authoritative address of the zone, and what it said. All questions set DO.
type Server struct {
	// Label names it for people, such as "ns1.example.com (192.0.2.1:53)".
	Label string
	// Ignored says that the user excepted it: what is wrong with it is a Notice.
	Ignored bool
	// Hidden says that it is asked because updates go there, and no NS set need name it: resolvers do not
	// meet it. What is wrong with it is a Notice, and it is not compared with the others.
	Hidden bool
	// Stream holds the replies to the questions over TCP or TLS, Packet that to SOA over UDP; nil where it
	// was not asked.
	Stream []Reply
	Packet *Reply
	// Hosts holds what it replied to the questions about each of Observations.Owners; nil where it was not asked.
	Hosts [][]Reply
	// BehindSince is since when it has been showing an older serial than another server without a break;
	// zero when it does not.
	BehindSince time.Time
}

// Parent is one address of the parent zone: its replies to DS and to NS of the zone.
type Parent struct {
	Label  string
	DS, NS Reply
}

// Observations are what was seen of a zone in one look.
type Observations struct {
	Now time.Time
	// Zone apex, absolute and in lower case.
	Zone string
	// Parents are the servers of the parent zone; empty when nobody asked them, and then DS stands in for
	// what they say.
	Parents []Parent
	// Anchors are configured DS records, of this zone and of others. DS are the records by which the zone is
	// entered: the anchors of the zone, or those that were validated from an anchor above it.
	Anchors []dnssec.Anchor
	DS      []*dns.DS
	Servers []Server
	// Former are servers that the zone does not name any more, and that caches may: what is wrong with them is nothing
	// that is wrong with the zone.
	Former []Server
	// Owners are the TLSA owners that this look asks about, of those that there are: what is found at them is told of each
	// by itself, for it stands until the owner is looked at again.
	Owners []string
	// Habit of the zone's signer, as far as it is known.
	Habit Habit
	// Cache of verified signatures; nil for none.
	Cache *dnssec.Cache
}

// Report is what a look has found.
type Report struct {
	// Findings, worst first, then by code, server and message. At most MaxFindings.
	Findings []Finding
	// Expire is when the first signature runs out that a server shows, in the order of the servers;
	// SignaturesExpire the earliest of them. Zero where none was seen.
	Expire           []time.Time
	SignaturesExpire time.Time
	// Owners tell what was found at each of Observations.Owners beyond that, in their order.
	Owners []OwnerReport
}

// OwnerReport is what a look has found at one TLSA owner and the host that it is of.
type OwnerReport struct {
	// Findings and Expire as in Report, of the answers about the owner alone.
	Findings []Finding
	Expire   []time.Time
}

// MaxFindings is how many findings a report has at most; the worst are kept.
const MaxFindings = 50

// look is one judgement under way.
type look struct {
	*Observations
	servers  []*server
	findings []Finding
}

// server is a Server with what is needed of it more than once.
type server struct {
	*Server
	// asked are the replies that are judged one by one: those about the zone, or about one owner, out of Stream.
	asked []Reply
	// answers says that it speaks for the zone: it gave its SOA with authority.
	answers bool
	soa     *dns.SOA
	// dnskeys is its DNSKEY RRset, keysKnown says that it told what it has (an empty set included).
	dnskeys []dns.RR
	// single are those of them that are looked at one by one: no more than are looked at for validation.
	single    []dns.RR
	keysKnown bool
	keys      *dnssec.Keys
	// stripped says that it gives no signatures although it shows keys.
	stripped bool
	lives    []life
}

// Judge finds what is wrong with a zone. It is a pure function of the observations.
func Judge(o Observations) Report {
	if o.Cache == nil {
		o.Cache = dnssec.NewCache()
	}
	out := o.judge(o.Servers, nil)
	for i := range o.Owners {
		out.Owners = append(out.Owners, o.judgeOwner(i, out.Findings))
	}
	out.Findings = foremost(out.Findings)
	return out
}

// judgeOwner finds what is wrong at an owner, beyond what is known of the zone without it.
func (o *Observations) judgeOwner(owner int, known []Finding) OwnerReport {
	servers, hosts := slices.Clone(o.Servers), make([][]Reply, len(o.Servers))
	for i := range servers {
		if s := &servers[i]; owner < len(s.Hosts) {
			hosts[i] = s.Hosts[owner]
			s.Stream = slices.Concat(s.Stream, hosts[i])
		}
	}
	of := o.judge(servers, hosts)
	of.Findings = slices.DeleteFunc(of.Findings, func(f Finding) bool { return slices.Contains(known, f) })
	return OwnerReport{Findings: foremost(of.Findings), Expire: of.Expire}
}

// judge finds what is wrong by what the servers said, single replies among hosts alone where there are such.
func (o *Observations) judge(servers []Server, hosts [][]Reply) Report {
	l := &look{Observations: o}
	for i := range servers {
		s := l.read(&servers[i])
		if s.asked = s.Stream; hosts != nil {
			s.asked = hosts[i]
		}
		l.servers = append(l.servers, s)
	}
	l.transport()
	l.former()
	l.signing()
	l.delegation()
	l.algorithms()
	l.signatures()
	l.lifetimes()
	l.denials()
	l.consistency()
	l.cds()
	l.mail()
	return l.report()
}

func (l *look) read(of *Server) *server {
	s := &server{Server: of}
	if m := s.authoritative(l.Zone, dns.TypeSOA); m != nil {
		for _, rr := range find(m.Answer, l.Zone, dns.TypeSOA) {
			s.soa, s.answers = rr.(*dns.SOA), true
		}
	}
	if m := s.authoritative(l.Zone, dns.TypeDNSKEY); m != nil {
		s.keysKnown = true
		s.dnskeys = find(m.Answer, l.Zone, dns.TypeDNSKEY)
		s.single = s.dnskeys[:min(len(s.dnskeys), dnssec.MaxKeys)]
		s.keys = l.Cache.UntrustedKeys(l.Zone, s.dnskeys)
		s.stripped = s.keys != nil && !s.givesSignatures()
	}
	return s
}

// excepted says that resolvers do not meet the server, or that the user excepted it.
func (s *Server) excepted() bool { return s.Ignored || s.Hidden }

// reply is what the server said to a question; nil when it was not asked.
func (s *Server) reply(name string, qtype uint16) *Reply {
	for i := range s.Stream {
		if r := &s.Stream[i]; r.Type == qtype && dns.CanonicalName(r.Name) == name {
			return r
		}
	}
	return nil
}

// authoritative is the message of a reply that tells of the zone: with authority, and no error.
func (s *Server) authoritative(name string, qtype uint16) *dns.Msg {
	r := s.reply(name, qtype)
	if r == nil || !r.speaks() {
		return nil
	}
	return r.Msg
}

func (r *Reply) speaks() bool {
	return r.Msg != nil && r.Msg.Authoritative && (r.Msg.Rcode == dns.RcodeSuccess || r.Msg.Rcode == dns.RcodeNameError)
}

// givesSignatures says whether any answer of the server holds a signature.
func (s *Server) givesSignatures() bool {
	for _, r := range s.Stream {
		if r.Msg == nil {
			continue
		}
		for _, rr := range both(r.Msg) {
			if rr.Header().Rrtype == dns.TypeRRSIG {
				return true
			}
		}
	}
	return false
}

// find picks an RRset out of a section.
func find(section []dns.RR, name string, qtype uint16) []dns.RR {
	var out []dns.RR
	for _, rr := range section {
		if rr.Header().Rrtype == qtype && rr.Header().Class == dns.ClassINET && dns.CanonicalName(rr.Header().Name) == name {
			out = append(out, rr)
		}
	}
	return out
}

// signaturesOf picks the signatures over an RRset out of a section.
func signaturesOf(section []dns.RR, name string, covered uint16) []*dns.RRSIG {
	var out []*dns.RRSIG
	for _, rr := range find(section, name, dns.TypeRRSIG) {
		if sig := rr.(*dns.RRSIG); sig.TypeCovered == covered {
			out = append(out, sig)
		}
	}
	return out
}

package dnssec

import (
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Piece is what an answer says of one name: the data, an alias, or that there is nothing.
type Piece struct {
	name  string
	qtype uint16
	kind  Kind
	// set and sigs are the RRset that says so, CNAME or DNAME for an alias; empty for a denial.
	set  []dns.RR
	sigs []*dns.RRSIG
	// target of an alias; dname says that it is made from a DNAME above the name.
	target    string
	dname     bool
	authority []dns.RR
}

// ReadPiece reads what a server of a zone says of one name and type, and nothing of what follows an alias. That the
// zone is the name's is not looked at, and nothing is validated. The error is an *Error: resolvers refuse such an answer.
func ReadPiece(m *dns.Msg, name string, qtype uint16, zone string) (Piece, error) {
	p, err := readPiece(m, dns.CanonicalName(name), qtype, zone)
	if err != nil {
		return Piece{}, err
	}
	return p, nil
}

// Kind says what it is: Data, Alias, NoData, NXDomain or TooLong.
func (p *Piece) Kind() Kind { return p.kind }

// Set is the RRset that says so, CNAME or DNAME for an alias; empty for a denial.
func (p *Piece) Set() []dns.RR { return p.set }

// Signatures are those over the Set; a denial has none of its own.
func (p *Piece) Signatures() []*dns.RRSIG {
	if len(p.set) == 0 {
		return nil
	}
	return p.sigs
}

// Target is where an alias leads.
func (p *Piece) Target() string { return p.target }

// readPiece reads what a message says of one name and type. What stands above the zone that trust begins at has no say.
func readPiece(m *dns.Msg, name string, qtype uint16, trusted string) (Piece, *Error) {
	p := Piece{name: name, qtype: qtype, authority: m.Ns}
	if done, err := p.readDNAME(m, trusted); done || err != nil {
		return p, err
	}
	if p.set, p.sigs = findRRset(m.Answer, name, qtype); len(p.set) > 0 {
		p.kind = Data
		return p, nil
	}
	if p.set, p.sigs = findRRset(m.Answer, name, dns.TypeCNAME); len(p.set) > 0 {
		return p, p.readCNAME()
	}
	p.kind = NoData
	if m.Rcode == dns.RcodeNameError {
		p.kind = NXDomain
	}
	return p, nil
}

func (p *Piece) readCNAME() *Error {
	cname, ok := p.set[0].(*dns.CNAME)
	if !ok || !single(p.set) {
		return fail(BadRRset, p.name+" CNAME", "the name has more than one alias")
	}
	p.kind, p.target = Alias, dns.CanonicalName(cname.Target)
	return nil
}

// single says whether a set is one record, however often it comes (RFC 2181 section 5).
func single(set []dns.RR) bool {
	return !slices.ContainsFunc(set, func(rr dns.RR) bool { return !dns.IsDuplicate(rr, set[0]) })
}

// readDNAME applies a DNAME above the name. The CNAME that the server makes of it is not signed (RFC
// 6672 section 5.3.1): if it is there, it must be the right one.
func (p *Piece) readDNAME(m *dns.Msg, trusted string) (bool, *Error) {
	for _, rr := range m.Answer {
		d, ok := rr.(*dns.DNAME)
		owner := dns.CanonicalName(rr.Header().Name)
		if !ok || d.Hdr.Class != dns.ClassINET || !below(owner, p.name) {
			continue
		}
		if below(owner, trusted) {
			return true, fail(BadAlias, owner+" DNAME", "it is above the zone %s, whose keys alone are trusted to speak for %s", trusted, p.name)
		}
		p.set, p.sigs = findRRset(m.Answer, owner, dns.TypeDNAME)
		if !single(p.set) {
			return true, fail(BadRRset, owner+" DNAME", "the name has more than one DNAME")
		}
		p.kind, p.dname = Alias, true
		p.target = substitute(p.name, owner, dns.CanonicalName(d.Target))
		if !fitsName(p.target) {
			p.kind, p.target = TooLong, ""
			return true, nil
		}
		return true, p.checkSynthesis(m)
	}
	return false, nil
}

func (p *Piece) checkSynthesis(m *dns.Msg) *Error {
	made, _ := findRRset(m.Answer, p.name, dns.TypeCNAME)
	for _, rr := range made {
		if c, ok := rr.(*dns.CNAME); !ok || dns.CanonicalName(c.Target) != p.target {
			return fail(BadAlias, p.name+" CNAME", "the DNAME at %s leads to %s, and the server says something else", p.set[0].Header().Name, p.target)
		}
	}
	return nil
}

// substitute puts the target of a DNAME in place of its owner (RFC 6672 section 2.2).
func substitute(name, owner, target string) string {
	prefix := name
	if owner != "." {
		prefix = strings.TrimSuffix(name, owner)
	}
	if target == "." {
		return prefix
	}
	return prefix + target
}

// fitsName says whether a name is short enough (RFC 1035 section 3.1). The DNS library allows one octet
// more.
func fitsName(name string) bool {
	_, err := dns.PackDomainName(name, make([]byte, 255), 0, nil, false)
	return err == nil
}

// findRRset picks an RRset and its signatures out of a section.
func findRRset(section []dns.RR, name string, qtype uint16) (set []dns.RR, sigs []*dns.RRSIG) {
	for _, rr := range section {
		if rr.Header().Class != dns.ClassINET || dns.CanonicalName(rr.Header().Name) != name {
			continue
		}
		if rr.Header().Rrtype == qtype {
			set = append(set, rr)
		}
		if sig, ok := rr.(*dns.RRSIG); ok && sig.TypeCovered == qtype {
			sigs = append(sigs, sig)
		}
	}
	return set, sigs
}

// owner is the name whose zone signs the piece.
func (p *Piece) owner() string {
	if len(p.set) > 0 {
		return dns.CanonicalName(p.set[0].Header().Name)
	}
	return p.name
}

// ofParent says that the piece belongs to the parent's side of a zone cut: DS records.
func (p *Piece) ofParent() bool { return p.qtype == dns.TypeDS && p.kind != Alias && p.name != "." }

// top is the deepest zone that may speak for the piece.
func (p *Piece) top() string {
	if p.ofParent() {
		return parent(p.name)
	}
	return p.owner()
}

// signer is the deepest zone that claims to have signed the piece and may do so; empty without one.
func (p *Piece) signer() string {
	sigs := p.sigs
	if len(p.set) == 0 {
		for _, rr := range p.authority {
			if sig, ok := rr.(*dns.RRSIG); ok && proves(sig.TypeCovered) {
				sigs = append(sigs, sig)
			}
		}
	}
	best := ""
	for _, sig := range sigs {
		name := dns.CanonicalName(sig.SignerName)
		if dns.IsSubDomain(name, p.top()) && (best == "" || below(best, name)) {
			best = name
		}
	}
	return best
}

func proves(kind uint16) bool {
	return kind == dns.TypeSOA || kind == dns.TypeNSEC || kind == dns.TypeNSEC3
}

// Package dnssec validates DNS answers in process, from configured trust anchors. DNS is never
// trusted on the word of a resolver. A Validator finds RRsets, by itself from the root servers down or
// through forwarders, and walks the chain of trust from the anchor to the zone that signs them; Keys
// check what one named server says in a zone.
//
// There is one way to a verdict: an answer is read piece by piece (ReadPiece), and each piece is checked with the keys of
// its zone. The Validator and the sweeps of package zone (Check) go by it. Verify, VerifyExpansion and
// VerifyDenial are its parts, for package health, which looks at each RRset that a server shows, on the way to an
// answer or not, and names the part that fails: it tells of an NXDOMAIN that is proved as NODATA alone, which a piece is
// taken for.
//
// Every answer is Secure, Insecure with what proves it, Bogus with the reason, or Indeterminate when
// nobody answers (RFC 4035 section 4.3). NSEC and NSEC3 proofs, wildcards, opt-out, CNAME and DNAME are
// understood; so are algorithms 8, 10, 13, 14 and 15 (RFC 8624). Zones that are signed with others
// alone are insecure, SHA-1 included (RFC 9905). There is no aggressive use of proofs (RFC 8198), and
// trust anchors do not update themselves (RFC 5011).
package dnssec

// State is the DNSSEC state of a zone or an answer (RFC 4035 section 4.3).
type State string

// The states.
const (
	Secure        State = "Secure"
	Insecure      State = "Insecure"
	Bogus         State = "Bogus"
	Indeterminate State = "Indeterminate"
)

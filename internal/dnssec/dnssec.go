// Package dnssec validates DNS answers in process, from configured trust anchors. DNS is never
// trusted on the word of a resolver. So far it verifies the RRsets of a zone with the zone's DNSKEYs
// as matched by DS trust anchors of that zone; chains from an ancestor come with full validation.
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

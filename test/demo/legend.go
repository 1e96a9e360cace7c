package main

import (
	"fmt"
	"strings"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/glossary"
)

// intro says what is played.
const intro = `This is dane-operator on one machine: a Kubernetes API, cert-manager, a signed zone on a primary and two secondaries,
a mail server, and a sender. The sender asks every name server ten times a second, keeps each answer for its TTL as
caches do, and holds the key that the mail server presents against every answer that it keeps: each of these is a
sender check. Where an answer has no record of that key, mail would not arrive: that is a mismatch.
`

// outro says what is no fault.
const outro = `
Waiting is the point, and no fault. What fails because it is to fail says "expected". A line with MISMATCH, or an exit
code other than 0, is a failure of the product.
`

// legend says what is played, and what the words mean that are shown.
func legend() string {
	var b strings.Builder
	b.WriteString(intro + "\nHow to read it:\n\n")
	row := func(word, meaning string) { fmt.Fprintf(&b, "  %-13s %s\n", word, meaning) }
	row("871015c8", "a key, by the first digits of the SHA-256 digest of its public key: of its record 3 1 1")
	row("records", "the keys whose records a name server shows; the secondaries lag by 0.3 s and 1.5 s, as real ones do")
	row("presented", "the key that the mail server presents; it takes up a new certificate a second late")
	row("DNSSEC", "whether the zone validates: without Secure nothing is published")
	row("keys", "each with its role (Next: not served yet, Current: may be served, Previous: was served) and")
	row("", "with what caches know of its records:")
	for _, v := range []v1alpha1.Visibility{v1alpha1.VisibilityHidden, v1alpha1.VisibilityRumoured, v1alpha1.VisibilityOmnipresent, v1alpha1.VisibilityUnretentive} {
		fmt.Fprint(&b, (&view{}).row(fmt.Sprintf("  %-13s   %-12s ", "", v), glossary.Line(string(v))))
	}
	row("", "a key in use is Rumoured while its first records spread; that alone fails no mail")
	row("others", "the other records of the domain; MX comes when caches can have the TLSA records, and MTA-STS when the")
	row("", "operator has seen that the policy is served, at port 443")
	row("waits for", "what the operator waits for, and until when")
	return b.String() + outro
}

package api

import (
	"strings"
	"testing"
)

// TestMailRecords: every rule of the records beside TLSA.
func TestMailRecords(t *testing.T) {
	mx := func(spec string) string { return `{mx: ` + spec + `}` }
	rpt := func(uri string) string { return `{tlsReporting: {rua: ["` + uri + `"]}}` }
	sts := func(spec string) string { return `{mtaSTS: ` + spec + `}` }
	spf := func(mechanism string) string {
		return `{spf: {mechanisms: ["` + mechanism + `"], all: Fail}}`
	}
	dmarc := func(spec string) string { return `{dmarc: ` + spec + `}` }
	preference := func(n string) string {
		return `{mailServers: [{hostname: mx1.example.com, preference: ` + n + `}]}`
	}
	const reports = "want mailto: and an address"
	check(t, "MailDomain", smallestMailDomain, []row{
		{"MX records are published", mx(`{policy: Manage}`), "", ""},
		{"MX records are taken over", mx(`{policy: Manage, adopt: true}`), "", ""},
		{"MX records are looked at", mx(`{policy: Check}`), "", ""},
		{"nothing is taken over where nothing is written", mx(`{policy: Check, adopt: true}`), "spec.mx.adopt", "goes with spec.mx.policy Manage"},
		{"nothing is taken over, and that is said", mx(`{policy: Check, adopt: false}`), "", ""},
		{"what is no yes or no", mx(`{policy: Manage, adopt: "yes"}`), "spec.mx.adopt", "boolean"},
		{"what becomes of MX records is said", mx(`{}`), "spec.mx.policy", "Required value"},
		{"there is no other policy", mx(`{policy: Keep}`), "spec.mx.policy", "Unsupported value"},
		{"the lowest preference", preference("0"), "", ""},
		{"the highest preference", preference("65535"), "", ""},
		{"a preference has 16 bits", preference("65536"), "spec.mailServers[0].preference", "should be less than or equal to 65535"},
		{"a preference is not negative", preference("-1"), "spec.mailServers[0].preference", "should be greater than or equal to 0"},

		{"reports by mail", rpt("mailto:tlsrpt@example.net"), "", ""},
		{"reports over HTTPS", rpt("https://tlsrpt.example.net/v1"), "", ""},
		{"a comma is escaped", rpt("mailto:a%2Cb@example.net"), "", ""},
		{"a summary is wanted", `{tlsReporting: {rua: ["mailto:a@example.net"], ingest: Enabled}}`, "", ""},
		{"none is wanted", `{tlsReporting: {rua: ["mailto:a@example.net"], ingest: Disabled}}`, "", ""},
		{"it is wanted or not", `{tlsReporting: {rua: ["mailto:a@example.net"], ingest: Always}}`, "spec.tlsReporting.ingest", "Unsupported value"},
		{"mail servers have records of their own", `{tlsReporting: {rua: ["mailto:a@example.net"], mailServers: Enabled}}`, "", ""},
		{"they have none", `{tlsReporting: {rua: ["mailto:a@example.net"], mailServers: Disabled}}`, "", ""},
		{"they have some or none", `{tlsReporting: {rua: ["mailto:a@example.net"], mailServers: Some}}`, "spec.tlsReporting.mailServers", "Unsupported value"},
		{"a record for reports is taken over", `{tlsReporting: {rua: ["mailto:a@example.net"], adopt: true}}`, "", ""},
		{"reports in both ways", `{tlsReporting: {rua: ["mailto:a@example.net", "https://tlsrpt.example.net/v1"]}}`, "", ""},
		{"nine places are too many", `{tlsReporting: {rua: ` + list(9, `"mailto:a%d@example.net"`) + `}}`, "spec.tlsReporting.rua", "must have at most 8 items"},
		{"a place is named once", `{tlsReporting: {rua: ["mailto:a@example.net", "mailto:a@example.net"]}}`, "spec.tlsReporting.rua[1]", "Duplicate value"},
		{"an exclamation mark is escaped", rpt("mailto:a!b@example.net"), "spec.tlsReporting.rua[0]", "%21"},
		{"reports go somewhere", `{tlsReporting: {rua: []}}`, "spec.tlsReporting.rua", "should have at least 1 items"},
		{"reports do not go by HTTP", rpt("http://tlsrpt.example.net/v1"), "spec.tlsReporting.rua[0]", reports},
		{"an address is no URI", rpt("tlsrpt@example.net"), "spec.tlsReporting.rua[0]", reports},
		{"a comma would make two of one", rpt("mailto:a@example.net,mailto:b@example.net"), "spec.tlsReporting.rua[0]", "RFC 8460 section 3"},
		{"a semicolon would end the field", rpt("mailto:a@example.net;x=y"), "spec.tlsReporting.rua[0]", "%3B"},
		{"a space is in no URI", rpt("mailto:a b@example.net"), "spec.tlsReporting.rua[0]", reports},

		{"a policy of MTA-STS", sts(`{mode: Enforce, maxAge: 604800}`), "", ""},
		{"its age may be left out", sts(`{mode: None}`), "", ""},
		{"one that is tried", sts(`{mode: Testing, maxAge: 60}`), "", ""},
		{"for a leap year", sts(`{mode: Testing, maxAge: 31557600}`), "", ""},
		{"its record is taken over", sts(`{mode: Enforce, adopt: true}`), "", ""},
		{"it is kept for a minute at least", sts(`{mode: Enforce, maxAge: 59}`), "spec.mtaSTS.maxAge", "greater than or equal to 60"},
		{"its mode may not", sts(`{maxAge: 604800}`), "spec.mtaSTS.mode", "Required value"},
		{"it is not kept for ever", sts(`{mode: Enforce, maxAge: 31557601}`), "spec.mtaSTS.maxAge", "31557600"},
		{"a mode is written with a capital", sts(`{mode: enforce}`), "spec.mtaSTS.mode", "Unsupported value"},

		{"mechanisms of every kind", `{spf: {mechanisms: [a, mx, "a:mail.example.com/24", "-mx//64", "+ip4:192.0.2.0/24", "~ip6:2001:db8::/32", "?include:_spf.example.net", "exists:%{i}.example.net"], all: SoftFail}}`, "", ""},
		{"nobody sends", `{spf: {all: Fail}}`, "", ""},
		{"nothing is said of others", `{spf: {all: Neutral}}`, "", ""},
		{"a record of SPF is taken over", `{spf: {all: Fail, adopt: true}}`, "", ""},
		{"others do not all pass", `{spf: {all: Pass}}`, "spec.spf.all", "Unsupported value"},
		{"what is said of the others is needed", `{spf: {mechanisms: [mx]}}`, "spec.spf.all", "Required value"},
		{"all has a field of its own", spf("-all"), "spec.spf.mechanisms[0]", "spec.spf.all"},
		{"ptr is not to be used", spf("ptr"), "spec.spf.mechanisms[0]", "ptr is not to be used"},
		{"two mechanisms are two items", spf("mx a"), "spec.spf.mechanisms[0]", "want a, mx, ip4:ADDRESS"},
		{"a modifier is no mechanism", spf("redirect=example.net"), "spec.spf.mechanisms[0]", "want a, mx, ip4:ADDRESS"},
		{"an include names what", spf("include:"), "spec.spf.mechanisms[0]", "include:NAME"},
		{"33 are too many", `{spf: {mechanisms: ` + list(33, `"ip4:192.0.2.%d"`) + `, all: Fail}}`, "spec.spf.mechanisms", "must have at most 32 items"},

		{"a policy of DMARC", dmarc(`{policy: Reject, subdomainPolicy: None, rua: ["mailto:a@example.net"], ruf: ["mailto:b@example.net"], alignment: {dkim: Strict, spf: Relaxed}}`), "", ""},
		{"the policy is needed", dmarc(`{rua: ["mailto:a@example.net"]}`), "spec.dmarc.policy", "Required value"},
		{"a policy of DMARC with the other values", dmarc(`{policy: Quarantine, subdomainPolicy: Quarantine, alignment: {dkim: Relaxed, spf: Strict}}`), "", ""},
		{"nothing but a policy", dmarc(`{policy: None, subdomainPolicy: Reject}`), "", ""},
		{"a record of DMARC is taken over", dmarc(`{policy: None, adopt: true}`), "", ""},
		{"a policy is one of three", dmarc(`{policy: Discard}`), "spec.dmarc.policy", "Unsupported value"},
		{"that of subdomains is, too", dmarc(`{policy: None, subdomainPolicy: none}`), "spec.dmarc.subdomainPolicy", "Unsupported value"},
		{"an alignment of SPF is Relaxed or Strict", dmarc(`{policy: None, alignment: {spf: strict}}`), "spec.dmarc.alignment.spf", "Unsupported value"},
		{"nine places for reports are too many", dmarc(`{policy: None, rua: ` + list(9, `"mailto:a%d@example.net"`) + `}`), "spec.dmarc.rua", "must have at most 8 items"},
		{"nine for failures are, too", dmarc(`{policy: None, ruf: ` + list(9, `"mailto:a%d@example.net"`) + `}`), "spec.dmarc.ruf", "must have at most 8 items"},
		{"failures do not go over HTTPS", dmarc(`{policy: None, ruf: ["https://example.net/x"]}`), "spec.dmarc.ruf[0]", reports},
		{"reports do not go over HTTPS", dmarc(`{policy: None, rua: ["https://example.net/x"]}`), "spec.dmarc.rua[0]", reports},
		{"a size is not in RFC 9989", dmarc(`{policy: None, ruf: ["mailto:a@example.net!10m"]}`), "spec.dmarc.ruf[0]", "RFC 9989 section 4.7"},
		{"a comma would make two of one (DMARC)", dmarc(`{policy: None, rua: ["mailto:a@example.net,mailto:b@example.net"]}`), "spec.dmarc.rua[0]", reports},
		{"an alignment is Relaxed or Strict", dmarc(`{policy: None, alignment: {dkim: r}}`), "spec.dmarc.alignment.dkim", "Unsupported value"},
	})
	grants := func(domain string) string {
		return `{grants: [{namespaces: {from: All}, mailDomains: ["` + domain + `"]}]}`
	}
	check(t, "DNSZone", smallestDNSZone, []row{
		{"the records of a domain are granted", grants("example.com"), "", ""},
		{"those of all domains below", grants("*.example.com"), "", ""},
		{"a trailing dot would make two names of one (mail domain)", grants("example.com."), "spec.grants[0].mailDomains[0]", "without a trailing dot"},
		{"a name of 254 octets cannot be sent (mail domain)", grants(strings.Repeat(label63[:62]+".", 4) + "ab"), "spec.grants[0].mailDomains[0]", "253"},
	})
}

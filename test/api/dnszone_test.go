package api

import (
	"strings"
	"testing"
)

const smallestDNSZone = `{zone: example.com, update: {nameserver: "192.0.2.53:53", tsigKeyName: dane, tsigSecretSecretRef: {name: tsig}}}`

func TestDNSZoneNames(t *testing.T) {
	const want = "spec.zone must be a zone name in lower case, as A-labels"
	check(t, "DNSZone", smallestDNSZone, []row{
		{"the smallest spec is enough", `{}`, "", ""},
		{"a zone in another script is written as an A-label", `{zone: xn--bcher-kva.example}`, "", ""},
		{"a top-level domain can be a zone", `{zone: test}`, "", ""},
		{"a zone may be made for the TLSA names", `{zone: _tcp.mx1.example.com}`, "", ""},
		{"the zone is needed", `{zone: null}`, "spec.zone", "Required value"},
		{"a U-label is not what DNS carries", `{zone: bücher.example}`, "spec.zone", want},
		{"upper case would make two zones of one", `{zone: Example.com}`, "spec.zone", want},
		{"a trailing dot would make two zones of one", `{zone: example.com.}`, "spec.zone", "without a trailing dot, such as example.com"},
		{"nobody writes the root", `{zone: .}`, "spec.zone", want},
		{"an empty label cannot be sent", `{zone: a..example}`, "spec.zone", want},
		{"a label of 64 octets cannot be sent", `{zone: a` + label63 + `.example}`, "spec.zone", want},
		{"an empty name", `{zone: ""}`, "spec.zone", "at least 1 chars"},
		{"a name of 254 octets cannot be sent", `{zone: ` + strings.Repeat(label63[:62]+".", 4) + `ab}`, "spec.zone", "253"},
	})
}

func TestDNSZoneUpdate(t *testing.T) {
	update := func(item string) string { return `{update: ` + item + `}` }
	primary := func(item string) string { return update(`{nameserver: "` + item + `"}`) }
	unsigned := func(item string) string {
		return update(`{tsigKeyName: null, tsigSecretSecretRef: null, insecureUnsigned: ` + item + `}`)
	}
	const want = "spec.update.nameserver: want HOST, HOST:PORT"
	rows := []row{
		{"a host name", primary("ns1.example.com"), "", ""},
		{"a host name with port", primary("ns1.example.com:5353"), "", ""},
		{"an IPv4 address", primary("192.0.2.53"), "", ""},
		{"an IPv6 address", primary("[2001:db8::53]"), "", ""},
		{"an IPv6 address with port", primary("[2001:db8::53]:53"), "", ""},
		{"the update section is needed", `{update: null}`, "spec.update", "Required value"},
		{"the primary is needed", update(`{nameserver: null}`), "spec.update.nameserver", "Required value"},
		{"an IPv6 address without brackets hides its port", primary("2001:db8::53"), "spec.update.nameserver", want},
		{"a URL", primary("tcp://ns1.example.com"), "spec.update.nameserver", want},
		{"a port that is no number", primary("ns1.example.com:domain"), "spec.update.nameserver", "such as 192.0.2.53:53 or [2001:db8::53]:53"},
		{"there is no such port", primary("192.0.2.53:65536"), "spec.update.nameserver", want},
		{"port 0 cannot be connected to", primary("192.0.2.53:0"), "spec.update.nameserver", want},
		{"the highest port", primary("192.0.2.53:65535"), "", ""},
		{"brackets around no address", primary("[:::]:53"), "spec.update.nameserver", want},
		{"two servers", primary("ns1.example.com ns2.example.com"), "spec.update.nameserver", want},
		{"an empty name", primary(""), "spec.update.nameserver", "at least 1 chars"},

		{"longer than a name and a port can be", primary(strings.Repeat("a", 271)), "spec.update.nameserver", "270"},

		{"UDP", update(`{protocol: UDP}`), "", ""},
		{"TLS with the system's roots", update(`{protocol: TLS}`), "", ""},
		{"TLS with everything", update(`{protocol: TLS, tls: {serverName: ns1.example.com, caBundleSecretRef: {name: ca}, clientCertSecretRef: {name: client}}}`), "", ""},
		{"a protocol that is not known", update(`{protocol: QUIC}`), "spec.update.protocol", `supported values: "TCP", "UDP", "TLS"`},
		{"tls with the default protocol would be ignored", update(`{tls: {serverName: ns1.example.com}}`), "spec.update.tls", "spec.update.tls needs spec.update.protocol TLS"},
		{"tls over UDP", update(`{protocol: UDP, tls: {}}`), "spec.update.tls", "needs spec.update.protocol TLS"},
		{"a CA bundle without a name", update(`{protocol: TLS, tls: {caBundleSecretRef: {}}}`), "spec.update.tls.caBundleSecretRef.name", "Required value"},
		{"a server name longer than a name can be", update(`{protocol: TLS, tls: {serverName: ` + strings.Repeat("a", 254) + `}}`), "spec.update.tls.serverName", "253"},

		{"no TSIG and no word about it", update(`{tsigKeyName: null, tsigSecretSecretRef: null}`), "spec.update.tsigKeyName", "updates without TSIG can be forged by anyone on the path; set tsigKeyName and tsigSecretSecretRef, or insecureUnsigned: true for a lab"},
		{"no TSIG, and false is no word", unsigned("false"), "spec.update.tsigKeyName", "spec.update.tsigKeyName is required"},
		{"no TSIG, in a lab", unsigned("true"), "", ""},
		{"TSIG, and unsigned is false", update(`{insecureUnsigned: false}`), "", ""},
		{"TSIG and unsigned at once", update(`{insecureUnsigned: true}`), "spec.update.insecureUnsigned", "has no meaning beside tsigKeyName: remove one of the two"},
		{"a key name without its secret", update(`{tsigSecretSecretRef: null}`), "spec.update.tsigKeyName", "go together: set both, or neither"},
		{"a secret without its key name", update(`{tsigKeyName: null}`), "spec.update.tsigKeyName", "go together: set both, or neither"},
		{"a key name as BIND writes it", update(`{tsigKeyName: "Dane_Key.example.com."}`), "", ""},
		{"a key name with a space", update(`{tsigKeyName: "my key"}`), "spec.update.tsigKeyName", "as in the key file of the primary"},
		{"an empty key name", update(`{tsigKeyName: ""}`), "spec.update.tsigKeyName", "at least 1 chars"},
		{"a secret without a name", update(`{tsigSecretSecretRef: {name: ""}}`), "spec.update.tsigSecretSecretRef.name", "at least 1 chars"},
		{"MD5 is broken", update(`{tsigAlgorithm: HMACMD5}`), "spec.update.tsigAlgorithm", `supported values: "HMACSHA1", "HMACSHA224", "HMACSHA256", "HMACSHA384", "HMACSHA512"`},
		{"the spelling is cert-manager's", update(`{tsigAlgorithm: hmac-sha256}`), "spec.update.tsigAlgorithm", `"HMACSHA256"`},
	}
	for _, algorithm := range []string{"HMACSHA1", "HMACSHA224", "HMACSHA256", "HMACSHA384", "HMACSHA512"} {
		rows = append(rows, row{algorithm + " is allowed", update(`{tsigAlgorithm: ` + algorithm + `}`), "", ""})
	}
	check(t, "DNSZone", smallestDNSZone, rows)
}

func TestDNSZoneNameservers(t *testing.T) {
	servers := func(item string) string { return `{nameservers: ` + item + `}` }
	address := func(item string) string { return servers(`{addresses: ["` + item + `"]}`) }
	const address0, want = "spec.nameservers.addresses[0]", "want IP addresses such as 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:53, not names"
	check(t, "DNSZone", smallestDNSZone, []row{
		{"Static with its addresses", servers(`{discovery: Static, addresses: [192.0.2.53]}`), "", ""},
		{"Delegation with more addresses", servers(`{discovery: Delegation, addresses: [192.0.2.53]}`), "", ""},
		{"addresses alone", address("192.0.2.53"), "", ""},
		{"an address with port", address("192.0.2.53:5353"), "", ""},
		{"an IPv6 address", address("2001:db8::53"), "", ""},
		{"an IPv6 address in brackets", address("[2001:db8::53]"), "", ""},
		{"an IPv6 address with port", address("[2001:db8::53]:5353"), "", ""},
		{"Static without addresses asks nobody", servers(`{discovery: Static}`), "spec.nameservers.addresses", "required with discovery Static: list every authoritative address"},
		{"Static with an empty list asks nobody", servers(`{discovery: Static, addresses: []}`), "spec.nameservers.addresses", "required with discovery Static"},
		{"a discovery that is not known", servers(`{discovery: Guess}`), "spec.nameservers.discovery", `supported values: "Delegation", "Static"`},
		{"a name is no address", address("ns1.example.com"), address0, want},
		{"a name of hex digits is no address", address("abcd"), address0, want},
		{"a network is no address", address("192.0.2.0/24"), address0, want},
		{"three numbers are no address", address("192.0.2"), address0, want},
		{"300 is no octet", address("192.0.2.300"), address0, want},
		{"there is no such port", address("192.0.2.53:65536"), address0, want},
		{"there is no such port either", address("[2001:db8::53]:70000"), address0, want},
		{"the highest port", address("192.0.2.53:65535"), "", ""},
		{"a port of two digits less", address("192.0.2.53:853"), "", ""},
		{"brackets around no address", address("[:::]:53"), address0, want},
		{"a bracket that is not closed", address("[2001:db8::53"), address0, want},
		{"port 0 cannot be asked", address("192.0.2.53:0"), address0, want},
		{"colons alone are no address", address(":::::"), address0, want},
		{"an address stands in the list once", servers(`{addresses: [192.0.2.53, 192.0.2.53]}`), "spec.nameservers.addresses[1]", "Duplicate value"},
		{"longer than an address can be", address(strings.Repeat("1", 65)), address0, "64"},
		{"16 addresses are the most", servers(`{addresses: ` + list(16, "192.0.2.%d") + `}`), "", ""},
		{"17 addresses are too many", servers(`{addresses: ` + list(17, "192.0.2.%d") + `}`), "spec.nameservers.addresses", "must have at most 16 items"},
		{"a server may be ignored", servers(`{ignore: [ns3.example.net, 192.0.2.55]}`), "", ""},
		{"17 ignored servers are too many", servers(`{ignore: ` + list(17, "ns%d") + `}`), "spec.nameservers.ignore", "must have at most 16 items"},
		{"an ignored server stands in the list once", servers(`{ignore: [ns3, ns3]}`), "spec.nameservers.ignore[1]", "Duplicate value"},
		{"longer than a name and a port can be", servers(`{ignore: [` + strings.Repeat("a", 271) + `]}`), "spec.nameservers.ignore[0]", "270"},
		{"nothing is no server", servers(`{ignore: [""]}`), "spec.nameservers.ignore[0]", "at least 1 chars"},
	})
}

func TestDNSZonePropagation(t *testing.T) {
	sweeps := func(n string) string { return `{propagation: {sweeps: ` + n + `}}` }
	rows := []row{
		{"one sweep, for labs", sweeps("1"), "", ""},
		{"ten sweeps", sweeps("10"), "", ""},
		{"no sweep proves nothing", sweeps("0"), "spec.propagation.sweeps", "should be greater than or equal to 1"},
		{"eleven sweeps prove no more", sweeps("11"), "spec.propagation.sweeps", "should be less than or equal to 10"},
	}
	for field, limit := range map[string]string{"interval": "24h", "delay": "8760h", "ttlFloor": "24h", "timeout": "8760h"} {
		rows = append(rows, durationRows("propagation."+field, limit)...)
	}
	check(t, "DNSZone", smallestDNSZone, rows)
}

func TestDNSZoneTrustAnchors(t *testing.T) {
	initial := func(item string) string { return `{dnssec: {delegation: {acceptInitialDS: ["` + item + `"]}}}` }
	const initial0, wantDS = "spec.dnssec.delegation.acceptInitialDS[0]", `want DS RDATA "KEYTAG ALGORITHM DIGEST-TYPE HEX" with digest type 2 (64 hex digits) or 4 (96), the digest in one piece`
	anchor := func(item string) string { return `{dnssec: {trustAnchors: ["` + item + `"]}}` }
	sha384Hex := sha256Hex + sha256Hex[:32]
	const anchor0, want = "spec.dnssec.trustAnchors[0]", `want DS RDATA "KEYTAG ALGORITHM DIGEST-TYPE HEX" with digest type 2 (64 hex digits) or 4 (96)`
	check(t, "DNSZone", smallestDNSZone, []row{
		{"DS RDATA of the zone", anchor("12345 13 2 " + sha256Hex), "", ""},
		{"SHA-384", anchor("12345 13 4 " + sha384Hex), "", ""},
		{"an ancestor with its owner", anchor("test. DS 12345 13 2 " + sha256Hex), "", ""},
		{"an ancestor as dnssec-dsfromkey prints it", anchor("test. IN DS 12345 13 2 " + sha256Hex), "", ""},
		{"an ancestor as dig prints it", anchor("test. 3600 IN DS 12345 13 2 " + sha256Hex), "", ""},
		{"the root", anchor(". DS 20326 8 2 " + sha256Hex), "", ""},
		{"SHA-1 is broken", anchor("12345 13 1 " + sha256Hex[:40]), anchor0, want},
		{"a digest that is too short", anchor("12345 13 2 abcd"), anchor0, want},
		{"SHA-384 under the name of SHA-256", anchor("12345 13 2 " + sha384Hex), anchor0, want},
		{"an owner without a trailing dot is not to be told from a number", anchor("test DS 12345 13 2 " + sha256Hex), anchor0, `with an owner in front, such as "test. DS 12345 13 2 HEX"`},
		{"a key is no DS", anchor("257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="), anchor0, want},
		{"nothing is no anchor", anchor(""), anchor0, want},
		{"longer than an anchor can be", anchor(strings.Repeat("a", 401)), anchor0, "400"},
		{"an anchor stands in the list once", `{dnssec: {trustAnchors: ` + list(2, `"1 13 2 `+sha256Hex+`"`) + `}}`, "spec.dnssec.trustAnchors[1]", "Duplicate value"},
		{"8 anchors are the most", `{dnssec: {trustAnchors: ` + list(8, `"%d 13 2 `+sha256Hex+`"`) + `}}`, "", ""},
		{"9 anchors are too many", `{dnssec: {trustAnchors: ` + list(9, `"%d 13 2 `+sha256Hex+`"`) + `}}`, "spec.dnssec.trustAnchors", "must have at most 8 items"},
		{"a delegation names its parent zone", `{dnssec: {delegation: {parentZoneRef: {name: parent}}}}`, "", ""},
		{"a delegation whose parent zone is somebody else's", `{dnssec: {delegation: {}}}`, "", ""},
		{"a first DS record", initial("1 13 2 " + sha256Hex), "", ""},
		{"a first DS record by SHA-384", initial("1 13 4 " + sha256Hex + sha256Hex[:32]), "", ""},
		{"a first DS record by SHA-1", initial("1 13 1 " + sha256Hex[:40]), initial0, wantDS},
		{"a first DS record by a digest nobody knows", initial("1 13 77 " + sha256Hex), initial0, wantDS},
		{"a first DS record with a short digest", initial("1 13 2 " + sha256Hex[:62]), initial0, wantDS},
		{"a first DS record with an owner", initial("example.com. DS 1 13 2 " + sha256Hex), initial0, wantDS},
		{"a first DS record that is none", initial("hello"), initial0, wantDS},
		{"a first DS record stands in the list once", `{dnssec: {delegation: {acceptInitialDS: ` + list(2, `"1 13 2 `+sha256Hex+`"`) + `}}}`, "spec.dnssec.delegation.acceptInitialDS[1]", "Duplicate value"},
		{"8 first DS records are the most", `{dnssec: {delegation: {acceptInitialDS: ` + list(8, `"%d 13 2 `+sha256Hex+`"`) + `}}}`, "", ""},
		{"9 first DS records are too many", `{dnssec: {delegation: {acceptInitialDS: ` + list(9, `"%d 13 2 `+sha256Hex+`"`) + `}}}`, "spec.dnssec.delegation.acceptInitialDS", "must have at most 8 items"},
	})
}

func TestDNSZoneGrants(t *testing.T) {
	grant := func(item string) string { return `{grants: [` + item + `]}` }
	namespaces := func(item string) string { return grant(`{namespaces: ` + item + `}`) }
	hostname := func(item string) string { return grant(`{hostnames: ["` + item + `"]}`) }
	const selector, hostname0, want = "spec.grants[0].namespaces.selector", "spec.grants[0].hostnames[0]", "want a name in lower case without a trailing dot, such as mx1.example.com, or *.tenant.example.com for every name below"
	check(t, "DNSZone", smallestDNSZone, []row{
		{"an empty grant is for this namespace", grant(`{}`), "", ""},
		{"every namespace", namespaces(`{from: All}`), "", ""},
		{"namespaces by label", namespaces(`{from: Selector, selector: {matchLabels: {mail: "true"}}}`), "", ""},
		{"a selector without from would be ignored", namespaces(`{selector: {matchLabels: {mail: "true"}}}`), selector, "goes with from: Selector, and only with it"},
		{"a selector with All would be ignored", namespaces(`{from: All, selector: {}}`), selector, "goes with from: Selector, and only with it"},
		{"Selector without a selector", namespaces(`{from: Selector}`), selector, "goes with from: Selector, and only with it"},
		{"a source that is not known", namespaces(`{from: Others}`), "spec.grants[0].namespaces.from", `supported values: "Same", "All", "Selector"`},

		{"one name", hostname("mx1.example.com"), "", ""},
		{"every name below a name", hostname("*.tenant.example.com"), "", ""},
		{"a star inside a name", hostname("mx.*.example.com"), hostname0, want},
		{"a star alone", hostname("*"), hostname0, want},
		{"part of a label", hostname("mx*.example.com"), hostname0, want},
		{"upper case", hostname("MX1.example.com"), hostname0, want},
		{"a trailing dot", hostname("mx1.example.com."), hostname0, want},
		{"a U-label", hostname("mx.bücher.example"), hostname0, want},
		{"an empty name", hostname(""), hostname0, "at least 1 chars"},
		{"longer than a name can be", hostname(strings.Repeat("a", 254)), hostname0, "253"},
		{"32 names are the most", grant(`{hostnames: ` + list(32, "mx%d.example.com") + `}`), "", ""},
		{"33 names are too many", grant(`{hostnames: ` + list(33, "mx%d.example.com") + `}`), "spec.grants[0].hostnames", "must have at most 32 items"},
		{"32 grants are the most", `{grants: ` + list(32, "{}") + `}`, "", ""},
		{"33 grants are too many", `{grants: ` + list(33, "{}") + `}`, "spec.grants", "must have at most 32 items"},
	})
}

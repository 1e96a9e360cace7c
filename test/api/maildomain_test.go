package api

import (
	"fmt"
	"strings"
	"testing"
)

const smallestMailDomain = `{domain: example.com, mailServers: [{hostname: mx1.example.com}]}`

// Digests for records: of nothing in particular, and of the empty input.
var (
	sha256Hex   = strings.Repeat("ab", 32)
	sha512Hex   = strings.Repeat("Ab", 64)
	emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	emptySHA512 = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
	label63     = strings.Repeat("a", 63)
)

func TestMailDomainNames(t *testing.T) {
	const wantDomain, wantHost = "spec.domain must be a domain name in lower case, as A-labels", "must be a host name in lower case, as A-labels"
	host := func(name string) string { return `{mailServers: [{hostname: "` + name + `"}]}` }
	check(t, "MailDomain", smallestMailDomain, []row{
		{"the smallest spec is enough", `{}`, "", ""},
		{"a name in another script is written as an A-label", `{domain: xn--bcher-kva.example}`, "", ""},
		{"a top-level domain may be an A-label", `{domain: example.xn--p1ai}`, "", ""},
		{"a label has up to 63 octets", `{domain: ` + label63 + `.com}`, "", ""},
		{"a label may start with a digit", `{domain: 1.example.com}`, "", ""},
		{"the domain is needed", `{domain: null}`, "spec.domain", "Required value"},
		{"a U-label is not what DNS carries", `{domain: bücher.example}`, "spec.domain", wantDomain},
		{"upper case would make two names of one", `{domain: Example.com}`, "spec.domain", wantDomain},
		{"a trailing dot would make two names of one", `{domain: example.com.}`, "spec.domain", "without a trailing dot, such as example.com"},
		{"a label of 64 octets cannot be sent", `{domain: a` + label63 + `.com}`, "spec.domain", wantDomain},
		{"a name of 254 octets cannot be sent", `{domain: ` + strings.Repeat(label63[:62]+".", 4) + `ab}`, "spec.domain", "253"},
		{"a name of two letters has no dot in it", `{domain: ab}`, "spec.domain", "at least 3 chars"},
		{"an empty label cannot be sent", `{domain: example..com}`, "spec.domain", wantDomain},
		{"a label does not start with a hyphen", `{domain: -example.com}`, "spec.domain", wantDomain},
		{"a label does not end with a hyphen", `{domain: example-.com}`, "spec.domain", wantDomain},
		{"an underscore is not in a mail domain", `{domain: _example.com}`, "spec.domain", wantDomain},
		{"a top-level domain has no mail", `{domain: com}`, "spec.domain", wantDomain},
		{"an address is not a domain", `{domain: 192.0.2.1}`, "spec.domain", wantDomain},
		{"a mail address is not a domain", `{domain: me@example.com}`, "spec.domain", wantDomain},

		{"a host may be in another domain", host("mx.provider.example"), "", ""},
		{"the host name is needed", `{mailServers: [{}]}`, "spec.mailServers[0].hostname", "Required value"},
		{"a U-label is not what DNS carries (host)", host("mx.bücher.example"), "spec.mailServers[0].hostname", wantHost},
		{"upper case would make two hosts of one", host("MX1.example.com"), "spec.mailServers[0].hostname", wantHost},
		{"a trailing dot would make two hosts of one", host("mx1.example.com."), "spec.mailServers[0].hostname", "without a trailing dot, such as mx1.example.com"},
		{"an MX record cannot name an address", host("192.0.2.1"), "spec.mailServers[0].hostname", wantHost},
		{"a wildcard would be every host's", host("*.example.com"), "spec.mailServers[0].hostname", wantHost},
		{"a host has a domain", host("localhost"), "spec.mailServers[0].hostname", wantHost},
		{"a host of two letters has no dot in it", host("ab"), "spec.mailServers[0].hostname", "at least 3 chars"},
		{"_25._tcp. has to fit before it", host(strings.Repeat(label63[:60]+".", 4) + "com"), "spec.mailServers[0].hostname", "240"},
	})
}

func TestMailDomainServers(t *testing.T) {
	servers := func(item string) string { return `{mailServers: [` + item + `]}` }
	ports := func(item string) string { return servers(`{hostname: mx1.example.com, ports: ` + item + `}`) }
	certificates := func(item string) string {
		return servers(`{hostname: mx1.example.com, certificates: ` + item + `}`)
	}
	probe := func(item string) string { return servers(`{hostname: mx1.example.com, probe: ` + item + `}`) }
	zone := func(item string) string { return servers(`{hostname: mx1.example.com, zoneRef: ` + item + `}`) }
	check(t, "MailDomain", smallestMailDomain, []row{
		{"16 servers are the most", `{mailServers: ` + list(16, "{hostname: mx%d.example.com}") + `}`, "", ""},
		{"17 servers are too many", `{mailServers: ` + list(17, "{hostname: mx%d.example.com}") + `}`, "spec.mailServers", "must have at most 16 items"},
		{"a domain without servers has no DANE", `{mailServers: []}`, "spec.mailServers", "should have at least 1 items"},
		{"the servers are needed", `{mailServers: null}`, "spec.mailServers", "Required value"},
		{"a host stands in the list once", servers(`{hostname: mx1.example.com}, {hostname: mx1.example.com}`), "spec.mailServers[1]", "Duplicate value"},

		{"the lowest port", ports(`[{port: 1}]`), "", ""},
		{"the highest port", ports(`[{port: 65535}]`), "", ""},
		{"a protocol may be said", ports(`[{port: 2525, protocol: SMTP}]`), "", ""},
		{"ManageSieve is a protocol", ports(`[{port: 4190, protocol: ManageSieve}]`), "", ""},
		{"8 ports are the most", ports(list(8, "{port: %d}")), "", ""},
		{"9 ports are too many", ports(list(9, "{port: %d}")), "spec.mailServers[0].ports", "must have at most 8 items"},
		{"no ports would be no records", ports(`[]`), "spec.mailServers[0].ports", "should have at least 1 items"},
		{"port 0 cannot be connected to", ports(`[{port: 0}]`), "spec.mailServers[0].ports[0].port", "should be greater than or equal to 1"},
		{"there is no port 65536", ports(`[{port: 65536}]`), "spec.mailServers[0].ports[0].port", "should be less than or equal to 65535"},
		{"a port is a number", ports(`[{port: smtp}]`), "spec.mailServers[0].ports[0].port", "must be of type integer"},
		{"a port stands in the list once", ports(`[{port: 25}, {port: 25, protocol: SMTPS}]`), "spec.mailServers[0].ports[1]", "Duplicate value"},
		{"HTTP is no mail protocol", ports(`[{port: 443, protocol: HTTPS}]`), "spec.mailServers[0].ports[0].protocol", `supported values: "SMTP", "SMTPS", "IMAP", "IMAPS", "POP3", "POP3S", "ManageSieve"`},

		{"an ECDSA and an RSA certificate side by side", certificates(`[{name: ecdsa}, {name: rsa}]`), "", ""},
		{"4 certificates are the most", certificates(list(4, "{name: c%d}")), "", ""},
		{"5 certificates are too many", certificates(list(5, "{name: c%d}")), "spec.mailServers[0].certificates", "must have at most 4 items"},
		{"a certificate stands in the list once", certificates(`[{name: a}, {name: a}]`), "spec.mailServers[0].certificates[1]", "Duplicate value"},
		{"an empty name names nothing", certificates(`[{name: ""}]`), "spec.mailServers[0].certificates[0].name", "should be at least 1 chars long"},

		{"a zone in another namespace", zone(`{name: example-com, namespace: dns}`), "", ""},
		{"a zoneRef without a name names nothing", zone(`{namespace: dns}`), "spec.mailServers[0].zoneRef.name", "Required value"},
		{"a namespace has up to 63 characters", zone(`{name: a, namespace: a` + label63 + `}`), "spec.mailServers[0].zoneRef.namespace", "may not be more than 63"},

		{"the endpoints of a Service", probe(`{serviceRef: {name: postfix}}`), "", ""},
		{"no probing at all", probe(`{mode: Disabled}`), "", ""},
		{"Enabled may be said", probe(`{serviceRef: {name: postfix}, mode: Enabled}`), "", ""},
		{"a Service that is not probed is a mistake", probe(`{serviceRef: {name: postfix}, mode: Disabled}`), "spec.mailServers[0].probe.serviceRef", "has no meaning with mode Disabled: remove one of the two"},
		{"a mode that is not known", probe(`{mode: Sometimes}`), "spec.mailServers[0].probe.mode", `supported values: "Enabled", "Disabled"`},
		{"endpoints that want a PROXY header", probe(`{serviceRef: {name: postfix}, proxyProtocol: V2}`), "", ""},
		{"the older header", probe(`{proxyProtocol: V1}`), "", ""},
		{"no PROXY header, said in so many words", probe(`{mode: Disabled, proxyProtocol: Disabled}`), "", ""},
		{"a header where nothing is probed is a mistake", probe(`{mode: Disabled, proxyProtocol: V1}`), "spec.mailServers[0].probe.proxyProtocol", "has no meaning with mode Disabled: remove one of the two"},
		{"a version of the header that is not known", probe(`{proxyProtocol: V3}`), "spec.mailServers[0].probe.proxyProtocol", `supported values: "Disabled", "V1", "V2"`},
	})
}

func TestMailDomainStrategies(t *testing.T) {
	with := func(strategy, parameters, certificate string) string {
		return `{rollover: {strategy: ` + strategy + `}, tlsa: {parameters: ` + parameters + `}, mailServers: [` +
			`{hostname: mx1.example.com, certificates: [` + certificate + `]}, {hostname: mx.elsewhere.example}]}`
	}
	const stageNeeds = "servingSecretName is required with spec.rollover.strategy Stage: it names the Secret that the mail server mounts"
	check(t, "MailDomain", smallestMailDomain, []row{
		{"Gate with SHA-256 of the key", with("Gate", `["3 1 1"]`, `{name: a}`), "", ""},
		{"Gate with SHA-512 of the key", with("Gate", `["3 1 2"]`, `{name: a}`), "", ""},
		{"Gate with an issuer's key beside the own", with("Gate", `["2 1 1", "3 1 1"]`, `{name: a}`), "", ""},
		{"Gate knows the key alone, and 2 1 1 needs the chain", with("Gate", `["2 1 1"]`, `{name: a}`), "spec.tlsa.parameters", `strategy Gate needs a parameter set with usage 3 and selector 1 ("3 1 1" or "3 1 2")`},
		{"Gate cannot know the certificate that will be", with("Gate", `["3 1 1", "3 0 1"]`, `{name: a}`), "spec.tlsa.parameters", `strategy Gate cannot publish "3 0 x", the digest of a certificate that does not exist yet; use "3 1 1", or set spec.rollover.strategy to Stage`},
		{"Gate is the default, and its rules with it", `{tlsa: {parameters: ["3 0 2"]}}`, "spec.tlsa.parameters", `strategy Gate cannot publish "3 0 x"`},
		{"Gate has no Secret of its own", with("Gate", `["3 1 1"]`, `{name: a, servingSecretName: b}`), "spec.mailServers", "servingSecretName is written with spec.rollover.strategy Stage only"},

		{"Stage copies to the serving Secret", with("Stage", `["3 1 1"]`, `{name: a, servingSecretName: b}`), "", ""},
		{"Stage can publish the certificate's digest", with("Stage", `["3 0 1"]`, `{name: a, servingSecretName: b}`), "", ""},
		{"Stage can pin an issuer", with("Stage", `["2 0 1", "2 1 1"]`, `{name: a, servingSecretName: b}`), "", ""},
		{"Stage needs to know the serving Secret", with("Stage", `["3 1 1"]`, `{name: a}`), "spec.mailServers", stageNeeds},
		{"one certificate of Stage without its Secret", with("Stage", `["3 1 1"]`, `{name: a, servingSecretName: b}, {name: c}`), "spec.mailServers", stageNeeds},

		{"Follow publishes what there is", with("Follow", `["3 0 1"]`, `{name: a}`), "", ""},
		{"Follow has no Secret of its own", with("Follow", `["3 1 1"]`, `{name: a, servingSecretName: b}`), "spec.mailServers", "with Gate and Follow the server mounts the Certificate's own Secret"},
		{"a strategy that is not known", with("Hope", `["3 1 1"]`, `{name: a}`), "spec.rollover.strategy", `supported values: "Gate", "Stage", "Follow"`},
	})
}

func TestMailDomainTLSA(t *testing.T) {
	follow := func(tlsa string) string { return `{rollover: {strategy: Follow}, tlsa: ` + tlsa + `}` }
	parameters := func(item string) string { return follow(`{parameters: ["` + item + `"]}`) }
	record := func(item string) string { return follow(`{additionalRecords: ["` + item + `"]}`) }
	const wantParameters, wantRecord = `spec.tlsa.parameters: want "USAGE SELECTOR MATCHING-TYPE"`, `spec.tlsa.additionalRecords: want TLSA RDATA such as "3 1 1 HEX"`
	const parameter0, record0 = "spec.tlsa.parameters[0]", "spec.tlsa.additionalRecords[0]"
	rows := []row{
		{"the shortest TTL", follow(`{ttl: 1}`), "", ""},
		{"the longest TTL", follow(`{ttl: 86400}`), "", ""},
		{"TTL 0 is not to be cached, and hides the change from sweeps", follow(`{ttl: 0}`), "spec.tlsa.ttl", "should be greater than or equal to 1"},
		{"more than a day makes every rollover last for days", follow(`{ttl: 86401}`), "spec.tlsa.ttl", "should be less than or equal to 86400"},
		{"a TTL is in seconds", follow(`{ttl: 1h}`), "spec.tlsa.ttl", "must be of type integer"},

		{"usage 0 is not for mail", parameters("0 1 1"), parameter0, "0 and 1 are not for mail, RFC 7672 section 3.1.3"},
		{"usage 1 is not for mail", parameters("1 1 1"), parameter0, wantParameters},
		{"there is no usage 4", parameters("4 1 1"), parameter0, wantParameters},
		{"there is no selector 2", parameters("3 2 1"), parameter0, "selector 0 or 1"},
		{"matching type 0 makes answers too large", parameters("3 1 0"), parameter0, "0, the full data, makes answers too large, RFC 7671 section 10.1.2"},
		{"there is no matching type 3", parameters("3 1 3"), parameter0, wantParameters},
		{"three numbers without spaces", parameters("311"), parameter0, wantParameters},
		{"a record is not a parameter set", parameters("3 1 1 ab"), parameter0, wantParameters},
		{"much too long", parameters("3 1 1                       "), parameter0, "16"},
		{"no parameters would be no records", follow(`{parameters: []}`), "spec.tlsa.parameters", "should have at least 1 items"},
		{"the same parameters twice", follow(`{parameters: ["3 1 1", "3 1 1"]}`), "spec.tlsa.parameters[1]", "Duplicate value"},

		{"a record with SHA-256", record("3 1 1 " + sha256Hex), "", ""},
		{"a record with SHA-512", record("2 0 2 " + sha512Hex), "", ""},
		{"a digest that is too short", record("3 1 1 abcd"), record0, wantRecord},
		{"SHA-512 under the name of SHA-256", record("3 1 1 " + sha512Hex), record0, "64 hex digits for matching type 1 or 128 for matching type 2"},
		{"usage 1 is not for mail (record)", record("1 1 1 " + sha256Hex), record0, wantRecord},
		{"a full certificate", record("3 0 0 3082"), record0, wantRecord},
		{"no hex", record("3 1 1 " + strings.Repeat("xy", 32)), record0, wantRecord},
		{"the digest of nothing", record("3 1 1 " + emptySHA256), record0, "this is the digest of an empty input, which no certificate matches"},
		{"the digest of nothing in upper case", record("2 1 1 " + strings.ToUpper(emptySHA256)), record0, "digest of an empty input"},
		{"the digest of nothing by SHA-512", record("3 1 2 " + emptySHA512), record0, "digest of an empty input"},
		{"longer than a record can be", record(strings.Repeat("3", 161)), record0, "160"},
		{"a record stands in the list once", follow(`{additionalRecords: ` + list(2, `"3 1 1 `+sha256Hex+`"`) + `}`), "spec.tlsa.additionalRecords[1]", "Duplicate value"},
		{"8 more records are the most", follow(`{additionalRecords: ` + list(8, `"3 1 1 `+sha256Hex[:63]+`%d"`) + `}`), "", ""},
		{"9 more records are too many", follow(`{additionalRecords: ` + list(9, `"3 1 1 `+sha256Hex[:63]+`%d"`) + `}`), "spec.tlsa.additionalRecords", "must have at most 8 items"},

		{"foreign records can be taken out", follow(`{foreignRecords: Remove}`), "", ""},
		{"a policy that is not known", follow(`{foreignRecords: Eat}`), "spec.tlsa.foreignRecords", `supported values: "Keep", "Remove"`},
	}
	for _, allowed := range []string{"3 1 1", "3 1 2", "3 0 1", "3 0 2", "2 0 1", "2 1 1", "2 0 2", "2 1 2"} {
		rows = append(rows, row{allowed + " is allowed", parameters(allowed), "", ""})
	}
	check(t, "MailDomain", smallestMailDomain, rows)
}

func TestMailDomainRollover(t *testing.T) {
	rollover := func(item string) string { return `{rollover: ` + item + `}` }
	key := func(item string) string { return rollover(`{compromisedKeys: ["` + item + `"]}`) }
	rows := []row{
		{"standby keys can be off", rollover(`{standbyKey: Disabled}`), "", ""},
		{"a standby mode that is not known", rollover(`{standbyKey: Perhaps}`), "spec.rollover.standbyKey", `supported values: "Enabled", "Disabled"`},
		{"a key to leave", key(sha256Hex), "", ""},
		{"a key to leave, in upper case", key(strings.ToUpper(sha256Hex)), "", ""},
		{"a digest that is too short (key)", key("abcd"), "spec.rollover.compromisedKeys[0]", "want the SHA-256 digest of the public key as 64 hex digits, as status.mailServers[].keys[].spkiSHA256 shows it"},
		{"openssl writes colons", key(strings.Repeat("ab:", 21) + "a"), "spec.rollover.compromisedKeys[0]", "64 hex digits"},
		{"SHA-512 is not what names a key", key(sha512Hex), "spec.rollover.compromisedKeys[0]", "64"},
		{"a key stands in the list once", rollover(`{compromisedKeys: ` + list(2, sha256Hex) + `}`), "spec.rollover.compromisedKeys[1]", "Duplicate value"},
		{"32 keys to leave are the most", rollover(`{compromisedKeys: ` + keys(32) + `}`), "", ""},
		{"33 keys to leave are too many", rollover(`{compromisedKeys: ` + keys(33) + `}`), "spec.rollover.compromisedKeys", "must have at most 32 items"},
		{"Proceed is an action", rollover(`{deadline: {action: Proceed}}`), "", ""},
		{"an action that is not known", rollover(`{deadline: {action: Panic}}`), "spec.rollover.deadline.action", `supported values: "Hold", "Proceed"`},
		{"DNSSEC can be ignored in a lab", `{dnssec: Ignored}`, "", ""},
		{"a DNSSEC policy that is not known", `{dnssec: Maybe}`, "spec.dnssec", `supported values: "Required", "Ignored"`},
		{"records can be retained", `{deletionPolicy: Retain}`, "", ""},
		{"a deletion policy that is not known", `{deletionPolicy: Orphan}`, "spec.deletionPolicy", `supported values: "Remove", "Retain"`},
		{"suspend is yes or no", `{suspend: "yes"}`, "spec.suspend", "must be of type boolean"},
	}
	for _, field := range []string{"publishSafety", "retireSafety", "deadline.beforeExpiry"} {
		rows = append(rows, durationRows("rollover."+field, "8760h")...)
	}
	check(t, "MailDomain", smallestMailDomain, rows)
}

// keys are n different digests.
func keys(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`"%064x"`, i+1)
	}
	return "[" + strings.Join(all, ", ") + "]"
}

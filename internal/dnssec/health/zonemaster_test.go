package health

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/conformance"
)

// scenario is one of Zonemaster: the tags that it must raise. All other tags of the case it must not.
type scenario struct {
	Case, Scenario string
	Mandatory      []string
}

// broken are the codes of what Zonemaster may mean by a signature that does not verify.
var broken = []Code{SignatureMissing, SignatureExpired, SignatureNotYetValid, SignatureByUnknownKey, SignatureInvalid, DenialUnproven}

// unanswered are those of a question that brings no usable answer.
var unanswered = []Code{QuestionUnanswered, QuestionRefused, NotAuthoritative, ServerLame}

// tags say for each tag of Zonemaster by which code it is found here, any of them. Those that tell of
// nothing wrong have none.
var tags = map[string][]Code{
	"DS01_DS_ALGO_DEPRECATED": {DSDigestWeak, DSDigestObsolete}, "DS01_DS_ALGO_NOT_DS": {DSDigestUnknown},
	"DS01_DS_ALGO_PRIVATE": {DSDigestUnknown}, "DS01_DS_ALGO_RESERVED": {DSDigestUnknown}, "DS01_DS_ALGO_UNASSIGNED": {DSDigestUnknown},
	"DS01_DS_ALGO_2_MISSING": {DSWithoutSHA256}, "DS01_DS_ALGO_OK": nil, "DS01_NO_RESPONSE": {ParentUnanswered},
	"DS01_PARENT_SERVER_NO_DS": {DSDiffers}, "DS01_PARENT_ZONE_NO_DS": {SignedWithoutDS, ZoneUnsigned},

	"DS03_ERR_MULT_NSEC3": {DenialMultiple}, "DS03_ILLEGAL_HASH_ALGO": {NSEC3Hash}, "DS03_ILLEGAL_ITERATION_VALUE": {NSEC3Iterations, NSEC3IterationsExcessive},
	"DS03_ILLEGAL_SALT_LENGTH": {NSEC3Salt}, "DS03_INCONSISTENT_HASH_ALGO": {NSEC3Differs}, "DS03_INCONSISTENT_ITERATION": {NSEC3Differs},
	"DS03_INCONSISTENT_NSEC3_FLAGS": {NSEC3Differs}, "DS03_INCONSISTENT_SALT_LENGTH": {NSEC3Differs}, "DS03_NO_DNSSEC_SUPPORT": {ZoneUnsigned, DSOfUnsignedZone},
	"DS03_SERVER_NO_DNSSEC_SUPPORT": {UnsignedAtServer}, "DS03_SERVER_NO_NSEC3": {DenialDiffers}, "DS03_NSEC3_OPT_OUT_ENABLED_NON_TLD": {NSEC3OptOut},
	"DS03_UNASSIGNED_FLAG_USED": {NSEC3Flags}, "DS03_ERROR_RESPONSE_NSEC_QUERY": {QuestionRefused}, "DS03_NO_RESPONSE_NSEC_QUERY": {QuestionUnanswered},
	"DS03_NO_NSEC3": nil, "DS03_LEGAL_EMPTY_SALT": nil, "DS03_LEGAL_HASH_ALGO": nil, "DS03_LEGAL_ITERATION_VALUE": nil,
	"DS03_NSEC3_OPT_OUT_DISABLED": nil, "DS03_NSEC3_OPT_OUT_ENABLED_TLD": nil,

	"DS05_ALGO_DEPRECATED": {AlgorithmDeprecated}, "DS05_ALGO_NOT_RECOMMENDED": {AlgorithmNotRecommended}, "DS05_ALGO_NOT_ZONE_SIGN": {AlgorithmUnknown},
	"DS05_ALGO_PRIVATE": {AlgorithmUnknown}, "DS05_ALGO_RESERVED": {AlgorithmUnknown}, "DS05_ALGO_UNASSIGNED": {AlgorithmUnknown}, "DS05_ALGO_OK": nil,
	"DS05_NO_RESPONSE": unanswered, "DS05_SERVER_NO_DNSSEC": {UnsignedAtServer}, "DS05_ZONE_NO_DNSSEC": {ZoneUnsigned, DSOfUnsignedZone},

	"DS07_NO_DS_FOR_SIGNED_ZONE": {SignedWithoutDS}, "DS07_NO_DS_ON_PARENT_SERVER": {SignedWithoutDS, DSDiffers}, "DS07_INCONSISTENT_DS": {DSDiffers},
	"DS07_INCONSISTENT_SIGNED": {UnsignedAtServer}, "DS07_NOT_SIGNED_ON_SERVER": {UnsignedAtServer, ZoneUnsigned, DSOfUnsignedZone},
	"DS07_NOT_SIGNED": {ZoneUnsigned, DSOfUnsignedZone}, "DS07_NON_AUTH_RESPONSE_DNSKEY": {NotAuthoritative}, "DS07_NO_RESPONSE_DNSKEY": {QuestionUnanswered},
	"DS07_UNEXP_RCODE_RESP_DNSKEY": {QuestionRefused}, "DS07_SIGNED": nil, "DS07_SIGNED_ON_SERVER": nil, "DS07_DS_FOR_SIGNED_ZONE": nil, "DS07_DS_ON_PARENT_SERVER": nil,

	"DS10_ALGO_NOT_SUPPORTED_BY_ZM": {AlgorithmUnknown, AlgorithmDeprecated}, "DS10_ERR_MULT_NSEC": {DenialMultiple}, "DS10_ERR_MULT_NSEC3": {DenialMultiple},
	"DS10_ERR_MULT_NSEC3PARAM": {DenialMultiple}, "DS10_EXPECTED_NSEC_NSEC3_MISSING": append([]Code{QuestionRefused, QuestionUnanswered}, broken...),
	"DS10_HAS_NSEC": nil, "DS10_HAS_NSEC3": nil, "DS10_INCONSISTENT_NSEC": append([]Code{DenialDiffers, UnsignedAtServer, AnswerMismatch}, append(unanswered, broken...)...),
	"DS10_INCONSISTENT_NSEC3": append([]Code{DenialDiffers, UnsignedAtServer, AnswerMismatch}, append(unanswered, broken...)...), "DS10_INCONSISTENT_NSEC_NSEC3": {DenialDiffers},
	"DS10_MIXED_NSEC_NSEC3": {DenialMixed}, "DS10_NSEC3PARAM_GIVES_ERR_ANSWER": {AnswerMismatch}, "DS10_NSEC_GIVES_ERR_ANSWER": {AnswerMismatch},
	"DS10_NSEC3PARAM_MISMATCHES_APEX": {DenialMisplaced}, "DS10_NSEC3_MISMATCHES_APEX": {DenialMisplaced}, "DS10_NSEC_MISMATCHES_APEX": {DenialMisplaced},
	"DS10_NSEC3PARAM_QUERY_RESPONSE_ERR": unanswered, "DS10_NSEC_QUERY_RESPONSE_ERR": unanswered, "DS10_NSEC3_ERR_TYPE_LIST": {DenialTypes}, "DS10_NSEC_ERR_TYPE_LIST": {DenialTypes},
	"DS10_NSEC3_MISSING_SIGNATURE": {SignatureMissing}, "DS10_NSEC_MISSING_SIGNATURE": {SignatureMissing}, "DS10_NSEC3_NODATA_MISSING_SOA": {DenialWithoutSOA},
	"DS10_NSEC_NODATA_MISSING_SOA": {DenialWithoutSOA}, "DS10_NSEC3_NODATA_WRONG_SOA": {DenialWithoutSOA}, "DS10_NSEC_NODATA_WRONG_SOA": {DenialWithoutSOA},
	"DS10_NSEC3_NO_VERIFIED_SIGNATURE": broken, "DS10_NSEC_NO_VERIFIED_SIGNATURE": broken, "DS10_NSEC3_RRSIG_NO_DNSKEY": {SignatureByUnknownKey}, "DS10_NSEC_RRSIG_NO_DNSKEY": {SignatureByUnknownKey},
	"DS10_NSEC3_RRSIG_EXPIRED": {SignatureExpired}, "DS10_NSEC_RRSIG_EXPIRED": {SignatureExpired}, "DS10_NSEC3_RRSIG_NOT_YET_VALID": {SignatureNotYetValid},
	"DS10_NSEC_RRSIG_NOT_YET_VALID": {SignatureNotYetValid}, "DS10_NSEC3_RRSIG_VERIFY_ERROR": {SignatureInvalid}, "DS10_NSEC_RRSIG_VERIFY_ERROR": {SignatureInvalid},
	"DS10_SERVER_NO_DNSSEC": {UnsignedAtServer}, "DS10_ZONE_NO_DNSSEC": {ZoneUnsigned, DSOfUnsignedZone},

	"DS16_CDS_INVALID_RRSIG": {SignatureInvalid}, "DS16_CDS_MATCHES_NON_SEP_DNSKEY": {CDSKeyNotSEP}, "DS16_CDS_MATCHES_NON_ZONE_DNSKEY": {CDSKeyUnusable},
	"DS16_CDS_MATCHES_NO_DNSKEY": {CDSMatchesNoKey}, "DS16_CDS_NOT_SIGNED_BY_CDS": {CDSNotSignedByItsKey}, "DS16_CDS_SIGNED_BY_UNKNOWN_DNSKEY": {SignatureByUnknownKey},
	"DS16_CDS_UNSIGNED": {SignatureMissing}, "DS16_CDS_WITHOUT_DNSKEY": {CDSOfUnsignedZone}, "DS16_DELETE_CDS": {CDSDelete},
	"DS16_DNSKEY_NOT_SIGNED_BY_CDS": {CDSKeyDoesNotSign}, "DS16_MIXED_DELETE_CDS": {CDSDeleteMixed},
}

// follows are codes that come with a tag because they follow from the same fault.
var follows = map[string][]Code{
	// Nothing signs the DNSKEY RRset at all.
	"DS16_DNSKEY_NOT_SIGNED_BY_CDS": {SignatureMissing},
	// The zone below is unsigned in these scenarios.
	"DS01_NO_RESPONSE": {ZoneUnsigned},
	// A list of types that is wrong proves what is not so, and so does the record of another name.
	"DS10_NSEC3_ERR_TYPE_LIST": {DenialUnproven}, "DS10_NSEC_ERR_TYPE_LIST": {DenialUnproven},
	"DS10_NSEC3_MISMATCHES_APEX": {DenialUnproven}, "DS10_NSEC_MISMATCHES_APEX": {DenialUnproven}, "DS10_NSEC3PARAM_MISMATCHES_APEX": {DenialUnproven},
	// One of two proofs denies what is the other's.
	"DS10_MIXED_NSEC_NSEC3": {DenialTypes}, "DS10_INCONSISTENT_NSEC": {DenialTypes}, "DS10_INCONSISTENT_NSEC3": {DenialTypes},
}

// questions are those that the servers of a case answer.
var questions = map[string][]uint16{
	"dnssec01": {dns.TypeSOA, dns.TypeDNSKEY}, "dnssec03": {dns.TypeSOA, dns.TypeDNSKEY, dns.TypeNSEC}, "dnssec05": {dns.TypeSOA, dns.TypeDNSKEY},
	"dnssec07": {dns.TypeSOA, dns.TypeDNSKEY}, "dnssec10": {dns.TypeDNSKEY, dns.TypeNSEC, dns.TypeNSEC3PARAM},
	"dnssec16": {dns.TypeSOA, dns.TypeNS, dns.TypeDNSKEY, dns.TypeCDS},
}

// differs says why scenarios are not decided alike.
var differs = map[string]string{
	"dnssec01 UNDEL-NO-UNDEL-DS-1":          notDelegated,
	"dnssec01 UNDEL-WITH-UNDEL-DS-1":        notDelegated,
	"dnssec01 ROOT-NO-UNDEL-DS-1":           notDelegated,
	"dnssec01 ROOT-WITH-UNDEL-DS-1":         notDelegated,
	"dnssec10 NSEC3PARAM-Q-RESPONSE-ERR-3":  "the fault (no AA bit) is not in the data, as a comment there says",
	"dnssec10 NSEC-QUERY-RESPONSE-ERR-3":    "the fault (no AA bit) is not in the data, as a comment there says",
	"dnssec16 CDS-MATCHES-NON-ZONE-DNSKEY":  "the digest of CDS is not that of the key in the data, whose tag alone fits; so no key matches, which is found",
	"dnssec16 CDS-SIGNED-BY-UNKNOWN-DNSKEY": "one good signature is enough (RFC 4035 section 5.3.3), and CDS has one; the signature over DNSKEY in the data does not verify, which is found",
	"dnssec16 CDS-WITHOUT-DNSKEY":           "the servers answer SERVFAIL to DNSKEY, which is told as that, and not that there are no keys",
	"dnssec16 NO-CDS":                       "the answer that there is no CDS has no proof in the data, which is found",
}

const notDelegated = "a test of a zone before it is delegated, with DS records entered by hand; what is judged here is delegated, or has trust anchors"

func (s scenario) zone(c *coredns) string {
	name := strings.ToLower(s.Scenario) + "." + s.Case + ".xa."
	switch {
	case len(c.childServers("child."+name)) > 0:
		return "child." + name
	case len(c.childServers(name)) == 0:
		return strings.ToLower(s.Scenario) + "-" + s.Case + "."
	}
	return name
}

// judge says what is missing and what is too much; empty when all is alike.
func (s scenario) judge(found []Finding) []string {
	var out []string
	allowed, codes := map[Code]bool{}, map[Code]bool{}
	for _, f := range found {
		codes[f.Code] = true
	}
	for _, tag := range s.Mandatory {
		hit := len(tags[tag]) == 0
		for _, code := range follows[tag] {
			allowed[code] = true
		}
		for _, code := range tags[tag] {
			allowed[code] = true
			hit = hit || codes[code]
		}
		if !hit {
			out = append(out, "not found: "+tag)
		}
	}
	prefix := "DS" + strings.TrimPrefix(s.Case, "dnssec")
	for tag, of := range tags {
		for _, code := range of {
			if strings.HasPrefix(tag, prefix) && codes[code] && !allowed[code] {
				out = append(out, "too much: "+string(code))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestZonemaster judges the zones of Zonemaster's own tests, and compares by class of finding.
func TestZonemaster(t *testing.T) {
	corpus := filepath.Join(conformance.Dir(t), "zonemaster-dnssec")
	text := conformance.Read(t, "zonemaster-dnssec/scenarios.json")
	var scenarios []scenario
	if err := json.Unmarshal(text, &scenarios); err != nil {
		t.Fatal(err)
	}
	servers := map[string]*coredns{}
	total, agreed := map[string]int{}, map[string]int{}
	seen := map[string]bool{}
	for _, s := range scenarios {
		if servers[s.Case] == nil {
			servers[s.Case] = readCorefile(t, filepath.Join(corpus, "test-zone-data"), filepath.Join("DNSSEC-TP", s.Case, s.Case+".cfg"))
		}
		total[s.Case]++
		name := s.Case + " " + s.Scenario
		c := servers[s.Case]
		zone := s.zone(c)
		o := c.observe(zone, questions[s.Case])
		problems := s.judge(Judge(o).Findings)
		if len(o.Servers) == 0 {
			problems = append(problems, "no servers for "+zone)
		}
		seen[name] = true
		switch {
		case len(problems) == 0 && differs[name] == "":
			agreed[s.Case]++
		case len(problems) == 0:
			t.Errorf("%s agrees, and stands among those that do not", name)
		case differs[name] == "":
			t.Errorf("%s: %s: %s", name, zone, strings.Join(problems, "; "))
			for _, f := range Judge(o).Findings {
				t.Logf("    %s %s %s: %s", f.Severity, f.Code, f.Server, f.Message)
			}
		}
	}
	for name := range differs {
		if !seen[name] {
			t.Errorf("there is no scenario %s", name)
		}
	}
	if len(scenarios) < 150 {
		t.Errorf("%d scenarios were read", len(scenarios))
	}
	publish(t, total, agreed)
}

// publish compares the figures with the page, or writes them there.
func publish(t *testing.T, total, agreed map[string]int) {
	t.Helper()
	var rows, why []string
	for _, of := range slices.Sorted(maps.Keys(total)) {
		rows = append(rows, fmt.Sprintf("| Zonemaster %s | %d | %d | %d |", of, total[of], agreed[of], total[of]-agreed[of]))
	}
	for _, name := range slices.Sorted(maps.Keys(differs)) {
		why = append(why, fmt.Sprintf("| Zonemaster scenario %s | %s |", name, differs[name]))
	}
	conformance.Lines(t, "| Zonemaster dnssec", rows)
	conformance.Lines(t, "| Zonemaster scenario ", why)
}

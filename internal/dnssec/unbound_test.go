package dnssec

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/conformance"
)

const unboundCorpus = "unbound-val"

// listed is a file as the index of the corpus describes it.
type listed struct {
	File string
	// Checks is how many answers the file has.
	Checks int
}

// exception is why an answer differs from unbound's, or is not compared.
type exception struct {
	// steps are those concerned; none for all of the file.
	steps  []int
	reason string
}

// The reasons of exceptions.
const (
	cachedProof = "the proof stands in an earlier answer alone (RFC 8198): here every answer brings its own"
	cachedData  = "answers from a cache, fresh or expired: RRsets are not kept here"
	rewriting   = "answers that unbound makes up: DNS64, RPZ, response-ip, local zones, root key sentinel, negative trust anchors"
	automatic   = "trust anchors that update themselves (RFC 5011): here the user replaces them"
	notPart     = "features of a resolver that are no part of validation: delayed replies, CD, class ANY, types ANY and RRSIG, another try at the same server, a referral as answer to a question for DS"
	aliasCode   = "the response code of the end of an alias, in answer to a question for the alias itself"
	allAnchors  = "every algorithm of the trust anchors must verify: here one is enough (RFC 6840 section 5.11)"
	tooLong     = "YXDOMAIN is not said to be secure: here it is, since the DNAME that proves it is signed"
	noAnchor    = "an alias without a trust anchor above it: unbound takes it for insecure, here it is not known and not followed"
	otherGlue   = "addresses of servers that stand in another zone's referral alone: here they are looked up"
	anchorAbove = "a zone above denies that there is the zone of the trust anchor: unbound believes it, here the closest anchor alone counts (RFC 6840 appendix C.1)"
	twoAnswers  = "a name with an alias and other data, both signed: unbound follows the alias, here the RRset asked for is taken"
)

// exceptions by file. Each has to be one: where all answers agree it is an error to name the file.
var exceptions = map[string][]exception{
	"autotrust_init_fail.rpl":    {{nil, automatic}},
	"autotrust_init_failsig.rpl": {{nil, automatic}},
	"autotrust_probefail.rpl":    {{nil, automatic}},
	"autotrust_probefailsig.rpl": {{nil, automatic}},
	"autotrust_init.rpl":         {{nil, automatic}},
	"autotrust_init_ds.rpl":      {{nil, automatic}},
	"autotrust_init_sigs.rpl":    {{nil, automatic}},
	"autotrust_init_zsk.rpl":     {{nil, automatic}},
	"autotrust_valid_use.rpl":    {{nil, automatic}},

	"dns64_dnssec.rpl":                   {{[]int{2, 11, 51, 61, 71, 111}, rewriting}},
	"root_key_sentinel.rpl":              {{[]int{22, 24, 33, 35}, rewriting}},
	"rpz_val_block.rpl":                  {{[]int{11, 31, 33}, rewriting}},
	"val_negcache_nta.rpl":               {{[]int{30}, rewriting}},
	"respip_cname_loop_tagged.rpl":       {{nil, rewriting}},
	"serve_expired_wildcard_swap_ad.rpl": {{[]int{40}, noAnchor}},
	"chaos_trustanchor.rpl":              {{[]int{10}, rewriting}},
	"domain_insec_ds.rpl":                {{[]int{10, 21}, rewriting}},

	"iter_nxns_cached.rpl":    {{[]int{40}, notPart}},
	"nsec_cross_zone.rpl":     {{[]int{10}, notPart}},
	"iter_dnsseclame_bug.rpl": {{[]int{50}, notPart}},
	"iter_ds_referral.rpl":    {{[]int{10}, notPart}},
	"val_faildnskey_ok.rpl":   {{[]int{10}, notPart}},
	"val_any.rpl":             {{[]int{10}, notPart}},
	"val_any_cap.rpl":         {{[]int{10}, notPart}},
	"val_any_cname.rpl":       {{[]int{10}, notPart}},
	"val_any_dname.rpl":       {{[]int{10}, notPart}},
	"val_any_negcache.rpl":    {{[]int{30}, notPart}},
	"val_nsec3_wcany.rpl":     {{[]int{10}, notPart}},
	"val_rrsig.rpl":           {{[]int{10}, notPart}},

	"serve_expired_client_timeout_val_insecure_delegation.rpl": {{[]int{40}, cachedData}},
	"serve_expired_respip_cname.rpl":                           {{[]int{40}, cachedData}},
	"serve_expired_rpz_nx.rpl":                                 {{[]int{40}, cachedData}},
	"serve_expired_client_timeout_val_bogus.rpl":               {{[]int{30}, cachedData}},
	"serve_expired_val_bogus.rpl":                              {{[]int{30, 50}, cachedData}},
	"iter_dname_ttl.rpl":                                       {{[]int{50}, cachedData}},
	"iter_dname_ttl0.rpl":                                      {{[]int{40}, cachedData}},
	"iter_dname_ttl0_grace.rpl":                                {{[]int{40, 47, 52, 57}, cachedData}},
	"iter_scrub_dname_rev.rpl":                                 {{[]int{90}, cachedData}},
	"iter_scrub_dname_sec.rpl":                                 {{[]int{90, 250}, cachedData}},
	"val_dname_twice.rpl":                                      {{[]int{130}, cachedData}},
	"val_dnametopos.rpl":                                       {{[]int{130}, cachedData}},
	"val_refer_unsignadd.rpl":                                  {{[]int{12}, cachedData}},
	"val_referd.rpl":                                           {{[]int{6}, cachedData}},
	"val_referglue.rpl":                                        {{[]int{6}, cachedData}},
	"stop_nxdomain.rpl":                                        {{[]int{30}, cachedData}},
	"stop_nxdomain_label.rpl":                                  {{[]int{30}, cachedData}},
	"stop_nxdomain_minimised.rpl":                              {{[]int{10, 30, 50}, cachedData}},

	"rrsig_agr_wild.rpl":            {{[]int{90}, cachedProof}},
	"val_cnametoinsecure.rpl":       {{[]int{10, 30}, cachedProof}},
	"val_cnametooptout.rpl":         {{[]int{10}, cachedProof}},
	"val_negcache_nodata.rpl":       {{[]int{30, 70}, cachedProof}},
	"val_negcache_nxdomain.rpl":     {{[]int{30}, cachedProof}},
	"val_negcache_ttl.rpl":          {{[]int{12}, cachedProof}},
	"val_negcache_ttl_prefetch.rpl": {{[]int{12}, cachedProof}},
	"val_cnametonsec.rpl":           {{[]int{10}, cachedProof}},
	"val_cnametooptin.rpl":          {{[]int{10}, cachedProof}},

	"val_anchor_nx.rpl":        {{[]int{10}, anchorAbove}},
	"val_cnameother.rpl":       {{[]int{21}, twoAnswers}},
	"val_cnameqtype.rpl":       {{[]int{50, 90, 170, 210}, cachedData}, {[]int{110, 150}, otherGlue}, {[]int{130, 190}, aliasCode}},
	"val_cnameqtype_qmin.rpl":  {{[]int{50, 90, 170, 210}, cachedData}, {[]int{110, 150}, otherGlue}, {[]int{130, 190}, aliasCode}},
	"val_dnameqtype.rpl":       {{[]int{90, 170, 210}, cachedData}, {[]int{110, 130, 150, 190}, otherGlue}},
	"val_dnameqtype_qmin.rpl":  {{[]int{90, 170, 210}, cachedData}, {[]int{110, 130, 150, 190}, otherGlue}},
	"val_dnametoolong.rpl":     {{[]int{10}, tooLong}},
	"val_ta_algo_missing.rpl":  {{[]int{10, 12}, allAnchors}},
	"iter_class_any_merge.rpl": {{nil, notPart}},
}

// absent are files that the index lists, and whose contents the corpus does not have: of unbound as a server of its own
// copies of zones, and of its local data.
var absent = []string{
	"auth_xfr_host_bogus.rpl", "auth_zonefile_dnssec.rpl", "auth_zonefile_dnssec_fail.rpl", "auth_zonefile_down.rpl",
	"auth_zonemd_anchor.rpl", "auth_zonemd_anchor_fail.rpl", "auth_zonemd_chain.rpl", "auth_zonemd_chain_fail.rpl",
	"auth_zonemd_insecure.rpl", "auth_zonemd_insecure_absent.rpl", "auth_zonemd_insecure_absent_reject.rpl",
	"auth_zonemd_insecure_fail.rpl", "auth_zonemd_nokey.rpl", "auth_zonemd_xfr_anchor.rpl",
	"auth_zonemd_xfr_anchor_fail.rpl", "auth_zonemd_xfr_chain.rpl", "auth_zonemd_xfr_chain_fail.rpl",
	"auth_zonemd_xfr_chain_keyinxfr.rpl", "local_cname.rpl",
}

// TestUnbound replays the validator tests of unbound: every answer of every file, but for the exceptions,
// which are named with their reasons. Most files are signed with DSA, which only this test verifies.
func TestUnbound(t *testing.T) {
	index := conformance.Read(t, unboundCorpus+"/index.json")
	var files []listed
	if err := json.Unmarshal(index, &files); err != nil {
		t.Fatal(err)
	}
	tally := unboundTally{agreed: map[string]int{}, reasons: map[string]int{}, files: map[string][]string{}}
	for _, f := range files {
		_, err := os.Stat(filepath.Join(conformance.Dir(t), unboundCorpus, "rpl", f.File))
		if missing := slices.Contains(absent, f.File); missing != (err != nil) {
			t.Errorf("%s: named as one that the corpus does not have: %t; and reading it: %v", f.File, missing, err)
		}
		if err != nil {
			tally.without = append(tally.without, f)
			continue
		}
		tally.replayed++
		t.Run(f.File, func(t *testing.T) {
			s := readScenario(t, f.File, string(conformance.Read(t, unboundCorpus+"/rpl/"+f.File)))
			tally.replay(t, s)
		})
	}
	if tally.agreed["secure"] < 170 || tally.agreed["bogus"] < 75 {
		t.Errorf("only so many answers were compared: %v", tally.agreed)
	}
	// All answers that the index counts are in one row or another.
	conformance.Published(t, "unbound", 540, tally.rows())
}

// unboundTally counts answers.
type unboundTally struct {
	// agreed by what the answers are.
	agreed map[string]int
	// reasons of exceptions, with the number of answers and the files.
	reasons map[string]int
	files   map[string][]string
	// replayed counts files, without are those whose contents are missing.
	replayed int
	without  []listed
}

func (u *unboundTally) rows() []conformance.Row {
	var rows []conformance.Row
	for _, what := range slices.Sorted(maps.Keys(u.agreed)) {
		rows = append(rows, conformance.Row{Corpus: "unbound", Part: fmt.Sprintf("answers of %d files: %s", u.replayed, what), Cases: u.agreed[what], Agreed: u.agreed[what], Reason: "-"})
	}
	answers := 0
	var names []string
	for _, f := range u.without {
		answers += f.Checks
		names = append(names, shown(f.File))
	}
	rows = append(rows, conformance.Row{Corpus: "unbound", Part: fmt.Sprintf("%d files without contents", len(names)), Cases: answers,
		Reason: "not compared: the index lists them, and the corpus does not have them (" + strings.Join(names, ", ") + ")"})
	for _, reason := range slices.Sorted(maps.Keys(u.reasons)) {
		rows = append(rows, conformance.Row{Corpus: "unbound", Part: "exceptions", Cases: u.reasons[reason], Reason: reason + " (" + strings.Join(u.files[reason], ", ") + ")"})
	}
	return rows
}

// replay asks the questions of a scenario and compares the answers.
func (u *unboundTally) replay(t *testing.T, s *scenario) {
	t.Helper()
	transport := &replayTransport{scenario: s}
	now := s.clock
	if len(s.stubs)+len(s.forward) == 0 {
		s.stubs["."] = []netip.AddrPort{netip.MustParseAddrPort("193.0.14.129:53")} // the file names none
	}
	v, err := New(Config{Anchors: s.anchors, Transport: transport, Now: func() time.Time { return now }, Stubs: s.stubs, Forwarders: s.forward, SHA1: true, anywhere: true})
	if err != nil {
		t.Fatal(err)
	}
	v.iterations = 150 // unbound's limit for keys of up to 1024 bits
	v.also[dns.DSA], v.also[dns.DSANSEC3SHA1] = checkDSA, checkDSA
	results := map[dns.Question]Result{}
	questions := map[dns.Question]entry{}
	differences := map[string]int{}
	for _, step := range s.steps {
		transport.step = step.at
		now = now.Add(step.elapse)
		switch step.kind {
		case "QUERY":
			transport.asked = nil
			q := step.entry.msg.Question[0]
			questions[q] = step.entry
			results[q] = v.Lookup(t.Context(), q.Name, q.Qtype)
		case "CHECK_ANSWER":
			q := step.entry.msg.Question[0]
			asked, got := questions[q], results[q]
			text := differs(step.entry, asked, got)
			switch {
			case text == "":
				u.agreed[whatItIs(got)]++
			case reasonFor(s.name, step.at) != "":
				differences[reasonFor(s.name, step.at)]++
			default:
				t.Errorf("step %d, %s %s: %s; cause: %v; asked:\n%s", step.at, got.Name, typeText(got.Type), text, got.Cause, strings.Join(transport.asked, "\n"))
			}
		}
	}
	for _, e := range exceptions[s.name] {
		if differences[e.reason] == 0 {
			t.Errorf("it is named as an exception, and these answers agree: %s", e.reason)
		}
		u.reasons[e.reason] += differences[e.reason]
		u.files[e.reason] = append(u.files[e.reason], shown(s.name))
	}
}

// shown is the name of a file on the page.
func shown(file string) string { return "`" + strings.TrimSuffix(file, ".rpl") + "`" }

// whatItIs tells apart what a resolver does not.
func whatItIs(r Result) string {
	switch {
	case r.State != Indeterminate:
		return strings.ToLower(string(r.State))
	case r.Cause.Reason == NoAnchor:
		return "no trust anchor"
	default:
		return "no usable answer"
	}
}

// reasonFor is why an answer may differ; empty for those that may not.
func reasonFor(file string, step int) string {
	for _, e := range exceptions[file] {
		if len(e.steps) == 0 || slices.Contains(e.steps, step) {
			return e.reason
		}
	}
	return ""
}

// differs compares a result with the answer that unbound is to give; empty when they agree.
func differs(want, asked entry, got Result) string {
	if want.msg.Rcode == dns.RcodeServerFailure {
		if got.State == Bogus || got.State == Indeterminate && got.Cause.Reason == Unreachable {
			return ""
		}
		return "it is " + string(got.State) + ", and should fail"
	}
	secure := slices.Contains(want.reply, "AD")
	// Who does not ask for it is not told.
	told := slices.Contains(asked.reply, "DO") || slices.Contains(asked.reply, "AD")
	switch {
	case got.State == Bogus:
		return "it is Bogus, and should not be"
	case got.State == Indeterminate && (got.Cause.Reason == Unreachable || secure):
		return "it is not known, and should be"
	case got.State == Indeterminate:
		return ""
	case told && secure != (got.State == Secure):
		return fmt.Sprintf("it is %s, and AD is %t", got.State, secure)
	}
	return differentData(want.msg, got)
}

func differentData(want *dns.Msg, got Result) string {
	if nx := want.Rcode == dns.RcodeNameError; nx != (got.Kind == NXDomain) {
		return fmt.Sprintf("it is %s, and the response code is %s", got.Kind, dns.RcodeToString[want.Rcode])
	}
	var a, b []string
	for _, rr := range want.Answer {
		if rr.Header().Rrtype == got.Type && dns.CanonicalName(rr.Header().Name) == got.Final || rr.Header().Rrtype == dns.TypeCNAME && got.Type == dns.TypeCNAME {
			a = append(a, withoutTTL(rr))
		}
	}
	for _, rr := range got.RRs {
		b = append(b, withoutTTL(rr))
	}
	slices.Sort(a)
	slices.Sort(b)
	if !slices.Equal(a, b) {
		return fmt.Sprintf("the records are %q, and should be %q", b, a)
	}
	return ""
}

func withoutTTL(rr dns.RR) string {
	c := dns.Copy(rr)
	c.Header().Ttl = 0
	c.Header().Name = dns.CanonicalName(c.Header().Name)
	return strings.ToLower(c.String())
}

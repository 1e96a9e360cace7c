package zone_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// zoneCopy is a zone as one server has it: its records, how they are signed, and what is done to it afterwards.
type zoneCopy struct {
	records string
	sign    []string
	edit    func(lines []string) []string
}

// text signs the copy, one record a line.
func (z zoneCopy) text(key *servers.Key) servers.StaticZone {
	head := "$TTL 300\n@ SOA ns1 hostmaster 1 3600 600 86400 300\n@ NS ns1\n@ NS ns2\nns1 A 192.0.2.3\nns2 A 192.0.2.4\n"
	out := key.Sign(head+strings.ReplaceAll(z.records, "; ", "\n")+"\n", append([]string{"-O", "full"}, z.sign...)...)
	if z.edit != nil {
		out.Text = strings.Join(z.edit(strings.Split(out.Text, "\n")), "\n")
	}
	return out
}

// without leaves records out: those of types at a name, and their signatures; at any name where that is empty.
func without(name string, types ...string) func([]string) []string {
	return func(lines []string) []string {
		return slices.DeleteFunc(lines, func(line string) bool {
			words := strings.Fields(line)
			if len(words) < 5 || name != "" && words[0] != name {
				return false
			}
			return slices.Contains(types, words[3]) || words[3] == "RRSIG" && slices.Contains(types, "RRSIG "+words[4])
		})
	}
}

const host = "@ MX 10 mx1; mx1 A 192.0.2.1; _25._tcp.mx1 TLSA 3 1 1 "

// TestFindingsOfCopies: a BIND and an NSD serve copies of a zone, of which both or that of BIND are not as they should be.
// What is wrong is found, and where, and nothing else.
func TestFindingsOfCopies(t *testing.T) {
	well := host + record(1).Data
	now := time.Now()
	lasts := func(begin, end time.Duration) []string {
		return []string{"-s", stamp(now.Add(begin)), "-e", stamp(now.Add(end))}
	}
	const day = 24 * time.Hour
	var seven []string
	for i := range 7 {
		seven = append(seven, "_25._tcp.mx1 TLSA 3 1 1 "+record(i).Data)
	}
	for _, c := range []struct {
		reason    string
		bind, nsd zoneCopy
		// anchor is the digest type of the trust anchor; zero for SHA-256.
		anchor uint8
		want   string
	}{
		{"well", zoneCopy{records: well}, zoneCopy{records: well}, 0, ""},
		{"a signature is missing", zoneCopy{records: well, edit: without("mx1."+apex, "RRSIG A")}, zoneCopy{records: well}, 0, "SignatureMissing@bind"},
		{"one is not signed", zoneCopy{records: well, edit: without("", "DNSKEY", "RRSIG", "NSEC")}, zoneCopy{records: well}, 0, "UnsignedAtServer@bind"},
		{"neither is signed", zoneCopy{records: well, edit: without("", "DNSKEY", "RRSIG", "NSEC")}, zoneCopy{records: well, edit: without("", "DNSKEY", "RRSIG", "NSEC")}, 0, "DSOfUnsignedZone"},
		{"the NS records differ", zoneCopy{records: well + "; @ NS ns3; ns3 A 192.0.2.5"}, zoneCopy{records: well}, 0, "NSDiffers"},
		{"one has NSEC3", zoneCopy{records: well, sign: []string{"-3", "-", "-H", "0"}}, zoneCopy{records: well}, 0, "DenialDiffers"},
		{"the salts differ", zoneCopy{records: well, sign: []string{"-3", "ab", "-H", "0"}}, zoneCopy{records: well, sign: []string{"-3", "-", "-H", "0"}}, 0, "NSEC3Differs NSEC3Salt@bind"},
		{"opt-out", zoneCopy{records: well, sign: []string{"-3", "-", "-H", "0", "-A"}}, zoneCopy{records: well, sign: []string{"-3", "-", "-H", "0", "-A"}}, 0, "NSEC3OptOut"},
		{"a TTL was raised", zoneCopy{records: well, edit: func(lines []string) []string {
			for i, line := range lines {
				if words := strings.Fields(line); len(words) > 4 && words[0] == "mx1."+apex && words[3] == "A" {
					words[1] = "600"
					lines[i] = strings.Join(words, " ")
				}
			}
			return lines
		}}, zoneCopy{records: well}, 0, "TTLAboveOriginal@bind"},
		{"signatures for a year", zoneCopy{records: well, sign: lasts(-day, 365*day)}, zoneCopy{records: well, sign: lasts(-day, 365*day)}, 0, "SignatureTooLong"},
		{"signatures for less than a secondary goes on serving", zoneCopy{records: well, sign: lasts(-time.Hour, 20*time.Hour)}, zoneCopy{records: well, sign: lasts(-time.Hour, 20*time.Hour)}, 0, "ExpireBeyondSignatures"},
		{"the signatures of one have expired, as of a secondary that was left behind", zoneCopy{records: well, sign: lasts(-30*day, -day)}, zoneCopy{records: well}, 0, "SignatureExpired@bind"},
		{"the other one's have", zoneCopy{records: well}, zoneCopy{records: well, sign: lasts(-30*day, -day)}, 0, "SignatureExpired@nsd"},
		{"the signatures of one are not valid yet", zoneCopy{records: well, sign: lasts(day, 30*day)}, zoneCopy{records: well}, 0, "SignatureNotYetValid@bind"},
		{"the signatures of one have ten hours left", zoneCopy{records: well, sign: lasts(-29*day, 10*time.Hour)}, zoneCopy{records: well}, 0, "SignaturesExpiring@bind"},
		{"the signatures of one have a day left of thirty", zoneCopy{records: well, sign: lasts(-29*day, day+time.Hour)}, zoneCopy{records: well}, 0, "RefreshOverdue@bind"},
		{"a fifth of the time is left", zoneCopy{records: well, sign: lasts(-24*day, 6*day)}, zoneCopy{records: well}, 0, "RefreshLate@bind"},
		{"a TTL beyond the signature", zoneCopy{records: well + "; mx1 864000 AAAA 2001:db8::1", sign: lasts(-day, 9*day)}, zoneCopy{records: well + "; mx1 864000 AAAA 2001:db8::1"}, 0, "TTLBeyondExpiration@bind"},
		{"a usage that senders of mail do not know", zoneCopy{records: well + "; _25._tcp.mx1 TLSA 1 1 1 " + record(2).Data}, zoneCopy{records: well}, 0, "TLSAUsagePKIX@bind"},
		{"a record that matches nothing", zoneCopy{records: well + "; _25._tcp.mx1 TLSA 3 1 1 abcd"}, zoneCopy{records: well}, 0, "TLSAMalformed@bind"},
		{"too many records", zoneCopy{records: well + "; " + strings.Join(seven, "; ")}, zoneCopy{records: well + "; " + strings.Join(seven, "; ")}, 0, "TLSATooMany"},
		{"the MX host is an alias", zoneCopy{records: "@ MX 10 mx1; mx1 CNAME mx2; mx2 A 192.0.2.1; _25._tcp.mx1 TLSA 3 1 1 " + record(1).Data}, zoneCopy{records: well}, 0, "MXIsAlias@bind"},
		{"a DS record of SHA-1", zoneCopy{records: well}, zoneCopy{records: well}, dns.SHA1, "DSDigestWeak DSWithoutSHA256"},
		{"a DS record of SHA-384", zoneCopy{records: well}, zoneCopy{records: well}, dns.SHA384, "DSWithoutSHA256"},
		{"the proof that a name is not there is missing", zoneCopy{records: well, edit: without("_25._tcp.mx1."+apex, "NSEC", "RRSIG NSEC")}, zoneCopy{records: well}, 0, "DenialUnproven@bind QuestionRefused@bind"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			key := servers.NewKey(t, apex)
			digest := c.anchor
			if digest == 0 {
				digest = dns.SHA256
			}
			serveBoth(t, c.bind.text(key), c.nsd.text(key), key.Public.ToDS(digest)).tells(c.want)
		})
	}
}

// TestOneServerWithOldSignatures: the signatures at one of two servers have run out, now at this one and now at that. What it shows
// is not signed for a sweep, what the other shows is, and the zone is bogus by the word of that server alone.
func TestOneServerWithOldSignatures(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	good := zoneCopy{records: host + record(1).Data}
	old := good
	old.sign = []string{"-s", stamp(time.Now().Add(-30 * day)), "-e", stamp(time.Now().Add(-day))}
	for _, late := range []string{"bind", "nsd"} {
		key := servers.NewKey(t, apex)
		onBIND, onNSD := old.text(key), good.text(key)
		if late == "nsd" {
			onBIND, onNSD = onNSD, onBIND
		}
		c := serveBoth(t, onBIND, onNSD, key.Public.ToDS(dns.SHA256))
		at := map[string]string{"bind": c.bind.String(), "nsd": c.nsd.String()}[late]
		answers := c.sweep(mx1).Answers
		if len(answers) != 2 {
			t.Fatalf("%d servers were asked", len(answers))
		}
		for _, a := range answers {
			if !a.Reachable || a.Signed == (a.Address == at) || a.Signed != (a.Message == "") {
				t.Errorf("of two servers of which %s has old signatures: %+v", at, a)
			}
		}
		if d := c.check().DNSSEC; d.State != dnssec.Bogus || !strings.Contains(d.Message, at) || !strings.Contains(d.Message, "expired") {
			t.Errorf("%s has old signatures, and the zone is %s: %s", at, d.State, d.Message)
		}
	}
}

// tells wants exactly these findings, notices among them.
func (c *copies) tells(want string) {
	c.t.Helper()
	c.sweep(mx1)
	tells(c.t, c.check(), map[string]string{c.bind.String(): "bind", c.nsd.String(): "nsd"}, want)
}

// tells wants exactly these findings, notices among them. Servers have names there, by their addresses.
func tells(t *testing.T, h zone.Health, names map[string]string, want string) {
	t.Helper()
	var got []string
	for _, f := range h.Findings {
		word := string(f.Code)
		if f.Server != "" {
			word += "@" + names[f.Server]
		}
		if !slices.Contains(got, word) {
			got = append(got, word)
		}
	}
	slices.Sort(got)
	if strings.Join(got, " ") == want {
		return
	}
	t.Errorf("found %v, want %s", got, want)
	for _, f := range h.Findings {
		t.Logf("    %s %s %s: %s", f.Severity, f.Code, f.Server, f.Message)
	}
}

// unsignedBy leaves the signatures of a key over records of a type out.
func unsignedBy(key *servers.Key, kind string) func([]string) []string {
	return func(lines []string) []string {
		return slices.DeleteFunc(lines, func(line string) bool {
			words := strings.Fields(line)
			return len(words) > 10 && words[3] == "RRSIG" && words[4] == kind && words[10] == strconv.Itoa(int(key.Public.KeyTag()))
		})
	}
}

// TestFindingsOfKeys: a BIND and an NSD serve a zone with keys that are not as they should be.
func TestFindingsOfKeys(t *testing.T) {
	well := host + record(1).Data
	ds := func(keys ...*servers.Key) []dnssec.Anchor {
		var out []dnssec.Anchor
		for _, k := range keys {
			out = append(out, k.Public.ToDS(dns.SHA256))
		}
		return out
	}
	// both serve the zone as it is signed now, and edited as wanted.
	both := func(t *testing.T, key *servers.Key, edit func([]string) []string, anchors []dnssec.Anchor) *copies {
		text := zoneCopy{records: well, edit: edit}.text(key)
		return serveBoth(t, text, text, anchors...)
	}
	for _, c := range []struct {
		reason string
		serve  func(t *testing.T) *copies
		want   string
	}{
		{"an RSA key of 1024 bits", func(t *testing.T) *copies {
			key := servers.NewKeyOf(t, apex, "RSASHA256", "-b", "1024")
			return both(t, key, nil, ds(key))
		}, "KeyTooShort"},
		{"RSA with SHA-512", func(t *testing.T) *copies {
			key := servers.NewKeyOf(t, apex, "RSASHA512", "-b", "2048")
			return both(t, key, nil, ds(key))
		}, "AlgorithmNotRecommended"},
		{"RSA with SHA-1", func(t *testing.T) *copies {
			key := servers.NewKeyOf(t, apex, "RSASHA1", "-b", "2048")
			return both(t, key, nil, ds(key))
		}, "AlgorithmDeprecated DSUnsupported"},
		{"a key more at one of them", func(t *testing.T) *copies {
			key := servers.NewKey(t, apex)
			before := zoneCopy{records: well}.text(key)
			key.Another()
			return serveBoth(t, zoneCopy{records: well}.text(key), before, ds(key)...)
		}, "KeysDiffer"},
		{"a DS record more", func(t *testing.T) *copies {
			key := servers.NewKey(t, apex)
			return both(t, key, nil, ds(key, servers.NewKey(t, apex)))
		}, "DSWithoutKey"},
		{"the key of the DS record does not sign the keys", func(t *testing.T) *copies {
			key := servers.NewKey(t, apex)
			key.Another()
			return both(t, key, unsignedBy(key, "DNSKEY"), ds(key))
		}, "DSKeyDoesNotSign"},
		{"a key of an algorithm that nobody has assigned", func(t *testing.T) *copies {
			key := servers.NewKey(t, apex)
			text := zoneCopy{records: well + "; @ DNSKEY 257 3 200 " + key.Public.PublicKey}.text(key)
			return serveBoth(t, text, text, ds(key)...)
		}, "AlgorithmDoesNotSign AlgorithmUnknown"},
		{"an algorithm does not sign the zone", func(t *testing.T) *copies {
			key := servers.NewKey(t, apex)
			return both(t, key, unsignedBy(key.AnotherOf("ED25519"), "SOA"), ds(key))
		}, "AlgorithmDoesNotSign"},
		{"an algorithm of the DS records does not sign the keys", func(t *testing.T) *copies {
			key := servers.NewKey(t, apex)
			other := key.AnotherOf("ED25519")
			return both(t, key, unsignedBy(other, "DNSKEY"), ds(key, other))
		}, "AlgorithmDoesNotSign DSAlgorithmDoesNotSign"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			c.serve(t).tells(c.want)
		})
	}
}

// borrowed puts records of one signing of the zone, by the same key, in the place of those of another, or beside them: their
// signatures are good, and they are not of this version of the zone.
func borrowed(t *testing.T, key *servers.Key, from zoneCopy, name, kind string, beside bool) func([]string) []string {
	t.Helper()
	of := func(line string) bool {
		words := strings.Fields(line)
		return len(words) > 4 && words[0] == name && (words[3] == kind || words[3] == "RRSIG" && words[4] == kind)
	}
	text := strings.Split(from.text(key).Text, "\n")
	return func(lines []string) []string {
		if !beside {
			lines = slices.DeleteFunc(lines, of)
		}
		for _, line := range text {
			if of(line) {
				lines = append(lines, line)
			}
		}
		return lines
	}
}

// words edits the fields of the records of a type.
func words(kind string, edit func([]string)) func([]string) []string {
	return func(lines []string) []string {
		for i, line := range lines {
			if fields := strings.Fields(line); len(fields) > 4 && fields[3] == kind {
				edit(fields)
				lines[i] = strings.Join(fields, " ")
			}
		}
		return lines
	}
}

// TestFindingsOfDenials: a BIND and an NSD serve a zone that was edited after it was signed, or put together out of several
// signings. NSD serves whatever it is given.
func TestFindingsOfDenials(t *testing.T) {
	well := host + record(1).Data
	nsec3 := []string{"-3", "-", "-H", "0"}
	type edits func(t *testing.T, key *servers.Key) (onBIND, onNSD zoneCopy)
	both := func(c zoneCopy) edits {
		return func(*testing.T, *servers.Key) (zoneCopy, zoneCopy) { return c, c }
	}
	for _, c := range []struct {
		reason string
		copies edits
		want   string
	}{
		{"a signature by a key that the zone does not show", both(zoneCopy{records: well, edit: words("RRSIG", func(f []string) {
			if f[4] == "TLSA" {
				f[10] = "1"
			}
		})}), "SignatureByUnknownKey"},
		{"nothing shows that the wildcard applies", func(*testing.T, *servers.Key) (zoneCopy, zoneCopy) {
			wild := zoneCopy{records: "@ MX 10 mx1; mx1 A 192.0.2.1; *._tcp.mx1 TLSA 3 1 1 " + record(1).Data}
			broken := wild
			broken.edit = without("*._tcp.mx1."+apex, "NSEC", "RRSIG NSEC")
			return wild, broken
		}, "DenialUnproven@nsd WildcardUnproven@nsd"},
		{"the apex has NSEC and NSEC3PARAM", func(*testing.T, *servers.Key) (zoneCopy, zoneCopy) {
			return zoneCopy{records: well}, zoneCopy{records: well, edit: func(lines []string) []string { return append(lines, apex+" 0 IN NSEC3PARAM 1 0 0 -") }}
		}, "DenialMixed@nsd DenialTypes@nsd SignatureMissing@nsd"},
		{"the type list of the apex lacks MX", func(t *testing.T, key *servers.Key) (zoneCopy, zoneCopy) {
			less := zoneCopy{records: strings.TrimPrefix(well, "@ MX 10 mx1; ")}
			return zoneCopy{records: well}, zoneCopy{records: well, edit: borrowed(t, key, less, apex, "NSEC", false)}
		}, "DenialTypes@nsd"},
		{"two NSEC records at the apex", func(t *testing.T, key *servers.Key) (zoneCopy, zoneCopy) {
			less := zoneCopy{records: strings.TrimPrefix(well, "@ MX 10 mx1; ")}
			return zoneCopy{records: well}, zoneCopy{records: well, edit: borrowed(t, key, less, apex, "NSEC", true)}
		}, "DenialMultiple@nsd DenialTypes@nsd SignatureInvalid@nsd"},
		{"two NSEC3PARAM records", both(zoneCopy{records: well, sign: nsec3, edit: func(lines []string) []string {
			return append(lines, apex+" 0 IN NSEC3PARAM 1 0 5 -")
		}}), "DenialMultiple NSEC3Iterations SignatureInvalid"},
		{"the NSEC3 record of the apex is missing", func(*testing.T, *servers.Key) (zoneCopy, zoneCopy) {
			hash := dns.HashName(apex, dns.SHA1, 0, "") + "." + apex
			return zoneCopy{records: well, sign: nsec3, edit: without(hash, "NSEC3", "RRSIG NSEC3")}, zoneCopy{records: well, sign: nsec3}
		}, "DenialMisplaced@bind DenialUnproven@bind"},
		{"another hash algorithm, which BIND does not load", func(*testing.T, *servers.Key) (zoneCopy, zoneCopy) {
			return zoneCopy{records: well, sign: nsec3}, zoneCopy{records: well, sign: nsec3, edit: words("NSEC3PARAM", func(f []string) { f[4] = "2" })}
		}, "NSEC3Differs NSEC3Hash@nsd SignatureInvalid@nsd SignatureMissing@nsd"},
		{"flags that nobody knows", both(zoneCopy{records: well, sign: nsec3, edit: words("NSEC3", func(f []string) { f[5] = "2" })}), "NSEC3Flags SignatureInvalid@bind SignatureInvalid@nsd"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			key := servers.NewKey(t, apex)
			onBIND, onNSD := c.copies(t, key)
			serveBoth(t, onBIND.text(key), onNSD.text(key), key.Public.ToDS(dns.SHA256)).tells(c.want)
		})
	}
}

package health

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func nsec3(alter ...func(*dns.NSEC3PARAM)) func(*testZone) {
	return func(z *testZone) {
		z.nsec3 = &dns.NSEC3PARAM{Hdr: dns.RR_Header{Name: apex, Rrtype: dns.TypeNSEC3PARAM, Class: dns.ClassINET}, Hash: dns.SHA1}
		for _, f := range alter {
			f(z.nsec3)
		}
	}
}

func TestKeysAndSignatures(t *testing.T) {
	of := func(qtype uint16, f func(*dns.RRSIG)) func(*testZone) {
		return func(z *testZone) {
			z.alter = func(set []dns.RR, sig *dns.RRSIG) {
				if set[0].Header().Rrtype == qtype {
					f(sig)
				}
			}
		}
	}
	expired := func(s *dns.RRSIG) { s.Expiration = uint32(at.Add(-time.Minute).Unix()) }
	future := func(s *dns.RRSIG) { s.Inception = uint32(at.Add(time.Minute).Unix()) }
	rsa := func(algorithm uint8, bits int) func(*testZone) {
		k := newKey(t, 256, algorithm, bits)
		return func(z *testZone) {
			z.shown, z.data = []testKey{common.ksk, k}, []testKey{common.ksk, k}
			z.entry = z.data
		}
	}
	check(t, []row{
		{reason: "SOA expired everywhere", want: "SignatureExpired", zone: of(dns.TypeSOA, expired)},
		{reason: "TLSA expired at one server", want: "SignatureExpired@ns2", second: of(dns.TypeTLSA, expired)},
		{reason: "the keys' signature expired", want: "SignatureExpired", zone: of(dns.TypeDNSKEY, expired)},
		{reason: "the proof expired", want: "SignatureExpired", zone: of(dns.TypeNSEC, expired)},
		{reason: "not valid yet", want: "SignatureNotYetValid", zone: of(dns.TypeMX, future)},
		{reason: "an address without signature", want: "SignatureMissing", zone: func(z *testZone) { z.unsigned[host+" A"] = true }},
		{reason: "the keys without signature", want: "SignatureMissing", zone: func(z *testZone) { z.unsigned[apex+" DNSKEY"] = true }},
		{reason: "a key was taken out too early", want: "SignatureByUnknownKey", zone: func(z *testZone) { z.data = []testKey{common.spare} }},
		{reason: "altered data", want: "SignatureInvalid@ns2", seen: func(o *Observations) {
			reply(o, 1, host, dns.TypeA, func(r *Reply) { r.Msg.Answer[0].(*dns.A).A[3] = 99 })
		}},
		{reason: "one good signature beside an expired one is enough", zone: func(z *testZone) {
			z.data = []testKey{common.zsk, common.ksk}
			z.alter = func(_ []dns.RR, sig *dns.RRSIG) {
				if sig.KeyTag == common.zsk.KeyTag() {
					expired(sig)
				}
			}
		}},
		{reason: "MD5 is long gone", want: "AlgorithmDeprecated", zone: func(z *testZone) {
			z.shown = append(z.shown, testKey{DNSKEY: &dns.DNSKEY{Hdr: common.ksk.Hdr, Flags: 0, Protocol: 3, Algorithm: 12, PublicKey: "AAAA"}})
		}},
		{reason: "RSA with SHA-1", want: "AlgorithmDeprecated", zone: rsa(5, 2048)},
		{reason: "RSA with SHA-512", want: "AlgorithmNotRecommended", zone: rsa(10, 2048)},
		{reason: "a private algorithm", want: "AlgorithmUnknown", zone: func(z *testZone) {
			z.shown = append(z.shown, testKey{DNSKEY: &dns.DNSKEY{Hdr: common.ksk.Hdr, Flags: 0, Protocol: 3, Algorithm: 253, PublicKey: "AAAA"}})
		}},
		{reason: "RSA of 1024 bits", want: "KeyTooShort", zone: rsa(8, 1024)},
		{reason: "keys of an algorithm that does not sign", want: "AlgorithmDoesNotSign", zone: func(z *testZone) {
			z.shown = append(z.shown, common.second)
		}},
		{reason: "other keys at one server", want: "KeysDiffer", second: func(z *testZone) { z.shown = append(z.shown, common.spare) }},
	})
}

func TestLifetimes(t *testing.T) {
	lasting := func(left, validity time.Duration) func(*testZone) {
		return func(z *testZone) {
			z.left, z.validity = left, validity
			z.drop(apex, dns.TypeSOA)
			z.add(apex + " 3600 SOA ns1.example.test. hostmaster.example.test. 5 3600 600 3600 300")
		}
	}
	check(t, []row{
		{reason: "Knot re-signs at a tenth and more", want: "RefreshLate", zone: lasting(36*time.Hour, 14*day+90*time.Minute)},
		{reason: "less than a tenth: nobody re-signs so late", want: "RefreshOverdue", zone: lasting(33*time.Hour, 14*day)},
		{reason: "a PowerDNS secondary that missed Thursday", want: "RefreshLate@ns2", second: lasting(5*day, 21*day)},
		{reason: "an hour left of two weeks", want: "SignaturesExpiring", zone: lasting(61*time.Minute, 14*day)},
		{reason: "less than a day left of two weeks", want: "SignaturesExpiring", zone: lasting(24*time.Hour-time.Second, 14*day)},
		{reason: "a day left of two weeks", want: "RefreshOverdue", zone: lasting(24*time.Hour, 14*day)},
		{reason: "less than a day left of a month", want: "SignaturesExpiring", zone: lasting(24*time.Hour-time.Second, 30*day)},
		{reason: "a day left of a month", want: "RefreshOverdue", zone: lasting(24*time.Hour, 30*day)},
		{reason: "half a day left of a week, where Knot makes them anew with 17 hours left", want: "RefreshOverdue", zone: lasting(12*time.Hour, 7*day)},
		{reason: "less than a fourteenth left of a week", want: "SignaturesExpiring", zone: lasting(12*time.Hour-time.Second, 7*day)},
		{reason: "two hours left of a day is still late only", want: "RefreshOverdue", zone: lasting(2*time.Hour, day)},
		{reason: "the TTL outlives the signature", want: "SignaturesExpiring TTLBeyondExpiration", zone: lasting(59*time.Minute, 14*day)},
		{reason: "valid for a year", want: "SignatureTooLong", zone: lasting(300*day, 365*day)},
		{reason: "a secondary would serve on", want: "ExpireBeyondSignatures", zone: func(z *testZone) { z.left, z.validity = 6*day, 7*day }},
		{reason: "a TTL that was raised after signing", want: "TTLAboveOriginal@ns2", seen: func(o *Observations) {
			reply(o, 1, host, dns.TypeA, func(r *Reply) { r.Msg.Answer[0].Header().Ttl = 7200 })
		}},
	})
}

func TestDenials(t *testing.T) {
	dropProof := func(name string, qtype uint16, server int, drop func(dns.RR) bool) func(*Observations) {
		return func(o *Observations) {
			reply(o, server, name, qtype, func(r *Reply) {
				var kept []dns.RR
				for _, rr := range r.Msg.Ns {
					if !drop(rr) {
						kept = append(kept, rr)
					}
				}
				r.Msg.Ns = kept
			})
		}
	}
	nsecOf := func(name string) func(dns.RR) bool {
		return func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeNSEC && rr.Header().Name == name }
	}
	both := func(fs ...func(*testZone)) func(*testZone) {
		return func(z *testZone) {
			for _, f := range fs {
				f(z)
			}
		}
	}
	check(t, []row{
		{reason: "A at the TLSA owner is not denied: internet.nl fails", want: "DenialUnproven@ns2", seen: dropProof(owner, dns.TypeA, 1, nsecOf(owner))},
		{reason: "a nonexistent sibling is not denied", want: "DenialUnproven@ns2", seen: dropProof(none, dns.TypeA, 1, nsecOf(owner))},
		{reason: "NXDOMAIN for the TLSA owner, which exists", want: "DenialUnproven@ns2", seen: func(o *Observations) {
			reply(o, 1, owner, dns.TypeA, func(r *Reply) { r.Msg.Rcode = dns.RcodeNameError })
		}},
		{reason: "nothing shows that the wildcard applies", want: "WildcardUnproven@ns2", zone: wildcard, seen: func(o *Observations) {
			reply(o, 1, host, dns.TypeA, func(r *Reply) {
				r.Msg.Ns = slices.DeleteFunc(r.Msg.Ns, func(rr dns.RR) bool { return rr.Header().Name != apex })
			})
		}},
		{reason: "no SOA in the denial", want: "DenialWithoutSOA@ns2", seen: dropProof(owner, dns.TypeA, 1, func(rr dns.RR) bool {
			sig, ok := rr.(*dns.RRSIG)
			return rr.Header().Rrtype == dns.TypeSOA || ok && sig.TypeCovered == dns.TypeSOA
		})},
		{reason: "a salt", want: "NSEC3Salt", zone: nsec3(func(p *dns.NSEC3PARAM) { p.Salt, p.SaltLength = "ab", 1 })},
		{reason: "opt-out", want: "NSEC3OptOut", zone: nsec3(func(p *dns.NSEC3PARAM) { p.Flags = 1 })},
		{reason: "opt-out, and a record of the denial is missing", want: "DenialUnproven@ns2 NSEC3OptOut", zone: nsec3(func(p *dns.NSEC3PARAM) { p.Flags = 1 }), seen: dropProof(none, dns.TypeA, 1, func(rr dns.RR) bool {
			return rr.Header().Rrtype == dns.TypeNSEC3 && strings.EqualFold(rr.Header().Name, dns.HashName(apex, dns.SHA1, 0, "")+"."+apex)
		})},
		{reason: "an unknown flag", want: "DenialUnproven NSEC3Flags", zone: nsec3(func(p *dns.NSEC3PARAM) { p.Flags = 2 })},
		{reason: "an unknown hash algorithm", want: "NSEC3Hash", zone: nsec3(func(p *dns.NSEC3PARAM) { p.Hash = 2 })},
		{reason: "two NSEC3PARAM records", want: "DenialMultiple NSEC3Salt", zone: both(nsec3(), func(z *testZone) { z.add(apex + " 0 NSEC3PARAM 1 0 0 ab") })},
		{reason: "the NSEC record of another name", want: "DenialMisplaced@ns2", seen: func(o *Observations) {
			reply(o, 1, apex, dns.TypeNSEC, func(r *Reply) {
				for _, rr := range r.Msg.Answer {
					rr.Header().Name = host
				}
			})
		}},
		{reason: "other parameters at one server", want: "NSEC3Differs NSEC3Salt@ns2", zone: nsec3(), second: nsec3(func(p *dns.NSEC3PARAM) { p.Salt, p.SaltLength = "ab", 1 })},
		{reason: "NSEC here and NSEC3 there", want: "DenialDiffers", second: nsec3()},
		{reason: "NSEC and NSEC3PARAM", want: "DenialMixed", zone: both(func(z *testZone) { z.add(apex + " 0 NSEC3PARAM 1 0 0 -") })},
		{reason: "the type list of the apex misses MX", want: "DenialTypes@ns2 DenialUnproven@ns2", seen: func(o *Observations) {
			reply(o, 1, apex, dns.TypeMX, func(r *Reply) { r.Msg.Answer, r.Msg.Ns = nil, o.Servers[1].Stream[3].Msg.Ns })
		}},
	})
}

// TestIterations: how bad they are goes by what resolvers compute.
func TestIterations(t *testing.T) {
	for _, c := range []struct {
		reason     string
		iterations uint16
		code       Code
		severity   Severity
		says       string
	}{
		{"as it should be", 0, "", "", ""},
		{"one is of no use", 1, NSEC3Iterations, Warning, "protect nothing"},
		{"as many as everybody computes", 50, NSEC3Iterations, Warning, "protect nothing"},
		{"more than some do", 51, NSEC3Iterations, Warning, "some resolvers"},
		{"as many as are computed here", 100, NSEC3Iterations, Warning, "some resolvers"},
		{"more than are computed here", 101, NSEC3IterationsExcessive, Critical, "or fail"},
		{"more than anybody computes", 151, NSEC3IterationsExcessive, Critical, "or fail"},
	} {
		r := row{reason: c.reason, want: string(c.code), zone: nsec3(func(p *dns.NSEC3PARAM) { p.Iterations = c.iterations })}
		check(t, []row{r})
		for _, f := range r.judge(t).Findings {
			if f.Severity != c.severity || !strings.Contains(f.Message, c.says) {
				t.Errorf("%s: %s, %q", c.reason, f.Severity, f.Message)
			}
		}
	}
}

func TestCDS(t *testing.T) {
	cds := func(k testKey) string { return ds(k, 2).ToCDS().String() }
	cdnskey := func(k testKey) string { return k.ToCDNSKEY().String() }
	add := func(texts ...string) func(*testZone) { return func(z *testZone) { z.add(texts...) } }
	newZone(t)
	noZone := common.spare
	noZone.DNSKEY = dns.Copy(common.spare.DNSKEY).(*dns.DNSKEY)
	noZone.Flags = dns.SEP
	check(t, []row{
		{reason: "of different keys", want: "CDSKeyDoesNotSign CDSKeyNotSEP CDSMismatch CDSNotInParent CDSNotSignedByItsKey", zone: add(cds(common.ksk), cdnskey(common.zsk))},
		{reason: "of keys of the same tag and algorithm", want: "CDSMatchesNoKey CDSMismatch", zone: func(z *testZone) {
			other := ds(common.ksk, 2).ToCDS()
			other.Digest = strings.Repeat("ab", 32)
			z.add(other.String(), cdnskey(common.ksk))
		}},
		{reason: "a key that only one of them has beside", want: "CDSMismatch", zone: func(z *testZone) {
			z.shown, z.entry = append(z.shown, common.spare), append(z.entry, common.spare)
			z.add(cds(common.ksk), cdnskey(common.ksk), cdnskey(common.spare))
		}, seen: func(o *Observations) { o.Parents = []Parent{parent(t, "p1", ds(common.ksk, 2), ds(common.spare, 2))} }},
		{reason: "digests of two types beside the keys", zone: func(z *testZone) {
			z.add(cds(common.ksk), ds(common.ksk, 4).ToCDS().String(), cdnskey(common.ksk))
		}},
		{reason: "at one server alone", want: "CDSDiffers", second: add(cds(common.ksk))},
		{reason: "a new key beside the old one, which the parent has not", want: "CDSNotInParent", zone: func(z *testZone) {
			z.shown, z.entry = append(z.shown, common.spare), append(z.entry, common.spare)
			z.add(cds(common.ksk), cds(common.spare))
		}},
		{reason: "of no key", want: "CDSMatchesNoKey CDSNotInParent", zone: add(cds(common.ksk), cds(common.spare))},
		{reason: "of a key that is not for the zone", want: "CDSKeyUnusable CDSNotInParent", zone: func(z *testZone) {
			z.shown = append(z.shown, noZone)
			z.add(cds(common.ksk), ds(noZone, 2).ToCDS().String())
		}},
		{reason: "of a key that signs neither", want: "CDSKeyDoesNotSign CDSNotInParent CDSNotSignedByItsKey", zone: func(z *testZone) {
			z.shown = append(z.shown, common.spare)
			z.add(cds(common.ksk), cds(common.spare))
		}},
		{reason: "in an unsigned zone", want: "CDSOfUnsignedZone ZoneUnsigned", zone: func(z *testZone) {
			z.add(cds(common.ksk))
			unsign(z)
		}, seen: func(o *Observations) { o.Parents = nil }},
		{reason: "delete", want: "CDSDelete", zone: add(apex+" 3600 CDS 0 0 0 00", apex+" 3600 CDNSKEY 0 3 0 AA==")},
		{reason: "delete and not", want: "CDSDeleteMixed", zone: add(apex+" 3600 CDS 0 0 0 00", cds(common.ksk))},
		{reason: "without signature", want: "CDSNotSignedByItsKey SignatureMissing", zone: func(z *testZone) {
			z.add(cds(common.ksk))
			z.unsigned[apex+" CDS"] = true
		}},
	})
}

func TestMail(t *testing.T) {
	check(t, []row{
		{reason: "usage 1 on port 25", want: "TLSAUsagePKIX", zone: func(z *testZone) { z.add(owner + " 3600 TLSA 1 1 1 " + strings.Repeat("cd", 32)) }},
		{reason: "a digest cut short", want: "TLSAMalformed", zone: func(z *testZone) { z.add(owner + " 3600 TLSA 3 1 1 cdcd") }},
		{reason: "a matching type that nobody knows", want: "TLSAMalformed", zone: func(z *testZone) { z.add(owner + " 3600 TLSA 3 1 9 cdcd") }},
		{reason: "six records", zone: func(z *testZone) {
			for _, b := range []string{"01", "02", "03", "04", "05"} {
				z.add(owner + " 3600 TLSA 3 1 1 " + strings.Repeat(b, 32))
			}
		}},
		{reason: "seven records", want: "TLSATooMany", zone: func(z *testZone) {
			for _, b := range []string{"01", "02", "03", "04", "05", "06"} {
				z.add(owner + " 3600 TLSA 3 1 1 " + strings.Repeat(b, 32))
			}
		}},
		{reason: "the MX host is an alias", want: "MXIsAlias", zone: func(z *testZone) {
			z.drop(host, dns.TypeA)
			z.add(host + " 3600 CNAME ns1.example.test.")
		}},
	})
}

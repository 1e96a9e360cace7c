package dnssec

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// swapped is another key with the same tag: two words of its last part have changed places.
func swapped(t *testing.T, key *dns.DNSKEY, n int) *dns.DNSKEY {
	t.Helper()
	octets, err := base64.StdEncoding.DecodeString(key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	i, j := 4*n, 4*n+2
	octets[i], octets[j], octets[i+1], octets[j+1] = octets[j], octets[i], octets[j+1], octets[i+1]
	out := *key
	out.PublicKey = base64.StdEncoding.EncodeToString(octets)
	return &out
}

func setOf(keys ...*dns.DNSKEY) keySet {
	out := keySet{}
	for _, key := range keys {
		id := keyID{key.KeyTag(), key.Algorithm}
		out[id] = append(out[id], key)
	}
	return out
}

func TestVerify(t *testing.T) {
	z, stranger := newZone(t, "example.test."), newZone(t, "example.test.")
	keys := z.keys()
	set := rrset(t, "_25._tcp.mx.example.test. 3600 TLSA 3 1 1 aa", "_25._tcp.mx.example.test. 3600 TLSA 3 1 1 bb")
	swappedOrder := []dns.RR{set[1], set[0]}
	upper := rrset(t, "_25._TCP.MX.Example.Test. 60 TLSA 3 1 1 aa", "_25._TCP.MX.Example.Test. 60 TLSA 3 1 1 bb")
	altered := rrset(t, "_25._tcp.mx.example.test. 3600 TLSA 3 1 1 aa", "_25._tcp.mx.example.test. 3600 TLSA 3 1 1 cc")
	wildcard := rrset(t, "*.example.test. 60 A 192.0.2.1")
	good := z.sign(set)
	bad := *good
	bad.Signature = stranger.sign(set).Signature
	expired := z.sign(set, func(s *dns.RRSIG) { s.Expiration = uint32(at.Add(-time.Minute).Unix()) })
	future := z.sign(set, func(s *dns.RRSIG) { s.Inception = uint32(at.Add(time.Minute).Unix()) })
	backwards := z.sign(set, func(s *dns.RRSIG) { s.Inception, s.Expiration = s.Expiration, s.Inception })
	longer := *good
	longer.Labels = 9
	unknown := *good
	unknown.Algorithm = dns.ED448
	cases := []struct {
		reason string
		set    []dns.RR
		sigs   []*dns.RRSIG
		want   Reason
	}{
		{"a good signature", set, []*dns.RRSIG{good}, ""},
		{"in another order", swappedOrder, []*dns.RRSIG{good}, ""},
		{"in other letters and with a TTL counted down", upper, []*dns.RRSIG{good}, ""},
		{"a good one after bad ones", set, []*dns.RRSIG{&bad, expired, good}, ""},
		{"none", set, nil, NoSignature},
		{"one over another type alone", set, []*dns.RRSIG{z.sign(rrset(t, "_25._tcp.mx.example.test. 60 A 192.0.2.1"))}, NoSignature},
		{"altered data", altered, []*dns.RRSIG{good}, BadSignature},
		{"a record more", append(rrset(t, "_25._tcp.mx.example.test. 3600 TLSA 3 1 1 dd"), set...), []*dns.RRSIG{good}, BadSignature},
		{"a record less", set[:1], []*dns.RRSIG{good}, BadSignature},
		{"a key that the zone does not list", set, []*dns.RRSIG{stranger.sign(set)}, NoSuchKey},
		{"another signature's octets", set, []*dns.RRSIG{&bad}, BadSignature},
		{"expired", set, []*dns.RRSIG{expired}, Expired},
		{"not valid yet", set, []*dns.RRSIG{future}, NotYetValid},
		{"ends before it begins", set, []*dns.RRSIG{backwards}, BadRRset},
		{"for a longer name", set, []*dns.RRSIG{&longer}, BadRRset},
		{"an algorithm that cannot be checked, in a zone whose keys can: not a way to make it insecure", set, []*dns.RRSIG{&unknown}, NoSignature},
		{"two owners are no RRset", append(rrset(t, "_25._tcp.mx2.example.test. 3600 TLSA 3 1 1 aa"), set...), []*dns.RRSIG{good}, BadRRset},
		{"the wildcard itself", wildcard, []*dns.RRSIG{z.sign(wildcard)}, ""},
	}
	for _, c := range cases {
		sig, err := keys.Verify(c.set, c.sigs, at)
		if got := reasonOf(err); got != c.want {
			t.Errorf("%s: got %q (%v), want %q", c.reason, got, err, c.want)
		}
		if err == nil && (sig.Wildcard || sig.OrigTTL == 0 || sig.KeyTag != z.key.KeyTag() || !sig.Expiration.Equal(at.Add(24*time.Hour))) {
			t.Errorf("%s: %+v", c.reason, sig)
		}
	}
}

func TestSuffixThatIsNoParent(t *testing.T) {
	// The DNS library takes this signature: it compares names as strings. It is why fits exists.
	z := newZone(t, "example.test.")
	set := rrset(t, "_25._tcp.mx.evilexample.test. 3600 TLSA 3 1 1 aa")
	sig := z.sign(set)
	if err := sig.Verify(z.key, set); err != nil {
		t.Fatalf("the library has changed: %v", err)
	}
	if _, err := z.keys().Verify(set, []*dns.RRSIG{sig}, at); reasonOf(err) != WrongSigner {
		t.Errorf("example.test. speaks for evilexample.test.: %v", err)
	}
}

func TestSignerOfAnotherZone(t *testing.T) {
	parent, child := newZone(t, "test."), newZone(t, "example.test.")
	set := rrset(t, "_25._tcp.mx.example.test. 3600 TLSA 3 1 1 aa")
	if _, err := child.keys().Verify(set, []*dns.RRSIG{parent.sign(set)}, at); reasonOf(err) != WrongSigner {
		t.Errorf("the parent signs the child's data: %v", err)
	}
}

func TestTimesWrapAround(t *testing.T) {
	z := newZone(t, "example.test.")
	set := rrset(t, "mx.example.test. 60 A 192.0.2.1")
	// 2106-02-07 06:28:16 is 2^32 seconds after 1970.
	wrap := time.Unix(1<<32, 0)
	sig := z.sign(set, func(s *dns.RRSIG) {
		s.Inception, s.Expiration = uint32(wrap.Add(-time.Hour).Unix()), uint32(wrap.Add(time.Hour).Unix())
	})
	keys := &Keys{zone: z.name, keys: setOf(z.key), checked: NewCache()}
	for _, c := range []struct {
		reason string
		now    time.Time
		want   Reason
	}{
		{"before the wrap", wrap.Add(-time.Minute), ""},
		{"after the wrap", wrap.Add(time.Minute), ""},
		{"too early", wrap.Add(-2 * time.Hour), NotYetValid},
		{"too late", wrap.Add(2 * time.Hour), Expired},
	} {
		got, err := keys.Verify(set, []*dns.RRSIG{sig}, c.now)
		if reasonOf(err) != c.want {
			t.Errorf("%s: %v", c.reason, err)
		}
		if err == nil && !got.Expiration.Equal(wrap.Add(time.Hour)) {
			t.Errorf("%s: expires at %s", c.reason, got.Expiration)
		}
	}
}

func TestWorkIsLimited(t *testing.T) {
	z := newZone(t, "example.test.")
	set := rrset(t, "mx.example.test. 60 A 192.0.2.1")
	good := z.sign(set)
	var sigs []*dns.RRSIG
	for i := range maxChecks {
		bad := *good
		octets, _ := base64.StdEncoding.DecodeString(good.Signature)
		octets[i] ^= 1
		bad.Signature = base64.StdEncoding.EncodeToString(octets)
		sigs = append(sigs, &bad)
	}
	if _, err := z.keys().Verify(set, append(sigs[:maxChecks-1:maxChecks-1], good), at); err != nil {
		t.Errorf("the last check that is allowed is not made: %v", err)
	}
	_, err := z.keys().Verify(set, append(sigs, good), at)
	if reasonOf(err) != TooMuchWork {
		t.Errorf("more than %d checks are made: %v", maxChecks, err)
	}
	keys := z.keys()
	twins := []*dns.DNSKEY{z.key}
	for i := range maxKeysPerTag {
		twins = append(twins, swapped(t, z.key, i))
	}
	keys.keys = setOf(twins...)
	if _, err := keys.Verify(set, []*dns.RRSIG{good}, at); reasonOf(err) != TooMuchWork {
		t.Errorf("more than %d keys with a tag are tried: %v", maxKeysPerTag, err)
	}
}

func TestCacheSavesChecksAndNothingElse(t *testing.T) {
	z := newZone(t, "example.test.")
	keys := z.keys()
	made := countChecks(keys)
	set := rrset(t, "mx.example.test. 60 A 192.0.2.1")
	sig := z.sign(set)
	for range 3 {
		if _, err := keys.Verify(set, []*dns.RRSIG{sig}, at); err != nil {
			t.Fatal(err)
		}
	}
	if *made != 1 {
		t.Errorf("%d of three checks were made", *made)
	}
	if _, err := keys.Verify(set, []*dns.RRSIG{sig}, at.Add(48*time.Hour)); reasonOf(err) != Expired {
		t.Errorf("the cache forgets the time: %v", err)
	}
	altered := rrset(t, "mx.example.test. 60 A 192.0.2.2")
	if _, err := keys.Verify(altered, []*dns.RRSIG{sig}, at); reasonOf(err) != BadSignature {
		t.Errorf("the cache forgets the data: %v", err)
	}
	stranger := newZone(t, "example.test.")
	stranger.key.PublicKey = swapped(t, z.key, 3).PublicKey
	other := &Keys{zone: z.name, keys: setOf(stranger.key), checked: keys.checked}
	if _, err := other.Verify(set, []*dns.RRSIG{sig}, at); reasonOf(err) != BadSignature {
		t.Errorf("the cache forgets the key: %v", err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := NewCache()
	for i := range 3 * cacheSize {
		c.add(checkKey{byte(i), byte(i >> 8), byte(i >> 16)})
	}
	if n := len(c.newer) + len(c.older); n > 2*cacheSize {
		t.Errorf("it holds %d entries", n)
	}
	last := 3*cacheSize - 1
	if !c.good(checkKey{byte(last), byte(last >> 8), byte(last >> 16)}) {
		t.Error("the newest entry is gone")
	}
}

func TestErrorsHoldNoTimes(t *testing.T) {
	z := newZone(t, "example.test.")
	set := rrset(t, "mx.example.test. 60 A 192.0.2.1")
	sigs := []*dns.RRSIG{z.sign(set)}
	_, one := z.keys().Verify(set, sigs, at.Add(48*time.Hour))
	_, two := z.keys().Verify(set, sigs, at.Add(49*time.Hour))
	if one.Error() != two.Error() || !strings.Contains(one.Error(), "mx.example.test. A") {
		t.Errorf("%q, %q", one, two)
	}
}

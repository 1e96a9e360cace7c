package dnssec

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// crowded is a zone's key among so many others, and what is called by the tags of none of them.
type crowded struct {
	*testZone
	keys []dns.RR
	free uint16
}

func newCrowded(z *testZone, keys int) crowded {
	c := crowded{testZone: z, keys: []dns.RR{z.key}}
	taken := map[uint16]bool{z.key.KeyTag(): true}
	for n := uint64(0); len(c.keys) < keys; n++ {
		octets := make([]byte, 64)
		copy(octets, fmt.Sprint(n))
		key := *z.key
		key.PublicKey = base64.StdEncoding.EncodeToString(octets)
		if tag := key.KeyTag(); tag != z.key.KeyTag() {
			taken[tag] = true
			c.keys = append(c.keys, &key)
		}
	}
	for taken[c.free] {
		c.free++
	}
	return c
}

// signatures are so many over a set, of which the last is good and the others are by keys that there are not.
func (c crowded) signatures(t testing.TB, set []dns.RR, n int) []*dns.RRSIG {
	good := c.mustSign(t, set)
	var out []*dns.RRSIG
	for range n - 1 {
		junk := *good
		junk.KeyTag = c.free
		out = append(out, &junk)
	}
	return append(out, good)
}

// ds are so many DS records, of which the last is good.
func (c crowded) ds(n int) []*dns.DS {
	var out []*dns.DS
	for range n - 1 {
		junk := c.key.ToDS(dns.SHA256)
		junk.KeyTag = c.free
		out = append(out, junk)
	}
	return append(out, c.key.ToDS(dns.SHA256))
}

// TestKeysAndSignaturesAreLimited: what costs work before any signature is checked is limited too. A zone
// that is just within the limits works.
func TestKeysAndSignaturesAreLimited(t *testing.T) {
	z := fixedZone("example.test.")
	set := rrset(t, "mx.example.test. 300 A 192.0.2.1")
	for _, c := range []struct {
		reason                   string
		keys, ds, overKeys, over int
		want                     Reason
		says                     string
	}{
		{"one of each", 1, 1, 1, 1, "", ""},
		{"as many as there may be", MaxKeys, MaxDS, MaxSignatures, MaxSignatures, "", ""},
		{"a key more", MaxKeys + 1, 1, 1, 1, TooMuchWork, "example.test. DNSKEY: the zone has 65 keys; at most 64 are looked at"},
		{"a DS record more", 1, MaxDS + 1, 1, 1, TooMuchWork, "example.test. DS: there are 65 DS records of the zone; at most 64"},
		{"a signature over the keys more", 1, 1, MaxSignatures + 1, 1, TooMuchWork, "example.test. DNSKEY: there are 33 signatures over it; at most 32"},
		{"a signature over data more", 1, 1, 1, MaxSignatures + 1, TooMuchWork, "mx.example.test. A: there are 33 signatures over it; at most 32"},
	} {
		crowd := newCrowded(z, c.keys)
		keys, err := NewCache().KeysFor(z.name, crowd.keys, crowd.signatures(t, crowd.keys, c.overKeys), crowd.ds(c.ds), at)
		if err == nil {
			_, err = keys.Verify(set, crowd.signatures(t, set, c.over), at)
		}
		if reasonOf(err) != c.want || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: %v", c.reason, err)
		}
	}
}

// TestSignaturesOfOtherTypesDoNotCount: a name may have many RRsets.
func TestSignaturesOfOtherTypesDoNotCount(t *testing.T) {
	crowd := newCrowded(fixedZone("example.test."), 1)
	set := rrset(t, "mx.example.test. 300 A 192.0.2.1")
	other := crowd.signatures(t, rrset(t, "mx.example.test. 300 AAAA 2001:db8::1"), 2*MaxSignatures)
	keys := &Keys{zone: crowd.name, keys: setOf(crowd.key), checked: NewCache()}
	if _, err := keys.Verify(set, append(other, crowd.mustSign(t, set)), at); err != nil {
		t.Error(err)
	}
}

// TestTagsAreMadeOnce: keys that change afterwards are found by the tags that they had, so nobody makes them again.
func TestTagsAreMadeOnce(t *testing.T) {
	z := newZone(t, "example.test.")
	set := rrset(t, "mx.example.test. 300 A 192.0.2.1")
	sig := z.sign(set)
	keys := z.keys()
	z.key.PublicKey = swapped(t, z.key, 0).PublicKey[:8]
	if z.key.KeyTag() == sig.KeyTag {
		t.Fatal("the key of this test must have another tag now")
	}
	if _, err := keys.Verify(set, []*dns.RRSIG{sig}, at); reasonOf(err) != BadSignature {
		t.Errorf("got %v, want a key that is found and does not verify", err)
	}
	if !keys.Has(sig.KeyTag, sig.Algorithm) || keys.Has(sig.KeyTag, sig.Algorithm+1) || keys.Has(sig.KeyTag+1, sig.Algorithm) {
		t.Error("it has other keys than it should")
	}
}

func TestUntrustedKeysAreLimited(t *testing.T) {
	z := fixedZone("example.test.")
	set := rrset(t, "mx.example.test. 300 A 192.0.2.1")
	sigs := []*dns.RRSIG{z.mustSign(t, set)}
	for n, want := range map[int]Reason{1: "", MaxKeys: "", MaxKeys + 1: TooMuchWork} {
		keys := NewCache().UntrustedKeys(z.name, newCrowded(z, n).keys)
		if _, err := keys.Verify(set, sigs, at); reasonOf(err) != want {
			t.Errorf("%d keys: %v", n, err)
		}
		if _, err := keys.VerifyDenial("mx.example.test.", dns.TypeTLSA, false, set, at); want != "" && err == nil {
			t.Errorf("%d keys: a denial is taken", n)
		}
	}
	if NewCache().UntrustedKeys(z.name, nil) != nil {
		t.Error("there are keys where there are none")
	}
}

// TestTooManyDSRecords: the parent gives more than are looked at. Nothing is asked of the zone.
func TestTooManyDSRecords(t *testing.T) {
	for n, want := range map[int]Reason{MaxDS: "", MaxDS + 1: TooMuchWork} {
		w := newWorld(t)
		w.give(firstServer, "mx.example.test.", dns.TypeA, w.signed(w.example, nil, mxA))
		var set []dns.RR
		for i, ds := range newCrowded(w.example, 1).ds(n) {
			// A set holds no record twice.
			if ds.Hdr.Ttl = 3600; i < n-1 {
				ds.Digest = fmt.Sprintf("%064x", i)
			}
			set = append(set, ds)
		}
		answer := append(slices.Clone(set), w.test.sign(set))
		w.give(testServer, "example.test.", dns.TypeDS, &dns.Msg{Answer: answer})
		referral := w.answers[testServer+" example.test. ANY"]
		referral.Ns = append(slices.DeleteFunc(referral.Ns, func(rr dns.RR) bool { return coveredType(rr) == dns.TypeDS }), answer...)
		r := w.validator().Lookup(t.Context(), "mx.example.test.", dns.TypeA)
		if want == "" {
			w.is(r, Secure, "")
			continue
		}
		w.is(r, Bogus, want, "zone example.test.", "65 DS records")
		if asked := w.asks(); strings.Contains(asked, firstServer+" example.test. DNSKEY") {
			t.Errorf("it asked %s", asked)
		}
	}
}

// leaver is a world in which whoever asks has gone when the first answer to a question comes.
type leaver struct {
	*world
	leave context.CancelFunc
}

func (l *leaver) Exchange(ctx context.Context, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	m, err := l.world.Exchange(ctx, server, q)
	if host := server.Addr().String(); host != rootServer && host != testServer {
		l.leave()
	}
	return m, err
}

// TestNothingIsJudgedForNobody: when the context has ended, the servers that are left are not asked.
func TestNothingIsJudgedForNobody(t *testing.T) {
	for _, c := range []struct {
		reason string
		change func(*Config)
		asked  string
	}{
		{"by itself", func(*Config) {}, firstServer},
		{"by forwarders", func(c *Config) {
			c.Forwarders = []netip.AddrPort{netip.MustParseAddrPort(resolverAt + ":53"), netip.MustParseAddrPort(secondServer + ":53")}
		}, resolverAt},
	} {
		w := newWorld(t)
		w.resolver()
		for _, server := range []string{firstServer, secondServer, resolverAt} {
			w.give(server, "mx.example.test.", dns.TypeA, w.signed(w.example, func(s *dns.RRSIG) { s.OrigTtl++ }, mxA))
		}
		ctx, leave := context.WithCancel(t.Context())
		v := w.validator(c.change, func(config *Config) { config.Transport = &leaver{w, leave} })
		w.is(v.Lookup(ctx, "mx.example.test.", dns.TypeA), Bogus, BadSignature)
		if asked := w.asks(); !strings.Contains(asked, c.asked+" mx.example.test. A") || strings.Contains(asked, secondServer) {
			t.Errorf("%s: asked %s", c.reason, asked)
		}
	}
}

// TestExpiredSignaturesCostNothing: what has run out stands beside the good signature, and does not use up its checks.
func TestExpiredSignaturesCostNothing(t *testing.T) {
	z := newZone(t, "example.test.")
	set := rrset(t, "mx.example.test. 300 A 192.0.2.1")
	var sigs []*dns.RRSIG
	for i := range maxChecks {
		sigs = append(sigs, z.sign(set, func(sig *dns.RRSIG) {
			sig.Inception, sig.Expiration = uint32(at.Add(-48*time.Hour).Unix()), uint32(at.Add(-time.Duration(i+1)*time.Hour).Unix()) //nolint:gosec // of this century
		}))
	}
	if _, err := z.keys().Verify(set, append(sigs, z.sign(set)), at); err != nil {
		t.Error(err)
	}
}

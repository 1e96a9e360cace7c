package dnssec

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestKeysFor(t *testing.T) {
	z, other := newZone(t, "example.test."), newZone(t, "example.test.")
	set := []dns.RR{z.key}
	wrongDigest := z.anchor()
	wrongDigest.Digest = strings.Repeat("ab", 32)
	elsewhere := *z.anchor()
	elsewhere.Hdr.Name = "other.test."
	unknown := *z.anchor()
	unknown.Algorithm = dns.ED448
	altered := func(f func(*dns.DNSKEY)) *testZone {
		c := *z
		key := *z.key
		f(&key)
		c.key = &key
		return &c
	}
	revoked := altered(func(k *dns.DNSKEY) { k.Flags |= dns.REVOKE })
	noZone := altered(func(k *dns.DNSKEY) { k.Flags = dns.SEP })
	oldProtocol := altered(func(k *dns.DNSKEY) { k.Protocol = 2 })
	cases := []struct {
		reason  string
		set     []dns.RR
		sigs    []*dns.RRSIG
		anchors []Anchor
		now     time.Time
		want    Reason
		state   State
	}{
		{"a key that the anchor matches and that signs the set", set, []*dns.RRSIG{z.sign(set)}, []Anchor{z.anchor()}, at, "", Secure},
		{"one good anchor among others is enough", set, []*dns.RRSIG{z.sign(set)}, []Anchor{other.anchor(), &elsewhere, z.anchor()}, at, "", Secure},
		{"no anchor of this zone", set, []*dns.RRSIG{z.sign(set)}, []Anchor{&elsewhere}, at, NoAnchor, Indeterminate},
		{"no keys at all", nil, nil, []Anchor{z.anchor()}, at, NoKeys, Bogus},
		{"an anchor of another key", set, []*dns.RRSIG{z.sign(set)}, []Anchor{other.anchor()}, at, AnchorMismatch, Bogus},
		{"an anchor with the tag and another digest", set, []*dns.RRSIG{z.sign(set)}, []Anchor{wrongDigest}, at, AnchorMismatch, Bogus},
		{"an algorithm that cannot be checked is insecure", set, []*dns.RRSIG{z.sign(set)}, []Anchor{&unknown}, at, Unsupported, Insecure},
		{"no signature over the keys", set, nil, []Anchor{z.anchor()}, at, NoSignature, Bogus},
		{"a signature by a key that no anchor matches", []dns.RR{z.key, other.key}, []*dns.RRSIG{other.sign([]dns.RR{z.key, other.key})}, []Anchor{z.anchor()}, at, NoSuchKey, Bogus},
		{"an expired signature", set, []*dns.RRSIG{z.sign(set)}, []Anchor{z.anchor()}, at.Add(48 * time.Hour), Expired, Bogus},
		{"a revoked key", []dns.RR{revoked.key}, []*dns.RRSIG{revoked.sign([]dns.RR{revoked.key})}, []Anchor{revoked.anchor()}, at, NoKeys, Bogus},
		{"a key without the ZONE flag", []dns.RR{noZone.key}, []*dns.RRSIG{noZone.sign([]dns.RR{noZone.key})}, []Anchor{noZone.anchor()}, at, NoKeys, Bogus},
		{"a key of another protocol", []dns.RR{oldProtocol.key}, []*dns.RRSIG{oldProtocol.sign([]dns.RR{oldProtocol.key})}, []Anchor{oldProtocol.anchor()}, at, NoKeys, Bogus},
	}
	for _, c := range cases {
		_, err := NewCache().KeysFor("Example.Test.", c.set, c.sigs, c.anchors, c.now)
		if got := reasonOf(err); got != c.want {
			t.Errorf("%s: got %q (%v), want %q", c.reason, got, err, c.want)
			continue
		}
		var e *Error
		if errors.As(err, &e) && e.State() != c.state {
			t.Errorf("%s: %s, want %s", c.reason, e.State(), c.state)
		}
	}
}

func reasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

func TestAlgorithms(t *testing.T) {
	for _, c := range []struct {
		algorithm uint8
		bits      int
	}{
		{dns.RSASHA256, 2048}, {dns.RSASHA512, 2048}, {dns.ECDSAP256SHA256, 256}, {dns.ECDSAP384SHA384, 384}, {dns.ED25519, 256},
	} {
		z := newZoneWith(t, "example.test.", c.algorithm, c.bits)
		set := rrset(t, "mx.example.test. 60 A 192.0.2.1")
		if _, err := z.keys().Verify(set, []*dns.RRSIG{z.sign(set)}, at); err != nil {
			t.Errorf("algorithm %s: %v", dns.AlgorithmToString[c.algorithm], err)
		}
	}
}

func TestWeakDigestsYieldToStrongOnes(t *testing.T) {
	z, other := newZone(t, "example.test."), newZone(t, "example.test.")
	set := []dns.RR{z.key}
	sigs := []*dns.RRSIG{z.sign(set)}
	sha1 := z.key.ToDS(dns.SHA1)
	if _, err := NewCache().KeysFor(z.name, set, sigs, []Anchor{sha1}, at); err != nil {
		t.Errorf("SHA-1 alone is better than nothing: %v", err)
	}
	// RFC 4509 section 3: a good SHA-1 digest does not make up for a SHA-256 digest that fails.
	if _, err := NewCache().KeysFor(z.name, set, sigs, []Anchor{sha1, other.anchor()}, at); reasonOf(err) != AnchorMismatch {
		t.Errorf("SHA-1 beside SHA-256 counts: %v", err)
	}
}

func TestTooManyKeysWithOneTag(t *testing.T) {
	z := newZone(t, "example.test.")
	// The tag is a checksum of 16 bit words: swapping two words of the key makes another key with it.
	keys := []dns.RR{z.key}
	for i := range maxKeysPerTag {
		keys = append(keys, swapped(t, z.key, i))
	}
	for _, k := range keys {
		if k.(*dns.DNSKEY).KeyTag() != z.key.KeyTag() {
			t.Fatal("the keys of this test must have one tag")
		}
	}
	_, err := NewCache().KeysFor(z.name, keys, []*dns.RRSIG{z.sign(keys)}, []Anchor{z.anchor()}, at)
	if reasonOf(err) != TooMuchWork {
		t.Errorf("got %v", err)
	}
}

func TestParseDS(t *testing.T) {
	const hex = "9c7f6fd8d2f3a0a2b2b5b7d0a4b9a0c1d2e3f405162738495a6b7c8d9e0f1a2b"
	good := []struct {
		text, owner, want string
	}{
		{"12345 13 2 " + hex, "example.com.", "example.com."},
		{"12345 13 2 " + strings.ToUpper(hex), "Example.COM", "example.com."},
		{"12345 13 2 " + hex[:20] + " " + hex[20:], "example.com.", "example.com."},
		{"test. DS 12345 13 2 " + hex, "example.test.", "test."},
		{"Test. 3600 IN DS 12345 13 2 " + hex, "example.test.", "test."},
		{"test. IN DS 12345 13 2 " + hex, "", "test."},
		{"test. 3600 DS 12345 13 2 " + hex, "", "test."},
		{"DS 12345 13 2 " + hex, "example.test.", "example.test."},
		{". DS 12345 13 2 " + hex, "", "."},
		{"0/25.2.0.192.in-addr.arpa DS 12345 13 2 " + hex, "", "0/25.2.0.192.in-addr.arpa."},
		{"_domainkey.Example.com. DS 12345 13 2 " + hex, "", "_domainkey.example.com."},
		{"1 13 4 " + hex + hex[:32], "test.", "test."},
	}
	for _, c := range good {
		ds, err := ParseDS(c.text, c.owner)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if ds.Hdr.Name != c.want || ds.Hdr.Class != dns.ClassINET || !strings.HasPrefix(ds.Digest, hex[:20]) {
			t.Errorf("%q: %v", c.text, ds)
		}
	}
	bad := []struct{ reason, text, owner string }{
		{"no owner from anywhere", "12345 13 2 " + hex, ""},
		{"too few words", "12345 13 2", "test."},
		{"a key tag too large", "70000 13 2 " + hex, "test."},
		{"an algorithm too large", "1 300 2 " + hex, "test."},
		{"an unknown digest type", "1 13 3 " + hex, "test."},
		{"a digest too short", "1 13 2 " + hex[:62], "test."},
		{"a digest of another type's length", "1 13 4 " + hex, "test."},
		{"a digest that is not hex", "1 13 2 zz" + hex[2:], "test."},
		{"another class", "test. CH DS 1 13 2 " + hex, ""},
		{"an impossible owner", "a..test. DS 1 13 2 " + hex, ""},
		{"an owner with a space, which would end it", "12345 13 2 " + hex, "a b.test."},
		{"an owner whose last octet is not whole", "12345 13 2 " + hex, `test\`},
		{"an owner with an escape, which is another name when it is compared", "12345 13 2 " + hex, `\097.test.`},
		{"an owner that is not UTF-8", "12345 13 2 " + hex, strings.Repeat("\xe9", 40) + ".test."},
		{"nothing", "", "test."},
	}
	for _, c := range bad {
		if ds, err := ParseDS(c.text, c.owner); !errors.Is(err, ErrAnchor) {
			t.Errorf("%s: got %v, %v", c.reason, ds, err)
		}
	}
}

func TestParseAnchors(t *testing.T) {
	const hex = "9c7f6fd8d2f3a0a2b2b5b7d0a4b9a0c1d2e3f405162738495a6b7c8d9e0f1a2b"
	text := "; the root\n. IN DS 20326 8 2 " + hex + " ; old\n\n# ours\nexample.test. DS 12345 13 2 " + hex + "\r\n"
	got, err := ParseAnchors(strings.NewReader(text), at)
	if err != nil || len(got) != 2 || got[0].Hdr.Name != "." || got[1].KeyTag != 12345 {
		t.Errorf("got %v, %v", got, err)
	}
	_, err = ParseAnchors(strings.NewReader(". DS 20326 8 2 "+hex+"\n12345 13 2 "+hex+"\n"), at)
	if !errors.Is(err, ErrAnchor) || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("the line without an owner is not named: %v", err)
	}
}

func FuzzParseDS(f *testing.F) {
	f.Add("test. 3600 IN DS 12345 13 2 9c7f6fd8d2f3a0a2b2b5b7d0a4b9a0c1d2e3f405162738495a6b7c8d9e0f1a2b", "test.")
	f.Fuzz(func(t *testing.T, text, owner string) {
		ds, err := ParseDS(text, owner)
		if err != nil {
			return
		}
		again, err := ParseDS(ds.Hdr.Name+" DS "+PresentDS(ds), "")
		if err != nil || !dns.IsDuplicate(ds, again) {
			t.Errorf("%q reads as %v, and that as %v (%v)", text, ds, again, err)
		}
	})
}

// FuzzParseAnchors feeds it with files. What is read is written and read back as the same, and what is refused is
// refused with the line.
func FuzzParseAnchors(f *testing.F) {
	const hex = "9c7f6fd8d2f3a0a2b2b5b7d0a4b9a0c1d2e3f405162738495a6b7c8d9e0f1a2b"
	for _, text := range []string{
		"; the root\n. IN DS 20326 8 2 " + hex + " ; old\n\n# ours\nexample.test. 3600 DS 12345 13 2 " + hex + "\r\n",
		". DS 1 8 2 " + hex[:32] + " " + hex[32:], ". DS 1 8 2 " + hex[:60], "12345 13 2 " + hex, ". DS 70000 8 2 " + hex, ". DS 1 8 9 " + hex,
		"test. DNSKEY 257 3 13 " + strings.Repeat("AbCd", 16), ". IN DNSKEY 385 3 8 AwEAAQ==", "DNSKEY 257 3 8 ( AwEAAQ== )", ianaXML, "<TrustAnchor/>", "<", "DS DS DS", "IN DS 1 1 1 1", strings.Repeat("x", 70_000), "\x00", "",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		anchors, err := ParseAnchors(bytes.NewReader(text), at)
		if err != nil {
			if anchors != nil {
				t.Error("there are anchors beside the error")
			}
			return
		}
		var again strings.Builder
		for _, ds := range anchors {
			again.WriteString(ds.Hdr.Name + " DS " + PresentDS(ds) + "\n")
		}
		back, err := ParseAnchors(strings.NewReader(again.String()), at)
		if err != nil || len(back) != len(anchors) {
			t.Fatalf("%q does not read back: %v", again.String(), err)
		}
		for i, ds := range anchors {
			if !dns.IsDuplicate(ds, back[i]) {
				t.Errorf("%v reads back as %v", ds, back[i])
			}
		}
		WithRoot(anchors)
	})
}

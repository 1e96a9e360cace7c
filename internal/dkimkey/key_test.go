package dkimkey

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/dane-operator/dane-operator/internal/mailrecord"
)

func made(t testing.TB, w Wish) *Key {
	t.Helper()
	k, err := Make(rand.Reader, w)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var ed = Wish{Name: "ed", Algorithm: Ed25519}

// TestKeysSign: a message signed with a key of each kind verifies by the text of its record, in the strings that stand in a
// zone file.
func TestKeysSign(t *testing.T) {
	const message = "From: a@example.com\r\nSubject: test\r\n\r\nHello.\r\n"
	for _, w := range []Wish{ed, {Name: "rsa", Algorithm: RSA}, {Name: "rsa", Algorithm: RSA, Size: 3072}, {Name: "rsa", Algorithm: RSA, Size: 4096}} {
		k := made(t, w)
		var signed bytes.Buffer
		if err := dkim.Sign(&signed, strings.NewReader(message), &dkim.SignOptions{Domain: "example.com", Selector: k.Selector, Signer: k.Signer()}); err != nil {
			t.Fatal(err)
		}
		asked := ""
		results, err := dkim.VerifyWithOptions(&signed, &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
			asked = name
			text, err := mailrecord.Unquote(k.Data())
			return []string{text}, err
		}})
		if err != nil || len(results) != 1 || results[0].Err != nil || asked+"." != Owner(k.Selector, "example.com") {
			t.Errorf("%+v: %v %+v, asked for %s", w, err, results, asked)
		}
		r, problems := mailrecord.ParseDKIM(k.Text())
		if len(problems) > 0 || r.Bits() < 256 || w.Algorithm == RSA && r.Bits() != w.size() {
			t.Errorf("%+v: the record has %d bits, and %v", w, r.Bits(), problems)
		}
		if again, err := Read(w.Name, k.Selector, k.PEM); err != nil || !again.Fits(w) || again.Data() != k.Data() || !bytes.Equal(again.PEM, k.PEM) {
			t.Errorf("%+v: it is not read as it was made: %v", w, err)
		}
		for _, s := range strings.Split(strings.Trim(k.Data(), `"`), `" "`) {
			if len(s) > 255 {
				t.Errorf("%+v: a string has %d octets", w, len(s))
			}
		}
	}
}

// TestKeysDiffer: no two keys have a selector in common, and a key has one.
func TestKeysDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		seen[made(t, ed).Selector] = true
	}
	if len(seen) != 50 {
		t.Errorf("50 keys have %d selectors", len(seen))
	}
	for selector := range seen {
		if len(selector) != len("ed-")+2*digestOctets || len(selector) > 63 {
			t.Errorf("the selector %s", selector)
		}
	}
}

// TestReadRefuses: what is no key of ours is not read, and errors tell nothing of it.
func TestReadRefuses(t *testing.T) {
	k, other := made(t, ed), made(t, ed)
	for reason, try := range map[string]struct{ name, selector, text string }{
		"another selector":            {"ed", other.Selector, string(k.PEM)},
		"another name":                {"rsa", k.Selector, string(k.PEM)},
		"nothing":                     {"ed", k.Selector, ""},
		"no PEM":                      {"ed", k.Selector, "secret words"},
		"a block that holds no key":   {"ed", k.Selector, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"},
		"a key that was cut off":      {"ed", k.Selector, string(k.PEM[:60])},
		"a selector that looks alike": {"ed", k.Selector + "0", string(k.PEM)},
	} {
		_, err := Read(try.name, try.selector, []byte(try.text))
		if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "c2Vj") {
			t.Errorf("%s: %v", reason, err)
		}
	}
	if _, err := Make(rand.Reader, Wish{Name: "x", Algorithm: "DSA"}); err == nil {
		t.Error("there is no DSA in DKIM")
	}
	if k.Fits(Wish{Name: "ed", Algorithm: RSA}) || !made(t, Wish{Name: "r", Algorithm: RSA}).Fits(Wish{Algorithm: RSA, Size: 2048}) {
		t.Error("what fits does not, or the other way about")
	}
}

// TestHold: which key is in use and which is next, at each point between the two writes of a rotation, and after the loss
// of either Secret.
func TestHold(t *testing.T) {
	a, b, c := made(t, ed), made(t, ed), made(t, ed)
	signer := func(k *Key) map[string][]byte { return SignerItems("example.com", k, nil) }
	for _, try := range []struct {
		reason        string
		signer, store map[string][]byte
		current, next *Key
	}{
		{"nothing yet", nil, nil, nil, nil},
		{"the first key is made", nil, StoreItems(nil, a), nil, a},
		{"it is handed over, and the store is not written", signer(a), StoreItems(nil, a), a, nil},
		{"at rest", signer(a), StoreItems(a, nil), a, nil},
		{"the next is made", signer(a), StoreItems(a, b), a, b},
		{"the next is handed over, and the store is not written", signer(b), StoreItems(a, b), b, nil},
		{"the signer's Secret is lost at rest", nil, StoreItems(a, nil), a, nil},
		{"the signer's Secret is lost on the way", nil, StoreItems(a, b), a, b},
		{"the store is lost", signer(a), nil, a, nil},
		{"another key in the signer's Secret gives way", signer(c), StoreItems(a, b), a, b},
		{"what cannot be read in it, too", map[string][]byte{ItemSelector: []byte("x")}, StoreItems(a, b), a, b},
		{"what cannot be read in the store is made anew", signer(a), map[string][]byte{itemCurrent: []byte("x"), itemNext: []byte("y"), itemNextKey: b.PEM}, a, nil},
	} {
		got := Hold("ed", try.signer, try.store)
		if selectorOf(got.Current) != selectorOf(try.current) || selectorOf(got.Next) != selectorOf(try.next) {
			t.Errorf("%s: in use is %q, next %q", try.reason, selectorOf(got.Current), selectorOf(got.Next))
		}
	}
}

func selectorOf(k *Key) string {
	if k == nil {
		return ""
	}
	return k.Selector
}

// TestSignerItems: the forms that signers read, with the key of before beside the new one while its record stands.
func TestSignerItems(t *testing.T) {
	a, b := made(t, ed), made(t, ed)
	before := SignerItems("example.com", a, nil)
	items := SignerItems("example.com", b, FormerItems(before, []string{a.Selector, "other"}))
	want := map[string]string{
		"selector": b.Selector, "domain": "example.com", "selectors.map": "example.com " + b.Selector + "\n",
		"KeyTable": b.Selector + " example.com:" + b.Selector + ":./" + b.Selector + ".key\n", "SigningTable": "*@example.com " + b.Selector + "\n",
		b.Selector + ".key": string(b.PEM), a.Selector + ".key": string(a.PEM),
		b.Selector + ".rspamd": string(KeyItems(b)[b.Selector+".rspamd"]), a.Selector + ".rspamd": string(before[a.Selector+".rspamd"]),
	}
	if len(items) != len(want) {
		t.Errorf("it holds %v", slices.Sorted(maps.Keys(items)))
	}
	for item, text := range want {
		if string(items[item]) != text {
			t.Errorf("%s is %q", item, items[item])
		}
	}
	if left := FormerItems(items, nil); len(left) > 0 {
		t.Errorf("keys stay whose records are gone: %d", len(left))
	}
}

// TestSameKey: a record that was edited has the same key, and another key is another.
func TestSameKey(t *testing.T) {
	a, b := made(t, ed), made(t, ed)
	for text, same := range map[string]bool{
		a.Text(): true, strings.Replace(a.Text(), "v=DKIM1; ", "", 1): true, a.Text() + "; t=y": true,
		b.Text(): false, "v=DKIM1; k=ed25519; p=": false, "v=spf1 -all": false, "": false,
	} {
		if SameKey(text, a.Text()) != same {
			t.Errorf("%q: the same key is %t", text, !same)
		}
	}
	if SameKey("v=DKIM1; p=", "v=DKIM1; k=rsa; p=") {
		t.Error("two that are revoked have no key in common")
	}
}

func TestSelectorOfOwner(t *testing.T) {
	for owner, selector := range map[string]string{
		Owner("ed-1", "example.com"): "ed-1", Owner("ed-1", "example.net"): "", "example.com.": "", "_domainkey.example.com.": "",
	} {
		if got := SelectorOf(owner, "example.com"); got != selector {
			t.Errorf("%s: %q", owner, got)
		}
	}
}

// FuzzHold: whatever the Secrets hold, nothing panics, and what is found is a key of the name.
func FuzzHold(f *testing.F) {
	k := made(f, ed)
	f.Add("ed", []byte(k.Selector), k.PEM, []byte(k.Selector), k.PEM)
	f.Add("ed", []byte(""), []byte(""), []byte("-"), []byte("-----BEGIN X-----\n-----END X-----\n"))
	f.Fuzz(func(t *testing.T, name string, a, aKey, b, bKey []byte) {
		signer := map[string][]byte{ItemSelector: a, fmt.Sprintf("%s.key", a): aKey}
		held := Hold(name, signer, map[string][]byte{itemCurrent: a, itemCurrentKey: aKey, itemNext: b, itemNextKey: bKey})
		for _, k := range []*Key{held.Current, held.Next} {
			if k == nil {
				continue
			}
			if _, err := Read(name, k.Selector, k.PEM); err != nil {
				t.Errorf("a key that cannot be read is in use: %v", err)
			}
		}
	})
}

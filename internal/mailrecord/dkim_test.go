package mailrecord

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
)

// keyOf is an RSA key of a size, as it stands in a record; bare is without what encloses it.
func keyOf(t testing.TB, bits uint, bare bool) string {
	t.Helper()
	n := new(big.Int).SetBit(big.NewInt(1), int(bits)-1, 1)
	key := &rsa.PublicKey{N: n, E: 65537}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if bare {
		der = x509.MarshalPKCS1PublicKey(key)
	}
	return base64.StdEncoding.EncodeToString(der)
}

const (
	// brisbane is the key of RFC 6376 appendix C, and ed25519Key that of RFC 8463 appendix A.2.
	brisbane = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od" +
		"+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
	ed25519Key = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
)

func TestParseDKIM(t *testing.T) {
	key := keyOf(t, 2048, false)
	check(t, []row{
		{"RFC 6376 appendix C: the key of 1024 bits", "v=DKIM1; p=" + brisbane, []string{"Unwise WeakKey p"}, "v=DKIM1; k=rsa; p=" + brisbane},
		{"RFC 8463 appendix A.2: Ed25519", "v=DKIM1; k=ed25519; p=" + ed25519Key, nil, "="},
		{"2048 bits", "v=DKIM1; k=rsa; p=" + key, nil, "="},
		{"errata 3017 of RFC 6376: a bare key", "v=DKIM1; k=rsa; p=" + keyOf(t, 2048, true), nil, "="},
		{"the version may be left out", "k=rsa; p=" + key, nil, "v=DKIM1; k=rsa; p=" + key},
		{"all tags that there are", "v=DKIM1; k=rsa; h=sha1:sha256; s=email:tlsrpt; t=s; n=a note; p=" + key, nil, "="},
		{"white space in the key, as from a zone file", "v=DKIM1; k=rsa; p=" + key[:100] + " \t" + key[100:] + ";", nil, "v=DKIM1; k=rsa; p=" + key},
		{"white space in lists", "v=DKIM1; k=rsa; h= sha256 : sha1; p=" + key, nil, "v=DKIM1; k=rsa; h=sha256:sha1; p=" + key},
		{"section 3.6.1: an empty key revokes", "v=DKIM1; k=rsa; p=", []string{"Unwise Revoked p"}, "="},
		{"section 3.6.1: y says that it is being tried", "v=DKIM1; k=rsa; t=y; p=" + key, []string{"Unwise TooWeak t"}, "="},
		{"a key for reports alone", "v=DKIM1; k=rsa; s=tlsrpt; p=" + key, []string{"Unwise Unreached s"}, "="},
		{"RFC 8301 section 3.1: sha1 alone", "v=DKIM1; h=sha1; p=" + key, []string{"Fatal BadValue h"}, ""},
		{"RFC 8301 section 3.2: 1023 bits", "v=DKIM1; p=" + keyOf(t, 1023, false), []string{"Fatal WeakKey p"}, ""},
		{"RFC 8301 section 3.2: 512 bits", "v=DKIM1; p=" + keyOf(t, 512, false), []string{"Fatal WeakKey p"}, ""},
		{"RFC 8301 section 3.2: 8192 bits", "v=DKIM1; k=rsa; p=" + keyOf(t, 8192, false), []string{"Unwise WeakKey p"}, "="},
		{"a key that was cut off at 255 octets", "v=DKIM1; p=" + key[:244], []string{"Fatal BadValue p"}, ""},
		{"a key that was cut off in the middle of base64", "v=DKIM1; p=" + key[:243], []string{"Fatal BadSyntax p"}, ""},
		{"quotes in the key", "v=DKIM1; p=" + key[:100] + `" "` + key[100:], []string{"Fatal BadSyntax p"}, ""},
		{"RFC 8463 section 4.2: Ed25519 in what encloses it", "v=DKIM1; k=ed25519; p=MCowBQYDK2VwAyEA" + ed25519Key, []string{"Fatal BadValue p"}, ""},
		{"a key that is another type", "v=DKIM1; k=rsa; p=" + ed25519Key, []string{"Fatal BadValue p"}, ""},
		{"an unknown type", "v=DKIM1; k=dsa; p=" + key, []string{"Fatal BadValue k"}, ""},
		{"no key", "v=DKIM1; k=rsa", []string{"Fatal MissingTag p"}, ""},
		{"section 3.2: a tag twice makes all of it invalid", "v=DKIM1; k=rsa; k=rsa; p=" + key, []string{"Fatal Duplicate k"}, ""},
		{"section 3.2: what is no tag makes all of it invalid", "v=DKIM1; rsa; p=" + key, []string{"Fatal BadSyntax"}, ""},
		{"section 3.6.1: the version comes first", "k=rsa; v=DKIM1; p=" + key, []string{"Fatal BadSyntax v"}, ""},
		{"an unknown tag", "v=DKIM1; k=rsa; x=1; p=" + key, []string{"Unwise Unreached x"}, "="},
		{"g was in RFC 4871", "v=DKIM1; k=rsa; g=*; p=" + key, []string{"Unwise Unreached g"}, "="},
		{"another version", "v=DKIM2; p=" + key, []string{"Fatal NotThisRecord p"}, ""},
	}, func(text string) (string, Problems) { r, found := ParseDKIM(text); return r.Render(), found })
	public, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	if found := (DKIM{Key: "rsa", Public: public, Notes: "a; p="}).Validate(); !found.Fatal() {
		t.Error("a note with a tag behind it is published")
	}
	if r := (DKIM{Key: "rsa", Public: public}); len(r.Validate()) > 0 || r.Bits() != 2048 || len(Split(r.Render())) < 2 || strings.Contains(Quote(r.Render()), "\n") {
		t.Errorf("%v, %d bits", r.Validate(), r.Bits())
	}
}

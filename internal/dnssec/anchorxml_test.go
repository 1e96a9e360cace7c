package dnssec

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// ksk2017 is the key of the public root with tag 20326.
const ksk2017 = "AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq7HrxRixHlFlExOLAJr5emLvN7SWXgnLh4+B5xQlNVz8Og8kvArMtNROxVQuCaSnIDdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8efS3rCj/EWgvIWgb9tarpVUDK/b58Da+sqqls3eNbuv7pr+eoZG+SrDK6nWeL3c6H5Apxz7LjVc1uTIdsIXxuOLYA4/ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qihylGa8subX2Nn6UwNR1AkUTV74bU="

// ianaXML has the form of the file that IANA publishes: a key that is no more, one that counts, and one to come.
const ianaXML = `<?xml version="1.0" encoding="UTF-8"?>
<TrustAnchor id="380DC50D-484E-40D0-A3AE-68F2B18F61C7" source="http://data.iana.org/root-anchors/root-anchors.xml">
<Zone>.</Zone>
<KeyDigest id="Kjqmt7v" validFrom="2010-07-15T00:00:00+00:00" validUntil="2019-01-11T00:00:00+00:00">
<KeyTag>19036</KeyTag><Algorithm>8</Algorithm><DigestType>2</DigestType>
<Digest>49AAC11D7B6F6446702E54A1607371607A1A41855200FD2CE1CDDE32F24E8FB5</Digest>
</KeyDigest>
<KeyDigest id="Klajeyz" validFrom="2017-02-02T00:00:00+00:00">
<KeyTag>20326</KeyTag><Algorithm>8</Algorithm><DigestType>2</DigestType>
<Digest>E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D</Digest>
<PublicKey>` + ksk2017 + `</PublicKey>
<Flags>257</Flags>
</KeyDigest>
<KeyDigest id="Kmyv6jo" validFrom="2024-07-18T00:00:00+00:00">
<KeyTag>38696</KeyTag><Algorithm>8</Algorithm><DigestType>2</DigestType>
<Digest>683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16</Digest>
</KeyDigest>
</TrustAnchor>
<!-- the end -->
`

func tags(anchors []Anchor) []uint16 {
	var out []uint16
	for _, ds := range anchors {
		out = append(out, ds.KeyTag)
	}
	return out
}

// TestRootAnchorsXML: the anchors that are valid at a time, each from validFrom until validUntil.
func TestRootAnchorsXML(t *testing.T) {
	for _, c := range []struct {
		at   string
		want []uint16
	}{
		{"2010-07-15T00:00:00Z", []uint16{19036}},
		{"2018-06-01T00:00:00Z", []uint16{19036, 20326}},
		{"2019-01-10T23:59:59Z", []uint16{19036, 20326}},
		{"2019-01-11T00:00:00Z", []uint16{20326}},
		{"2026-11-29T00:00:00Z", []uint16{20326, 38696}},
		{"2010-07-14T23:59:59Z", nil},
	} {
		now, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseAnchors(strings.NewReader("\ufeff\n"+ianaXML), now)
		if len(got) != len(c.want) || (err == nil) != (len(c.want) > 0) {
			t.Errorf("at %s: %v, %v", c.at, tags(got), err)
			continue
		}
		for i, ds := range got {
			if ds.KeyTag != c.want[i] || ds.Hdr.Name != "." {
				t.Errorf("at %s: %v, want %v", c.at, tags(got), c.want)
			}
		}
		if err != nil && !strings.Contains(err.Error(), "none is valid now") {
			t.Errorf("at %s: %v", c.at, err)
		}
	}
	now := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	got, err := ParseAnchors(strings.NewReader(ianaXML), now)
	if err != nil || len(got) != 2 || PresentDS(got[0]) != PresentDS(RootAnchors()[0]) || PresentDS(got[1]) != PresentDS(RootAnchors()[1]) {
		t.Errorf("they are not those that are built in: %v, %v", got, err)
	}
}

// TestMalformedAnchorFiles: each is refused as a whole, with what is wrong and what to do.
func TestMalformedAnchorFiles(t *testing.T) {
	edit := func(old, by string) string {
		if !strings.Contains(ianaXML, old) {
			t.Fatalf("there is no %q", old)
		}
		return strings.Replace(ianaXML, old, by, 1)
	}
	for _, c := range []struct{ reason, text, says string }{
		{"cut short", ianaXML[:700], "take it anew"},
		{"another XML", "<html><body>404</body></html>", "not that of IANA"},
		{"two files in one", ianaXML + ianaXML, "take it anew"},
		{"records after it", ianaXML + ". DS 1 8 2 ab", "after its end"},
		{"no zone", edit("<Zone>.</Zone>", ""), "Zone"},
		{"no domain name", edit("<Zone>.</Zone>", "<Zone>a..b</Zone>"), "Zone"},
		{"no validFrom", edit(` validFrom="2017-02-02T00:00:00+00:00"`, ""), `KeyDigest "Klajeyz"`},
		{"a validUntil that is no time", edit("2019-01-11T00:00:00+00:00", "tomorrow"), "validUntil"},
		{"a digest cut short", edit("EC8D</Digest>", "EC</Digest>"), "64 hex digits"},
		{"no key tag", edit("<KeyTag>20326</KeyTag>", ""), "key tag"},
		{"a digest of unknown type", edit("<DigestType>2</DigestType>", "<DigestType>9</DigestType>"), "digest type 9"},
		{"a digest of another key", edit("AwEAAaz/", "AwEAAaz+"), "not that of the PublicKey"},
		{"a key that is revoked", edit("<Flags>257</Flags>", "<Flags>385</Flags>"), "revoked"},
		{"a key without flags", edit("<Flags>257</Flags>", ""), "Flags"},
		{"no anchors", "<TrustAnchor><Zone>.</Zone></TrustAnchor>", "none is valid now"},
		{"a DNSKEY without its owner", "DNSKEY 257 3 8 " + ksk2017, "without its owner"},
		{"a DNSKEY in parentheses", ". DNSKEY 257 3 8 ( " + ksk2017 + " )", "without parentheses"},
		{"a DNSKEY over several lines", ". DNSKEY 257 3 8\n" + ksk2017, "line 1"},
		{"a zone signing key of no zone", ". DNSKEY 1 3 8 " + ksk2017, "flags are 257"},
		{"a DNSKEY that is revoked", ". DNSKEY 385 3 8 " + ksk2017, "followed it"},
		{"a DNSKEY of another protocol", ". DNSKEY 257 2 8 " + ksk2017, "protocol"},
		{"flags that are no number", ". DNSKEY KSK 3 8 " + ksk2017, "257"},
		{"an algorithm by name", ". DNSKEY 257 3 RSASHA256 " + ksk2017, "algorithm"},
		{"a key cut short", ". DNSKEY 257 3 8 " + ksk2017[:101], "copy it whole"},
		{"of another class", ". CH DNSKEY 257 3 8 " + ksk2017, "before DNSKEY"},
	} {
		got, err := ParseAnchors(strings.NewReader(c.text), time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC))
		if got != nil || !errors.Is(err, ErrAnchor) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, %v; want %q", c.reason, got, err, c.says)
		}
	}
}

// TestDNSKEYAnchors: a DNSKEY stands for the DS record that it has, in the forms in which signers and resolvers write it.
func TestDNSKEYAnchors(t *testing.T) {
	want := PresentDS(RootAnchors()[0])
	for _, text := range []string{
		". DNSKEY 257 3 8 " + ksk2017,
		".\t172800\tIN\tDNSKEY\t257 3 8 " + ksk2017 + " ;{id = 20326 (ksk), size = 2048b} ;;state=2 [  VALID  ]",
		". IN DNSKEY 257 3 8 " + ksk2017[:64] + " " + ksk2017[64:] + " ; key id = 20326",
	} {
		got, err := ParseAnchors(strings.NewReader("; autotrust trust anchor file\n"+text+"\n"), at)
		if err != nil || len(got) != 1 || PresentDS(got[0]) != want || got[0].Hdr.Name != "." {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	// What unbound notes that must not be trusted yet, or any more, beside one that is.
	for _, line := range []string{
		". DNSKEY 257 3 13 " + strings.Repeat("AbCd", 22) + " ;;state=1 [ ADDPEND ]",
		". DNSKEY 385 3 8 " + ksk2017 + " ;{id = 20454 (ksk)} ;;state=4 [ REVOKED ]",
		". DNSKEY 257 3 13 " + strings.Repeat("AbCd", 22) + " ;;state=5 [ REMOVED ]",
	} {
		got, err := ParseAnchors(strings.NewReader(line+"\n. DNSKEY 257 3 8 "+ksk2017+" ;;state=2 [  VALID  ]\n"), at)
		if err != nil || len(got) != 1 || PresentDS(got[0]) != want {
			t.Errorf("%s: %v, %v", line, got, err)
		}
	}
	got, err := ParseAnchors(strings.NewReader("Example.TEST. DNSKEY 256 3 13 "+strings.Repeat("AbCd", 22)+"\n. DS "+want+"\n"), at)
	if err != nil || len(got) != 2 || got[0].Hdr.Name != "example.test." {
		t.Errorf("a key beside a DS record: %v, %v", got, err)
	}
}

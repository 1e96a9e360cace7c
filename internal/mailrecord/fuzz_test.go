package mailrecord

import (
	"slices"
	"testing"
)

// parsers read a text and give its canonical form.
var parsers = map[Kind]func(string) (string, Problems){
	KindTLSRPT: func(text string) (string, Problems) { r, found := ParseTLSRPT(text); return r.Render(), found },
	KindMTASTS: func(text string) (string, Problems) { r, found := ParseMTASTS(text); return r.Render(), found },
	KindPolicy: func(text string) (string, Problems) { r, found := ParsePolicy(text); return r.Render(), found },
	KindSPF:    func(text string) (string, Problems) { r, found := ParseSPF(text); return r.Render(), found },
	KindDMARC:  func(text string) (string, Problems) { r, found := ParseDMARC(text); return r.Render(), found },
	KindDKIM:   func(text string) (string, Problems) { r, found := ParseDKIM(text); return r.Render(), found },
}

// FuzzRecords gives any text to every parser. None panics; what one takes has a canonical form that it takes again as the
// same, and that is told of nothing worse than the text.
func FuzzRecords(f *testing.F) {
	for _, text := range []string{
		"v=TLSRPTv1; rua=mailto:a@example.com,https://example.net/r; ext=1", "v=STSv1; id=20160831085700Z;",
		"version: STSv1\r\nmode: enforce\r\nmx: *.example.net\r\nmax_age: 604800\r\nx: y z\r\n",
		"v=spf1 +mx a:colo.example.com/28//64 ip4:192.0.2.1/24 ip6:::1 exists:%{ir}.%{v}._spf.%{d2} moo=x redirect=_spf.%{d}",
		"v=DMARC1; p=reject; sp=none; t=y; psd=n; rua=mailto:a@example.com!10m; ruf=mailto:b@example.com; fo=0:d; pct=5",
		"v=DKIM1; k=ed25519; h=sha256; s=email; t=y:s; n=note; p=" + ed25519Key, "k=rsa; p=" + brisbane, "v=DKIM1; p=",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for kind, parse := range parsers {
			canonical, found := parse(text)
			for _, p := range found {
				if p.Rule == "" || p.Message == "" || p.Advice == "" || p.Error() == "" {
					t.Errorf("%s: %+v does not say everything", kind, p)
				}
			}
			if found.Fatal() {
				continue
			}
			again, worse := parse(canonical)
			if again != canonical || worse.Fatal() {
				t.Errorf("%s: %q became %q, and then %q: %v", kind, text, canonical, again, worse)
			}
			if kind != KindPolicy && Select(kind, []string{canonical}).Text != canonical {
				t.Errorf("%s: %q is not found any more", kind, canonical)
			}
		}
	})
}

// FuzzText: what is quoted is read as the same octets, and nothing that is read panics.
func FuzzText(f *testing.F) {
	for _, text := range []string{"", `a"b\c`, `\`, `\065`, "\x00\x7f\xff", "a;b c", `"a" "b"`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := Unquote(Quote(text)); err != nil || got != text {
			t.Errorf("%q: quoted %s, read %q: %v", text, Quote(text), got, err)
		}
		if data, err := Unquote(text); err == nil && slices.ContainsFunc(Split(data), func(s string) bool { return len(s) > maxString }) {
			t.Errorf("%q: a string is too long", text)
		}
		expand(text, "example.com")
	})
}

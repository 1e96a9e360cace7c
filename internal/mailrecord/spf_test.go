package mailrecord

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestParseSPF(t *testing.T) {
	check(t, []row{
		{"RFC 7208 section 3: the example", "v=spf1 +mx a:colo.example.com/28 -all", nil, "v=spf1 mx a:colo.example.com/28 -all"},
		{"RFC 7208 appendix A.1: everyone", "v=spf1 +all", []string{"Wrong TooWeak all"}, "v=spf1 all"},
		{"A.1: hosts of other domains", "v=spf1 mx mx:example.org -all", nil, "="},
		{"A.1: prefixes", "v=spf1 mx/30 mx:example.org/30 -all", nil, "="},
		{"A.1: ptr is not to be used (section 5.5)", "v=spf1 ptr -all", []string{"Unwise Historic ptr"}, "="},
		{"A.1: a network", "v=spf1 ip4:192.0.2.128/28 -all", nil, "="},
		{"A.2: includes and redirect", "v=spf1 include:example.com include:example.net -all", nil, "="},
		{"A.2: redirect alone", "v=spf1 redirect=example.org", nil, "="},
		{"A.3: exists with macros", "v=spf1 mx -exists:%{ir}.%{v}._spf.%{d2} redirect=_spf.%{d2}", nil, "="},
		{"A.4: a macro as the end of a name", "v=spf1 include:ip4._spf.%{d} include:ptr._spf.%{d} +all", []string{"Wrong TooWeak all"}, "v=spf1 include:ip4._spf.%{d} include:ptr._spf.%{d} all"},
		{"A.4, errata 4001: ip4 without an address, as printed, is none", "v=spf1 -ip4: +all", []string{"Fatal BadSyntax ip4"}, ""},
		{"section 5.6: IPv6", "v=spf1 ip6:2001:DB8::cd30/128 -all", nil, "v=spf1 ip6:2001:db8::cd30/128 -all"},
		{"section 5.3: both prefixes", "v=spf1 a:example.com/24//64 -all", nil, "="},
		{"section 5.3: the prefix of IPv6 alone", "v=spf1 a//64 -all", nil, "="},
		{"section 4.6.1: names are case-insensitive", "v=spf1 A MX:Example.COM -ALL", nil, "v=spf1 a mx:Example.COM -all"},
		{"section 4.6.1: more than one space", "v=spf1   mx   -all  ", nil, "v=spf1 mx -all"},
		{"section 6: an unknown modifier is ignored", "v=spf1 moo.cow-far_out=man:dog/cat -all", nil, "="},
		{"section 6: redirect twice", "v=spf1 redirect=a.example redirect=b.example", []string{"Fatal Duplicate redirect"}, ""},
		{"section 6: exp twice", "v=spf1 exp=a.example.com exp=b.example.com -all", []string{"Fatal Duplicate exp"}, ""},
		{"section 6.1: redirect beside all", "v=spf1 -all redirect=_spf.example.com", []string{"Wrong Unreached redirect"}, "="},
		{"section 5.1: a mechanism behind all", "v=spf1 -all mx", []string{"Wrong Unreached mx"}, "="},
		{"section 4.7: nothing said of the rest", "v=spf1 mx", []string{"Unwise TooWeak all"}, "="},
		{"a neutral end", "v=spf1 mx ?all", []string{"Unwise TooWeak all"}, "="},
		{"a tab is no space", "v=spf1 mx\t-all", []string{"Fatal BadSyntax mx"}, ""},
		{"a mechanism that does not exist", "v=spf1 ipv4:192.0.2.1 -all", []string{"Fatal BadSyntax ipv4"}, ""},
		{"a bare address", "v=spf1 192.0.2.1 -all", []string{"Fatal BadSyntax"}, ""},
		{"a comma between terms", "v=spf1 mx, -all", []string{"Fatal BadSyntax mx"}, ""},
		{"include with an equals sign is an unknown modifier", "v=spf1 include=example.com -all", nil, "="},
		{"include without a name", "v=spf1 include -all", []string{"Fatal BadSyntax include"}, ""},
		{"include of a name without a dot", "v=spf1 include:localhost -all", []string{"Fatal BadMacro include"}, ""},
		{"a top level of digits", "v=spf1 a:192.0.2.1 -all", []string{"Fatal BadMacro a"}, ""},
		{"a port", "v=spf1 a:example.com:25 -all", []string{"Fatal BadMacro a"}, ""},
		{"a URL", "v=spf1 include:https://example.com -all", nil, "="}, // the grammar takes it for a name
		{"all with a value", "v=spf1 -all:example.com", []string{"Fatal BadSyntax all"}, ""},
		{"all with a prefix", "v=spf1 -all/8", []string{"Fatal BadSyntax all"}, ""},
		{"an octet too large", "v=spf1 ip4:192.0.2.256 -all", []string{"Fatal BadValue ip4"}, ""},
		{"three octets", "v=spf1 ip4:192.0.2 -all", []string{"Fatal BadValue ip4"}, ""},
		{"IPv6 in ip4", "v=spf1 ip4:2001:db8::1 -all", []string{"Fatal BadValue ip4"}, ""},
		{"a prefix of 33", "v=spf1 ip4:192.0.2.0/33 -all", []string{"Fatal BadValue ip4"}, ""},
		{"a prefix with a zero in front", "v=spf1 a/024 -all", []string{"Fatal BadValue a"}, ""},
		{"a prefix without digits", "v=spf1 mx/ -all", []string{"Fatal BadValue mx"}, ""},
		{"a prefix of 129", "v=spf1 mx//129 -all", []string{"Fatal BadValue mx"}, ""},
		{"a zone of IPv6", "v=spf1 ip6:fe80::1%eth0 -all", []string{"Fatal BadValue ip6"}, ""},
		{"bits beyond the prefix", "v=spf1 ip4:192.0.2.77/24 -all", []string{"Unwise BadValue ip4"}, "="},
		{"a qualifier before a modifier", "v=spf1 -redirect=example.com", []string{"Fatal BadSyntax redirect"}, ""},
		{"section 7.1: a lone percent sign", "v=spf1 exists:%a.example.com -all", []string{"Fatal BadMacro exists"}, ""},
		{"section 7.1: no such macro", "v=spf1 exists:%{e}.example.com -all", []string{"Fatal BadMacro exists"}, ""},
		{"section 7.2: c, r and t are for explanations", "v=spf1 exists:%{r}.example.com -all", []string{"Fatal BadMacro exists"}, ""},
		{"section 7.1: no labels", "v=spf1 exists:%{d0}.example.com -all", []string{"Fatal BadMacro exists"}, ""},
		{"section 7.1: delimiters", "v=spf1 exists:%{l1r+-}.%{d} -all", nil, "="},
		{"section 7.1: what is no delimiter", "v=spf1 exists:%{l!}.example.com -all", []string{"Fatal BadMacro exists"}, ""},
		{"section 7.1: an open brace", "v=spf1 exists:%{d -all", []string{"Fatal BadMacro exists"}, ""},
		{"section 7.1: a slash in a macro is no prefix", "v=spf1 a:%{d/} -all", nil, "="},
		{"section 7.1: an escape", "v=spf1 exists:%%.%_.example.com -all", nil, "="},
		{"section 12: a label at the end with a dash", "v=spf1 a:example.xn--p1ai. -all", nil, "="},
		{"a Unicode name", "v=spf1 include:exämple.com -all", []string{"Fatal BadMacro include"}, ""},
		{"section 3.4: longer than a datagram takes", "v=spf1" + strings.Repeat(" ip4:192.0.2.1", 32) + " -all", []string{"Unwise TooLong"}, "="},
		{"another version", "v=spf2 -all", []string{"Fatal NotThisRecord v"}, ""},
	}, func(text string) (string, Problems) { r, found := ParseSPF(text); return r.Render(), found })
	if found := (SPF{Terms: []SPFTerm{{Qualifier: "+", Name: "a", Value: "example.com +all"}}}).Validate(); !found.Fatal() {
		t.Error("a name with a space and a mechanism in it is published")
	}
}

// TestExpand are the examples of RFC 7208 section 7.4 that do not depend on the message.
func TestExpand(t *testing.T) {
	for spec, want := range map[string]string{
		"%{d}": "email.example.com", "%{d4}": "email.example.com", "%{d3}": "email.example.com", "%{d2}": "example.com",
		"%{d1}": "com", "%{dr}": "com.example.email", "%{d2r}": "example.email", "%{o}": "email.example.com",
		"%{d2}.trusted-domains.example.net": "example.com.trusted-domains.example.net", "_spf.%{d2}.": "_spf.example.com",
	} {
		if got, known := expand(spec, "email.example.com"); !known || got != want {
			t.Errorf("%s: %q, %t, want %q", spec, got, known, want)
		}
	}
	for _, spec := range []string{"%{s}", "%{l}.example.com", "%{ir}.%{v}._spf.%{d2}", "%{h}", "%{p}"} {
		if got, known := expand(spec, "email.example.com"); known {
			t.Errorf("%s is taken for known: %q", spec, got)
		}
	}
	if got, known := expand(strings.Repeat("0123456789.", 24)+"%{d}", "example.com"); !known || len(got) > 253 || !strings.HasSuffix(got, ".example.com") {
		t.Errorf("a long name: %q, %t", got, known)
	}
}

// TestCountSPF counts as RFC 7208 section 4.6.4 says.
func TestCountSPF(t *testing.T) {
	w := zone(t,
		`_one.example.com. TXT "v=spf1 ip4:192.0.2.1 -all"`, `_two.example.com. TXT "v=spf1 a:host.example.com mx:example.com -all"`,
		`_loop.example.com. TXT "v=spf1 include:_back.example.com -all"`, `_back.example.com. TXT "v=spf1 include:_loop.example.com -all"`,
		`_broken.example.com. TXT "v=spf1 ipv4:192.0.2.1 -all"`, `_twice.example.com. TXT "v=spf1 -all"`, `_twice.example.com. TXT "v=spf1 ~all"`,
		`_tree.example.com. TXT "v=spf1 include:_tree.%{d} include:_tree.%{d} -all"`,
		`host.example.com. A 192.0.2.1`, `host.example.com. AAAA 2001:db8::1`, `old.example.com. A 192.0.2.2`,
		`example.com. MX 10 host.example.com.`, `null.example.com. MX 0 .`, `foreign.example.com. TXT "something else"`,
	)
	for i := range 11 {
		w["many.example.com MX"] = append(w["many.example.com MX"], zone(t, fmt.Sprintf("many.example.com. MX 10 mx%d.example.com.", i))["many.example.com MX"]...)
	}
	for _, c := range []struct {
		reason, text string
		lookups      int
		void4, void6 int
		codes        []Code
	}{
		{"addresses cost nothing", "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all", 0, 0, 0, nil},
		{"each term costs one, and an included record what it has", "v=spf1 a:host.example.com mx include:_two.example.com -all", 5, 0, 0, nil},
		{"the hosts of MX records cost no term", "v=spf1 mx -all", 1, 0, 0, nil},
		{"ptr and exists cost one each", "v=spf1 ptr exists:%{i}.example.com -all", 2, 0, 0, nil},
		{"redirect costs one", "v=spf1 redirect=_two.example.com", 3, 0, 0, nil},
		{"redirect beside all is never looked at, and costs nothing", "v=spf1 -all redirect=_two.example.com", 0, 0, 0, nil},
		{"what comes after all costs nothing", "v=spf1 -all mx", 0, 0, 0, nil},
		{"exp costs nothing", "v=spf1 exp=explain.example.com -all", 0, 0, 0, nil},
		{"a host without IPv6 finds nothing for a client with it", "v=spf1 a:old.example.com -all", 1, 0, 1, nil},
		{"ten are allowed, and told of", "v=spf1" + strings.Repeat(" include:_one.example.com", 10) + " -all", 10, 0, 0, []Code{TooManyLookups}},
		{"eleven are too many", "v=spf1" + strings.Repeat(" include:_one.example.com", 11) + " -all", 11, 0, 0, []Code{TooManyLookups}},
		{"two lookups may find nothing", "v=spf1 exists:gone.example.com a:gone.example.com -all", 2, 2, 2, nil},
		{"three may not", "v=spf1 exists:gone.example.com a:gone.example.com mx:gone.example.com -all", 3, 3, 3, []Code{TooManyVoidLookups}},
		{"three for IPv6 alone are told of", "v=spf1" + strings.Repeat(" a:old.example.com", 3) + " -all", 3, 0, 3, []Code{TooManyVoidLookups}},
		{"a null MX is no void lookup", "v=spf1 mx:null.example.com -all", 1, 0, 0, nil},
		{"an include that leads nowhere is a permanent error (section 5.2)", "v=spf1 include:gone.example.com -all", 1, 1, 1, []Code{Dangling}},
		{"a name with other TXT records is no void lookup", "v=spf1 include:foreign.example.com -all", 1, 0, 0, []Code{Dangling}},
		{"an include of two records", "v=spf1 include:_twice.example.com -all", 1, 0, 0, []Code{Dangling}},
		{"an include of a broken record", "v=spf1 include:_broken.example.com -all", 1, 0, 0, []Code{Dangling}},
		{"a loop", "v=spf1 include:_loop.example.com -all", 3, 0, 0, []Code{Loop}},
		{"the record includes itself", "v=spf1 include:example.com -all", 1, 0, 0, []Code{Loop}},
		{"an MX RRset of eleven", "v=spf1 mx:many.example.com -all", 1, 0, 0, []Code{TooManyAddresses}},
		{"what fails is no void lookup", "v=spf1 include:spf.fails -all", 1, 0, 0, []Code{LookupFailed}},
	} {
		record, found := ParseSPF(c.text)
		if found.Fatal() {
			t.Fatal(found)
		}
		got := CountSPF(t.Context(), w, "Example.com.", record)
		var codes []Code
		for _, p := range got.Problems {
			codes = append(codes, p.Code)
		}
		if got.Lookups != c.lookups || got.VoidIPv4 != c.void4 || got.VoidIPv6 != c.void6 || !slices.Equal(codes, c.codes) {
			t.Errorf("%s: %+v", c.reason, got)
		}
	}
}

// everywhere answers by the first label of a name.
type everywhere struct{ world }

func (e everywhere) Lookup(ctx context.Context, name string, qtype uint16) Answer {
	first, _, _ := strings.Cut(name, ".")
	return e.world.Lookup(ctx, first, qtype)
}

// TestCountSPFEnds: whoever writes the records does not decide how long it takes.
func TestCountSPFEnds(t *testing.T) {
	record, _ := ParseSPF("v=spf1 include:a.%{d} include:b.%{d} -all")
	w := zone(t)
	for _, name := range []string{"a", "b"} {
		w[name+" TXT"] = zone(t, name+`. TXT "v=spf1 include:a.%{d} include:b.%{d} -all"`)[name+" TXT"]
	}
	got := CountSPF(t.Context(), everywhere{w}, "example.com", record)
	if !got.Cut || got.Lookups > enough+1 || !got.Problems.Fatal() {
		t.Errorf("%+v", got)
	}
	if p := got.Problems.First(Fatal); !strings.Contains(p.Message, "or more terms of at most 10: include:a.%{d} ") {
		t.Error(p)
	}
	over, end := context.WithCancel(t.Context())
	end()
	if got := CountSPF(over, everywhere{w}, "example.com", record); !got.Cut || got.Problems.Fatal() || got.Problems[0].Code != LookupFailed {
		t.Errorf("nobody waits any more, which makes the record neither good nor broken: %+v", got)
	}
}

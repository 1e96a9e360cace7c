package delegation

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

var (
	keyNames = []string{"old", "new", "other", "zsk", "ed", "sha1"}
	dsNames  = []string{"old", "new", "other", "zsk", "ed", "sha1", "old/1", "new/1", "old/4", "new/4", "ed/4"}
	cdsNames = append([]string{removeCDS, "1 13 77 ABCD", "0 0 2 00"}, dsNames...)
	keyTexts = append([]string{removeKey, "257 3 0 AQID"}, keyNames...)
)

func some(t *rapid.T, names []string, label string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 3, rapid.ID[string]).Draw(t, label)
}

// mutations are what may be different from a good scene, at one server or at all.
func mutations(t *rapid.T, s *scene) map[string]func() {
	some := func(names []string, label string) []string { return some(t, names, label) }
	ages := func() time.Duration { return time.Duration(rapid.IntRange(-1, 4).Draw(t, "hours")) * time.Hour }
	of := func(change func(*server)) func() {
		return func() {
			if len(s.servers) > 0 && rapid.Bool().Draw(t, "one") {
				change(&s.servers[rapid.IntRange(0, len(s.servers)-1).Draw(t, "server")])
				return
			}
			s.each(change)
		}
	}
	same := func() {
		names := some(keyNames, "asked")
		s.each(func(c *server) { c.cds, c.cdnskey = names, names })
	}
	keys, signers, cds, cdnskey, age := some(keyNames, "keys"), some(keyNames, "signers"), some(cdsNames, "cds"), some(keyTexts, "cdnskey"), ages()
	return map[string]func(){
		"parents":        func() { s.parentsShow(some(dsNames, "ds")...) },
		"no DS":          func() { s.parentsShow() },
		"one parent":     func() { s.parents[0].DS = dsOf(some(dsNames, "ds")...) },
		"parent state":   func() { s.parents[0].State = dnssec.Bogus },
		"parent problem": func() { s.parents[0].Problem = "no answer" },
		"fewer parents":  func() { s.parents = s.parents[:1] },
		"fewer servers":  func() { s.servers = s.servers[:min(1, len(s.servers))] },
		"problem":        of(func(c *server) { c.problem = "no answer" }),
		"keys":           of(func(c *server) { c.keys = keys }),
		"signers":        of(func(c *server) { c.signers = signers }),
		"cds":            of(func(c *server) { c.cds = cds }),
		"cdnskey":        of(func(c *server) { c.cdnskey = cdnskey }),
		"same":           same,
		"remove":         of(func(c *server) { c.cds, c.cdnskey = []string{removeCDS}, []string{removeKey} }),
		"record signers": of(func(c *server) { c.recordSigners = signers }),
		"age":            of(func(c *server) { c.age = age }),
		"expired":        of(func(c *server) { c.expired = true }),
		"mark":           func() { s.mark = at.Add(-ages()) },
		"accept":         func() { s.policy.AcceptInitial = dsOf(some(dsNames, "accept")...) },
		"allow delete":   func() { s.policy.AllowDelete = true },
		"all keys": func() {
			s.each(func(c *server) {
				c.keys, c.signers, c.recordSigners = keyNames, keyNames, keyNames
			})
		},
	}
}

// starts are scenes that lead to each of the changes.
var starts = map[Action]func() *scene{
	Replace: good,
	Begin: func() *scene {
		s := good()
		s.parentsShow()
		s.policy.AcceptInitial = dsOf("new")
		return s
	},
	Remove: func() *scene {
		s := good()
		s.policy.AllowDelete = true
		s.each(func(c *server) { c.cds, c.cdnskey = []string{removeCDS}, []string{removeKey} })
		return s
	},
}

func drawScene(t *rapid.T, start func() *scene) *scene {
	s := start()
	var names []string
	for name := range mutations(t, s) {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 0, 4).Draw(t, "mutations") {
		mutations(t, s)[name]()
	}
	return s
}

// TestWantedSetAlwaysHasAChain: whatever the facts, a DS RRset that is wanted leads to the DNSKEYs that
// every server of the zone shows, by each algorithm and digest type in it; and a change is made only
// when both sides agree among themselves and a key in force asks for it.
func TestWantedSetAlwaysHasAChain(t *testing.T) {
	for action, start := range starts {
		t.Run(string(action), func(t *testing.T) {
			count := map[Action]int{}
			rapid.Check(t, func(t *rapid.T) {
				f := drawScene(t, start).facts()
				d := Decide(f)
				count[d.Action]++
				mustBeSafe(t, f, d)
			})
			if count[action] == 0 || count[Keep] == 0 {
				t.Errorf("the scenes led to %v: not everything was tried", count)
			}
		})
	}
}

func mustBeSafe(t *rapid.T, f Facts, d Decision) {
	if d.Mark.Before(f.Mark) {
		t.Fatalf("the mark went back from %s to %s", f.Mark, d.Mark)
	}
	if d.Action == Replace || d.Action == Begin || d.Reason == InSync && len(d.Want) > 0 {
		mustChain(t, f, d.Want)
	}
	if d.Action == Keep {
		return
	}
	mustAgree(t, f)
	mustBeAsked(t, f, d)
	if d.Action == Remove && (len(d.Want) > 0 || !f.Policy.AllowDelete) {
		t.Fatalf("removal with %s wanted, allowed %t", listDS(d.Want), f.Policy.AllowDelete)
	}
}

// mustChain looks for the chain with the DNS library alone.
func mustChain(t *rapid.T, f Facts, want []*dns.DS) {
	if len(want) == 0 {
		t.Fatal("nothing is wanted, and that is no removal")
	}
	for _, c := range f.Children {
		for _, ds := range want {
			if ds.DigestType == dns.SHA1 {
				t.Fatalf("%s is a SHA-1 digest", presentDS(ds))
			}
			ok := slices.ContainsFunc(want, func(o *dns.DS) bool {
				return o.Algorithm == ds.Algorithm && o.DigestType == ds.DigestType && signsKeys(c, o)
			})
			if !ok {
				t.Fatalf("%s: no key by algorithm %d and digest type %d of %s signs what %s shows", f.Child, ds.Algorithm, ds.DigestType, listDS(want), c.Server)
			}
		}
	}
}

func signsKeys(c Child, ds *dns.DS) bool {
	for _, rr := range c.DNSKEY.Records {
		k := rr.(*dns.DNSKEY)
		if made := k.ToDS(ds.DigestType); made == nil || !strings.EqualFold(made.Digest, ds.Digest) {
			continue
		}
		for _, sig := range c.DNSKEY.Signatures {
			if sig.KeyTag == k.KeyTag() && sig.Verify(k, c.DNSKEY.Records) == nil && sig.ValidityPeriod(at) {
				return true
			}
		}
	}
	return false
}

func mustAgree(t *rapid.T, f Facts) {
	for _, p := range f.Parents {
		if p.Problem != "" || p.State != dnssec.Secure || !sameDS(p.DS, f.Parents[0].DS) {
			t.Fatalf("acted although %s does not confirm the DS records", p.Server)
		}
	}
	for _, c := range f.Children {
		first := f.Children[0]
		if c.Problem != "" || !slices.Equal(texts(c.CDS.Records), texts(first.CDS.Records)) || !slices.Equal(texts(c.CDNSKEY.Records), texts(first.CDNSKEY.Records)) {
			t.Fatalf("acted although %s does not confirm the request", c.Server)
		}
	}
}

// mustBeAsked looks for a signature over the request, not older than the mark, by a key that the DS
// RRset in the parent stands for, or that was accepted where there is none.
func mustBeAsked(t *rapid.T, f Facts, d Decision) {
	by := f.Parents[0].DS
	if len(by) == 0 {
		by = f.Policy.AcceptInitial
	}
	for _, c := range f.Children {
		if len(c.CDS.Records)+len(c.CDNSKEY.Records) == 0 {
			t.Fatalf("%s with nothing asked", d.Action)
		}
		for _, set := range []Set{c.CDS, c.CDNSKEY} {
			if len(set.Records) == 0 {
				continue
			}
			ok := slices.ContainsFunc(set.Signatures, func(sig *dns.RRSIG) bool {
				inception := time.Unix(int64(sig.Inception), 0)
				return !inception.Before(f.Mark) && slices.ContainsFunc(by, func(ds *dns.DS) bool { return ds.KeyTag == sig.KeyTag }) && sig.ValidityPeriod(at)
			})
			if !ok {
				t.Fatalf("%s on the word of %s, which no key in force has signed", d.Action, c.Server)
			}
		}
	}
}

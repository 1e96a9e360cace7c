package dnssec_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/test/servers"
)

// recorder is a transport that remembers whom it asked what.
type recorder struct {
	dnssec.Transport

	mu    sync.Mutex
	asked map[string][]netip.AddrPort
}

func (r *recorder) Exchange(ctx context.Context, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	r.mu.Lock()
	key := questionOf(q.Question[0].Name, q.Question[0].Qtype)
	r.asked[key] = append(r.asked[key], server)
	r.mu.Unlock()
	return r.Transport.Exchange(ctx, server, q)
}

func questionOf(name string, qtype uint16) string { return name + " " + dns.TypeToString[qtype] }

// opinions are the validator, unbound and delv, none of which knows more than where the root is.
type opinions struct {
	*forest
	// seconds are unbound and delv.
	seconds *tree
	anchors string
}

func (f *forest) opinions(t *testing.T) *opinions {
	t.Helper()
	root := map[string]netip.AddrPort{".": servers.AtPort53(f.root)}
	o := &opinions{forest: f, anchors: filepath.Join(t.TempDir(), "anchors")}
	o.seconds = &tree{validating: servers.StartTreeResolver(t, root, dnssec.PresentDS(f.anchor)), plain: servers.StartTreeResolver(t, root, "")}
	text := fmt.Sprintf("trust-anchors { . static-ds %d %d %d %q; };\n", f.anchor.KeyTag, f.anchor.Algorithm, f.anchor.DigestType, f.anchor.Digest)
	if err := os.WriteFile(o.anchors, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return o
}

// walker is a validator that has not asked anything yet.
func (f *forest) walker(t *testing.T) (*dnssec.Validator, *recorder) {
	t.Helper()
	r := &recorder{Transport: &dnssec.Network{Timeout: 20 * time.Second}, asked: map[string][]netip.AddrPort{}}
	return newValidator(t, dnssec.Config{
		Anchors: []dnssec.Anchor{f.anchor}, Transport: r, Now: time.Now,
		Stubs: map[string][]netip.AddrPort{".": {servers.AtPort53(f.root)}},
	}), r
}

// TestReferrals: from the root alone, by what real servers of each make say of the zones below theirs, the validator
// finds the servers of a zone and whether it is secure; unbound and delv, which know the root alone too, agree. Then
// the servers of some branches are gone, and secondaries of other makes lead on.
func TestReferrals(t *testing.T) {
	f := growForest(t)
	t.Run("by the primary", func(t *testing.T) {
		for _, b := range f.branches {
			b.serve(t, b.primary)
		}
		o := f.opinions(t)
		for _, b := range f.branches {
			for _, l := range b.leaves() {
				t.Run(l.zone(b), func(t *testing.T) { o.compare(t, b, l) })
			}
		}
	})
	t.Run("by a secondary of another make", func(t *testing.T) {
		for _, b := range f.branches {
			if b.secondary != nil {
				b.serve(t, b.secondary)
			}
		}
		o := f.opinions(t)
		for _, b := range f.branches {
			for _, l := range b.leaves() {
				if b.secondary != nil && !l.shared {
					t.Run(l.zone(b), func(t *testing.T) { o.compare(t, b, l) })
				}
			}
		}
	})
}

func (o *opinions) compare(t *testing.T, b *branch, l leaf) {
	t.Helper()
	host := "www." + l.zone(b)
	o.walk(t, b, l, host)
	says(t, l.why+": unbound says that "+host, of(l.want), func() (verdict, error) { return o.seconds.askUnbound(host, tA) })
	o.compareDS(t, b, l)
	if l.delv {
		says(t, l.why+": delv says that "+host, of(l.wanted(b)), func() (verdict, error) {
			said, text := o.seconds.askDelv(t, o.anchors, host, tA)
			if said == fails {
				return said, errors.New(text)
			}
			return said, nil
		})
	}
}

// says wants a verdict. Who fails may be busy, as a connection may that ends without an answer: then the question is put
// again.
func says(t *testing.T, what string, want verdict, ask func() (verdict, error)) {
	t.Helper()
	servers.Eventually(t, what+" is "+string(want), func() error {
		switch said, err := ask(); {
		case said == want:
			return nil
		case err != nil || said == fails:
			return errors.Join(errors.New("it fails"), err)
		default:
			t.Fatalf("%s is %s, want %s", what, said, want)
			return nil
		}
	})
}

// walk looks a host up. What a referral says of DS records is not asked for again; a server of both zones refers to
// nobody, and is asked.
func (o *opinions) walk(t *testing.T, b *branch, l leaf, host string) {
	t.Helper()
	v, r := o.walker(t)
	got, want := v.Lookup(t.Context(), host, tA), l.wanted(b)
	if got.State != want || (want == bogus) != (len(got.RRs) == 0) || want != secure && got.Cause == nil {
		t.Errorf("%s: %s is %s (%v) with %v, want %s", l.why, host, got.State, got.Cause, got.RRs, want)
	}
	if again := r.asked[questionOf(l.zone(b), dns.TypeDS)]; l.shared != (len(again) > 0) {
		t.Errorf("%s: the DS records of %s were asked for at %v", l.why, l.zone(b), again)
	}
	if again := r.asked[questionOf(b.name, dns.TypeDS)]; len(again) > 0 {
		t.Errorf("%s: the DS records of %s were asked for at %v", l.why, b.name, again)
	}
}

// compareDS looks for the DS records themselves. In an opt-out gap it is not proved that there are none.
func (o *opinions) compareDS(t *testing.T, b *branch, l leaf) {
	t.Helper()
	want := secure
	if l.unsigned && b.optOut {
		want = insecure
	}
	v, _ := o.walker(t)
	for _, lookup := range []func() dnssec.Result{
		// From nothing, and when the servers of the zone are known and what they were said to be may be old.
		func() dnssec.Result { return v.Lookup(t.Context(), l.zone(b), dns.TypeDS) },
		func() dnssec.Result {
			v.Lookup(t.Context(), "www."+l.zone(b), tA)
			return v.LookupDS(t.Context(), l.zone(b))
		},
	} {
		if got := lookup(); got.State != want || l.unsigned != (len(got.RRs) == 0) {
			t.Errorf("%s: the DS records of %s are %s (%v): %v; want %s", l.why, l.zone(b), got.State, got.Cause, got.RRs, want)
		}
	}
	says(t, l.why+": unbound says that the DS RRset of "+l.zone(b), of(want), func() (verdict, error) {
		return o.seconds.askUnbound(l.zone(b), dns.TypeDS)
	})
}

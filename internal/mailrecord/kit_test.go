package mailrecord

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// row is a text, and what is to be found wrong with it.
type row struct {
	reason, text string
	// want are the problems as "Severity Code tag", in their order; none when the record is right.
	want []string
	// canonical is the canonical text; empty when the record is broken, and "=" when it is the text itself.
	canonical string
}

// check parses each text, and wants every problem to say by which rule it is one and what to do.
func check(t *testing.T, rows []row, parse func(string) (canonical string, found Problems)) {
	t.Helper()
	for _, r := range rows {
		canonical, found := parse(r.text)
		var got []string
		for _, p := range found {
			got = append(got, strings.TrimSpace(string(p.Severity)+" "+string(p.Code)+" "+p.Tag))
			if !strings.HasPrefix(p.Rule, "RFC ") || p.Message == "" || p.Advice == "" || p.Record == "" {
				t.Errorf("%s: %+v does not say everything", r.reason, p)
			}
		}
		if !slices.Equal(got, r.want) {
			t.Errorf("%s: %q: got %q, want %q\n%v", r.reason, r.text, got, r.want, found)
		}
		if r.canonical == "=" {
			r.canonical = r.text
		}
		if !found.Fatal() && canonical != r.canonical || found.Fatal() != (r.canonical == "") {
			t.Errorf("%s: %q: rendered as %q, want %q", r.reason, r.text, canonical, r.canonical)
		}
	}
}

// world is what DNS holds, by "name TYPE" without the last dot. Names that end in ".fails" are not answered.
type world map[string][]dns.RR

// zone reads records in presentation form.
func zone(t testing.TB, texts ...string) world {
	t.Helper()
	out := world{}
	for _, text := range texts {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		key := strings.TrimSuffix(rr.Header().Name, ".") + " " + dns.TypeToString[rr.Header().Rrtype]
		out[key] = append(out[key], rr)
	}
	return out
}

func (w world) Lookup(_ context.Context, name string, qtype uint16) Answer {
	if strings.HasSuffix(name, ".fails") {
		return Answer{Cause: "nobody answers"}
	}
	rrs := w[name+" "+dns.TypeToString[qtype]]
	exists := slices.ContainsFunc(slices.Collect(maps.Keys(w)), func(key string) bool { return strings.HasPrefix(key, name+" ") })
	return Answer{RRs: rrs, NoName: !exists}
}

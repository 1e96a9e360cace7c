package tlsrpt

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/dane-operator/dane-operator/internal/conformance"
)

// indexed is what index.json says of one report.
type indexed struct {
	File, Org string
	Policies  []struct {
		Type, Domain string
		OK, Fail     int64
		Results      []string
	}
	Deviations []string
}

// reworded are deviations that the index words otherwise.
var reworded = map[string]string{
	"tlsa policy-string is ONE string holding a JSON-encoded array, upper-case hex; policy-domain is the recipient domain, not the MX host": "policy-string is one string that holds a list",
	`mx-host carries "mx: " prefix`: `mx-host with "mx: " before it`,
}

var bracketed = regexp.MustCompile(` \([^)]*\)`)

// Every report that was seen in public is read, and says what the index says: policies, counts, results, deviations.
func TestReportsSeenInPublic(t *testing.T) {
	dir := filepath.Join(conformance.Dir(t), "tlsrpt-reports")
	var index []indexed
	if err := json.Unmarshal(conformance.Read(t, "tlsrpt-reports/index.json"), &index); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no reports in %s: %v", dir, err)
	}
	agreed := 0
	for _, file := range files {
		name, _ := filepath.Rel(dir, file)
		if t.Run(name, func(t *testing.T) {
			at := slices.IndexFunc(index, func(i indexed) bool { return i.File == filepath.ToSlash(name) })
			if at < 0 {
				t.Fatal("the index does not have it")
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r, err := Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, r, index[at])
		}) {
			agreed++
		}
	}
	conformance.Published(t, "TLS reports", 19, []conformance.Row{
		{Corpus: "TLS reports", Part: "seen in public", Cases: len(files), Agreed: agreed, Reason: "-"},
	})
}

func compare(t *testing.T, r Report, want indexed) {
	t.Helper()
	if r.Organization != want.Org || len(r.Policies) != len(want.Policies) {
		t.Fatalf("got %q with %d policies, want %q with %d", r.Organization, len(r.Policies), want.Org, len(want.Policies))
	}
	for i, p := range r.Policies {
		w := want.Policies[i]
		if string(p.Type) != w.Type && (p.Type != OtherPolicy || slices.Contains([]string{"tlsa", "sts", "no-policy-found"}, w.Type)) {
			t.Errorf("policy %d: type %s, want %s", i, p.Type, w.Type)
		}
		if p.Domain != w.Domain || p.Successful != w.OK || p.Failed != w.Fail {
			t.Errorf("policy %d: %s %d/%d, want %s %d/%d", i, p.Domain, p.Successful, p.Failed, w.Domain, w.OK, w.Fail)
		}
		var results []string
		for _, f := range p.Failures {
			results = append(results, string(f.Result))
		}
		slices.Sort(results)
		if !slices.Equal(results, w.Results) {
			t.Errorf("policy %d: results %v, want %v", i, results, w.Results)
		}
	}
	var wanted []string
	for _, d := range want.Deviations {
		d = bracketed.ReplaceAllString(d, "")
		if other, ok := reworded[d]; ok {
			d = other
		}
		wanted = append(wanted, d)
	}
	got := slices.Clone(r.Deviations)
	slices.Sort(wanted)
	slices.Sort(got)
	if !slices.Equal(got, wanted) {
		t.Errorf("deviations %q, want %q", got, wanted)
	}
}

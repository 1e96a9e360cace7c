package dnssec_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// conformancePage is where the figures are published.
const conformancePage = "../../docs/conformance.md"

var update = flag.Bool("update", false, "write the figures into "+conformancePage)

// TestTheTable wants each zone that is not secure to have a cause, and the page to say how many there are of each kind.
func TestTheTable(t *testing.T) {
	count := map[dnssec.State]int{}
	for _, b := range table {
		count[b.want]++
		if has := b.cause.reason != "" && b.cause.subject != ""; has == (b.want == dnssec.Secure) {
			t.Errorf("%s is %s, with the cause %+v", b.label, b.want, b.cause)
		}
	}
	page, err := os.ReadFile(conformancePage)
	if err != nil {
		t.Fatal(err)
	}
	says := fmt.Sprintf("Of %d zones %d are broken, so that nobody may believe them, %d count as unsigned, and %d are right",
		len(table), count[dnssec.Bogus], count[dnssec.Insecure], count[dnssec.Secure])
	if !strings.Contains(strings.Join(strings.Fields(string(page)), " "), says) {
		t.Errorf("%s does not say %q", conformancePage, says)
	}
}

// explanation is what delv or unbound says instead, and why.
type explanation struct {
	says   verdict
	reason string
	// varies says that it depends on the order in which the server gives keys or signatures, which depends on
	// the keys: then both verdicts are right, and neither counts.
	varies bool
}

// explained are the zones of which delv or unbound says something else. The key is the label, who says so,
// and the make of server if it is so on that alone.
var explained = map[string]explanation{
	"ed448 unbound":   {"secure", "it verifies Ed448, which Go lacks", false},
	"ed448 delv":      {"secure", "it verifies Ed448, which Go lacks", false},
	"rsasha1 unbound": {"secure", "SHA-1 still counts there (RFC 9905)", false},
	"rsasha1 delv":    {"secure", "SHA-1 still counts there (RFC 9905)", false},
	"iter101 unbound": {"secure", "its limit is 150 iterations", false},
	"iter101 delv":    {"secure", "its limit is 150 iterations", false},
	"iter150 unbound": {"secure", "its limit is 150 iterations", false},
	"iter150 delv":    {"secure", "its limit is 150 iterations", false},

	"sha1good unbound": {"secure", "a digest with SHA-1 counts beside one with SHA-256, against RFC 4509 section 3", false},
	"revoked unbound":  {"secure", "a revoked key that a DS record matches counts, against RFC 5011 section 2.1", false},

	"expiredsoa delv":  {"secure", "of a denial it verifies the NSEC records, and not the SOA", false},
	"optoutnx delv":    {"secure", "it does not tell that a denial by opt-out is insecure (RFC 5155 section 9.2)", false},
	"collide2 delv":    {fails, "it gives up after one signature that does not verify (CVE-2023-50387)", true},
	"twosigs delv":     {fails, "it gives up after one signature that does not verify (CVE-2023-50387)", true},
	"collide9 unbound": {"secure", "it tries keys with the tag up to a limit, and the good one may come before", true},
}

// tally counts comparisons.
type tally struct {
	compared, agreed map[string]int
	// differences by reason, with the labels.
	differences map[string]map[string]int
	used        map[string]bool
	// varying are those that do not count.
	varying map[string]int
}

func newTally() *tally {
	return &tally{compared: map[string]int{}, agreed: map[string]int{}, differences: map[string]map[string]int{}, used: map[string]bool{}, varying: map[string]int{}}
}

func (l *tally) add(t *testing.T, made, who string, b brokenness, says verdict, text string) {
	t.Helper()
	column := who + ", zones on " + made
	if e := explained[b.label+" "+who]; e.varies {
		if says != of(b.want) && says != e.says {
			t.Errorf("%s: %s says that %s %s", b.why, who, b.question(), says)
		}
		l.used[b.label+" "+who] = true
		l.varying[fmt.Sprintf("%s: %s (`%s`)", who, e.reason, b.label)]++
		return
	}
	l.compared[column]++
	if says == of(b.want) {
		l.agreed[column]++
		return
	}
	key := b.label + " " + who
	if _, ok := explained[key]; !ok {
		key += " " + made
	}
	e, ok := explained[key]
	if !ok || e.says != says {
		t.Errorf("%s: %s says that %s %s, and it is %s; that is not explained\n%s", b.why, who, b.question(), says, of(b.want), text)
		return
	}
	l.used[key] = true
	if l.differences[column] == nil {
		l.differences[column] = map[string]int{}
	}
	l.differences[column][fmt.Sprintf("%s: %s (`%s`)", says, e.reason, b.label)]++
}

// finish checks that every explanation was needed, and that the page of figures is up to date.
func (l *tally) finish(t *testing.T) {
	t.Helper()
	for key := range explained {
		if !l.used[key] {
			t.Errorf("an explanation that nothing needs: %s", key)
		}
	}
	var rows []string
	for _, column := range slices.Sorted(maps.Keys(l.compared)) {
		reasons := "-"
		if d := slices.Sorted(maps.Keys(l.differences[column])); len(d) > 0 {
			reasons = strings.Join(d, "; ")
		}
		rows = append(rows, fmt.Sprintf("| differential | %s | %d | %d | %d | %s |", column, l.compared[column], l.agreed[column], l.compared[column]-l.agreed[column], reasons))
	}
	for _, reason := range slices.Sorted(maps.Keys(l.varying)) {
		rows = append(rows, fmt.Sprintf("| differential | depends on the order of keys or signatures | %d | - | - | %s |", l.varying[reason], reason))
	}
	published(t, rows)
}

// published compares the page with the rows, or writes them.
func published(t *testing.T, rows []string) {
	t.Helper()
	page, err := os.ReadFile(conformancePage)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	var out strings.Builder
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "| differential |") {
			out.WriteString(line)
			continue
		}
		if len(have) == 0 {
			out.WriteString(strings.Join(rows, "\n") + "\n")
		}
		have = append(have, strings.TrimSpace(line))
	}
	if *update {
		if err := os.WriteFile(conformancePage, []byte(out.String()), 0o644); err != nil { //nolint:gosec // a page for everybody
			t.Fatal(err)
		}
		return
	}
	if !slices.Equal(have, rows) {
		t.Errorf("%s is out of date; run the test with -update. It has\n%s\nand should have\n%s", conformancePage, strings.Join(have, "\n"), strings.Join(rows, "\n"))
	}
}

package plugin

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/internal/glossary"
)

// TestExplain wants a word to be explained whatever its case, a word with two meanings to have both, and one that
// nobody uses to be told apart, with those that are like it.
func TestExplain(t *testing.T) {
	for word, want := range map[string][]string{
		"waitingforcaches":    {"What to do: "},
		"Ready":               {"Condition Ready", "All is well"},
		"SignatureExpired":    {"Critical."},
		"DANESendersMayFail":  {"RolloverSafe", "strategies.md"},
		"rumoured":            {"a name server lags"},
		"KeyIsNext":           {"Event KeyIsNext"},
		"encryptonly":         {"do not authenticate"},
		"out of sync":         {"name server did not show"},
		"SENDERS":             {"Column Senders", "has not looked yet"},
		"waiting for":         {"Column Waiting For, Until"},
		"in sync":             {"Server in sync", "Column In Sync"},
		"-":                   {"There is nothing to tell"},
		"mx":                  {"Part MX", "name the mail servers"},
		"SPF":                 {"Part SPF"},
		"dmarc":               {"Part DMARC", "in the name of the domain"},
		"DKIM":                {"Part DKIM", "selector"},
		"tls-rpt":             {"Part TLS-RPT", "RFC 8460"},
		"TLSRPT":              {"Part TLS-RPT"},
		"MTA-STS":             {"Part MTA-STS", "RFC 8461"},
		"Deployable":          {"no cache holds an answer without its record"},
		"removable":           {"may be taken out"},
		"dane":                {"Verdict DANE", "Part DANE"},
		"DANE, some may fail": {"Verdict DANE", "Verdict some may fail", "caches hold former answers"},
		"dnssec":              {"Part DNSSEC", "Column DNSSEC"},
	} {
		out, err := run(append([]string{"explain"}, strings.Fields(word)...)...)
		if err != nil {
			t.Errorf("%s: %v", word, err)
		}
		for _, text := range want {
			if !strings.Contains(strings.ReplaceAll(out, "\n", " "), text) {
				t.Errorf("%s does not tell of %q:\n%s", word, text, out)
			}
		}
		if strings.Contains(out, "](") {
			t.Errorf("%s: links are left as they are written:\n%s", word, out)
		}
	}
	for word, want := range map[string]string{
		"Nonsense": `"Nonsense" is none of the words that the operator uses; kubectl dane explain lists them`,
		"Cache":    "(like it are Caches, WaitingForCaches)",
		"Gatte":    "(like it are Gate, GateBypassed)",
		"no":       "uses; ",
		"DANE, xy": `"DANE, xy" is none of the words`,
	} {
		if _, err := run("explain", word); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 200 {
			t.Errorf("%s: %v, want %q", word, err, want)
		}
	}
}

// TestExplainListsItsWords: without a word it tells each that it knows, below what that is, and in a pipe no line is wider
// than 80 letters.
func TestExplainListsItsWords(t *testing.T) {
	out, err := run("explain")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for part := range strings.SplitSeq(out, "\n\n") {
		_, words, _ := strings.Cut(part, "\n")
		for word := range strings.SplitSeq(strings.Join(strings.Fields(words), " "), ", ") {
			listed[word] = true
		}
	}
	for _, word := range glossary.Words() {
		if !listed[word] {
			t.Errorf("%q is explained, and not listed", word)
		}
	}
	if !strings.Contains(out, "\nroles of keys\n  Next, Current, Previous\n") {
		t.Errorf("the roles are not told together:\n%s", out)
	}
	tooWide(t, out, pipeWidth)
}

// tooWide fails for each line wider than width that has a place to break it.
func tooWide(t *testing.T, text string, width int) {
	t.Helper()
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\n"); utf8.RuneCountInString(line) > width && strings.Contains(strings.TrimLeft(line, " -"), " ") {
			t.Errorf("%d letters: %q", utf8.RuneCountInString(line), line)
		}
	}
}

// TestExplanationsAreWrapped: at any width every section keeps its words in their order and no line is wider, but for code
// and tables, which keep their lines.
func TestExplanationsAreWrapped(t *testing.T) {
	for _, width := range []int{leastWidth, pipeWidth, 200} {
		for _, e := range glossary.Entries() {
			text := glossary.Plain(e.Text)
			wrapped := wrapMarkdown(text, width)
			if strings.Join(strings.Fields(wrapped), " ") != strings.Join(strings.Fields(text), " ") {
				t.Errorf("%s at %d: the words are others:\n%s", e.Heading, width, wrapped)
			}
			var flowing []string
			for block := range strings.SplitSeq(wrapped, "\n\n") {
				if block[:1] != " " && block[:1] != "|" && !strings.HasPrefix(block, "```") {
					flowing = append(flowing, block)
				}
			}
			tooWide(t, strings.Join(flowing, "\n"), width)
		}
	}
	const text = "one two\nthree\n\n- first of\na list\n- second\n\n    code   that stays as it is, however long\n\n```\na  b\n\nc  d\n```"
	const want = "one two\nthree\n\n- first\n  of a\n  list\n- second\n\n    code   that stays as it is, however long\n\n```\na  b\n\nc  d\n```"
	if got := wrapMarkdown(text, 8); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestWidthIsThatOfTheTerminal: a terminal that tells its width gets lines of it, and neither a pipe nor a very narrow
// terminal makes text that nobody can read.
func TestWidthIsThatOfTheTerminal(t *testing.T) {
	for width, want := range map[int]int{0: pipeWidth, 20: leastWidth, 60: 60, 160: 160} {
		if got := widthOf(&screen{width: width}); got != want {
			t.Errorf("%d letters: %d, want %d", width, got, want)
		}
	}
	if got := widthOf(&bytes.Buffer{}); got != pipeWidth {
		t.Errorf("what is no screen: %d", got)
	}
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got := columns(file); got != 0 {
		t.Errorf("what is no terminal has %d letters", got)
	}
}

// TestWhatIsJudgedIsExplained: each word that stands in a table in a colour can be asked for.
func TestWhatIsJudgedIsExplained(t *testing.T) {
	for word := range tones {
		if word == string(metav1.ConditionTrue) || word == string(metav1.ConditionFalse) {
			continue // the status of a condition, which its type explains
		}
		if glossary.Line(word) == "" {
			t.Errorf("%q is not explained: add it to docs/words.md", word)
		}
	}
}

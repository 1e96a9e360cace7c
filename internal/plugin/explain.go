package plugin

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dane-operator/dane-operator/docs"
)

// explain is "kubectl dane explain".
func (k *kube) explain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain WORD",
		Short: "Tell what a reason, a condition, a finding or an alert means, and what to do",
		Long: `explain prints what the documentation says of a word that the operator uses: a condition type or its reason, the
code of a finding, or the name of an alert. It needs no cluster.`,
		Example: `  kubectl dane explain WaitingForCaches`,
		Args:    cobra.ExactArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return words(explanations()), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error { return writeExplanation(k.Out, args[0]) },
	}
}

// explanation is a section of a page.
type explanation struct{ heading, text string }

// word is what the section explains.
func (e explanation) word() string { return strings.TrimPrefix(e.heading, "Condition ") }

// explanations are all sections about single words, in the order of the pages.
func explanations() []explanation {
	var out []explanation
	for _, page := range []string{"troubleshooting.md", "findings.md", "alerts.md"} {
		text, err := docs.Pages.ReadFile(page)
		if err != nil {
			panic(err) // a programming error: the pages are built in
		}
		for _, part := range strings.Split("\n"+string(text), "\n### ")[1:] {
			heading, body, _ := strings.Cut(part, "\n")
			body, _, _ = strings.Cut(body, "\n## ") // the next part of the page
			out = append(out, explanation{heading, strings.TrimSpace(body)})
		}
	}
	return out
}

func words(all []explanation) []string {
	var out []string
	for _, e := range all {
		out = append(out, e.word())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var markdownLink = regexp.MustCompile(`\[([^\]]+)\]\(([^)]+)\)`)

// plainText writes links out: the page that they lead to stands behind their text, unless it is that.
func plainText(text string) string {
	return markdownLink.ReplaceAllStringFunc(text, func(link string) string {
		parts := markdownLink.FindStringSubmatch(link)
		if parts[1] == parts[2] {
			return parts[1]
		}
		return parts[1] + " (" + parts[2] + ")"
	})
}

// writeExplanation writes each section about a word, whatever its case.
func writeExplanation(out io.Writer, word string) error {
	found := false
	for _, e := range explanations() {
		if strings.EqualFold(e.word(), word) {
			if found {
				fmt.Fprintln(out)
			}
			fmt.Fprintf(out, "%s\n\n%s\n", e.heading, plainText(e.text))
			found = true
		}
	}
	if !found {
		return fmt.Errorf("%q is none of the words that the operator uses: %s", word, strings.Join(words(explanations()), ", "))
	}
	return nil
}

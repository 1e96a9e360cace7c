package plugin

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dane-operator/dane-operator/internal/glossary"
)

// explain is "kubectl dane explain".
func (k *kube) explain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [WORD]",
		Short: "Tell what a word of the operator means, and what to do",
		Long: `explain prints what the documentation says of a word that the operator uses: a condition type or its reason, the
code of a finding, the name of an alert, the reason of an event, or what status and check say of keys, servers, records and
senders; a part of a mail domain such as MTA-STS; a column of their tables, and the marks in them. Without a word it lists those that it knows. It needs no cluster.`,
		Example: `  kubectl dane explain WaitingForCaches
  kubectl dane explain Rumoured
  kubectl dane explain out of sync
  kubectl dane explain DANE, some may fail
  kubectl dane explain MTA-STS
  kubectl dane explain SENDERS`,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return glossary.Words(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return writeWords(k.Out)
			}
			return writeExplanation(k.Out, strings.Join(args, " "))
		},
	}
}

// writeWords lists what can be explained, by what it is.
func writeWords(out io.Writer) error {
	width := widthOf(out)
	_, err := fmt.Fprintln(out, wrap(strings.Fields("kubectl dane explain WORD tells what a word means, and what to do. It knows:"), width, ""))
	for _, g := range glossary.Groups() {
		list := slices.Clone(g.Words)
		for i := range list[:len(list)-1] {
			list[i] += ","
		}
		fmt.Fprintf(out, "\n%s\n%s\n", paint(out, heading, g.Name), wrap(list, width, "  "))
	}
	return err
}

// writeExplanation writes each section about a word, whatever its case.
func writeExplanation(out io.Writer, word string) error {
	found := glossary.About(word)
	for i, e := range found {
		if i > 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, "%s\n\n%s\n", paint(out, heading, e.Heading), wrapMarkdown(glossary.Plain(e.Text), widthOf(out)))
	}
	if len(found) == 0 {
		return fmt.Errorf("%q is none of the words that the operator uses%s; kubectl dane explain lists them", word, nearby(word))
	}
	return nil
}

// nearest is how many words are offered for one that nobody uses.
const nearest = 5

// nearby are words that have part of another in them, as an insertion into a message; empty where there are none.
func nearby(word string) string {
	word = strings.ToLower(word)
	near := slices.DeleteFunc(glossary.Words(), func(w string) bool {
		w = strings.ToLower(w)
		return len(word) < 3 || !strings.Contains(w, word) && w[:min(len(w), 3)] != word[:3]
	})
	if len(near) == 0 {
		return ""
	}
	return " (like it are " + strings.Join(near[:min(len(near), nearest)], ", ") + ")"
}

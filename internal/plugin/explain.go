package plugin

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dane-operator/dane-operator/internal/glossary"
)

// explain is "kubectl dane explain".
func (k *kube) explain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain WORD",
		Short: "Tell what a word of the operator means, and what to do",
		Long: `explain prints what the documentation says of a word that the operator uses: a condition type or its reason, the
code of a finding, the name of an alert, or what caches know of a key. It needs no cluster.`,
		Example: `  kubectl dane explain WaitingForCaches
  kubectl dane explain Rumoured`,
		Args: cobra.ExactArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return glossary.Words(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error { return writeExplanation(k.Out, args[0]) },
	}
}

// writeExplanation writes each section about a word, whatever its case.
func writeExplanation(out io.Writer, word string) error {
	found := false
	for _, e := range glossary.Entries() {
		if strings.EqualFold(e.Word(), word) {
			if found {
				fmt.Fprintln(out)
			}
			fmt.Fprintf(out, "%s\n\n%s\n", e.Heading, glossary.Plain(e.Text))
			found = true
		}
	}
	if !found {
		return fmt.Errorf("%q is none of the words that the operator uses: %s", word, strings.Join(glossary.Words(), ", "))
	}
	return nil
}

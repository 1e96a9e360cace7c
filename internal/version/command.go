package version

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/version"
	"sigs.k8s.io/yaml"
)

// AddTo gives the command of a program the flag --version and the command "version". The label stands before the version
// as kubectl writes it, and the key is where the whole of it stands with -o.
func AddTo(program *cobra.Command, label, key string) {
	info := Get()
	program.Version = info.GitVersion
	program.SetVersionTemplate(program.DisplayName() + " {{.Version}}\n")
	// It is there already so that cobra does not add -v, which is the level of logs elsewhere.
	program.Flags().Bool("version", false, "print the version, and end")
	program.AddCommand(command(info, program.DisplayName(), label, key))
}

func command(info version.Info, program, label, key string) *cobra.Command {
	format := ""
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Long: `version prints the version of this program. With -o it adds the commit that it was built from, and the version of Go.
It needs no cluster.`,
		Example:           "  " + program + " version -o yaml",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := written(info, label, key, format)
			if err == nil {
				_, err = cmd.OutOrStdout().Write(text)
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "", "`FORMAT`: json or yaml. Default: one line")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func written(info version.Info, label, key, format string) ([]byte, error) {
	switch format {
	case "":
		return fmt.Appendf(nil, "%s: %s\n", label, info.GitVersion), nil
	case "json":
		text, err := json.MarshalIndent(map[string]version.Info{key: info}, "", "  ")
		return append(text, '\n'), err
	case "yaml":
		return yaml.Marshal(map[string]version.Info{key: info})
	}
	return nil, fmt.Errorf("-o %s: want json or yaml", format)
}

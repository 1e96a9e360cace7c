package plugin

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// health is how one thing that doctor looks at is.
type health string

const (
	fine    health = "ok"
	warning health = "warning"
	broken  health = "FAILED"
	// unclear is what could not be looked at.
	unclear health = "unknown"
)

// finding is what doctor says of one thing.
type finding struct {
	state health
	what  string
	// advice is what to do; empty where nothing is to be done.
	advice string
}

// examination looks at one side of an installation.
type examination func(context.Context, client.Client, time.Time) []finding

var examinations = []examination{examineAPI, examineLease, examineGate, examineRights, examineCertManager, examineZones, examineDomains}

// doctor is "kubectl dane doctor".
func (k *kube) doctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look whether the installation is right",
		Long: `doctor looks whether the API is installed, the operator works, the gate policy is in force for its account, its
rights are there, and cert-manager is; whether the primaries take updates, and whether mail servers can be reached.
What the caller has no right to look at is said to be unknown.

The exit code is 0 if nothing is broken, and 2 if something is.`,
		Example:           `  kubectl dane doctor`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := k.client()
			if err != nil {
				return err
			}
			tell, failed := k.progress(), false
			var rows [][]string
			for i, examine := range examinations {
				if tell != nil {
					tell(fmt.Sprintf("looking, %d of %d", i+1, len(examinations)))
				}
				for _, f := range examine(cmd.Context(), c, k.now()) {
					rows = append(rows, []string{string(f.state), f.what, f.advice})
					failed = failed || f.state == broken
				}
			}
			if err := table(k.Out, []string{"State", "What", "What To Do"}, rows); err != nil {
				return err
			}
			if failed {
				return verdict{2}
			}
			return nil
		},
	}
}

// unread is the finding of what could not be read.
func unread(what string, err error) []finding {
	return []finding{{unclear, what, "it could not be read: " + err.Error()}}
}

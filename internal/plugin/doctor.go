package plugin

import (
	"context"
	"fmt"
	"io"
	"slices"
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

var examinations = []examination{examineAPI, examineLease, examineGate, examineApprovers, examineRights, examineCertManager, examineShards, examineZones, examineDomains}

// doctor is "kubectl dane doctor".
func (k *kube) doctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look whether the installation is right",
		Long: `doctor looks whether the API is installed, the operator works, the gate policy is in force for its account, its
rights are there, and cert-manager is and is new enough; whether anything else approves what is gated, whether the primaries take
updates, and whether mail servers can be reached.

The last two are what the operator saw from where it runs, as the status of the DNSZones and MailDomains tells: the way from
here is another one, and would say nothing of that. kubectl dane check looks at port 25 from here. Who else might approve is
judged by the requests that are there and by what is installed, and not by the rights of every account: the gate policy refuses
all but the operator's. What the caller has no right to look at is said to be unknown.

The exit code is 0 if nothing is broken, 2 if something is, and 1 if doctor failed, or nothing that it could look at is
broken and something is unknown.`,
		Example:           `  kubectl dane doctor`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := k.client()
			if err != nil {
				return err
			}
			found := k.examine(cmd.Context(), c)
			if err := writeFindings(k.Out, found); err != nil {
				return err
			}
			return diagnosis(found)
		},
	}
}

// examine makes all examinations; where the first comes to nothing because the API server gives no answer, so would the
// others.
func (k *kube) examine(ctx context.Context, c client.Client) []finding {
	var out []finding
	for i, examine := range examinations {
		k.progress.tell(fmt.Sprintf("looking, %d of %d", i+1, len(examinations)))
		out = append(out, examine(ctx, c, k.now())...)
		if out[0].state == unclear {
			break
		}
	}
	return out
}

func writeFindings(out io.Writer, found []finding) error {
	var rows [][]string
	for _, f := range found {
		rows = append(rows, []string{string(f.state), f.what, f.advice})
	}
	return table(out, []string{"State", "What", "What To Do"}, rows)
}

// diagnosis is the exit code for what was found. What is unknown may be broken.
func diagnosis(found []finding) error {
	has := func(state health) bool {
		return slices.ContainsFunc(found, func(f finding) bool { return f.state == state })
	}
	switch {
	case has(broken):
		return verdict{exitFound}
	case has(unclear):
		return verdict{exitFailed}
	}
	return nil
}

// unread is the finding of what could not be read.
func unread(what string, err error) []finding {
	return []finding{{unclear, what, "it could not be read: " + err.Error()}}
}

package main

import (
	"time"

	"github.com/spf13/cobra"
)

// electionTimes say how quickly a standby takes over from a leader that is gone. Each replica
// measures by its own clock.
type electionTimes struct {
	lease, renew, retry time.Duration
}

// addFlags gives the flags the names and defaults that users of controller-runtime know.
func (e *electionTimes) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.DurationVar(&e.lease, "leader-election-lease-duration", 15*time.Second, "how long the others wait, with --leader-elect, since the leader was last seen to renew its lease before one takes over")
	f.DurationVar(&e.renew, "leader-election-renew-deadline", 10*time.Second, "how long a leader tries to renew its lease before it gives up and ends; less than the lease duration")
	f.DurationVar(&e.retry, "leader-election-retry-period", 2*time.Second, "time between two tries to take or renew the lease")
}

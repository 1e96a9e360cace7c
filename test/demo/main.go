// Command demo runs the whole product on one machine, with nothing but Go: a Kubernetes API,
// cert-manager's controllers, a signing primary and two secondaries, a mail server, the operator, and
// a sender that remembers every answer. It shows the first publication, a renewal with a standby
// key, one without, and an emergency, and ends with the number of sender checks and mismatches.
//
// With DEMO_KEEP=1 it leaves everything running until it is interrupted, and says how to reach it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo: "+err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	v := &view{out: os.Stdout, terminal: term.IsTerminal(int(os.Stdout.Fd())), start: time.Now()}
	s, err := newStage(ctx, v)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.play(ctx); err != nil {
		return fmt.Errorf("%w\nthe operator's last words:\n%s", err, s.lab.Operator.Tail(15))
	}
	if os.Getenv("DEMO_KEEP") == "1" {
		v.log("everything keeps running; to play with it:\n\n  export KUBECONFIG=%s\n  kubectl -n %s get md,dz,certificates\n\nend with Ctrl-C", s.lab.Kubeconfig, s.lab.Namespace)
		<-ctx.Done()
	}
	_, _, counts := s.judge.state()
	fmt.Printf("\n%d sender checks, %d mismatches\n", counts.checks, counts.mismatches)
	if counts.checks == 0 || counts.mismatches > 0 {
		return fmt.Errorf("want checks, and no mismatch among them")
	}
	return nil
}

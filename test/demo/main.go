// Command demo runs the whole product on one machine, without a cluster and without root: a Kubernetes API,
// cert-manager's controllers, a signing primary and two secondaries, a mail server, the operator, and
// a sender that remembers every answer. It shows the first publication, a renewal with a standby key, one without, an
// emergency, and the whole mail domain as "kubectl dane check" grades it, and ends with the number of sender checks and
// mismatches.
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
	os.Exit(exitCode(os.Stderr, run(ctx)))
}

func run(ctx context.Context) error {
	v := newView(os.Stdout)
	fmt.Fprintln(os.Stdout, legend())
	s, err := newStage(ctx, v)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.play(ctx); err != nil {
		return fmt.Errorf("%w\nthe operator's last words:\n%s", err, s.lab.Operator.Tail(15))
	}
	if os.Getenv("DEMO_KEEP") == "1" {
		s.begin("everything keeps running")
		v.log("to play with it, in another terminal:\n\n%s", hints(s.lab.Kubeconfig, s.checkLine()))
		<-ctx.Done()
	}
	v.end()
	_, _, found := s.judge.state()
	return finish(os.Stdout, found)
}

// newView draws to a file, in place where that is a terminal.
func newView(out *os.File) *view {
	v := &view{out: out, terminal: term.IsTerminal(int(out.Fd())), start: time.Now()}
	if width, _, err := term.GetSize(int(out.Fd())); err == nil && width > 0 {
		v.width = max(min(width, maxWidth), 60)
	}
	return v
}

// hints say what to do with a demo that keeps running.
func hints(kubeconfig, check string) string {
	return fmt.Sprintf(`  export KUBECONFIG=%[1]s
  make build && export PATH="$PWD/bin:$PATH"   # the plugin "kubectl dane"; without kubectl, type kubectl-dane
  kubectl dane status -A
  kubectl dane status %[3]s -n %[2]s
  kubectl dane rollover %[4]s -n %[2]s
  kubectl get md,dz -A
  %[5]s

The rollover starts a renewal. The demo's own operator works here: "make run" is for another cluster.
End with Ctrl-C.
`, kubeconfig, namespace, zoneName, host, check)
}

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

	"github.com/dane-operator/dane-operator/api/v1alpha1"
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
	kept := os.Getenv("DEMO_KEEP") == "1"
	if kept {
		s.begin("everything keeps running")
		v.log("to play with it, in another terminal:\n\n%s", hints(s.lab.Kubeconfig, s.lab.Dir, s.checkLine()))
		<-ctx.Done()
	}
	v.end()
	_, _, found := s.judge.state()
	if err := finish(os.Stdout, found); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, nextPage(kept))
	return nil
}

// nextPage says where to go on: to a demo that is kept only who has not had one.
func nextPage(kept bool) string {
	const page = "next: docs/tutorial.md does this in a cluster"
	if kept {
		return page
	}
	return page + "; DEMO_KEEP=1 make demo leaves all of it running, to play with"
}

// newView draws to a file, in place where that is a terminal.
func newView(out *os.File) *view {
	v := &view{out: out, terminal: term.IsTerminal(int(out.Fd())), start: time.Now()}
	if width, _, err := term.GetSize(int(out.Fd())); err == nil && width > 0 {
		v.width = max(min(width, maxWidth), 60)
	}
	return v
}

// hints say what to do with a demo that keeps running: its folder, and how a check is typed here.
func hints(kubeconfig, dir, check string) string {
	return fmt.Sprintf(`  export KUBECONFIG=%[1]s
  make build && export PATH="$PWD/bin:$PATH"       # the plugin "kubectl dane"; without kubectl, type kubectl-dane
  kubectl dane status -A                           # "kubectl dane explain SENDERS" tells of a column, or any word in it
  kubectl dane status %[3]s -n %[2]s         # keys, what happened, what comes, and what servers showed
  kubectl dane rollover %[4]s -n %[2]s   # starts a renewal
  kubectl dane zone %[3]s -n %[2]s
  kubectl dane records %[3]s -n %[2]s        # to put in DNS by hand
  kubectl dane plan -f %[5]s   # change it before
  kubectl dane doctor   # warns of what is so here: no lease, and CRDs of cert-manager without a version
  # as a sender sees it, by the resolver, trust anchor, port and addresses of the demo: none of these is known elsewhere
  %[6]s
  kubectl get md,dz -A

The manifests as they were applied are in %[7]s. The demo's own operator works here: "make run" is for
another cluster. "kubectl delete md %[8]s -n %[2]s" takes two hours: the MX record that the operator wrote has a TTL of one
hour, and TLSA records stay for two of them. To let it go at once, with its TLSA records left in DNS:

  kubectl annotate md %[8]s -n %[2]s %[9]s=true

End with Ctrl-C.
`, kubeconfig, namespace, zoneName, host, applied(dir, "maildomain.yaml"), check, applied(dir, ""), domainName, v1alpha1.AbandonAnnotation)
}

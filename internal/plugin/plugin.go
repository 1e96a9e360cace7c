// Package plugin is the kubectl plugin "kubectl dane". Its commands read objects with the rights of whoever calls
// them, turn them into text by pure functions, and print them as kubectl prints: a table, or with -o the
// object itself.
package plugin

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/version"
)

// kube is how a command reaches the cluster, and where it prints.
type kube struct {
	genericiooptions.IOStreams
	flags *genericclioptions.ConfigFlags
	now   func() time.Time
	// colour is what --color says.
	colour string
	// progress is told of what the command waits for.
	progress *progress
}

// New makes the command.
func New(streams genericiooptions.IOStreams, now func() time.Time) *cobra.Command {
	k := &kube{IOStreams: streams, flags: genericclioptions.NewConfigFlags(true), now: now}
	cmd := &cobra.Command{
		Use:   "kubectl-dane",
		Short: "See what dane-operator does, and mail domains as senders with DANE see them",
		Long: `kubectl dane shows the mail domains that dane-operator looks after: whether senders are safe, what a
rollover waits for and until when, and what is wrong with a zone.`,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl dane"},
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.SetIn(streams.In)
	cmd.SetOut(streams.Out)
	cmd.SetErr(streams.ErrOut)
	k.flags.AddFlags(cmd.PersistentFlags())
	cmd.PersistentFlags().StringVar(&k.colour, "color", colourChoices[0], "`WHEN` to print in colour, and with bars: auto (at a terminal; without colour where NO_COLOR is set), always or never")
	_ = cmd.RegisterFlagCompletionFunc("color", cobra.FixedCompletions(colourChoices, cobra.ShellCompDirectiveNoFileComp))
	for _, c := range []*cobra.Command{k.status(), k.check(), k.zone(), k.reports(), k.records(), k.plan(), k.rollover(), k.doctor(), k.explain()} {
		c.RunE = k.onScreen(c.RunE)
		cmd.AddCommand(c)
	}
	version.AddTo(cmd, "Client Version", "clientVersion")
	return cmd
}

// runner is the RunE of a command.
type runner func(cmd *cobra.Command, args []string) error

// onScreen has a command print on a screen, and tell of its progress.
func (k *kube) onScreen(run runner) runner {
	return func(cmd *cobra.Command, args []string) error {
		p := startProgress(k.ErrOut, clock.RealClock{}, "waiting for the API server")
		defer p.end()
		k.progress = p
		out, err := newScreen(k.Out, k.colour, p.makeWay)
		if err != nil {
			return err
		}
		k.Out, k.ErrOut = out, &screen{Writer: k.ErrOut, before: p.makeWay}
		err = interruptible(cmd, args, run)
		if cmd.Context().Err() != nil {
			return err // whoever interrupts knows why
		}
		return advise(err)
	}
}

// lastWords is how long a command that is interrupted may still take.
const lastWords = time.Second

// interruptible runs a command, and leaves it behind when it is interrupted and does not end: what asks an API server which
// kinds it has heeds no context, and waits for minutes for one that does not answer.
func interruptible(cmd *cobra.Command, args []string, run runner) error {
	ended := make(chan error, 1)
	go func() { ended <- run(cmd, args) }()
	select {
	case err := <-ended:
		return err
	case <-cmd.Context().Done():
	}
	select {
	case err := <-ended:
		return err
	case <-clock.RealClock{}.After(lastWords):
		return errors.New("interrupted")
	}
}

// The exit codes of all commands; docs/kubectl-dane.md has a table of what each command means by them.
const (
	// exitFailed: the command failed, or nothing can be said.
	exitFailed = 1
	// exitFound: something is not as it should be.
	exitFound = 2
	// exitUndeliverable: mail is not delivered.
	exitUndeliverable = 3
)

// verdict is the end of a command that has printed all that there is to say: the exit code tells a script what was found.
type verdict struct{ code int }

func (verdict) Error() string { return "" }

// ExitCode is what the process of a command ends with: 0, 1 where the command failed, and what else
// its help says.
func ExitCode(err error) int {
	var found verdict
	switch {
	case err == nil:
		return 0
	case errors.As(err, &found):
		return found.code
	}
	return exitFailed
}

// errNoCluster is said where no kubeconfig names a cluster: without it the library asks one on this machine.
var errNoCluster = errors.New("no cluster is known: name a kubeconfig with --kubeconfig or in KUBECONFIG, or an API server with --server; " +
	"kubectl dane check and explain need none")

// reachesACluster says whether a flag, a kubeconfig or the pod that this runs in names one. A kubeconfig that cannot be read
// says so itself.
func (k *kube) reachesACluster() bool {
	_, err := k.flags.ToRawKubeConfigLoader().RawConfig()
	return err != nil || k.knowsACluster() || *k.flags.APIServer != "" || os.Getenv("KUBERNETES_SERVICE_HOST") != "" || os.Getenv("KUBERNETES_MASTER") != ""
}

// advise says what to do about an API server that gives no answer.
func advise(err error) error {
	var unanswered *url.Error
	if !errors.As(err, &unanswered) {
		return err
	}
	return fmt.Errorf("%w; see that the cluster runs and can be reached from here (kubectl cluster-info), or name another one with --context or --kubeconfig", err)
}

// client makes a client with the rights of whoever calls.
func (k *kube) client() (client.Client, error) {
	if !k.reachesACluster() {
		return nil, errNoCluster
	}
	config, err := k.flags.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	if e := config.ExecProvider; e != nil && e.InteractiveMode != clientcmdapi.NeverExecInteractiveMode {
		k.progress.end() // the program may ask for something in the same line
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, cmapi.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return client.New(config, client.Options{Scheme: scheme})
}

// namespace is that of the command line or of the kubeconfig.
func (k *kube) namespace() (string, error) {
	name, _, err := k.flags.ToRawKubeConfigLoader().Namespace()
	return name, err
}

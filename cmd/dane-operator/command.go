package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/controllers"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/guard"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
	"github.com/dane-operator/dane-operator/internal/metrics"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/sendercheck"
	"github.com/dane-operator/dane-operator/internal/version"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// options are the command's flags.
type options struct {
	config         string
	kubeconfig     string
	namespaces     []string
	selector       selectorValue
	leaderElect    bool
	electionSpace  string
	election       electionTimes
	metrics        metricsOptions
	dashboard      dashboardOptions
	healthAddress  string
	pprofAddress   string
	trustAnchors   string
	resolvers      []string
	probeAllow     []string
	probeHelo      string
	unknownHistory time.Duration
	queryCeiling   int
	workers        int
	logLevel       int
	logFormat      string
}

func newCommand() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "dane-operator",
		Short: "Keep DANE TLSA records in step with cert-manager certificates",
		Long: `dane-operator keeps the DANE TLSA records of mail servers in step with their cert-manager
certificates, over DNS dynamic updates (RFC 2136), so that no sender that validates DANE ever
meets a certificate that the records it may have cached do not match.

It watches MailDomain and DNSZone objects (mail.dane-operator.io/v1alpha1). Killing or removing
it leaves the records, the certificates and the serving Secrets as they are.`,
		Example: `  # against the cluster of the current kubeconfig, with mail servers on private addresses
  dane-operator --probe-allow-cidr 10.0.0.0/8

  # two namespaces alone, with a private DNSSEC root
  dane-operator --namespace mail --namespace dns --trust-anchors /etc/dane/anchors.ds

  # one of several operators of a cluster, each with a label of its own
  dane-operator --selector mail.dane-operator.io/shard=a`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.config != "" {
				if err := applyConfig(o.config, cmd.Flags()); err != nil {
					return err
				}
			}
			return run(cmd.Context(), o)
		},
	}
	o.addFlags(cmd)
	cmd.AddCommand(newReportsCommand())
	version.AddTo(cmd, "Version", "version")
	return cmd
}

func (o *options) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "`FILE` with an OperatorConfiguration, which says in YAML what the other flags say; flags that are given go before it")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "`FILE` that says how to reach the API server. Default: $KUBECONFIG, ~/.kube/config, or the pod's service account")
	f.StringSliceVar(&o.namespaces, "namespace", nil, "watch only this `NAMESPACE`; may be repeated or a comma-separated list. Default: all")
	f.Var(&o.selector, "selector", "act only for the MailDomains and DNSZones that this label `SELECTOR` matches, such as mail.dane-operator.io/shard=a; the others are known, and nothing is written to them. Default: all")
	f.BoolVar(&o.leaderElect, "leader-elect", false, "let one of several replicas work at a time")
	f.StringVar(&o.electionSpace, "leader-election-namespace", "", "`NAMESPACE` of the lease. Default: that of the pod")
	o.election.addFlags(cmd)
	o.metrics.addFlags(cmd)
	o.dashboard.addFlags(cmd)
	f.StringVar(&o.healthAddress, "health-probe-bind-address", ":8081", "`ADDRESS:PORT` to serve /healthz and /readyz on; 0 serves none")
	f.StringVar(&o.pprofAddress, "pprof-bind-address", "0", "`ADDRESS:PORT` to serve Go profiles on, without any protection: use a loopback address; 0 serves none")
	f.StringVar(&o.trustAnchors, "trust-anchors", "", "`FILE` with DS or DNSKEY records, one a line, or IANA's root-anchors.xml, that DNSSEC validation starts from, for zones whose DNSZone names none; it is read again when it changes. Default: those of the public root")
	f.StringSliceVar(&o.resolvers, "resolvers", nil, "recursive servers `HOST:PORT` to find delegations and to validate with, asked with CD and DO; their word is never trusted. Default: the system's to find delegations, and the root servers down to validate")
	f.StringSliceVar(&o.probeAllow, "probe-allow-cidr", nil, "network `CIDR` that mail servers may be probed in, and name servers asked that a delegation leads to, beside public addresses; may be repeated. Link-local and metadata addresses never are")
	f.StringVar(&o.probeHelo, "probe-helo-name", "", "`NAME` to say EHLO with. Default: the host name")
	f.DurationVar(&o.unknownHistory, "unknown-history", 24*time.Hour, "how long an answer is believed cached that may have been in DNS before the operator looked")
	f.IntVar(&o.queryCeiling, "queries-per-server", zone.DefaultQueriesPerServer, "how many queries a second one name server or resolver is asked at the most, by sweeps, checks and validation of all zones together; 0 sets no limit")
	f.IntVar(&o.workers, "workers", 16, "how many MailDomains are worked on at once")
	f.IntVarP(&o.logLevel, "v", "v", 0, "log level: 0 for what happens, 1 for why, 2 for every message")
	f.StringVar(&o.logFormat, "log-format", "json", "json or console")
	_ = cmd.RegisterFlagCompletionFunc("log-format", cobra.FixedCompletions([]string{"json", "console"}, cobra.ShellCompDirectiveNoFileComp))
}

// run starts the manager and blocks until ctx ends.
func run(ctx context.Context, o *options) error {
	log, err := o.logger()
	if err != nil {
		return err
	}
	ctrl.SetLogger(log)
	// The Kubernetes client tells of lost leases and of panics in reconciles by a logger of its own.
	klog.SetLogger(log.WithName("kubernetes"))
	log.Info("dane-operator begins", "version", version.Get().GitVersion)
	config, err := o.restConfig()
	if err != nil {
		return err
	}
	setup, err := o.controllers(log)
	if err != nil {
		return err
	}
	setup.Status, setup.Ahead = &metrics.Status{Shard: o.selector.Shard}, aheadOf(config, clock.RealClock{}, apiTimeLimit)
	var machine clockCheck
	setup.ClockHeld = machine.tell
	options, err := o.managerOptions(setup.Status)
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(config, options)
	if err != nil {
		return fmt.Errorf("reach the API server: %w", err)
	}
	if err := controllers.Setup(ctx, mgr, setup); err != nil {
		return err
	}
	if err := o.serve(ctx, mgr, log); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("clock", machine.check); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// serve adds what is served beside the controllers: the page, and whether the operator is well.
func (o *options) serve(ctx context.Context, mgr ctrl.Manager, log logr.Logger) error {
	page, err := o.dashboard.server(ctx, mgr, o.namespaces, o.selector.Shard, log)
	if err != nil {
		return err
	}
	if page != nil {
		if err := mgr.Add(page); err != nil {
			return err
		}
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	ready := &readiness{cache: mgr.GetCache()}
	if err := mgr.Add(ready); err != nil {
		return err
	}
	return mgr.AddReadyzCheck("caches", ready.check)
}

func (o *options) logger() (logr.Logger, error) {
	switch o.logFormat {
	case "json", "console":
	default:
		return logr.Logger{}, fmt.Errorf("--log-format %q: want json or console", o.logFormat)
	}
	return zap.New(zap.UseDevMode(o.logFormat == "console"), zap.Level(levelOf(o.logLevel))), nil
}

func (o *options) restConfig() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("find the API server (--kubeconfig): %w", err)
	}
	// The API server's own priority and fairness limits us; a client-side limit would make a
	// waiting rollover late for no reason.
	config.QPS = -1
	config.UserAgent = "dane-operator"
	return config, nil
}

func (o *options) managerOptions(status *metrics.Status) (ctrl.Options, error) {
	metrics, err := o.metrics.server()
	if err != nil {
		return ctrl.Options{}, err
	}
	metrics.FilterProvider = withStatus(metrics.FilterProvider, status)
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, cmapi.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err) // a programming error: the schemes are fixed
		}
	}
	options := ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       metrics,
		HealthProbeBindAddress:        o.healthAddress,
		PprofBindAddress:              o.pprofAddress,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              o.selector.LeaseName(),
		LeaderElectionNamespace:       o.electionSpace,
		LeaderElectionReleaseOnCancel: true,
		Cache:                         cache.Options{DefaultTransform: controllers.Slim},
		LeaseDuration:                 &o.election.lease,
		RenewDeadline:                 &o.election.renew,
		RetryPeriod:                   &o.election.retry,
	}
	if len(o.namespaces) > 0 {
		options.Cache.DefaultNamespaces = map[string]cache.Config{}
		for _, n := range o.namespaces {
			options.Cache.DefaultNamespaces[n] = cache.Config{}
		}
	}
	return options, nil
}

// controllers turns the flags into what the controllers need.
func (o *options) controllers(log logr.Logger) (controllers.Options, error) {
	counts := metrics.NewEvents()
	out := controllers.Options{
		Clock: clock.RealClock{}, Resolvers: o.resolvers, UnknownHistory: o.unknownHistory,
		Shard: o.selector.Shard, Workers: o.workers, ParallelProbes: 4 * o.workers,
		Counts: counts, Guard: guard.New(log.WithName("guard"), counts.Panic),
	}
	for _, r := range o.resolvers {
		if _, _, err := net.SplitHostPort(r); err != nil {
			return out, fmt.Errorf("--resolvers %q: want HOST:PORT: %w", r, err)
		}
	}
	var err error
	if out.Trust, err = o.trust(); err != nil {
		return out, err
	}
	allowed, err := o.allowed()
	if err != nil {
		return out, err
	}
	out.Prober = o.prober(allowed, out.Guard)
	var ceiling *zone.Ceiling
	if o.queryCeiling > 0 {
		ceiling = zone.NewCeiling(o.queryCeiling, clock.RealClock{})
	}
	resolvers := &validators{options: o, ceiling: ceiling, allowed: allowed, trust: out.Trust}
	out.NewZoneClient = func(c zone.Config) zone.Client {
		return zone.NewActor(c, zone.Options{
			Clock: clock.RealClock{}, Allowed: allowed, Ceiling: ceiling, NewResolver: resolvers.of,
			Logger: log.WithName("zone").WithValues("zone", c.Zone), Guard: out.Guard.With("zone", c.Zone),
		})
	}
	out.NewResolver = func(anchors []dnssec.Anchor) senderview.Resolver { return resolvers.of(anchors) }
	out.FetchPolicy = func(ctx context.Context, r senderview.Resolver, domain string) (string, mailrecord.Problems) {
		return sendercheck.PolicyFetcher{Resolver: r, Allowed: allowed, Now: clock.RealClock{}.Now}.Fetch(ctx, domain)
	}
	return out, nil
}

// trust reads the trust anchors: those of the file, or else of the public root.
func (o *options) trust() (*controllers.Trust, error) {
	if o.trustAnchors == "" {
		return controllers.RootTrust(), nil
	}
	trust, err := controllers.NewTrust(func() ([]byte, error) { return os.ReadFile(o.trustAnchors) }, clock.RealClock{})
	if err != nil {
		return nil, fmt.Errorf("--trust-anchors %s: %w", o.trustAnchors, err)
	}
	return trust, nil
}

// allowed are the networks in which servers may be connected to whose addresses stand in DNS, beside public addresses.
func (o *options) allowed() ([]netip.Prefix, error) {
	return networks("probe-allow-cidr", o.probeAllow)
}

// networks reads the value of a flag.
func networks(flag string, texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("--%s %q: want a network such as 10.0.0.0/8: %w", flag, text, err)
		}
		out = append(out, prefix)
	}
	return out, nil
}

func (o *options) prober(allowed []netip.Prefix, g *guard.Guard) probe.Prober {
	options := probe.Options{Clock: clock.RealClock{}, HELO: o.probeHelo, AllowCIDRs: allowed, Guard: g}
	if options.HELO == "" {
		if name, err := os.Hostname(); err == nil {
			options.HELO = name
		}
	}
	return probe.New(options)
}

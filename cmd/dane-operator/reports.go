package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/reportserver"
	"github.com/dane-operator/dane-operator/internal/tlsrpt/receive"
	"github.com/dane-operator/dane-operator/internal/tlsrpt/store"
)

// reportsOptions are the flags of "reports".
type reportsOptions struct {
	options
	database     string
	databaseFile string
	retention    time.Duration
	https        string
	certDir      string
	smtp, lmtp   string
	greeting     string
	addresses    []string
	proxies      []string
	limits       receive.Limits
	atOnce       int
	statusEvery  time.Duration
}

func newReportsCommand() *cobra.Command {
	o := &reportsOptions{}
	cmd := &cobra.Command{
		Use:   "reports",
		Short: "Take in the TLS reports (RFC 8460) that senders make about your mail domains",
		Long: `reports listens for TLS reports, which senders of mail make once a day about the sessions they had with the
mail servers of a domain, and keeps those that are about a MailDomain of the cluster or one of its mail servers.

They come as your TLSRPT record says: by HTTPS POST (--https-bind-address), or by mail, which your mail server
hands on (--lmtp-bind-address) or which comes here directly (--smtp-bind-address). By mail those alone count that a
DKIM signature of the sender's organization proves.

What they say of the last seven days it writes to status.tlsReports of the MailDomains. It reads MailDomains and
nothing else of the cluster, and writes that field alone: run it apart from the operator, with rights of its own.`,
		Example: `  # behind an Ingress that speaks TLS, with proxies on 10.0.0.0/8
  dane-operator reports --database /data/reports.db --https-bind-address :8080 --trusted-proxy 10.0.0.0/8

  # by mail, handed on by Postfix: transport_maps: tlsrpt@example.com lmtp:inet:tlsrpt.mail.svc:2424
  dane-operator reports --database /data/reports.db --lmtp-bind-address :2424 --address tlsrpt@example.com`,
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.addFlags(cmd)
	return cmd
}

func (o *reportsOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "`FILE` that says how to reach the API server. Default: $KUBECONFIG, ~/.kube/config, or the pod's service account")
	f.StringSliceVar(&o.namespaces, "namespace", nil, "know only the MailDomains of this `NAMESPACE`; may be repeated or a comma-separated list. Default: all")
	f.StringVar(&o.database, "database", "", "`FILE` of SQLite to keep reports in; it is made if it is not there")
	f.StringVar(&o.databaseFile, "database-dsn-file", "", "`FILE` that holds how to reach PostgreSQL (postgres://user:password@host/database), in place of --database")
	f.DurationVar(&o.retention, "retention", 90*24*time.Hour, "how long a report is kept")
	f.StringVar(&o.https, "https-bind-address", "", "`ADDRESS:PORT` to take reports by POST on, at any path, and to serve policies of MTA-STS; without --tls-cert-dir a proxy before it has to speak TLS. Default: none")
	f.StringVar(&o.certDir, "tls-cert-dir", "", "`FOLDER` with tls.crt and tls.key for HTTPS and for STARTTLS; they are read again when they change")
	f.StringVar(&o.smtp, "smtp-bind-address", "", "`ADDRESS:PORT` to take reports by mail on. Default: none")
	f.StringVar(&o.lmtp, "lmtp-bind-address", "", "`ADDRESS:PORT` to take reports on that a mail server hands on by LMTP. Default: none")
	f.StringVar(&o.greeting, "mail-name", "", "`NAME` to greet mail servers with. Default: the host name")
	f.StringSliceVar(&o.addresses, "address", nil, "`ADDRESS` of mail that reports are sent to; may be repeated. Mail to others is refused")
	f.StringSliceVar(&o.proxies, "trusted-proxy", nil, "network `CIDR` of proxies whose X-Forwarded-For is believed; may be repeated. Without it all that comes through a proxy counts as of one source")
	f.Float64Var(&o.limits.PerSource, "rate-per-source", 10, "how many reports a second are looked at from one source, on average")
	f.IntVar(&o.limits.SourceBurst, "burst-per-source", 200, "how many reports are looked at from one source at once")
	f.Float64Var(&o.limits.All, "rate", 1000, "how many reports a second are looked at in all, on average")
	f.IntVar(&o.limits.AllBurst, "burst", 2000, "how many reports are looked at in all at once")
	f.IntVar(&o.atOnce, "unpack-at-once", 1, "how many reports are unpacked and read at once; the largest takes 40 MiB for a moment, most take none to speak of")
	f.DurationVar(&o.statusEvery, "status-every", time.Minute, "how often the status of a MailDomain is written at the most, when reports come")
	o.metrics.addFlags(cmd)
	f.StringVar(&o.healthAddress, "health-probe-bind-address", ":8081", "`ADDRESS:PORT` to serve /healthz and /readyz on; 0 serves none")
	f.IntVarP(&o.logLevel, "v", "v", 0, "log level: 0 for what happens, 1 for reports that are not kept, too")
	f.StringVar(&o.logFormat, "log-format", "json", "json or console")
}

// check says what is wrong with the flags.
func (o *reportsOptions) check() error {
	switch {
	case (o.database == "") == (o.databaseFile == ""):
		return errors.New("say where to keep reports, in one way: --database FILE, or --database-dsn-file FILE for PostgreSQL")
	case store.IsPostgreSQL(o.database):
		return errors.New("--database is a file of SQLite; write how to reach PostgreSQL into a file, and name that in --database-dsn-file: others can see the flags")
	case o.https == "" && o.smtp == "" && o.lmtp == "":
		return errors.New("say how reports come: --https-bind-address, --lmtp-bind-address or --smtp-bind-address")
	case (o.smtp != "" || o.lmtp != "") && len(o.addresses) == 0:
		return errors.New("say which address reports are sent to: --address tlsrpt@example.com")
	case o.retention < 24*time.Hour:
		return fmt.Errorf("--retention %s: reports are kept a day at the least, since they come once a day", o.retention)
	case min(o.limits.PerSource, o.limits.All) <= 0 || min(o.limits.SourceBurst, o.limits.AllBurst, o.atOnce) <= 0:
		return errors.New("--rate, --rate-per-source, --burst, --burst-per-source and --unpack-at-once are above 0")
	}
	return o.checkValues()
}

// reportsMemory is the memory that the heap may take before it is collected harder, where the container has no limit.
const reportsMemory = 96 << 20

func (o *reportsOptions) run(ctx context.Context) error {
	if err := o.check(); err != nil {
		return err
	}
	dsn, err := o.dsn()
	if err != nil {
		return err
	}
	if os.Getenv("GOMEMLIMIT") == "" && containerMemory(os.DirFS("/")) == 0 {
		debug.SetMemoryLimit(reportsMemory)
	}
	log, err := o.logger()
	if err != nil {
		return err
	}
	ctrl.SetLogger(log)
	mgr, err := o.manager()
	if err != nil {
		return err
	}
	kept, err := store.Open(ctx, dsn)
	if err != nil {
		return err
	}
	// What is being kept is kept before the program ends.
	defer func() { _ = kept.Close() }()
	if err := o.listen(ctx, mgr, kept, log); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// What the API server is asked a second, on average and at once: statuses of MailDomains are written in turn.
const (
	requestRate  = 5
	requestBurst = 20
)

// manager has a cache of MailDomains alone.
func (o *reportsOptions) manager() (manager.Manager, error) {
	config, err := o.restConfig()
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = requestRate, requestBurst
	served, err := o.metrics.server()
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	options := ctrl.Options{Scheme: scheme, Metrics: served, HealthProbeBindAddress: o.healthAddress}
	for _, n := range o.namespaces {
		if options.Cache.DefaultNamespaces == nil {
			options.Cache.DefaultNamespaces = map[string]cache.Config{}
		}
		options.Cache.DefaultNamespaces[n] = cache.Config{}
	}
	options.Cache.DefaultTransform = reportserver.NamesOnly
	mgr, err := ctrl.NewManager(config, options)
	if err != nil {
		return nil, fmt.Errorf("reach the API server: %w", err)
	}
	return mgr, nil
}

// listen makes the manager run what listens, once the cache is filled.
func (o *reportsOptions) listen(ctx context.Context, mgr manager.Manager, kept *store.Store, log logr.Logger) error {
	if err := reportserver.IndexNames(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	counts := reportserver.NewCounts(metrics.Registry, log.WithName("reports"))
	teller := &reportserver.Teller{
		Reader: mgr.GetCache(), Status: mgr.GetClient().Status(), Store: kept, Clock: clock.RealClock{}, Every: o.statusEvery,
	}
	if err := teller.Setup(mgr); err != nil {
		return err
	}
	intake := receive.NewIntake(receive.Intake{
		Keeper: kept, Clock: clock.RealClock{},
		Observe: func(e receive.Event) {
			counts.Observe(e)
			if e.Outcome == receive.Kept {
				teller.Note(e.Item)
			}
		},
		Subject: reportserver.Names{Reader: mgr.GetCache()}.Subject,
	}, o.atOnce)
	servers, err := o.servers(ctx, mgr, intake)
	if err != nil {
		return err
	}
	for _, s := range servers {
		log.Info("TLS reports are taken", "address", s.Listener.Addr().String(), "by", s.By())
		if err := mgr.Add(s); err != nil {
			return err
		}
	}
	if err := mgr.Add(&reportserver.Forgetter{Store: kept, After: o.retention, Clock: clock.RealClock{}, Log: log.WithName("reports")}); err != nil {
		return err
	}
	ready := &readiness{cache: mgr.GetCache()}
	if err := mgr.Add(ready); err != nil {
		return err
	}
	return errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("caches", ready.check),
		mgr.AddReadyzCheck("database", reportserver.Reachable(kept)))
}

// servers open what is listened on: an address that is taken ends the program at its start.
func (o *reportsOptions) servers(ctx context.Context, mgr manager.Manager, intake *receive.Intake) ([]*reportserver.Server, error) {
	secure, err := o.tls(mgr)
	if err != nil {
		return nil, err
	}
	proxies, err := networks("trusted-proxy", o.proxies)
	if err != nil {
		return nil, err
	}
	mail := receive.MailOptions{Domain: o.greeting, Accepts: o.accepts, Limits: o.limits, Lookup: net.DefaultResolver.LookupTXT}
	if mail.Domain == "" {
		mail.Domain, _ = os.Hostname()
	}
	var out []*reportserver.Server
	add := func(address string, s *reportserver.Server) error {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("listen for TLS reports: %w", err)
		}
		s.Listener = listener
		out = append(out, s)
		return nil
	}
	if o.https != "" {
		handler := reportserver.Policies{Reader: mgr.GetCache(), Next: receive.NewHandler(intake, o.limits, proxies)}
		err = errors.Join(err, add(o.https, &reportserver.Server{HTTP: reportserver.NewHTTP(handler, secure)}))
	}
	if o.smtp != "" {
		s := receive.NewMailServer(intake, mail)
		s.TLSConfig = secure
		err = errors.Join(err, add(o.smtp, &reportserver.Server{SMTP: s}))
	}
	if o.lmtp != "" {
		mail.LMTP = true
		// All that a mail server hands on is of one source.
		mail.Limits.PerSource, mail.Limits.SourceBurst = mail.Limits.All, mail.Limits.AllBurst
		err = errors.Join(err, add(o.lmtp, &reportserver.Server{SMTP: receive.NewMailServer(intake, mail)}))
	}
	return out, err
}

func (o *reportsOptions) accepts(address string) bool {
	return slices.ContainsFunc(o.addresses, func(ours string) bool { return strings.EqualFold(ours, address) })
}

// tls is the configuration with the certificate of the folder; nil without one.
func (o *reportsOptions) tls(mgr manager.Manager) (*tls.Config, error) {
	if o.certDir == "" {
		return nil, nil
	}
	watcher, err := certwatcher.New(o.certDir+"/tls.crt", o.certDir+"/tls.key")
	if err != nil {
		return nil, fmt.Errorf("--tls-cert-dir: %w", err)
	}
	if err := mgr.Add(watcher); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: watcher.GetCertificate}, nil
}

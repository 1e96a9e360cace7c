// Command certmanager runs cert-manager's own controllers, with the defaults of its release, against
// the API server of a kubeconfig. It is for tests and for the demo: it has no webhook, no leader
// election and no metrics server. Without the webhook nothing fills in defaults, so that kind and
// group have to be spelled out in every issuerRef.
//
// It ends on SIGTERM or an interrupt once the controllers have finished what they were at.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cert-manager/cert-manager/pkg/controller"
	"github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	dnsutil "github.com/cert-manager/cert-manager/pkg/issuer/acme/dns/util"
	"github.com/cert-manager/cert-manager/pkg/logs"

	// The controllers and issuers register themselves.
	_ "github.com/cert-manager/cert-manager/pkg/controller/acmechallenges"
	_ "github.com/cert-manager/cert-manager/pkg/controller/acmeorders"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/acme"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/metrics"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/acme"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
)

// workers is the number of goroutines of each controller, as in cert-manager's defaults.
const workers = 5

// settings are what the command line says.
type settings struct {
	kubeconfig               string
	approver                 bool
	clusterResourceNamespace string
	backoff                  time.Duration
	dns01Nameservers         string
}

func main() {
	var s settings
	flag.StringVar(&s.kubeconfig, "kubeconfig", "", "path of the kubeconfig (required)")
	flag.BoolVar(&s.approver, "approver", true, "approve every CertificateRequest, as a default installation does")
	flag.StringVar(&s.clusterResourceNamespace, "cluster-resource-namespace", "cert-manager",
		"namespace of the Secrets of ClusterIssuers")
	flag.DurationVar(&s.backoff, "certificate-request-minimum-backoff", time.Hour,
		"wait before a failed request is made again; doubles up to 32 times as long")
	flag.StringVar(&s.dns01Nameservers, "dns01-recursive-nameservers", "",
		"HOST:PORT,... of the resolvers that are asked about the zone of a DNS-01 challenge; default those of /etc/resolv.conf")
	flag.Parse()
	logs.InitLogs()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "certmanager:", err)
		os.Exit(1)
	}
}

// run starts every controller and returns when ctx is done and all of them have stopped.
func run(ctx context.Context, s settings) error {
	if s.kubeconfig == "" {
		return errors.New("--kubeconfig is required")
	}
	factory, err := controller.NewContextFactory(ctx, options(s))
	if err != nil {
		return fmt.Errorf("connect to the API server of %s: %w", s.kubeconfig, err)
	}
	base, err := factory.Build()
	if err != nil {
		return fmt.Errorf("set up the clients: %w", err)
	}
	controllers, err := construct(factory, s.approver)
	if err != nil {
		return err
	}
	base.SharedInformerFactory.Start(ctx.Done())
	base.KubeSharedInformerFactory.Start(ctx.Done())
	base.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())
	return runAll(ctx, controllers)
}

// options are cert-manager's defaults (internal/apis/config/controller/v1alpha1/defaults.go there),
// which matter where they decide what reaches a CertificateRequest.
func options(s settings) controller.ContextOptions {
	return controller.ContextOptions{
		Kubeconfig:         s.kubeconfig,
		KubernetesAPIQPS:   1000,
		KubernetesAPIBurst: 2000,
		IssuerOptions: controller.IssuerOptions{
			ClusterResourceNamespace: s.clusterResourceNamespace,
		},
		ACMEOptions: controller.ACMEOptions{
			DNS01Nameservers:        s.resolvers(),
			DNS01CheckAuthoritative: true,
			DNS01CheckRetryPeriod:   10 * time.Second,
		},
		CertificateOptions: controller.CertificateOptions{
			CopiedAnnotationPrefixes:                 []string{"*", "-kubectl.kubernetes.io/", "-fluxcd.io/", "-argocd.argoproj.io/"},
			CertificateRequestMinimumBackoffDuration: s.backoff,
			CertificateRequestMaximumBackoffDuration: 32 * s.backoff,
		},
		SchedulerOptions: controller.SchedulerOptions{MaxConcurrentChallenges: 60},
	}
}

// resolvers are those that cert-manager asks about DNS-01 challenges.
func (s settings) resolvers() []string {
	if s.dns01Nameservers == "" {
		return dnsutil.RecursiveNameservers
	}
	return strings.Split(s.dns01Nameservers, ",")
}

// construct builds the registered controllers, in the order of their names.
func construct(factory *controller.ContextFactory, approve bool) (map[string]controller.Interface, error) {
	built := map[string]controller.Interface{}
	for _, name := range slices.Sorted(maps.Keys(controller.Known())) {
		if name == approver.ControllerName && !approve {
			continue
		}
		c, err := controller.Known()[name](factory)
		if err != nil {
			return nil, fmt.Errorf("set up controller %s: %w", name, err)
		}
		built[name] = c
	}
	return built, nil
}

// runAll runs the controllers until ctx is done. One that fails before takes the program down, so
// that a test never goes on with half of cert-manager.
func runAll(ctx context.Context, controllers map[string]controller.Interface) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	for name, c := range controllers {
		group.Go(func() {
			if err := c.Run(workers, ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("controller %s: %w", name, err))
			}
		})
	}
	group.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Package kube starts a real Kubernetes API for tests and for the demo: kube-apiserver and etcd on
// loopback ports, with RBAC, validating admission policies, our CRDs and those of cert-manager, and,
// when asked, cert-manager's own controllers as a child process.
//
// Three things of a whole cluster are missing, because kube-controller-manager and the kubelet do
// not run, and a test has to do them itself:
//
//   - nothing is garbage-collected: deleting a Certificate leaves its Secrets and requests;
//   - a deleted namespace stays Terminating for ever: use a new namespace for every test;
//   - a Service gets no endpoints: make the EndpointSlice as well (PutService does).
//
// cert-manager's webhook does not run either. It fills in no defaults, so kind and group are spelled
// out in every issuerRef, and it refuses nothing: short durations pass.
package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/go-logr/logr"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	crlog "sigs.k8s.io/controller-runtime/pkg/log"

	danev1alpha1 "github.com/dane-operator/dane-operator/api/v1alpha1"
)

// Options say what is started. The zero value is right for tests.
type Options struct {
	// Root is the root of the checkout. Default: searched upwards from the working directory.
	Root string
	// Dir is where kubeconfigs and logs are written. Default: a temporary folder that Stop removes.
	Dir string
	// Progress is called with a line about what is being done now. Default: nothing is told.
	Progress func(string)
	// WithoutCRDs leaves our CRDs and cert-manager's out.
	WithoutCRDs bool
	// ServiceRange is the network that Services get their addresses from. Default: that of envtest.
	ServiceRange string
	// Audit is the name of a user whose requests are written down; see Audited. Default: nobody's are.
	Audit string
}

// Cluster is a running API server.
type Cluster struct {
	// Config is that of a member of system:masters, without a client-side rate limit.
	Config *rest.Config
	// Client uses Config and knows our kinds, cert-manager's, CRDs and Kubernetes' own. It does not
	// cache: what it reads is what the API server holds.
	Client client.WithWatch
	// Kubeconfig is the path of a kubeconfig with the rights of Config.
	Kubeconfig string
	// Dir holds the kubeconfigs and logs.
	Dir string

	root     string
	progress func(string)
	env      *envtest.Environment
	tempDir  bool

	mu       sync.Mutex
	children []*Process
	// apiServer is kube-apiserver once it was killed and started again.
	apiServer *Process
}

// startTimeout is for machines that are busy building at the same time.
const startTimeout = 2 * time.Minute

// Start makes sure that the programs are there, starts etcd and kube-apiserver and installs the
// CRDs. On an error nothing is left running.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	c, err := newCluster(o)
	if err != nil {
		return nil, err
	}
	assets, err := Assets(ctx, c.root, c.progress)
	if err != nil {
		return nil, errors.Join(err, c.cleanUp())
	}
	if err := c.start(ctx, assets, o); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func newCluster(o Options) (*Cluster, error) {
	// controller-runtime complains on the terminal while it has no logger.
	crlog.SetLogger(logr.Discard())
	c := &Cluster{root: o.Root, Dir: o.Dir, progress: o.Progress}
	if c.progress == nil {
		c.progress = func(string) {}
	}
	var err error
	if c.root == "" {
		if c.root, err = Root(); err != nil {
			return nil, err
		}
	}
	if c.Dir == "" {
		c.tempDir = true
		if c.Dir, err = os.MkdirTemp("", "dane-kube-"); err != nil {
			return nil, fmt.Errorf("make a folder for kubeconfigs and logs: %w", err)
		}
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, assets string, o Options) error {
	c.progress("starting etcd and kube-apiserver (about 5 s)")
	existing := false
	c.env = &envtest.Environment{
		BinaryAssetsDirectory:    assets,
		UseExistingCluster:       &existing,
		ControlPlaneStartTimeout: startTimeout,
	}
	if err := c.logControlPlane(); err != nil {
		return err
	}
	if o.ServiceRange != "" {
		c.env.ControlPlane.GetAPIServer().Configure().Set("service-cluster-ip-range", o.ServiceRange)
	}
	if o.Audit != "" {
		if err := c.audit(o.Audit, c.env.ControlPlane.GetAPIServer()); err != nil {
			return err
		}
	}
	if _, err := c.env.Start(); err != nil {
		return fmt.Errorf("start the API server; what it said last:\n%s: %w", tail(c.apiServerLog(), 15), err)
	}
	admin, err := c.AddUser("admin", "system:masters")
	if err != nil {
		return err
	}
	c.Config, c.Kubeconfig = admin.Config, admin.Kubeconfig
	c.Client, err = client.NewWithWatch(c.Config, client.Options{Scheme: Scheme()})
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	if !o.WithoutCRDs {
		return c.installCRDs(ctx)
	}
	return nil
}

// apiServerLog is the path of kube-apiserver's log.
func (c *Cluster) apiServerLog() string { return filepath.Join(c.Dir, "kube-apiserver.log") }

// logControlPlane sends what etcd and kube-apiserver say to files. It also lets kube-apiserver start
// on a machine without a default route (a laptop that is off the net, a network namespace): it needs
// an address to advertise then, and writes no Endpoints of itself.
func (c *Cluster) logControlPlane() error {
	api, err := os.Create(c.apiServerLog())
	if err != nil {
		return fmt.Errorf("open the log of kube-apiserver: %w", err)
	}
	etcd, err := os.Create(filepath.Join(c.Dir, "etcd.log"))
	if err != nil {
		return fmt.Errorf("open the log of etcd: %w", err)
	}
	server := c.env.ControlPlane.GetAPIServer()
	server.Out, server.Err = api, api
	server.Configure().
		Set("advertise-address", "127.0.0.1").
		Set("endpoint-reconciler-type", "none")
	c.env.ControlPlane.Etcd = &envtest.Etcd{Out: etcd, Err: etcd}
	return nil
}

// Stop ends the child processes, last started first, then the API server and etcd. To call it again
// does nothing.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	children := c.children
	c.children = nil
	c.mu.Unlock()
	var errs []error
	for i := len(children) - 1; i >= 0; i-- {
		errs = append(errs, children[i].Stop())
	}
	if c.env != nil {
		if err := c.env.Stop(); err != nil {
			errs = append(errs, fmt.Errorf("stop the API server: %w", err))
		}
		c.env = nil
	}
	return errors.Join(append(errs, c.cleanUp())...)
}

func (c *Cluster) cleanUp() error {
	if !c.tempDir {
		return nil
	}
	return os.RemoveAll(c.Dir)
}

// Scheme knows the kinds of Kubernetes, of CRDs, of cert-manager and our own.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, cmv1.AddToScheme,
		danev1alpha1.AddToScheme, discoveryv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			panic(fmt.Sprintf("kube: a kind is registered twice: %v", err))
		}
	}
	return scheme
}

// Package lab puts the pieces of a whole installation together for tests and for the demo: a
// Kubernetes API with cert-manager's controllers, the operator with exactly its rights, and the
// objects of one mail domain. The name servers and the mail server are the caller's choice.
package lab

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/operator"
)

// Zone says how a test's zone is reached.
type Zone struct {
	// Name of the zone without trailing dot.
	Name string
	// Primary takes the updates; Servers are all authoritative addresses (host:port). Without any, nothing is said of
	// them, and the operator finds them by the zone's delegation.
	Primary string
	Servers []string
	// TSIGName and TSIGSecret are the key of the operator.
	TSIGName, TSIGSecret string
	// DS is the trust anchor of the zone, RDATA in presentation form; empty for one that is above it.
	DS string
}

// Timing makes a lab fast: what takes hours in production takes seconds.
type Timing struct {
	// TTL of the records, in seconds.
	TTL int32
	// PublishSafety, RetireSafety, TTLFloor, Delay and Interval as in the API.
	PublishSafety, RetireSafety, TTLFloor, Delay, Interval v1alpha1.Duration
}

// Fast is the timing of most tests: a rollover without a standby key takes about ten seconds.
var Fast = Timing{TTL: 2, PublishSafety: "1s", RetireSafety: "3s", TTLFloor: "1s", Delay: "0s", Interval: "300ms"}

// Lab is a running installation.
type Lab struct {
	*kube.Cluster
	// CertManager and Operator are child processes; they can be killed and started again.
	CertManager, Operator *kube.Process
	// Namespace of the objects of the mail domain.
	Namespace string
}

// Options say what is started.
type Options struct {
	Namespace   string
	CertManager kube.CertManagerOptions
	Operator    operator.Options
	Progress    func(string)
	// Dir for logs and kubeconfigs; default a temporary one.
	Dir string
	// Installed starts the operator with what config/ renders, and has its requests written down; see
	// kube.Cluster.Audited.
	Installed bool
}

// Start brings the cluster, cert-manager and the operator up.
func Start(ctx context.Context, o Options) (*Lab, error) {
	options := kube.Options{Progress: o.Progress, Dir: o.Dir}
	if o.Installed {
		options.Audit = operator.Name
	}
	cluster, err := kube.Start(ctx, options)
	if err != nil {
		return nil, err
	}
	l := &Lab{Cluster: cluster, Namespace: o.Namespace}
	if err := l.start(ctx, o); err != nil {
		_ = cluster.Stop()
		return nil, err
	}
	return l, nil
}

func (l *Lab) start(ctx context.Context, o Options) error {
	if err := l.EnsureNamespace(ctx, l.Namespace); err != nil {
		return err
	}
	var err error
	if l.CertManager, err = l.StartCertManager(ctx, o.CertManager); err != nil {
		return err
	}
	o.Operator.Progress = o.Progress
	o.Operator.Args = append(OperatorArgs(), o.Operator.Args...)
	start := operator.Start
	if o.Installed {
		start = operator.StartInstalled
	}
	l.Operator, err = start(ctx, l.Cluster, o.Operator)
	return err
}

// OperatorArgs are the flags of the operator that a lab needs.
func OperatorArgs() []string {
	return []string{"--probe-allow-cidr", "127.0.0.0/8", "--unknown-history", "10s"}
}

// CreateZone makes the DNSZone, edited, and its TSIG Secret.
func (l *Lab) CreateZone(ctx context.Context, name string, z Zone, t Timing, edits ...func(*v1alpha1.DNSZone)) (*v1alpha1.DNSZone, error) {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: name + "-tsig"},
		StringData: map[string]string{"secret": z.TSIGSecret},
	}
	if err := l.Client.Create(ctx, secret); err != nil {
		return nil, fmt.Errorf("create the TSIG Secret: %w", err)
	}
	zone := &v1alpha1.DNSZone{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: name}, Spec: v1alpha1.DNSZoneSpec{
		Zone: z.Name,
		Update: v1alpha1.UpdateSpec{
			Nameserver: z.Primary, TSIGKeyName: strings.TrimSuffix(z.TSIGName, "."),
			TSIGSecretSecretRef: &v1alpha1.SecretKeyReference{Name: secret.Name, Key: "secret"},
		},
		Propagation: v1alpha1.PropagationSpec{Sweeps: 2, Interval: t.Interval, Delay: t.Delay, TTLFloor: t.TTLFloor},
	}}
	if z.DS != "" {
		zone.Spec.DNSSEC.TrustAnchors = []v1alpha1.TrustAnchor{v1alpha1.TrustAnchor(z.DS)}
	}
	for _, s := range z.Servers {
		zone.Spec.Nameservers.Discovery = v1alpha1.DiscoveryStatic
		zone.Spec.Nameservers.Addresses = append(zone.Spec.Nameservers.Addresses, v1alpha1.ServerAddress(s))
	}
	for _, edit := range edits {
		edit(zone)
	}
	if err := l.Client.Create(ctx, zone); err != nil {
		return nil, fmt.Errorf("create the DNSZone: %w", err)
	}
	return zone, nil
}

// MailDomain is a MailDomain of one host, ready to be changed and created.
func (l *Lab) MailDomain(name, domain, host string, port int32, t Timing, certificates ...string) *v1alpha1.MailDomain {
	server := v1alpha1.MailServer{Hostname: host, Ports: []v1alpha1.MailServerPort{{Port: port, Protocol: v1alpha1.ProtocolSMTP}}}
	for _, c := range certificates {
		server.Certificates = append(server.Certificates, v1alpha1.CertificateReference{Name: c})
	}
	return &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: name}, Spec: v1alpha1.MailDomainSpec{
		Domain: domain, MailServers: []v1alpha1.MailServer{server},
		TLSA:     v1alpha1.TLSASpec{TTL: t.TTL},
		Rollover: v1alpha1.RolloverSpec{PublishSafety: t.PublishSafety, RetireSafety: t.RetireSafety},
	}}
}

// Domain reads a MailDomain.
func (l *Lab) Domain(ctx context.Context, name string) (*v1alpha1.MailDomain, error) {
	md := &v1alpha1.MailDomain{}
	return md, l.Client.Get(ctx, types.NamespacedName{Namespace: l.Namespace, Name: name}, md)
}

// Zone reads a DNSZone.
func (l *Lab) Zone(ctx context.Context, name string) (*v1alpha1.DNSZone, error) {
	z := &v1alpha1.DNSZone{}
	return z, l.Client.Get(ctx, types.NamespacedName{Namespace: l.Namespace, Name: name}, z)
}

// WaitDomain waits until a MailDomain is as done wants it; done returns what is still missing.
func (l *Lab) WaitDomain(ctx context.Context, name string, timeout time.Duration, done func(*v1alpha1.MailDomain) string) (*v1alpha1.MailDomain, error) {
	md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: name}}
	err := l.WaitFor(ctx, md, timeout, func() string { return done(md) })
	return md, err
}

// TLSSecret reads tls.crt and tls.key of a Secret; both are empty while it does not exist.
func (l *Lab) TLSSecret(ctx context.Context, name string) (certificate, key []byte) {
	secret := &corev1.Secret{}
	if err := l.Client.Get(ctx, types.NamespacedName{Namespace: l.Namespace, Name: name}, secret); err != nil {
		return nil, nil
	}
	return secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]
}

// SplitAddr splits host:port.
func SplitAddr(addr string) (string, int32, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	n, err := net.LookupPort("tcp", port)
	return host, int32(n), err //nolint:gosec // a port
}

package history

import (
	"fmt"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// hostNames are the MX hosts that a history may have: the first two are of its first MailDomain.
var hostNames = []string{"mx1.example.com", "mx2.example.com", "mx3.example.com", "mx4.example.com"}

// hostsEach is how many hosts a MailDomain has at most.
const hostsEach = 2

// found makes the objects of the beginning.
func (h *History) found(floor time.Duration) {
	_ = h.store.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	z := &v1alpha1.DNSZone{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: zoneName}}
	z.Spec = v1alpha1.DNSZoneSpec{
		Zone:        "example.com",
		Update:      v1alpha1.UpdateSpec{Nameserver: "192.0.2.1:53", Protocol: "TCP", InsecureUnsigned: true},
		Nameservers: v1alpha1.NameserversSpec{Discovery: v1alpha1.DiscoveryStatic},
		Propagation: h.propagation(floor),
	}
	_ = h.store.create(z)
	h.say("world", "%d servers, floor %s, loads within %s; sweeps %d, interval %s, delay %s", len(h.servers.all), floor, h.slowestLoad,
		z.Spec.Propagation.Sweeps, z.Spec.Propagation.Interval, z.Spec.Propagation.Delay)
	h.foundDomain(0)
	if h.chance(35) {
		h.foundDomain(1)
	}
}

func (h *History) propagation(floor time.Duration) v1alpha1.PropagationSpec {
	t := &h.timeline
	return v1alpha1.PropagationSpec{
		Sweeps: int32(1 + h.random.IntN(3)), Interval: pick[v1alpha1.Duration](t, "10s", "30s", "1m", "2m", "2m"), //nolint:gosec // small
		Delay: pick[v1alpha1.Duration](t, "0s", "30s"), TTLFloor: v1alpha1.Duration(floor.String()), Timeout: "1h",
	}
}

// foundDomain makes a MailDomain. A second one lists the first host of the first besides, without a Certificate:
// it looks, and never writes.
func (h *History) foundDomain(n int) {
	t := &h.timeline
	d := &mailDomain{name: fmt.Sprintf("example%d", n+1), short: h.chance(30), undo: map[string]func(){}}
	h.domains = append(h.domains, d)
	md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: d.name}}
	md.Spec = v1alpha1.MailDomainSpec{
		Domain: "example.com", DNSSEC: "Required", DeletionPolicy: v1alpha1.DeletionRemove,
		TLSA: v1alpha1.TLSASpec{TTL: pick[int32](t, 30, 60, 300), Parameters: pick(t, d.parameterSets()...), ForeignRecords: v1alpha1.ForeignKeep},
		Rollover: v1alpha1.RolloverSpec{
			Strategy:      pick(t, v1alpha1.StrategyGate, v1alpha1.StrategyGate, v1alpha1.StrategyGate, v1alpha1.StrategyStage, v1alpha1.StrategyStage, v1alpha1.StrategyFollow),
			StandbyKey:    pick[v1alpha1.StandbyKeyMode](t, "Enabled", "Enabled", "Disabled"),
			PublishSafety: pick[v1alpha1.Duration](t, "0s", "1m", "5m"), RetireSafety: pick[v1alpha1.Duration](t, "0s", "2m", "10m"),
			Deadline: v1alpha1.DeadlineSpec{BeforeExpiry: "48h", Action: v1alpha1.DeadlineHold},
		},
	}
	if d.short {
		md.Spec.Rollover.Deadline = v1alpha1.DeadlineSpec{BeforeExpiry: pick[v1alpha1.Duration](t, "30m", "2h", "48h"), Action: pick(t, v1alpha1.DeadlineHold, v1alpha1.DeadlineProceed)}
		h.count("deadline " + string(md.Spec.Rollover.Deadline.Action))
	}
	for i := range 1 + h.random.IntN(hostsEach) {
		md.Spec.MailServers = append(md.Spec.MailServers, h.foundHost(d, n*hostsEach+i, &md.Spec))
	}
	if n > 0 {
		h.count("second MailDomain")
		md.Spec.MailServers = append(md.Spec.MailServers, serverOf(h.hosts[0].name))
	}
	h.count("strategy " + string(md.Spec.Rollover.Strategy))
	_ = h.store.create(md)
	h.say("world", "%s: %s, standby %s, %v, TTL %d, publishSafety %s, retireSafety %s, deadline %s %s", d.name, md.Spec.Rollover.Strategy, md.Spec.Rollover.StandbyKey,
		md.Spec.TLSA.Parameters, md.Spec.TLSA.TTL, md.Spec.Rollover.PublishSafety, md.Spec.Rollover.RetireSafety, md.Spec.Rollover.Deadline.BeforeExpiry, md.Spec.Rollover.Deadline.Action)
}

// parameterSets are those that a spec may have. All have a record that the key alone makes.
var parameterSets = [][]v1alpha1.TLSAParameters{{"3 1 1"}, {"3 1 1"}, {"3 1 1", "3 1 2"}, {"3 1 2"}, {"3 1 1", "2 1 1"}}

// parameterSets are those that a MailDomain's spec may have: senders heed the expiry of a certificate with usage 2
// alone, so that short-lived ones have none of it.
func (d *mailDomain) parameterSets() [][]v1alpha1.TLSAParameters {
	if d.short {
		return parameterSets[:4]
	}
	return parameterSets
}

func serverOf(name string) v1alpha1.MailServer {
	return v1alpha1.MailServer{Hostname: name, Ports: []v1alpha1.MailServerPort{{Port: 25}}, Probe: v1alpha1.ProbeSpec{Mode: v1alpha1.ProbeEnabled}}
}

// foundHost makes a host with issued Certificates.
func (h *History) foundHost(d *mailDomain, n int, spec *v1alpha1.MailDomainSpec) v1alpha1.MailServer {
	c := &common{of: d, name: hostNames[n], owner: "_25._tcp." + hostNames[n] + ".", other: "_465._tcp." + hostNames[n] + ".", created: standing{}, lost: standing{}, presented: map[*issued]bool{}}
	name := fmt.Sprintf("mx%d", n+1)
	first := h.hostWith(c, name, 0)
	for r := range 1 + h.random.IntN(3) {
		c.replicas = append(c.replicas, &replica{addr: fmt.Sprintf("198.51.100.%d", 10*(n+1)+r)})
	}
	first.rotation = pick(&h.timeline, cmapi.RotationPolicyAlways, cmapi.RotationPolicyAlways, cmapi.RotationPolicyAlways, cmapi.RotationPolicyNever)
	if spec.Rollover.Strategy == v1alpha1.StrategyFollow && h.chance(60) {
		first.rotation = cmapi.RotationPolicyNever
	}
	if h.twins.IntN(100) < 20 {
		h.count("host with two Certificates")
		second := h.hostWith(c, name+"-rsa", 1)
		second.issuer.algorithm, second.rotation = cmapi.RSAKeyAlgorithm, first.rotation
		first.twin, second.twin = second, first
		for _, r := range c.replicas {
			r.prefers = h.twins.IntN(2)
		}
	}
	server := serverOf(c.name)
	for _, each := range first.each() {
		ref := v1alpha1.CertificateReference{Name: each.certificate}
		if spec.Rollover.Strategy == v1alpha1.StrategyStage {
			each.mounted = each.liveSecret()
			ref.ServingSecretName = each.mounted
		}
		server.Certificates = append(server.Certificates, ref)
		h.foundCertificate(each)
	}
	c.risk = d.takesRisks(spec, first)
	return server
}

// hostWith is a host with one more Certificate.
func (h *History) hostWith(c *common, certificate string, slot int) *host {
	of := &host{common: c, certificate: certificate, slot: slot}
	of.mounted = of.ownSecret()
	of.issuer = &issuer{h: h, name: certificate, algorithm: cmapi.Ed25519KeyAlgorithm, slow: h.between(time.Second, time.Minute), short: c.of.short}
	h.hosts = append(h.hosts, of)
	c.of.hosts = append(c.of.hosts, of)
	return of
}

func (h *History) foundCertificate(each *host) {
	crt := &cmapi.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: each.certificate}}
	crt.Spec = cmapi.CertificateSpec{
		SecretName: each.ownSecret(), DNSNames: []string{each.name},
		PrivateKey: &cmapi.CertificatePrivateKey{Algorithm: each.issuer.algorithm, RotationPolicy: each.rotation},
	}
	if each.issuer.algorithm == cmapi.RSAKeyAlgorithm {
		crt.Spec.PrivateKey.Size = sizeOfRSA
	}
	first := 1
	crt.Status.Revision = &first
	_ = h.store.create(crt)
	issued := pool.issue(each.issuer.freshKey(), 0, 0, each.issuer.expires())
	cr := &cmapi.CertificateRequest{ObjectMeta: each.issuer.owned(each.issuer.requestName(1)), Spec: cmapi.CertificateRequestSpec{Request: issued.key.csr}}
	cr.Annotations = map[string]string{cmapi.CertificateNameKey: each.certificate, cmapi.CertificateRequestRevisionAnnotationKey: "1"}
	_ = h.store.create(cr)
	each.issuer.conclude(cr, cmapi.CertificateRequestConditionApproved, "True", "cert-manager.io", nil)
	each.issuer.conclude(cr, cmapi.CertificateRequestConditionReady, "True", cmapi.CertificateRequestReasonIssued, []byte(issued.pem))
	each.issuer.putSecret(issued)
}

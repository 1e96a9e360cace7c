package history

import (
	"fmt"
	"math/rand/v2"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

const (
	namespace  = "mail"
	domainName = "example"
	zoneName   = "zone"
	// unknownHistory is how long what stood in DNS before a first look is believed cached: more than two of
	// the longest TTLs here.
	unknownHistory = time.Hour
)

// hostNames are the MX hosts that a history may have.
var hostNames = []string{"mx1.example.com", "mx2.example.com"}

// History is one history of the whole system.
type History struct {
	timeline
	store     *store
	servers   *nameservers
	resolvers *resolvers
	hosts     []*host
	operators []*operator

	// keys is how many of the pool's keys are taken; firstKey is the first of this history.
	keys, firstKey int
	processes      int
	// slowestLoad is how long a replica takes at most to load a Secret.
	slowestLoad time.Duration

	// Until when: the API server is away, and the zone has no signatures.
	apiAway, unsigned time.Time
	// losingUpdates and losingReplies count the next messages to the primary that are lost.
	losingUpdates, losingReplies int
	// staleStart is how old the cache of the next process is when it starts.
	staleStart time.Duration
	// leapt is until when what fails is the fault of a clock that jumped forward.
	leapt time.Time
	// clockAhead is how far the clocks of operators are ahead.
	clockAhead time.Duration
	// abandoned says that no operator is ever started again, suspended that the MailDomain is.
	abandoned, suspended bool
	// statusLost says that the status was deleted at some time, editedSets that the parameter sets were changed,
	// foreign that somebody else's records were added.
	statusLost, editedSets, foreign bool
	// length is when the last fault may begin.
	length time.Duration
	// troubled is until when the last fault lasted.
	troubled time.Time

	rollovers, checks, risked, updates, writes, reconciles, sweeps, faults int

	violation *Violation
}

// newKey takes a key of the pool that this history has not used.
func (h *History) newKey() int {
	h.keys++
	return h.firstKey + h.keys
}

func (h *History) running() bool {
	for _, op := range h.operators {
		if op.live {
			return true
		}
	}
	return false
}

func (h *History) domain() *v1alpha1.MailDomain {
	return h.store.get(domains, h.named(domainName)).(*v1alpha1.MailDomain)
}

// keySets is how many sets of keys histories share; keysEach is how many keys each has.
const (
	keySets  = 8
	keysEach = 10000
)

// newHistory is the world at the beginning: the Certificates are issued, the replicas present them, and
// nothing is in DNS.
func newHistory(seed uint64, record bool) *History {
	h := &History{timeline: timeline{now: begin, random: rand.New(rand.NewPCG(seed, 1)), record: record}}
	h.firstKey = int(seed%keySets) * keysEach //nolint:gosec // small
	h.store = newStore(&h.timeline)
	h.store.watchers = append(h.store.watchers, h.mail, func(c *change) {
		for _, each := range h.hosts {
			each.issuer.watch(c)
		}
		for _, op := range h.operators {
			if op.live {
				op.heard(c.of.kind)
			}
		}
	})
	floor := pick(&h.timeline, 15*time.Second, time.Minute)
	h.resolvers = newResolvers(h, floor)
	h.servers = newNameservers(h)
	h.slowestLoad = pick(&h.timeline, 10*time.Second, 2*time.Minute, 10*time.Minute)
	h.found(floor)
	return h
}

// found makes the objects of the beginning.
func (h *History) found(floor time.Duration) {
	_ = h.store.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	t := &h.timeline
	z := &v1alpha1.DNSZone{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: zoneName}}
	z.Spec = v1alpha1.DNSZoneSpec{
		Zone:        "example.com",
		Update:      v1alpha1.UpdateSpec{Nameserver: "192.0.2.1:53", Protocol: "TCP", InsecureUnsigned: true},
		Nameservers: v1alpha1.NameserversSpec{Discovery: v1alpha1.DiscoveryStatic},
		Propagation: v1alpha1.PropagationSpec{
			Sweeps: int32(1 + h.random.IntN(3)), Interval: pick[v1alpha1.Duration](t, "10s", "30s", "1m", "2m", "2m"), //nolint:gosec // small
			Delay: pick[v1alpha1.Duration](t, "0s", "30s"), TTLFloor: v1alpha1.Duration(floor.String()), Timeout: "1h",
		},
	}
	_ = h.store.create(z)
	md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: domainName}}
	md.Spec = v1alpha1.MailDomainSpec{
		Domain: "example.com", DNSSEC: "Required", DeletionPolicy: "Remove",
		TLSA: v1alpha1.TLSASpec{TTL: pick[int32](t, 30, 60, 300), Parameters: pick(t, parameterSets...), ForeignRecords: v1alpha1.ForeignKeep},
		Rollover: v1alpha1.RolloverSpec{
			Strategy: pick[v1alpha1.Strategy](t, "Gate", "Gate", "Gate", "Stage"), StandbyKey: pick[v1alpha1.StandbyKeyMode](t, "Enabled", "Enabled", "Disabled"),
			PublishSafety: pick[v1alpha1.Duration](t, "0s", "1m", "5m"), RetireSafety: pick[v1alpha1.Duration](t, "0s", "2m", "10m"),
			Deadline: v1alpha1.DeadlineSpec{BeforeExpiry: "48h", Action: "Hold"},
		},
	}
	for n := range 1 + h.random.IntN(len(hostNames)) {
		md.Spec.MailServers = append(md.Spec.MailServers, h.foundHost(n, md.Spec.Rollover.Strategy))
	}
	_ = h.store.create(md)
	h.say("world", "%d servers, floor %s, loads within %s; %s, standby %s, %v, TTL %d, publishSafety %s, retireSafety %s; sweeps %d, interval %s, delay %s",
		len(h.servers.all), floor, h.slowestLoad, md.Spec.Rollover.Strategy, md.Spec.Rollover.StandbyKey, md.Spec.TLSA.Parameters, md.Spec.TLSA.TTL,
		md.Spec.Rollover.PublishSafety, md.Spec.Rollover.RetireSafety, z.Spec.Propagation.Sweeps, z.Spec.Propagation.Interval, z.Spec.Propagation.Delay)
}

// parameterSets are those that a spec may have. All have a record that the key alone makes.
var parameterSets = [][]v1alpha1.TLSAParameters{{"3 1 1"}, {"3 1 1"}, {"3 1 1", "3 1 2"}, {"3 1 2"}, {"3 1 1", "2 1 1"}}

// foundHost makes a host with an issued Certificate.
func (h *History) foundHost(n int, strategy v1alpha1.Strategy) v1alpha1.MailServer {
	name := fmt.Sprintf("mx%d", n+1)
	each := &host{name: hostNames[n], owner: "_25._tcp." + hostNames[n] + ".", certificate: name, mounted: name + "-tls", created: map[tlsa.Record]bool{}, lost: map[tlsa.Record]bool{}}
	each.issuer = &issuer{h: h, name: name, slow: h.between(time.Second, time.Minute)}
	for r := range 1 + h.random.IntN(3) {
		each.replicas = append(each.replicas, &replica{addr: fmt.Sprintf("198.51.100.%d", 10*(n+1)+r)})
	}
	server := v1alpha1.MailServer{
		Hostname: each.name, Ports: []v1alpha1.MailServerPort{{Port: 25}}, Probe: v1alpha1.ProbeSpec{Mode: v1alpha1.ProbeEnabled},
		Certificates: []v1alpha1.CertificateReference{{Name: name}},
	}
	if strategy == v1alpha1.StrategyStage {
		each.mounted = name + "-live"
		server.Certificates[0].ServingSecretName = each.mounted
	}
	h.hosts = append(h.hosts, each)
	h.foundCertificate(each)
	return server
}

func (h *History) foundCertificate(each *host) {
	policy := pick(&h.timeline, cmapi.RotationPolicyAlways, cmapi.RotationPolicyAlways, cmapi.RotationPolicyAlways, cmapi.RotationPolicyNever)
	crt := &cmapi.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: each.certificate}}
	crt.Spec = cmapi.CertificateSpec{
		SecretName: each.certificate + "-tls", DNSNames: []string{each.name},
		PrivateKey: &cmapi.CertificatePrivateKey{Algorithm: cmapi.Ed25519KeyAlgorithm, RotationPolicy: policy},
	}
	first := 1
	crt.Status.Revision = &first
	_ = h.store.create(crt)
	issued := pool.issue(pool.key(h.newKey()), 0, 0)
	cr := &cmapi.CertificateRequest{ObjectMeta: each.issuer.owned(each.issuer.requestName(1)), Spec: cmapi.CertificateRequestSpec{Request: issued.key.csr}}
	cr.Annotations = map[string]string{cmapi.CertificateNameKey: each.certificate, cmapi.CertificateRequestRevisionAnnotationKey: "1"}
	_ = h.store.create(cr)
	each.issuer.conclude(cr, cmapi.CertificateRequestConditionApproved, "True", "cert-manager.io", nil)
	each.issuer.conclude(cr, cmapi.CertificateRequestConditionReady, "True", cmapi.CertificateRequestReasonIssued, []byte(issued.pem))
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: crt.Spec.SecretName}, Type: corev1.SecretTypeTLS, Data: secretData(issued)}
	secret.Annotations = map[string]string{cmapi.CertificateNameKey: each.certificate}
	_ = h.store.create(secret)
}

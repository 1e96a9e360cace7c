package soak

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/judge"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/operator"
	"github.com/dane-operator/dane-operator/test/servers"
)

// timing is quick, and not so quick that hundreds of hosts cannot be looked at in time.
var timing = lab.Timing{TTL: 5, PublishSafety: "1s", RetireSafety: "3s", TTLFloor: "1s", Delay: "0s", Interval: "1s"}

const (
	// renewBefore is how long before its end cert-manager renews a certificate, which leaves time for faults, and between
	// the shortest time between two renewals; the longest is two and a half times that. In a short soak both are shorter.
	renewBefore, between = 9 * time.Minute, 2 * time.Minute
	// notYet is renewBefore at the beginning and at the end, when all hosts are to be at rest: those whose certificates
	// live for less than a rollover takes never are.
	notYet = time.Second
	// patience is how long all hosts may take to come to rest.
	patience = 8 * time.Minute
)

// world is the whole stack.
type world struct {
	*testing.T
	options
	lab     *lab.Lab
	metrics netip.AddrPort
	random  *rand.Rand
	farms   []*farm
	hosts   []*host
	mail    *mailServer
	checks  *judge.Log
	stops   []func()

	failedIssuances int
	faults          counts
}

// host is a mail server with a certificate of its own.
type host struct {
	name, certificate string
	farm              *farm
	// strategy of its MailDomain, and whether a standby key is kept.
	strategy v1alpha1.Strategy
	standby  bool
}

// serving is the Secret that its mail server mounts.
func (h *host) serving() string {
	if h.strategy == v1alpha1.StrategyStage {
		return h.certificate + "-live"
	}
	return h.certificate + "-tls"
}

// owner of its TLSA records.
func (h *host) owner(port uint16) string { return fmt.Sprintf("_%d._tcp.%s.", port, h.name) }

func newWorld(t *testing.T, o options) *world {
	w := &world{
		T: t, options: o, random: rand.New(rand.NewPCG(o.seed, 0)), checks: &judge.Log{}, faults: counts{}, //nolint:gosec // no secret
		metrics: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), servers.FreePort(t, "127.0.0.1")),
	}
	w.say("seed %d, %d hosts, %s", o.seed, o.hosts, o.duration)
	var err error
	w.lab, err = lab.Start(t.Context(), lab.Options{
		Namespace: "soak", Progress: func(line string) { w.say("%s", line) },
		Operator: operator.Options{Args: []string{"--metrics-bind-address", w.metrics.String()}},
	})
	w.must(err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the operator said last:\n%s", w.lab.Operator.Tail(40))
		}
		if err := w.lab.Stop(); err != nil {
			t.Error(err)
		}
	})
	w.layHosts()
	for _, f := range w.farms {
		f.start(w)
	}
	w.mail = startMail(w)
	w.lab.AbandonAfter(t, w.lab.Namespace)
	w.create()
	return w
}

// layHosts spreads the hosts over the makes of name servers, and over the strategies.
func (w *world) layHosts() {
	for _, m := range servers.Makes {
		w.farms = append(w.farms, &farm{make: m})
	}
	for i := range w.options.hosts {
		f := w.farms[i%len(w.farms)]
		h := &host{name: fmt.Sprintf("mx%d.%s", i, f.zone()), certificate: fmt.Sprintf("mx%d", i), farm: f, strategy: v1alpha1.StrategyGate}
		switch i / len(w.farms) % 3 {
		case 0:
			h.standby = true
		case 1:
			h.strategy = v1alpha1.StrategyStage
		}
		f.hosts = append(f.hosts, h)
		w.hosts = append(w.hosts, h)
	}
}

// create makes the objects.
func (w *world) create() {
	w.Helper()
	w.must(w.lab.Client.Create(w.Context(), kube.SelfSignedIssuer(w.lab.Namespace, "selfsigned")))
	for _, f := range w.farms {
		_, err := w.lab.CreateZone(w.Context(), f.name(), f.reach(), timing)
		w.must(err)
	}
	for _, h := range w.hosts {
		crt := kube.Certificate(w.lab.Namespace, h.certificate, "selfsigned", h.name)
		crt.Spec.SecretName = h.certificate + "-tls"
		// They do not all renew at once, nor at the same interval.
		least := min(between, w.duration/3)
		life := renewBefore + least + w.upTo(least*3/2).Truncate(time.Second)
		crt.Spec.Duration, crt.Spec.RenewBefore = &metav1.Duration{Duration: life}, &metav1.Duration{Duration: notYet}
		w.must(w.lab.Client.Create(w.Context(), crt))
		w.must(w.lab.Client.Create(w.Context(), w.domain(h)))
	}
}

func (w *world) domain(h *host) *v1alpha1.MailDomain {
	md := w.lab.MailDomain(h.certificate, h.farm.zone(), h.name, int32(w.mail.addr.Port()), timing, h.certificate)
	md.Spec.Rollover.Strategy = h.strategy
	md.Spec.MailServers[0].ZoneRef = &v1alpha1.ZoneReference{Name: h.farm.name()}
	if !h.standby {
		md.Spec.Rollover.StandbyKey = v1alpha1.StandbyDisabled
	}
	if h.strategy == v1alpha1.StrategyStage {
		md.Spec.MailServers[0].Certificates[0].ServingSecretName = h.serving()
	}
	return md
}

// rest waits until every host has been at rest once: each in its time, since others roll meanwhile.
func (w *world) rest(when string) {
	w.Helper()
	waiting := map[string]string{}
	for _, h := range w.hosts {
		waiting[h.certificate] = "not looked at yet"
	}
	from := time.Now()
	for deadline := from.Add(patience); len(waiting) > 0; time.Sleep(time.Second) {
		w.mend()
		var domains v1alpha1.MailDomainList
		w.must(w.lab.Client.List(w.Context(), &domains, client.InNamespace(w.lab.Namespace)))
		for i := range domains.Items {
			md := &domains.Items[i]
			if _, waits := waiting[md.Name]; !waits {
				continue
			}
			if missing := lab.Settled(md, md.Spec.MailServers[0].Hostname, md.Spec.Rollover.KeepsStandbyKey()); missing != "" {
				waiting[md.Name] = missing
				continue
			}
			delete(waiting, md.Name)
		}
		if len(waiting) > 0 && time.Now().After(deadline) {
			w.Fatalf("%s %d hosts have not come to rest within %s: %v", when, len(waiting), patience, waiting)
		}
	}
	w.say("%s every host came to rest within %s", when, time.Since(from).Round(time.Second))
}

// mend starts renewals again that cert-manager has failed, as a person would: by itself it waits for an hour. Its
// controllers read caches that lag, and now and then a request is not signed by the key that it names.
func (w *world) mend() {
	w.Helper()
	for _, crt := range w.certificates() {
		for _, c := range crt.Status.Conditions {
			if c.Type != cmapi.CertificateConditionIssuing || c.Reason != "Failed" {
				continue
			}
			w.say("cert-manager failed an issuance of %s: %s", crt.Name, c.Message)
			w.failedIssuances++
			w.must(w.lab.Renew(w.Context(), w.lab.Namespace, crt.Name))
		}
	}
}

// rollovers are how many times the Certificates were issued, all together.
func (w *world) rollovers() int {
	w.Helper()
	n := 0
	for _, crt := range w.certificates() {
		if crt.Status.Revision != nil {
			n += *crt.Status.Revision
		}
	}
	return n
}

func (w *world) certificates() []cmapi.Certificate {
	w.Helper()
	var all cmapi.CertificateList
	w.must(w.lab.Client.List(w.Context(), &all, client.InNamespace(w.lab.Namespace)))
	return all.Items
}

// renew says how long before their ends cert-manager renews the certificates from now on.
func (w *world) renew(before time.Duration) {
	w.Helper()
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"renewBefore":%q}}`, before))
	for _, crt := range w.certificates() {
		w.must(w.lab.Client.Patch(w.Context(), &crt, patch))
	}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// say tells whoever waits what happens.
func (w *world) say(format string, args ...any) {
	w.Helper()
	w.Logf("%s  %s", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

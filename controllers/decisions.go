package controllers

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/internal/rollover"
)

// gateDecision is what the newest decision of a MailDomain says of the keys of its Certificates.
type gateDecision struct {
	at time.Time
	// resourceVersion of the MailDomain that the decision was stored in: the gate opens only while
	// that is still the newest.
	resourceVersion string
	hosts           []hostGate
}

// hostGate is the part of one host.
type hostGate struct {
	host         string
	certificates []string
	// deploy are the keys that may be served now, by SPKI digest and by the rule's ID.
	deploy []string
	// closed says why nothing may be approved for this host; empty when deploy decides.
	closed string
	// abstains says that the host belongs to another MailDomain, which has the say.
	abstains bool
	// leaving says that the host is being taken out of DNS, and caches may still hold its records: the
	// Certificates that it named are held as before.
	leaving bool
	waits   []rollover.Wait
}

// decisionBoard hands the newest decisions from the MailDomain reconciler to the gate. It is a
// cache: what is not on it is not approved.
type decisionBoard struct {
	mu        sync.Mutex
	decisions map[types.NamespacedName]gateDecision
	// awaited are the Certificates whose requests wait for a decision of a MailDomain, which may not name them any more.
	awaited map[types.NamespacedName]map[string]bool
	// wake enqueues the waiting requests of a Certificate.
	wake func(namespace, certificate string)
}

func newDecisionBoard() *decisionBoard {
	return &decisionBoard{
		decisions: map[types.NamespacedName]gateDecision{}, awaited: map[types.NamespacedName]map[string]bool{},
		wake: func(string, string) {},
	}
}

// await has the requests of a Certificate woken by the next decision of a MailDomain.
func (b *decisionBoard) await(name types.NamespacedName, certificate string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.awaited[name] == nil {
		b.awaited[name] = map[string]bool{}
	}
	b.awaited[name][certificate] = true
}

func (b *decisionBoard) get(name types.NamespacedName) (gateDecision, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d, ok := b.decisions[name]
	return d, ok
}

// forget drops what was decided for a MailDomain that is gone, and wakes the requests that it held: nobody
// else tells them.
func (b *decisionBoard) forget(name types.NamespacedName) {
	b.mu.Lock()
	d, certificates := b.decisions[name], b.awaited[name]
	delete(b.decisions, name)
	delete(b.awaited, name)
	b.mu.Unlock()
	for _, h := range d.hosts {
		for _, certificate := range h.certificates {
			b.wake(name.Namespace, certificate)
		}
	}
	b.wakeAll(name.Namespace, certificates)
}

// put stores what was decided and wakes the requests that wait for it.
func (b *decisionBoard) put(run *domainRun) {
	d := gateDecision{at: run.now, resourceVersion: run.md.ResourceVersion}
	pending := map[string]bool{}
	for _, h := range run.hosts {
		if h.notManaged {
			continue
		}
		d.hosts = append(d.hosts, gateOf(run, h))
		for _, c := range h.certs {
			if c.certificate != nil && c.pending != nil {
				pending[c.certificate.Name] = true
			}
		}
	}
	b.mu.Lock()
	b.decisions[run.key()] = d
	maps.Copy(pending, b.awaited[run.key()])
	delete(b.awaited, run.key())
	b.mu.Unlock()
	b.wakeAll(run.md.Namespace, pending)
}

// wakeAll wakes the requests of Certificates, always in the same order: the same history gives the same decisions, so that
// what the simulator finds can be replayed.
func (b *decisionBoard) wakeAll(namespace string, certificates map[string]bool) {
	for _, name := range slices.Sorted(maps.Keys(certificates)) {
		b.wake(namespace, name)
	}
}

func gateOf(run *domainRun, h *hostRun) hostGate {
	g := hostGate{host: h.server.Hostname, leaving: h.removing && len(h.server.Certificates) == 0 && !h.removed()}
	for _, ref := range h.server.Certificates {
		g.certificates = append(g.certificates, ref.Name)
	}
	switch {
	case run.md.Spec.Suspend:
		g.closed = "the MailDomain is suspended"
	case h.refused != nil:
		g.closed, g.abstains = h.refused.message, h.ownedElsewhere()
	case h.apart != nil:
		g.closed = h.apart.message
	case !h.decided:
		g.closed = "the zone of " + h.server.Hostname + " is not ready"
	default:
		g.waits = h.decision.Waits
		g.deploy = deployable(h)
	}
	return g
}

// deployable are the keys of a host that may be handed to servers. A compromised one that is still
// served is not handed to any again.
func deployable(h *hostRun) []string {
	var out []string
	for _, k := range h.facts.Keys {
		if slices.Contains(h.decision.Deploy, k.ID) && !h.facts.Policy.Compromised[k.SPKI] {
			out = append(out, k.ID, k.SPKI)
		}
	}
	return out
}

// vote is what a MailDomain says to a key.
type vote string

// The votes. Where all abstain nothing is approved: the one that has the say has not spoken yet.
const (
	allow   vote = "Allow"
	deny    vote = "Deny"
	abstain vote = "Abstain"
)

// verdict says whether a key of a Certificate may be served as far as this MailDomain is concerned, and
// if not, why. The key is named by its SPKI digest or by the rule's ID.
func (d gateDecision) verdict(certificate, key string) (vote, string) {
	say, leaving := vote(""), ""
	for _, g := range d.hosts {
		switch {
		case g.leaving:
			leaving = g.host + " is being taken out of DNS, and caches may still hold its records"
			continue
		case !slices.Contains(g.certificates, certificate):
			continue
		case g.abstains:
			say = cmp.Or(say, abstain)
			continue
		case g.closed != "":
			return deny, g.closed
		case !slices.Contains(g.deploy, key):
			return deny, g.host + ": " + g.firstWait()
		}
		say = allow
	}
	if say == "" && leaving != "" {
		return deny, leaving
	}
	return cmp.Or(say, allow), ""
}

func (g hostGate) firstWait() string {
	if len(g.waits) > 0 {
		return g.waits[0].Message
	}
	return "the key is not published yet"
}

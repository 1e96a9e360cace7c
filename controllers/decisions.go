package controllers

import (
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
	// deploy are the SPKI digests that may be served now.
	deploy []string
	// closed says why nothing may be approved for this host; empty when deploy decides.
	closed string
	waits  []rollover.Wait
}

// decisionBoard hands the newest decisions from the MailDomain reconciler to the gate. It is a
// cache: what is not on it is not approved.
type decisionBoard struct {
	mu        sync.Mutex
	decisions map[types.NamespacedName]gateDecision
	// wake enqueues the waiting requests of a Certificate.
	wake func(namespace, certificate string)
}

func newDecisionBoard() *decisionBoard {
	return &decisionBoard{decisions: map[types.NamespacedName]gateDecision{}, wake: func(string, string) {}}
}

func (b *decisionBoard) get(name types.NamespacedName) (gateDecision, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d, ok := b.decisions[name]
	return d, ok
}

func (b *decisionBoard) forget(name types.NamespacedName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.decisions, name)
}

// put stores what was decided and wakes the requests that wait for it.
func (b *decisionBoard) put(run *domainRun) {
	d := gateDecision{at: run.now, resourceVersion: run.md.ResourceVersion}
	var pending []string
	for _, h := range run.hosts {
		if h.notManaged {
			continue
		}
		d.hosts = append(d.hosts, gateOf(run, h))
		for _, c := range h.certs {
			if c.certificate != nil && c.pending != nil {
				pending = append(pending, c.certificate.Name)
			}
		}
	}
	b.mu.Lock()
	b.decisions[types.NamespacedName{Namespace: run.md.Namespace, Name: run.md.Name}] = d
	b.mu.Unlock()
	for _, name := range pending {
		b.wake(run.md.Namespace, name)
	}
}

func gateOf(run *domainRun, h *hostRun) hostGate {
	g := hostGate{host: h.server.Hostname}
	for _, ref := range h.server.Certificates {
		g.certificates = append(g.certificates, ref.Name)
	}
	switch {
	case run.md.Spec.Suspend:
		g.closed = "the MailDomain is suspended"
	case h.refused != nil:
		g.closed = h.refused.message
	case !h.decided:
		g.closed = "the zone of " + h.server.Hostname + " is not ready"
	default:
		g.waits = h.decision.Waits
		for _, k := range h.facts.Keys {
			if slices.Contains(h.decision.Deploy, k.ID) {
				g.deploy = append(g.deploy, k.SPKI)
			}
		}
	}
	return g
}

// verdict says whether the key may be served as far as this MailDomain is concerned, and if not, why.
func (d gateDecision) verdict(certificate, spki string) (bool, string) {
	for _, g := range d.hosts {
		if !slices.Contains(g.certificates, certificate) {
			continue
		}
		if g.closed != "" {
			return false, g.closed
		}
		if !slices.Contains(g.deploy, spki) {
			if len(g.waits) > 0 {
				return false, g.host + ": " + g.waits[0].Message
			}
			return false, g.host + ": the key is not published yet"
		}
	}
	return true, ""
}

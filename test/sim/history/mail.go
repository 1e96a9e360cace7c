package history

import (
	"context"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// replica is a mail server at one address. It presents what it has loaded, whatever the Secret holds now.
type replica struct {
	addr  string
	chain *issued
	// down is until when the operator cannot reach it; senders may.
	down time.Time
	// deaf says that it loads a Secret at a restart only.
	deaf bool
}

// host is an MX host with its Certificate.
type host struct {
	of                       *mailDomain
	name, owner, certificate string
	// mounted is the Secret that its replicas read.
	mounted  string
	replicas []*replica
	issuer   *issuer
	// created are the records that the operator has put into DNS, lost those that it may not know to be its
	// own, because its status was lost while they stood.
	created, lost map[tlsa.Record]bool
	// presented are the chains that some replica has presented.
	presented map[*issued]bool
	// rotation is what its Certificate says when nobody changes strategies.
	rotation cmapi.PrivateKeyRotationPolicy
	// risk says that something was done for which senders may fail, if the status says so; riskUntil is until when
	// what was done goes on to be one. bypassed says that a request is approved past the gate, sooner or later.
	risk, bypassed bool
	riskUntil      time.Time
	// announced is the danger that the status tells of, in one word; announcedAt is when it last did, as far as it
	// has changed.
	announced   string
	announcedAt time.Time
	// held is the key whose records reports hold, as the status tells.
	held string
}

func (h *History) hostNamed(name string) *host {
	for _, each := range h.hosts {
		if each.name == name {
			return each
		}
	}
	return &host{}
}

func (h *History) hostOf(owner string) *host {
	for _, each := range h.hosts {
		if each.owner == owner {
			return each
		}
	}
	return &host{}
}

func (h *History) owners() []string {
	var out []string
	for _, each := range h.hosts {
		out = append(out, each.owner)
	}
	return out
}

// mail lets the replicas notice a Secret that has changed, each in its own time.
func (h *History) mail(c *change) {
	if c.of.kind != secrets || c.object == nil {
		return
	}
	for _, each := range h.hosts {
		if each.mounted != c.of.name.Name {
			continue
		}
		for _, r := range each.replicas {
			if !r.deaf || r.chain == nil {
				h.after(h.between(0, h.slowestLoad), func() { h.load(each, r) })
			}
		}
	}
}

// load lets a replica read the Secret.
func (h *History) load(of *host, r *replica) {
	secret, ok := h.store.get(secrets, h.named(of.mounted)).(*corev1.Secret)
	if !ok {
		return
	}
	chain := pool.ofCert(secret.Data[corev1.TLSCertKey])
	if chain == nil || chain == r.chain {
		return
	}
	r.chain = chain
	of.presented[chain] = true
	h.say(r.addr, "%s presents key %s of authority %d", of.name, chain.key.digest[:6], chain.issuer)
	h.chainAppeared(of, r)
}

func (h *History) named(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}

// prober connects to replicas for one process.
type prober struct{ *operator }

// Probe implements probe.Prober. It may be called from several goroutines, and changes nothing but what is noted of
// the endpoint.
func (p *prober) Probe(_ context.Context, t probe.Target) probe.Result {
	now := p.clock.Now()
	result := probe.Result{Target: t, Start: now, End: now}
	for _, r := range p.hostNamed(t.Host).replicas {
		if r.addr != t.Addr.Addr().String() {
			continue
		}
		switch {
		case now.Add(-p.clock.ahead).Before(r.down) || r.chain == nil:
			result.Outcome, result.Message = probe.Unreachable, "connection refused"
		case t.KeyType == probe.RSA, t.KeyType == probe.ECDSA && !r.chain.key.ecdsa():
			result.Outcome, result.Message = probe.NoSuchKeyType, "no such certificate"
		default:
			result.Outcome, result.Chain = probe.Presented, append(result.Chain, r.chain.chain...)
		}
	}
	if t.KeyType == probe.AnyKey {
		p.probing.Lock()
		defer p.probing.Unlock()
		p.unreached[t.Addr.Addr().String()] = result.Outcome != probe.Presented
	}
	return result
}

package history

import (
	"context"
	"slices"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// replica is a mail server at one address. It presents what it has loaded, whatever the Secret holds now.
type replica struct {
	addr string
	// chains are what it presents, of each of the Certificates of its host.
	chains [2]*issued
	// prefers is the slot of the one that it presents to whoever takes any.
	prefers int
	// down is until when the operator cannot reach it; senders may.
	down time.Time
	// deaf says that it loads a Secret at a restart only.
	deaf bool
}

// host is an MX host with a Certificate. One that has two, with keys of two types, is two of these, which share what
// they have of the host.
type host struct {
	*common
	certificate string
	// slot is 1 for the second of two Certificates, and 0 otherwise; twin is the host with the other one.
	slot int
	twin *host
	// mounted is the Secret that its replicas read.
	mounted string
	issuer  *issuer
	// rotation is what its Certificate says when nobody changes strategies.
	rotation cmapi.PrivateKeyRotationPolicy
	// bypassed says that a request of its Certificate is approved past the gate, sooner or later.
	bypassed bool
}

// risks says whether senders may fail at keys of its Certificate, if the status says so. A replica that loads nothing until it is
// restarted presents a key for as long, whose records went while a person vouched for it.
func (of *host) risks() bool {
	return of.risk || of.bypassed || of.vouched && slices.ContainsFunc(of.replicas, func(r *replica) bool { return r.deaf })
}

// owners are the names that its records may stand at.
func (of *host) owners() []string { return []string{of.owner, of.other} }

// standing is a set of records, by the owners that they stand at.
type standing map[string]map[tlsa.Record]bool

func (s standing) add(owner string, r tlsa.Record) {
	if s[owner] == nil {
		s[owner] = map[tlsa.Record]bool{}
	}
	s[owner][r] = true
}

// common is what a host is whatever its Certificates are.
type common struct {
	of   *mailDomain
	name string
	// owner is that of port 25, and other that of the port which a person may add.
	owner, other string
	replicas     []*replica
	// created are the records that the operator has put into DNS, lost those that it may not know to be its
	// own, because its status was lost while they stood.
	created, lost standing
	// presented are the chains that some replica has presented.
	presented map[*issued]bool
	// risk says that something was done for which senders may fail, if the status says so; riskUntil is until when
	// what was done goes on to be one.
	risk      bool
	riskUntil time.Time
	// vouched says that a person has vouched for its endpoints, and vouchedUntil until when that explains that senders meet a
	// chain which its Secret does not hold any more.
	vouched      bool
	vouchedUntil time.Time
	// announced is the danger that the status tells of, in one word; announcedAt is when it last did, as far as it
	// has changed.
	announced   string
	announcedAt time.Time
	// held is the key whose records reports hold, as the status tells.
	held string
}

// each are a host with each of its Certificates.
func (of *host) each() []*host {
	if of.twin == nil {
		return []*host{of}
	}
	return []*host{of, of.twin}
}

// presents is what a replica presents of the Certificate; nil before it has loaded one.
func (of *host) presents(r *replica) *issued { return r.chains[of.slot] }

// firsts are hosts with their first Certificates: each host once.
func firsts(of []*host) []*host {
	return slices.DeleteFunc(slices.Clone(of), func(each *host) bool { return each.slot > 0 })
}

func (h *History) hostNamed(name string) *host {
	for _, each := range h.hosts {
		if each.name == name {
			return each
		}
	}
	return &host{common: &common{}}
}

func (h *History) hostOf(owner string) *host {
	for _, each := range h.hosts {
		if slices.Contains(each.owners(), owner) {
			return each
		}
	}
	return &host{common: &common{}}
}

func (h *History) owners() []string {
	var out []string
	for _, each := range firsts(h.hosts) {
		out = append(out, each.owners()...)
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
			if !r.deaf || each.presents(r) == nil {
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
	if chain == nil || chain == of.presents(r) {
		return
	}
	r.chains[of.slot] = chain
	of.presented[chain] = true
	h.say(r.addr, "%s presents key %s of authority %d", of.name, chain.key.digest[:6], chain.issuer)
	h.chainAppeared(of, r)
}

func (h *History) named(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}

// offers is what a replica presents to somebody who asks for a type of key; nil when it has none. TLS does not tell
// ECDSA and Ed25519 apart.
func (r *replica) offers(keyType probe.KeyType) *issued {
	for _, chain := range []*issued{r.chains[r.prefers], r.chains[1-r.prefers]} {
		if chain != nil && (keyType == probe.AnyKey || (keyType == probe.RSA) == (chain.key.algorithm() == cmapi.RSAKeyAlgorithm)) {
			return chain
		}
	}
	return nil
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
		case now.Add(-p.clock.ahead).Before(r.down) || r.chains == [2]*issued{}:
			result.Outcome, result.Message = probe.Unreachable, "connection refused"
		case r.offers(t.KeyType) == nil:
			result.Outcome, result.Message = probe.NoSuchKeyType, "no such certificate"
		default:
			result.Outcome, result.Chain = probe.Presented, append(result.Chain, r.offers(t.KeyType).chain...)
		}
	}
	if t.KeyType == probe.AnyKey {
		p.probing.Lock()
		defer p.probing.Unlock()
		p.unreached[t.Addr.Addr().String()] = result.Outcome != probe.Presented
	}
	return result
}

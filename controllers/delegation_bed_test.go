package controllers

import (
	"crypto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/delegation"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// signingKey is a key of the child zone.
type signingKey struct {
	*dns.DNSKEY
	private crypto.Signer
}

func newSigningKey(t *testing.T) signingKey {
	t.Helper()
	k := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: "example.com.", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 60},
		Flags: dns.ZONE | dns.SEP, Protocol: 3, Algorithm: dns.ECDSAP256SHA256,
	}
	private, err := k.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	return signingKey{k, private.(crypto.Signer)}
}

func (k signingKey) ds() *dns.DS { return k.ToDS(dns.SHA256) }

func (k signingKey) sign(t *testing.T, at time.Time, set []dns.RR) *dns.RRSIG {
	t.Helper()
	sig := &dns.RRSIG{
		Algorithm: k.Algorithm, KeyTag: k.KeyTag(), SignerName: "example.com.", Hdr: dns.RR_Header{Ttl: 60},
		Inception: uint32(at.Add(-time.Hour).Unix()), Expiration: uint32(at.Add(48 * time.Hour).Unix()),
	}
	if err := sig.Sign(k.private, set); err != nil {
		t.Fatal(err)
	}
	return sig
}

// delegationWorld is both sides of a delegation, as the zone clients show it.
type delegationWorld struct {
	mu       sync.Mutex
	parentDS []*dns.DS
	child    delegation.Child
	// published are the changes that were sent, refuse how they end instead of being carried out.
	published []zone.DSChange
	refuse    *zone.Result
	// targets of notifications, and those that were sent.
	targets  []zone.NotifyTarget
	notified []zone.NotifyTarget
	// deaf are targets by host that acknowledge nothing; bogus says that the answers of a parent of somebody else do not
	// validate.
	deaf  map[string]bool
	bogus bool
	// delegated are the name servers that the parent names, vouch whether they do, sought those asked for it.
	delegated []string
	vouch     bool
	sought    []string
	// before is called before a change is carried out.
	before func()
	// asked is how many times the servers of a parent of somebody else were.
	asked int
}

func (w *delegationWorld) SweepDS(_ string, done func(zone.DSSweep)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := zone.DSSweep{TTL: time.Minute, Answers: []delegation.Parent{{Server: "192.0.2.1:53", DS: w.parentDS, State: dnssec.Secure, Nameservers: w.delegated}}}
	go done(s)
}

func (w *delegationWorld) SweepSignals(nameservers []string, done func([]delegation.Signal)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sought = nameservers
	var out []delegation.Signal
	for _, ns := range nameservers {
		s := delegation.Signal{Nameserver: ns, State: dnssec.Insecure, Message: "not signed"}
		if w.vouch {
			s.State, s.CDS, s.CDNSKEY = dnssec.Secure, w.child.CDS.Records, w.child.CDNSKEY.Records
		}
		out = append(out, s)
	}
	go done(out)
}

func (w *delegationWorld) SweepKeys(done func(zone.KeySweep)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	go done(zone.KeySweep{Answers: []delegation.Child{w.child}})
}

func (w *delegationWorld) PublishDS(c zone.DSChange, done func(zone.Result)) {
	if w.before != nil {
		w.before()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.published = append(w.published, c)
	if w.refuse != nil {
		go done(*w.refuse)
		return
	}
	if dsList(c.Expect) != dsList(w.parentDS) {
		go done(zone.Result{Class: zone.Conflict, Message: "somebody else changed them"})
		return
	}
	w.parentDS = c.Want
	go done(zone.Result{Class: zone.Applied, At: time.Unix(1e9, 0)})
}

func (w *delegationWorld) LookAtParent(done func(zone.ParentLook)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	state := dnssec.Indeterminate
	if w.bogus {
		state = dnssec.Bogus
	}
	go done(zone.ParentLook{Zone: "com.", Targets: w.targets, Answers: []delegation.Parent{{Server: "192.0.2.1:53", DS: w.parentDS, State: state, Message: "why"}}})
}

func (w *delegationWorld) NotifyParent(to zone.NotifyTarget, done func(zone.Result)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notified = append(w.notified, to)
	if w.deaf[to.Host] {
		go done(zone.Result{Class: zone.Unreachable, Retryable: true, At: time.Unix(1e9, 0), Message: to.Host + " is deaf"})
		return
	}
	go done(zone.Result{Class: zone.Applied, At: time.Unix(1e9, 0)})
}

func (w *delegationWorld) sent() (published []zone.DSChange, notified []zone.NotifyTarget) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.published), slices.Clone(w.notified)
}

// delegationBed is a zoneBed with a delegation that has a key rollover under way.
type delegationBed struct {
	*zoneBed
	world    *delegationWorld
	old, new signingKey
}

var comName = types.NamespacedName{Namespace: "dns", Name: "com"}

func newDelegationBed(t *testing.T, spec v1alpha1.DelegationSpec) *delegationBed {
	t.Helper()
	b := &delegationBed{zoneBed: newZoneBed(t), old: newSigningKey(t), new: newSigningKey(t)}
	b.world = &delegationWorld{parentDS: []*dns.DS{b.old.ds()}}
	b.asks(b.new)
	com := dnsZone(comName.Namespace, comName.Name, "com")
	b.must(b.api.Create(t.Context(), &com))
	for _, name := range []string{"dns", "elsewhere"} {
		b.must(b.api.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	}
	z := b.zone()
	z.Spec.DNSSEC.Delegation = &spec
	b.must(b.api.Update(t.Context(), z))
	b.begin()
	return b
}

// begin is a start of the operator, up to the first look at the zone.
func (b *delegationBed) begin() {
	b.Helper()
	b.restart()
	made := b.r.newClient
	b.r.newClient = func(c zone.Config) zone.Client {
		z := made(c).(*scriptedZone)
		z.Delegating = b.world
		return z
	}
	b.r.zones.update(comName, func(e *zoneEntry) { e.client = &scriptedZone{Delegating: b.world} })
	b.look(b.secureZone("1"))
	b.wait()
}

// wait waits until no answer is awaited.
func (b *delegationBed) wait() {
	b.Helper()
	for deadline := time.Now().Add(10 * time.Second); b.entry().delegation.busy; {
		if time.Now().After(deadline) {
			b.Fatal("an answer never came")
		}
		time.Sleep(time.Millisecond)
	}
}

// asks has the child ask for a key, signed by both.
func (b *delegationBed) asks(k signingKey) {
	b.Helper()
	at := b.clock.Now()
	set := func(records ...dns.RR) delegation.Set {
		return delegation.Set{Records: records, Signatures: []*dns.RRSIG{b.old.sign(b.T, at, records), b.new.sign(b.T, at, records)}}
	}
	b.world.mu.Lock()
	defer b.world.mu.Unlock()
	b.world.child = delegation.Child{Server: "192.0.2.53:53", DNSKEY: set(b.old.DNSKEY, b.new.DNSKEY), CDS: set(k.ds().ToCDS()), CDNSKEY: set(k.ToCDNSKEY())}
}

// work reconciles until nothing is under way any more.
func (b *delegationBed) work() {
	b.Helper()
	for range 10 {
		b.reconcile()
		b.wait()
	}
}

// asked is how many times the servers of a parent of somebody else were.
func (b *delegationBed) asked() int {
	b.world.mu.Lock()
	defer b.world.mu.Unlock()
	return b.world.asked
}

func (b *delegationBed) condition() metav1.Condition {
	b.Helper()
	c := meta.FindStatusCondition(b.zone().Status.Conditions, v1alpha1.ConditionDelegationInSync)
	if c == nil {
		b.Fatal("there is no condition")
	}
	return *c
}

func (b *delegationBed) wants(status metav1.ConditionStatus, reason, message string) {
	b.Helper()
	if c := b.condition(); c.Status != status || c.Reason != reason || !strings.Contains(c.Message, message) {
		b.Errorf("got %s %s: %s; want %s %s with %q", c.Status, c.Reason, c.Message, status, reason, message)
	}
}

func (b *delegationBed) status() v1alpha1.DelegationStatus {
	b.Helper()
	s := b.zone().Status.DNSSEC.Delegation
	if s == nil {
		b.Fatal("there is no status")
	}
	return *s
}

func ours() v1alpha1.DelegationSpec {
	return v1alpha1.DelegationSpec{ParentZoneRef: &v1alpha1.ZoneReference{Name: "com"}}
}

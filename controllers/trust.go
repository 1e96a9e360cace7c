package controllers

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// trustEvery is how often the file of trust anchors is looked at: a mounted ConfigMap changes by itself, and
// later than the object does.
const trustEvery = 10 * time.Second

// Trust are the operator's trust anchors: those of a file that may change while the operator runs, and those
// of the public root where the file names none of the root. It is safe for use by many goroutines.
type Trust struct {
	read  func() ([]byte, error)
	clock clock.WithTicker
	// changed is called when the anchors, or what is wrong with the file, have changed.
	changed func()

	mu      sync.Mutex
	text    []byte
	anchors []dnssec.Anchor
	problem string
}

// RootTrust are the anchors of the public root, which do not change.
func RootTrust() *Trust { return &Trust{anchors: dnssec.RootAnchors()} }

// NewTrust reads the file for the first time; read gives its content. The error says what is wrong with it.
func NewTrust(read func() ([]byte, error), c clock.WithTicker) (*Trust, error) {
	t := &Trust{read: read, clock: c}
	text, err := read()
	if err != nil {
		return nil, err
	}
	t.text = text
	t.anchors, err = parseTrust(text, c.Now())
	return t, err
}

// parseTrust reads the anchors of a file, and adds those of the root. A file without any is a mistake.
func parseTrust(text []byte, now time.Time) ([]dnssec.Anchor, error) {
	anchors, err := dnssec.ParseAnchors(bytes.NewReader(text), now)
	if err != nil {
		return nil, err
	}
	if len(anchors) == 0 {
		return nil, fmt.Errorf("%w: the file holds no DS or DNSKEY record", dnssec.ErrAnchor)
	}
	return dnssec.WithRoot(anchors), nil
}

// Anchors are the anchors in use, and what is wrong with the file if it is not theirs: those before it count
// then.
func (t *Trust) Anchors() (anchors []dnssec.Anchor, problem string) {
	if t == nil {
		return nil, ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.anchors, t.problem
}

// look reads the file again, and says whether anything is different now.
func (t *Trust) look() bool {
	text, err := t.read()
	t.mu.Lock()
	defer t.mu.Unlock()
	// A file that stays as it is may hold anchors that begin or end to be valid.
	var anchors []dnssec.Anchor
	if err == nil {
		anchors, err = parseTrust(text, t.clock.Now())
	}
	if err == nil && bytes.Equal(text, t.text) && t.problem == "" && slices.EqualFunc(anchors, t.anchors, same) {
		return false
	}
	was := t.problem
	if err != nil {
		t.problem = fmt.Sprintf("the file of --trust-anchors cannot be used, so the trust anchors before it count: %v", err)
		return t.problem != was
	}
	t.text, t.anchors, t.problem = text, anchors, ""
	return true
}

// same says whether two anchors are alike.
func same(a, b dnssec.Anchor) bool {
	return a.Hdr.Name == b.Hdr.Name && dnssec.PresentDS(a) == dnssec.PresentDS(b)
}

// Start looks at the file until the operator stops.
func (t *Trust) Start(ctx context.Context) error {
	if t.read == nil {
		return nil
	}
	ticker := t.clock.NewTicker(trustEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
			t.follow(log.FromContext(ctx).WithName("trust"))
		}
	}
}

// follow tells of a change.
func (t *Trust) follow(logger logr.Logger) {
	if !t.look() {
		return
	}
	if anchors, problem := t.Anchors(); problem != "" {
		logger.Info(problem)
	} else {
		logger.Info("trust anchors read anew", "count", len(anchors))
	}
	if t.changed != nil {
		t.changed()
	}
}

// NeedLeaderElection says that replicas that stand by look too.
func (t *Trust) NeedLeaderElection() bool { return false }

var _ manager.LeaderElectionRunnable = (*Trust)(nil)

// anchorsOf are the trust anchors of a zone: those that its DNSZone names, and the operator's for names that
// these do not stand for.
func (r *DNSZoneReconciler) anchorsOf(z *v1alpha1.DNSZone) ([]dnssec.Anchor, error) {
	own, err := ownAnchors(z)
	if err != nil {
		return nil, err
	}
	operators, _ := r.trust.Anchors()
	return dnssec.MergeAnchors(own, operators), nil
}

// ownAnchors are the trust anchors that a DNSZone names. One that cannot be used spoils them all.
func ownAnchors(z *v1alpha1.DNSZone) ([]dnssec.Anchor, error) {
	var own []dnssec.Anchor
	for _, text := range z.Spec.DNSSEC.TrustAnchors {
		ds, err := dnssec.ParseDS(string(text), z.Spec.Zone+".")
		if err == nil && len(dnssec.AnchorsAbove(z.Spec.Zone+".", []dnssec.Anchor{ds})) == 0 {
			err = fmt.Errorf("%w: its owner is neither %s nor a zone above it", dnssec.ErrAnchor, z.Spec.Zone)
		}
		if err != nil {
			return nil, &configError{v1alpha1.ReasonInvalidSpec, fmt.Sprintf("spec.dnssec.trustAnchors: %q: %v", text, err)}
		}
		own = append(own, ds)
	}
	return own, nil
}

// trustProblem is what is wrong with the operator's trust anchors, where they count for a zone.
func (r *DNSZoneReconciler) trustProblem(z *v1alpha1.DNSZone) string {
	if len(z.Spec.DNSSEC.TrustAnchors) > 0 {
		return ""
	}
	_, problem := r.trust.Anchors()
	return problem
}

// wakeZones has every DNSZone that is served looked at.
func wakeZones(zones *zoneRegistry, wake func(types.NamespacedName)) {
	zones.each(func(name types.NamespacedName, _ zoneEntry) { wake(name) })
}

package main

import (
	"context"
	"fmt"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
)

// observe watches what the operator does, as anybody could, and wakes the player.
func (w *world) observe(ctx context.Context) error {
	watched, err := cache.New(w.Config, cache.Options{Scheme: kube.Scheme(), DefaultNamespaces: map[string]cache.Config{namespace: {}}})
	if err != nil {
		return fmt.Errorf("watch the objects: %w", err)
	}
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	for _, watch := range []struct {
		object client.Object
		see    func(any)
	}{
		{&v1alpha1.MailDomain{}, func(o any) { w.seeDomain(o.(*v1alpha1.MailDomain)) }},
		{&cmv1.CertificateRequest{}, func(o any) { w.seeRequest(o.(*cmv1.CertificateRequest)) }},
		{secret, func(o any) { w.seeSecret(o.(*metav1.PartialObjectMetadata)) }},
	} {
		informer, err := watched.GetInformer(ctx, watch.object, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("watch the objects: %w", err)
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    watch.see,
			UpdateFunc: func(_, o any) { watch.see(o) },
		}); err != nil {
			return fmt.Errorf("watch the objects: %w", err)
		}
	}
	go func() { _ = watched.Start(ctx) }()
	if !watched.WaitForCacheSync(ctx) {
		return fmt.Errorf("watch the objects: %w", ctx.Err())
	}
	return nil
}

func (w *world) seeDomain(md *v1alpha1.MailDomain) {
	h := w.hostOf(md.Name)
	if h == nil {
		return
	}
	s := sighting{
		ready:       meta.IsStatusConditionTrue(md.Status.Conditions, v1alpha1.ConditionReady),
		published:   meta.IsStatusConditionTrue(md.Status.Conditions, v1alpha1.ConditionRecordsPublished),
		omnipresent: meta.IsStatusConditionFalse(md.Status.Conditions, v1alpha1.ConditionRolloverInProgress),
	}
	var due time.Time
	for _, server := range md.Status.MailServers {
		for _, k := range server.Keys {
			switch k.Role {
			case v1alpha1.RoleCurrent:
				s.current++
				s.currentSPKI = k.SPKISHA256
			case v1alpha1.RoleNext:
				s.next++
				if k.DeployableAt != nil {
					due = k.DeployableAt.Time
				}
			case v1alpha1.RolePrevious:
				s.previous++
			}
			s.omnipresent = s.omnipresent && k.Visibility == v1alpha1.VisibilityOmnipresent
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = s
	if !due.IsZero() && !h.asked.IsZero() && h.approved.IsZero() {
		h.due = due
	}
}

func (w *world) seeRequest(cr *cmv1.CertificateRequest) {
	h := w.hostOf(cr.Name)
	if h == nil || w.player == nil {
		return
	}
	h.mu.Lock()
	if cmutil.CertificateRequestIsApproved(cr) && cr.Status.Certificate == nil && h.approved.IsZero() {
		h.approved = time.Now()
	}
	h.mu.Unlock()
	w.player.queue.Add(h.index)
}

func (w *world) seeSecret(secret *metav1.PartialObjectMetadata) {
	if secret.Labels[cmv1.IsNextPrivateKeySecretLabelKey] != "true" {
		return
	}
	if h := w.hostOf(secret.Name); h != nil {
		w.player.queue.Add(h.index)
	}
}

// settled says whether the host is as it stays: published, ready, with a standby key where it has
// one, every key known to every cache, and none on its way out.
func (h *host) settled() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	wanted := 1
	if h.held {
		wanted = 0
	}
	s := h.seen
	return s.ready && s.published && s.current == 1 && s.next == wanted && s.previous == 0 && s.omnipresent
}

// isPublished says whether records stand, and the host is ready.
func (h *host) isPublished() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen.published && h.seen.ready
}

// switched says whether the renewal that was asked for is served.
func (h *host) switched(revision int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.revision >= revision && h.renewal.next == nil && !h.renewal.wanted
}

// count is how many hosts are as is says.
func count(hosts []*host, is func(*host) bool) int {
	n := 0
	for _, h := range hosts {
		if is(h) {
			n++
		}
	}
	return n
}

// await waits until every host is as is says, tells how it goes, and returns how long it took.
func (w *world) await(ctx context.Context, what string, hosts []*host, since time.Time, is func(*host) bool) (time.Duration, error) {
	told := time.Now()
	for {
		n := count(hosts, is)
		if n == len(hosts) {
			took := time.Since(since)
			w.say("%s: %d after %.1fs", what, n, took.Seconds())
			return took, nil
		}
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			w.say("%s: %d of %d", what, n, len(hosts))
		}
		if time.Since(since) > w.flags.patience {
			return 0, fmt.Errorf("%s: %d of %d after %s; the operator's log is %s", what, n, len(hosts), w.flags.patience, w.operator.LogFile)
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

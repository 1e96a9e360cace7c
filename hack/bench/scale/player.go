package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// player does what cert-manager's controllers do to a Certificate that is renewed, and nothing besides:
// ten thousand Certificates in cert-manager itself would be what is measured. Its steps are those of
// cert-manager v1.21: trigger, keymanager, requestmanager, an issuer, issuing, revisionmanager.
type player struct {
	w     *world
	queue workqueue.TypedRateLimitingInterface[int]
	// reload is how long a server takes to present what is in its Secret.
	reload time.Duration
}

// renewal is an issuance under way.
type renewal struct {
	uid types.UID
	// wanted says that a renewal was asked for and not begun.
	wanted bool
	// keySecret is the Secret of the next key, next the key that the request was made for.
	keySecret string
	next      *pair
}

func newPlayer(w *world) *player {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[int](50*time.Millisecond, 5*time.Second)
	return &player{w: w, queue: workqueue.NewTypedRateLimitingQueue(limiter), reload: time.Second}
}

func (h *host) uid() types.UID {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.renewal == nil {
		return ""
	}
	return h.renewal.uid
}

// run works until ctx ends.
func (p *player) run(ctx context.Context) {
	for range parallel {
		go func() {
			for {
				i, stop := p.queue.Get()
				if stop {
					return
				}
				if err := p.step(ctx, p.w.hosts[i]); err != nil && ctx.Err() == nil {
					if p.queue.NumRequeues(i) > 5 {
						p.w.say("cert-manager's part, %s: %v", p.w.hosts[i].object, err)
					}
					p.queue.AddRateLimited(i)
				} else {
					p.queue.Forget(i)
				}
				p.queue.Done(i)
			}
		}()
	}
	<-ctx.Done()
	p.queue.ShutDown()
}

// renew starts the renewal of a host's Certificate.
func (p *player) renew(h *host) {
	h.mu.Lock()
	h.renewal.wanted = true
	h.asked, h.approved, h.due = time.Time{}, time.Time{}, time.Time{}
	h.mu.Unlock()
	p.queue.Add(h.index)
}

// step takes a host's renewal one step on.
func (p *player) step(ctx context.Context, h *host) error {
	h.mu.Lock()
	wanted, r := h.renewal.wanted, h.renewal
	h.mu.Unlock()
	switch {
	case r.next == nil && !wanted:
		return nil
	case r.next == nil:
		return p.begin(ctx, h, r)
	default:
		return p.proceed(ctx, h, r)
	}
}

// begin makes the next key and the request for it.
func (p *player) begin(ctx context.Context, h *host, r *renewal) error {
	next, err := newPair()
	if err != nil {
		return err
	}
	name := h.object + "-" + rand.String(5)
	if err := p.patchStatus(ctx, h, map[string]any{"conditions": issuingConditions(h, cmmeta.ConditionTrue)}); err != nil {
		return err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, OwnerReferences: h.owner(),
			Labels: map[string]string{cmv1.IsNextPrivateKeySecretLabelKey: "true", cmv1.PartOfCertManagerControllerLabelKey: "true"},
		},
		Data: map[string][]byte{corev1.TLSPrivateKeyKey: next.keyPEM},
	}
	if err := p.w.Client.Create(ctx, secret); err != nil {
		return fmt.Errorf("create the Secret of the next key: %w", err)
	}
	if err := p.patchStatus(ctx, h, map[string]any{"nextPrivateKeySecretName": name}); err != nil {
		return err
	}
	if _, err := p.w.createRequest(ctx, h, next, h.revision+1, name); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r.wanted, r.keySecret, r.next, h.asked = false, name, next, time.Now()
	return nil
}

func issuingConditions(h *host, status cmmeta.ConditionStatus) []cmv1.CertificateCondition {
	crt := &cmv1.Certificate{Status: certificateStatus(h.current, h.revision)}
	cmutil.SetCertificateCondition(crt, 1, cmv1.CertificateConditionIssuing, status, "Renewing", "Renewing certificate as renewal was scheduled")
	return crt.Status.Conditions
}

// patchStatus writes a part of the status of the Certificate.
func (p *player) patchStatus(ctx context.Context, h *host, status map[string]any) error {
	text, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	crt := &cmv1.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: h.object}}
	if err := p.w.Client.Status().Patch(ctx, crt, client.RawPatch(types.MergePatchType, text)); err != nil {
		return fmt.Errorf("write the status of Certificate %s: %w", h.object, err)
	}
	return nil
}

// proceed looks whether the next key was replaced, and whether the request was approved.
func (p *player) proceed(ctx context.Context, h *host, r *renewal) error {
	cr := &cmv1.CertificateRequest{}
	err := p.w.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: requestName(h, h.revision+1)}, cr)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("read the request: %w", err)
	}
	missing := err != nil
	approved := !missing && cmutil.CertificateRequestIsApproved(cr)
	if !approved {
		return p.follow(ctx, h, r, missing)
	}
	return p.finish(ctx, h, r, cr)
}

// follow replaces the request when the key in the Secret is another one, as requestmanager does.
func (p *player) follow(ctx context.Context, h *host, r *renewal, missing bool) error {
	secret := &corev1.Secret{}
	if err := p.w.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: r.keySecret}, secret); err != nil {
		return fmt.Errorf("read the Secret of the next key: %w", err)
	}
	key, err := readPair(secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return fmt.Errorf("read the next key: %w", err)
	}
	if key.spki == r.next.spki && !missing {
		return nil
	}
	if !missing {
		cr := &cmv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: requestName(h, h.revision+1)}}
		if err := p.w.Client.Delete(ctx, cr); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete a request for another key: %w", err)
		}
	}
	if _, err := p.w.createRequest(ctx, h, key, h.revision+1, r.keySecret); err != nil {
		return err
	}
	r.next = key
	return nil
}

// finish issues, writes the Secret and the status, and tidies up.
func (p *player) finish(ctx context.Context, h *host, r *renewal, cr *cmv1.CertificateRequest) error {
	if err := p.w.ca.issue(r.next, h.name); err != nil {
		return err
	}
	if err := p.w.fulfil(ctx, cr, r.next, false); err != nil {
		return err
	}
	if err := p.w.Client.Update(ctx, tlsSecret(h, r.next)); err != nil {
		return fmt.Errorf("write the Secret of the certificate: %w", err)
	}
	old := h.revision
	h.current, h.revision = r.next, h.revision+1
	status := certificateStatus(h.current, h.revision)
	if err := p.patchStatus(ctx, h, map[string]any{
		"conditions": issuingConditions(h, cmmeta.ConditionFalse), "revision": h.revision, "nextPrivateKeySecretName": nil,
		"notBefore": status.NotBefore, "notAfter": status.NotAfter, "renewalTime": status.RenewalTime,
	}); err != nil {
		return err
	}
	issued := r.next
	time.AfterFunc(p.reload, func() {
		if err := h.serve(issued); err != nil {
			p.w.say("%v", err)
		}
	})
	keySecret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: r.keySecret}}
	h.mu.Lock()
	r.keySecret, r.next = "", nil
	h.mu.Unlock()
	request := &cmv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: requestName(h, old)}}
	for _, done := range []client.Object{keySecret, request} {
		if err := p.w.Client.Delete(ctx, done); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("tidy up after the issuance: %w", err)
		}
	}
	return nil
}

package controllers

import (
	"context"
	"fmt"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/metrics"
	"github.com/dane-operator/dane-operator/internal/shard"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// GateReconciler approves the requests of gated Certificates when their key may be served. It never
// denies one: a denied request makes cert-manager throw the key away and start again.
type GateReconciler struct {
	client.Client
	Clock  clock.PassiveClock
	events events.EventRecorder
	counts *metrics.Events
	shard  shard.Shard
	keeper gatekeeper
}

// gatekeeper says, by the newest decisions of all MailDomains concerned, whether a key may be handed to
// servers.
type gatekeeper struct {
	live      client.Reader
	clock     clock.PassiveClock
	decisions *decisionBoard
	// wake enqueues a MailDomain, for a fresh decision.
	wake func(types.NamespacedName)
}

const (
	// decisionFreshness is how old a decision may be when it opens the gate.
	decisionFreshness = 5 * time.Second
	// gateRetry is how soon the gate looks again while a decision is being made, and gateIdle how often it looks at a
	// request that waits. Every decision wakes the requests that wait for it: these are for a wake that was lost. With
	// thousands of renewals at once, to look oftener would hold up the decisions themselves.
	gateRetry = 15 * time.Second
	gateIdle  = time.Minute
	// gateElsewhere is how often it looks whether a request is still another operator's. A change of the MailDomains that
	// name the Certificate has it look at once; this is for the end of one that nobody acts for.
	gateElsewhere = 5 * time.Minute
)

// Reconcile looks at one request.
func (r *GateReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	cr := &cmapi.CertificateRequest{}
	if err := r.Get(ctx, req.NamespacedName, cr); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	name := cr.Annotations[requestNameAnnotation]
	if name == "" || !isHeld(cr) {
		return ctrl.Result{}, nil
	}
	say, err := r.votersOf(ctx, cr, name)
	if err != nil {
		return ctrl.Result{}, err
	}
	if len(say.others) > 0 {
		return ctrl.Result{RequeueAfter: gateElsewhere}, nil
	}
	domains := say.own
	if !r.keeper.decided(domains, name) {
		return ctrl.Result{RequeueAfter: gateRetry}, nil
	}
	spki, err := tlsa.SPKIFromCSR(cr.Spec.Request)
	if err != nil {
		return ctrl.Result{}, nil //nolint:nilerr // cert-manager itself fails a request that it cannot read
	}
	open, err := r.keeper.open(ctx, domains, name, tlsa.SPKISHA256(spki))
	if err != nil || !open {
		// One that does not name the Certificate any more tells of its next decision, too.
		for i := range domains {
			r.keeper.decisions.await(client.ObjectKeyFromObject(&domains[i]), name)
		}
		return ctrl.Result{RequeueAfter: gateIdle}, err
	}
	return ctrl.Result{}, r.approve(ctx, cr, domains, tlsa.SPKISHA256(spki))
}

// isHeld says whether a request is gated, and waits to be approved.
func isHeld(cr *cmapi.CertificateRequest) bool {
	_, gated := cr.Annotations[v1alpha1.GateAnnotation]
	return gated && !isOver(cr) && !isTrue(cr, cmapi.CertificateRequestConditionApproved) && cr.DeletionTimestamp.IsZero()
}

// decided says whether every MailDomain concerned has a fresh decision, and asks those for one that have none.
func (k gatekeeper) decided(domains []v1alpha1.MailDomain, certificate string) bool {
	all := true
	for i := range domains {
		_, fresh := k.decision(client.ObjectKeyFromObject(&domains[i]), certificate)
		all = all && fresh
	}
	return all
}

// decision is the newest one of a MailDomain. It says no, and asks for another, where that is missing or old: that wakes
// the requests of the Certificate.
func (k gatekeeper) decision(name types.NamespacedName, certificate string) (gateDecision, bool) {
	d, ok := k.decisions.get(name)
	fresh := ok && k.clock.Since(d.at) <= decisionFreshness
	if !fresh {
		k.ask(name, certificate)
	}
	return d, fresh
}

func (k gatekeeper) ask(name types.NamespacedName, certificate string) {
	k.decisions.await(name, certificate)
	k.wake(name)
}

// open says whether every MailDomain concerned says, by a decision that is fresh and rests on the
// newest object, that the key may be served. A request that nobody gates any more passes: the
// admission policy would otherwise keep it for ever.
func (k gatekeeper) open(ctx context.Context, domains []v1alpha1.MailDomain, certificate, key string) (bool, error) {
	allowed := len(domains) == 0
	for i := range domains {
		name := client.ObjectKeyFromObject(&domains[i])
		d, fresh := k.decision(name, certificate)
		if !fresh {
			return false, nil
		}
		say, _ := d.verdict(certificate, key)
		if say == deny {
			return false, nil
		}
		allowed = allowed || say == allow
		live := &v1alpha1.MailDomain{}
		if err := k.live.Get(ctx, name, live); err != nil {
			return false, client.IgnoreNotFound(err)
		}
		if live.ResourceVersion != d.resourceVersion {
			k.ask(name, certificate)
			return false, nil
		}
	}
	return allowed, nil
}

// approve sets the Approved condition. The resourceVersion fences out a request that has changed.
func (r *GateReconciler) approve(ctx context.Context, cr *cmapi.CertificateRequest, domains []v1alpha1.MailDomain, spki string) error {
	message := "no MailDomain names this Certificate any more"
	if len(domains) > 0 {
		message = fmt.Sprintf("the TLSA records of key %s are known to every cache (MailDomain %s)", spki, domains[0].Name)
	}
	now := metav1.NewTime(r.Clock.Now())
	updated := cr.DeepCopy()
	updated.Status.Conditions = append(updated.Status.Conditions, cmapi.CertificateRequestCondition{
		Type: cmapi.CertificateRequestConditionApproved, Status: cmmeta.ConditionTrue,
		Reason: v1alpha1.ApprovalReason, Message: message, LastTransitionTime: &now,
	})
	if err := r.Status().Update(ctx, updated); err != nil {
		if apierrors.IsForbidden(err) {
			return fmt.Errorf("approve CertificateRequest %s/%s: the operator's service account needs the verb approve on signers of cert-manager.io: %w", cr.Namespace, cr.Name, err)
		}
		return ignoreConflict(client.IgnoreNotFound(err))
	}
	r.counts.Approved(now.Sub(cr.CreationTimestamp.Time))
	for i := range domains {
		r.events.Eventf(&domains[i], cr, corev1.EventTypeNormal, "KeyDeployed", "Approve", "CertificateRequest %s with key %s was approved", cr.Name, shortKey(spki))
		r.keeper.wake(client.ObjectKeyFromObject(&domains[i]))
	}
	return nil
}

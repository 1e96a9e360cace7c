package controllers

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

var secretResource = schema.GroupResource{Resource: "secrets"}

// TestRefusedForGood: what a person has to mend is told in a condition; the rest is tried again.
func TestRefusedForGood(t *testing.T) {
	for _, row := range []struct {
		err    error
		good   bool
		reason string
	}{
		{apierrors.NewForbidden(secretResource, "s", errors.New("no")), true, "a right is missing, or a quota or policy forbids it"},
		{fmt.Errorf("write: %w", apierrors.NewForbidden(secretResource, "s", nil)), true, "also where it is wrapped"},
		{apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "s", nil), true, "the object itself is refused"},
		{apierrors.NewRequestEntityTooLargeError("3 MiB"), true, "it does not fit"},
		{apierrors.NewConflict(secretResource, "s", nil), false, "somebody else was faster"},
		{apierrors.NewServerTimeout(secretResource, "create", 1), false, "the API server is slow"},
		{apierrors.NewTooManyRequests("wait", 1), false, "it asks to wait"},
		{apierrors.NewInternalError(errors.New("webhook away")), false, "an admission webhook does not answer"},
		{errors.New("dial tcp: connection refused"), false, "the API server is away"},
	} {
		if got := refusedForGood(row.err); got != row.good {
			t.Errorf("%s: got %t", row.reason, got)
		}
	}
}

// TestRefusalsStand: what was refused stands in the status, is not lost by a restart, and goes when it is refused no
// more.
func TestRefusalsStand(t *testing.T) {
	woken := 0
	start := func() *MailDomainReconciler {
		return &MailDomainReconciler{observer: newObserver(func(types.NamespacedName) { woken++ })}
	}
	md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "example"}}
	run := &domainRun{md: md}
	status := func(r *MailDomainReconciler) string {
		run.refused = r.refusals.of(md)
		f := stalledFinding(run)
		md.Status.Conditions = nil
		if f == nil {
			return ""
		}
		md.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionStalled, Status: f.status, Reason: f.reason, Message: f.message}}
		return f.reason + ": " + f.message
	}
	r, away := start(), errors.New("connection refused")
	forbidden := fmt.Errorf("write the standby key: %w", apierrors.NewForbidden(secretResource, "mx1-dane-standby", errors.New("no right")))
	if err := r.tell(run, []error{nil, forbidden, away, forbidden}); !errors.Is(err, away) || errors.Is(err, forbidden) {
		t.Errorf("to be tried again is %v", err)
	}
	told := status(r)
	if !strings.HasPrefix(told, "WriteRefused: write the standby key: ") || strings.Count(told, "no right") != 1 || woken != 1 {
		t.Errorf("the status says %q, woken %d", told, woken)
	}
	r = start()
	if again := status(r); again != told {
		t.Errorf("after a restart the status says %q", again)
	}
	if err := r.tell(run, []error{forbidden}); err != nil || status(r) != told {
		t.Errorf("refused again: %v, %q", err, status(r))
	}
	if err := r.tell(run, []error{errors.Join(forbidden, away)}); !errors.Is(err, away) || errors.Is(err, forbidden) || status(r) != told {
		t.Errorf("of two that were joined, to be tried again is %v; %q", err, status(r))
	}
	r = start()
	status(r)
	woken = 0
	if err := r.tell(run, nil); err != nil || status(r) != "" || woken != 1 {
		t.Errorf("allowed: %v, %q, woken %d", err, status(r), woken)
	}
}

// TestLookedAtThoughAnEffectFails: while the API server refuses one effect again and again, all else goes on.
func TestLookedAtThoughAnEffectFails(t *testing.T) {
	b := newSenderBed(t)
	b.listing = errors.New("the API server is ill")
	for range 60 {
		if _, err := b.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: senderName}); !errors.Is(err, b.listing) {
			t.Fatalf("the reconcile says %v", err)
		}
		b.idle()
		b.clock.Step(time.Minute)
	}
	if b.resolver.asked() == 0 {
		t.Error("nobody looked at the host for an hour")
	}
}

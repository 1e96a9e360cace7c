package plugin

import (
	"errors"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// TestOtherApproversAreFound: who approved a gated request is told by the reason that each approver gives; others, and those
// that nobody approved, say nothing.
func TestOtherApproversAreFound(t *testing.T) {
	request := func(name, reason string, gated bool) cmapi.CertificateRequest {
		cr := cmapi.CertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: name}}
		if gated {
			cr.Annotations = map[string]string{v1alpha1.GateAnnotation: "x"}
		}
		if reason != "" {
			cr.Status.Conditions = []cmapi.CertificateRequestCondition{{Type: cmapi.CertificateRequestConditionApproved, Status: cmmeta.ConditionTrue, Reason: reason}}
		}
		return cr
	}
	ours, waits := request("ours", v1alpha1.ApprovalReason, true), request("waits", "", true)
	theirs, free := request("theirs", "cert-manager.io", true), request("free", "cert-manager.io", false)
	for _, c := range []struct {
		reason   string
		requests []cmapi.CertificateRequest
		state    health
		says     string
	}{
		{"nothing is gated", []cmapi.CertificateRequest{free}, "", ""},
		{"nothing is approved yet", []cmapi.CertificateRequest{waits, free}, "", ""},
		{"the operator approved all", []cmapi.CertificateRequest{ours, waits, free}, fine, ""},
		{"something else approved one", []cmapi.CertificateRequest{ours, theirs, free}, warning, "something else than the operator approved mail/theirs (cert-manager.io)"},
	} {
		found := approvals(c.requests)
		if c.state == "" {
			if len(found) > 0 {
				t.Errorf("%s: %+v", c.reason, found)
			}
			continue
		}
		if len(found) != 1 || found[0].state != c.state || !strings.Contains(found[0].advice, c.says) || c.says == "" && found[0].advice != "" {
			t.Errorf("%s: %+v, want %s: %s", c.reason, found, c.state, c.says)
		}
	}
}

// TestApproversThatCannotBeSeen are unknown; without cert-manager there are none.
func TestApproversThatCannotBeSeen(t *testing.T) {
	if found := examineApprovers(t.Context(), refusing(t, errors.New("no right")), time.Time{}); len(found) != 1 || found[0].state != unclear {
		t.Errorf("who may not look: %+v", found)
	}
	missing := &meta.NoKindMatchError{GroupKind: cmapi.SchemeGroupVersion.WithKind(cmapi.CertificateRequestKind).GroupKind()}
	if found := examineApprovers(t.Context(), refusing(t, missing), time.Time{}); len(found) != 0 {
		t.Errorf("without cert-manager: %+v", found)
	}
}

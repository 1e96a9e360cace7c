package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/servers"
)

// published are the TLSA records that the primary shows, sorted.
func (s *site) published() string {
	s.Helper()
	shown, err := s.shownBy(s.primary.Addr)
	s.must(err)
	return shown
}

// differs returns an error while the primary shows what it showed before.
func (s *site) differs(before string) error {
	if s.published() == before {
		return errors.New("the records are what they were")
	}
	return nil
}

// changesFrom waits until the primary shows other records, and returns the last instant at which it
// was seen with those of before: no cache can have forgotten them sooner than a wait from then.
func (s *site) changesFrom(before string) time.Time {
	s.Helper()
	last := time.Now()
	servers.Eventually(s, "the new key is published", func() error {
		at := time.Now()
		err := s.differs(before)
		if err != nil {
			last = at
		}
		return err
	})
	return last
}

// request is that of the renewal that was started last; nil while cert-manager has not made it.
func (s *site) request() *cmapi.CertificateRequest {
	s.Helper()
	return s.requestBeyond("mx1", s.from)
}

// requestBeyond is the newest request of a Certificate for a later revision; nil when there is none. Those
// of earlier renewals stay, and are approved: they must not be taken for it.
func (s *site) requestBeyond(certificate string, revision int) *cmapi.CertificateRequest {
	s.Helper()
	requests, err := s.lab.RequestsOf(s.Context(), s.lab.Namespace, certificate)
	s.must(err)
	var newest *cmapi.CertificateRequest
	latest := revision
	for i := range requests {
		n, err := strconv.Atoi(requests[i].Annotations[cmapi.CertificateRequestRevisionAnnotationKey])
		s.must(err)
		if n > latest {
			newest, latest = &requests[i], n
		}
	}
	return newest
}

// approved says whether the request of the renewal that was started last is approved.
func (s *site) approved() bool {
	s.Helper()
	return isApproved(s.request())
}

func isApproved(r *cmapi.CertificateRequest) bool {
	return r != nil && cmutil.CertificateRequestHasCondition(r, cmapi.CertificateRequestCondition{
		Type: cmapi.CertificateRequestConditionApproved, Status: cmmeta.ConditionTrue,
	})
}

// heldUntil wants the request of the renewal not to be approved before an instant, and what it is told of to
// hold as long as the request waits.
func (s *site) heldUntil(instant time.Time, meanwhile ...func() error) {
	s.Helper()
	for time.Now().Before(instant) {
		var errs []error // looked for first: the request may be approved meanwhile
		for _, holds := range meanwhile {
			errs = append(errs, holds())
		}
		switch approved, err := s.approved(), errors.Join(errs...); {
		case approved && time.Now().Before(instant):
			s.Fatalf("the request was approved %s too early", time.Until(instant).Round(time.Millisecond))
		case !approved && err != nil:
			s.Fatalf("while the request waits: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// caches is the time in which every cache forgets an answer, by the rule with the lab's figures: two
// TTLs of two seconds.
const caches = 4 * time.Second

// logSays says whether one line of the log of a process holds a text and names the test's namespace,
// or its MailDomain: all tests share the process.
func (s *site) logSays(process *kube.Process, text string) bool {
	s.Helper()
	log, err := os.ReadFile(filepath.Clean(process.LogFile))
	s.must(err)
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, text) && strings.Contains(line, s.lab.Namespace) {
			return true
		}
	}
	return false
}

// withoutPolicy takes the binding of the gate policy away for the length of the test.
func (s *site) withoutPolicy() {
	s.Helper()
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "dane-operator-gate"}}
	s.must(s.lab.Client.Delete(s.Context(), binding))
	s.policyHolds(false)
	s.Cleanup(func() {
		root, err := kube.Root()
		s.must(err)
		text, err := os.ReadFile(filepath.Join(root, "config/policy/gate.yaml")) //nolint:gosec // a file of the repository
		s.must(err)
		// The test's own context has ended by now.
		s.must(s.lab.Apply(background, string(text)))
		s.policyHolds(true)
	})
}

// policyHolds waits until the API server refuses to approve a gated request, or no longer does: it
// learns of a policy a little after it was stored or deleted. Each try has a request of its own. Only a
// success says that the policy is gone: there are many other errors. One of them is a conflict, since
// cert-manager's approver may be quicker.
func (s *site) policyHolds(want bool) {
	s.Helper()
	servers.Eventually(s, fmt.Sprintf("the gate policy holds requests: %t", want), func() error {
		request := &cmapi.CertificateRequest{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: shared.Namespace, GenerateName: "policy-", Annotations: map[string]string{gate: "nobody"},
			},
			Spec: cmapi.CertificateRequestSpec{IssuerRef: kube.IssuerRef("nobody"), Request: []byte("none")},
		}
		s.must(s.lab.Client.Create(background, request))
		defer func() { _ = s.lab.Client.Delete(background, request) }()
		err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			trial := &cmapi.CertificateRequest{}
			if err := s.lab.Client.Get(background, client.ObjectKeyFromObject(request), trial); err != nil {
				return err
			}
			cmutil.SetCertificateRequestCondition(trial, cmapi.CertificateRequestConditionApproved, cmmeta.ConditionTrue, "Trial", "trial")
			return s.lab.Client.Status().Update(background, trial, client.DryRunAll)
		})
		if want && !apierrors.IsForbidden(err) || !want && err != nil {
			return fmt.Errorf("a trial approval ended with: %v", err)
		}
		return nil
	})
}

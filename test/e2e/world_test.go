package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/miekg/dns"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/servers"
)

// published are the TLSA records that the primary shows, sorted.
func (s *site) published() string {
	s.Helper()
	m, err := servers.Ask(s.primary.Addr, s.owner(), dns.TypeTLSA, false)
	s.must(err)
	var records []string
	for _, rr := range m.Answer {
		if r, ok := rr.(*dns.TLSA); ok {
			records = append(records, fmt.Sprint(r.Usage, r.Selector, r.MatchingType, r.Certificate))
		}
	}
	slices.Sort(records)
	return strings.Join(records, "\n")
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

// newestRequest is the request of the latest revision of the Certificate.
func (s *site) newestRequest() *cmapi.CertificateRequest {
	s.Helper()
	requests, err := s.lab.RequestsOf(s.Context(), s.lab.Namespace, "mx1")
	s.must(err)
	if len(requests) == 0 {
		return nil
	}
	newest := slices.MaxFunc(requests, func(a, b cmapi.CertificateRequest) int {
		return len(revision(a))*1000 - len(revision(b))*1000 + strings.Compare(revision(a), revision(b))
	})
	return &newest
}

func revision(r cmapi.CertificateRequest) string {
	return r.Annotations[cmapi.CertificateRequestRevisionAnnotationKey]
}

// approved says whether the newest request is approved.
func (s *site) approved() bool {
	s.Helper()
	r := s.newestRequest()
	return r != nil && cmutil.CertificateRequestHasCondition(r, cmapi.CertificateRequestCondition{
		Type: cmapi.CertificateRequestConditionApproved, Status: cmmeta.ConditionTrue,
	})
}

// heldUntil wants the newest request not to be approved before an instant.
func (s *site) heldUntil(instant time.Time) {
	s.Helper()
	for time.Now().Before(instant) {
		if s.approved() && time.Now().Before(instant) {
			s.Fatalf("the request was approved %s too early", time.Until(instant).Round(time.Millisecond))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// caches is the time in which every cache forgets an answer, by the rule with the lab's figures: two
// TTLs of two seconds.
const caches = 4 * time.Second

// logSays says whether the log of a process holds a text.
func (s *site) logSays(process *kube.Process, text string) bool {
	s.Helper()
	log, err := os.ReadFile(filepath.Clean(process.LogFile))
	s.must(err)
	return strings.Contains(string(log), text)
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
// learns of a policy a little after it was stored or deleted. Each try has a request of its own, since
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
		cmutil.SetCertificateRequestCondition(request, cmapi.CertificateRequestConditionApproved, cmmeta.ConditionTrue, "Trial", "trial")
		err := s.lab.Client.Status().Update(background, request, client.DryRunAll)
		if held := apierrors.IsForbidden(err); held != want {
			return fmt.Errorf("an approval is refused: %t (%v)", held, err)
		}
		return nil
	})
}

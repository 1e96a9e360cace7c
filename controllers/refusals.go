package controllers

import (
	"errors"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// whatToAllow ends the message of an effect that the API server refused.
const whatToAllow = ": give the operator's account that right, change the quota or admission policy that forbids it, " +
	"or change the spec so that it is not needed (docs/security.md)"

// refusedForGood says whether the API server refused a write in a way that trying again does not mend: a right is
// missing, or a quota or an admission policy forbids it.
func refusedForGood(err error) bool {
	switch apierrors.ReasonForError(err) {
	case metav1.StatusReasonForbidden, metav1.StatusReasonInvalid, metav1.StatusReasonBadRequest,
		metav1.StatusReasonRequestEntityTooLarge, metav1.StatusReasonMethodNotAllowed:
		return true
	default:
		return false
	}
}

// refusalBoard remembers which effects of each MailDomain the API server refused when they were last tried. What is
// not on it was not tried by this process. The zero value is ready for use.
type refusalBoard struct {
	mu      sync.Mutex
	refused map[types.NamespacedName]string
}

// of is what was refused to a MailDomain; empty where nothing was. While nothing was tried since the start, it is what
// the status says: a restart mends nothing, and is no reason to write.
func (b *refusalBoard) of(md *v1alpha1.MailDomain) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if message, tried := b.refused[types.NamespacedName{Namespace: md.Namespace, Name: md.Name}]; tried {
		return message
	}
	if c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionStalled); c != nil && c.Reason == v1alpha1.ReasonWriteRefused {
		return c.Message
	}
	return ""
}

// put takes the place of what was remembered.
func (b *refusalBoard) put(name types.NamespacedName, message string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refused == nil {
		b.refused = map[types.NamespacedName]string{}
	}
	b.refused[name] = message
}

func (b *refusalBoard) forget(name types.NamespacedName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.refused, name)
}

// tell takes what the API server refused out of the errors of the effects, and has the conditions tell it. The other
// errors are returned: trying again may mend them.
func (r *MailDomainReconciler) tell(run *domainRun, errs []error) error {
	var refused []string
	errs = slices.DeleteFunc(eachOf(errs), func(err error) bool {
		if !refusedForGood(err) {
			return false
		}
		refused = append(refused, err.Error())
		return true
	})
	message := ""
	if len(refused) > 0 {
		slices.Sort(refused)
		message = strings.Join(slices.Compact(refused), "; ") + whatToAllow
	}
	r.refusals.put(run.key(), message)
	if message != run.refused { // what the status was made of
		r.observer.wake(run.key())
	}
	return errors.Join(errs...)
}

// eachOf are errors without those that are nil, and with each of those that were joined: one that is refused says nothing of
// the others.
func eachOf(errs []error) []error {
	var out []error
	for _, err := range errs {
		if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // what is wrapped further down is one effect
			out = append(out, eachOf(joined.Unwrap())...)
		} else if err != nil {
			out = append(out, err)
		}
	}
	return out
}

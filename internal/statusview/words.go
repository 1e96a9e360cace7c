// Package statusview reads the status of MailDomains and DNSZones for people: what a host waits for, what happened to it
// and what comes next. The kubectl plugin and the page of the operator tell the same by it. All of it are pure
// functions.
package statusview

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// NextOf is what a host waits for next, and until when, which is zero where that is not known: what another host of the
// domain waits for does not concern it.
func NextOf(md *v1alpha1.MailDomain, host string) (action string, at time.Time) {
	next := md.Status.NextTransition
	if next == nil {
		return "", time.Time{}
	}
	for i := range md.Spec.MailServers {
		if other := md.Spec.MailServers[i].Hostname; other != host && strings.HasPrefix(next.Action, other+": ") {
			return "", time.Time{}
		}
	}
	if !next.Time.IsZero() {
		at = next.Time.Time
	}
	return strings.TrimPrefix(next.Action, host+": "), at
}

// ConditionWord is the status of a condition: True, False or Unknown.
func ConditionWord(md *v1alpha1.MailDomain, conditionType string) string {
	if c := meta.FindStatusCondition(md.Status.Conditions, conditionType); c != nil {
		return string(c.Status)
	}
	return string(metav1.ConditionUnknown)
}

// ReasonOf is the reason of a condition; empty where it was never set.
func ReasonOf(md *v1alpha1.MailDomain, conditionType string) string {
	if c := meta.FindStatusCondition(md.Status.Conditions, conditionType); c != nil {
		return c.Reason
	}
	return ""
}

// SomeFail is the end of what Senders says where a rollover is not safe.
const SomeFail = "some may fail"

// Senders is what senders with DANE do with mail for a host. The verdict is that on senders that look everything up
// now; while a rollover is not safe, others whose caches hold former answers may fail, and that is said too.
func Senders(s *v1alpha1.MailServerStatus) string {
	switch {
	case s == nil || s.SenderView == nil && s.Unsafe == nil:
		return ""
	case s.SenderView == nil:
		return SomeFail
	case SomeMayFail(s):
		return string(s.SenderView.Verdict) + ", " + SomeFail
	}
	return string(s.SenderView.Verdict)
}

// SendersMessage says it in a sentence; empty where nothing is known.
func SendersMessage(s *v1alpha1.MailServerStatus) string {
	switch {
	case s == nil || s.SenderView == nil:
		return ""
	case SomeMayFail(s):
		return "Those that look everything up now: " + strings.TrimSuffix(s.SenderView.Message, ".") + ". Those whose caches hold former answers may fail."
	}
	return s.SenderView.Message
}

// SomeMayFail says that senders may fail although the verdict on those that look everything up now does not tell.
func SomeMayFail(s *v1alpha1.MailServerStatus) bool {
	return s.Unsafe != nil && (s.SenderView == nil || s.SenderView.Verdict != v1alpha1.SenderUndeliverable)
}

// Visibilities are what caches know of the keys of a host, each once, in the order in which a key goes through them.
func Visibilities(s *v1alpha1.MailServerStatus) []v1alpha1.Visibility {
	order := []v1alpha1.Visibility{v1alpha1.VisibilityHidden, v1alpha1.VisibilityRumoured, v1alpha1.VisibilityOmnipresent, v1alpha1.VisibilityUnretentive}
	return slices.DeleteFunc(order, func(v v1alpha1.Visibility) bool {
		return !slices.ContainsFunc(s.Keys, func(k v1alpha1.KeyStatus) bool { return k.Visibility == v })
	})
}

// EndpointPlace is where an endpoint is. What is not known of any port, such as the addresses of a host, has no port.
func EndpointPlace(e v1alpha1.EndpointStatus) string {
	if e.Port == 0 {
		return e.Address
	}
	return fmt.Sprintf("%s port %d", e.Address, e.Port)
}

// EndpointState is what an endpoint showed.
func EndpointState(e v1alpha1.EndpointStatus) string {
	switch {
	case e.Verified:
		return "matches"
	case e.SPKISHA256 == "":
		return "not known"
	default:
		return "does not match"
	}
}

// Healthy says whether a zone is Ready and has no critical finding.
func Healthy(dz *v1alpha1.DNSZone) bool {
	for _, f := range dz.Status.DNSSEC.Findings {
		if f.Severity == v1alpha1.FindingCritical {
			return false
		}
	}
	return meta.IsStatusConditionTrue(dz.Status.Conditions, v1alpha1.ConditionReady)
}

// Joined is a name server by its name, where it has one, and address.
func Joined(name, address string) string {
	if name == "" {
		return address
	}
	return name + " " + address
}

// Until says how far an instant is away, as kubectl says ages.
func Until(at, now time.Time) string {
	switch left := at.Sub(now); {
	case left > 0:
		return "in " + duration.HumanDuration(left)
	case left > -time.Second:
		return "now"
	default:
		return duration.HumanDuration(-left) + " ago"
	}
}

// Stamp is an instant as people write it, in UTC as in the status.
func Stamp(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05Z") }

// Short is enough of a key's digest to know it by.
func Short(spki string) string { return spki[:min(16, len(spki))] }

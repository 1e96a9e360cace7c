package statusview

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// Step is something that happened to a host, or will.
type Step struct {
	// At is when; zero where that is not known: it is waited for something else.
	At time.Time
	// What happens, in words.
	What string
	// Unsafe says that senders may fail from then on.
	Unsafe bool
}

// Timeline is what status tells of the current rollover of a host, in the order of time. What has no
// instant yet comes last.
func Timeline(md *v1alpha1.MailDomain, s *v1alpha1.MailServerStatus) []Step {
	var out []Step
	add := func(at *metav1.Time, format string, args ...any) {
		if !at.IsZero() {
			out = append(out, Step{At: at.Time, What: fmt.Sprintf(format, args...)})
		}
	}
	for _, k := range s.Keys {
		add(k.Since, "key %s of %s became %s", Short(k.SPKISHA256), k.Certificate, k.Role)
		if k.Role == v1alpha1.RoleNext {
			add(k.DeployableAt, "key %s may be handed to servers: every cache knows it", Short(k.SPKISHA256))
		}
		add(k.GoneSince, "no endpoint presented key %s any more", Short(k.SPKISHA256))
		if k.HeldUntil != nil {
			add(k.HeldUntil, "the records of key %s, which reports of senders hold, are taken out", Short(k.SPKISHA256))
			continue
		}
		add(k.RemovableAt, "the records of key %s are taken out", Short(k.SPKISHA256))
	}
	for _, v := range s.Versions {
		out = append(out, versionSteps(v)...)
	}
	if u := s.Unsafe; u != nil {
		if !u.Since.IsZero() {
			out = append(out, Step{At: u.Since.Time, What: "senders may fail from here: " + u.Message, Unsafe: true})
		}
		add(u.Until, "senders do not fail any more")
	}
	slices.SortStableFunc(out, func(a, b Step) int { return a.At.Compare(b.At) })
	if next := md.Status.NextTransition; next != nil && next.Time.IsZero() && strings.HasPrefix(next.Action, s.Hostname) {
		out = append(out, Step{What: next.Action})
	}
	return out
}

// versionSteps tells of an answer that caches may hold: since when, and until when.
func versionSteps(v v1alpha1.VersionStatus) []Step {
	what := fmt.Sprintf("answers for %s with %s", v.Owner, answerText(v))
	var out []Step
	if !v.FirstSeen.IsZero() {
		out = append(out, Step{At: v.FirstSeen.Time, What: "the first " + what})
	}
	if !v.Open && !v.LastSeen.IsZero() {
		out = append(out, Step{At: v.LastSeen.Time, What: "the last " + what},
			Step{At: v.LastSeen.Add(time.Duration(v.TTL) * time.Second), What: "no cache has " + what + " any more"})
	}
	return out
}

func answerText(v v1alpha1.VersionStatus) string {
	switch {
	case v.Unknown:
		return "what stood there before the operator looked"
	case len(v.Records) == 0:
		return "no record"
	}
	var out []string
	for _, r := range v.Records {
		out = append(out, r[:min(len(r), 14)])
	}
	return strings.Join(out, ", ")
}

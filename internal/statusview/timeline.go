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

// UnsafeFrom is how the step begins from which on senders may fail.
const UnsafeFrom = "senders may fail from here: "

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
			out = append(out, Step{At: u.Since.Time, What: UnsafeFrom + u.Message, Unsafe: true})
		}
		add(u.Until, "senders do not fail any more")
	}
	slices.SortStableFunc(out, func(a, b Step) int { return a.At.Compare(b.At) })
	if next := md.Status.NextTransition; next != nil && next.Time.IsZero() && strings.HasPrefix(next.Action, s.Hostname) {
		out = append(out, Step{What: next.Action})
	}
	return out
}

// Wait is a wait under way that has a begin and an end.
type Wait struct {
	From, To time.Time
	// What comes at its end, in words.
	What string
}

// Over is how much of it is over, from 0 to 1.
func (w Wait) Over(now time.Time) float64 {
	return min(max(float64(now.Sub(w.From))/float64(w.To.Sub(w.From)), 0), 1)
}

// Waits are those of a host that are under way and whose end is known: for caches to learn of a key or to forget it, and
// for the end of a time in which senders may fail.
func Waits(s *v1alpha1.MailServerStatus, now time.Time) []Wait {
	var out []Wait
	add := func(from, to *metav1.Time, format string, args ...any) {
		if !from.IsZero() && !to.IsZero() && !from.After(now) && to.After(now) {
			out = append(out, Wait{from.Time, to.Time, fmt.Sprintf(format, args...)})
		}
	}
	for _, k := range s.Keys {
		key := Short(k.SPKISHA256)
		if k.Role == v1alpha1.RoleNext {
			add(k.Since, k.DeployableAt, "key %s may be handed to servers", key)
		}
		gone := k.RemovableAt
		if k.HeldUntil != nil {
			gone = k.HeldUntil
		}
		add(k.GoneSince, gone, "the records of key %s are taken out", key)
	}
	if u := s.Unsafe; u != nil {
		add(u.Since, u.Until, "senders do not fail any more")
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

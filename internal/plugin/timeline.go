package plugin

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// step is something that happened to a host, or will.
type step struct {
	// at is when; zero where that is not known: it is waited for something else.
	at   time.Time
	what string
}

// timeline is what status tells of the current rollover of a host, in the order of time. What has no
// instant yet comes last.
func timeline(md *v1alpha1.MailDomain, s *v1alpha1.MailServerStatus) []step {
	var out []step
	add := func(at *metav1.Time, format string, args ...any) {
		if !at.IsZero() {
			out = append(out, step{at.Time, fmt.Sprintf(format, args...)})
		}
	}
	for _, k := range s.Keys {
		add(k.Since, "key %s of %s became %s", short(k.SPKISHA256), k.Certificate, k.Role)
		if k.Role == v1alpha1.RoleNext {
			add(k.DeployableAt, "key %s may be handed to servers: every cache knows it", short(k.SPKISHA256))
		}
		add(k.GoneSince, "no endpoint presented key %s any more", short(k.SPKISHA256))
		add(k.RemovableAt, "the records of key %s are taken out", short(k.SPKISHA256))
	}
	for _, v := range s.Versions {
		out = append(out, versionSteps(v)...)
	}
	if u := s.Unsafe; u != nil {
		add(u.Since, "senders may fail from here: %s", u.Message)
		add(u.Until, "senders do not fail any more")
	}
	slices.SortStableFunc(out, func(a, b step) int { return a.at.Compare(b.at) })
	if next := md.Status.NextTransition; next != nil && next.Time.IsZero() && strings.HasPrefix(next.Action, s.Hostname) {
		out = append(out, step{what: next.Action})
	}
	return out
}

// versionSteps tells of an answer that caches may hold: since when, and until when.
func versionSteps(v v1alpha1.VersionStatus) []step {
	what := fmt.Sprintf("answers for %s with %s", v.Owner, answerText(v))
	var out []step
	if !v.FirstSeen.IsZero() {
		out = append(out, step{v.FirstSeen.Time, "the first " + what})
	}
	if !v.Open && !v.LastSeen.IsZero() {
		out = append(out, step{v.LastSeen.Time, "the last " + what},
			step{v.LastSeen.Add(time.Duration(v.TTL) * time.Second), "no cache has " + what + " any more"})
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

// writeTimeline writes the steps, and where now is among them.
func writeTimeline(out io.Writer, steps []step, now time.Time) error {
	var rows [][]string
	said := false
	here := func() {
		if !said {
			rows, said = append(rows, []string{stamp(now), "", "*", "now"}), true
		}
	}
	for _, s := range steps {
		if s.at.IsZero() || s.at.After(now) {
			here()
		}
		if s.at.IsZero() {
			rows = append(rows, []string{"", "", "?", s.what})
			continue
		}
		rows = append(rows, []string{stamp(s.at), until(s.at, now), yesNo(s.at.After(now), " ", "x"), s.what})
	}
	here()
	return table(out, []string{"Time", "When", "Done", "Rollover"}, rows)
}

package controllers

import (
	"slices"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// This file remembers what was wrong with a host. Senders report a day later; by then, what name servers and endpoints
// showed has long changed.

const (
	// troubleKept is how long a trouble is remembered that is over: reports come up to a few days later.
	troubleKept = 8 * 24 * time.Hour
	// shortTrouble is what is no matter: a name server takes that long to follow the primary.
	shortTrouble = time.Minute
	// maxTroubles is how many that last, and how many that are over, are remembered.
	maxTroubles = 8
	// maxTroubleText is how long the message of one is.
	maxTroubleText = 256
)

// troubles are what is wrong with a host by its status.
func troubles(s *v1alpha1.MailServerStatus) []v1alpha1.TroubleStatus {
	var out []v1alpha1.TroubleStatus
	add := func(kind v1alpha1.TroubleKind, subject, message string) {
		if !slices.ContainsFunc(out, func(t v1alpha1.TroubleStatus) bool { return t.Kind == kind && t.Subject == subject }) {
			out = append(out, v1alpha1.TroubleStatus{Kind: kind, Subject: subject, Message: truncateText(message, maxTroubleText)})
		}
	}
	for _, n := range s.Nameservers {
		if !n.InSync {
			add(v1alpha1.TroubleNameserver, serverName(n), n.Message)
		}
	}
	for _, e := range s.Endpoints {
		if len(s.Records) > 0 && mismatched(e) {
			add(v1alpha1.TroubleEndpoint, e.Address+" port "+strconv.Itoa(int(e.Port)), e.Message)
		}
	}
	if v := s.SenderView; v != nil && v.Verdict == v1alpha1.SenderUndeliverable {
		add(v1alpha1.TroubleSenderView, "", v.Message)
	}
	if u := s.Unsafe; u != nil {
		add(v1alpha1.TroubleUnsafe, "", u.Message)
	}
	return out
}

// mismatched says that an endpoint presented what no record matched.
func mismatched(e v1alpha1.EndpointStatus) bool {
	return !e.Verified && e.SPKISHA256 != "" && isCompared(e.Message)
}

func serverName(n v1alpha1.NameserverSync) string {
	if n.Name == "" || n.Name == n.Address {
		return n.Address
	}
	return n.Name + " (" + n.Address + ")"
}

// remember adds what is wrong now to what was: what is new begins now, and what is not wrong any more ends now. Where
// nothing begins or ends, all stays as it is: what is too old goes with whatever else changes.
func remember(before, current []v1alpha1.TroubleStatus, now time.Time) []v1alpha1.TroubleStatus {
	in := func(list []v1alpha1.TroubleStatus, t v1alpha1.TroubleStatus) bool {
		return slices.ContainsFunc(list, func(o v1alpha1.TroubleStatus) bool {
			return o.Until == nil && o.Kind == t.Kind && o.Subject == t.Subject
		})
	}
	at := statusTime(now)
	changed := false
	var open, over []v1alpha1.TroubleStatus
	for _, t := range before {
		switch {
		case t.Until != nil:
			over = append(over, t)
			continue
		case in(current, t):
			open = append(open, t)
			continue
		}
		changed = true
		if t.Until = at; at.Sub(t.Since.Time) >= shortTrouble {
			over = append(over, t)
		}
	}
	for _, t := range current {
		if !in(before, t) && len(open) < maxTroubles {
			t.Since, changed = *at, true
			open = append(open, t)
		}
	}
	if !changed {
		return before
	}
	over = slices.DeleteFunc(over, func(t v1alpha1.TroubleStatus) bool { return now.Sub(t.Until.Time) > troubleKept })
	slices.SortStableFunc(over, func(a, b v1alpha1.TroubleStatus) int { return a.Until.Compare(b.Until.Time) })
	out := append(over[max(0, len(over)-maxTroubles):], open...)
	slices.SortStableFunc(out, func(a, b v1alpha1.TroubleStatus) int { return a.Since.Compare(b.Since.Time) })
	return out
}

// overlaps says whether a trouble can be why senders failed in a time: it lasted then, or so shortly before that caches
// still held what it showed.
func overlaps(t v1alpha1.TroubleStatus, from, to metav1.Time, cached time.Duration) bool {
	return !t.Since.After(to.Time) && (t.Until == nil || !t.Until.Add(cached).Before(from.Time))
}

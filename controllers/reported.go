package controllers

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// This file is about what senders report of a MailDomain (RFC 8460), as the receiver of reports has written it to its status.
// All here are pure functions.

const (
	// reportQuiet is how long a report of failures counts as new: senders report once a day, and may miss one.
	reportQuiet = 48 * time.Hour
	// maxReportHold is how long reports keep the records of a key that is gone, at the most.
	maxReportHold = 7 * 24 * time.Hour
	// reportWindow is how long ago a report may have come that is told of.
	reportWindow = 7 * 24 * time.Hour
	// How many failures, and how many troubles with each, a message tells of, and how long the text of one is.
	toldFailures, toldTroubles, toldText = 4, 3, 120
)

// reportsSeen is up to when a person has looked into the reports; problem says what is wrong with the annotation.
func reportsSeen(md *v1alpha1.MailDomain) (seen time.Time, problem string) {
	text, ok := md.Annotations[v1alpha1.ReportsSeenAnnotation]
	if !ok {
		return time.Time{}, ""
	}
	seen, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, "the annotation " + v1alpha1.ReportsSeenAnnotation + " is not heeded: want a time such as 2026-04-01T12:00:00Z"
	}
	return seen, ""
}

// failureReported is when the newest report came in that is proved and tells of a failure of DANE with a host; zero where
// none did, or a person has looked into it.
func failureReported(md *v1alpha1.MailDomain, host string) time.Time {
	if md.Status.TLSReports == nil {
		return time.Time{}
	}
	h := md.Status.TLSReports.Host(host)
	if h == nil || h.LastDANEFailure == nil {
		return time.Time{}
	}
	if seen, _ := reportsSeen(md); !h.LastDANEFailure.After(seen) {
		return time.Time{}
	}
	return h.LastDANEFailure.Time
}

// reportedFinding is the condition SendersReportFailures; nil where no reports are taken in.
func reportedFinding(md *v1alpha1.MailDomain, status *v1alpha1.MailDomainStatus, now time.Time) *finding {
	if status.TLSReports == nil {
		return nil
	}
	seen, problem := reportsSeen(md)
	var counting []v1alpha1.TLSReportFailure
	for _, f := range status.TLSReports.Failures {
		if f.LastReport.After(seen) && now.Sub(f.LastReport.Time) < reportWindow {
			counting = append(counting, f)
		}
	}
	if len(counting) == 0 {
		return &finding{metav1.ConditionFalse, v1alpha1.ReasonNoDANEFailures, problem}
	}
	cached := 2 * time.Duration(md.Spec.TLSA.TTL) * time.Second
	var told []string
	for _, f := range counting[:min(toldFailures, len(counting))] {
		told = append(told, failureText(f)+"; "+seenMeanwhile(f, status.MailServers, cached))
	}
	if len(counting) > toldFailures {
		told = append(told, "and more (kubectl dane reports)")
	}
	return &finding{metav1.ConditionTrue, v1alpha1.ReasonDANEFailures, together(strings.Join(told, ". "), problem)}
}

// failureText says who reported what, and when it was.
func failureText(f v1alpha1.TLSReportFailure) string {
	who := f.Domain
	if f.Organization != "" {
		who += " (" + truncateText(f.Organization, toldText/2) + ")"
	}
	where := f.Hostname
	if where == "" {
		where = "a mail server that it does not name"
	}
	return fmt.Sprintf("%s: %s on %s %s", who, f.Result, where, spanText(f.From.Time, f.To.Time))
}

// seenMeanwhile says what the operator saw at the time of a failure.
func seenMeanwhile(f v1alpha1.TLSReportFailure, servers []v1alpha1.MailServerStatus, cached time.Duration) string {
	var seen []string
	for i := range servers {
		s := &servers[i]
		if f.Hostname != "" && f.Hostname != s.Hostname {
			continue
		}
		for _, t := range s.Troubles {
			if overlaps(t, f.From, f.To, cached) {
				seen = append(seen, troubleText(t))
			}
		}
		seen = append(seen, keysChanged(s, f.From.Add(-cached), f.To.Time)...)
	}
	if len(seen) == 0 {
		return "the operator noted nothing wrong then"
	}
	// A key that was changed is the most telling, and then what began last.
	slices.Reverse(seen)
	if len(seen) > toldTroubles {
		seen = append(seen[:toldTroubles], "and more")
	}
	return "the operator saw: " + strings.Join(seen, ", ")
}

// keysChanged says which keys were taken into use in a time: what senders had cached may have lacked them.
func keysChanged(s *v1alpha1.MailServerStatus, from, to time.Time) []string {
	var out []string
	for _, k := range s.Keys {
		if at := k.Since; k.Role == v1alpha1.RoleCurrent && at != nil && !at.Before(&metav1.Time{Time: from}) && !at.After(to) {
			out = append(out, "key "+shortKey(k.SPKISHA256)+" was taken into use "+stampText(at.Time))
		}
	}
	return out
}

// troubleText is a trouble in words, with its time.
func troubleText(t v1alpha1.TroubleStatus) string {
	what := truncateText(t.Message, toldText)
	switch t.Kind {
	case v1alpha1.TroubleNameserver:
		what = "name server " + t.Subject + " " + what
	case v1alpha1.TroubleEndpoint:
		what = "endpoint " + t.Subject + ": " + what
	}
	if t.Until == nil {
		return what + " since " + stampText(t.Since.Time)
	}
	return what + " " + spanText(t.Since.Time, t.Until.Time)
}

func stampText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// spanText is a time in words: the day is told once where it is one.
func spanText(from, to time.Time) string {
	end := stampText(to)
	if from.UTC().Format(time.DateOnly) == to.UTC().Format(time.DateOnly) {
		end = to.UTC().Format("15:04")
	}
	return "from " + stampText(from) + " to " + end
}

// truncateText cuts a text at a character.
func truncateText(text string, most int) string {
	letters := []rune(text)
	if len(letters) <= most {
		return text
	}
	return string(letters[:most-1]) + "…"
}

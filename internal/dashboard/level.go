// Package dashboard is the page of the operator: which mail servers are safe now, why others are not, and until when to
// wait. It only shows what stands in the status of MailDomains and DNSZones.
//
// What is shown is made by pure functions of the objects and the time (Overview, HostPage, ZonePage). The handler reads
// the objects from the cache of the operator, shows them to those who may list them, and tells browsers when something
// has changed. While nobody looks nothing is watched, and no goroutine runs but that which waits for connections.
package dashboard

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/statusview"
)

// Level is how a mail server or a zone is, the worst first.
type Level int

// The levels.
const (
	// Unsafe: senders fail, or may fail.
	Unsafe Level = iota
	// Attention: no sender fails, and somebody should look.
	Attention
	// Unknown: it is not known whether senders can fail.
	Unknown
	// Moving: safe, and a key is being changed.
	Moving
	// Safe: no sender can fail.
	Safe
)

// Levels are all of them, the worst first.
func Levels() []Level { return []Level{Unsafe, Attention, Unknown, Moving, Safe} }

// Class names the level in style sheets and in addresses.
func (l Level) Class() string {
	return [...]string{"unsafe", "attention", "unknown", "moving", "safe"}[l]
}

// Word names the level of a mail server for people.
func (l Level) Word() string {
	return [...]string{"Unsafe", "Needs attention", "Not known", "Rolling over", "Safe"}[l]
}

// ZoneWord names the level of a zone for people.
func (l Level) ZoneWord() string {
	return [...]string{"Critical", "Needs attention", "Not known", "Changing", "Healthy"}[l]
}

// Sign is a mark that tells the level without colour.
func (l Level) Sign() string { return [...]string{"✕", "!", "?", "↻", "✓"}[l] }

// judgement is a level and what makes it so.
type judgement struct {
	Level  Level
	Reason string
	Why    string
}

// judgeHost says how a mail server is. What another host of the MailDomain suffers from does not concern it.
func judgeHost(md *v1alpha1.MailDomain, host string, s *v1alpha1.MailServerStatus) judgement {
	if s != nil && s.Unsafe != nil {
		return judgement{Unsafe, s.Unsafe.Reason, s.Unsafe.Message}
	}
	if s != nil && s.SenderView != nil && s.SenderView.Verdict == v1alpha1.SenderUndeliverable && !s.SenderView.NotInMX {
		return judgement{Unsafe, v1alpha1.ReasonUndeliverable, s.SenderView.Message}
	}
	safe := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionRolloverSafe)
	for _, look := range []struct {
		kind  string
		bad   metav1.ConditionStatus
		level Level
	}{
		{v1alpha1.ConditionStalled, metav1.ConditionTrue, Attention},
		{v1alpha1.ConditionRolloverSafe, metav1.ConditionUnknown, Unknown},
		{v1alpha1.ConditionReady, metav1.ConditionFalse, Attention},
		{v1alpha1.ConditionReady, metav1.ConditionUnknown, Unknown},
	} {
		c := meta.FindStatusCondition(md.Status.Conditions, look.kind)
		if text, concerns := concerning(md, c, host); concerns && c.Status == look.bad {
			return judgement{look.level, c.Reason, text}
		}
	}
	if safe == nil {
		return judgement{Unknown, v1alpha1.ReasonUnknown, "the operator has not looked at it yet"}
	}
	return judgeRollover(md, host)
}

// judgeRollover says how a mail server is that nothing is wrong with.
func judgeRollover(md *v1alpha1.MailDomain, host string) judgement {
	progress := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionRolloverInProgress)
	text, concerns := concerning(md, progress, host)
	switch {
	case !concerns || progress.Status != metav1.ConditionTrue:
		return judgement{Level: Safe}
	case progress.Reason == v1alpha1.ReasonHeld:
		return judgement{Attention, progress.Reason, text}
	}
	return judgement{Moving, progress.Reason, text}
}

// phaseOf is the reason of RolloverInProgress where a host is in a rollover.
func phaseOf(md *v1alpha1.MailDomain, host string) string {
	c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionRolloverInProgress)
	if _, concerns := concerning(md, c, host); !concerns || c.Status != metav1.ConditionTrue {
		return ""
	}
	return c.Reason
}

// concerning is what a condition says of one host, and whether it concerns that at all: messages of several hosts stand
// behind their names, "HOST: message; HOST: message", and a message without a name concerns all.
func concerning(md *v1alpha1.MailDomain, c *metav1.Condition, host string) (string, bool) {
	if c == nil {
		return "", false
	}
	var hosts []string
	for i := range md.Spec.MailServers {
		hosts = append(hosts, md.Spec.MailServers[i].Hostname)
	}
	named, mine, about := false, []string(nil), ""
	for _, part := range strings.Split(c.Message, "; ") {
		name, text, found := strings.Cut(part, ": ")
		if found && slices.Contains(hosts, name) {
			named, about, part = true, name, text
		}
		if about == host || about == "" {
			mine = append(mine, part)
		}
	}
	return strings.Join(mine, "; "), !named || len(mine) > 0
}

// judgeZone says how a zone is.
func judgeZone(dz *v1alpha1.DNSZone) judgement {
	worst := func(severity v1alpha1.FindingSeverity) *v1alpha1.ZoneFinding {
		for i := range dz.Status.DNSSEC.Findings {
			if f := &dz.Status.DNSSEC.Findings[i]; f.Severity == severity {
				return f
			}
		}
		return nil
	}
	if f := worst(v1alpha1.FindingCritical); f != nil {
		return judgement{Unsafe, f.Code, f.Message}
	}
	ready := meta.FindStatusCondition(dz.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case dz.Status.DNSSEC.State == v1alpha1.DNSSECStateBogus:
		return judgement{Unsafe, v1alpha1.ReasonBogus, messageOf(dz.Status.Conditions, v1alpha1.ConditionDNSSECSecure)}
	case ready == nil:
		return judgement{Unknown, v1alpha1.ReasonUnknown, "the operator has not looked at it yet"}
	case ready.Status == metav1.ConditionUnknown:
		return judgement{Unknown, ready.Reason, ready.Message}
	case !statusview.Healthy(dz):
		return judgement{Attention, ready.Reason, ready.Message}
	}
	if f := worst(v1alpha1.FindingWarning); f != nil {
		return judgement{Attention, f.Code, f.Message}
	}
	return judgement{Level: Safe}
}

func messageOf(conditions []metav1.Condition, kind string) string {
	if c := meta.FindStatusCondition(conditions, kind); c != nil {
		return c.Message
	}
	return ""
}

package controllers

import (
	"slices"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// This file says how often it is looked at what senders do, and what is believed of what is seen.

const (
	// senderShare is what the MailDomains at rest share: one look a second, however many there are.
	senderShare = time.Second
	// senderGap lies between any two looks, so that changes have as much again for themselves.
	senderGap = 500 * time.Millisecond
	// senderRests stands for so many looks since the last change that the next one has time.
	senderRests = 64
)

// senderPace is how often it is looked at what senders do with mail for a MailDomain.
type senderPace struct {
	key hostKey
	// soon is how long after a change, by when caches may still hold what was before: each further look
	// waits twice as long, until idle.
	soon, idle time.Duration
}

// senderPaceOf is the pace of one of so many MailDomains. At rest it is that of the probes.
func senderPaceOf(run *domainRun, domains int) senderPace {
	interval := time.Hour
	for _, h := range run.hosts {
		if h.zone != nil {
			interval = min(interval, h.zone.Spec.Propagation.Interval.Or(10*time.Second))
		}
	}
	if interval == time.Hour {
		interval = 10 * time.Second
	}
	idle := min(max(probeIntervals*interval, 30*time.Second), time.Hour)
	return senderPace{
		key:  hostKey{domain: run.key()},
		soon: min(max(soakIntervals*interval, 2*time.Second), idle),
		idle: max(idle, time.Duration(domains)*senderShare),
	}
}

// every is how long to wait after so many looks since the last change.
func (p senderPace) every(looks int) time.Duration {
	every := p.soon
	for ; looks > 0 && every < p.idle; looks-- {
		every *= 2
	}
	return min(every, p.idle)
}

// due says how long the next look can wait, after a look or a change at since. At rest each MailDomain has
// instants of its own.
func (p senderPace) due(now, since time.Time, looks int) time.Duration {
	every := p.every(looks)
	if every < p.idle {
		return since.Add(every).Sub(now)
	}
	return nextTurn(since, every, p.key).Sub(now)
}

// believed says whether a view takes the place of the one known before, which is nil in the beginning. What
// is no better has to be seen twice in a row: one lost packet, or one server that is late, is no news.
// Doubted is what the look before saw and was not believed in; nil when there is none.
func believed(known, doubted *v1alpha1.SenderViewStatus, seen v1alpha1.SenderViewStatus) bool {
	again := doubted != nil && doubted.Verdict == seen.Verdict
	switch {
	case known == nil:
		return seen.Verdict != v1alpha1.SenderUndeliverable || again
	case known.Verdict == seen.Verdict:
		return doubted != nil && *doubted == seen // other words alone
	}
	return strength(seen.Verdict) > strength(known.Verdict) || again
}

// strength ranks verdicts.
func strength(v v1alpha1.SenderVerdict) int {
	return slices.Index([]v1alpha1.SenderVerdict{
		v1alpha1.SenderUndeliverable, v1alpha1.SenderOpportunistic, v1alpha1.SenderEncryptOnly, v1alpha1.SenderDANE,
	}, v)
}

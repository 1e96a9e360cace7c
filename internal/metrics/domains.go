package metrics

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

func conditions(to *sink, md *v1alpha1.MailDomain) {
	for i := range md.Status.Conditions {
		c := &md.Status.Conditions[i]
		to.add(1, c.Type, string(c.Status), c.Reason)
	}
}

func nextTransition(to *sink, md *v1alpha1.MailDomain) {
	if t := md.Status.NextTransition; t != nil {
		to.addTime(t.Time)
	}
}

// host is a mail server with what is known of it.
type host struct {
	domain *v1alpha1.MailDomain
	spec   *v1alpha1.MailServer
	status *v1alpha1.MailServerStatus
}

// eachHost shows something of each host of a MailDomain that anything is known of.
func eachHost(show func(*sink, host)) func(*sink, *v1alpha1.MailDomain) {
	return func(to *sink, md *v1alpha1.MailDomain) {
		for i := range md.Spec.MailServers {
			server := &md.Spec.MailServers[i]
			if status := md.Status.MailServer(server.Hostname); status != nil {
				to.begin(md.Namespace, md.Name, server.Hostname)
				show(to, host{md, server, status})
			}
		}
	}
}

// safe says whether senders may fail. What is not known of the domain as a whole is not claimed of a host.
func safe(to *sink, h host) {
	if h.status.Unsafe != nil {
		to.add(0)
		return
	}
	c := meta.FindStatusCondition(h.domain.Status.Conditions, v1alpha1.ConditionRolloverSafe)
	if c != nil && c.Status != metav1.ConditionUnknown {
		to.add(1)
	}
}

func unsafeStart(to *sink, h host) {
	if u := h.status.Unsafe; u != nil {
		to.addTime(u.Since, u.Reason)
	}
}

func unsafeEnd(to *sink, h host) {
	if u := h.status.Unsafe; u != nil {
		to.addTime(u.Until)
	}
}

// mismatchStart is that of the mismatch which has lasted longest: status remembers since when each is there.
func mismatchStart(to *sink, h host) {
	var first metav1.Time
	for _, t := range h.status.Troubles {
		if t.Kind == v1alpha1.TroubleEndpoint && t.Until == nil && (first.IsZero() || t.Since.Before(&first)) {
			first = t.Since
		}
	}
	if !first.IsZero() {
		to.addTime(&first)
	}
}

func senderView(to *sink, h host) {
	if v := h.status.SenderView; v != nil {
		to.add(1, string(v.Verdict))
	}
}

func nameServers(to *sink, h host) {
	inSync, differs := 0, 0
	for i := range h.status.Nameservers {
		if h.status.Nameservers[i].InSync {
			inSync++
		} else {
			differs++
		}
	}
	to.add(float64(inSync), "in_sync")
	to.addSome(differs, "out_of_sync")
}

func endpoints(to *sink, h host) {
	verified, mismatched, unknown := 0, 0, 0
	for i := range h.status.Endpoints {
		switch e := &h.status.Endpoints[i]; {
		case e.Verified:
			verified++
		case e.SPKISHA256 != "":
			mismatched++
		default:
			unknown++
		}
	}
	to.add(float64(verified), "verified")
	to.addSome(mismatched, "mismatched")
	to.addSome(unknown, "unknown")
}

package metrics

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// sample is one series.
type sample struct {
	desc   *family
	value  float64
	labels []string
}

// samplesOf is all that is shown of a MailDomain.
func samplesOf(md *v1alpha1.MailDomain) []sample {
	labels := []string{md.Namespace, md.Name}
	var out []sample
	for _, c := range md.Status.Conditions {
		out = append(out, sample{conditionState, 1, with(labels, c.Type, string(c.Status), c.Reason)})
	}
	if t := md.Status.NextTransition; t != nil {
		out = appendTime(out, nextTransition, t.Time, labels...)
	}
	for i := range md.Spec.MailServers {
		server := &md.Spec.MailServers[i]
		if status := md.Status.MailServer(server.Hostname); status != nil {
			out = append(out, hostSamples(md, server, status)...)
		}
	}
	return out
}

// hostSamples is all that is shown of one host.
func hostSamples(md *v1alpha1.MailDomain, server *v1alpha1.MailServer, status *v1alpha1.MailServerStatus) []sample {
	labels := []string{md.Namespace, md.Name, server.Hostname}
	out := safetyOf(md, status, labels)
	if v := status.SenderView; v != nil {
		out = append(out, sample{senderView, 1, with(labels, string(v.Verdict))})
	}
	out = append(out, serversOf(status, labels)...)
	return append(out, keysOf(md, server, status, labels)...)
}

// safetyOf says whether senders may fail. What is not known of the domain as a whole is not claimed of a host.
func safetyOf(md *v1alpha1.MailDomain, status *v1alpha1.MailServerStatus, labels []string) []sample {
	if u := status.Unsafe; u != nil {
		out := []sample{{hostSafe, 0, labels}}
		out = appendTime(out, unsafeStart, u.Since, with(labels, u.Reason)...)
		return appendTime(out, unsafeEnd, u.Until, labels...)
	}
	c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionRolloverSafe)
	if c == nil || c.Status == metav1.ConditionUnknown {
		return nil
	}
	return []sample{{hostSafe, 1, labels}}
}

// serversOf counts name servers and endpoints. Every state is there, with 0 where there is none.
func serversOf(status *v1alpha1.MailServerStatus, labels []string) []sample {
	inSync, differs := 0, 0
	for _, n := range status.Nameservers {
		if n.InSync {
			inSync++
		} else {
			differs++
		}
	}
	verified, mismatched, unknown := 0, 0, 0
	for _, e := range status.Endpoints {
		switch {
		case e.Verified:
			verified++
		case e.SPKISHA256 != "":
			mismatched++
		default:
			unknown++
		}
	}
	return []sample{
		{nameServers, float64(inSync), with(labels, "in_sync")},
		{nameServers, float64(differs), with(labels, "out_of_sync")},
		{endpoints, float64(verified), with(labels, "verified")},
		{endpoints, float64(mismatched), with(labels, "mismatched")},
		{endpoints, float64(unknown), with(labels, "unknown")},
	}
}

// with is a copy of labels with more of them.
func with(labels []string, more ...string) []string {
	return append(labels[:len(labels):len(labels)], more...)
}

// appendTime adds an instant that is known.
func appendTime(to []sample, desc *family, at *metav1.Time, labels ...string) []sample {
	if at.IsZero() {
		return to
	}
	return append(to, sample{desc, float64(at.Unix()), labels})
}

package controllers

import (
	"net"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/rollover"
)

// verifiedFinding: every endpoint presents a chain that matches what the servers show.
func verifiedFinding(_ *domainRun, h *hostRun) finding {
	switch {
	case h.server.Probe.Mode == v1alpha1.ProbeDisabled:
		return finding{metav1.ConditionTrue, v1alpha1.ReasonProbeDisabled, "the endpoints are not probed"}
	case h.notManaged && h.decided && len(h.decision.Owners) > 0 && noRecords(h):
		return finding{metav1.ConditionUnknown, v1alpha1.ReasonNothingPublished, "it is somebody else's, and has no TLSA records"}
	case h.notManaged && h.refused != nil:
		return finding{metav1.ConditionUnknown, v1alpha1.ReasonNotManaged, "it is somebody else's, and no DNSZone that this namespace may use covers it: it is not checked"}
	case !h.decided || h.view.last == nil:
		return finding{metav1.ConditionUnknown, v1alpha1.ReasonUnknown, "no endpoint has been probed yet"}
	case !h.decision.Published && !h.notManaged:
		return finding{metav1.ConditionUnknown, v1alpha1.ReasonNothingPublished, "there are no records to compare with yet"}
	}
	return compareEndpoints(h)
}

// noRecords says whether the servers have answered, and none shows a record.
func noRecords(h *hostRun) bool {
	return !slices.ContainsFunc(h.decision.Owners, func(o rollover.OwnerDecision) bool {
		seen := h.view.owners[o.Name].last
		return seen == nil || len(shown(seen)) > 0
	})
}

// compareEndpoints says what the endpoints present, compared with what the servers show.
func compareEndpoints(h *hostRun) finding {
	var bad, refusing, unknown []string
	for _, e := range h.view.probes {
		for _, s := range endpointStatus(h, e) {
			switch {
			case refusesTLS(e):
				refusing = append(refusing, endpointLine(s))
			case s.SPKISHA256 == "" || !isCompared(s.Message):
				unknown = append(unknown, endpointLine(s))
			case !s.Verified:
				bad = append(bad, endpointLine(s))
			}
		}
	}
	switch {
	case len(bad) > 0:
		return finding{metav1.ConditionFalse, v1alpha1.ReasonMismatch, strings.Join(append(bad, refusing...), "; ")}
	case len(refusing) > 0:
		return finding{metav1.ConditionFalse, v1alpha1.ReasonNoTLS, strings.Join(refusing, "; ")}
	case len(unknown) > 0:
		return finding{metav1.ConditionUnknown, v1alpha1.ReasonUnreachable, strings.Join(unknown, "; ")}
	}
	return finding{metav1.ConditionTrue, v1alpha1.ReasonVerified, ""}
}

// refusesTLS says that a server answered and has no TLS at an endpoint: who found TLSA records does not
// deliver there (RFC 7672 section 2.2).
func refusesTLS(e endpointProbe) bool {
	return len(e.results) > 0 && !slices.ContainsFunc(e.results, func(r probe.Result) bool { return r.Outcome != probe.NoTLS })
}

// endpointLine is what is found at an endpoint, with its address: a probe's own message begins with one.
func endpointLine(s v1alpha1.EndpointStatus) string {
	if strings.HasPrefix(s.Message, s.Address+":") || strings.HasPrefix(s.Message, "["+s.Address+"]:") {
		return s.Message
	}
	if s.Port == 0 { // it is not known of any port
		return s.Address + ": " + s.Message
	}
	return net.JoinHostPort(s.Address, strconv.Itoa(int(s.Port))) + ": " + s.Message
}

package tlsrpt

import (
	"encoding/json"
	"slices"
	"strings"
)

// policy makes a policy of what was read, and notes what deviates.
func (w wirePolicy) policy(n *notes) (Policy, error) {
	p := Policy{
		Type: policyType(w.Policy.Type.value, n), Domain: hostName(w.Policy.Domain.value),
		Successful: w.Summary.Successful.value, Failed: w.Summary.Failed.value,
	}
	n.when(p.Domain == "", "policy-domain missing")
	n.when(!w.Summary.Successful.seen, "total-successful-session-count missing")
	n.when(!w.Summary.Failed.seen, "total-failure-session-count missing")
	p.Strings = w.strings(n)
	p.MXHosts = w.hosts(n)
	n.when((p.Type == TLSA || p.Type == STS) && len(p.Strings) == 0, "policy-string missing")
	n.when(p.Type == STS && len(p.MXHosts) == 0, "sts policy without mx-host")
	sum := int64(0)
	for _, f := range w.Failures {
		failure, err := f.failure(n)
		if err != nil {
			return Policy{}, err
		}
		p.Failures = append(p.Failures, failure)
		sum += failure.Sessions
	}
	n.when(len(p.Failures) > 0 && w.Summary.Failed.seen && sum > p.Failed,
		"sum of failed-session-count exceeds total-failure-session-count")
	return p, nil
}

func policyType(name string, n *notes) PolicyType {
	t := PolicyType(strings.ToLower(strings.TrimSpace(name)))
	if t == TLSA || t == STS || t == NoPolicyFound {
		return t
	}
	n.when(true, "policy-type '"+CleanText(name)+"' not in RFC 8460")
	return OtherPolicy
}

// strings are the lines of the policy. Microsoft writes the TLSA records as a list within one string.
func (w wirePolicy) strings(n *notes) []string {
	values := w.Policy.Strings.values
	n.when(w.Policy.Strings.isPlain, "policy-string is a string")
	if len(values) == 1 && strings.HasPrefix(values[0], "[") {
		var inner []string
		if json.Unmarshal([]byte(values[0]), &inner) == nil {
			n.when(true, "policy-string is one string that holds a list")
			values = inner
		}
	}
	return cleanAll(values, CleanText)
}

// hosts are the names of the mail hosts. Some senders give the lines of the policy.
func (w wirePolicy) hosts(n *notes) []string {
	n.when(w.Policy.MXHosts.isPlain, "mx-host is a string")
	return cleanAll(w.Policy.MXHosts.values, func(s string) string {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(s), "mx:"); ok {
			n.when(true, `mx-host with "mx: " before it`)
			s = rest
		}
		return hostName(s)
	})
}

// maxStrings is how many lines of a policy are kept.
const maxStrings = 128

func cleanAll(in []string, clean func(string) string) []string {
	var out []string
	for _, s := range in[:min(len(in), maxStrings)] {
		out = append(out, clean(s))
	}
	return out
}

func (w wireFailure) failure(n *notes) (Failure, error) {
	f := Failure{
		Result: resultType(w.Result.value, n), Sessions: w.Sessions.value,
		ReceivingMX: hostName(w.MX.value), ReceivingHELO: CleanText(w.HELO.value),
		ReceivingIP: CleanText(w.ReceivingIP.value), SendingIP: CleanText(w.SendingIP.value),
		Reason: CleanText(w.Reason.value), Information: CleanText(w.Information.value),
	}
	if w.Result.value == "" {
		return Failure{}, malformed("failure-details has no result-type")
	}
	n.when(!w.Sessions.seen, "failed-session-count missing")
	n.when(f.SendingIP == "", "failure-details without sending-mta-ip")
	n.when(f.ReceivingMX == "", "failure-details without receiving-mx-hostname")
	return f, nil
}

func resultType(name string, n *notes) ResultType {
	t := ResultType(strings.ToLower(strings.TrimSpace(name)))
	if t != OtherResult && slices.Contains(ResultTypes(), t) {
		return t
	}
	n.when(true, "result-type '"+CleanText(name)+"' not in RFC 8460")
	return OtherResult
}

package zone

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// TestAnAliasIsNoZone: the DS records at the end of an alias belong to another zone, whatever its state.
func TestAnAliasIsNoZone(t *testing.T) {
	hop := dnssec.Hop{Name: testZone, Target: "other.", State: dnssec.Secure}
	broken := hop
	broken.State = dnssec.Insecure
	cause := &dnssec.Error{Reason: dnssec.UnsignedDelegation, Zone: "other.", Subject: "other. DS"}
	for _, c := range []struct {
		reason string
		got    dnssec.Result
		says   string
	}{
		{"to nothing", dnssec.Result{State: dnssec.Secure, Kind: dnssec.NoData, Hops: []dnssec.Hop{hop}}, "is an alias of other."},
		{"to a zone that has DS records", dnssec.Result{State: dnssec.Secure, Kind: dnssec.Data, Zone: ".", RRs: []dns.RR{rootAnchor()}, Hops: []dnssec.Hop{hop}}, "is an alias of other."},
		{"to what is insecure", dnssec.Result{State: dnssec.Insecure, Kind: dnssec.NoData, Cause: cause, Hops: []dnssec.Hop{hop}}, "is an alias of other."},
		{"that is not secure itself says nothing", dnssec.Result{State: dnssec.Insecure, Kind: dnssec.NoData, Cause: cause, Hops: []dnssec.Hop{broken}}, "is insecure too"},
	} {
		e, _ := enter(t.Context(), testZone, &fakeResolver{ds: c.got})
		if e.err == nil || len(e.ds) > 0 || !strings.Contains(e.err.Error(), c.says) {
			t.Errorf("an alias %s: %+v", c.reason, e)
		}
	}
}

// TestExtendedErrorsAreShown: those of the answer that a state rests on, with who sent them.
func TestExtendedErrorsAreShown(t *testing.T) {
	const first, second = "192.0.2.1:53", "192.0.2.2:53"
	for _, c := range []struct {
		reason string
		why    dnssec.Reason
		// subject that the cause is about; cause are its extended errors, answer those of the answer of a server.
		subject       string
		cause, answer []string
		server        string
		says, not     string
	}{
		{"a bogus answer", dnssec.Expired, "example.test. DS", []string{"Signature Expired: x"}, []string{"Signature Expired: x"}, first,
			"(the server says: Signature Expired: x)", "gave the answer"},
		{"the proof that makes it insecure", dnssec.UnsignedDelegation, "test. DS", []string{"Other: proof"}, []string{"Other: proof"}, first,
			"(the server says: Other: proof)", "gave the answer"},
		{"an insecure answer of another server", dnssec.UnsignedDelegation, "test. DS", nil, []string{"Stale Answer", "Other: old"}, second,
			"; server 192.0.2.2:53, which gave the answer, says: Stale Answer; Other: old", "the server says"},
		{"no answer, and why", dnssec.Unreachable, "test. DS", []string{"Signature Expired"}, nil, first,
			"is for whoever runs that server, or the zone, to mend (the server says: Signature Expired)", "port 53"},
		{"no answer", dnssec.Unreachable, "test. DS", nil, nil, first, "port 53, UDP and TCP", "the server says"},
		{"somebody who intercepts", dnssec.NoSignature, ". DNSKEY", []string{"Filtered"}, nil, first, "(the server says: Filtered)", "gave the answer"},
		{"none", dnssec.UnsignedDelegation, "test. DS", nil, nil, second, "is insecure too", "says:"},
	} {
		cause := &dnssec.Error{Reason: c.why, Zone: "test.", Server: first, Subject: c.subject, Detail: "so it is", Extended: c.cause}
		got := dnssec.Result{State: cause.State(), Cause: cause, Server: c.server, Extended: c.answer}
		e, _ := enter(t.Context(), testZone, &fakeResolver{ds: got})
		if e.err == nil || !strings.Contains(e.err.Error(), c.says) || strings.Contains(e.err.Error(), c.not) {
			t.Errorf("%s: %v", c.reason, e.err)
		}
	}
}

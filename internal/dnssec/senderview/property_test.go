package senderview

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

var (
	states = rapid.SampledFrom([]dnssec.State{dnssec.Secure, dnssec.Secure, dnssec.Insecure, dnssec.Bogus, dnssec.Indeterminate, ""})
	kinds  = rapid.SampledFrom([]dnssec.Kind{dnssec.Data, dnssec.Data, dnssec.NoData, dnssec.NXDomain, dnssec.Alias, dnssec.TooLong, ""})
)

func drawAnswer(t *rapid.T, hops []Link) Answer {
	return Answer{State: states.Draw(t, "state"), Kind: kinds.Draw(t, "kind"), Hops: hops}
}

func drawHost(t *rapid.T) Host {
	h := Host{Name: server}
	var hops []Link
	if rapid.Bool().Draw(t, "alias") {
		hops = []Link{alias(states.Draw(t, "hop"))}
	}
	h.A, h.AAAA = drawAnswer(t, hops), drawAnswer(t, hops)
	for _, base := range []string{server, target} {
		if rapid.IntRange(0, 9).Draw(t, "known") == 0 {
			continue
		}
		tlsa := TLSA{Base: base, Answer: drawAnswer(t, nil), Usable: rapid.IntRange(0, 2).Draw(t, "usable")}
		for range rapid.IntRange(0, 2).Draw(t, "endpoints") {
			tlsa.Endpoints = append(tlsa.Endpoints, Endpoint{Address: "192.0.2.1",
				Presented: rapid.SampledFrom([]Presented{Matched, Mismatched, NoTLS, Unreachable, ""}).Draw(t, "presented")})
		}
		h.TLSA = append(h.TLSA, tlsa)
	}
	return h
}

// broken says that a lookup failed, written apart from the code under test.
func broken(a Answer) bool {
	bad := func(s dnssec.State) bool { return s != dnssec.Secure && s != dnssec.Insecure }
	for _, h := range a.Hops {
		if bad(h.State) {
			return true
		}
	}
	return bad(a.State) || a.Kind != dnssec.Data && a.Kind != dnssec.NoData && a.Kind != dnssec.NXDomain
}

func allSecure(a Answer) bool {
	for _, h := range a.Hops {
		if h.State != dnssec.Secure {
			return false
		}
	}
	return a.State == dnssec.Secure
}

// TestNoFailureIsAnAbsence: whatever fails of what a sender asks for, mail is not delivered as if there
// were nothing; and what is not secure authenticates nobody.
func TestNoFailureIsAnAbsence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHost(t)
		d := Domain{Name: domain, MX: drawAnswer(t, nil), Exchanges: []string{server}, Hosts: []Host{h}}
		d.MX.Kind = dnssec.Data
		if rapid.IntRange(0, 3).Draw(t, "good MX") > 0 {
			d.MX.State = dnssec.Secure
		}
		view := View(d)
		if broken(d.MX) {
			if view.Verdict != Undeliverable {
				t.Fatalf("the MX lookup failed: %s", view.Verdict)
			}
			return
		}
		checkFailures(t, d, h, view.Hosts[0])
		checkDANE(t, d, h, view.Hosts[0])
	})
}

// checkFailures looks for verdicts that a failure must rule out.
func checkFailures(t *rapid.T, d Domain, h Host, v HostView) {
	reachable := !broken(h.A) && h.A.Kind == dnssec.Data || !broken(h.AAAA) && h.AAAA.Kind == dnssec.Data
	if !reachable && v.Verdict != Undeliverable {
		t.Fatalf("there is no address: %+v", v)
	}
	if v.Verdict != Opportunistic && v.Verdict != EncryptOnly {
		return
	}
	if d.MX.State == dnssec.Insecure {
		if v.Verdict == EncryptOnly {
			t.Fatalf("the MX records are insecure: %+v", v)
		}
		return
	}
	for _, base := range asked(h) {
		found := h.at(base)
		if broken(found.Answer) {
			t.Fatalf("the TLSA lookup of %s failed: %+v", base, v)
		}
		if v.Base == base {
			break
		}
	}
}

// asked is where a sender with secure MX records looks for TLSA records, in its order.
func asked(h Host) []string {
	for _, a := range []Answer{h.A, h.AAAA} {
		if !broken(a) && a.Kind == dnssec.Data && allSecure(a) {
			if len(a.Hops) > 0 {
				return []string{target, server}
			}
			return []string{server}
		}
	}
	for _, a := range []Answer{h.A, h.AAAA} {
		if !broken(a) && a.Kind == dnssec.Data && len(a.Hops) > 0 && a.Hops[0].State == dnssec.Secure {
			return []string{server}
		}
	}
	return nil
}

// checkDANE looks for servers that are authenticated by what is not secure, or that do not match.
func checkDANE(t *rapid.T, d Domain, h Host, v HostView) {
	if v.Verdict != DANE && v.Verdict != EncryptOnly {
		return
	}
	found := h.at(v.Base)
	if !allSecure(d.MX) || !allSecure(found.Answer) || found.Answer.Kind != dnssec.Data {
		t.Fatalf("not every link is secure: %+v", v)
	}
	if (v.Verdict == DANE) != (found.Usable > 0) {
		t.Fatalf("%d usable records: %+v", found.Usable, v)
	}
	for _, e := range found.Endpoints {
		if e.Presented == NoTLS || v.Verdict == DANE && e.Presented != Matched && e.Presented != Unreachable {
			t.Fatalf("%s: %+v", e.Presented, v)
		}
	}
}

package zone

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// TestParentOfSomebodyElseIsValidated: its DS and DSYNC answers are judged by the keys that a trust anchor leads to, unless
// the zone has a trust anchor of its own.
func TestParentOfSomebodyElseIsValidated(t *testing.T) {
	bogus := &dnssec.Error{Reason: dnssec.BadSignature, Subject: "test. DNSKEY", Detail: "it does not verify"}
	unsigned := &dnssec.Error{Reason: dnssec.UnsignedDelegation, Subject: "test. DS", Detail: "so it is"}
	record := dsync(t, "_dsync.test.", dns.TypeCDS, 1, 5300, "scanner.test.")
	secure := dnssec.Result{State: dnssec.Secure, Kind: dnssec.Data, RRs: []dns.RR{record}}
	for _, c := range []struct {
		reason string
		keys   dnssec.ZoneState
		dsync  dnssec.Result
		own    bool
		state  dnssec.State
		// targets is how many there are, problem what keeps them from being used.
		targets int
		problem string
	}{
		{"the parent is bogus", dnssec.ZoneState{State: dnssec.Bogus, Cause: bogus}, dnssec.Result{State: dnssec.Bogus, Cause: bogus}, false, dnssec.Bogus, 0, "nobody is notified"},
		{"only DSYNC is bogus", dnssec.ZoneState{State: dnssec.Insecure, Cause: unsigned}, dnssec.Result{State: dnssec.Bogus, Cause: bogus}, false, dnssec.Insecure, 0, "does not verify"},
		{"the parent is unsigned", dnssec.ZoneState{State: dnssec.Insecure, Cause: unsigned}, dnssec.Result{State: dnssec.Insecure, RRs: []dns.RR{record}}, false, dnssec.Insecure, 1, ""},
		{"the resolver tells of a record that there is not", dnssec.ZoneState{State: dnssec.Insecure, Cause: unsigned}, dnssec.Result{State: dnssec.Secure, Kind: dnssec.NoData}, false, dnssec.Insecure, 0, ""},
		{"nobody can tell", dnssec.ZoneState{State: dnssec.Indeterminate, Cause: bogus}, secure, false, dnssec.Indeterminate, 1, ""},
		{"the zone has a trust anchor of its own", dnssec.ZoneState{State: dnssec.Bogus, Cause: bogus}, dnssec.Result{State: dnssec.Bogus, Cause: bogus}, true, dnssec.Indeterminate, 1, ""},
		{"its keys do not sign what its servers say", dnssec.ZoneState{State: dnssec.Secure, Keys: keysOfOthers(t)}, secure, false, dnssec.Bogus, 1, ""},
	} {
		d := newDelegation(t)
		d.parent.rr("example.test. 300 DS 1 13 2 " + strings.Repeat("ab", 32))
		d.resolver.set(record)
		d.resolver.rr("test. 300 SOA a. b. 1 1 1 1 1")
		d.cfg.Anchors = []*dns.DS{rootAnchor()}
		if c.own {
			d.cfg.Anchors = append(d.cfg.Anchors, d.child.ds())
		}
		d.opts.NewResolver = resolving(&fakeResolver{
			lookup: func(string, uint16) dnssec.Result { return c.dsync }, keys: func(string) dnssec.ZoneState { return c.keys },
		})
		look := newKnowledge(t.Context(), d.opts).lookAtParent(t.Context(), d.cfg)
		if len(look.Answers) != 1 || look.Answers[0].Problem != "" || look.Answers[0].State != c.state || len(look.Answers[0].DS) != 1 {
			t.Errorf("%s: %+v", c.reason, look)
		}
		if len(look.Targets) != c.targets || !strings.Contains(look.TargetsProblem, c.problem) || (c.problem == "") != (look.TargetsProblem == "") {
			t.Errorf("%s: targets %v, %q", c.reason, look.Targets, look.TargetsProblem)
		}
	}
}

// keysOfOthers are trusted keys that sign nothing of what is asked.
func keysOfOthers(t *testing.T) *dnssec.Keys {
	t.Helper()
	key := dns.Copy(newFakeServer(t).dnskey)
	key.Header().Name = "test."
	keys := dnssec.NewCache().UntrustedKeys("test.", []dns.RR{key})
	if keys == nil {
		t.Fatal("there are no keys")
	}
	return keys
}

package controllers

import (
	"slices"
	"testing"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// TestSharedEnds: owners that are written at one name are told of each other, within a host and between
// hosts, and of nobody else.
func TestSharedEnds(t *testing.T) {
	z, other := dnsZone("mail", "com", "example.com"), dnsZone("mail", "net", "example.net")
	record := func(data string) tlsa.Record {
		return tlsa.Record{Parameters: tlsa.Parameters{Usage: 3, Selector: 1, MatchingType: 1}, Data: data}
	}
	bed := func(hostname string, own string, port int32, e ending) *hostRun {
		h := &hostRun{server: host(hostname, port, "crt"), zone: &z, decided: true, ends: map[string]ending{ownerName(hostname, port): e}}
		h.facts.Owners = []rollover.Owner{{Name: ownerName(hostname, port), Port: port, Written: []tlsa.Record{record(own + own)}}}
		h.decision.Owners = []rollover.OwnerDecision{{Name: ownerName(hostname, port), Own: []tlsa.Record{record(own)}}}
		return h
	}
	const end = "_25._tcp.mx2.example.com."
	at := ending{end: end, zone: &z}
	cases := []struct {
		reason   string
		second   *hostRun
		undo     func(*hostRun)
		shared   []tlsa.Record
		written  int
		hasPeers bool
	}{
		{"another host at the same name", bed("mx2.example.com", "bb", 25, at), nil, []tlsa.Record{record("bb")}, 2, true},
		{"the host whose name it is", bed("mx2.example.com", "bb", 25, ending{zone: &z}), nil, []tlsa.Record{record("bb")}, 2, true},
		{"another port of it", bed("mx2.example.com", "bb", 465, ending{zone: &z}), nil, nil, 1, false},
		{"the same name in another DNSZone", bed("mx2.example.com", "bb", 25, ending{end: end, zone: &other}), nil, nil, 1, false},
		{"another name", bed("mx2.example.com", "bb", 25, ending{end: "tlsa2.example.com.", zone: &z}), nil, nil, 1, false},
		{"one that may not be written", bed("mx2.example.com", "bb", 25, ending{end: end}), nil, nil, 1, false},
		{"one that is being taken out is no peer", bed("mx2.example.com", "bb", 25, at), func(h *hostRun) { h.removing = true }, []tlsa.Record{record("bb")}, 2, false},
		{"nor is one that is refused", bed("mx2.example.com", "bb", 25, at), func(h *hostRun) { h.refused = &refusal{} }, []tlsa.Record{record("bb")}, 2, false},
		{"somebody else's host is nobody's business", bed("mx2.example.com", "bb", 25, at), func(h *hostRun) { h.notManaged = true }, nil, 1, false},
		{"of a host that nothing is decided for, the records of status stay", bed("mx2.example.com", "bb", 25, at), func(h *hostRun) {
			h.decided, h.facts, h.decision, h.ends = false, rollover.Facts{}, rollover.Decision{}, nil
			h.written = []tlsa.Record{record("cc")}
			h.previous = &v1alpha1.MailServerStatus{Aliases: []v1alpha1.AliasStatus{{End: end, ZoneRef: &v1alpha1.ZoneReference{Namespace: "mail", Name: "com"}}}}
		}, []tlsa.Record{record("cc")}, 1, false},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			first := bed("mx1.example.com", "aa", 25, at)
			if c.undo != nil {
				c.undo(c.second)
			}
			(&domainRun{hosts: []*hostRun{first, c.second}}).shareEnds()
			o := first.facts.Owners[0]
			if !slices.Equal(o.Shared, c.shared) || len(o.Written) != c.written || len(o.Peers) > 0 != c.hasPeers {
				t.Errorf("shared %v, written %v, peers %+v", o.Shared, o.Written, o.Peers)
			}
		})
	}
}

// Package sendercheck finds out how senders with DANE see a mail domain: what they look up (senderview) is looked up,
// the mail servers are connected to (probe), and what they present is judged by their records (tlsa). The rest of the
// domain is graded beside that (mailrecord): what other senders, and receivers of its own mail, go by.
package sendercheck

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/probe"
)

// Checker looks at mail domains from where it runs.
type Checker struct {
	// Resolver validates what it looks up.
	Resolver senderview.Resolver
	// Prober connects to mail servers; nil connects to none, and they are supposed to present what they should.
	Prober probe.Prober
	// Policies fetches the policy of MTA-STS; nil fetches none.
	Policies *PolicyFetcher
	// Selectors are those of the DKIM keys to look at.
	Selectors []string
	Now       func() time.Time
	// Progress is told what begins; nil when nobody listens.
	Progress func(what string)
}

// Report is what was found.
type Report struct {
	Domain  string             `json:"domain"`
	Verdict senderview.Verdict `json:"verdict"`
	Message string             `json:"message,omitempty"`
	Hosts   []HostReport       `json:"hosts,omitempty"`
	// Parts are all parts of the domain, graded. They do not change the verdict.
	Parts []PartReport `json:"parts,omitempty"`
}

// HostReport is what was found of one mail server.
type HostReport struct {
	Host    string             `json:"host"`
	Verdict senderview.Verdict `json:"verdict"`
	Message string             `json:"message,omitempty"`
	// Base is the TLSA base domain, where there are TLSA records that count.
	Base string `json:"tlsaBaseDomain,omitempty"`
	// Records are the TLSA records there, in presentation form.
	Records   []string         `json:"records,omitempty"`
	Endpoints []EndpointReport `json:"endpoints,omitempty"`
}

// EndpointReport is what one address presented.
type EndpointReport struct {
	Address   string               `json:"address"`
	Presented senderview.Presented `json:"presented"`
	Reason    string               `json:"reason,omitempty"`
}

// smtpPort is where mail is delivered.
const smtpPort = 25

// Check looks at a domain as a sender does that wants to deliver to it at a port; 0 is 25. What fails is part
// of the report.
func (c Checker) Check(ctx context.Context, domain string, port uint16) Report {
	if port == 0 {
		port = smtpPort
	}
	at := &looking{Checker: c, ctx: ctx, port: port, records: map[string][]string{}, endpoints: map[string][]EndpointReport{}}
	at.say("looking up " + domain)
	d := senderview.Look(ctx, c.Resolver, domain, port, at.judge)
	view := senderview.View(d)
	out := Report{Domain: view.Domain, Verdict: view.Verdict, Message: view.Message}
	for _, h := range view.Hosts {
		key := h.Host + " " + h.Base
		out.Hosts = append(out.Hosts, HostReport{
			Host: h.Host, Verdict: h.Verdict, Message: h.Message, Base: h.Base,
			Records: at.records[key], Endpoints: at.endpoints[key],
		})
	}
	at.say("looking up the rest of " + domain)
	out.Parts = at.parts(d, view)
	return out
}

// looking is one check. What the judge was shown is kept for the report.
type looking struct {
	Checker
	ctx       context.Context
	port      uint16
	records   map[string][]string
	endpoints map[string][]EndpointReport
}

func (l *looking) say(what string) {
	if l.Progress != nil {
		l.Progress(what)
	}
}

// judge connects to a host for whose base domain there are secure TLSA records.
func (l *looking) judge(host, base string, names []string, found []senderview.Record) (int, []senderview.Endpoint) {
	key := host + " " + base
	for _, r := range recordsOf(found) {
		l.records[key] = append(l.records[key], r.String())
	}
	probed := l.probe(host, base)
	usable, endpoints := Judge(probed, int32(l.port), names, found, l.Now())
	for _, e := range endpoints {
		l.endpoints[key] = append(l.endpoints[key], EndpointReport{Address: e.Address, Presented: e.Presented, Reason: e.Reason})
	}
	for _, p := range probed {
		// Nothing is known of what may not be connected to: that is said, and changes no verdict.
		if at := slices.IndexFunc(p.Results, func(r probe.Result) bool { return r.Outcome == probe.Forbidden }); at >= 0 {
			l.endpoints[key] = append(l.endpoints[key], EndpointReport{Address: p.Address, Presented: "NotConnected", Reason: p.Results[at].Message})
		}
	}
	return usable, endpoints
}

const (
	// maxAddresses is how many addresses of a host are connected to. Whoever writes the zone decides how many there
	// are, and thousands fit into an answer.
	maxAddresses = 64
	// maxAtOnce is how many are connected to at once.
	maxAtOnce = 16
)

// probe connects to the addresses of a host, once for each type of key.
func (l *looking) probe(host, base string) []Probed {
	if l.Prober == nil {
		return nil
	}
	l.say("connecting to " + host)
	addrs := senderview.Addresses(l.ctx, l.Resolver, host)
	some := addrs[:min(len(addrs), maxAddresses)]
	out := make([]Probed, len(some))
	places := make(chan struct{}, maxAtOnce)
	var all sync.WaitGroup
	for i, addr := range some {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			out[i] = l.probeAddress(base, addr)
		})
	}
	all.Wait()
	if left := len(addrs) - len(some); left > 0 {
		out = append(out, Probed{Address: fmt.Sprintf("%d more addresses", left), Results: []probe.Result{{
			Outcome: probe.Forbidden, Message: fmt.Sprintf("no more than %d addresses of a host are connected to", maxAddresses),
		}}})
	}
	return out
}

func (l *looking) probeAddress(base string, addr netip.Addr) Probed {
	target := probe.Target{Host: base, Addr: netip.AddrPortFrom(addr, l.port), Protocol: probe.SMTP}
	return Probed{Address: addr.String(), Port: int32(l.port), Results: probe.EachKeyType(l.ctx, l.Prober, target)}
}

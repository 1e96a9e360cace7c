package senderview

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/conformance"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// eximClock is when the certificates of Exim's tests are judged.
var eximClock = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// scenario is one delivery of Exim's tests.
type scenario struct {
	ID, Domain, Route, Policy, Expect string
}

// outcome is what is compared: the first word of what is expected. Delivery with TLS and without DANE is
// told apart there by what the CAs of the machine say, which is no part of the decision.
func (s scenario) outcome() string {
	word, _, _ := strings.Cut(s.Expect, " ")
	if strings.HasPrefix(word, "deliver-tls-") {
		return "deliver-nondane"
	}
	return strings.TrimRight(word, ",")
}

// sni is the TLSA base domain, where the scenario tells which name is sent in SNI.
func (s scenario) sni() (base string, said bool) {
	if strings.Contains(s.Expect, "SNI = CNAME target") {
		return "dane512ee.test.ex", true
	}
	return "", strings.Contains(s.Expect, "no SNI")
}

// without is the policy of a sender that does not do DANE.
const without = "not requested"

// does is what a sender with a policy does with a verdict. One that requires DANE gives up without; one that does not
// do DANE takes no notice.
func does(v Verdict, policy string) string {
	switch {
	case policy == without:
		return "deliver-nondane"
	case v == DANE:
		return "deliver-dane"
	case v == Undeliverable:
		return "defer"
	case policy == "required":
		return "fail"
	}
	return "deliver-nondane"
}

// eximRecord is one line of the zone sections.
type eximRecord struct {
	rrtype, data  string
	secure, never bool
}

// eximZone has the records of each name, in the notation of Exim's fake name server.
type eximZone map[string][]eximRecord

// read takes the lines of a section. DNSSEC marks an answer with AD, NXDOMAIN one that denies its name; a
// line without a name belongs to the name before.
func (z eximZone) read(text, origin string) {
	owner := ""
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, ";")
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		fields := strings.Fields(line)
		var r eximRecord
		for fields[0] == "DNSSEC" || fields[0] == "NXDOMAIN" || fields[0] == "AA" {
			r.secure, r.never = r.secure || fields[0] == "DNSSEC", r.never || fields[0] == "NXDOMAIN"
			fields = fields[1:]
		}
		if !slices.Contains([]string{"A", "MX", "CNAME", "TLSA"}, fields[0]) {
			owner, fields = strings.Replace(fields[0], "_PORT_D", "_25", 1)+"."+origin, fields[1:]
		}
		r.rrtype, r.data = fields[0], strings.Join(fields[1:], " ")
		z[owner] = append(z[owner], r)
	}
}

func absolute(name, origin string) string {
	if strings.HasSuffix(name, ".") {
		return plain(name)
	}
	return name + "." + origin
}

func originOf(name string) string {
	labels := strings.Split(name, ".")
	return strings.Join(labels[len(labels)-2:], ".")
}

// lookup answers as Exim's fake name server does, and gives the data.
func (z eximZone) lookup(name, rrtype string) (Answer, []string) {
	var hops []Link
	for {
		if name == "test.again.dns" || name == "test.fail.dns" {
			return Answer{State: dnssec.Indeterminate, Hops: hops}, nil
		}
		records := z[name]
		if len(records) == 1 && records[0].rrtype == "CNAME" {
			next := absolute(records[0].data, originOf(name))
			hops = append(hops, Link{Name: name, Type: "CNAME", Target: next, State: state(records[0].secure)})
			name = next
			continue
		}
		return z.answer(name, rrtype, hops)
	}
}

func (z eximZone) answer(name, rrtype string, hops []Link) (Answer, []string) {
	out := Answer{State: dnssec.Insecure, Kind: dnssec.NXDomain, Hops: hops}
	var found []string
	for _, r := range z[name] {
		out.State = state(r.secure)
		if r.never {
			return out, nil
		}
		out.Kind = dnssec.NoData
		if r.rrtype == rrtype {
			found = append(found, r.data)
		}
	}
	if len(found) > 0 {
		out.Kind = dnssec.Data
	}
	return out, found
}

func state(secure bool) dnssec.State {
	if secure {
		return dnssec.Secure
	}
	return dnssec.Insecure
}

// domain looks everything up that the view of a scenario needs. A route that is not by MX is a next hop of
// the sender's own, which counts as secure: Exim does not look at the denial of MX.
func (z eximZone) domain(t *testing.T, s scenario) Domain {
	t.Helper()
	d := Domain{Name: s.Domain, MX: Answer{State: dnssec.Secure, Kind: dnssec.NoData}}
	hosts := []string{s.Domain}
	if strings.HasPrefix(s.Route, "MX") {
		var data []string
		if d.MX, data = z.lookup(s.Domain, "MX"); len(data) == 0 {
			t.Fatalf("%s has no MX records", s.Domain)
		}
		hosts = nil
		for _, text := range data {
			hosts = append(hosts, absolute(strings.Fields(text)[1], originOf(s.Domain)))
		}
		d.Exchanges = hosts
	}
	for _, name := range hosts {
		d.Hosts = append(d.Hosts, z.host(t, d, name))
	}
	return d
}

func (z eximZone) host(t *testing.T, d Domain, name string) Host {
	t.Helper()
	h := Host{Name: name}
	h.A, _ = z.lookup(name, "A")
	if len(z[name]) == 0 {
		// A host outside of the sections: it has an address, and no DNSSEC.
		h.A = Answer{State: dnssec.Insecure, Kind: dnssec.Data}
	}
	h.AAAA, _ = z.lookup(name, "AAAA")
	for _, base := range slices.Compact([]string{h.A.final(name), name}) {
		answer, texts := z.lookup("_25._tcp."+base, "TLSA")
		found := TLSA{Base: base, Answer: answer}
		var records []tlsa.Record
		for _, text := range texts {
			r, err := tlsa.ParseRecord(text)
			if err != nil {
				t.Fatal(err)
			}
			records = append(records, r)
		}
		result := tlsa.Match(records, presentedTo(t, name), ReferenceNames(d, base), eximClock)
		for _, r := range result.Records {
			if r.Reason.Usable() {
				found.Usable++
			}
		}
		presented := Mismatched
		if result.Verdict == tlsa.Matched {
			presented = Matched
		}
		found.Endpoints = []Endpoint{{Address: name, Presented: presented}}
		h.TLSA = append(h.TLSA, found)
	}
	return h
}

// presentedTo is the chain of the server that a host leads to: that of example.net is used where names are
// not to match.
func presentedTo(t *testing.T, name string) []*x509.Certificate {
	t.Helper()
	server := "example.com"
	if name == "danebroken7.example.com" || name == "danebroken8.example.com" {
		server = "example.net"
	}
	chain, err := tlsa.ParseChain(conformance.Read(t, "exim-dane-e2e/certs/"+server+"/server1."+server+"/fullchain.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

// eximScenarios reads the corpus.
func eximScenarios(t *testing.T) ([]scenario, eximZone) {
	t.Helper()
	var out []scenario
	if err := json.Unmarshal(conformance.Read(t, "exim-dane-e2e/scenarios.json"), &out); err != nil {
		t.Fatal(err)
	}
	zone := eximZone{}
	for _, origin := range []string{"test.ex", "example.com"} {
		zone.read(string(conformance.Read(t, "exim-dane-e2e/db."+origin+".dane-section")), origin)
	}
	return out, zone
}

// TestExim compares what senders are said to do with what Exim does.
func TestExim(t *testing.T) {
	scenarios, zone := eximScenarios(t)
	type part struct{ cases, agreed int }
	parts := map[string]*part{"requested": {}, "required": {}, without: {}}
	for _, s := range scenarios {
		policy := s.Policy
		if policy == "recipient verify" {
			policy = "requested"
		}
		p := parts[policy]
		p.cases++
		view := View(zone.domain(t, s))
		got := does(view.Verdict, policy)
		if base, said := s.sni(); said && view.Hosts[0].Base != base {
			t.Errorf("%s: want the base domain %q, got %q", s.ID, base, view.Hosts[0].Base)
		}
		t.Logf("%s: %s: %s", s.ID, got, view.Message)
		if got == s.outcome() {
			p.agreed++
		} else {
			t.Errorf("%s (%s): want %s, got %s: %s", s.ID, s.Domain, s.outcome(), got, view.Message)
		}
		// What that sender does says nothing of the verdict: the record there matches nothing.
		if policy == without && view.Verdict != Undeliverable {
			t.Errorf("%s (%s): senders with DANE are told %s: %s", s.ID, s.Domain, view.Verdict, view.Message)
		}
	}
	var rows []string
	for _, policy := range []string{"requested", "required", without} {
		p := parts[policy]
		rows = append(rows, fmt.Sprintf("| Exim | DANE %s | %d | %d | %d | - |", policy, p.cases, p.agreed, p.cases-p.agreed))
	}
	if len(scenarios) != 26 {
		t.Errorf("%d scenarios were read", len(scenarios))
	}
	conformance.Lines(t, "| Exim |", rows)
}

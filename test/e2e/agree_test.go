package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/sendercheck"
	"github.com/dane-operator/dane-operator/test/judge"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/servers"
)

// TestCheckAgreesWithPostfix holds a domain still in one state of a rollover after another, and wants the program
// kubectl-dane to say of each of its mail servers what posttls-finger does with mail to it, at the level dane, through the
// same resolver. The other mail servers of the domain stand for what can be wrong.
func TestCheckAgreesWithPostfix(t *testing.T) { only(t, servers.BIND, checkAgreesWithPostfix) }

func checkAgreesWithPostfix(t *testing.T, m servers.Make) {
	a := newAgreement(t, m)
	a.agree("at rest", senderview.DANE)

	published := a.published()
	before := a.startRenewal()
	a.changesEverywhere(published)
	a.showsTwo()
	if a.postfix.Served() != before {
		t.Fatal("the new key is served before caches know it")
	}
	a.agree("both keys published, the old one served", senderview.DANE)

	a.shortenWait()
	servers.Eventually(t, "Postfix serves the new key", func() error {
		return unless(a.postfix.Served() != before, "it serves the old one")
	})
	a.showsTwo()
	a.agree("both keys published, the new one served", senderview.DANE)

	a.servesAnotherKey()
	a.agree("a key served that no record tells of", senderview.Undeliverable)
}

// mailServer is an exchange of the domain, beside mx1, whose keys the operator rolls.
type mailServer struct {
	// name below the domain, and what it stands for.
	name, stands string
	// records stand in the zone, below the domain; those with atPort come when the port is known.
	records []string
	// want is what a sender does; empty where that is what it does with mail to mx1.
	want senderview.Verdict
	// postfix is what posttls-finger comes to in place of it, for a reason.
	postfix senderview.Verdict
	reason  string
}

// atPort stands for the port that all servers listen at.
const atPort = "PORT"

const noKey = "abababababababababababababababababababababababababababababababab"

// mailServers need addresses where nobody listens, and where a server offers no STARTTLS.
func mailServers(nobody, bare string) []mailServer {
	a := func(name, address string) string { return name + " 2 A " + address }
	tlsa := func(name, record string) string { return "_PORT._tcp." + name + " 2 TLSA " + record }
	return []mailServer{
		{name: "mx2", stands: "records of another key", want: senderview.Undeliverable,
			records: []string{a("mx2", "127.0.0.1"), tlsa("mx2", "3 1 1 "+noKey)}},
		{name: "mx3", stands: "only records that no sender uses", want: senderview.EncryptOnly,
			records: []string{a("mx3", "127.0.0.1"), tlsa("mx3", "1 1 1 "+noKey)}},
		{name: "mx4", stands: "an alias of mx1", records: []string{"mx4 2 CNAME mx1." + zoneName + "."}},
		{name: "mx5", stands: "STARTTLS absent", want: senderview.Undeliverable, records: []string{a("mx5", bare), tlsa("mx5", "3 1 1 "+noKey)}},
		{name: "mx6", stands: "host down", want: senderview.Undeliverable, records: []string{a("mx6", nobody), tlsa("mx6", "3 1 1 "+noKey)}},
		{name: "mx7", stands: "no records", want: senderview.Opportunistic, records: []string{a("mx7", "127.0.0.1")}},
		{name: "mx8", stands: "no records, and STARTTLS absent", want: senderview.Opportunistic, records: []string{a("mx8", bare)}},
		{name: "mx9", stands: "no records, and host down", want: senderview.Opportunistic, records: []string{a("mx9", nobody)},
			postfix: senderview.Undeliverable, reason: "check does not connect where there are no records to compare with: it tells how mail is protected, not that it arrives"},
		{name: "mx10", stands: "only records that no sender uses, and STARTTLS absent", want: senderview.Undeliverable,
			records: []string{a("mx10", bare), tlsa("mx10", "0 1 1 "+noKey)}},
		{name: "mx11", stands: "two addresses, one of them down", records: []string{
			a("mx11", "127.0.0.1"), a("mx11", nobody), "_PORT._tcp.mx11 2 CNAME _PORT._tcp.mx1." + zoneName + ".",
		}},
		{name: "mx12", stands: "records in a bogus zone", want: senderview.Undeliverable, records: []string{
			a("mx12", "127.0.0.1"), "_PORT._tcp.mx12 2 CNAME _PORT._tcp.mx.bogus." + zoneName + ".",
		}},
		{name: "mx13", stands: "records in an insecure zone", want: senderview.Opportunistic, records: []string{
			a("mx13", "127.0.0.1"), "_PORT._tcp.mx13 2 CNAME _PORT._tcp.mx.insecure." + zoneName + ".",
		}},
		{name: "mx.insecure", stands: "a host in an insecure zone", want: senderview.Opportunistic},
		{name: "mx.bogus", stands: "a host in a bogus zone", want: senderview.Undeliverable},
	}
}

// agreement is a site whose domain has all these mail servers.
type agreement struct {
	*site
	servers        []mailServer
	finger         *judge.Finger
	check, anchors string
}

func newAgreement(t *testing.T, m servers.Make) *agreement {
	t.Helper()
	nobody, bare := servers.PublicAddress(t).String(), servers.PublicAddress(t).String()
	a := &agreement{servers: mailServers(nobody, bare)}
	a.site = newSiteWith(t, m, "mx1-tls", siteOptions{primary: a.exchanges})
	below := a.zonesBelow()
	a.unbound = servers.StartUnbound(t, servers.ResolverOptions{
		Address: servers.PublicAddress(t).String(), Port: 53, Extra: forgetful[1:],
		Stubs: append([]servers.Stub{servers.StubOf(a.primary, a.other, a.nsd)}, below...),
	})
	a.createZone()
	a.certificate("selfsigned", nil)
	a.domain(func(md *v1alpha1.MailDomain) {
		for _, edit := range []func(*v1alpha1.MailDomain){withoutStandby, longWait, longRetirement} {
			edit(md)
		}
	})
	a.settle(false)
	// Without a certificate smtpd offers no STARTTLS.
	judge.StartPostfix(t, judge.PostfixOptions{
		Hostname: mx, Address: bare, Port: uint16(a.port()), Fetch: func() (certificate, key []byte) { return nil, nil }, //nolint:gosec // a port
	})
	a.publishes()
	a.finger = judge.NewFinger(t, a.unbound.Addr)
	a.anchors = filepath.Join(t.TempDir(), "anchors.ds")
	a.must(os.WriteFile(a.anchors, []byte(zoneName+". IN DS "+a.primary.DS+"\n"), 0o600))
	a.check = a.builtPlugin()
	return a
}

// exchanges is what the zone begins with: the MX records and addresses, and the zones below that are insecure and bogus.
func (a *agreement) exchanges(_ *site, o *servers.Options) {
	for _, s := range a.servers {
		o.Records = append(o.Records, "@ 60 MX 10 "+s.name)
		for _, r := range s.records {
			if !strings.Contains(r, atPort) {
				o.Records = append(o.Records, r)
			}
		}
	}
	o.Records = append(o.Records,
		"insecure 2 NS ns1.insecure", "ns1.insecure 2 A 127.0.0.1",
		"bogus 2 NS ns1.bogus", "ns1.bogus 2 A 127.0.0.1", "bogus 2 DS "+strangeDS)
}

// zonesBelow serves them. The insecure one names mx1, as a domain may that is hosted elsewhere.
func (a *agreement) zonesBelow() []servers.Stub {
	a.Helper()
	var stubs []servers.Stub
	for name, o := range map[string]servers.Options{
		"insecure": {Unsigned: true, Records: []string{"@ 2 MX 10 " + mx + "."}}, "bogus": {},
	} {
		o.Zone = name + "." + zoneName
		o.Records = append(o.Records, "mx 2 A 127.0.0.1", fmt.Sprintf("_%d._tcp.mx 2 TLSA 3 1 1 %s", a.port(), noKey))
		zone := servers.StartBINDPrimary(a, o)
		stub := servers.StubOf(zone)
		stub.Below, stub.Bogus = true, name == "bogus"
		stubs = append(stubs, stub)
	}
	return stubs
}

// publishes brings the records at the port into the zone, and waits until every name server shows them.
func (a *agreement) publishes() {
	a.Helper()
	var commands []string
	last := ""
	for _, s := range a.servers {
		for _, r := range s.records {
			if !strings.Contains(r, atPort) {
				continue
			}
			owner, rest, _ := strings.Cut(strings.ReplaceAll(r, atPort, fmt.Sprint(a.port())), " ")
			last = owner + "." + zoneName + "."
			commands = append(commands, "add "+last+" "+rest)
		}
	}
	a.primary.Admin(commands...)
	for _, at := range a.authoritative() {
		servers.Eventually(a, at.String()+" shows the other mail servers", func() error {
			reply, err := servers.Ask(at, last, dns.TypeCNAME, false)
			if err == nil && len(reply.Answer) == 0 {
				err = errors.New("not yet")
			}
			return err
		})
	}
}

// builtPlugin is the program as make build makes it.
func (a *agreement) builtPlugin() string {
	a.Helper()
	root, err := kube.Root()
	a.must(err)
	path := filepath.Join(a.TempDir(), "kubectl-dane")
	build := exec.CommandContext(a.Context(), "go", "build", "-C", root, "-o", path, "./cmd/kubectl-dane")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		a.Fatalf("build kubectl-dane: %v\n%s", err, out)
	}
	return path
}

// showsTwo waits until the senders' resolver knows the records of two keys for mx1.
func (a *agreement) showsTwo() {
	a.Helper()
	servers.Eventually(a, "the resolver knows both keys", func() error {
		m, err := servers.Ask(a.unbound.Addr, a.owner(), dns.TypeTLSA, true)
		if err != nil {
			return err
		}
		records := 0
		for _, rr := range m.Answer {
			if rr.Header().Rrtype == dns.TypeTLSA {
				records++
			}
		}
		return unless(records == 2, fmt.Sprintf("it shows %d records", records))
	})
}

// servesAnotherKey has Postfix serve a Secret that the MailDomain knows nothing of.
func (a *agreement) servesAnotherKey() {
	a.Helper()
	a.must(a.lab.Client.Create(a.Context(), kube.Certificate(a.lab.Namespace, "other", "selfsigned", mx)))
	_, err := a.lab.WaitIssued(a.Context(), a.lab.Namespace, "other", 1)
	a.must(err)
	before := a.postfix.Served()
	a.mount("other-tls")
	servers.Eventually(a, "Postfix serves another key", func() error {
		return unless(a.postfix.Served() != before, "it serves the one of before")
	})
}

// agree has both say what becomes of mail to each server, while nothing changes, and to a domain that somebody else
// keeps, whose MX records are insecure.
func (a *agreement) agree(state string, ofMX1 senderview.Verdict) {
	a.Helper()
	published, served := a.published(), a.postfix.Served()
	report := a.checked(zoneName)
	all := append([]mailServer{{name: "mx1", stands: "the host of the MailDomain"}}, a.servers...)
	if len(report.Hosts) != len(all) {
		a.Errorf("%s: check tells of %d mail servers", state, len(report.Hosts))
	}
	for _, s := range all {
		if s.want == "" {
			s.want = ofMX1
		}
		a.agreeOn(state, s, report)
	}
	a.agreeOnInsecureMX(state, ofMX1)
	if a.published() != published || a.postfix.Served() != served {
		a.Errorf("%s: it was another state at the end", state)
	}
}

func (a *agreement) agreeOn(state string, s mailServer, report sendercheck.Report) {
	a.Helper()
	host := s.name + "." + zoneName
	says := a.finger.Says("-v", "-l", "dane", fmt.Sprintf("[%s]:%d", host, a.port()))
	postfix, want := doneByPostfix(says), s.want
	if s.reason != "" {
		want = s.postfix
	}
	i := slices.IndexFunc(report.Hosts, func(h sendercheck.HostReport) bool { return h.Host == host })
	if i < 0 {
		a.Errorf("%s: check does not tell of %s (%s): %+v", state, host, s.stands, report)
		return
	}
	if got := report.Hosts[i]; got.Verdict != s.want || postfix != want {
		a.Errorf("%s: %s (%s): check says %s (%s) and should say %s; posttls-finger comes to %s and should come to %s:\n%s",
			state, host, s.stands, got.Verdict, got.Message, s.want, postfix, want, says)
	}
}

// agreeOnInsecureMX is about mail for a domain whose insecure MX records name mx1. A sender may leave it at that, or
// authenticate mx1 all the same (RFC 7672 section 2.2.1). posttls-finger does what it is told; unless told otherwise,
// it authenticates. check goes by the first, and tells of the other beside it.
func (a *agreement) agreeOnInsecureMX(state string, ofMX1 senderview.Verdict) {
	a.Helper()
	domain := "insecure." + zoneName
	report := a.checked(domain)
	leaves := a.finger.Says("-v", "-l", "dane", "-M", "may", fmt.Sprintf("%s:%d", domain, a.port()))
	eager := a.finger.Says("-v", "-l", "dane", fmt.Sprintf("%s:%d", domain, a.port()))
	const first = senderview.Opportunistic
	told := "for senders that authenticate all the same: senders authenticate " + mx
	if ofMX1 != senderview.DANE {
		told = "for senders that authenticate all the same: senders do not deliver to " + mx + ": what "
	}
	if len(report.Hosts) != 1 || report.Hosts[0].Verdict != first || !strings.Contains(report.Hosts[0].Message, told) {
		a.Errorf("%s: check says of %s: %+v", state, domain, report)
	}
	if got := doneByPostfix(leaves); got != first {
		a.Errorf("%s: posttls-finger, told to leave it at that, comes to %s:\n%s", state, got, leaves)
	}
	if got := doneByPostfix(eager); got != ofMX1 {
		a.Errorf("%s: posttls-finger, told to authenticate, comes to %s, want %s:\n%s", state, got, ofMX1, eager)
	}
}

// checked is what the program says of a domain.
func (a *agreement) checked(domain string) (out sendercheck.Report) {
	a.Helper()
	check := exec.CommandContext(a.Context(), a.check, "check", domain, "-o", "json", "--port", fmt.Sprint(a.port()), //nolint:gosec // just built
		"--resolvers", a.unbound.Addr.String(), "--trust-anchors", a.anchors)
	text, err := check.Output() // the exit code is about the domain
	if unread := json.Unmarshal(text, &out); unread != nil {
		a.Fatalf("check %s: %v: %v\n%s", domain, unread, err, text)
	}
	return out
}

// doneByPostfix is what a sender does with mail, by what posttls-finger said at the level dane. Where smtp(8) goes on
// without records it delivers with TLS or without; posttls-finger shows what a full check of the certificate would come
// to then, which is nothing here.
func doneByPostfix(says string) senderview.Verdict {
	has := func(text string) bool { return strings.Contains(says, text) }
	encrypted := has("TLS connection established")
	switch {
	case !has("Connected to "):
		return senderview.Undeliverable
	case has("no TLSA records found, resorting to"), has("MX RRset is insecure: try to encrypt"):
		return senderview.Opportunistic
	case has("no usable TLSA records found, resorting to") && encrypted:
		return senderview.EncryptOnly
	case has("Verified TLS connection established"), has("MX RRset insecure: log verified as trusted") && has(": Trusted TLS connection established"):
		return senderview.DANE
	}
	return senderview.Undeliverable
}

package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/plugin"
	"github.com/dane-operator/dane-operator/test/attack"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/operator"
	"github.com/dane-operator/dane-operator/test/protocols"
	"github.com/dane-operator/dane-operator/test/servers"
	"github.com/dane-operator/dane-operator/test/wire"
)

const (
	lettersDomain = "letters.test"
	lettersMX     = "mx1.letters.test"
	// evilMX is the attacker's server by its own name.
	evilMX = "mx.evil.test"
)

// letters is a mail domain whose mail somebody wants to read: he has the way to its mail server and to its name server,
// and mail servers of his own.
type letters struct {
	*testing.T
	lab     *lab.Lab
	primary *servers.Primary
	dns     *wire.DNS
	// believing does not validate, as many resolvers.
	validating, believing *servers.Resolver
	path                  *attack.Path
	genuine, evil         *attack.Receiver
	// sender does DANE, and credulous does not.
	sender, credulous *attack.Sender

	genuineAt, selfSignedAt, vouchedAt netip.AddrPort
}

func newLetters(t *testing.T) *letters {
	t.Helper()
	own := *shared
	own.Namespace = own.Cluster.Namespace(t.Context(), t)
	l := &letters{T: t, lab: &own}
	l.must(own.Client.Create(t.Context(), kube.SelfSignedIssuer(own.Namespace, "selfsigned")))
	l.must(own.Client.Create(t.Context(), kube.Certificate(own.Namespace, "mx1", "selfsigned", lettersMX)))
	at, evilAt := servers.MailAddress(t), servers.MailAddress(t)
	l.primary = servers.StartBINDPrimary(t, servers.Options{Zone: lettersDomain, Records: []string{
		"@ 2 MX 10 mx1", "mx1 2 A " + at.Addr().String(),
	}})
	l.startResolvers(evilAt.Addr())
	_, err := own.WaitIssued(t.Context(), own.Namespace, "mx1", 1)
	l.must(err)
	authorities := l.startReceivers(evilAt)
	l.path = attack.StartPath(t, at, l.genuineAt)
	l.sender = attack.StartSender(t, "out.sender.test", attack.SenderOptions{Level: "dane", Resolver: l.validating.Addr.Addr(), Authorities: authorities})
	l.credulous = attack.StartSender(t, "out.credulous.test", attack.SenderOptions{Level: "may", Resolver: l.believing.Addr.Addr(), Authorities: authorities})
	own.AbandonAfter(t, own.Namespace)
	return l
}

func (l *letters) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// startResolvers has both resolvers ask the name server by way of the attacker. Each knows the address of his server.
func (l *letters) startResolvers(evil netip.Addr) {
	l.Helper()
	var err error
	l.dns, err = wire.StartDNS(l.primary.Addr.String(), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), servers.FreePort(l, "127.0.0.1")))
	l.must(err)
	l.Cleanup(l.dns.Stop)
	start := func(ds string) *servers.Resolver {
		return servers.StartUnbound(l, servers.ResolverOptions{
			Address: servers.PublicAddress(l).String(), Port: 53,
			Stubs: []servers.Stub{{Zone: l.primary.Zone, Servers: []netip.AddrPort{l.dns.Addr}, DS: ds}},
			Extra: append(slices.Clone(forgetful), fmt.Sprintf(`local-data: "%s. 60 IN A %s"`, evilMX, evil)),
		})
	}
	l.validating, l.believing = start(l.primary.DS), start("")
}

// startReceivers starts the mail server of the domain, and that of the attacker, which has a certificate for each of his
// ways. It returns the CAs that senders trust, as they trust the public ones.
func (l *letters) startReceivers(evilAt netip.AddrPort) (authorities []byte) {
	l.Helper()
	local := func() netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), servers.FreePort(l, "127.0.0.1"))
	}
	l.genuineAt, l.selfSignedAt, l.vouchedAt = local(), local(), local()
	certificate, key := l.lab.TLSSecret(l.Context(), "mx1-tls")
	l.genuine = attack.StartReceiver(l, lettersMX, map[netip.AddrPort]attack.Chain{l.genuineAt: {Key: key, Certificates: certificate}})
	vouched, own, unknown := protocols.NewECDSA(l, lettersMX), protocols.NewECDSA(l, evilMX), protocols.NewECDSA(l, lettersMX)
	l.evil = attack.StartReceiver(l, evilMX, map[netip.AddrPort]attack.Chain{
		l.selfSignedAt: {Key: unknown.Key, Certificates: unknown.Certificates},
		l.vouchedAt:    {Key: vouched.Key, Certificates: vouched.Certificates},
		evilAt:         {Key: own.Key, Certificates: own.Certificates},
	})
	return slices.Concat(vouched.Certificates, own.Certificates)
}

// protect applies a DNSZone and a MailDomain, and waits until senders know the records.
func (l *letters) protect() {
	l.Helper()
	_, err := l.lab.CreateZone(l.Context(), "zone", lab.Zone{
		Name: lettersDomain, Primary: l.primary.Addr.String(), Servers: []string{l.primary.Addr.String()},
		TSIGName: l.primary.TSIGName, TSIGSecret: l.primary.TSIGSecret, DS: l.primary.DS,
	}, lab.Fast)
	l.must(err)
	md := l.lab.MailDomain(l.lab.Namespace, lettersDomain, lettersMX, 25, lab.Fast, "mx1")
	md.Spec.Rollover.StandbyKey = v1alpha1.StandbyDisabled
	l.must(l.lab.Client.Create(l.Context(), md))
	_, err = l.lab.WaitDomain(l.Context(), l.lab.Namespace, patience, func(md *v1alpha1.MailDomain) string { return lab.Settled(md, lettersMX, false) })
	l.must(err)
	servers.Eventually(l, "the resolver has the TLSA records", func() error {
		m, err := servers.Ask(l.validating.Addr, ownerOf(lettersMX, 25), dns.TypeTLSA, true)
		if err == nil && (len(m.Answer) == 0 || !m.AuthenticatedData) {
			err = errNotYet
		}
		return err
	})
}

// records are the TLSA records that the primary shows.
func (l *letters) records() string {
	l.Helper()
	m, err := servers.Ask(l.primary.Addr, ownerOf(lettersMX, 25), dns.TypeTLSA, false)
	l.must(err)
	var out []string
	for _, rr := range m.Answer {
		out = append(out, rr.String())
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// isTold posts the report of the sender to the receiver of reports, and wants status to tell of every attempt that an
// attack made fail, and of each kind.
func (l *letters) isTold() {
	l.Helper()
	failures, total := l.counted(), int64(0)
	for _, n := range failures {
		total += int64(n)
	}
	l.post(l.startReports(), reportOf(time.Now().UTC(), 1+len(threats), failures))
	_, err := l.lab.WaitDomain(l.Context(), l.lab.Namespace, patience, func(md *v1alpha1.MailDomain) string {
		told := md.Status.TLSReports
		if told == nil {
			return "status tells of no report"
		}
		host := told.Host(lettersMX)
		if told.SuccessfulSessions != int64(1+len(threats)) || told.FailedSessions != total || host == nil || host.FailedSessions != total-int64(failures["dnssec-invalid"]) {
			return fmt.Sprintf("want %d failed sessions; status tells %+v", total, told)
		}
		for _, r := range told.Results {
			if int64(failures[r.Result]) != r.Sessions {
				return fmt.Sprintf("want %v; status tells %+v", failures, told.Results)
			}
		}
		return ""
	})
	l.must(err)
	var out bytes.Buffer
	cmd := plugin.New(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &out}, time.Now)
	cmd.SetArgs([]string{"--kubeconfig", l.lab.Kubeconfig, "--namespace", l.lab.Namespace, "reports", lettersDomain})
	l.must(cmd.ExecuteContext(l.Context()))
	for result := range failures {
		if !strings.Contains(out.String(), result) {
			l.Errorf("kubectl dane reports does not tell of %s:\n%s", result, &out)
		}
	}
}

// startReports starts the receiver of reports for the namespace of the test, with the rights of its account.
func (l *letters) startReports() (at string) {
	l.Helper()
	at = fmt.Sprintf("127.0.0.1:%d", servers.FreePort(l, "127.0.0.1"))
	process, err := operator.Reports(l.Context(), l.lab.Cluster, "reports-"+l.lab.Namespace, operator.Options{Args: []string{
		"--namespace", l.lab.Namespace, "--database", filepath.Join(l.TempDir(), "reports.db"), "--https-bind-address", at,
		"--metrics-bind-address", "0", "--health-probe-bind-address", "0", "--status-every", "100ms",
	}})
	l.must(err)
	l.Cleanup(func() {
		if l.Failed() {
			l.Log(process.Tail(20))
		}
		if err := process.Stop(); err != nil {
			l.Error(err)
		}
	})
	servers.Eventually(l, "the receiver listens", func() error {
		c, err := net.Dial("tcp", at)
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	return at
}

// post sends a report as RFC 8460 section 5.4 says.
func (l *letters) post(at, report string) {
	l.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte(report))
	l.must(err)
	l.must(w.Close())
	response, err := http.Post("http://"+at+"/", "application/tlsrpt+gzip", &packed)
	l.must(err)
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode/100 != 2 {
		l.Fatalf("the receiver answers %s", response.Status)
	}
}

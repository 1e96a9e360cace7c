// Package senders has the operator say what senders with DANE do, in zones of BIND that it looks up through
// unbound: in a signed one, below one that is not signed, and below one that is broken.
package senders

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/plugin"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/mail"
	"github.com/dane-operator/dane-operator/test/operator"
	"github.com/dane-operator/dane-operator/test/servers"
)

const (
	apex     = "lab.test"
	mx       = "mx1.lab.test"
	mistaken = "mx2.lab.test"
	// unusable has TLSA records that no sender uses, and alias leads to mx.
	unusable = "mx3.lab.test"
	alias    = "mx4.lab.test"
	// patience is how long is waited for what should take seconds.
	patience = 2 * time.Minute
)

// world is the zones, a resolver that knows them, and an installation that asks it.
type world struct {
	*testing.T
	*lab.Lab
	zone     *servers.Primary
	resolver string
	port     int32
}

func start(t *testing.T) *world {
	w := &world{T: t}
	mail25 := func(name, exchange string) string { return fmt.Sprintf("%s 2 MX 10 %s.", name, exchange) }
	w.zone = servers.StartBINDPrimary(t, servers.Options{Zone: apex, Records: []string{
		mail25("@", mx), "mx1 2 A 127.0.0.1", mail25("mistaken", mistaken), "mx2 2 A 127.0.0.1",
		mail25("encrypted", unusable), "mx3 2 A 127.0.0.1", mail25("aliased", alias), "mx4 2 CNAME mx1",
		"plain 2 NS ns1.plain", "ns1.plain A 127.0.0.1",
		"broken 2 NS ns1.broken", "ns1.broken A 127.0.0.1", "broken 2 DS 1 13 2 " + strings.Repeat("00", 32),
	}})
	plain := servers.StartBINDPrimary(t, servers.Options{Zone: "plain." + apex, Unsigned: true, Records: []string{mail25("@", mx)}})
	broken := servers.StartBINDPrimary(t, servers.Options{Zone: "broken." + apex, Records: []string{mail25("@", mx)}})
	below := servers.StubOf(plain)
	below.Below = true
	unbound := servers.StartUnbound(t, servers.ResolverOptions{
		Stubs: []servers.Stub{servers.StubOf(w.zone), below, {Zone: broken.Zone, Servers: servers.StubOf(broken).Servers}},
		Extra: []string{"cache-max-ttl: 2", "cache-max-negative-ttl: 1"},
	})
	w.resolver = unbound.Addr.String()
	var err error
	w.Lab, err = lab.Start(t.Context(), lab.Options{
		Namespace: "mail", Progress: func(line string) { t.Log(line) },
		Operator: operator.Options{Args: []string{"--resolvers", w.resolver}},
	})
	w.must(err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(w.Operator.Tail(40))
		}
		if err := w.Stop(); err != nil {
			t.Error(err)
		}
	})
	server, err := mail.Start("127.0.0.1:0", func() ([]byte, []byte) { return w.TLSSecret(context.Background(), "mx1-tls") }, 200*time.Millisecond)
	w.must(err)
	t.Cleanup(server.Stop)
	_, w.port, err = lab.SplitAddr(server.Addr)
	w.must(err)
	w.AbandonAfter(t, w.Namespace)
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// domain makes a MailDomain of one host, which is somebody else's without certificates.
func (w *world) domain(name, host string, certificates ...string) {
	w.Helper()
	domain := apex
	if name != "signed" {
		domain = name + "." + apex
	}
	w.must(w.Client.Create(w.Context(), w.MailDomain(name, domain, host, w.port, lab.Fast, certificates...)))
}

// wait waits until a MailDomain shows a verdict, with what is given in its message.
func (w *world) wait(name string, verdict v1alpha1.SenderVerdict, message string) *v1alpha1.MailDomain {
	w.Helper()
	md, err := w.WaitDomain(w.Context(), name, patience, func(md *v1alpha1.MailDomain) string {
		for _, s := range md.Status.MailServers {
			if v := s.SenderView; v != nil && v.Verdict == verdict && strings.Contains(v.Message, message) && !v.NotInMX {
				return ""
			}
		}
		return fmt.Sprintf("want %s: %s", verdict, message)
	})
	w.must(err)
	return md
}

// ready waits for the condition Ready of a MailDomain.
func (w *world) ready(name string, status metav1.ConditionStatus, reason, message string) {
	w.Helper()
	_, err := w.WaitDomain(w.Context(), name, patience, func(md *v1alpha1.MailDomain) string {
		c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionReady)
		if c == nil || c.Status != status || c.Reason != reason || !strings.Contains(c.Message, message) || message == "" && c.Message != "" {
			return fmt.Sprintf("Ready is %+v, want %s (%s: %s)", c, status, reason, message)
		}
		return ""
	})
	w.must(err)
}

func TestSenderViews(t *testing.T) {
	w := start(t)
	w.must(w.Client.Create(t.Context(), kube.SelfSignedIssuer(w.Namespace, "selfsigned")))
	crt := kube.Certificate(w.Namespace, "mx1", "selfsigned", mx)
	crt.Spec.SecretName = "mx1-tls"
	w.must(w.Client.Create(t.Context(), crt))
	_, err := w.CreateZone(t.Context(), "zone", lab.Zone{
		Name: apex, Primary: w.zone.Addr.String(), Servers: []string{w.zone.Addr.String()},
		TSIGName: w.zone.TSIGName, TSIGSecret: w.zone.TSIGSecret, DS: w.zone.DS,
	}, lab.Fast)
	w.must(err)
	w.zone.Admin(fmt.Sprintf("add _%d._tcp.%s. 2 TLSA 3 1 1 %s", w.port, mistaken, strings.Repeat("ab", 32)))
	w.domain("signed", mx, "mx1")
	w.zone.Admin(fmt.Sprintf("add _%d._tcp.%s. 2 TLSA 1 1 1 %s", w.port, unusable, strings.Repeat("ab", 32)))
	for _, other := range []string{"plain", "broken"} {
		w.domain(other, mx)
	}
	w.domain("mistaken", mistaken)
	w.domain("encrypted", unusable)
	w.domain("aliased", alias)

	w.wait("signed", v1alpha1.SenderDANE, "senders authenticate "+mx)
	w.ready("signed", metav1.ConditionTrue, v1alpha1.ReasonReady, "")
	w.wait("plain", v1alpha1.SenderOpportunistic, "the MX lookup of plain.lab.test is insecure")
	w.ready("plain", metav1.ConditionTrue, v1alpha1.ReasonReady, "the MX lookup of plain.lab.test is insecure")
	w.wait("broken", v1alpha1.SenderUndeliverable, "the MX lookup of broken.lab.test is bogus")
	w.ready("broken", metav1.ConditionFalse, v1alpha1.ReasonUndeliverable, "the MX lookup of broken.lab.test is bogus")
	w.wait("mistaken", v1alpha1.SenderUndeliverable, "matches no TLSA record")
	w.ready("mistaken", metav1.ConditionFalse, v1alpha1.ReasonMismatch, mistaken)
	w.wait("encrypted", v1alpha1.SenderEncryptOnly, w.onlyEncrypts())
	w.wait("aliased", v1alpha1.SenderDANE, w.authenticatesAlias())
	w.checks()
	w.writesNothing()
}

// onlyEncrypts is what is said of records with usage 1, and authenticatesAlias of an exchange that is an alias: its base
// domain is the end of it.
func (w *world) onlyEncrypts() string {
	return fmt.Sprintf("no TLSA record of _%d._tcp.%s is usable", w.port, unusable)
}

func (w *world) authenticatesAlias() string {
	return fmt.Sprintf("senders authenticate %s by the TLSA records of _%d._tcp.%s", alias, w.port, mx)
}

// checks wants kubectl dane check, which connects by itself and asks no cluster, to come to the same verdicts.
func (w *world) checks() {
	w.Helper()
	anchors := filepath.Join(w.TempDir(), "anchors.ds")
	w.must(os.WriteFile(anchors, []byte(apex+". IN DS "+w.zone.DS+"\n"), 0o600))
	for domain, want := range map[string]struct {
		code    int
		verdict v1alpha1.SenderVerdict
		says    string
	}{
		apex:               {0, v1alpha1.SenderDANE, "senders authenticate " + mx},
		"plain." + apex:    {2, v1alpha1.SenderOpportunistic, "the MX lookup of plain.lab.test is insecure"},
		"broken." + apex:   {3, v1alpha1.SenderUndeliverable, "the MX lookup of broken.lab.test is bogus"},
		"mistaken." + apex: {3, v1alpha1.SenderUndeliverable, "matches no TLSA record"},

		"encrypted." + apex: {2, v1alpha1.SenderEncryptOnly, w.onlyEncrypts()},
		"aliased." + apex:   {0, v1alpha1.SenderDANE, w.authenticatesAlias()},
	} {
		var out bytes.Buffer
		cmd := plugin.New(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &out}, time.Now)
		cmd.SetArgs([]string{"check", domain, "--resolvers", w.resolver, "--trust-anchors", anchors, "--port", fmt.Sprint(w.port)})
		err := cmd.ExecuteContext(w.Context())
		if code := plugin.ExitCode(err); code != want.code || !strings.Contains(out.String(), domain+": "+string(want.verdict)) || !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want.says) {
			w.Errorf("check %s: exit code %d, %v, want %d and %s: %s\n%s", domain, code, err, want.code, want.verdict, want.says, &out)
		}
	}
}

// writesNothing wants all MailDomains to stay as they are while they are looked at again and again, as soon
// as the sweeps and probes of hosts at rest, which come late, have seen the newest records too.
func (w *world) writesNothing() {
	w.Helper()
	settled := func(md *v1alpha1.MailDomain) string { return lab.Settled(md, mx, true) }
	_, err := w.WaitDomain(w.Context(), "signed", patience, settled)
	w.must(err)
	versions := func() map[string]string {
		var list v1alpha1.MailDomainList
		w.must(w.Client.List(w.Context(), &list, client.InNamespace(w.Namespace)))
		out := map[string]string{}
		for i := range list.Items {
			out[list.Items[i].Name] = list.Items[i].ResourceVersion
		}
		return out
	}
	for range 8 {
		before := versions()
		time.Sleep(8 * time.Second)
		if maps.Equal(before, versions()) {
			return
		}
	}
	w.Error("MailDomains are written again and again although nothing happens")
}

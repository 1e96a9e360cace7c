package plugin

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/sendercheck"
)

// resolver is a recursive server of its own kind on a port of this machine, over UDP and TCP.
func resolver(t *testing.T, answer dns.HandlerFunc) string {
	t.Helper()
	packets, listener := ports(t)
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: answer}, {Listener: listener, Handler: answer}} {
		began := make(chan struct{})
		server.NotifyStartedFunc = func() { close(began) }
		go func() { _ = server.ActivateAndServe() }()
		<-began
		t.Cleanup(func() { _ = server.Shutdown() })
	}
	return packets.LocalAddr().String()
}

// ports are one port of this machine for UDP and for TCP: one that is free for both.
func ports(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	var last error
	for range 50 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, listener
		}
		last = err
		_ = packets.Close()
	}
	t.Fatal(last)
	return nil, nil
}

// portal answers every question with its own address, as networks do that want to be paid first.
func portal(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg).SetReply(q)
	m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 1)}}
	_ = w.WriteMsg(m)
}

// refuser refuses every question.
func refuser(w dns.ResponseWriter, q *dns.Msg) {
	_ = w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeRefused))
}

// TestCheckDoesNotBlameTheDomain: where the resolver is to blame, nothing is said against the domain, once, with what to
// do about it.
func TestCheckDoesNotBlameTheDomain(t *testing.T) {
	for _, c := range []struct{ reason, server, says string }{
		{"nobody is there", "127.0.0.1:1", "no usable answer comes"}, // a port that nothing is given by chance
		{"it does not want us", resolver(t, refuser), "it answers REFUSED"},
		{"it intercepts", resolver(t, portal), "drops or changes what DNSSEC needs"},
	} {
		out, err := run("check", "example.com", "--no-connect", "--resolvers", c.server)
		if ExitCode(err) != exitFailed || !strings.HasPrefix(out, "example.com: Unknown\n") {
			t.Errorf("%s: exit code %d: %s", c.reason, ExitCode(err), out)
		}
		for _, text := range []string{c.says, "name another resolver with --resolvers than " + c.server, "nothing is said against it"} {
			if n := strings.Count(strings.Join(strings.Fields(out), " "), text); n != 1 {
				t.Errorf("%s: %q stands %d times in %s", c.reason, text, n, out)
			}
		}
		if strings.Contains(out, "senders do not deliver") || strings.Contains(out, "\n\n") {
			t.Errorf("%s: %s", c.reason, out)
		}
		tooWide(t, out, pipeWidth)
		if out, err := run("check", "example.com", "--no-connect", "--resolvers", c.server, "-o", "json"); ExitCode(err) != exitFailed || !strings.Contains(out, `"verdict": "Unknown"`) {
			t.Errorf("%s, as JSON: exit code %d: %s", c.reason, ExitCode(err), out)
		}
	}
}

// bogus fails every lookup of a domain.
type bogus struct{}

func (bogus) Lookup(_ context.Context, name string, qtype uint16) dnssec.Result {
	cause := &dnssec.Error{Reason: dnssec.Expired, Subject: name + " " + dns.TypeToString[qtype], Detail: "the signature has expired", Zone: "example.com."}
	return dnssec.Result{State: dnssec.Bogus, Cause: cause}
}

// TestCheckBlamesTheDomain where the zones above it validate, and also looks afterwards whether they still do.
func TestCheckBlamesTheDomain(t *testing.T) {
	o := &checkOptions{port: 25}
	checker := sendercheck.Checker{Resolver: bogus{}, Now: time.Now}
	for _, c := range []struct {
		reason string
		broken func(asked int) bool
		want   senderview.Verdict
		code   int
	}{
		{"all above validates", func(int) bool { return false }, senderview.Undeliverable, exitUndeliverable},
		{"the resolver goes away meanwhile", func(asked int) bool { return asked > 1 }, unknown, exitFailed},
	} {
		asked := 0
		path := func(context.Context, string) *dnssec.Error {
			if asked++; c.broken(asked) {
				return &dnssec.Error{Reason: dnssec.Unreachable, Detail: "no answer"}
			}
			return nil
		}
		report := o.look(t.Context(), checker, path, "example.com")
		if report.Verdict != c.want || ExitCode(exitOf(report, false)) != c.code || asked != 2 {
			t.Errorf("%s: %s after %d looks: %s", c.reason, report.Verdict, asked, report.Message)
		}
	}
}

// TestMend wants every cause to be told apart, with what to do about it.
func TestMend(t *testing.T) {
	for reason, want := range map[dnssec.Reason][2]string{
		dnssec.NoAnchor:       {"no trust anchor", "--trust-anchors"},
		dnssec.Unreachable:    {"no usable answer", "--resolvers HOST:PORT"},
		dnssec.Expired:        {"by the clock of this machine", "set the clock"},
		dnssec.NotYetValid:    {"by the clock of this machine", "set the clock"},
		dnssec.AnchorMismatch: {"other keys", "--trust-anchors FILE"},
		dnssec.NoSignature:    {"drops or changes", "--resolvers HOST:PORT"},
		dnssec.BadProof:       {"drops or changes", "--resolvers HOST:PORT"},
	} {
		got := (&checkOptions{}).blind("example.com.", &dnssec.Error{Reason: reason, Detail: "as told"}).Message
		for _, text := range append(want[:], "nothing is known of example.com,", "(as told)") {
			if !strings.Contains(got, text) {
				t.Errorf("%s: %q does not say %q", reason, got, text)
			}
		}
	}
}

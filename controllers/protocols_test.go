package controllers

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/probe"
)

// TestEveryProtocolIsProbed: what the API admits is dialled, by its name and by its port.
func TestEveryProtocolIsProbed(t *testing.T) {
	rows := []struct {
		port int32
		set  v1alpha1.Protocol
		want probe.Protocol
	}{
		{25, "", probe.SMTP}, {587, "", probe.SMTP}, {2525, "", probe.SMTP}, {465, "", probe.SMTPS},
		{143, "", probe.IMAP}, {993, "", probe.IMAPS}, {110, "", probe.POP3}, {995, "", probe.POP3S}, {4190, "", probe.ManageSieve},
		{2525, v1alpha1.ProtocolSMTP, probe.SMTP}, {25, v1alpha1.ProtocolSMTPS, probe.SMTPS},
		{25, v1alpha1.ProtocolIMAP, probe.IMAP}, {143, v1alpha1.ProtocolIMAPS, probe.IMAPS},
		{995, v1alpha1.ProtocolPOP3, probe.POP3}, {110, v1alpha1.ProtocolPOP3S, probe.POP3S},
		{143, v1alpha1.ProtocolManageSieve, probe.ManageSieve}, {993, v1alpha1.ProtocolSMTP, probe.SMTP},
	}
	dialer := probe.New(probe.Options{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("dialled") }})
	for _, r := range rows {
		got := protocolOf(v1alpha1.MailServerPort{Port: r.port, Protocol: r.set})
		if got != r.want {
			t.Errorf("port %d, protocol %q: spoken is %s, want %s", r.port, r.set, got, r.want)
		}
		result := dialer.Probe(t.Context(), probe.Target{Addr: netip.MustParseAddrPort("1.1.1.1:25"), Protocol: got})
		if !strings.HasSuffix(result.Message, ": dialled") {
			t.Errorf("%s: %s", got, result.Message)
		}
	}
}

// headers is a prober that writes down which PROXY headers it is asked to send.
type headers struct{ alwaysPresents }

func (h headers) Probe(ctx context.Context, target probe.Target) probe.Result {
	result := h.alwaysPresents.Probe(ctx, target)
	result.Message = "header " + string(target.Proxy)
	return result
}

// TestProxyHeaderOfTheSpec: every connection of a host gets the header that its spec names.
func TestProxyHeaderOfTheSpec(t *testing.T) {
	name, port, ready := "smtp", int32(2525), true
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "postfix"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: name, Port: 25}}}}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "a", Labels: map[string]string{discoveryv1.LabelServiceName: "postfix"}},
		Ports:      []discoveryv1.EndpointPort{{Name: &name, Port: &port}},
		Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
	}
	for set, want := range map[v1alpha1.ProxyProtocol]string{
		"": "header ", v1alpha1.ProxyProtocolDisabled: "header ", v1alpha1.ProxyProtocolV1: "header V1", v1alpha1.ProxyProtocolV2: "header V2",
	} {
		pool := testPool(t, service, slice)
		pool.prober = headers{alwaysPresents(chainOf(t, 1))}
		job := probeJob{key: hostKey{domain: types.NamespacedName{Namespace: "mail", Name: "example"}}}
		job.server = v1alpha1.MailServer{
			Hostname: "mx1.example.com", Ports: []v1alpha1.MailServerPort{{Port: 25}},
			Probe: v1alpha1.ProbeSpec{ServiceRef: &v1alpha1.ServiceReference{Name: "postfix"}, ProxyProtocol: set},
		}
		_, probes := pool.round(job)
		if len(probes) != 1 || len(probes[0].results) != 3 {
			t.Fatalf("%q: %+v", set, probes)
		}
		for _, r := range probes[0].results {
			if r.Message != want {
				t.Errorf("%q: sent is %q", set, r.Message)
			}
		}
	}
}

// TestEndpointsWithoutAChain: a port that is blocked on the way says nothing of the server behind it. A
// server that answers and has no TLS is known to be one that senders with DANE do not deliver to.
func TestEndpointsWithoutAChain(t *testing.T) {
	const (
		blocked = "192.0.2.1:25: no connection in time: the server is down, or port 25 is blocked on the way, as it is in many networks"
		plain   = "the server does not offer STARTTLS: senders with DANE do not deliver"
	)
	one := func(address string, results ...probe.Result) endpointProbe {
		return endpointProbe{address: address, port: 25, results: results}
	}
	unreachable := one("192.0.2.1", probe.Result{Outcome: probe.Unreachable, Message: blocked})
	noTLS := one("2001:db8::2", probe.Result{Outcome: probe.NoTLS, Message: plain}, probe.Result{Outcome: probe.NoTLS, Message: plain})
	rows := []struct {
		reason string
		probes []endpointProbe
		want   finding
	}{
		{"blocked: nothing is known", []endpointProbe{unreachable}, finding{metav1.ConditionUnknown, v1alpha1.ReasonUnreachable, blocked}},
		{"no TLS: known, and the address stands before it", []endpointProbe{noTLS}, finding{metav1.ConditionFalse, v1alpha1.ReasonNoTLS, "[2001:db8::2]:25: " + plain}},
		{"what is known goes before what is not", []endpointProbe{unreachable, noTLS}, finding{metav1.ConditionFalse, v1alpha1.ReasonNoTLS, "[2001:db8::2]:25: " + plain}},
		{
			"no TLS, and then silence: it is not known what it would have said", []endpointProbe{one("192.0.2.3", noTLS.results[0], probe.Result{Outcome: probe.Unreachable, Message: "192.0.2.3:25: gone"})},
			finding{metav1.ConditionUnknown, v1alpha1.ReasonUnreachable, "192.0.2.3:25: " + plain},
		},
	}
	for _, row := range rows {
		t.Run(row.reason, func(t *testing.T) {
			h := &hostRun{}
			h.view.probes = row.probes
			if got := compareEndpoints(h); got != row.want {
				t.Errorf("got %+v, want %+v", got, row.want)
			}
		})
	}
}

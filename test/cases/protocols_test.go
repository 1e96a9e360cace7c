package cases

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/mail"
	"github.com/dane-operator/dane-operator/test/protocols"
)

// mailPorts are the ports of a mail server, as a Service has them, and where two pods listen for each.
type mailPorts map[int32][2]netip.AddrPort

// putMailService makes a Service whose ports have names, and for each of two pods an EndpointSlice of its
// own: the same name stands for another port there, as where the pods' container ports differ.
func (s *site) putMailService(name string, ports mailPorts) {
	s.Helper()
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.lab.Namespace, Name: name}}
	service.Spec.ClusterIP = corev1.ClusterIPNone
	pods := [2]*discoveryv1.EndpointSlice{}
	ready, tcp := true, corev1.ProtocolTCP
	for i := range pods {
		pods[i] = &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: s.lab.Namespace, Name: fmt.Sprintf("%s-%d", name, i),
				Labels: map[string]string{discoveryv1.LabelServiceName: name},
			},
			AddressType: discoveryv1.AddressTypeIPv4,
		}
	}
	for port, at := range ports {
		target := fmt.Sprintf("mail-%d", port)
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{Name: target, Port: port, TargetPort: intstr.FromString(target), Protocol: tcp})
		for i, pod := range pods {
			listens := int32(at[i].Port())
			pod.Ports = append(pod.Ports, discoveryv1.EndpointPort{Name: &target, Port: &listens, Protocol: &tcp})
			pod.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{at[i].Addr().String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}}
		}
	}
	s.must(s.lab.Client.Create(s.Context(), service))
	for _, pod := range pods {
		s.must(s.lab.Client.Create(s.Context(), pod))
	}
}

// chain waits until cert-manager has issued a certificate.
func (s *site) chain(secret string) protocols.Chain {
	s.Helper()
	var out protocols.Chain
	object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.lab.Namespace, Name: secret}}
	s.must(s.lab.WaitFor(s.Context(), object, patience, func() string {
		out = protocols.Chain{Certificates: object.Data[corev1.TLSCertKey], Key: object.Data[corev1.TLSPrivateKeyKey]}
		if len(out.Certificates) == 0 || len(out.Key) == 0 {
			return "no certificate yet"
		}
		return ""
	}))
	return out
}

// TestEveryProtocolOfAService publishes records for each port of two hosts, whose Services have two pods
// each: SMTP of the test kit, and Dovecot for the rest. The second host's pods want a PROXY header.
func TestEveryProtocolOfAService(t *testing.T) {
	t.Parallel()
	const store = "store.example.test"
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone()
	s.certificate("mx1", mx)
	s.certificate("store", store)
	s.port = 25
	s.domain("example", mx, func(md *v1alpha1.MailDomain) {
		first := &md.Spec.MailServers[0]
		first.Ports = []v1alpha1.MailServerPort{{Port: 25}, {Port: 143}, {Port: 993}, {Port: 110}, {Port: 995}, {Port: 4190}}
		first.Probe.ServiceRef = &v1alpha1.ServiceReference{Name: "mail"}
		md.Spec.MailServers = append(md.Spec.MailServers, v1alpha1.MailServer{
			Hostname: store, Certificates: []v1alpha1.CertificateReference{{Name: "store"}},
			Ports: []v1alpha1.MailServerPort{{Port: 143}, {Port: 993}, {Port: 110}, {Port: 4190}},
			Probe: v1alpha1.ProbeSpec{ServiceRef: &v1alpha1.ServiceReference{Name: "store"}, ProxyProtocol: v1alpha1.ProxyProtocolV2},
		})
	}, "mx1")
	own := ownAddress(t)
	dovecot := protocols.DovecotOptions{
		Address: own, Chains: []protocols.Chain{s.chain("mx1-tls")}, Names: map[string]protocols.Chain{store: s.chain("store-tls")},
	}
	one, two := protocols.StartDovecot(t, dovecot), protocols.StartDovecot(t, dovecot)
	both := func(port string) [2]netip.AddrPort { return [2]netip.AddrPort{one.At(port), two.At(port)} }
	plain := mailPorts{
		143: both(protocols.IMAP), 993: both(protocols.IMAPS), 110: both(protocols.POP3), 995: both(protocols.POP3S), 4190: both(protocols.Sieve),
	}
	var smtp [2]netip.AddrPort
	for i := range smtp {
		server, err := mail.Start(own+":0", func() ([]byte, []byte) { return s.lab.TLSSecret(context.Background(), "mx1-tls") }, 0)
		s.must(err)
		t.Cleanup(server.Stop)
		smtp[i] = netip.MustParseAddrPort(server.Addr)
	}
	plain[25] = smtp
	s.putMailService("mail", plain)
	s.putMailService("store", mailPorts{
		143: both(protocols.IMAPProxy), 993: both(protocols.IMAPSProxy), 110: both(protocols.POP3Proxy), 4190: both(protocols.SieveProxy),
	})
	md := s.wait("example", func(md *v1alpha1.MailDomain) string {
		if missing := lab.Condition(md, v1alpha1.ConditionServersVerified, metav1.ConditionTrue); missing != "" {
			return missing
		}
		for i, want := range []int{12, 8} { // the second pod may be seen a round later than the first
			if n := len(md.Status.MailServers[i].Endpoints); n != want {
				return fmt.Sprintf("%s: %d endpoints in status, want %d: %+v", md.Status.MailServers[i].Hostname, n, want, md.Status.MailServers[i].Endpoints)
			}
		}
		return lab.Condition(md, v1alpha1.ConditionRecordsPublished, metav1.ConditionTrue)
	})
	s.requireRecords(md)
}

// requireRecords checks that every port of every host has its keys' records.
func (s *site) requireRecords(md *v1alpha1.MailDomain) {
	s.Helper()
	for _, server := range md.Spec.MailServers {
		for _, port := range server.Ports {
			if owner := fmt.Sprintf("_%d._tcp.%s.", port.Port, server.Hostname); len(s.tlsa(owner)) == 0 {
				s.Errorf("%s has no TLSA records", owner)
			}
		}
	}
}

package cases

import (
	"fmt"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
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
// each: Postfix for SMTP and submission, with TLS from the start and by STARTTLS, and Dovecot for the rest. The
// second host's pods want a PROXY header.
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
		first.Ports = portsOf(25, 587, 465, 143, 993, 110, 995, 4190)
		first.Probe.ServiceRef = &v1alpha1.ServiceReference{Name: "mail"}
		md.Spec.MailServers = append(md.Spec.MailServers, v1alpha1.MailServer{
			Hostname: store, Certificates: []v1alpha1.CertificateReference{{Name: "store"}}, Ports: portsOf(587, 465, 143, 993, 110, 995, 4190),
			Probe: v1alpha1.ProbeSpec{ServiceRef: &v1alpha1.ServiceReference{Name: "store"}, ProxyProtocol: v1alpha1.ProxyProtocolV2},
		})
	}, "mx1")
	plain, proxied := s.mailPods(ownAddress(t), []protocols.Chain{s.chain("mx1-tls")}, map[string]protocols.Chain{store: s.chain("store-tls")})
	s.putMailService("mail", plain)
	s.putMailService("store", proxied)
	md := s.wait("example", func(md *v1alpha1.MailDomain) string {
		if missing := lab.Condition(md, v1alpha1.ConditionServersVerified, metav1.ConditionTrue); missing != "" {
			return missing
		}
		for i, ports := range []mailPorts{plain, proxied} { // the second pod may be seen a round later than the first
			if missing := seen(md.Status.MailServers[i], ports); missing != "" {
				return missing
			}
		}
		return lab.Condition(md, v1alpha1.ConditionRecordsPublished, metav1.ConditionTrue)
	})
	s.requireRecords(md)
}

// mailPods are two pods with a Postfix and a Dovecot each, by the ports that want no PROXY header and those that do.
func (s *site) mailPods(address string, chains []protocols.Chain, names map[string]protocols.Chain) (plain, proxied mailPorts) {
	s.Helper()
	plain, proxied = mailPorts{}, mailPorts{}
	for i := range 2 {
		postfix := protocols.StartPostfix(s, protocols.PostfixOptions{Address: address, Chains: chains, Names: names})
		dovecot := protocols.StartDovecot(s, protocols.DovecotOptions{Address: address, Chains: chains, Names: names})
		for ports, at := range map[*mailPorts]map[int32]netip.AddrPort{
			&plain: {
				25: postfix.At(protocols.SMTP), 587: postfix.At(protocols.Submission), 465: postfix.At(protocols.SMTPS),
				143: dovecot.At(protocols.IMAP), 993: dovecot.At(protocols.IMAPS), 110: dovecot.At(protocols.POP3),
				995: dovecot.At(protocols.POP3S), 4190: dovecot.At(protocols.Sieve),
			},
			&proxied: {
				587: postfix.At(protocols.SMTPProxy), 465: postfix.At(protocols.SMTPSProxy),
				143: dovecot.At(protocols.IMAPProxy), 993: dovecot.At(protocols.IMAPSProxy), 110: dovecot.At(protocols.POP3Proxy),
				995: dovecot.At(protocols.POP3SProxy), 4190: dovecot.At(protocols.SieveProxy),
			},
		} {
			for port, listens := range at {
				pods := (*ports)[port]
				pods[i] = listens
				(*ports)[port] = pods
			}
		}
	}
	return plain, proxied
}

func portsOf(numbers ...int32) []v1alpha1.MailServerPort {
	var out []v1alpha1.MailServerPort
	for _, n := range numbers {
		out = append(out, v1alpha1.MailServerPort{Port: n})
	}
	return out
}

// seen returns what is missing for status to say of a host that each port presents, at both pods, a key that its records
// match, and to say nothing else.
func seen(server v1alpha1.MailServerStatus, ports mailPorts) string {
	verified := map[int32]int{}
	for _, e := range server.Endpoints {
		if e.Verified {
			verified[e.Port]++
		}
	}
	for port := range ports {
		if verified[port] != 2 {
			return fmt.Sprintf("%s: port %d to be verified at two pods: %+v", server.Hostname, port, server.Endpoints)
		}
	}
	if len(server.Endpoints) != 2*len(ports) {
		return fmt.Sprintf("%s: %d endpoints in status, want %d: %+v", server.Hostname, len(server.Endpoints), 2*len(ports), server.Endpoints)
	}
	return ""
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

package controllers

import (
	"cmp"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// This file says what is connected to for the ports of a host: the addresses of its name, or the ready endpoints of
// a Service.

// endpoint is one address to connect to for one port of the host.
type endpoint struct {
	addr netip.AddrPort
	// port of the TLSA owner, which differs from the address's behind a Service.
	port     int32
	protocol probe.Protocol
}

// endpointList is what to connect to for a host.
type endpointList struct {
	endpoints []endpoint
	// trusted says that the addresses come from a Service.
	trusted bool
	// gaps are why it is not known to be all there is; none when it is.
	gaps []gap
}

// gap is something that is not known of a port, or of every port when that is zero.
type gap struct {
	port    int32
	message string
}

// endpoints finds what to connect to.
func (p *proberPool) endpoints(job probeJob) endpointList {
	if ref := job.server.Probe.ServiceRef; ref != nil {
		return p.serviceEndpoints(job, ref.Name)
	}
	answer := make(chan zone.Address, 1)
	job.zone.Addresses(job.server.Hostname, func(a zone.Address) { answer <- a })
	select {
	case a := <-answer:
		list := endpointList{endpoints: hostEndpoints(job.server, a.Addrs[:min(len(a.Addrs), maxAddresses)])}
		if message := addressGap(job, a); message != "" {
			list.gaps = []gap{{message: message}}
		}
		return list
	case <-p.ctx.Done():
		return endpointList{gaps: []gap{{message: "the operator is stopping"}}}
	}
}

// addressGap says why the addresses of a host are not known to be all that senders may be given; empty
// when they are.
func addressGap(job probeJob, a zone.Address) string {
	host := job.server.Hostname
	switch {
	case len(a.Addrs) == 0:
		return cmp.Or(a.Message, host+" has no address records")
	case len(a.Addrs) > maxAddresses:
		return fmt.Sprintf("%s has more than %d addresses, and no more are connected to: what the others present is not known", host, maxAddresses)
	case !a.Complete:
		return fmt.Sprintf("the addresses of %s may not be all: %s", host, a.Message)
	case job.dnssec && !a.Signed:
		return fmt.Sprintf("the addresses of %s are not proved: %s", host, a.Message)
	}
	return ""
}

func hostEndpoints(server v1alpha1.MailServer, addrs []netip.Addr) []endpoint {
	var out []endpoint
	for _, a := range addrs {
		for _, port := range server.Ports {
			out = append(out, endpoint{addr: netip.AddrPortFrom(a, uint16(port.Port)), port: port.Port, protocol: protocolOf(port)}) //nolint:gosec // the schema limits ports to 65535
		}
	}
	return out
}

// serviceEndpoints lists the ready endpoints of a Service for every port of the host, and the ports
// that have none.
func (p *proberPool) serviceEndpoints(job probeJob, service string) endpointList {
	namespace := job.key.domain.Namespace
	svc := &corev1.Service{}
	if err := p.reader.Get(p.ctx, client.ObjectKey{Namespace: namespace, Name: service}, svc); err != nil {
		return endpointList{gaps: []gap{{message: fmt.Sprintf("Service %s/%s cannot be read: %v", namespace, service, err)}}}
	}
	var slices discoveryv1.EndpointSliceList
	if err := p.reader.List(p.ctx, &slices, client.InNamespace(namespace), client.MatchingFields{sliceIndex: service}); err != nil {
		return endpointList{gaps: []gap{{message: fmt.Sprintf("the EndpointSlices of Service %s/%s cannot be listed: %v", namespace, service, err)}}}
	}
	list := endpointList{trusted: true}
	for _, port := range job.server.Ports {
		name, ok := servicePortName(svc, port.Port)
		if !ok {
			list.gaps = append(list.gaps, gap{port.Port, fmt.Sprintf("Service %s/%s has no TCP port %d", namespace, service, port.Port)})
			continue
		}
		var ready []endpoint
		for i := range slices.Items {
			ready = append(ready, sliceEndpoints(&slices.Items[i], name, port)...)
		}
		if len(ready) == 0 {
			list.gaps = append(list.gaps, gap{port.Port, fmt.Sprintf("Service %s/%s has no ready endpoint for port %d", namespace, service, port.Port)})
		}
		list.endpoints = append(list.endpoints, ready...)
	}
	return list
}

func servicePortName(svc *corev1.Service, port int32) (string, bool) {
	for _, sp := range svc.Spec.Ports {
		if sp.Port == port && (sp.Protocol == corev1.ProtocolTCP || sp.Protocol == "") {
			return sp.Name, true
		}
	}
	return "", false
}

func sliceEndpoints(slice *discoveryv1.EndpointSlice, portName string, port v1alpha1.MailServerPort) []endpoint {
	var out []endpoint
	for _, sp := range slice.Ports {
		if sp.Port == nil || (sp.Name != nil && *sp.Name != portName) || (sp.Name == nil && portName != "") {
			continue
		}
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready {
				continue
			}
			for _, a := range e.Addresses {
				if addr, err := netip.ParseAddr(a); err == nil {
					out = append(out, endpoint{addr: netip.AddrPortFrom(addr, uint16(*sp.Port)), port: port.Port, protocol: protocolOf(port)}) //nolint:gosec // a port
				}
			}
		}
	}
	return out
}

// protocolOf resolves the protocol of a port, by its number where it is not set.
func protocolOf(port v1alpha1.MailServerPort) probe.Protocol {
	if port.Protocol != "" {
		return probe.Protocol(port.Protocol)
	}
	switch port.Port {
	case 465:
		return probe.SMTPS
	case 143:
		return probe.IMAP
	case 993:
		return probe.IMAPS
	case 110:
		return probe.POP3
	case 995:
		return probe.POP3S
	case 4190:
		return probe.ManageSieve
	default:
		return probe.SMTP
	}
}

// proxyOf is the PROXY header that a server wants.
func proxyOf(spec v1alpha1.ProbeSpec) probe.ProxyProtocol {
	if spec.ProxyProtocol == v1alpha1.ProxyProtocolDisabled {
		return probe.NoProxy
	}
	return probe.ProxyProtocol(spec.ProxyProtocol)
}

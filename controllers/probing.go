package controllers

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// endpointProbe is what the probes of one address and port found, for status.
type endpointProbe struct {
	address string
	port    int32
	results []probe.Result
}

// probeJob is one round of probing a host.
type probeJob struct {
	key    hostKey
	server v1alpha1.MailServer
	domain string
	// service is set when the endpoints come from a Service; otherwise the zone is asked.
	zone zone.Client
}

// proberPool runs probe rounds outside the reconcile workers, a bounded number at a time.
type proberPool struct {
	reader   client.Reader
	prober   probe.Prober
	clock    clock.PassiveClock
	observer *observer
	slots    chan struct{}
	// ctx ends when stop is called: the operator stops.
	ctx  context.Context
	stop context.CancelFunc
}

func newProberPool(reader client.Reader, p probe.Prober, c clock.PassiveClock, o *observer, parallel int) *proberPool {
	ctx, stop := context.WithCancel(context.Background())
	return &proberPool{reader: reader, prober: p, clock: c, observer: o, slots: make(chan struct{}, parallel), ctx: ctx, stop: stop}
}

// start begins a round unless one is under way.
func (p *proberPool) start(job probeJob) {
	if !p.observer.beginProbe(job.key) {
		return
	}
	go func() {
		select {
		case p.slots <- struct{}{}:
			defer func() { <-p.slots }()
		case <-p.ctx.Done():
			return
		}
		round, probes := p.round(job)
		p.observer.endProbe(job.key, round, probes)
	}()
}

// round connects to every endpoint once per key type.
func (p *proberPool) round(job probeJob) (rollover.ProbeRound, []endpointProbe) {
	round := rollover.ProbeRound{Start: p.clock.Now(), Complete: true}
	endpoints, trusted, problem := p.endpoints(job)
	if problem != "" {
		round.Complete = false
		round.Presented = append(round.Presented, rollover.Presented{Unreachable: true, Message: problem})
		round.End = p.clock.Now()
		return round, []endpointProbe{{address: job.server.Hostname, results: []probe.Result{{Outcome: probe.Unreachable, Message: problem}}}}
	}
	probes := p.connect(job, endpoints, trusted)
	for _, e := range probes {
		presented, complete := presentedBy(e, referenceNames(job.server.Hostname, job.domain), p.clock.Now())
		round.Presented = append(round.Presented, presented...)
		round.Complete = round.Complete && complete
	}
	round.End = p.clock.Now()
	return round, probes
}

// connect probes all endpoints side by side.
func (p *proberPool) connect(job probeJob, endpoints []endpoint, trusted bool) []endpointProbe {
	probes := make([]endpointProbe, len(endpoints))
	var wg sync.WaitGroup
	for i, e := range endpoints {
		wg.Go(func() {
			probes[i] = endpointProbe{address: e.addr.Addr().String(), port: e.port}
			for _, keyType := range []probe.KeyType{probe.AnyKey, probe.ECDSA, probe.RSA} {
				target := probe.Target{Host: job.server.Hostname, Addr: e.addr, Protocol: e.protocol, KeyType: keyType, Trusted: trusted}
				result := p.prober.Probe(p.ctx, target)
				probes[i].results = append(probes[i].results, result)
				if result.Outcome == probe.Unreachable || result.Outcome == probe.Forbidden {
					return
				}
			}
		})
	}
	wg.Wait()
	slices.SortFunc(probes, func(a, b endpointProbe) int {
		return cmp.Or(strings.Compare(a.address, b.address), cmp.Compare(a.port, b.port))
	})
	return probes
}

// presentedBy tells the rule what one endpoint presented, and whether that is all there is to know.
// A server that cannot be asked for one key type, and presents a chain otherwise, is known: that is
// what a server with one certificate looks like.
func presentedBy(e endpointProbe, names []string, now time.Time) ([]rollover.Presented, bool) {
	var out []rollover.Presented
	seen := map[string]bool{}
	for _, r := range e.results {
		if r.Outcome != probe.Presented || len(r.Chain) == 0 || seen[string(r.Chain[0].Raw)] {
			continue
		}
		chain := r.Chain
		seen[string(chain[0].Raw)] = true
		out = append(out, rollover.Presented{
			Address: e.address, Port: e.port, SPKI: tlsa.SPKISHA256(chain[0].RawSubjectPublicKeyInfo),
			Matches: func(record tlsa.Record) bool { return tlsa.Matches(record, chain, names, now) },
		})
	}
	if len(out) > 0 {
		return out, true
	}
	message := "not probed"
	if len(e.results) > 0 {
		message = e.results[0].Message
	}
	return []rollover.Presented{{Address: e.address, Port: e.port, Unreachable: true, Message: message}}, false
}

// endpoint is one address to connect to for one port of the host.
type endpoint struct {
	addr netip.AddrPort
	// port of the TLSA owner, which differs from the address's behind a Service.
	port     int32
	protocol probe.Protocol
}

// endpoints finds what to connect to. The message is for people and empty on success.
func (p *proberPool) endpoints(job probeJob) ([]endpoint, bool, string) {
	if ref := job.server.Probe.ServiceRef; ref != nil {
		endpoints, problem := p.serviceEndpoints(job, ref.Name)
		return endpoints, true, problem
	}
	answer := make(chan zone.Address, 1)
	job.zone.Addresses(job.server.Hostname, func(a zone.Address) { answer <- a })
	select {
	case a := <-answer:
		if len(a.Addrs) == 0 {
			return nil, false, cmp.Or(a.Message, fmt.Sprintf("%s has no address records", job.server.Hostname))
		}
		return hostEndpoints(job.server, a.Addrs), false, ""
	case <-p.ctx.Done():
		return nil, false, "the operator is stopping"
	}
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

// serviceEndpoints lists the ready endpoints of a Service, for every port of the host that the
// Service has.
func (p *proberPool) serviceEndpoints(job probeJob, service string) ([]endpoint, string) {
	namespace := job.key.domain.Namespace
	svc := &corev1.Service{}
	if err := p.reader.Get(p.ctx, client.ObjectKey{Namespace: namespace, Name: service}, svc); err != nil {
		return nil, fmt.Sprintf("Service %s/%s cannot be read: %v", namespace, service, err)
	}
	var slices discoveryv1.EndpointSliceList
	if err := p.reader.List(p.ctx, &slices, client.InNamespace(namespace), client.MatchingLabels{discoveryv1.LabelServiceName: service}); err != nil {
		return nil, fmt.Sprintf("the EndpointSlices of Service %s/%s cannot be listed: %v", namespace, service, err)
	}
	var out []endpoint
	for _, port := range job.server.Ports {
		name, ok := servicePortName(svc, port.Port)
		if !ok {
			return nil, fmt.Sprintf("Service %s/%s has no TCP port %d", namespace, service, port.Port)
		}
		for i := range slices.Items {
			out = append(out, sliceEndpoints(&slices.Items[i], name, port)...)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Sprintf("Service %s/%s has no ready endpoint", namespace, service)
	}
	return out, ""
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
		return probe.Protocol(v1alpha1.ProtocolIMAP)
	case 993:
		return probe.Protocol(v1alpha1.ProtocolIMAPS)
	case 110:
		return probe.Protocol(v1alpha1.ProtocolPOP3)
	case 995:
		return probe.Protocol(v1alpha1.ProtocolPOP3S)
	case 4190:
		return probe.Protocol(v1alpha1.ProtocolManageSieve)
	default:
		return probe.SMTP
	}
}

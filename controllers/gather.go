package controllers

import (
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
)

// domainRun is one reconcile of a MailDomain.
type domainRun struct {
	md  *v1alpha1.MailDomain
	now time.Time
	// hosts in the order of the spec, then those that left it and still have records.
	hosts []*hostRun
	// invalid says what is wrong with the spec although the schema let it pass.
	invalid string
}

// gather reads everything that the decisions for a MailDomain rest on, and decides. It writes nothing.
func (r *MailDomainReconciler) gather(ctx context.Context, md *v1alpha1.MailDomain) (*domainRun, error) {
	run := &domainRun{md: md, now: r.Clock.Now()}
	w, err := readWorld(ctx, r.Client, md)
	if err != nil {
		return nil, err
	}
	deleting := !md.DeletionTimestamp.IsZero()
	for i := range md.Spec.MailServers {
		server := md.Spec.MailServers[i]
		h := r.newHost(md, server)
		h.removing = deleting || len(server.Certificates) == 0 && h.hasRecords()
		run.hosts = append(run.hosts, h)
	}
	for i := range md.Status.MailServers {
		s := &md.Status.MailServers[i]
		if len(s.OwnRecords) > 0 && !slices.Contains(hostnames(md), s.Hostname) {
			h := r.newHost(md, formerServer(s))
			h.removing = true
			run.hosts = append(run.hosts, h)
		}
	}
	for _, h := range run.hosts {
		if err := r.gatherHost(ctx, run, w, h); err != nil {
			return nil, err
		}
	}
	return run, nil
}

func (r *MailDomainReconciler) newHost(md *v1alpha1.MailDomain, server v1alpha1.MailServer) *hostRun {
	key := hostKey{domain: types.NamespacedName{Namespace: md.Namespace, Name: md.Name}, host: server.Hostname}
	h := &hostRun{key: key, server: server, mailDomain: md.Spec.Domain, view: r.observer.view(key)}
	for i := range md.Status.MailServers {
		if md.Status.MailServers[i].Hostname == server.Hostname {
			h.previous = &md.Status.MailServers[i]
		}
	}
	return h
}

// formerServer rebuilds what is needed of a host that has left the spec: its name, and the ports
// whose owners have versions.
func formerServer(s *v1alpha1.MailServerStatus) v1alpha1.MailServer {
	server := v1alpha1.MailServer{Hostname: s.Hostname, Probe: v1alpha1.ProbeSpec{Mode: v1alpha1.ProbeDisabled}}
	seen := map[int32]bool{}
	for _, v := range s.Versions {
		if port, ok := portOfOwner(v.Owner); ok && !seen[port] {
			seen[port] = true
			server.Ports = append(server.Ports, v1alpha1.MailServerPort{Port: port})
		}
	}
	return server
}

// gatherHost finds out whether the host may be written, reads its keys, and decides.
func (r *MailDomainReconciler) gatherHost(ctx context.Context, run *domainRun, w *world, h *hostRun) error {
	md := run.md
	h.notManaged = len(h.server.Certificates) == 0 && !h.removing
	h.zone, h.refused = w.zoneFor(md.Namespace, &h.server)
	if h.notManaged {
		return nil
	}
	if h.refused == nil && !h.removing {
		if other := w.ownedElsewhere(md, &h.server); other != "" {
			h.refused = ownedElsewhereRefusal(h.server.Hostname, md.Namespace, other)
		}
	}
	if err := r.readCertificates(ctx, run, h); err != nil || h.refused != nil {
		return err
	}
	entry, ok := r.zones.get(types.NamespacedName{Namespace: h.zone.Namespace, Name: h.zone.Name})
	if !ok || entry.client == nil {
		return nil
	}
	h.entry = entry
	facts, err := factsOf(md, h, r.settings, run.now)
	if err != nil {
		run.invalid = err.Error()
		return nil //nolint:nilerr // it stands in the conditions: trying again would not mend it
	}
	h.facts = facts
	h.decision = rollover.Decide(facts)
	h.decided = true
	return nil
}

// readCertificates reads the Certificates of a host and their keys.
func (r *MailDomainReconciler) readCertificates(ctx context.Context, run *domainRun, h *hostRun) error {
	params, err := parametersOf(run.md)
	if err != nil {
		run.invalid = err.Error()
		return nil //nolint:nilerr // as above
	}
	for _, ref := range h.server.Certificates {
		facts, err := r.keys.read(ctx, run.md, ref, params)
		if err != nil {
			return err
		}
		if facts.certificate == nil {
			h.missing = append(h.missing, ref.Name)
		}
		h.certs = append(h.certs, facts)
	}
	return nil
}

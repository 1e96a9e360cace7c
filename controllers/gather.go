package controllers

import (
	"cmp"
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
	// evenSince is since when the clock has run without being set forward; zero when this process never saw that.
	evenSince time.Time
	// hosts in the order of the spec, then those that left it and still have records.
	hosts []*hostRun
	// invalid says what is wrong with the spec although the schema let it pass.
	invalid string
	// domainZone is a DNSZone that holds the mail domain itself, where the namespace may use one.
	domainZone *v1alpha1.DNSZone
	// domainEntry is what is known of that.
	domainEntry zoneEntry
	// records are those of the mail domain beside TLSA; nil where it has none.
	records *recordsRun
	// refused are the effects that the API server refused when they were last tried.
	refused string
	// beside are those of names beside the domain.
	beside []*recordsRun
	// dkim are the keys that its mail is signed with; nil where it has none.
	dkim *dkimRun
}

// key names the MailDomain.
func (run *domainRun) key() types.NamespacedName {
	return types.NamespacedName{Namespace: run.md.Namespace, Name: run.md.Name}
}

// gather reads everything that the decisions for a MailDomain rest on, and decides. It writes nothing.
func (r *MailDomainReconciler) gather(ctx context.Context, md *v1alpha1.MailDomain) (*domainRun, error) {
	at, err := r.machine.read(ctx)
	if err != nil {
		return nil, err
	}
	run := &domainRun{md: md, now: at.Now, evenSince: at.EvenSince, refused: r.refusals.of(md)}
	r.addHosts(run)
	w, err := readWorld(ctx, r.Client, md, run.writtenNames())
	if err != nil {
		return nil, err
	}
	for _, h := range run.hosts {
		if err := r.gatherHost(ctx, run, w, h); err != nil {
			return nil, err
		}
		if err := r.findHeldElsewhere(ctx, run, h); err != nil {
			return nil, err
		}
	}
	if z, refused := w.zoneFor(md.Namespace, &v1alpha1.MailServer{Hostname: md.Spec.Domain}); refused == nil {
		run.domainZone = z
		run.domainEntry, _ = r.zoneEntry(types.NamespacedName{Namespace: z.Namespace, Name: z.Name})
	}
	run.shareEnds()
	r.gatherRecords(run, w)
	if err := r.gatherKeys(ctx, run, w); err != nil {
		return nil, err
	}
	if err := w.zones.failure(); err != nil {
		return nil, err
	}
	return run, nil
}

// addHosts adds the hosts of the spec to a run, and those that have left it and still have records.
func (r *MailDomainReconciler) addHosts(run *domainRun) {
	md := run.md
	deleting := !md.DeletionTimestamp.IsZero()
	for i := range md.Spec.MailServers {
		server := md.Spec.MailServers[i]
		h := r.newHost(md, server)
		h.removing = deleting || len(server.Certificates) == 0 && h.hasRecords()
		h.sender = r.senders.statusOf(h)
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
}

// writtenNames are the TLSA owners of all hosts and the names that their aliases lead to.
func (run *domainRun) writtenNames() []string {
	var out []string
	for _, h := range run.hosts {
		for _, owner := range h.ownerNames() {
			out = append(out, cmp.Or(h.endOf(owner), owner))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (r *MailDomainReconciler) newHost(md *v1alpha1.MailDomain, server v1alpha1.MailServer) *hostRun {
	key := hostKey{domain: types.NamespacedName{Namespace: md.Namespace, Name: md.Name}, host: server.Hostname}
	h := &hostRun{key: key, server: server, mailDomain: md.Spec.Domain, view: r.observer.view(key)}
	if h.previous = md.Status.MailServer(server.Hostname); h.previous != nil {
		h.written = storedRecords(h.previous.OwnRecords)
	}
	return h
}

// formerServer rebuilds what is needed of a host that has left the spec: its name, its zone, and the
// ports whose owners have versions.
func formerServer(s *v1alpha1.MailServerStatus) v1alpha1.MailServer {
	server := v1alpha1.MailServer{Hostname: s.Hostname, ZoneRef: s.ZoneRef, Probe: v1alpha1.ProbeSpec{Mode: v1alpha1.ProbeDisabled}}
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
	h.notManaged = len(h.server.Certificates) == 0 && !h.removing
	h.place(run.md, w)
	if err := r.findApart(ctx, run.md, h); err != nil {
		return err
	}
	if h.refused == nil {
		r.settleEnds(run.md, w, h)
	}
	if err := r.readCertificates(ctx, run, h, r.keys); err != nil || h.refused != nil && !h.refusedEnd {
		return err
	}
	h.labels = w.namespaceLabels[run.md.Namespace]
	entry, ok := r.zoneEntry(types.NamespacedName{Namespace: h.zone.Namespace, Name: h.zone.Name})
	h.entry = entry
	if !ok || entry.client == nil {
		return nil
	}
	if err := r.decide(run, h); err != nil || !h.dropsKeys() {
		return err
	}
	// A cache may lag behind what this operator or cert-manager has just done: before records go,
	// everything is read anew and live.
	h.certs, h.missing = nil, nil
	if err := r.readCertificates(ctx, run, h, r.keys.direct()); err != nil {
		return err
	}
	return r.decide(run, h)
}

// place finds the zone of the host, and whether another MailDomain has it.
func (h *hostRun) place(md *v1alpha1.MailDomain, w *world) {
	h.zone, h.refused = w.zoneFor(md.Namespace, &h.server)
	h.handedOver = func(port int32) bool { return w.claimedBy(md, &h.server, port) != "" }
	if h.refused != nil || h.removing || h.notManaged {
		return
	}
	if other := w.ownedElsewhere(md, &h.server); other != "" {
		h.refused = ownedElsewhereRefusal(h.server.Hostname, md.Namespace, other)
	}
}

// decide asks the rule. A spec that cannot be understood stands in the conditions: trying again would
// not mend it.
func (r *MailDomainReconciler) decide(run *domainRun, h *hostRun) error {
	facts, err := factsOf(run, h, r.settings)
	if err != nil {
		run.invalid = err.Error()
		return nil //nolint:nilerr // see above
	}
	h.facts = facts
	h.decision = rollover.Decide(facts)
	h.decided = true
	return nil
}

// dropsKeys says whether a key that was known before is not any more: its records go.
func (h *hostRun) dropsKeys() bool {
	return h.decided && slices.ContainsFunc(h.facts.States, func(s rollover.KeyState) bool {
		return !slices.ContainsFunc(h.decision.Keys, func(k rollover.KeyState) bool { return k.ID == s.ID })
	})
}

// readCertificates reads the Certificates of a host and their keys.
func (r *MailDomainReconciler) readCertificates(ctx context.Context, run *domainRun, h *hostRun, from keyReader) error {
	params, err := parametersOf(run.md)
	if err != nil {
		run.invalid = err.Error()
		return nil //nolint:nilerr // it stands in the conditions: trying again would not mend it
	}
	sets := parameterSets{wanted: params, leaving: h.leavingAuthorities(params)}
	for _, ref := range h.server.Certificates {
		facts, err := from.read(ctx, run.md, ref, sets)
		if err != nil {
			return err
		}
		if facts.certificate == nil {
			h.missing = append(h.missing, ref.Name)
		}
		if !h.removing {
			facts.setAsideFirstKey(run.md, run.now)
		}
		h.certs = append(h.certs, facts)
	}
	return nil
}

package controllers

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/guard"
	"github.com/dane-operator/dane-operator/internal/sendercheck"
)

// This file looks up what senders do with mail for a MailDomain.

// senderJob is one look.
type senderJob struct {
	name types.NamespacedName
	// domain is what mail is addressed to.
	domain  string
	targets []senderTarget
	anchors []dnssec.Anchor
	// trust stands for the anchors, mark for all that the views depend on as far as it is known here.
	trust string
	mark  uint64
	// zones are those with a trust anchor or a DNSZone, bogus those of them that their own servers show to be,
	// all as absolute names.
	zones, bogus []string
}

// senderTarget is a host, and the port that other mail servers deliver to.
type senderTarget struct {
	host string
	port int32
	// probed says that the operator connects to it. Where it does not, the user vouches for it.
	probed bool
}

// submission is the port for users alone (RFC 6409 section 3.1).
const submission = 587

// senderPort is the port of a host that other mail servers deliver to: 25, else the first other one that
// speaks SMTP. It is 0 where there is none.
func senderPort(server v1alpha1.MailServer) int32 {
	found := int32(0)
	for _, p := range server.Ports {
		switch {
		case p.Port == 25:
			return 25
		case found == 0 && p.Port != submission && protocolOf(p) == "SMTP":
			found = p.Port
		}
	}
	return found
}

// jobOf is the look that a run asks for. It has no targets when none is wanted.
func (w *senderWatch) jobOf(run *domainRun) senderJob {
	job := senderJob{name: run.key(), domain: run.md.Spec.Domain}
	if !run.md.DeletionTimestamp.IsZero() {
		return job
	}
	var zones []*v1alpha1.DNSZone
	add := func(z *v1alpha1.DNSZone, e zoneEntry) {
		zones = append(zones, z)
		if z != nil && dnssecFacts(e).State == dnssec.Bogus {
			job.bogus = append(job.bogus, z.Spec.Zone+".")
		}
	}
	add(run.domainZone, run.domainEntry)
	for _, h := range run.hosts {
		if port := senderPort(h.server); port != 0 && !h.left(run) {
			job.targets = append(job.targets, senderTarget{h.key.host, port, h.server.Probe.Mode != v1alpha1.ProbeDisabled})
		}
		add(h.zone, h.entry)
		for _, l := range h.linked {
			add(l.zone, l.entry)
		}
	}
	job.anchors, job.trust = w.anchorsFor(zones)
	job.zones = zonesKnown(job.anchors, zones)
	job.mark = markOf(run, job.trust)
	return job
}

// zonesKnown are the zones of anchors and of DNSZones, nil ones passed over.
func zonesKnown(anchors []dnssec.Anchor, zones []*v1alpha1.DNSZone) []string {
	var out []string
	for _, ds := range anchors {
		out = append(out, ds.Hdr.Name)
	}
	for _, z := range zones {
		if z != nil {
			out = append(out, z.Spec.Zone+".")
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// anchorsFor are the trust anchors of zones, nil ones passed over, with the operator's for names that these do
// not stand for, and a text that is the same for the same anchors.
func (w *senderWatch) anchorsFor(zones []*v1alpha1.DNSZone) ([]dnssec.Anchor, string) {
	var own []dnssec.Anchor
	for _, z := range zones {
		if z == nil {
			continue
		}
		// What is refused steers nothing, and stands in the conditions of the DNSZone.
		if its, err := ownAnchors(z); err == nil {
			own = append(own, its...)
		}
	}
	operators, _ := w.trust.Anchors()
	all := map[string]dnssec.Anchor{}
	for _, ds := range dnssec.MergeAnchors(own, operators) {
		all[ds.Hdr.Name+" "+dnssec.PresentDS(ds)] = ds
	}
	keys := slices.Sorted(maps.Keys(all))
	var out []dnssec.Anchor
	for _, key := range keys {
		out = append(out, all[key])
	}
	return out, strings.Join(keys, "\n")
}

// markOf stands for what a run knows that views depend on: the spec, the trust anchors, the records that the
// servers show, what the endpoints present, and whether the zones validate.
func markOf(run *domainRun, trust string) uint64 {
	h := fnv.New64a()
	status := &run.md.Status
	_, _ = fmt.Fprintln(h, run.md.Generation, trust)
	if c := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionDNSSECSecure); c != nil {
		_, _ = fmt.Fprintln(h, c.Reason)
	}
	for i := range status.MailServers {
		s := &status.MailServers[i]
		_, _ = fmt.Fprintln(h, s.Hostname, s.Records)
		for _, e := range s.Endpoints {
			_, _ = fmt.Fprintln(h, e.Address, e.Port, e.SPKISHA256, e.Verified)
		}
	}
	return h.Sum64()
}

// look finds the views of the hosts. Those that nothing is known of are left out: for lack of answers, or because it
// was broken off before they were done.
func (j senderJob) look(ctx context.Context, r *asker, probes *observer, now func() time.Time) map[string]v1alpha1.SenderViewStatus {
	out := map[string]v1alpha1.SenderViewStatus{}
	ports, probed := map[int32][]string{}, map[string]bool{}
	for _, t := range j.targets {
		ports[t.port] = append(ports[t.port], t.host)
		probed[t.host] = t.probed
	}
	ground, void := newSoundness(j, r), &sync.Map{} // hosts whose judgement was given up
	for port, hosts := range ports {
		judge := func(host, _ string, names []string, records []senderview.Record) (usable int, endpoints []senderview.Endpoint) {
			ended := r.guard.Do(guard.Senders, func() {
				var known []sendercheck.Probed
				if probed[host] {
					known = probedOf(probes.probesOf(hostKey{domain: j.name, host: host}))
				}
				usable, endpoints = sendercheck.Judge(known, port, names, records, now())
			}, "maildomain", j.name, "host", host)
			if !ended {
				void.Store(host, true)
			}
			return usable, endpoints
		}
		d := senderview.LookAt(ctx, r, j.domain, uint16(port), hosts, judge) //nolint:gosec // the schema limits ports to 65535
		views, named := make([]senderview.HostView, len(hosts)), make([]bool, len(hosts))
		for i, host := range hosts {
			views[i], named[i] = senderview.ViewAt(d, host)
		}
		for i, holds := range ground.hold(ctx, views) {
			if _, given := void.Load(hosts[i]); given {
				continue
			}
			if !holds {
				logf.Log.WithName("senders").V(1).Info("a view counts for nothing: the zone that it is about is not seen", "maildomain", j.name, "host", hosts[i], "view", views[i].Message)
				continue
			}
			out[hosts[i]] = v1alpha1.SenderViewStatus{Verdict: v1alpha1.SenderVerdict(views[i].Verdict), NotInMX: !named[i], Message: truncate(views[i].Message, 1024)}
		}
	}
	if ctx.Err() != nil {
		return nil // a lookup that was broken off looks like one that failed
	}
	return out
}

// soundness tells failures that every sender meets from those that are the operator's own: no way to the
// name servers, resolvers that leave signatures out, or a zone of a private tree that they do not know.
type soundness struct {
	job      senderJob
	resolver *asker

	mu sync.Mutex
	// seen says of zones whether they are seen at all.
	seen map[string]func() bool
}

func newSoundness(job senderJob, r *asker) *soundness {
	return &soundness{job: job, resolver: r, seen: map[string]func() bool{}}
}

// hold is holds for several views, all at once: those of zones whose servers are silent take their time.
func (s *soundness) hold(ctx context.Context, views []senderview.HostView) []bool {
	out := make([]bool, len(views))
	var all sync.WaitGroup
	for i, v := range views {
		all.Go(func() { s.resolver.guard.Do(guard.Senders, func() { out[i] = s.holds(ctx, v) }, "host", v.Host) })
	}
	all.Wait()
	return out
}

// holds says whether a view says anything: what is missing or broken counts in a zone that is seen, and not where it
// could not even be asked for.
func (s *soundness) holds(ctx context.Context, v senderview.HostView) bool {
	if v.Verdict != senderview.Undeliverable || v.Blame == nil {
		return true
	}
	zone := zoneAbove(s.job.zones, v.Blame.Name)
	if zone == "" || s.resolver.missed.Load() {
		return false
	}
	s.mu.Lock()
	seen, ok := s.seen[zone]
	if !ok {
		seen = sync.OnceValue(func() bool { return s.sees(ctx, zone) })
		s.seen[zone] = seen
	}
	s.mu.Unlock()
	return seen()
}

// sees says whether a zone is there and validates, or is as broken as it was found at its own servers.
func (s *soundness) sees(ctx context.Context, zone string) bool {
	found := senderview.Apex(ctx, s.resolver, zone)
	switch found.State {
	case dnssec.Secure, dnssec.Insecure:
		return found.Kind == dnssec.Data
	case dnssec.Bogus:
		return slices.Contains(s.job.bogus, zone)
	}
	return false
}

// zoneAbove is the deepest of the zones at or above a name; empty where there is none.
func zoneAbove(zones []string, name string) string {
	name = "." + strings.ToLower(strings.Trim(name, ".")) + "."
	best := ""
	for _, zone := range zones {
		if len(zone) > len(best) && strings.HasSuffix(name, "."+strings.TrimPrefix(zone, ".")) {
			best = zone
		}
	}
	return best
}

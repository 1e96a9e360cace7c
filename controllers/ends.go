package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// This file says where the records of an owner are written that is an alias, and whether they may be
// written there (RFC 7672 section 2.2.3).

// ending is where the records of one owner stand.
type ending struct {
	// end is the name that the owner's aliases lead to; empty for the owner itself.
	end string
	// zone is the DNSZone that the records are written to; nil where none may be.
	zone *v1alpha1.DNSZone
	// client of zone; nil while it is not ready.
	client zone.Client
}

// linkedZone is a zone that an answer for an owner of a host comes through.
type linkedZone struct {
	zone  *v1alpha1.DNSZone
	entry zoneEntry
}

// ownerNames are the TLSA owners of a host.
func (h *hostRun) ownerNames() []string {
	var out []string
	for _, p := range h.server.Ports {
		out = append(out, ownerName(h.server.Hostname, p.Port))
	}
	for _, port := range h.formerPorts() {
		out = append(out, ownerName(h.server.Hostname, port))
	}
	return out
}

// endOf is the name that the aliases of an owner lead to: as the servers said last, and as status keeps
// it while they have not been asked, or do not agree. Empty for an owner that is no alias.
func (h *hostRun) endOf(owner string) string {
	if ends := h.view.owners[owner].newest().Ends(); len(ends) == 1 {
		return ends[0]
	}
	if h.previous == nil {
		return ""
	}
	return statusEnd(h.previous, owner)
}

func statusEnd(s *v1alpha1.MailServerStatus, owner string) string {
	for _, a := range s.Aliases {
		if a.Owner == owner {
			return a.End
		}
	}
	return ""
}

// baseDomain is the TLSA base domain of a name: what follows its port and protocol, or the name itself
// where it does not begin with them.
func baseDomain(name string) string {
	name = strings.TrimSuffix(name, ".")
	port, rest, _ := strings.Cut(name, ".")
	protocol, base, _ := strings.Cut(rest, ".")
	digits, isPort := strings.CutPrefix(port, "_")
	isPort = isPort && digits != "" && strings.Trim(digits, "0123456789") == ""
	if isPort && len(protocol) > 1 && protocol[0] == '_' && base != "" {
		return base
	}
	return name
}

// zoneForEnd finds the DNSZone that the end of an alias is written to, as for a host of its base domain.
// The DNSZone of the owner itself goes before others for the same zone.
func (w *world) zoneForEnd(namespace string, home *v1alpha1.DNSZone, end string) (*v1alpha1.DNSZone, *refusal) {
	base := baseDomain(end)
	found, refused := w.zoneFor(namespace, &v1alpha1.MailServer{Hostname: base})
	if grantsName(home, namespace, w.namespaceLabels[namespace], base) && (refused != nil || len(home.Spec.Zone) >= len(found.Spec.Zone)) {
		return home, nil
	}
	return found, refused
}

// zoneToAsk finds the DNSZone whose servers are asked for a name that an alias leads to: the one that
// it is written to, or that of the owner, which may be asked for every name in it.
func (w *world) zoneToAsk(namespace string, home *v1alpha1.DNSZone, name string) *v1alpha1.DNSZone {
	if z, refused := w.zoneForEnd(namespace, home, name); refused == nil {
		return z
	}
	if inZone(baseDomain(name), home.Spec.Zone) {
		return home
	}
	return nil
}

// lookout is what a sweep of an owner of a host needs. Thousands may wait for their turn: it keeps nothing of the look at
// the host that it comes from.
type lookout struct {
	key hostKey
	// namespace of the MailDomain, and its labels.
	namespace string
	labels    map[string]string
	// home is the zone of the host.
	home station
}

func (h *hostRun) lookout() lookout {
	return lookout{key: h.key, namespace: h.key.domain.Namespace, labels: h.labels, home: station{name: client.ObjectKeyFromObject(h.zone), client: h.entry.client}}
}

// route says where the names are asked for that the aliases of a host lead to. It reads the cache when it is asked.
func (r *MailDomainReconciler) route(l lookout) func(string) (station, string) {
	return func(name string) (station, string) {
		w := &world{zones: newCachedZones(context.Background(), r.Client), namespaceLabels: map[string]map[string]string{l.namespace: l.labels}}
		home := w.zones.named(l.home.name)
		if home == nil {
			return station{}, fmt.Sprintf("leads to %s, and DNSZone %s of its owner is gone", name, l.home.name)
		}
		z := w.zoneToAsk(l.namespace, home, name)
		if err := w.zones.failure(); err != nil {
			return station{}, fmt.Sprintf("leads to %s, and it could not be read which zone that is in: %v", name, err)
		}
		if z == nil {
			return station{}, fmt.Sprintf("leads to %s, which is in no zone that namespace %s may use", name, l.namespace)
		}
		at := client.ObjectKeyFromObject(z)
		entry, _ := r.zoneEntry(at)
		if entry.client == nil {
			return station{}, fmt.Sprintf("leads to %s, whose DNSZone %s is not ready: its conditions say what to do", name, at)
		}
		return station{name: at, client: entry.client}, ""
	}
}

// settleEnds finds where each owner is written, and refuses the host where one may not be. A host that
// is refused so is still looked at, since only its servers say when that is mended.
func (r *MailDomainReconciler) settleEnds(md *v1alpha1.MailDomain, w *world, h *hostRun) {
	h.ends = map[string]ending{}
	for _, owner := range h.ownerNames() {
		e := ending{end: h.endOf(owner), zone: h.zone}
		if e.end != "" {
			var refused *refusal
			if e.zone, refused = w.zoneForEnd(md.Namespace, h.zone, e.end); refused != nil {
				h.refuseEnd(aliasRefusal(owner, e.end, md.Namespace, refused))
			}
		}
		if e.zone != nil {
			if entry, ok := r.zoneEntry(client.ObjectKeyFromObject(e.zone)); ok {
				e.client = entry.client
			}
			h.checkClaims(md, w, owner, e)
		}
		h.ends[owner] = e
	}
	h.linked = r.linkedZones(w, h)
}

// checkClaims refuses the host where an older MailDomain writes to the name that one of its owners is
// written at.
func (h *hostRun) checkClaims(md *v1alpha1.MailDomain, w *world, owner string, e ending) {
	if h.removing || h.notManaged {
		return
	}
	name := cmp.Or(e.end, owner)
	other := w.nameOwnedElsewhere(md, e.zone, name)
	switch {
	case other == "":
	case e.end == "":
		h.refuseEnd(&refusal{v1alpha1.ReasonHostOwnedElsewhere, fmt.Sprintf(
			"%s belongs to %s, which is older and has an alias that leads there: let that alias lead elsewhere, or list the host without certificates here", owner, ownerText(md.Namespace, other))})
	default:
		h.refuseEnd(&refusal{v1alpha1.ReasonHostOwnedElsewhere, fmt.Sprintf(
			"%s is an alias of %s, which belongs to %s, which is older and writes its records there: give %s a name of its own to lead to, or records of its own",
			owner, e.end, ownerText(md.Namespace, other), owner)})
	}
}

func (h *hostRun) refuseEnd(why *refusal) {
	if h.notManaged || h.refused != nil {
		return
	}
	h.refused, h.refusedEnd = why, true
}

// aliasRefusal says that the end of an alias may not be written, and what to do.
func aliasRefusal(owner, end, namespace string, why *refusal) *refusal {
	what := fmt.Sprintf("no DNSZone lets namespace %s write there: create a DNSZone for the zone that holds %s and grant %s to the namespace", namespace, end, baseDomain(end))
	if why.reason == v1alpha1.ReasonAmbiguousZone {
		what = fmt.Sprintf("several DNSZones of other namespaces cover it for namespace %s: have it granted by one of them alone", namespace)
	}
	return &refusal{v1alpha1.ReasonOwnerIsAlias, fmt.Sprintf(
		"%s is an alias (CNAME or DNAME) of %s, and %s, or replace the alias by a name of its own; nothing is written", owner, end, what)}
}

// linkedZones are the zones beside the host's own that answers for its owners come through.
func (r *MailDomainReconciler) linkedZones(w *world, h *hostRun) []linkedZone {
	var names []types.NamespacedName
	for _, owner := range h.ownerNames() {
		names = append(names, h.view.owners[owner].zones...)
		if z := h.ends[owner].zone; z != nil {
			names = append(names, client.ObjectKeyFromObject(z))
		}
	}
	slices.SortFunc(names, byName)
	var out []linkedZone
	for _, name := range slices.Compact(names) {
		if name == client.ObjectKeyFromObject(h.zone) {
			continue
		}
		if z := w.zones.named(name); z != nil {
			entry, _ := r.zoneEntry(name)
			out = append(out, linkedZone{zone: z, entry: entry})
		}
	}
	return out
}

// aliasStatuses are the owners of a host that are aliases, for status.
func aliasStatuses(h *hostRun) []v1alpha1.AliasStatus {
	var out []v1alpha1.AliasStatus
	for _, o := range h.decision.Owners {
		e := h.ends[o.Name]
		if e.end == "" {
			continue
		}
		a := v1alpha1.AliasStatus{Owner: o.Name, End: e.end}
		if e.zone != nil {
			a.ZoneRef = &v1alpha1.ZoneReference{Namespace: e.zone.Namespace, Name: e.zone.Name}
		}
		out = append(out, a)
	}
	return out
}

package controllers

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// This file is about names that more than one owner of a MailDomain is written at, because aliases lead
// there.

// place names where an owner is written, to find those that are written at one name.
type place struct {
	zone types.NamespacedName
	name string
}

func (h *hostRun) placeOf(owner string) (place, bool) {
	e := h.ends[owner]
	if e.zone == nil {
		return place{}, false
	}
	return place{client.ObjectKeyFromObject(e.zone), cmp.Or(e.end, owner)}, true
}

// tenant is one owner of a host at a place that it may share.
type tenant struct {
	h     *hostRun
	owner *rollover.Owner
	// own are the records that it wants there.
	own []tlsa.Record
}

// shareEnds tells the owners that are written at one name of each other, and decides anew for their
// hosts: what stands there is what all of them want, and every endpoint of theirs must match it.
func (run *domainRun) shareEnds() {
	undecided := run.undecided()
	again := map[*hostRun]bool{}
	for at, tenants := range run.tenants() {
		if len(tenants) == 1 && len(undecided[at]) == 0 {
			continue
		}
		for i, t := range tenants {
			again[t.h] = true
			t.owner.Shared = append(t.owner.Shared, undecided[at]...)
			for _, other := range slices.Delete(slices.Clone(tenants), i, i+1) {
				t.meet(other)
			}
		}
	}
	for h := range again {
		h.decision = rollover.Decide(h.facts)
	}
}

// tenants are the owners of all hosts by where they are written.
func (run *domainRun) tenants() map[place][]tenant {
	out := map[place][]tenant{}
	for _, h := range run.hosts {
		if h.notManaged {
			continue
		}
		for i := range h.facts.Owners {
			if at, ok := h.placeOf(h.facts.Owners[i].Name); ok {
				out[at] = append(out[at], tenant{h, &h.facts.Owners[i], h.decision.Owners[i].Own})
			}
		}
	}
	return out
}

// meet tells an owner of another that is written at the same name.
func (t tenant) meet(other tenant) {
	t.owner.Shared = append(t.owner.Shared, other.own...)
	t.owner.Written = append(slices.Clone(t.owner.Written), other.owner.Written...)
	if other.h.refused == nil && !other.h.removing && !other.owner.Removing {
		t.owner.Peers = append(t.owner.Peers, rollover.Peer{
			Host: other.h.server.Hostname, Port: other.owner.Port, Round: other.h.view.last,
			Vouched: other.h.server.Probe.Mode == v1alpha1.ProbeDisabled,
		})
	}
}

// undecided are the records of hosts that nothing is decided for now, by where they stand as status says:
// nobody takes them out.
func (run *domainRun) undecided() map[place][]tlsa.Record {
	out := map[place][]tlsa.Record{}
	for _, h := range run.hosts {
		if h.decided || h.previous == nil {
			continue
		}
		for _, a := range h.previous.Aliases {
			if a.ZoneRef != nil {
				at := place{types.NamespacedName{Namespace: a.ZoneRef.Namespace, Name: a.ZoneRef.Name}, a.End}
				out[at] = append(out[at], h.written...)
			}
		}
		if ref := h.previous.ZoneRef; ref != nil {
			for _, owner := range h.ownerNames() {
				at := place{types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, owner}
				out[at] = append(out[at], h.written...)
			}
		}
	}
	return out
}

package controllers

import (
	"cmp"
	"slices"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// This file says which TLSA owners a host has: those of its ports, and those of ports that have left
// the spec while something of ours may still be in DNS or in a cache.

// ownersOf are the owners of a host with what is known of each. One that is to be taken out of DNS and
// that another MailDomain names is handed over as it stands.
func ownersOf(h *hostRun, lost bool, now time.Time) []rollover.Owner {
	var out []rollover.Owner
	for _, p := range h.server.Ports {
		o := h.ownerFacts(p.Port, lost, now)
		o.HandedOver = h.removing && h.handedOver(p.Port)
		out = append(out, o)
	}
	for _, port := range h.formerPorts() {
		o := h.ownerFacts(port, lost, now)
		o.Removing, o.HandedOver = true, h.handedOver(port)
		out = append(out, o)
	}
	return out
}

func (h *hostRun) ownerFacts(port int32, lost bool, now time.Time) rollover.Owner {
	name := ownerName(h.server.Hostname, port)
	seen := h.view.owners[name]
	o := rollover.Owner{
		Name: name, Port: port, StatusLost: lost, Sweeps: seen.sweeps, Last: seen.newest(), Written: h.written,
		Sending: seen.publishing, HeldBack: now.Before(seen.retryAt), Refused: seen.refused(),
	}
	if h.previous != nil {
		o.Versions = versionsOf(h.previous, name)
	}
	o.Known = len(o.Versions) > 0
	return o
}

// formerPorts are those that have left the spec, and whose records may still be in DNS or in caches.
func (h *hostRun) formerPorts() []int32 {
	if h.previous == nil {
		return nil
	}
	var out []int32
	for _, v := range h.previous.Versions {
		port, ok := portOfOwner(v.Owner)
		wanted := slices.ContainsFunc(h.server.Ports, func(p v1alpha1.MailServerPort) bool { return p.Port == port || h.sameEnd(v.Owner, p.Port) })
		if ok && !wanted && !slices.Contains(out, port) && containsAny(storedRecords(v.Records), h.written) {
			out = append(out, port)
		}
	}
	slices.Sort(out)
	return out
}

// ofFormerPort says whether an owner is that of a port which the spec does not name.
func (h *hostRun) ofFormerPort(owner string) bool {
	port, ok := portOfOwner(owner)
	return ok && !slices.ContainsFunc(h.server.Ports, func(p v1alpha1.MailServerPort) bool { return p.Port == port })
}

// sameEnd says whether an owner is an alias of the name that the records of a port stand at.
func (h *hostRun) sameEnd(owner string, port int32) bool {
	wanted := ownerName(h.server.Hostname, port)
	end := h.endOf(owner)
	return end != "" && end == cmp.Or(h.endOf(wanted), wanted)
}

func containsAny(records, of []tlsa.Record) bool {
	return slices.ContainsFunc(records, func(r tlsa.Record) bool { return slices.Contains(of, r) })
}

// refused says that the newest update was refused for certain and none before it ended in doubt: what
// was planned never stood.
func (o ownerObservation) refused() bool {
	if o.failures == 0 || o.publishing || o.doubt || o.result.Retryable {
		return false
	}
	return o.result.Class != zone.Conflict && o.result.Class != zone.NotStored && o.result.Class != ""
}

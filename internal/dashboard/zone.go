package dashboard

import (
	"cmp"
	"net/url"
	"slices"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/statusview"
)

// Finding is one thing that is wrong with a zone, with what it means.
type Finding struct {
	Code, Severity, Server, Message string
	// Class is bad, open or good.
	Class string
	Help  []Block
}

// Zone is a zone in the list.
type Zone struct {
	judgement
	Namespace, Name, Zone string
	DNSSEC                v1alpha1.DNSSECState
	Findings              []Finding
	SignaturesExpire      Instant
}

// Link leads to the page about the zone.
func (z Zone) Link() string { return zoneLink(z.Namespace, z.Name) }

// ID names the zone in a page.
func (z Zone) ID() string { return "zone-" + z.Namespace + "-" + z.Name }

func zoneLink(namespace, name string) string {
	return "/zone?" + url.Values{"namespace": {namespace}, "dnszone": {name}}.Encode()
}

func zoneOf(dz *v1alpha1.DNSZone, now time.Time) Zone {
	z := Zone{
		judgement: judgeZone(dz), Namespace: dz.Namespace, Name: dz.Name, Zone: dz.Spec.Zone, DNSSEC: dz.Status.DNSSEC.State,
		SignaturesExpire: instantOf(dz.Status.DNSSEC.SignaturesExpire, now),
	}
	classes := map[v1alpha1.FindingSeverity]string{v1alpha1.FindingCritical: "bad", v1alpha1.FindingWarning: "open", v1alpha1.FindingNotice: "good"}
	for _, f := range dz.Status.DNSSEC.Findings {
		z.Findings = append(z.Findings, Finding{Code: f.Code, Severity: string(f.Severity), Server: f.Server, Message: f.Message, Class: classes[f.Severity]})
	}
	return z
}

// zonesOf are all zones, the worst first.
func zonesOf(zones []v1alpha1.DNSZone, now time.Time) []Zone {
	var out []Zone
	for i := range zones {
		out = append(out, zoneOf(&zones[i], now))
	}
	slices.SortFunc(out, func(a, b Zone) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// Zones is the page with all zones.
type Zones struct {
	Filter
	Paging
	List  []Zone
	Reset string
}

// NewZones makes the page.
func NewZones(zones []v1alpha1.DNSZone, f Filter, now time.Time) Zones {
	out := Zones{Filter: f, Reset: Filter{Namespace: f.Namespace}.link("/zones")}
	var fitting []Zone
	for _, z := range zonesOf(zones, now) {
		if contains(f.Text, z.Namespace, z.Name, z.Zone) && (f.State == "" || f.State == z.Level.Class()) {
			fitting = append(fitting, z)
		}
	}
	out.List, out.Paging = pageOf(fitting, f, "/zones")
	return out
}

// ZonePage is all that is known of one zone.
type ZonePage struct {
	Zone
	Serial      int64
	Algorithms  []string
	DS          []string
	ParentDS    []string
	Parent      string
	Behind      Instant
	KeysChanged Instant
	Nameservers []Evidence
	Conditions  []Condition
}

// NewZonePage makes the page about a zone.
func NewZonePage(dz *v1alpha1.DNSZone, now time.Time) ZonePage {
	p := ZonePage{
		Zone: zoneOf(dz, now), Serial: dz.Status.Serial, Algorithms: dz.Status.DNSSEC.Algorithms, DS: dz.Status.DNSSEC.DS,
		KeysChanged: instantOf(dz.Status.DNSSEC.KeysChangedAt, now), Conditions: conditionsOf(dz.Status.Conditions, now),
	}
	for i := range p.Findings {
		p.Findings[i].Help = helpOf(p.Findings[i].Code)
	}
	if d := dz.Status.DNSSEC.Delegation; d != nil {
		p.Parent, p.ParentDS, p.Behind = d.Parent, d.ParentDS, instantOf(d.BehindSince, now)
	}
	for _, n := range dz.Status.Nameservers {
		e := Evidence{Address: statusview.Joined(n.Name, n.Address), State: "does not answer", Class: "bad", Message: n.Message, Seen: instantOf(n.SignaturesExpire, now)}
		if n.Reachable {
			e.State, e.Class = "answers", "good"
		}
		if n.Reachable && n.Message != "" {
			e.Class = "open"
		}
		p.Nameservers = append(p.Nameservers, e)
	}
	slices.SortStableFunc(p.Nameservers, func(a, b Evidence) int { return cmp.Compare(rank(a.Class), rank(b.Class)) })
	return p
}

// Package page shows the page of the operator to a real browser.
package page

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// scene makes objects as the operator leaves them behind, at an instant.
type scene struct{ now time.Time }

func (s scene) at(d time.Duration) *metav1.Time { return &metav1.Time{Time: s.now.Add(d)} }

const (
	yes, no, unknown = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
	day              = 24 * time.Hour
)

// objects are mail servers in every state, and zones.
func (s scene) objects() []client.Object {
	out := []client.Object{s.rolling(), s.bypassed(), s.bogus(), s.stalled(), s.adopted(), s.others()}
	for _, name := range []string{"alpina", "birch", "cedar", "delta", "elm", "fjord", "grove", "harbour"} {
		out = append(out, s.rest("customers", name, "mx1."+name+".example", "mx2."+name+".example"))
	}
	return append(out, s.zone("dns", "example-com", "example.com"), s.expiring(), s.zone("dns", "customers", "customers.example"), s.single())
}

func condition(kind string, status metav1.ConditionStatus, reason, message string, since *metav1.Time) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: *since}
}

// rest is a MailDomain whose hosts are at rest, each with a key in use and one that stands by.
func (s scene) rest(namespace, name string, hosts ...string) *v1alpha1.MailDomain {
	md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	md.Spec.Domain, md.Spec.Rollover.Strategy, md.Spec.TLSA.TTL = name+".example", v1alpha1.StrategyGate, 3600
	since := s.at(-31 * day)
	md.Status.Conditions = []metav1.Condition{
		condition(v1alpha1.ConditionReady, yes, v1alpha1.ReasonReady, "", since),
		condition(v1alpha1.ConditionRecordsPublished, yes, v1alpha1.ReasonPublished, "", since),
		condition(v1alpha1.ConditionServersVerified, yes, v1alpha1.ReasonVerified, "", since),
		condition(v1alpha1.ConditionDNSSECSecure, yes, v1alpha1.ReasonSecure, "", since),
		condition(v1alpha1.ConditionRolloverSafe, yes, v1alpha1.ReasonSafe, "", since),
		condition(v1alpha1.ConditionRolloverInProgress, no, v1alpha1.ReasonNoRollover, "", since),
	}
	for i, h := range hosts {
		md.Spec.MailServers = append(md.Spec.MailServers, v1alpha1.MailServer{Hostname: h, Certificates: []v1alpha1.CertificateReference{{Name: "mx"}}})
		md.Status.MailServers = append(md.Status.MailServers, s.host(h, i))
	}
	return md
}

var current, next = strings.Repeat("1a2f", 16), strings.Repeat("9c07", 16)

func (s scene) host(name string, i int) v1alpha1.MailServerStatus {
	owner := "_25._tcp." + name + "."
	mail := []string{"192.0.2.25", "2001:db8::25", "192.0.2.26"}[i%3]
	return v1alpha1.MailServerStatus{
		Hostname: name, ZoneRef: &v1alpha1.ZoneReference{Namespace: "dns", Name: "example-com"},
		Records:    []string{owner + " 3600 IN TLSA 3 1 1 " + current, owner + " 3600 IN TLSA 3 1 1 " + next},
		SenderView: &v1alpha1.SenderViewStatus{Verdict: v1alpha1.SenderDANE, Message: "Mail is authenticated."},
		Keys: []v1alpha1.KeyStatus{
			{SPKISHA256: current, Certificate: "mx", Role: v1alpha1.RoleCurrent, Visibility: v1alpha1.VisibilityOmnipresent, Since: s.at(-31 * day), NotAfter: s.at(59 * day)},
			{SPKISHA256: next, Certificate: "mx", Role: v1alpha1.RoleNext, Visibility: v1alpha1.VisibilityOmnipresent, Since: s.at(-31 * day), DeployableAt: s.at(-30 * day)},
		},
		Endpoints: []v1alpha1.EndpointStatus{{Address: mail, Port: 25, SPKISHA256: current, Verified: true, LastProbe: s.at(-31 * day)}},
		Nameservers: []v1alpha1.NameserverSync{
			{Name: "ns1.example.com", Address: "192.0.2.53:53", InSync: true}, {Name: "ns2.example.com", Address: "198.51.100.53:53", InSync: true},
		},
	}
}

// rolling waits for caches.
func (s scene) rolling() *v1alpha1.MailDomain {
	md := s.rest("mail", "example", "mx1.example.com")
	md.Spec.Domain = "example.com"
	md.Status.Conditions[5] = condition(v1alpha1.ConditionRolloverInProgress, yes, v1alpha1.ReasonWaitingForCaches,
		"mx1.example.com: caches may still hold answers without key 9c079c079c079c07", s.at(-77*time.Minute))
	md.Status.NextTransition = &v1alpha1.Transition{Time: s.at(43 * time.Minute), Action: "mx1.example.com: key 9c079c079c079c07 of Certificate mx may be handed to servers"}
	h, owner := &md.Status.MailServers[0], "_25._tcp.mx1.example.com."
	h.Keys[1].Visibility, h.Keys[1].Since, h.Keys[1].DeployableAt = v1alpha1.VisibilityRumoured, s.at(-79*time.Minute), s.at(43*time.Minute)
	h.Versions = []v1alpha1.VersionStatus{
		{Owner: owner, Records: []string{"3 1 1 " + current}, TTL: 3600, FirstSeen: s.at(-31 * day), LastSeen: s.at(-77 * time.Minute)},
		{Owner: owner, Records: []string{"3 1 1 " + current, "3 1 1 " + next}, TTL: 3600, FirstSeen: s.at(-79 * time.Minute), Open: true},
	}
	h.Nameservers = append(h.Nameservers, v1alpha1.NameserverSync{Name: "ns3.example.net", Address: "203.0.113.53:53", Message: "it still shows the records of before; transfer the zone to it"})
	h.Endpoints = append(h.Endpoints, v1alpha1.EndpointStatus{Address: "2001:db8::25", Port: 25, LastProbe: s.at(-4 * time.Minute), Message: "the connection timed out"})
	md.Status.DKIM = []v1alpha1.DKIMStatus{
		{Name: "rsa", State: v1alpha1.DKIMInUse, Selector: "rsa-3f9a2b1c77d0", Message: "key rsa-8d01c2f4a9be waits until no cache holds records without it",
			Keys: []v1alpha1.DKIMKeyStatus{{Selector: "rsa-8d01c2f4a9be", Role: v1alpha1.RoleNext, DeployableAt: s.at(2 * time.Hour)}}},
		{Name: "ed", State: v1alpha1.DKIMConflict, Selector: "ed-5b7e01aa93c4", Message: "a TXT record that the operator did not write stands at ed-77d03f9a2b1c._domainkey.example.com"},
	}
	return md
}

// bypassed is a host whose new key is served too early.
func (s scene) bypassed() *v1alpha1.MailDomain {
	md := s.rest("shop", "shop", "mx.shop.example")
	const why = "a certificate request was approved past the gate: senders whose cached TLSA records lack the new key fail (key 9c079c079c079c07)"
	since := s.at(-12 * time.Minute)
	until := s.at(59 * time.Minute)
	message := "mx.shop.example: " + why
	md.Status.Conditions[0] = condition(v1alpha1.ConditionReady, no, v1alpha1.ReasonGateBypassed, message, since)
	md.Status.Conditions[4] = condition(v1alpha1.ConditionRolloverSafe, no, v1alpha1.ReasonGateBypassed, message+" (until "+until.UTC().Format(time.RFC3339)+")", since)
	md.Status.Conditions[5] = condition(v1alpha1.ConditionRolloverInProgress, yes, v1alpha1.ReasonRetiring, "mx.shop.example: the records of key 1a2f1a2f1a2f1a2f stay", since)
	md.Status.NextTransition = &v1alpha1.Transition{Time: until, Action: "mx.shop.example: senders may fail until then"}
	h, owner := &md.Status.MailServers[0], "_25._tcp.mx.shop.example."
	h.Unsafe = &v1alpha1.UnsafeStatus{Reason: v1alpha1.ReasonGateBypassed, Message: why, Since: since, Until: until}
	h.Keys[0].Role, h.Keys[0].GoneSince, h.Keys[0].RemovableAt = v1alpha1.RolePrevious, s.at(-9*time.Minute), s.at(23*time.Hour)
	h.Keys[1].Role, h.Keys[1].Visibility, h.Keys[1].Since, h.Keys[1].NotAfter = v1alpha1.RoleCurrent, v1alpha1.VisibilityRumoured, since, s.at(90*day)
	h.Endpoints[0].SPKISHA256, h.Endpoints[0].LastProbe = next, s.at(-9*time.Minute)
	h.Versions = []v1alpha1.VersionStatus{
		{Owner: owner, Records: []string{"3 1 1 " + current}, TTL: 3600, FirstSeen: s.at(-31 * day), LastSeen: s.at(-9 * time.Minute)},
		{Owner: owner, Records: []string{"3 1 1 " + current, "3 1 1 " + next}, TTL: 3600, FirstSeen: s.at(-11 * time.Minute), Open: true},
	}
	return md
}

// bogus is a host whose zone does not validate: nobody knows until when.
func (s scene) bogus() *v1alpha1.MailDomain {
	md := s.rest("school", "school", "mail.school.example")
	since := s.at(-3 * time.Hour)
	const why = "The TLSA records do not validate: the signatures of school.example have expired. Have the zone signed again."
	md.Status.Conditions[0] = condition(v1alpha1.ConditionReady, no, v1alpha1.ReasonBogus, "mail.school.example: the signatures have expired", since)
	md.Status.Conditions[3] = condition(v1alpha1.ConditionDNSSECSecure, no, v1alpha1.ReasonBogus, "mail.school.example: the signatures have expired", since)
	md.Status.MailServers[0].SenderView = &v1alpha1.SenderViewStatus{Verdict: v1alpha1.SenderUndeliverable, Message: why}
	return md
}

// stalled names a Certificate that is not there.
func (s scene) stalled() *v1alpha1.MailDomain {
	md := s.rest("club", "club", "mx.club.example")
	const why = "Certificate mx-club does not exist: create it, or take it out of spec.mailServers"
	md.Status.Conditions[0] = condition(v1alpha1.ConditionReady, no, v1alpha1.ReasonCertificateNotFound, why, s.at(-2*day))
	md.Status.Conditions = append(md.Status.Conditions, condition(v1alpha1.ConditionStalled, yes, v1alpha1.ReasonCertificateNotFound, why, s.at(-2*day)))
	return md
}

// adopted is a host with a past.
func (s scene) adopted() *v1alpha1.MailDomain {
	md := s.rest("mail", "adopted", "mx.adopted.example")
	md.Status.Conditions[4] = condition(v1alpha1.ConditionRolloverSafe, unknown, v1alpha1.ReasonHistoryUnknown,
		"mx.adopted.example: records may have stood in DNS before the operator looked, and caches may hold them", s.at(-time.Hour))
	return md
}

// others is a host that is somebody else's.
func (s scene) others() *v1alpha1.MailDomain {
	md := s.rest("mail", "backup", "mx.backup-provider.example")
	md.Spec.MailServers[0].Certificates = nil
	md.Status.MailServers[0].Keys = nil
	return md
}

func (s scene) zone(namespace, name, zone string) *v1alpha1.DNSZone {
	dz := &v1alpha1.DNSZone{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	dz.Spec.Zone = zone
	since := s.at(-60 * day)
	dz.Status.Serial = 2026112901
	dz.Status.Conditions = []metav1.Condition{
		condition(v1alpha1.ConditionReady, yes, v1alpha1.ReasonReady, "", since), condition(v1alpha1.ConditionUpdatesAccepted, yes, v1alpha1.ReasonAccepted, "", since),
		condition(v1alpha1.ConditionNameserversInSync, yes, v1alpha1.ReasonInSync, "", since), condition(v1alpha1.ConditionDNSSECSecure, yes, v1alpha1.ReasonSecure, "", since),
	}
	dz.Status.DNSSEC = v1alpha1.ZoneDNSSECStatus{
		State: v1alpha1.DNSSECStateSecure, Algorithms: []string{"ECDSAP256SHA256"}, DS: []string{"12345 13 2 " + strings.ToUpper(current)}, SignaturesExpire: s.at(9 * day),
	}
	dz.Status.Nameservers = []v1alpha1.ZoneNameserverStatus{
		{Name: "ns1." + zone, Address: "192.0.2.53:53", Serial: 2026112901, Reachable: true, SignaturesExpire: s.at(9 * day)},
		{Name: "ns2." + zone, Address: "198.51.100.53:53", Serial: 2026112901, Reachable: true, SignaturesExpire: s.at(9 * day)},
	}
	return dz
}

// expiring is a zone that nobody signs any more.
func (s scene) expiring() *v1alpha1.DNSZone {
	dz := s.zone("school", "school", "school.example")
	dz.Status.DNSSEC.State, dz.Status.DNSSEC.SignaturesExpire = v1alpha1.DNSSECStateBogus, s.at(-3*time.Hour)
	dz.Status.Conditions[0] = condition(v1alpha1.ConditionReady, no, v1alpha1.ReasonBogus, "the signatures have expired", s.at(-3*time.Hour))
	dz.Status.Conditions[3] = condition(v1alpha1.ConditionDNSSECSecure, no, v1alpha1.ReasonBogus, "the signatures have expired", s.at(-3*time.Hour))
	dz.Status.DNSSEC.Findings = []v1alpha1.ZoneFinding{
		{Code: "SignatureExpired", Severity: v1alpha1.FindingCritical, Message: "the signature of the SOA record has expired: have the zone signed again"},
		{Code: "SingleServer", Severity: v1alpha1.FindingWarning, Message: "one name server alone answers for the zone"},
	}
	return dz
}

func (s scene) single() *v1alpha1.DNSZone {
	dz := s.zone("club", "club", "club.example")
	dz.Status.DNSSEC.Findings = []v1alpha1.ZoneFinding{
		{Code: "RefreshOverdue", Severity: v1alpha1.FindingWarning, Server: "ns2.club.example", Message: "it shows signatures that should have been made anew: look whether it still gets transfers of the zone"},
	}
	return dz
}

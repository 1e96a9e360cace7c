package cases

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// attempt is one way in which a namespace may try to reach what is another's.
type attempt struct {
	// name of its objects, and of its host below tenant.example.test.
	name string
	// fields of the two kinds that it goes through.
	fields []string
	// domain edits its MailDomain, which otherwise names the victim's DNSZone, a host of its own and a
	// Certificate of its own, and vouches for its server.
	domain func(*v1alpha1.MailDomain)
	// zone edits a DNSZone of its own; nil where it has none. The MailDomain names it then.
	zone func(*v1alpha1.DNSZone)
	// before and within say why nothing comes of it without a grant, and with one for *.tenant.example.test:
	// the reason of the MailDomain's condition Stalled, or of the DNSZone's condition of that name. Empty
	// where it is let in and reaches nothing but its own, or where no condition says anything.
	before, within string
}

// condition of a DNSZone whose reason before and within are; the MailDomain's Stalled otherwise.
func (a *attempt) condition() string {
	switch a.before {
	case v1alpha1.ReasonSecretNotFound:
		return v1alpha1.ConditionUpdatesAccepted
	case v1alpha1.ReasonParentNotGranted:
		return v1alpha1.ConditionDelegationInSync
	}
	return v1alpha1.ConditionStalled
}

const (
	secretRef = "DNSZone.update.tsigSecretSecretRef.name"
	serving   = "MailDomain.mailServers[].certificates[].servingSecretName"
	hostname  = "MailDomain.mailServers[].hostname"
)

func first(md *v1alpha1.MailDomain) *v1alpha1.MailServer { return &md.Spec.MailServers[0] }

// attempts are all of them; victim is the namespace of the zone, and keys the ones in use there.
func attempts(victim *site, keys []v1alpha1.SPKIDigest) []attempt {
	return append(domainAttempts(victim, keys), zoneAttempts(victim)...)
}

// domainAttempts go through the fields of a MailDomain.
func domainAttempts(victim *site, keys []v1alpha1.SPKIDigest) []attempt {
	namespace := victim.lab.Namespace
	return []attempt{
		{
			name: "hostname", fields: []string{hostname, "MailDomain.mailServers[].zoneRef.name", "MailDomain.mailServers[].zoneRef.namespace"},
			domain: func(md *v1alpha1.MailDomain) { first(md).Hostname = mx },
			before: v1alpha1.ReasonNotGranted, within: v1alpha1.ReasonNotGranted,
		},
		{
			name: "apex", fields: []string{hostname, "MailDomain.domain"},
			domain: func(md *v1alpha1.MailDomain) { first(md).Hostname, md.Spec.Domain = "example.test", "example.test" },
			before: v1alpha1.ReasonNotGranted, within: v1alpha1.ReasonNotGranted,
		},
		{
			// The one DNSZone that offers it the name is that of the attempt trap.
			name: "no-reference", fields: []string{hostname},
			domain: func(md *v1alpha1.MailDomain) { first(md).Hostname, first(md).ZoneRef = mx, nil },
			before: v1alpha1.ReasonUpdateRefused, within: v1alpha1.ReasonUpdateRefused,
		},
		{
			name: "port", fields: []string{"MailDomain.mailServers[].ports[].port", "MailDomain.mailServers[].ports[].protocol"},
			domain: func(md *v1alpha1.MailDomain) {
				first(md).Hostname, first(md).Ports = mx, []v1alpha1.MailServerPort{{Port: 465, Protocol: v1alpha1.ProtocolSMTPS}}
			},
			before: v1alpha1.ReasonNotGranted, within: v1alpha1.ReasonNotGranted,
		},
		{
			// Its owner is an alias of a name of the victim's.
			name: "alias", fields: []string{hostname},
			before: v1alpha1.ReasonNotGranted, within: v1alpha1.ReasonOwnerIsAlias,
		},
		{
			name: "certificate", fields: []string{"MailDomain.mailServers[].certificates[].name"},
			domain: func(md *v1alpha1.MailDomain) { first(md).Certificates[0].Name = "mx1" },
			before: v1alpha1.ReasonNotGranted, within: v1alpha1.ReasonCertificateNotFound,
		},
		{
			name: "serving", fields: []string{serving, "MailDomain.rollover.strategy"},
			domain: staged("mx1-tls"), before: v1alpha1.ReasonNotGranted,
		},
		{
			name: "path", fields: []string{serving},
			domain: staged("../../" + namespace + "/secrets/mx1-tls"), before: v1alpha1.ReasonNotGranted,
		},
		{
			name: "service", fields: []string{"MailDomain.mailServers[].probe.serviceRef.name", "MailDomain.mailServers[].probe.mode"},
			domain: func(md *v1alpha1.MailDomain) {
				first(md).Probe = v1alpha1.ProbeSpec{ServiceRef: &v1alpha1.ServiceReference{Name: "postfix"}, Mode: v1alpha1.ProbeEnabled}
			},
			before: v1alpha1.ReasonNotGranted,
		},
		{
			name: "records",
			fields: []string{
				"MailDomain.tlsa.foreignRecords", "MailDomain.tlsa.additionalRecords[]", "MailDomain.rollover.compromisedKeys[]",
				"MailDomain.deletionPolicy", "MailDomain.rollover.deadline.action",
			},
			domain: func(md *v1alpha1.MailDomain) {
				md.Spec.TLSA.ForeignRecords = v1alpha1.ForeignRemove
				md.Spec.TLSA.AdditionalRecords = []v1alpha1.TLSARecord{v1alpha1.TLSARecord("3 1 1 " + strings.Repeat("ab", 32))}
				md.Spec.Rollover.CompromisedKeys = keys
				md.Spec.Rollover.Deadline.Action = v1alpha1.DeadlineProceed
				md.Spec.DeletionPolicy = v1alpha1.DeletionRemove
			},
			before: v1alpha1.ReasonNotGranted,
		},
		{
			// A grant of names of mail servers is none of the records of a domain. The DNSZone of the attempt trap offers it
			// these, and its key writes nothing.
			name: "mail-records",
			fields: []string{
				"MailDomain.domain", "MailDomain.mailServers[].preference", "MailDomain.mx.policy", "MailDomain.mx.adopt",
				"MailDomain.tlsReporting.rua[]", "MailDomain.tlsReporting.mailServers", "MailDomain.tlsReporting.adopt", "MailDomain.mtaSTS.mode", "MailDomain.mtaSTS.adopt",
				"MailDomain.spf.mechanisms[]", "MailDomain.spf.all", "MailDomain.spf.adopt",
				"MailDomain.dmarc.policy", "MailDomain.dmarc.subdomainPolicy", "MailDomain.dmarc.rua[]", "MailDomain.dmarc.ruf[]", "MailDomain.dmarc.adopt",
				"MailDomain.dkim.keys[].name", "MailDomain.dkim.keys[].algorithm", "MailDomain.dkim.keys[].size", "MailDomain.dkim.keys[].secretName", "MailDomain.dkim.adopt",
			},
			domain: stolen, before: v1alpha1.ReasonNotGranted, within: v1alpha1.ReasonRecordRefused,
		},
		{
			// Its status says that it has the victim's records; see site.forge.
			name: "status", fields: []string{hostname},
			before: v1alpha1.ReasonNotGranted, within: v1alpha1.ReasonNotGranted,
		},
	}
}

// stolen asks for all records of the victim's domain, and for those that are there.
func stolen(md *v1alpha1.MailDomain) {
	md.Spec.Domain = "example.test"
	first(md).Preference = ptr.To(int32(0))
	md.Spec.MX = &v1alpha1.MXSpec{Policy: v1alpha1.MXManage, Adopt: true}
	md.Spec.TLSReporting = &v1alpha1.TLSReportingSpec{RUA: []v1alpha1.TLSReportURI{"mailto:me@evil.test"}, MailServers: v1alpha1.TLSReportMailServersEnabled, Adopt: true}
	md.Spec.MTASTS = &v1alpha1.MTASTSSpec{Mode: v1alpha1.MTASTSEnforce, Adopt: true}
	md.Spec.SPF = &v1alpha1.SPFSpec{Mechanisms: []v1alpha1.SPFMechanism{"ip4:192.0.2.66"}, All: v1alpha1.SPFFail, Adopt: true}
	reports := []v1alpha1.DMARCReportURI{"mailto:me@evil.test"}
	md.Spec.DMARC = &v1alpha1.DMARCSpec{Policy: v1alpha1.DMARCNone, SubdomainPolicy: v1alpha1.DMARCNone, RUA: reports, RUF: reports, Adopt: true}
	md.Spec.DKIM = &v1alpha1.DKIMSpec{Keys: []v1alpha1.DKIMKeySpec{{Name: "mine", Algorithm: v1alpha1.DKIMRSA, Size: 2048, SecretName: "dkim"}}, Adopt: true}
}

// staged has the operator write a Secret of that name.
func staged(name string) func(*v1alpha1.MailDomain) {
	return func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.Strategy = v1alpha1.StrategyStage
		first(md).Certificates[0].ServingSecretName = name
	}
}

// zoneAttempts go through the fields of a DNSZone for the victim's own zone and servers. The Secret "guess" holds
// a key of the victim's name with octets of the intruder's.
func zoneAttempts(victim *site) []attempt {
	namespace := victim.lab.Namespace
	host := func(md *v1alpha1.MailDomain) { first(md).Hostname = mx }
	return []attempt{
		{
			name: "guessed-key", domain: host,
			fields: []string{
				"DNSZone.zone", "DNSZone.update.nameserver", "DNSZone.update.tsigKeyName", "DNSZone.nameservers.addresses[]",
			},
			zone:   func(*v1alpha1.DNSZone) {},
			before: v1alpha1.ReasonUpdateRefused, within: v1alpha1.ReasonUpdateRefused,
		},
		{
			// It offers the victim's name, and no other, to everybody.
			name: "trap", fields: []string{"DNSZone.grants[].namespaces.from", "DNSZone.grants[].hostnames[]", "DNSZone.grants[].mailDomains[]"},
			zone: func(z *v1alpha1.DNSZone) {
				z.Spec.Grants = []v1alpha1.ZoneGrant{{Namespaces: v1alpha1.GrantNamespaces{From: v1alpha1.GrantAll}, Hostnames: []v1alpha1.GrantHostname{mx}, MailDomains: []v1alpha1.GrantHostname{"example.test"}}}
			},
			before: v1alpha1.ReasonNotGranted, within: v1alpha1.ReasonNotGranted,
		},
		{
			name: "unsigned", domain: host, fields: []string{"DNSZone.update.insecureUnsigned"},
			zone: func(z *v1alpha1.DNSZone) {
				z.Spec.Update.TSIGKeyName, z.Spec.Update.TSIGSecretSecretRef, z.Spec.Update.InsecureUnsigned = "", nil, true
			},
			before: v1alpha1.ReasonUpdateRefused, within: v1alpha1.ReasonUpdateRefused,
		},
		{
			name: "borrowed-key", domain: host, fields: []string{secretRef, "DNSZone.update.tsigSecretSecretRef.key"},
			zone:   func(z *v1alpha1.DNSZone) { z.Spec.Update.TSIGSecretSecretRef.Name = "zone-tsig" },
			before: v1alpha1.ReasonSecretNotFound, within: v1alpha1.ReasonSecretNotFound,
		},
		{
			name: "path-to-a-key", domain: host, fields: []string{secretRef},
			zone: func(z *v1alpha1.DNSZone) {
				z.Spec.Update.TSIGSecretSecretRef.Name = "../../" + namespace + "/secrets/zone-tsig"
			},
			before: v1alpha1.ReasonSecretNotFound, within: v1alpha1.ReasonSecretNotFound,
		},
		{
			name: "borrowed-roots", domain: host, fields: []string{"DNSZone.update.tls.caBundleSecretRef.name", "DNSZone.update.tls.caBundleSecretRef.key"},
			zone: func(z *v1alpha1.DNSZone) {
				z.Spec.Update.Protocol = v1alpha1.UpdateTLSProtocol
				z.Spec.Update.TLS = &v1alpha1.UpdateTLS{CABundleSecretRef: &v1alpha1.CABundleReference{Name: "mx1-tls", Key: "ca.crt"}}
			},
			before: v1alpha1.ReasonSecretNotFound, within: v1alpha1.ReasonSecretNotFound,
		},
		{
			name: "borrowed-certificate", domain: host, fields: []string{"DNSZone.update.tls.clientCertSecretRef.name"},
			zone: func(z *v1alpha1.DNSZone) {
				z.Spec.Update.Protocol = v1alpha1.UpdateTLSProtocol
				z.Spec.Update.TLS = &v1alpha1.UpdateTLS{ClientCertSecretRef: &v1alpha1.SecretReference{Name: "mx1-tls"}}
			},
			before: v1alpha1.ReasonSecretNotFound, within: v1alpha1.ReasonSecretNotFound,
		},
		{
			name: "parent", fields: []string{"DNSZone.dnssec.delegation.parentZoneRef.name", "DNSZone.dnssec.delegation.parentZoneRef.namespace"},
			domain: func(md *v1alpha1.MailDomain) { first(md).Hostname = "mx." + tenant },
			zone: func(z *v1alpha1.DNSZone) {
				z.Spec.Zone = tenant
				z.Spec.DNSSEC.TrustAnchors = nil
				z.Spec.DNSSEC.Delegation = &v1alpha1.DelegationSpec{ParentZoneRef: &v1alpha1.ZoneReference{Name: "zone", Namespace: namespace}}
			},
			before: v1alpha1.ReasonParentNotGranted, within: v1alpha1.ReasonParentNotGranted,
		},
	}
}

// forged is a status that claims the victim's host and its records for a MailDomain of another namespace.
func (s *site) forged(records []string) v1alpha1.MailServerStatus {
	var own []string
	for _, data := range records {
		own = append(own, "3 1 1 "+data)
	}
	seen := metav1.Now()
	return v1alpha1.MailServerStatus{
		Hostname: mx, ZoneRef: &v1alpha1.ZoneReference{Name: "zone", Namespace: s.lab.Namespace},
		Records: own, OwnRecords: own,
		Versions: []v1alpha1.VersionStatus{{Owner: s.owner(mx), Records: own, TTL: 1, FirstSeen: &seen, Open: true}},
		Aliases:  []v1alpha1.AliasStatus{{Owner: "_25._tcp.status." + tenant + ".", End: s.owner(mx), ZoneRef: &v1alpha1.ZoneReference{Name: "zone", Namespace: s.lab.Namespace}}},
	}
}

// request is one of the hostile namespace for the key that waits at the victim's gate.
func gateOf(md string) map[string]string {
	return map[string]string{v1alpha1.GateAnnotation: md, "cert-manager.io/certificate-name": "mx1", "cert-manager.io/certificate-revision": "2"}
}

// tenant is the name below which the intruder may write for a while.
const tenant = "tenant.example.test"

// granted is the grant for it.
func granted(namespace string) v1alpha1.ZoneGrant {
	return v1alpha1.ZoneGrant{
		Namespaces: v1alpha1.GrantNamespaces{From: v1alpha1.GrantSelector, Selector: &metav1.LabelSelector{
			MatchLabels: map[string]string{"kubernetes.io/metadata.name": namespace},
		}},
		Hostnames: []v1alpha1.GrantHostname{v1alpha1.GrantHostname("*." + tenant)},
	}
}

// hostOf is the host of an attempt.
func hostOf(a attempt) string { return a.name + "." + tenant }

// domainOf is the MailDomain of an attempt.
func (s *site) domainOf(a attempt, namespace string) *v1alpha1.MailDomain {
	md := s.lab.MailDomain(a.name, tenant, hostOf(a), s.port, fastest, "evil")
	md.Namespace = namespace
	first(md).Probe.Mode = v1alpha1.ProbeDisabled
	first(md).ZoneRef = &v1alpha1.ZoneReference{Name: "zone", Namespace: s.lab.Namespace}
	md.Spec.Rollover.StandbyKey = v1alpha1.StandbyDisabled
	if a.zone != nil {
		first(md).ZoneRef = &v1alpha1.ZoneReference{Name: a.name}
	}
	if a.domain != nil {
		a.domain(md)
	}
	return md
}

// zoneOf is the DNSZone of an attempt.
func (s *site) zoneOf(a attempt, namespace string, like *v1alpha1.DNSZone) *v1alpha1.DNSZone {
	z := &v1alpha1.DNSZone{ObjectMeta: metav1.ObjectMeta{Name: a.name, Namespace: namespace}, Spec: *like.Spec.DeepCopy()}
	z.Spec.Grants = nil
	z.Spec.Update.TSIGSecretSecretRef = ptr.To(v1alpha1.SecretKeyReference{Name: "guess", Key: "secret"})
	a.zone(z)
	return z
}

// reasonOf is the reason of a condition among some, whatever its status; empty when there is none.
func reasonOf(conditions []metav1.Condition, kind string) string {
	for _, c := range conditions {
		if c.Type == kind {
			return c.Reason
		}
	}
	return ""
}

// shown is what a MailDomain says, for messages.
func shown(conditions []metav1.Condition) string {
	var out []string
	for _, c := range conditions {
		out = append(out, fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message))
	}
	return strings.Join(out, "\n")
}

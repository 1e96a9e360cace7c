package cases

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
)

// fastest is the timing of the intruder, who is in a hurry.
var fastest = lab.Timing{TTL: 2, PublishSafety: "0s", RetireSafety: "0s"}

// own is the name of the victim's MailDomain, which nobody else may learn.
const own = "victims-own"

// intruder is a namespace that makes every attempt, beside the site of its victim.
type intruder struct {
	*site
	// namespace of the MailDomains; forger is that of the DNSZones and of the MailDomains that name them.
	namespace, forger string
	attempts          []attempt
	zone              *v1alpha1.DNSZone
}

// TestHostileNamespace has a namespace try to write into a zone, a name, a Secret and through a gate that are
// not its own, by every field of the API that could lead there: before it has a grant for some names, while it
// has, and after that was revoked. A renewal of the victim waits at its gate all the while.
func TestHostileNamespace(t *testing.T) {
	t.Parallel()
	i := newIntruder(t)
	before := i.untouchable()
	sealed := i.records(tenant)
	i.phase(func(a attempt) string { return a.before })
	i.compare("without a grant", before, sealed)

	i.setGrants(i.zone, v1alpha1.ZoneGrant{Namespaces: v1alpha1.GrantNamespaces{From: v1alpha1.GrantSame}}, granted(i.namespace))
	i.phase(func(a attempt) string { return a.within })
	eventually(t, func() string {
		if at := i.tlsa(i.owner("records." + tenant)); len(at) != 2 {
			return fmt.Sprintf("the grant is of no use: records %v, want the intruder's own two", at)
		}
		return ""
	})
	i.compare("with a grant for other names", before, nil)

	i.setGrants(i.zone, v1alpha1.ZoneGrant{Namespaces: v1alpha1.GrantNamespaces{From: v1alpha1.GrantSame}})
	i.phase(func(a attempt) string { return a.before })
	sealed = i.records(tenant)
	i.deleteAll()
	i.compare("after it was revoked", before, sealed)
	i.nothingLearned()
}

// newIntruder sets up the victim, with a key that waits at its gate, and makes every attempt.
func newIntruder(t *testing.T) *intruder {
	s := newSite(t, "example.test", "mx1-tls")
	i := &intruder{site: s, namespace: s.lab.Cluster.Namespace(t.Context(), t), forger: s.lab.Cluster.Namespace(t.Context(), t)}
	for _, namespace := range []string{i.namespace, i.forger} {
		s.lab.AbandonAfter(t, namespace)
	}
	i.zone = s.createZone()
	s.address(mx)
	s.certificate("mx1", mx)
	s.domain(own, mx, func(md *v1alpha1.MailDomain) { md.Spec.Rollover.StandbyKey = v1alpha1.StandbyDisabled }, "mx1")
	md := s.wait(own, func(md *v1alpha1.MailDomain) string { return lab.Settled(md, mx, false) })
	i.holdARenewal()
	i.attempts = attempts(s, []v1alpha1.SPKIDigest{v1alpha1.SPKIDigest(lab.CurrentKey(md, mx))})
	s.must(s.zone.Add(fmt.Sprintf("_%d._tcp.alias.%s. 1 IN CNAME %s", s.port, tenant, s.owner("mx2.example.test"))))
	i.breakIn()
	return i
}

// holdARenewal starts a renewal that waits longer than the test lasts.
func (i *intruder) holdARenewal() {
	i.Helper()
	eventually(i.T, func() string {
		md, err := i.lab.Domain(i.Context(), own)
		i.must(err)
		md.Spec.Rollover.PublishSafety = "1h"
		if err := i.lab.Client.Update(i.Context(), md); err != nil {
			return err.Error()
		}
		return ""
	})
	i.must(i.lab.Renew(i.Context(), i.lab.Namespace, "mx1"))
	eventually(i.T, func() string {
		if n := len(i.tlsa(i.owner(mx))); n != 2 {
			return fmt.Sprintf("%d records, want those of both keys", n)
		}
		return ""
	})
}

// breakIn makes the objects of the intruder.
func (i *intruder) breakIn() {
	i.Helper()
	secret := make([]byte, 32)
	_, err := rand.Read(secret)
	i.must(err)
	i.must(i.lab.Client.Create(i.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: i.forger, Name: "guess"},
		StringData: map[string]string{"secret": base64.StdEncoding.EncodeToString(secret)},
	}))
	for _, namespace := range []string{i.namespace, i.forger} {
		i.must(i.lab.Client.Create(i.Context(), kube.SelfSignedIssuer(namespace, "selfsigned")))
		crt := kube.Certificate(namespace, "evil", "selfsigned", mx)
		crt.Spec.SecretName = "evil-tls"
		i.must(i.lab.Client.Create(i.Context(), crt))
	}
	for _, a := range i.attempts {
		if a.zone != nil {
			i.must(i.lab.Client.Create(i.Context(), i.zoneOf(a, i.forger, i.zone)))
		}
		i.must(i.lab.Client.Create(i.Context(), i.domainOf(a, i.spaceOf(a))))
	}
	i.knock()
}

// knock asks in the intruder's namespace for what waits at the victim's gate.
func (i *intruder) knock() {
	i.Helper()
	requests, err := i.lab.RequestsOf(i.Context(), i.lab.Namespace, "mx1")
	i.must(err)
	for n := range requests {
		i.must(i.lab.Client.Create(i.Context(), &cmapi.CertificateRequest{
			ObjectMeta: metav1.ObjectMeta{Namespace: i.namespace, Name: requests[n].Name, Annotations: gateOf(own)},
			Spec:       requests[n].Spec,
		}))
	}
}

func (i *intruder) spaceOf(a attempt) string {
	if a.zone != nil {
		return i.forger
	}
	return i.namespace
}

// phase has the operator look at every attempt anew, forges what can be forged, and waits until it has said what
// it thinks of each.
func (i *intruder) phase(want func(attempt) string) {
	i.Helper()
	for _, a := range i.attempts {
		i.again(a)
	}
	i.forge()
	for _, a := range i.attempts {
		if reason := want(a); reason != "" {
			i.refused(a, reason)
		}
	}
}

// again makes a change of the spec that means nothing.
func (i *intruder) again(a attempt) {
	i.Helper()
	eventually(i.T, func() string {
		md := i.read(a)
		md.Spec.TLSA.TTL++
		if err := i.lab.Client.Update(i.Context(), md); err != nil {
			return err.Error()
		}
		return ""
	})
}

func (i *intruder) read(a attempt) *v1alpha1.MailDomain {
	i.Helper()
	md := &v1alpha1.MailDomain{}
	i.must(i.lab.Client.Get(i.Context(), client.ObjectKey{Namespace: i.spaceOf(a), Name: a.name}, md))
	return md
}

// forge writes into the status of the attempt of that name that the victim's records are its own.
func (i *intruder) forge() {
	i.Helper()
	records := i.tlsa(i.owner(mx))
	eventually(i.T, func() string {
		md := i.read(attempt{name: "status"})
		md.Status.MailServers = append(md.Status.MailServers, i.forged(records))
		md.Status.MailServers = slices.CompactFunc(md.Status.MailServers, func(a, b v1alpha1.MailServerStatus) bool { return a.Hostname == b.Hostname })
		if err := i.lab.Client.Status().Update(i.Context(), md); err != nil {
			return err.Error()
		}
		return ""
	})
}

// refused waits until the operator says for what reason nothing comes of an attempt.
func (i *intruder) refused(a attempt, reason string) {
	i.Helper()
	said := ""
	for deadline := time.Now().Add(patience / 2); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if said = i.otherwise(a, reason); said == "" {
			return
		}
	}
	i.Error(said)
}

// otherwise says what the operator says of an attempt instead; empty when it is what is wanted.
func (i *intruder) otherwise(a attempt, reason string) string {
	i.Helper()
	md := i.read(a)
	conditions := md.Status.Conditions
	if kind := a.condition(); kind != v1alpha1.ConditionStalled {
		z := &v1alpha1.DNSZone{}
		i.must(i.lab.Client.Get(i.Context(), client.ObjectKey{Namespace: i.forger, Name: a.name}, z))
		conditions = z.Status.Conditions
	} else if md.Status.ObservedGeneration != md.Generation {
		return a.name + " has not been looked at"
	}
	if got := reasonOf(conditions, a.condition()); got != reason {
		return fmt.Sprintf("%s: %s has reason %q, want %q:\n%s", a.name, a.condition(), got, reason, shown(conditions))
	}
	return ""
}

// deleteAll deletes what the intruder has. With deletionPolicy Remove that would take records out.
func (i *intruder) deleteAll() {
	i.Helper()
	for _, namespace := range []string{i.namespace, i.forger} {
		i.must(i.lab.Client.DeleteAllOf(i.Context(), &v1alpha1.MailDomain{}, client.InNamespace(namespace)))
	}
}

// untouchable is all that the intruder must not change: the records outside what was granted, and the Secrets,
// Certificates and requests of the victim, each by its version.
func (i *intruder) untouchable() map[string]string {
	i.Helper()
	out := map[string]string{}
	for _, text := range i.site.zone.Records() {
		name, _, _ := strings.Cut(text, "\t")
		if !strings.HasSuffix(name, tenant+".") {
			out["record "+text] = ""
		}
	}
	for _, list := range []client.ObjectList{&corev1.SecretList{}, &cmapi.CertificateList{}, &cmapi.CertificateRequestList{}} {
		i.must(i.lab.Client.List(i.Context(), list, client.InNamespace(i.lab.Namespace)))
		for kind, version := range versions(list) {
			out[kind] = version
		}
	}
	return out
}

// versions are those of the objects of a list.
func versions(list client.ObjectList) map[string]string {
	out := map[string]string{}
	put := func(kind string, o client.Object) { out[kind+" "+o.GetName()] = o.GetResourceVersion() }
	switch l := list.(type) {
	case *corev1.SecretList:
		for n := range l.Items {
			put("Secret", &l.Items[n])
		}
	case *cmapi.CertificateList:
		for n := range l.Items {
			put("Certificate", &l.Items[n])
		}
	case *cmapi.CertificateRequestList:
		for n := range l.Items {
			put("CertificateRequest", &l.Items[n])
		}
	}
	return out
}

// records are those of the zone at a name and below it.
func (i *intruder) records(name string) []string {
	i.Helper()
	return slices.DeleteFunc(i.site.zone.Records(), func(text string) bool {
		at, _, _ := strings.Cut(text, "\t")
		return !strings.HasSuffix(at, name+".")
	})
}

// compare watches for a while that nothing of the victim's changes, nor what was granted and is not any more.
func (i *intruder) compare(when string, before map[string]string, sealed []string) {
	i.Helper()
	steadily(i.T, 3*time.Second, func() string {
		now := i.untouchable()
		if !maps.Equal(now, before) {
			return fmt.Sprintf("%s, something of the victim's has changed: it was\n%s\nand is\n%s", when, listing(before), listing(now))
		}
		if have := i.records(tenant); sealed != nil && !slices.Equal(have, sealed) {
			return fmt.Sprintf("%s, records were written: they were\n%s\nand are\n%s", when, strings.Join(sealed, "\n"), strings.Join(have, "\n"))
		}
		md, err := i.lab.Domain(i.Context(), own)
		i.must(err)
		if reason := reasonOf(md.Status.Conditions, v1alpha1.ConditionStalled); reason != "" {
			return fmt.Sprintf("%s, the victim is held up:\n%s", when, shown(md.Status.Conditions))
		}
		return ""
	})
}

func listing(of map[string]string) string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(of)) {
		out = append(out, key+" "+of[key])
	}
	return strings.Join(out, "\n")
}

// nothingLearned checks that no condition of the intruder's names an object of the victim that it has not named
// itself.
func (i *intruder) nothingLearned() {
	i.Helper()
	for _, namespace := range []string{i.namespace, i.forger} {
		var domains v1alpha1.MailDomainList
		var zones v1alpha1.DNSZoneList
		i.must(i.lab.Client.List(context.Background(), &domains, client.InNamespace(namespace)))
		i.must(i.lab.Client.List(context.Background(), &zones, client.InNamespace(namespace)))
		var said []string
		for n := range domains.Items {
			said = append(said, shown(domains.Items[n].Status.Conditions))
		}
		for n := range zones.Items {
			said = append(said, shown(zones.Items[n].Status.Conditions))
		}
		if text := strings.Join(said, "\n"); strings.Contains(text, own) {
			i.Errorf("the intruder is told of MailDomain %s:\n%s", own, text)
		}
	}
}

package dkim

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
)

// revocation is the record of a revoked key (RFC 6376 section 3.6.1).
const revocation = "v=DKIM1; p="

// shown are the words of docs/dkim.md before what lets the key write on each make.
var shown = map[servers.Make]string{servers.BIND: "BIND, in the ", servers.Knot: "Knot, in an acl", servers.PowerDNS: "PowerDNS, in the policy"}

// grantsShown are the lines that docs/dkim.md shows for a make, for a zone and the key of the tests.
func grantsShown(t *testing.T, m servers.Make, zone string) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/dkim.md")
	must(t, err)
	_, after, ok := strings.Cut(string(page), "\n"+shown[m])
	if !ok {
		t.Fatalf("docs/dkim.md has no %q", shown[m])
	}
	var out []string
	for line := range strings.Lines(after) {
		if text, indented := strings.CutPrefix(line, "    "); indented {
			out = append(out, strings.TrimSpace(strings.NewReplacer("example.com", zone, "dane-operator", "tlsa-key").Replace(text)))
		} else if len(out) > 0 {
			return out
		}
	}
	return out
}

// owned is a mail domain with one key in a zone of its own.
type owned struct {
	*testing.T
	lab  *lab.Lab
	name string
	zone string
	at   []netip.AddrPort
	// met are the selectors that the Secret has had.
	met []string
}

// TestRotationOnEachMake: with the rights that docs/dkim.md shows, and no others, a key is published, handed over, replaced,
// revoked and removed.
func TestRotationOnEachMake(t *testing.T) {
	l := newLab(t)
	for _, m := range servers.Makes {
		t.Run(string(m), func(t *testing.T) {
			o := newOwned(t, l, m)
			first := o.next()
			o.stands(first, false)
			second := o.next()
			o.stands(first, false)
			o.stands(second, false)
			o.eventually("the first key is revoked", func() error { return o.everywhere(first, true, false) })
			if m != servers.Knot { // there the MailDomain goes before it
				o.eventually("the first record is removed", func() error { return o.everywhere(first, false, false) })
			}
			o.leave()
		})
	}
}

func newOwned(t *testing.T, l *lab.Lab, m servers.Make) *owned {
	t.Helper()
	o := &owned{T: t, lab: l, name: strings.ToLower(string(m)), zone: strings.ToLower(string(m)) + ".test"}
	p := servers.StartPrimary(t, m, servers.Options{Zone: o.zone, Grants: grantsShown(t, m, o.zone)})
	o.at = []netip.AddrPort{p.Addr}
	if m == servers.BIND {
		o.at = append(o.at, servers.StartNSDSecondary(t, p, "").Addr)
	}
	var addresses []string
	for _, at := range o.at {
		addresses = append(addresses, at.String())
	}
	_, err := l.CreateZone(t.Context(), o.name, lab.Zone{
		Name: o.zone, Primary: p.Addr.String(), Servers: addresses, TSIGName: p.TSIGName, TSIGSecret: p.TSIGSecret, DS: p.DS,
	}, lab.Fast)
	must(t, err)
	must(t, l.Client.Create(t.Context(), &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: o.name}, Spec: v1alpha1.MailDomainSpec{
		Domain:      o.zone,
		MailServers: []v1alpha1.MailServer{{Hostname: "mx1." + o.zone, Probe: v1alpha1.ProbeSpec{Mode: v1alpha1.ProbeDisabled}}},
		Rollover:    v1alpha1.RolloverSpec{PublishSafety: "1s"},
		DKIM: &v1alpha1.DKIMSpec{
			Keys:     []v1alpha1.DKIMKeySpec{{Name: "rsa", Algorithm: v1alpha1.DKIMRSA, SecretName: o.name + "-rsa"}},
			Rotation: &v1alpha1.DKIMRotationSpec{Every: "8s", KeepRetired: "4s", Retired: v1alpha1.DKIMRevoke, KeepRevoked: "8s"}, TTL: lab.Fast.TTL,
		},
	}}))
	return o
}

func (o *owned) eventually(what string, holds func() error) {
	o.Helper()
	var err error
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err = holds(); err == nil {
			return
		}
	}
	status := "unknown"
	if md, err := o.lab.Domain(o.Context(), o.name); err == nil {
		status = fmt.Sprintf("%+v", md.Status.DKIM)
	}
	o.Fatalf("%s: never: %v; the status is %s", what, err, status)
}

// next waits for another selector in the signer's Secret.
func (o *owned) next() string {
	o.Helper()
	o.eventually("the signer gets a key", func() error {
		secret := &corev1.Secret{}
		if err := o.lab.Client.Get(o.Context(), types.NamespacedName{Namespace: o.lab.Namespace, Name: o.name + "-rsa"}, secret); err != nil {
			return err
		}
		if selector := string(secret.Data["selector"]); !slices.Contains(o.met, selector) {
			o.met = append(o.met, selector)
			return nil
		}
		return fmt.Errorf("it has %v", o.met)
	})
	return o.met[len(o.met)-1]
}

// stands wants the key, or what revokes it, to stand at every server now.
func (o *owned) stands(selector string, isRevoked bool) {
	o.Helper()
	if err := o.everywhere(selector, isRevoked, !isRevoked); err != nil {
		o.Error(err)
	}
}

// everywhere says which server shows something else of a selector than the record that revokes its key, or the key, or
// nothing where it is to have neither.
func (o *owned) everywhere(selector string, isRevoked, key bool) error {
	for _, at := range o.at {
		reply, err := servers.Ask(at, selector+"._domainkey."+o.zone+".", dns.TypeTXT, false)
		if err != nil {
			return err
		}
		text := ""
		for _, rr := range reply.Answer {
			if txt, ok := rr.(*dns.TXT); ok {
				text += strings.Join(txt.Txt, "")
			}
		}
		if (text == revocation) != isRevoked || (len(text) > len(revocation)) != key {
			return fmt.Errorf("%s shows %q of %s", at, text, selector)
		}
	}
	return nil
}

// leave removes the MailDomain, and wants all records to go with it.
func (o *owned) leave() {
	o.Helper()
	md, err := o.lab.Domain(o.Context(), o.name)
	must(o.T, err)
	for _, k := range md.Status.DKIM[0].Keys {
		o.met = append(o.met, k.Selector)
	}
	must(o.T, o.lab.Client.Delete(o.Context(), md))
	o.eventually("the MailDomain is gone", func() error {
		if _, err := o.lab.Domain(o.Context(), o.name); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is there (%v)", err)
		}
		return nil
	})
	for _, selector := range o.met {
		if err := o.everywhere(selector, false, false); err != nil {
			o.Error(err)
		}
	}
}

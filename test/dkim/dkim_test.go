// Package dkim runs the whole operator against a real API server and BIND, and has Debian's OpenDKIM and rspamd sign mail
// with the Secrets that it keeps, through ten rotations. A receiver verifies all of it, once for each answer that a cache
// may still have.
package dkim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"
	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
	"github.com/dane-operator/dane-operator/test/wire"
)

const (
	domain    = "example.test"
	rotations = 10
	// transit is how long mail is under way: less than keepRetired, by what a signer takes to load a key.
	keepRetired, transit = 10 * time.Second, 4 * time.Second
	patience             = 9 * time.Minute
)

// site is a mail domain that signs its mail.
type site struct {
	*testing.T
	lab       *lab.Lab
	primary   *servers.Primary
	secondary *servers.Secondary
	caches    map[string]map[string]cached
	lanes     []*lane
	failures  []string
	checked   int
	// effects are those of the operator, whose updates go to an address of the test; killed are those that it was killed at.
	effects *wire.Effects
	updates netip.AddrPort
	killed  []wire.Killed
	// removable is when the operator may remove the record of a selector. Mail that is under way then was signed by a
	// signer that was slower than keepRetired allows, on a machine that has no time for it; late counts it.
	removable map[string]time.Time
	late      int
}

// lane is one key with its Secret and the signer that mounts it.
type lane struct {
	name, secret string
	mount        *mount
	start        func(*testing.T, string) signer
	signer       signer
	// mountAt is when the newest Secret is mounted; pending are its items.
	pending map[string][]byte
	mountAt time.Time
	seen    string
	// had is when the Secret was last seen with each selector.
	had map[string]time.Time
	// used are the selectors that have signed, and unsigned how many messages in a row have no signature.
	used     map[string]bool
	unsigned int
	problem  error
	mail     []message
}

type message struct {
	text, selector string
	until          time.Time
	verified       map[string]bool
}

// cached is an answer that a cache may have until then; no text is a denial.
type cached struct {
	text  string
	until time.Time
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{T: t, caches: map[string]map[string]cached{}, removable: map[string]time.Time{}}
	// The grant is that of docs/dkim.md.
	s.primary = servers.StartBINDPrimary(t, servers.Options{Grants: []string{"grant tlsa-key subdomain _domainkey.example.test. TXT;"}})
	s.secondary = servers.StartNSDSecondary(t, s.primary, "")
	s.lab = newLab(t)
	s.killable()
	_, err := s.lab.CreateZone(t.Context(), "zone", lab.Zone{
		Name: domain, Primary: s.primary.Addr.String(), Servers: []string{s.primary.Addr.String(), s.secondary.Addr.String()},
		TSIGName: s.primary.TSIGName, TSIGSecret: s.primary.TSIGSecret, DS: s.primary.DS,
	}, lab.Fast, s.throughTest)
	must(t, err)
	must(t, s.lab.Client.Create(t.Context(), &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "example"}, Spec: v1alpha1.MailDomainSpec{
		Domain:      domain,
		MailServers: []v1alpha1.MailServer{{Hostname: "mx1." + domain, Probe: v1alpha1.ProbeSpec{Mode: v1alpha1.ProbeDisabled}}},
		Rollover:    v1alpha1.RolloverSpec{PublishSafety: "1s"},
		DKIM: &v1alpha1.DKIMSpec{
			Keys: []v1alpha1.DKIMKeySpec{
				{Name: "rsa", Algorithm: v1alpha1.DKIMRSA, SecretName: "dkim-rsa"}, {Name: "ed", Algorithm: v1alpha1.DKIMEd25519, SecretName: "dkim-ed"},
			},
			Rotation: &v1alpha1.DKIMRotationSpec{Every: "10s", KeepRetired: "10s"}, TTL: lab.Fast.TTL,
		},
	}}))
	dir := t.TempDir()
	must(t, os.Chmod(filepath.Dir(dir), 0o755)) //nolint:gosec // the signers run as other users
	s.lane("rsa", "dkim-rsa", dir, func(t *testing.T, mounted string) signer { return startOpenDKIM(t, mounted) })
	s.lane("ed", "dkim-ed", dir, func(t *testing.T, mounted string) signer { return startRspamd(t, mounted) })
	return s
}

func (s *site) lane(name, secret, dir string, start func(*testing.T, string) signer) {
	s.Helper()
	m := &mount{T: s.T, dir: filepath.Join(dir, secret)}
	must(s.T, os.MkdirAll(m.dir, 0o755))
	s.lanes = append(s.lanes, &lane{name: name, secret: secret, mount: m, start: start, used: map[string]bool{}, had: map[string]time.Time{}})
}

// TestTenRotations: mail is signed throughout ten rotations of both keys, and the operator is killed at every kind of step.
// Every message has a signature, which verifies by every answer that a cache may have while it is under way.
func TestTenRotations(t *testing.T) {
	s := newSite(t)
	began := time.Now()
	s.effects.MakeBy(plan())
	for !s.done() {
		if time.Since(began) > patience {
			t.Fatalf("after %s: %v rotations; %s", patience, s.count(), s.state())
		}
		s.revive()
		s.watch()
		s.sign()
		s.verify()
		time.Sleep(200 * time.Millisecond)
	}
	if len(s.failures) > 0 {
		t.Errorf("%d of %d checks failed, such as:\n%s", len(s.failures), s.checked, strings.Join(s.failures[:min(len(s.failures), 5)], "\n"))
	}
	t.Logf("%v rotations in %s, %d checks, %d more that came too late, the operator killed %d times", s.count(), time.Since(began).Round(time.Second), s.checked, s.late, len(s.killed))
	s.effects.Make(nil)
	s.revive()
	s.died()
	s.leave()
}

func (s *site) done() bool {
	return !slices.ContainsFunc(s.lanes, func(l *lane) bool { return len(l.used) <= rotations })
}

func (s *site) count() []int {
	var out []int
	for _, l := range s.lanes {
		out = append(out, max(0, len(l.used)-1))
	}
	return out
}

func (s *site) state() string {
	md, err := s.lab.Domain(s.Context(), "example")
	if err != nil {
		return err.Error()
	}
	out := ""
	for i, l := range s.lanes {
		out += fmt.Sprintf("%s: the last problem of its signer is %v, its status %+v; ", l.name, l.problem, md.Status.DKIM[i])
	}
	return out
}

// watch mounts new Secrets, after some time as the kubelet does, and asks the name servers for every selector that there is.
func (s *site) watch() {
	s.Helper()
	for _, l := range s.lanes {
		secret := &corev1.Secret{}
		asked := time.Now()
		err := s.lab.Client.Get(s.Context(), types.NamespacedName{Namespace: "mail", Name: l.secret}, secret)
		if err != nil && !apierrors.IsNotFound(err) {
			s.Fatal(err)
		}
		if err == nil {
			l.had[string(secret.Data["selector"])] = asked
		}
		if err == nil && secret.ResourceVersion != l.seen {
			l.seen, l.pending, l.mountAt = secret.ResourceVersion, secret.Data, time.Now().Add(time.Duration(rand.IntN(1500))*time.Millisecond)
		}
		if l.pending != nil && time.Now().After(l.mountAt) {
			l.mount.put(l.pending)
			l.pending = nil
			if l.signer == nil {
				l.signer = l.start(s.T, l.mount.dir)
			} else {
				l.signer.reload()
			}
		}
	}
	for _, selector := range s.selectors() {
		for _, at := range []netip.AddrPort{s.primary.Addr, s.secondary.Addr} {
			s.cache(selector, at)
		}
	}
}

// selectors are those of status, and those that have signed.
func (s *site) selectors() []string {
	var out []string
	ctx, cancel := context.WithTimeout(s.Context(), 5*time.Second)
	defer cancel()
	if md, err := s.lab.Domain(ctx, "example"); err == nil {
		for _, d := range md.Status.DKIM {
			for _, k := range d.Keys {
				out = append(out, k.Selector)
				s.noteRemoval(k)
			}
		}
		s.noteGone(out)
	}
	for _, l := range s.lanes {
		for _, m := range l.mail {
			out = append(out, m.selector)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// noteRemoval notes when the record of an old key may go: not before keepRetired has passed since the Secret had the key.
func (s *site) noteRemoval(k v1alpha1.DKIMKeyStatus) {
	if k.RemovableAt == nil {
		return
	}
	s.removable[k.Selector] = k.RemovableAt.Time
	for _, l := range s.lanes {
		if at, ok := l.had[k.Selector]; ok && k.RemovableAt.Time.Before(at.Add(keepRetired)) {
			s.failures = append(s.failures, fmt.Sprintf("the record of %s may go at %s, and the Secret had the key at %s", k.Selector, k.RemovableAt, at))
		}
	}
}

// noteGone notes the keys that status, which has those named, tells of no more.
func (s *site) noteGone(told []string) {
	for _, l := range s.lanes {
		for selector, at := range l.had {
			if _, known := s.removable[selector]; known || slices.Contains(told, selector) {
				continue
			}
			s.removable[selector] = time.Now()
			if time.Since(at) < keepRetired {
				s.failures = append(s.failures, "the key of "+selector+" is given up, and the Secret had it at "+at.String())
			}
		}
	}
}

// cache asks a server, and keeps the answer for as long as a cache may.
func (s *site) cache(selector string, at netip.AddrPort) {
	reply, err := servers.Ask(at, selector+"._domainkey."+domain+".", dns.TypeTXT, false)
	if err != nil || reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError {
		return
	}
	text, ttl := "", uint32(0)
	for _, rr := range reply.Answer {
		if txt, ok := rr.(*dns.TXT); ok {
			text, ttl = strings.Join(txt.Txt, ""), txt.Hdr.Ttl
		}
	}
	for _, rr := range reply.Ns {
		if soa, ok := rr.(*dns.SOA); ok && text == "" {
			ttl = min(soa.Hdr.Ttl, soa.Minttl)
		}
	}
	if s.caches[selector] == nil {
		s.caches[selector] = map[string]cached{}
	}
	s.caches[selector][text] = cached{text, time.Now().Add(time.Duration(ttl) * time.Second)}
}

// sign has each signer sign a message. One that begins, or loads a key, may be silent for a moment; mail waits then.
func (s *site) sign() {
	for _, l := range s.lanes {
		if l.signer == nil {
			continue
		}
		text, err := l.signer.sign()
		if err != nil {
			l.problem = err
			if l.unsigned++; len(l.used) > 0 && (l.unsigned > 20 || strings.Contains(err.Error(), "not signed")) {
				s.failures = append(s.failures, fmt.Sprintf("%s: %v", l.name, err))
			}
			continue
		}
		l.unsigned = 0
		selector := selectorIn(text)
		l.used[selector] = true
		l.mail = append(l.mail, message{text: text, selector: selector, until: time.Now().Add(transit), verified: map[string]bool{}})
	}
}

// selectorIn is the selector of a signature.
func selectorIn(text string) string {
	header, _, _ := strings.Cut(text, "\r\nFrom:")
	for tag := range strings.SplitSeq(header, ";") {
		if name, value, ok := strings.Cut(strings.TrimSpace(tag), "="); ok && name == "s" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// verify verifies all mail under way by every answer that a cache may have now.
func (s *site) verify() {
	now := time.Now()
	for _, l := range s.lanes {
		l.mail = slices.DeleteFunc(l.mail, func(m message) bool { return now.After(m.until) })
		for _, m := range l.mail {
			if at, ok := s.removable[m.selector]; ok && !now.Before(at) {
				s.late++
				continue
			}
			for text, c := range s.caches[m.selector] {
				if now.After(c.until) || m.verified[text] {
					continue
				}
				s.checked++
				if err := verifyBy(m.text, text); err != nil {
					s.failures = append(s.failures, fmt.Sprintf("%s, selector %s, by the answer %q: %v", l.name, m.selector, text, err))
				}
				m.verified[text] = true
			}
		}
	}
}

func verifyBy(text, record string) error {
	if record == "" {
		return errors.New("there is no such record")
	}
	results, err := msgauth.VerifyWithOptions(bytes.NewReader([]byte(text)), &msgauth.VerifyOptions{LookupTXT: func(string) ([]string, error) { return []string{record}, nil }})
	if err != nil || len(results) != 1 {
		return fmt.Errorf("%d signatures: %w", len(results), err)
	}
	return results[0].Err
}

// leave removes the MailDomain, and wants no record of a key to stay, and no more private keys in Secrets than two.
func (s *site) leave() {
	s.Helper()
	for _, l := range s.lanes {
		keys := 0
		secret := &corev1.Secret{}
		must(s.T, s.lab.Client.Get(s.Context(), types.NamespacedName{Namespace: "mail", Name: l.secret}, secret))
		for item := range secret.Data {
			if strings.HasSuffix(item, ".key") {
				keys++
			}
		}
		if keys > 2 {
			s.Errorf("%s: %d private keys are kept", l.name, keys)
		}
	}
	must(s.T, s.lab.Client.Delete(s.Context(), &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "example"}}))
	servers.Eventually(s, "the MailDomain is gone", func() error {
		if _, err := s.lab.Domain(s.Context(), "example"); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is there (%v)", err)
		}
		return nil
	})
	for selector := range s.caches {
		for _, at := range []netip.AddrPort{s.primary.Addr, s.secondary.Addr} {
			if reply, err := servers.Ask(at, selector+"._domainkey."+domain+".", dns.TypeTXT, false); err != nil || len(reply.Answer) > 0 {
				s.Errorf("the record of %s stays at %s: %v", selector, at, err)
			}
		}
	}
}

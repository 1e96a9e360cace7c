package controllers

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// revokedData is the record of a revoked key in a zone file (RFC 6376 section 3.6.1).
const revokedData = `"v=DKIM1; p="`

const bedRevoked = 2 * time.Hour

func revoking(s *v1alpha1.MailDomainSpec) {
	s.DKIM.Rotation.Retired, s.DKIM.Rotation.KeepRevoked = v1alpha1.DKIMRevoke, "2h"
}

// revoked are the selectors whose keys are revoked in DNS.
func (b *dkimBed) revoked() []string {
	return slices.DeleteFunc(b.selectors(), func(selector string) bool { return !slices.Equal(b.zone.sets[keySet(selector)], []string{revokedData}) })
}

// untilRevoked waits for the first key that is revoked.
func (b *dkimBed) untilRevoked() string {
	b.Helper()
	b.until("a revoked key", func() bool { return len(b.revoked()) > 0 })
	return b.revoked()[0]
}

// TestRevokedKeys: where that is asked for, an old key is revoked in DNS when its record could go, and the record goes
// later. Mail verifies throughout.
func TestRevokedKeys(t *testing.T) {
	b := newDKIMBed(t, revoking)
	b.inUse()
	first := b.key().Selector
	b.rotate(1)
	changed := b.clock.Now()
	if old := b.untilRevoked(); old != first {
		t.Errorf("%s is revoked, not %s", old, first)
	}
	// The signer loads a key some minutes after the Secret has it, by which changed is late.
	if kept := b.clock.Now().Sub(changed); kept < 3*time.Hour-30*time.Minute {
		t.Errorf("it is revoked after %s", kept)
	}
	b.tick(time.Minute)
	for item := range b.secret(bedSecret).Data {
		if strings.HasPrefix(item, first) {
			t.Errorf("the signer still has %s", item)
		}
	}
	i := slices.IndexFunc(b.key().Keys, func(k v1alpha1.DKIMKeyStatus) bool { return k.Selector == first })
	if i < 0 || b.key().Keys[i].RevokedAt == nil || b.key().Keys[i].Record != revokedData || b.key().State != v1alpha1.DKIMInUse {
		t.Errorf("status is %+v", b.key())
	}
	at := b.clock.Now()
	b.until("its record gone", func() bool { return !slices.Contains(b.selectors(), first) })
	if kept := b.clock.Now().Sub(at); kept < bedRevoked-15*time.Minute || kept > bedRevoked+15*time.Minute {
		t.Errorf("the record that revokes it stays for %s", kept)
	}
	b.rotate(5)
	if standing := b.selectors(); len(standing) > 4 {
		t.Errorf("there stand %v", standing)
	}
	b.noFailures()
}

// TestKilledAtEachEffectOfRevocation: as TestKilledAtEachEffect, from the effect on that revokes the first key.
func TestKilledAtEachEffectOfRevocation(t *testing.T) {
	rotation := v1alpha1.DKIMRotationSpec{Every: "3h", KeepRetired: "90m", Retired: v1alpha1.DKIMRevoke, KeepRevoked: "30m"}
	b := newDKIMBed(t, func(s *v1alpha1.MailDomainSpec) { s.DKIM.Rotation = &rotation })
	b.transit = time.Hour
	before := 0
	b.until("a revoked key", func() bool {
		if len(b.revoked()) > 0 {
			return true
		}
		before = b.effects
		return false
	})
	killAtEach(t, before+1, rotation)
}

// TestRevokedRecordGoes: with the MailDomain, with the key, and when the spec asks for it no more.
func TestRevokedRecordGoes(t *testing.T) {
	t.Run("with the spec", func(t *testing.T) {
		b := newDKIMBed(t, revoking)
		old := b.untilRevoked()
		b.edit(func(md *v1alpha1.MailDomain) {
			md.Spec.DKIM.Rotation.Retired, md.Spec.DKIM.Rotation.KeepRevoked = v1alpha1.DKIMRemove, ""
		})
		b.tick(time.Minute)
		b.tick(time.Minute)
		if slices.Contains(b.selectors(), old) || !slices.Contains(b.selectors(), b.key().Selector) {
			t.Errorf("there stand %v", b.selectors())
		}
		b.noFailures()
	})
	t.Run("with the MailDomain", func(t *testing.T) {
		b := newDKIMBed(t, revoking)
		b.untilRevoked()
		b.delete()
		if b.get() != nil || len(b.selectors()) > 0 {
			t.Errorf("it stays, or its records do: %v", b.selectors())
		}
	})
	t.Run("with the key", func(t *testing.T) {
		b := newDKIMBed(t, revoking)
		old := b.untilRevoked()
		b.edit(func(md *v1alpha1.MailDomain) {
			md.Spec.DKIM.Keys[0] = v1alpha1.DKIMKeySpec{Name: "other", Algorithm: v1alpha1.DKIMEd25519, SecretName: "dkim-other"}
		})
		b.tick(time.Hour)
		if !slices.Contains(b.revoked(), old) {
			t.Errorf("there stand %v", b.selectors())
		}
		b.until("nothing left of it", func() bool { return b.get().Status.DKIMKey("ed") == nil })
		if slices.Contains(b.selectors(), old) {
			t.Errorf("there stand %v", b.selectors())
		}
	})
}

// TestRevokedKeyComesBack: both Secrets are put back as they were before the rotation. The record of the key in them
// comes back, and the other key stays known for keepRetired.
func TestRevokedKeyComesBack(t *testing.T) {
	b := newDKIMBed(t, revoking)
	b.inUse()
	signer, store := b.secret(bedSecret).Data, b.secret(bedStore).Data
	old := b.untilRevoked()
	newer := b.key().Selector
	b.restore(signer, store)
	b.tick(time.Minute)
	b.tick(time.Minute)
	if s := b.key(); s.Selector != old || s.State != v1alpha1.DKIMUnverifiable {
		t.Errorf("status is %+v", s)
	}
	if slices.Contains(b.revoked(), old) || !slices.Contains(b.selectors(), old) || !slices.Contains(b.selectors(), newer) {
		t.Errorf("there stand %v, revoked %v", b.selectors(), b.revoked())
	}
}

// delete deletes the MailDomain, and waits until it has gone, for half an hour.
func (b *dkimBed) delete() {
	b.Helper()
	if err := b.api.Delete(b.Context(), b.get()); err != nil {
		b.Fatal(err)
	}
	for range 30 {
		if b.get() == nil {
			return
		}
		b.clock.Step(time.Minute)
		b.reconcile()
		b.reconcile()
	}
}

// restore puts both Secrets back as they were.
func (b *dkimBed) restore(signer, store map[string][]byte) {
	b.Helper()
	for name, items := range map[string]map[string][]byte{bedSecret: signer, bedStore: store} {
		secret := &corev1.Secret{}
		b.secret(name).DeepCopyInto(secret)
		secret.Data = items
		if err := b.api.Update(b.Context(), secret); err != nil {
			b.Fatal(err)
		}
	}
}

// TestBackupOfARotation: both Secrets are put back as they were in the middle of a rotation, while one server does not answer for
// longer than keepRetired. The key that is to be used next has been in use before: it is not revoked, and no mail fails.
func TestBackupOfARotation(t *testing.T) {
	for _, retired := range []v1alpha1.DKIMRetired{v1alpha1.DKIMRemove, v1alpha1.DKIMRevoke} {
		t.Run(string(retired), func(t *testing.T) {
			b := newDKIMBed(t, func(s *v1alpha1.MailDomainSpec) { s.DKIM.Rotation.Retired = retired })
			b.inUse()
			first := b.key().Selector
			b.until("a next key", func() bool {
				s := b.secret(bedStore)
				return s != nil && s.Data["next"] != nil && string(s.Data["current"]) == first
			})
			signer, store := maps.Clone(b.secret(bedSecret).Data), maps.Clone(b.secret(bedStore).Data)
			next := string(store["next"])
			b.until("rotated", func() bool { return b.key().Selector == next })
			for range 3 {
				b.tick(time.Minute)
			}
			b.restore(signer, store)
			b.zone.silent = true
			for range 20 {
				b.tick(15 * time.Minute)
			}
			b.zone.silent = false
			b.failures = nil // while nobody else could be asked, caches were the second server's
			for range 30 {
				b.tick(10 * time.Minute)
			}
			if len(b.failures) > 0 {
				t.Errorf("%d failures, first %s, last %s", len(b.failures), b.failures[0], b.failures[len(b.failures)-1])
			}
			if slices.Contains(b.revoked(), b.key().Selector) {
				t.Errorf("the key in use is revoked: %v", b.revoked())
			}
		})
	}
}

// TestOlderStatusAfterRevocation: the status is put back as it was while the key that is revoked now was in use, and the next one
// waited. There is no conflict: the record that revokes the key stays for its time, and goes. What that status tells of caches is
// waited for once more.
func TestOlderStatusAfterRevocation(t *testing.T) {
	b := newDKIMBed(t, revoking)
	b.inUse()
	first := b.key().Selector
	b.until("a next key whose record stands", func() bool { return len(b.key().Keys) == 2 && len(b.selectors()) == 2 })
	before := b.get().Status.DeepCopy()
	if old := b.untilRevoked(); old != first {
		t.Fatalf("%s is revoked, not %s", old, first)
	}
	md := b.get()
	before.DeepCopyInto(&md.Status)
	if err := b.api.Status().Update(t.Context(), md); err != nil {
		t.Fatal(err)
	}
	b.begin()
	at := b.clock.Now()
	for range 8 {
		b.tick(15 * time.Minute)
		if s := b.key(); s.State == v1alpha1.DKIMConflict {
			t.Fatalf("status is %+v", s)
		}
		if b.clock.Now().Sub(at) < bedRevoked && !slices.Contains(b.revoked(), first) {
			t.Errorf("after %s there stands %v", b.clock.Now().Sub(at), b.zone.sets[keySet(first)])
		}
	}
	b.dkimReady(metav1.ConditionTrue, v1alpha1.ReasonKeysInUse)
	b.until("its record gone", func() bool { return !slices.Contains(b.selectors(), first) })
	if kept := b.clock.Now().Sub(at); kept < bedRevoked-15*time.Minute || kept > bedRevoked+15*time.Minute {
		t.Errorf("the record that revokes it stays for %s more", kept)
	}
	b.noFailures()
}

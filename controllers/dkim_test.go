package controllers

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dkimkey"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
)

func unchanged(*v1alpha1.MailDomainSpec) {}

// TestFirstDKIMKey: the record first, the Secret once every cache knows it, and then nothing more happens.
func TestFirstDKIMKey(t *testing.T) {
	b := newDKIMBed(t, unchanged)
	b.tick(time.Minute)
	b.tick(time.Minute)
	b.dkimReady(metav1.ConditionFalse, v1alpha1.ReasonPreparingKeys)
	store := b.secret(bedStore)
	if store == nil || b.secret(bedSecret) != nil {
		t.Fatal("the next key is not kept, or the signer has it already")
	}
	selector := string(store.Data["next"])
	if data := b.zone.sets[keySet(selector)]; len(data) != 1 || !strings.HasPrefix(data[0], `"v=DKIM1; k=ed25519; h=sha256; p=`) {
		t.Fatalf("%s: there stands %q", selector, data)
	}
	published := b.clock.Now()
	b.until("the signer's Secret", func() bool { return b.secret(bedSecret) != nil })
	if waited := b.clock.Now().Sub(published); waited < 2*bedDenied {
		t.Errorf("the signer has the key after %s, while caches may deny it", waited)
	}
	b.inUse()
	b.dkimReady(metav1.ConditionTrue, v1alpha1.ReasonKeysInUse)
	signer := b.secret(bedSecret)
	if string(signer.Data[dkimkey.ItemSelector]) != selector || string(signer.Data[dkimkey.ItemDomain]) != "example.com" ||
		signer.Labels[v1alpha1.RoleLabel] != v1alpha1.DKIMRole || signer.Annotations[v1alpha1.DKIMAnnotation] != "example/ed" {
		t.Errorf("the Secret is %v %v %v", signer.Labels, signer.Annotations, slices.Sorted(keysOf(signer.Data)))
	}
	b.tick(15 * time.Minute)
	effects := b.effects
	for range 12 {
		b.tick(15 * time.Minute)
	}
	b.begin()
	b.tick(time.Minute)
	if b.effects != effects {
		t.Errorf("in three hours at rest: %d effects", b.effects-effects)
	}
	b.noFailures()
}

func keysOf(m map[string][]byte) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// rotate leads a bed through ten rotations.
func (b *dkimBed) rotate(times int) {
	b.Helper()
	b.until(fmt.Sprintf("%d rotations", times), func() bool { return len(b.used) > times })
}

// TestTenRotations: mail verifies throughout, whatever receivers have in their caches; old records and old private keys
// go; and one key is made for each rotation.
func TestTenRotations(t *testing.T) {
	b := newDKIMBed(t, unchanged)
	b.rotate(10)
	b.noFailures()
	standing := 0
	for name, data := range b.zone.sets {
		if strings.Contains(name.Owner, "._domainkey.") && len(data) > 0 {
			standing++
		}
	}
	if standing > 2 {
		t.Errorf("%d records stand", standing)
	}
	b.until("the last old key gone", func() bool { return len(b.key().Keys) == 1 })
	b.tick(time.Minute)
	if items := b.secret(bedSecret).Data; len(items) != 7 {
		t.Errorf("old private keys stay: %v", slices.Sorted(keysOf(items)))
	}
	if s := b.key(); len(s.Keys) > 2 || len(s.Own) > 2 || len(s.Versions) > 4 {
		t.Errorf("status keeps what nobody needs: %+v", s)
	}
}

// TestKilledAtEachEffect: the operator is killed before, and after, each single effect from the first key to the end of the
// one that follows it: mail verifies throughout, and no key is made twice.
func TestKilledAtEachEffect(t *testing.T) {
	killAtEach(t, 1, v1alpha1.DKIMRotationSpec{Every: "3h", KeepRetired: "90m"})
}

// killAtEach kills it at each effect from one on.
func killAtEach(t *testing.T, from int, rotation v1alpha1.DKIMRotationSpec) {
	t.Helper()
	whole := func(at int, after bool) *dkimBed {
		b := newDKIMBed(t, func(s *v1alpha1.MailDomainSpec) { s.DKIM.Rotation = &rotation })
		b.killAt, b.after, b.transit = at, after, time.Hour
		b.rotate(1)
		b.until("the first record gone", func() bool { return len(b.selectors()) == 1 })
		return b
	}
	effects := whole(0, false).effects
	if effects < 15 || effects > 100 || effects < from+4 {
		t.Fatalf("a rotation has %d effects", effects)
	}
	for _, after := range []bool{false, true} {
		for at := from; at <= effects; at++ {
			b := whole(at, after)
			b.noFailures()
			if standing := b.selectors(); len(standing) > 2 {
				t.Errorf("there stand %v", standing)
			}
			if t.Failed() {
				t.Fatalf("killed at effect %d, after it: %t", at, after)
			}
		}
	}
}

// selectors are those that have a record.
func (b *dkimBed) selectors() []string {
	var out []string
	for name, data := range b.zone.sets {
		if selector := dkimkey.SelectorOf(name.Owner, "example.com"); selector != "" && len(data) > 0 {
			out = append(out, selector)
		}
	}
	slices.Sort(out)
	return out
}

// TestLostSecrets: what becomes of Secrets that somebody removes or edits.
func TestLostSecrets(t *testing.T) {
	remove := func(b *dkimBed, names ...string) {
		for _, name := range names {
			if err := b.api.Delete(b.Context(), b.secret(name)); err != nil {
				b.Fatal(err)
			}
		}
	}
	t.Run("the signer's Secret comes back as it was", func(t *testing.T) {
		b := newDKIMBed(t, unchanged)
		b.inUse()
		before := b.secret(bedSecret).Data
		remove(b, bedSecret)
		b.tick(time.Minute)
		if after := b.secret(bedSecret); after == nil || !dkimkey.SameItems(after.Data, before) {
			t.Error("it does not, or with another key")
		}
		b.noFailures()
	})
	t.Run("what somebody has put into it goes", func(t *testing.T) {
		b := newDKIMBed(t, unchanged)
		b.inUse()
		secret := b.secret(bedSecret)
		before := secret.DeepCopy().Data
		secret.Data[dkimkey.ItemSelector], secret.Data["more"] = []byte("mine"), []byte("x")
		if err := b.api.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		b.tick(time.Minute)
		if after := b.secret(bedSecret); !dkimkey.SameItems(after.Data, before) {
			t.Errorf("it holds %v", slices.Sorted(keysOf(after.Data)))
		}
	})
	t.Run("the store comes back with the key in use", func(t *testing.T) {
		b := newDKIMBed(t, unchanged)
		b.inUse()
		selector := b.key().Selector
		remove(b, bedStore)
		b.tick(time.Minute)
		if after := b.secret(bedStore); after == nil || string(after.Data["current"]) != selector {
			t.Error("it does not")
		}
	})
	t.Run("with both lost another key takes the same slow way, and the old record stays", func(t *testing.T) {
		b := newDKIMBed(t, unchanged)
		b.inUse()
		lost := b.key().Selector
		remove(b, bedSecret, bedStore)
		b.tick(time.Minute)
		b.tick(time.Minute)
		b.dkimReady(metav1.ConditionFalse, v1alpha1.ReasonPreparingKeys, lost, "lost with its Secrets")
		b.until("another key", func() bool { return b.key().State == v1alpha1.DKIMInUse })
		if !slices.Contains(b.selectors(), lost) || b.key().Selector == lost {
			t.Errorf("there stand %v, and %s is in use", b.selectors(), b.key().Selector)
		}
		b.until("the old record gone", func() bool { return !slices.Contains(b.selectors(), lost) })
		b.noFailures()
	})
	t.Run("a next key that is lost is made anew, and its record goes", func(t *testing.T) {
		b := newDKIMBed(t, unchanged)
		b.tick(time.Minute)
		b.tick(time.Minute)
		lost := string(b.secret(bedStore).Data["next"])
		remove(b, bedStore)
		b.inUse()
		if slices.Contains(b.selectors(), lost) {
			t.Error("the record of the lost key stands")
		}
		b.noFailures()
	})
}

// TestForeignSecret: a Secret of somebody else is told of, and never written.
func TestForeignSecret(t *testing.T) {
	theirs := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: bedSecret}, Data: map[string][]byte{"password": []byte("x")}}
	b := newDKIMBed(t, unchanged, theirs)
	for range 40 {
		b.tick(10 * time.Minute)
	}
	b.dkimReady(metav1.ConditionFalse, v1alpha1.ReasonSigningSecretConflict, bedSecret, "name another Secret")
	if secret := b.secret(bedSecret); len(secret.Data) != 1 || len(secret.Labels) > 0 || b.secret(bedStore) != nil {
		t.Errorf("it was written: %v", secret.Labels)
	}
}

// TestEditedRecord: a record of ours that somebody has edited or removed is put back; one with another key is a conflict,
// and is replaced with adopt alone.
func TestEditedRecord(t *testing.T) {
	b := newDKIMBed(t, unchanged)
	b.inUse()
	name := keySet(b.key().Selector)
	ours := slices.Clone(b.zone.sets[name])
	put := func(data ...string) {
		b.zone.sets[name] = data
		for range 4 {
			b.tick(30 * time.Minute)
		}
	}
	put()
	if !slices.Equal(b.zone.sets[name], ours) {
		t.Errorf("removed: there stands %v", b.zone.sets[name])
	}
	edited := strings.Replace(ours[0], "v=DKIM1; ", "v=DKIM1; t=y; ", 1)
	put(edited)
	if !slices.Equal(b.zone.sets[name], ours) {
		t.Errorf("edited: there stands %v", b.zone.sets[name])
	}
	other, err := dkimkey.Make(rng(t), dkimkey.Wish{Name: "x", Algorithm: dkimkey.Ed25519})
	if err != nil {
		t.Fatal(err)
	}
	put(other.Data())
	if !slices.Equal(b.zone.sets[name], []string{other.Data()}) {
		t.Errorf("a record of somebody else was written over: %v", b.zone.sets[name])
	}
	b.dkimReady(metav1.ConditionFalse, v1alpha1.ReasonRecordConflict, "spec.dkim.adopt", b.key().Selector)
	b.edit(func(md *v1alpha1.MailDomain) { md.Spec.DKIM.Adopt = true })
	put(other.Data())
	if !slices.Equal(b.zone.sets[name], ours) {
		t.Errorf("adopted: there stands %v", b.zone.sets[name])
	}
}

type seeded struct{ n byte }

func (s *seeded) Read(p []byte) (int, error) {
	for i := range p {
		s.n++
		p[i] = s.n
	}
	return len(p), nil
}

func rng(*testing.T) *seeded { return &seeded{} }

// TestMissingRecordIsTold: while receivers may find no record of the key in use, that is said.
func TestMissingRecordIsTold(t *testing.T) {
	b := newDKIMBed(t, unchanged)
	b.inUse()
	delete(b.zone.sets, keySet(b.key().Selector))
	b.edit(func(md *v1alpha1.MailDomain) { md.Spec.Suspend = true })
	for range 4 {
		b.tick(30 * time.Minute)
	}
	b.dkimReady(metav1.ConditionFalse, v1alpha1.ReasonKeyUnverifiable, b.key().Selector)
	if len(b.selectors()) > 0 {
		t.Error("something was written while suspended")
	}
}

// TestKeyThatIsNotChangedByTime: with every of 0s a key stays in use, until the spec asks for another one.
func TestKeyThatIsNotChangedByTime(t *testing.T) {
	b := newDKIMBed(t, func(s *v1alpha1.MailDomainSpec) { s.DKIM.Rotation.Every = "0s" })
	b.inUse()
	b.tick(15 * time.Minute)
	first, effects := b.key().Selector, b.effects
	for range 30 {
		b.tick(40 * 24 * time.Hour)
	}
	if b.key().Selector != first || b.key().NextRotation != nil || b.effects != effects {
		t.Errorf("in three years there were %d effects, and status is %+v", b.effects-effects, b.key())
	}
	b.edit(func(md *v1alpha1.MailDomain) { md.Spec.DKIM.Keys[0].Algorithm = v1alpha1.DKIMRSA })
	b.until("another key", func() bool { return b.key().Selector != first })
	b.noFailures()
}

// TestSuspendedKeys: nothing is made while the MailDomain is suspended.
func TestSuspendedKeys(t *testing.T) {
	b := newDKIMBed(t, func(s *v1alpha1.MailDomainSpec) { s.Suspend = true })
	for range 10 {
		b.tick(time.Hour)
	}
	if b.secret(bedStore) != nil || b.secret(bedSecret) != nil || b.zone.writes > 0 {
		t.Error("a key was made, or published")
	}
}

// TestAnotherAlgorithm: a change of the spec brings another key by the same slow way, with the Secret and the name kept.
func TestAnotherAlgorithm(t *testing.T) {
	b := newDKIMBed(t, unchanged)
	b.inUse()
	first := b.key().Selector
	b.edit(func(md *v1alpha1.MailDomain) { md.Spec.DKIM.Keys[0].Algorithm = v1alpha1.DKIMRSA })
	b.until("an RSA key", func() bool {
		return bytes.Contains(b.loaded[string(b.loaded["selector"])+".key"], []byte("RSA PRIVATE KEY"))
	})
	if second := b.key().Selector; second == first || !slices.Contains(b.selectors(), first) {
		t.Errorf("%s after %s; there stand %v", second, first, b.selectors())
	}
	data := b.zone.sets[keySet(b.key().Selector)]
	if text, err := mailrecord.Unquote(data[0]); err != nil || !strings.Contains(data[0], `" "`) || strings.Contains(text, `"`) {
		t.Errorf("a record of more than 255 octets stands as %v", data)
	}
	b.noFailures()
}

// TestKeyLeaves: a key that leaves the spec is kept for keepRetired; with the MailDomain all records go at once, and the
// Secrets stay.
func TestKeyLeaves(t *testing.T) {
	b := newDKIMBed(t, unchanged)
	b.inUse()
	left, selector := b.clock.Now(), b.key().Selector
	b.edit(func(md *v1alpha1.MailDomain) {
		md.Spec.DKIM.Keys[0] = v1alpha1.DKIMKeySpec{Name: "other", Algorithm: v1alpha1.DKIMEd25519, SecretName: "dkim-other"}
	})
	b.tick(time.Hour)
	if s := b.key(); s.State != v1alpha1.DKIMRemoving || s.RemoveAt == nil || !slices.Contains(b.selectors(), selector) {
		t.Fatalf("%+v, there stand %v", s, b.selectors())
	}
	b.until("the record gone", func() bool { return !slices.Contains(b.selectors(), selector) })
	if kept := b.clock.Now().Sub(left); kept < 3*time.Hour {
		t.Errorf("it has gone after %s", kept)
	}
	b.until("nothing left in status", func() bool { return b.get().Status.DKIMKey("ed") == nil })
	if b.secret(bedSecret) == nil {
		t.Error("the signer has lost its Secret")
	}

	b = newDKIMBed(t, unchanged)
	b.inUse()
	b.delete()
	if b.get() != nil || len(b.selectors()) > 0 {
		t.Errorf("it stays, or its records do: %v, %+v", b.selectors(), b.get().Status)
	}
}

// TestLostDKIMStatus: with the status lost the keys that the Secrets hold stay in use, and nothing is done in haste.
func TestLostDKIMStatus(t *testing.T) {
	b := newDKIMBed(t, unchanged)
	b.inUse()
	selector := b.key().Selector
	b.tick(15 * time.Minute)
	md := b.get()
	md.Status = v1alpha1.MailDomainStatus{}
	if err := b.api.Status().Update(t.Context(), md); err != nil {
		t.Fatal(err)
	}
	b.begin()
	b.tick(time.Minute)
	b.tick(time.Minute)
	if s := b.key(); s.Selector != selector || s.State != v1alpha1.DKIMInUse {
		t.Errorf("%+v", s)
	}
	b.rotate(2)
	b.noFailures()
}

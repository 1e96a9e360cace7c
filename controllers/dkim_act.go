package controllers

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dkimkey"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// This file carries out what was decided on keys: the Secrets are written, and the records, and looked at.

// writesSecrets says whether the Secrets of a key are the operator's to write now.
func (row *dkimRow) writesSecrets(run *domainRun) bool {
	return !row.leaving(run.md) && row.decided && row.conflict == "" && !row.facts.Policy.Suspended
}

// signing is the key that the signer's Secret is to have: the next one once the rule hands it over, or else the one in use.
func (row *dkimRow) signing() *dkimkey.Key {
	if next := row.held.Next; next != nil && slices.Contains(row.decision.Deploy, next.Selector) {
		return next
	}
	return row.held.Current
}

// signerItems are what the signer's Secret is to hold; nil where there is no key for it yet. The key that was in use before
// stays beside the new one for as long as its record stands.
func (row *dkimRow) signerItems(domain string) map[string][]byte {
	k := row.signing()
	if k == nil {
		return nil
	}
	var published []string
	for _, s := range row.decision.Keys {
		if s.Role != string(v1alpha1.RoleNext) && s.RevokedSince.IsZero() {
			published = append(published, s.ID)
		}
	}
	former := dkimkey.FormerItems(itemsOf(row.signer), published)
	if c := row.held.Current; c != nil {
		maps.Copy(former, dkimkey.KeyItems(c))
	}
	return dkimkey.SignerItems(domain, k, former)
}

// signerDue says whether the signer's Secret is to be written.
func (row *dkimRow) signerDue(run *domainRun) bool {
	if !row.writesSecrets(run) {
		return false
	}
	want := row.signerItems(run.md.Spec.Domain)
	return want != nil && (row.signer == nil || !dkimkey.SameItems(row.signer.Data, want) || row.signer.Annotations[v1alpha1.DKIMAnnotation] != keyOwner(run.md, row.name()))
}

// storeDue says whether the store is to be written: it lacks the key in use, or still has one that is not the next any
// more.
func (row *dkimRow) storeDue(run *domainRun) bool {
	if !row.writesSecrets(run) || row.held.Current == nil && row.held.Next == nil {
		return false
	}
	return row.store == nil || !dkimkey.SameItems(row.store.Data, dkimkey.StoreItems(row.held.Current, row.held.Next))
}

// makeDue says whether the next key is to be made now: there is none at all, the spec asks for another, or it is time.
func (row *dkimRow) makeDue(run *domainRun) bool {
	if !row.writesSecrets(run) || row.storeDue(run) || row.signerDue(run) {
		return false
	}
	wish := row.wish()
	switch {
	case row.held.Next != nil:
		return !row.held.Next.Fits(wish)
	case row.held.Current == nil || !row.held.Current.Fits(wish):
		return true
	}
	at := row.nextRotation(run.md)
	return !at.IsZero() && !run.now.Before(at)
}

// nextRotation is when the next key is made by time; zero while one is under way, an old one is still kept, or there is no
// such time.
func (row *dkimRow) nextRotation(md *v1alpha1.MailDomain) time.Time {
	every, _ := md.Spec.DKIM.DKIMTimes()
	if every == 0 || row.spec == nil || row.held.Next != nil || row.held.Current == nil {
		return time.Time{}
	}
	var at time.Time
	for _, k := range row.decision.Keys {
		switch {
		case k.Role == string(v1alpha1.RolePrevious) && k.RevokedSince.IsZero():
			return time.Time{}
		case k.ID == row.held.Current.Selector:
			at = k.Since.Add(every)
		}
	}
	return at
}

// keyEffects says whether anything of the keys is to be written.
func (run *domainRun) keyEffects() bool {
	return run.dkim != nil && slices.ContainsFunc(run.dkim.rows, func(row *dkimRow) bool {
		return row.decided && slices.ContainsFunc(row.decision.Owners, func(o rollover.OwnerDecision) bool { return o.Write }) ||
			row.signerDue(run) || row.storeDue(run) || row.makeDue(run)
	})
}

// actOnKeys carries out what was decided and stored.
func (r *MailDomainReconciler) actOnKeys(ctx context.Context, run *domainRun) error {
	if run.dkim == nil {
		return nil
	}
	var errs []error
	for _, row := range run.dkim.rows {
		if row.decided && run.dkim.refused == nil {
			r.publishKeys(run, row)
		}
		errs = append(errs, ignoreConflict(r.writeKeySecrets(ctx, run, row)))
	}
	return errors.Join(errs...)
}

// writeKeySecrets writes one of the Secrets of a key, if that is due: the next reconcile sees what came of it.
func (r *MailDomainReconciler) writeKeySecrets(ctx context.Context, run *domainRun, row *dkimRow) error {
	switch {
	case row.signerDue(run):
		return r.writeSigner(ctx, run, row)
	case row.storeDue(run):
		return r.writeStore(ctx, run, row, row.held.Next)
	case row.makeDue(run):
		k, err := dkimkey.Make(cmp.Or[io.Reader](r.standby.random, rand.Reader), row.wish())
		if err != nil {
			return fmt.Errorf("key %s of MailDomain %s: %w", row.name(), run.key(), err)
		}
		if err := r.writeStore(ctx, run, row, k); err != nil {
			return err
		}
		r.event(run.md, nil, corev1.EventTypeNormal, "DKIMKeyMade", "Rotate", "key %s of %s was made; it is published before it is used", k.Selector, run.md.Spec.Domain)
	}
	return nil
}

func (r *MailDomainReconciler) writeSigner(ctx context.Context, run *domainRun, row *dkimRow) error {
	if err := r.writeKeySecret(ctx, run, row, row.signer, row.spec.SecretName, v1alpha1.DKIMRole, row.signerItems(run.md.Spec.Domain)); err != nil {
		return err
	}
	if k := row.signing(); k != row.held.Current {
		r.event(run.md, nil, corev1.EventTypeNormal, "DKIMKeyDeployed", "Rotate", "Secret %s has key %s now: every receiver can verify by it", row.spec.SecretName, k.Selector)
	}
	return nil
}

func (r *MailDomainReconciler) writeStore(ctx context.Context, run *domainRun, row *dkimRow, next *dkimkey.Key) error {
	return r.writeKeySecret(ctx, run, row, row.store, row.spec.SecretName+v1alpha1.DKIMStoreSuffix, v1alpha1.DKIMStoreRole, dkimkey.StoreItems(row.held.Current, next))
}

// writeKeySecret writes a Secret that was read before; its resourceVersion fences out everybody who read an older one. It
// has no owner: it outlives the MailDomain, as the key that the signer has loaded does.
func (r *MailDomainReconciler) writeKeySecret(ctx context.Context, run *domainRun, row *dkimRow, existing *corev1.Secret, name, role string, items map[string][]byte) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: run.md.Namespace, Name: name}, Type: corev1.SecretTypeOpaque}
	write := func() error { return r.Create(ctx, secret) }
	if existing != nil {
		secret = existing.DeepCopy()
		write = func() error { return r.Update(ctx, secret) }
	}
	secret.Labels, secret.Annotations = merged(secret.Labels, map[string]string{
		v1alpha1.RoleLabel: role, v1alpha1.DKIMDomainLabel: labelValue(run.md.Name),
	}), merged(secret.Annotations, map[string]string{v1alpha1.DKIMAnnotation: keyOwner(run.md, row.name())})
	secret.Data = items
	err := write()
	switch {
	case apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err):
		return nil // it is read anew
	case err != nil:
		return fmt.Errorf("write Secret %s/%s: %w", run.md.Namespace, name, err)
	}
	r.observer.wake(client.ObjectKeyFromObject(run.md))
	return nil
}

// merged is a map with more entries.
func merged(of, more map[string]string) map[string]string {
	out := maps.Clone(of)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, more)
	return out
}

// publishKeys queues the updates that are wanted. Their outcome wakes the MailDomain again.
func (r *MailDomainReconciler) publishKeys(run *domainRun, row *dkimRow) {
	actor := run.dkim.entry.client
	for _, o := range row.decision.Owners {
		words := row.words(o.Name)
		expect, known := dataOf(o.Expect, words)
		want, made := dataOf(o.Records, words)
		if !o.Write || !known || !made || !r.observer.beginPublish(row.key, o.Name, run.now) {
			continue
		}
		key, began, ttl, owner := row.key, r.Clock.Now(), dkimTTL(run.md), o.Name
		change := zone.SetChange{SetName: zone.SetName{Owner: owner, Type: zone.TXT}, Expect: expect, Want: want, TTL: ttl}
		actor.PublishSet(change, func(result zone.Result) {
			now := r.Clock.Now()
			r.counts.Update(string(result.Class), now.Sub(began))
			r.observer.endPublish(key, owner, result, now)
			if !r.sweepKeys(actor, key, []string{owner}, ttl, false) {
				r.observer.wake(key.domain)
			}
		})
	}
}

// words are the records of an owner as they stand in a zone file, by their digests: those that were seen, and ours.
func (row *dkimRow) words(owner string) map[tlsa.Record]string {
	out := map[tlsa.Record]string{dkimRecord(dkimkey.Revoked()): mailrecord.Quote(dkimkey.Revoked())}
	maps.Copy(out, row.view.owners[owner].words)
	for _, k := range []*dkimkey.Key{row.held.Current, row.held.Next} {
		if k != nil {
			out[dkimRecord(k.Text())] = cmp.Or(out[dkimRecord(k.Text())], k.Data())
		}
	}
	if row.previous != nil {
		for _, k := range row.previous.Keys {
			record := dkimRecord(textOf(k.Record))
			out[record] = cmp.Or(out[record], k.Record)
		}
	}
	return out
}

// dataOf are records as they stand in a zone file, and whether each is known.
func dataOf(records []tlsa.Record, words map[tlsa.Record]string) ([]string, bool) {
	var out []string
	for _, record := range records {
		data, ok := words[record]
		if !ok {
			return nil, false
		}
		out = append(out, data)
	}
	return out, true
}

// sweepKeys begins a sweep of owners of a key; later says that nobody waits for it. It says no while all of them are being
// looked at, or written.
func (r *MailDomainReconciler) sweepKeys(actor zone.Client, key hostKey, owners []string, ttl time.Duration, later bool) bool {
	var asked []zone.SetName
	for _, owner := range owners {
		if r.observer.beginSweep(key, owner) {
			asked = append(asked, zone.SetName{Owner: owner, Type: zone.TXT})
		}
	}
	if len(asked) == 0 {
		return false
	}
	actor.SweepSets(asked, later, func(found []zone.SetSweep) {
		for i, name := range asked {
			sweep, words := dkimSweep(found[i], ttl)
			r.observer.endSweep(key, name.Owner, trail{sweep: sweep, words: words})
		}
	})
	return true
}

// observeKeys starts the sweeps that are due, and says when to look again.
func (r *MailDomainReconciler) observeKeys(run *domainRun, names map[string]bool) time.Duration {
	if run.dkim == nil {
		return never
	}
	wait := never
	for _, row := range run.dkim.rows {
		names[row.key.host] = true
		if !row.decided {
			wait = min(wait, 5*time.Second) // a zone that is not loaded yet is looked for again
			continue
		}
		wait = min(wait, r.observeKey(run, row))
	}
	return wait
}

func (r *MailDomainReconciler) observeKey(run *domainRun, row *dkimRow) time.Duration {
	p := row.pace(run)
	if !r.observer.settle(row.key, p, run.now) {
		return p.soak // it is woken when it is let in
	}
	every := p.idle
	switch {
	case !p.quiet || p.imminent:
		every = p.interval
	case !row.decision.Next.IsZero():
		every = p.soak
	}
	wait := every
	var due []string
	for i, o := range row.decision.Owners {
		if row.done(i) {
			continue
		}
		at := p.due(run.now, lastSweepEnd(row.view.owners[o.Name]), every)
		if at <= 0 {
			due = append(due, o.Name)
			at = every
		}
		wait = min(wait, at)
	}
	if len(due) > 0 {
		r.sweepKeys(run.dkim.entry.client, row.key, due, dkimTTL(run.md), every >= p.idle)
	}
	for _, at := range []time.Time{row.decision.Next, row.decision.Next.Add(-p.ahead()), row.nextRotation(run.md), row.removeAt} {
		if at.After(run.now) {
			wait = min(wait, at.Sub(run.now))
		}
	}
	return max(wait, retrySoon)
}

// waitsForPeople says that what servers show brings nothing on: somebody has to do something, or time to pass.
func waitsForPeople(w rollover.Wait) bool {
	return w.Code == rollover.WaitForeign || w.Code == rollover.WaitNamed || w.Code == rollover.WaitSuspended
}

// pace is how often the owners of a key are looked at.
func (row *dkimRow) pace(run *domainRun) pace {
	interval := max(run.dkim.zone.Spec.Propagation.Interval.Or(10*time.Second), 100*time.Millisecond)
	p := pace{
		key: row.key, interval: interval, soak: max(soakIntervals*interval, 2*time.Second),
		idle: min(max(probeIntervals*interval, 30*time.Second), time.Hour), quiet: true,
	}
	if next := row.decision.Next; !next.IsZero() {
		p.imminent = next.Sub(run.now) <= p.ahead()
	}
	moving := slices.ContainsFunc(row.decision.Waits, func(w rollover.Wait) bool { return !waitsForPeople(w) && isNear(w, run.now, p.ahead()) })
	held := slices.ContainsFunc(row.decision.Waits, waitsForPeople)
	for i, o := range row.decision.Owners {
		open := 0
		for _, v := range o.Versions {
			if v.Open {
				open++
			}
		}
		moving = moving || !row.done(i) && (o.Write || !o.InSync && !held || open > 1)
	}
	p.quiet = !moving
	return p
}

package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dkimkey"
	"github.com/dane-operator/dane-operator/internal/rollover"
)

// dkimRun are the keys that mail of a domain is signed with, in one reconcile. It is nil for a MailDomain without any.
type dkimRun struct {
	zone  *v1alpha1.DNSZone
	entry zoneEntry
	// refused says why the records may not be written; nil when they may.
	refused *refusal
	rows    []*dkimRow
}

// dkimRow is one key of the spec, or one that has left it: what is known, and what was decided.
type dkimRow struct {
	key hostKey
	// spec is nil for a key that has left it.
	spec     *v1alpha1.DKIMKeySpec
	previous *v1alpha1.DKIMStatus
	view     hostView
	// signer and store are the Secrets; nil where there is none. conflict says which of them is somebody else's.
	signer, store *corev1.Secret
	conflict      string
	held          dkimkey.Held
	// removeAt is when the records of a key that has left the spec are taken out.
	removeAt time.Time
	facts    rollover.Facts
	// decided says that decision holds something.
	decided  bool
	decision rollover.Decision
}

// concernsKeys says whether a MailDomain has, or had, anything to do with DKIM.
func concernsKeys(md *v1alpha1.MailDomain) bool {
	return md.Spec.DKIM != nil || len(md.Status.DKIM) > 0
}

// dkimKey names a key of the spec among what the observer knows of a MailDomain. No host has a name with a slash.
func dkimKey(domain types.NamespacedName, name string) hostKey {
	return hostKey{domain: domain, host: "dkim/" + name}
}

// name is that of the key in the spec.
func (row *dkimRow) name() string { return strings.TrimPrefix(row.key.host, "dkim/") }

// secretName is the Secret that the signer mounts.
func (row *dkimRow) secretName() string {
	if row.spec != nil {
		return row.spec.SecretName
	}
	return row.previous.SecretName
}

// wish is the key that the spec asks for.
func (row *dkimRow) wish() dkimkey.Wish {
	return dkimkey.Wish{Name: row.spec.Name, Algorithm: dkimkey.Algorithm(row.spec.Algorithm), Size: int(row.spec.Size)}
}

// leaving says that the records of a key are to be taken out.
func (row *dkimRow) leaving(md *v1alpha1.MailDomain) bool {
	return row.spec == nil || !md.DeletionTimestamp.IsZero()
}

// gatherKeys finds out what is known of the keys of a mail domain, and decides.
func (r *MailDomainReconciler) gatherKeys(ctx context.Context, run *domainRun, w *world) error {
	md := run.md
	if !concernsKeys(md) {
		return nil
	}
	d := &dkimRun{}
	run.dkim = d
	if d.zone, d.refused = w.mailZone(md.Namespace, md.Spec.Domain); d.zone != nil {
		d.entry, _ = r.zoneEntry(client.ObjectKeyFromObject(d.zone))
	}
	d.rows = r.dkimRows(run)
	for _, row := range d.rows {
		if row.spec != nil {
			if err := r.readKeySecrets(ctx, run, row); err != nil {
				return err
			}
		}
		if d.zone == nil || d.entry.client == nil {
			continue
		}
		row.facts = r.dkimFacts(run, row)
		row.decision, row.decided = rollover.Decide(row.facts), true
	}
	return nil
}

// dkimRows are the keys of the spec, then those that have left it and still have records.
func (r *MailDomainReconciler) dkimRows(run *domainRun) []*dkimRow {
	md := run.md
	var out []*dkimRow
	add := func(name string, spec *v1alpha1.DKIMKeySpec) {
		row := &dkimRow{key: dkimKey(run.key(), name), spec: spec, previous: md.Status.DKIMKey(name)}
		row.view = r.observer.view(row.key)
		out = append(out, row)
	}
	if md.Spec.DKIM != nil {
		for i := range md.Spec.DKIM.Keys {
			add(md.Spec.DKIM.Keys[i].Name, &md.Spec.DKIM.Keys[i])
		}
	}
	for i := range md.Status.DKIM {
		s := &md.Status.DKIM[i]
		known := slices.ContainsFunc(out, func(row *dkimRow) bool { return row.name() == s.Name })
		if !known && md.Spec.DeletionPolicy != v1alpha1.DeletionRetain {
			add(s.Name, nil)
			row := out[len(out)-1]
			if row.removeAt = timeOf(s.RemoveAt); row.removeAt.IsZero() {
				_, keep := md.Spec.DKIM.DKIMTimes()
				row.removeAt = run.now.Add(keep)
			}
		}
	}
	return out
}

// readKeySecrets reads the Secrets of a key of the spec, live.
func (r *MailDomainReconciler) readKeySecrets(ctx context.Context, run *domainRun, row *dkimRow) error {
	var err error
	if row.signer, err = r.keySecret(ctx, run, row.spec.SecretName); err != nil {
		return err
	}
	if row.store, err = r.keySecret(ctx, run, row.spec.SecretName+v1alpha1.DKIMStoreSuffix); err != nil {
		return err
	}
	row.conflict = run.foreignSecret(row.signer, row.name(), v1alpha1.DKIMRole)
	if row.conflict == "" {
		row.conflict = run.foreignSecret(row.store, row.name(), v1alpha1.DKIMStoreRole)
	}
	if row.conflict == "" {
		row.held = dkimkey.Hold(row.name(), itemsOf(row.signer), itemsOf(row.store))
	}
	return nil
}

func (r *MailDomainReconciler) keySecret(ctx context.Context, run *domainRun, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := r.live.Get(ctx, types.NamespacedName{Namespace: run.md.Namespace, Name: name}, secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read Secret %s/%s: %w", run.md.Namespace, name, err)
	}
	return secret, nil
}

func itemsOf(secret *corev1.Secret) map[string][]byte {
	if secret == nil {
		return nil
	}
	return secret.Data
}

// keyOwner is the value of the annotation on the Secrets of a key.
func keyOwner(md *v1alpha1.MailDomain, name string) string { return md.Name + "/" + name }

// foreignSecret says why a Secret must not be written: it is not one that was made for this key, nor for one that this
// MailDomain has given up.
func (run *domainRun) foreignSecret(secret *corev1.Secret, name, role string) string {
	if secret == nil {
		return ""
	}
	owner := secret.Annotations[v1alpha1.DKIMAnnotation]
	domain, former, _ := strings.Cut(owner, "/")
	given := domain == run.md.Name && !slices.ContainsFunc(run.md.Spec.DKIM.Keys, func(k v1alpha1.DKIMKeySpec) bool { return k.Name == former })
	if secret.Labels[v1alpha1.RoleLabel] == role && (owner == keyOwner(run.md, name) || given) {
		return ""
	}
	of := "was not made by the operator for a signer"
	if owner != "" {
		of = "belongs to key " + owner
	}
	return fmt.Sprintf("Secret %s %s: name another Secret in spec.dkim.keys, or remove that one", secret.Name, of)
}

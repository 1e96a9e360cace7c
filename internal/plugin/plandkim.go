package plugin

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
	"github.com/dane-operator/dane-operator/internal/statusview"
)

// This file plans what becomes of the keys that mail is signed with. Which key is in use, and of which kind, its record tells.

// defaultKeySize is what an absent size of an RSA key means, in bits.
const defaultKeySize = 2048

// writeKeyPlan writes what becomes of each key of the spec, and of those that leave it.
func writeKeyPlan(out io.Writer, md *v1alpha1.MailDomain) {
	var lines []string
	named := map[string]bool{}
	if md.Spec.DKIM != nil {
		for i := range md.Spec.DKIM.Keys {
			k := &md.Spec.DKIM.Keys[i]
			named[k.Name] = true
			lines = append(lines, fmt.Sprintf("%s (%s): %s", k.Name, wantedKind(k), plannedKey(md, k)))
		}
	}
	for i := range md.Status.DKIM {
		if s := &md.Status.DKIM[i]; !named[s.Name] && len(s.Keys) > 0 {
			lines = append(lines, s.Name+": "+leavingKey(md, s))
		}
	}
	if len(lines) == 0 {
		return
	}
	section(out, "%s", "DKIM keys")
	for _, line := range lines {
		fmt.Fprintln(out, line)
	}
	if md.Spec.Suspend {
		fmt.Fprintln(out, "spec.suspend is true: until it is false no key is made, published, handed over or removed.")
	}
}

// plannedKey says what becomes of a key of the spec: whether the one in use stays, or which takes its place, and when.
func plannedKey(md *v1alpha1.MailDomain, spec *v1alpha1.DKIMKeySpec) string {
	s := md.Status.DKIMKey(spec.Name)
	if s == nil || s.Selector == "" {
		return "it is made" + whereItGoes(md, spec)
	}
	inUse := "selector " + s.Selector + " is in use, in Secret " + s.SecretName
	kind := kindIn(s, s.Selector)
	switch {
	case s.SecretName != spec.SecretName:
		return inUse + ", and stays there; another key is made" + whereItGoes(md, spec) + staysFor(md, s.Selector)
	case kind == "":
		return inUse + ", and stays if its key is of this kind, which the status does not tell; if not, another is made" + whereItGoes(md, spec)
	case kind == wantedKind(spec):
		return inUse + ", and stays: its key is of this kind" + successor(md, spec, s)
	}
	return inUse + ", and its key is " + kind + successor(md, spec, s) + staysFor(md, s.Selector)
}

// successor says which key takes the place of the one in use: the next one if it is of the right kind, or else one that is
// made at once. Nothing where the one in use stays and there is no next one.
func successor(md *v1alpha1.MailDomain, spec *v1alpha1.DKIMKeySpec, s *v1alpha1.DKIMStatus) string {
	i := slices.IndexFunc(s.Keys, func(k v1alpha1.DKIMKeyStatus) bool { return k.Role == v1alpha1.RoleNext })
	fits := kindIn(s, s.Selector) == wantedKind(spec)
	if i < 0 && fits {
		if s.NextRotation.IsZero() {
			return ""
		}
		return "; the next one is made " + statusview.Stamp(s.NextRotation.Time)
	}
	if i < 0 {
		return ": another is made at once" + whereItGoes(md, spec)
	}
	next := &s.Keys[i]
	switch kind := kindIn(s, next.Selector); {
	case kind != wantedKind(spec):
		return fmt.Sprintf("; the next one, %s, is %s: another is made in its place at once%s", next.Selector, cmp.Or(kind, "of a kind that the status does not tell"), whereItGoes(md, spec))
	case next.DeployableAt.IsZero():
		return fmt.Sprintf("; %s is made already, and takes its place %s", next.Selector, earliest(md))
	default:
		return fmt.Sprintf("; %s is made already, and takes its place %s at the earliest", next.Selector, statusview.Stamp(next.DeployableAt.Time))
	}
}

// whereItGoes says where a key that is made goes, and when at the earliest. A selector is made of the key, so that it is known
// with the key alone.
func whereItGoes(md *v1alpha1.MailDomain, spec *v1alpha1.DKIMKeySpec) string {
	return fmt.Sprintf(", published at %s-DIGITS._domainkey.%s, and put into Secret %s %s", spec.Name, md.Spec.Domain, spec.SecretName, earliest(md))
}

// earliest is when a key can be handed to the signer: the rule of keys of servers, where a denial counts as an answer.
func earliest(md *v1alpha1.MailDomain) string {
	return fmt.Sprintf("once every name server shows it, and caches have forgotten that there was none: the negative TTL of the zone (the last number of its SOA record) after that, and the same again or %s, whichever is longer",
		duration.HumanDuration(md.Spec.Rollover.PublishSafety.Or(time.Hour)))
}

// staysFor says how long the record of a key stays that is not in use any more.
func staysFor(md *v1alpha1.MailDomain, selector string) string {
	_, keep := md.Spec.DKIM.DKIMTimes()
	kept := max(keep, 2*time.Duration(cmp.Or(md.Spec.DKIM.TTL, int32(recordTTL)))*time.Second)
	what := "is removed"
	if _, revokes := md.Spec.DKIM.Revokes(); revokes {
		what = "is replaced by one that revokes the key"
	}
	return fmt.Sprintf("; the record of %s %s %s after that", selector, what, duration.HumanDuration(kept))
}

// leavingKey says what becomes of a key that is not in the spec.
func leavingKey(md *v1alpha1.MailDomain, s *v1alpha1.DKIMStatus) string {
	if md.Spec.DeletionPolicy == v1alpha1.DeletionRetain {
		return "it is not in the spec: its records and Secret " + s.SecretName + " are left as they are (spec.deletionPolicy: Retain)"
	}
	if !s.RemoveAt.IsZero() {
		return "it is not in the spec: its records are removed " + statusview.Stamp(s.RemoveAt.Time) + ", and Secret " + s.SecretName + " stays"
	}
	_, keep := md.Spec.DKIM.DKIMTimes()
	return fmt.Sprintf("it leaves the spec: its records are removed %s after that, and Secret %s stays; have the signer stop using it", duration.HumanDuration(keep), s.SecretName)
}

// wantedKind is the kind of key that the spec asks for.
func wantedKind(k *v1alpha1.DKIMKeySpec) string {
	if k.Algorithm == v1alpha1.DKIMRSA {
		return fmt.Sprintf("%s %d", k.Algorithm, cmp.Or(k.Size, defaultKeySize))
	}
	return string(k.Algorithm)
}

// kindIn is the kind of a key by its record in the status; empty where that does not tell.
func kindIn(s *v1alpha1.DKIMStatus, selector string) string {
	for _, k := range s.Keys {
		if k.Selector != selector {
			continue
		}
		text, err := mailrecord.Unquote(k.Record)
		if err != nil {
			return ""
		}
		record, problems := mailrecord.ParseDKIM(text)
		switch {
		case problems.Fatal() || len(record.Public) == 0:
			return ""
		case record.Key == "rsa":
			return fmt.Sprintf("%s %d", v1alpha1.DKIMRSA, record.Bits())
		case record.Key == "ed25519":
			return string(v1alpha1.DKIMEd25519)
		}
	}
	return ""
}

package controllers

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dkimkey"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/mailplan"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// This file puts what is known of a key into the words of the rule. A TXT record is an association there, of a set of
// parameters for private use, and its data the digest of its text: the rule compares, and nothing else.

// dkimParameters are those of all records of keys (RFC 6698 section 7: 255 is for private use).
var dkimParameters = tlsa.Parameters{Usage: 255, Selector: 255, MatchingType: 255}

// dkimRecord is the record of a text.
func dkimRecord(text string) tlsa.Record {
	sum := sha256.Sum256([]byte(text))
	return tlsa.Record{Parameters: dkimParameters, Data: hex.EncodeToString(sum[:])}
}

// dkimTTL is the TTL of new records.
func dkimTTL(md *v1alpha1.MailDomain) time.Duration {
	if md.Spec.DKIM == nil || md.Spec.DKIM.TTL == 0 {
		return mailplan.DefaultTTL
	}
	return time.Duration(md.Spec.DKIM.TTL) * time.Second
}

// dkimSweep is what the servers say of the owner of a key, and the data of each record. The TTL is not compared: an RRset
// that stands keeps its own.
func dkimSweep(s zone.SetSweep, ttl time.Duration) (rollover.Sweep, map[tlsa.Record]string) {
	out, words := rollover.Sweep{Start: s.Start, End: s.End}, map[tlsa.Record]string{}
	for _, a := range s.Answers {
		answer := rollover.Answer{
			Name: a.Name, Address: a.Address, Reachable: a.Reachable, Signed: a.Signed, Alias: a.Alias, TTL: ttl, CacheTTL: a.CacheTTL,
			Synthesized: a.Synthesized, Message: a.Message, Ignored: a.Ignored, Primary: a.Primary, Former: a.Former,
		}
		for _, data := range a.Data {
			record := dkimRecord(textOf(data))
			words[record] = data
			answer.Records = append(answer.Records, record)
		}
		answer.Records = tlsa.Normalize(answer.Records)
		out.Answers = append(out.Answers, answer)
	}
	return out, words
}

// textOf is the text of a TXT record. One that cannot be read stands for itself.
func textOf(data string) string {
	text, err := mailrecord.Unquote(data)
	if err != nil {
		return data
	}
	return text
}

// dkimFacts gathers what the decision for a key rests on.
func (r *MailDomainReconciler) dkimFacts(run *domainRun, row *dkimRow) rollover.Facts {
	f := rollover.Facts{
		Now: run.now, EvenSince: run.evenSince, Host: row.name(), Policy: r.dkimPolicy(run, row), KeysComplete: row.conflict == "", DNSSEC: dnssecFacts(run.dkim.entry),
	}
	for _, k := range []struct {
		key   *dkimkey.Key
		stage rollover.KeyStage
	}{{row.held.Current, rollover.StageDeployed}, {row.held.Next, rollover.StageRequested}} {
		if k.key != nil {
			f.Keys = append(f.Keys, rollover.Key{
				ID: k.key.Selector, SPKI: k.key.Selector, Owner: dkimkey.Owner(k.key.Selector, run.md.Spec.Domain), Stage: k.stage,
				Records: []tlsa.Record{dkimRecord(k.key.Text())},
			})
		}
	}
	if row.previous != nil {
		f.States = dkimStates(row.previous, run.md.Spec.Domain)
	}
	lost := controllerutil.ContainsFinalizer(run.md, v1alpha1.Finalizer) && len(run.md.Status.MailServers) == 0 &&
		len(run.md.Status.Records) == 0 && len(run.md.Status.DKIM) == 0
	for _, owner := range row.owners(run.md.Spec.Domain, f.Keys) {
		f.Owners = append(f.Owners, row.ownerFacts(run, owner, f, lost))
	}
	return f
}

// dkimPolicy is the policy for a key. What of DNSSEC receivers of mail need is less than what senders with DANE do: an
// answer of a zone that is signed has to validate, and a zone that is not will do.
func (r *MailDomainReconciler) dkimPolicy(run *domainRun, row *dkimRow) rollover.Policy {
	md, z := run.md, run.dkim.zone
	_, keep := md.Spec.DKIM.DKIMTimes()
	interval := z.Spec.Propagation.Interval.Or(10 * time.Second)
	p := rollover.Policy{
		Strategy: rollover.Stage, Parameters: []tlsa.Parameters{dkimParameters}, TTL: dkimTTL(md), NamedKeys: true, ProbeDisabled: true,
		PublishSafety: md.Spec.Rollover.PublishSafety.Or(time.Hour), RetireSafety: keep, RemoveForeign: md.Spec.DKIM != nil && md.Spec.DKIM.Adopt,
		DNSSECRequired: md.Spec.DNSSEC != v1alpha1.DNSSECIgnored && dnssecFacts(run.dkim.entry).State != dnssec.Insecure,
		Suspended:      md.Spec.Suspend || run.dkim.refused != nil || row.conflict != "",
		Removing:       row.leaving(md), SweepFreshness: max(3*interval, 15*time.Second), UnknownHistory: r.settings.unknownHistory,
	}
	if md.DeletionTimestamp.IsZero() && run.now.Before(row.removeAt) {
		p.Named = "the key has left the spec, and mail that was signed with it may be under way"
	}
	if kept, revokes := md.Spec.DKIM.Revokes(); revokes && !row.leaving(md) {
		p.Revoked, p.KeepRevoked = []tlsa.Record{dkimRecord(dkimkey.Revoked())}, kept
	}
	heed(&p, z)
	return p
}

// dkimStates reads the key states back.
func dkimStates(s *v1alpha1.DKIMStatus, domain string) []rollover.KeyState {
	var out []rollover.KeyState
	for _, k := range s.Keys {
		out = append(out, rollover.KeyState{
			ID: k.Selector, SPKI: k.Selector, Owner: dkimkey.Owner(k.Selector, domain), Role: string(k.Role), Visibility: string(k.Visibility),
			Since: timeOf(k.Since), Deployed: k.Deployed, DeployableAt: timeOf(k.DeployableAt), RemovableAt: timeOf(k.RemovableAt),
			RevokedSince: timeOf(k.RevokedAt), Leaving: k.Leaving,
			Records: []tlsa.Record{dkimRecord(textOf(k.Record))},
		})
	}
	return out
}

// owners are the names at which records of a key of the spec stand, are to stand, or may still be cached.
func (row *dkimRow) owners(domain string, keys []rollover.Key) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.Owner)
	}
	if row.previous != nil {
		for _, k := range row.previous.Keys {
			out = append(out, dkimkey.Owner(k.Selector, domain))
		}
		for _, o := range row.previous.Own {
			out = append(out, dkimkey.Owner(o.Selector, domain))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ownerFacts is what is known of one owner. One that has no key any more is emptied.
func (row *dkimRow) ownerFacts(run *domainRun, name string, f rollover.Facts, lost bool) rollover.Owner {
	seen := row.view.owners[name]
	o := rollover.Owner{
		Name: name, StatusLost: lost, Sweeps: seen.sweeps, Last: seen.newest(), Sending: seen.publishing, HeldBack: run.now.Before(seen.retryAt), Refused: seen.refused(),
		Written: row.written(run.md.Spec.Domain, name, f.Keys, lost, seen.words),
	}
	if row.previous != nil {
		o.Versions = versionsIn(row.previous.Versions, name)
	}
	o.Known = len(o.Versions) > 0
	o.Removing = !slices.ContainsFunc(f.Keys, func(k rollover.Key) bool { return k.Owner == name }) &&
		!slices.ContainsFunc(f.States, func(s rollover.KeyState) bool { return s.Owner == name })
	return o
}

// written are the records of an owner that we have written, by what status says, and what stands there with the same
// public key: that is ours, and somebody has edited it. With the status lost the records of keys that are held are ours.
func (row *dkimRow) written(domain, owner string, keys []rollover.Key, lost bool, words map[tlsa.Record]string) []tlsa.Record {
	var out []tlsa.Record
	if row.previous != nil {
		for _, o := range row.previous.Own {
			if dkimkey.Owner(o.Selector, domain) != owner {
				continue
			}
			text := textOf(o.Record)
			out = append(out, dkimRecord(text))
			for record, data := range words {
				if dkimkey.SameKey(textOf(data), text) {
					out = append(out, record)
				}
			}
		}
	}
	for _, k := range keys {
		if lost && k.Owner == owner {
			out = append(out, k.Records...)
		}
	}
	return tlsa.Normalize(out)
}

// done says that nothing of an owner matters any more: no key has it, and no server shows a record of ours.
func (row *dkimRow) done(i int) bool {
	o, f := row.decision.Owners[i], row.facts.Owners[i]
	if !f.Removing && !row.facts.Policy.Removing || o.Write || f.Last == nil && len(o.Versions) > 0 {
		return false
	}
	return !slices.ContainsFunc(o.Versions, func(v rollover.Version) bool { return v.Open && containsAny(v.Records, f.Written) })
}

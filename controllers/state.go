package controllers

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// This file turns what the rule remembers into status, and status back into it.

func timeOf(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

// statusTime rounds up to the second, which is what status can hold: a wait may grow by that, and
// never shrink.
func statusTime(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	whole := t.Truncate(time.Second)
	if whole.Before(t) {
		whole = whole.Add(time.Second)
	}
	return &metav1.Time{Time: whole.UTC()}
}

func presentations(records []tlsa.Record) []string {
	var out []string
	for _, r := range tlsa.Normalize(records) {
		out = append(out, r.String())
	}
	return out
}

func versionsOf(s *v1alpha1.MailServerStatus, owner string) []rollover.Version {
	return versionsIn(s.Versions, owner)
}

// versionsIn reads the versions of an owner back.
func versionsIn(all []v1alpha1.VersionStatus, owner string) []rollover.Version {
	var out []rollover.Version
	for _, v := range all {
		if v.Owner != owner {
			continue
		}
		out = append(out, rollover.Version{
			Owner: v.Owner, Records: storedRecords(v.Records), Unknown: v.Unknown,
			TTL: time.Duration(v.TTL) * time.Second, FirstSeen: timeOf(v.FirstSeen), LastSeen: timeOf(v.LastSeen),
			Open: v.Open, Planned: v.Planned, AbsentSince: timeOf(v.AbsentSince), AbsentSweeps: int(v.AbsentSweeps),
		})
	}
	return out
}

// versionStatus keeps a version. The instant at which an open version was last seen is left out: it
// changes with each sweep and nothing rests on it.
func versionStatus(v rollover.Version) v1alpha1.VersionStatus {
	out := v1alpha1.VersionStatus{
		Owner: v.Owner, Records: presentations(v.Records), Unknown: v.Unknown,
		TTL: int64((v.TTL + time.Second - 1) / time.Second), FirstSeen: statusTime(v.FirstSeen), Open: v.Open, Planned: v.Planned,
		AbsentSince: statusTime(v.AbsentSince), AbsentSweeps: int32(v.AbsentSweeps), //nolint:gosec // at most 10
	}
	if !v.Open {
		out.LastSeen = statusTime(v.LastSeen)
	}
	return out
}

// statesOf reads the key states back. With strategy Stage a key is named by its certificate too,
// where records depend on that (see keyBuilder.chain).
func statesOf(s *v1alpha1.MailServerStatus, strategy v1alpha1.Strategy) []rollover.KeyState {
	var out []rollover.KeyState
	for _, k := range s.Keys {
		state := rollover.KeyState{
			ID: k.SPKISHA256, SPKI: k.SPKISHA256, Certificate: k.Certificate, Serial: k.SerialNumber,
			Role: string(k.Role), Visibility: string(k.Visibility), Since: timeOf(k.Since), Deployed: k.Deployed,
			DeployableAt: timeOf(k.DeployableAt), RemovableAt: timeOf(k.RemovableAt),
			GoneSince: timeOf(k.GoneSince), GoneRounds: int(k.GoneRounds), Leaving: k.Leaving, NotAfter: timeOf(k.NotAfter),
			Records: storedRecords(k.Records),
		}
		if strategy == v1alpha1.StrategyStage && dependsOnCertificate(parametersIn(state.Records)) && state.Serial != "" {
			state.ID += "/" + state.Serial
		}
		out = append(out, state)
	}
	return out
}

// parameterSets are those that keys get records of: those of the spec, and those that name an authority, have left it, and
// may have to stay for a while.
type parameterSets struct{ wanted, leaving []tlsa.Parameters }

// leavingAuthorities are the sets of authorities' records that keys of the host have, as remembered, and the spec has not.
func (h *hostRun) leavingAuthorities(wanted []tlsa.Parameters) []tlsa.Parameters {
	if h.previous == nil {
		return nil
	}
	var out []tlsa.Parameters
	for _, k := range h.previous.Keys {
		for _, p := range parametersIn(storedRecords(k.Records)) {
			if p.Usage == tlsa.UsageDANETA && !slices.Contains(wanted, p) && !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

func parametersIn(records []tlsa.Record) []tlsa.Parameters {
	var out []tlsa.Parameters
	for _, r := range records {
		out = append(out, r.Parameters)
	}
	return out
}

func keyStatus(k rollover.KeyState) v1alpha1.KeyStatus {
	out := v1alpha1.KeyStatus{
		SPKISHA256: k.SPKI, Certificate: k.Certificate, Role: v1alpha1.KeyRole(k.Role), Visibility: v1alpha1.Visibility(k.Visibility),
		Since: statusTime(k.Since), DeployableAt: statusTime(k.DeployableAt), RemovableAt: statusTime(k.RemovableAt),
		HeldUntil: statusTime(k.HeldUntil), Leaving: k.Leaving,
		Deployed: k.Deployed, SerialNumber: k.Serial, NotAfter: statusTime(k.NotAfter), Records: presentations(k.Records),
	}
	if k.Deployed {
		// That nobody presents a key which no server has is nothing to count.
		out.GoneSince, out.GoneRounds = statusTime(k.GoneSince), int32(k.GoneRounds) //nolint:gosec // at most 10
	}
	return out
}

func unsafeOf(s *v1alpha1.MailServerStatus) *rollover.Unsafe {
	if s.Unsafe == nil {
		return nil
	}
	return &rollover.Unsafe{
		Reason: rollover.UnsafeReason(s.Unsafe.Reason), Message: s.Unsafe.Message,
		Since: timeOf(s.Unsafe.Since), Until: timeOf(s.Unsafe.Until),
	}
}

func unsafeStatus(u *rollover.Unsafe) *v1alpha1.UnsafeStatus {
	if u == nil {
		return nil
	}
	return &v1alpha1.UnsafeStatus{Reason: string(u.Reason), Message: u.Message, Since: statusTime(u.Since), Until: statusTime(u.Until)}
}

package statusview

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// SigningKey is one of spec.dkim.keys, or one that has left the spec and still has records.
type SigningKey struct {
	Name string
	// Selector is the one in use, Next that of the key to come; empty where there is none.
	Selector, Next string
	// Phase is what a rotation is in, in the words of RolloverInProgress; outside of one, or where something is wrong, the
	// state of the key.
	Phase string
	// Waits is what it waits for, or what is wrong, and Until when that is over; zero where that is not known.
	Waits string
	Until time.Time
	// Trouble says that mail may not verify, or that somebody has to do something.
	Trouble bool
}

// SigningKeys are the keys that mail of a domain is signed with: those of the spec, then those that have left it.
func SigningKeys(md *v1alpha1.MailDomain) []SigningKey {
	var out []SigningKey
	named := map[string]bool{}
	if md.Spec.DKIM != nil {
		for _, k := range md.Spec.DKIM.Keys {
			named[k.Name] = true
			if s := md.Status.DKIMKey(k.Name); s != nil {
				out = append(out, signingKey(s))
				continue
			}
			out = append(out, SigningKey{Name: k.Name, Phase: string(v1alpha1.DKIMUnknown), Waits: "the operator has not looked at it yet"})
		}
	}
	for i := range md.Status.DKIM {
		if s := &md.Status.DKIM[i]; !named[s.Name] {
			out = append(out, signingKey(s))
		}
	}
	return out
}

func signingKey(s *v1alpha1.DKIMStatus) SigningKey {
	out := SigningKey{Name: s.Name, Selector: s.Selector, Phase: string(s.State), Waits: s.Message}
	next, old := keyInRole(s, v1alpha1.RoleNext), oldKey(s)
	if next != nil {
		out.Next, out.Until = next.Selector, instantOf(next.DeployableAt)
	}
	switch s.State {
	case v1alpha1.DKIMInUse:
	case v1alpha1.DKIMRemoving:
		out.Until = instantOf(s.RemoveAt)
		return out
	default:
		out.Trouble = s.State != v1alpha1.DKIMPreparing && s.State != v1alpha1.DKIMUnknown
		return out
	}
	switch {
	case next != nil && next.DeployableAt.IsZero():
		out.Phase = v1alpha1.ReasonPublishing
	case next != nil:
		out.Phase = v1alpha1.ReasonWaitingForCaches
	case old != nil && old.RevokedAt.IsZero():
		out.Phase, out.Until = v1alpha1.ReasonRetiring, instantOf(old.RemovableAt)
		out.Waits = cmp.Or(out.Waits, "the record of key "+old.Selector+" stays until no mail signed with it is under way")
	case old != nil:
		out.Phase, out.Until = v1alpha1.ReasonRetiring, instantOf(old.RemovableAt)
		out.Waits = cmp.Or(out.Waits, "the record that revokes key "+old.Selector+" is removed")
	case !s.NextRotation.IsZero():
		out.Waits, out.Until = cmp.Or(out.Waits, "the next key is made"), s.NextRotation.Time
	}
	return out
}

// oldKey is the former key whose record is the next to change; nil where there is none.
func oldKey(s *v1alpha1.DKIMStatus) *v1alpha1.DKIMKeyStatus {
	var out *v1alpha1.DKIMKeyStatus
	for i := range s.Keys {
		k := &s.Keys[i]
		if k.Role == v1alpha1.RolePrevious && (out == nil || k.RemovableAt.Before(out.RemovableAt)) {
			out = k
		}
	}
	return out
}

func keyInRole(s *v1alpha1.DKIMStatus, role v1alpha1.KeyRole) *v1alpha1.DKIMKeyStatus {
	if i := slices.IndexFunc(s.Keys, func(k v1alpha1.DKIMKeyStatus) bool { return k.Role == role }); i >= 0 {
		return &s.Keys[i]
	}
	return nil
}

// PublishedSelectors are those whose keys every receiver can verify by now: the keys in use, and others that no cache can
// lack.
func PublishedSelectors(md *v1alpha1.MailDomain) []string {
	var out []string
	for _, s := range md.Status.DKIM {
		if s.Selector != "" {
			out = append(out, s.Selector)
		}
		for _, k := range s.Keys {
			if k.RevokedAt.IsZero() && k.Visibility == v1alpha1.VisibilityOmnipresent && !slices.Contains(out, k.Selector) {
				out = append(out, k.Selector)
			}
		}
	}
	return out
}

func instantOf(at *metav1.Time) time.Time {
	if at.IsZero() {
		return time.Time{}
	}
	return at.Time
}

package statusview

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// TestSigningKeys: each key with its selectors, what it is in, what it waits for, and until when.
func TestSigningKeys(t *testing.T) {
	key := func(selector string, role v1alpha1.KeyRole, edit func(*v1alpha1.DKIMKeyStatus)) v1alpha1.DKIMKeyStatus {
		k := v1alpha1.DKIMKeyStatus{Selector: selector, Role: role, Visibility: v1alpha1.VisibilityOmnipresent}
		if edit != nil {
			edit(&k)
		}
		return k
	}
	current := key("c", v1alpha1.RoleCurrent, nil)
	deployable := func(at *metav1.Time) func(*v1alpha1.DKIMKeyStatus) {
		return func(k *v1alpha1.DKIMKeyStatus) { k.DeployableAt = at }
	}
	removable := func(at, revoked *metav1.Time) func(*v1alpha1.DKIMKeyStatus) {
		return func(k *v1alpha1.DKIMKeyStatus) { k.RemovableAt, k.RevokedAt = at, revoked }
	}
	for _, row := range []struct {
		reason string
		status v1alpha1.DKIMStatus
		want   SigningKey
		waits  string
	}{
		{"at rest it waits for the next one", v1alpha1.DKIMStatus{State: v1alpha1.DKIMInUse, Selector: "c", NextRotation: hours(9), Keys: []v1alpha1.DKIMKeyStatus{current}},
			SigningKey{Selector: "c", Phase: "InUse", Until: hours(9).Time}, "the next key is made"},
		{"without a time there is nothing to wait for", v1alpha1.DKIMStatus{State: v1alpha1.DKIMInUse, Selector: "c", Keys: []v1alpha1.DKIMKeyStatus{current}},
			SigningKey{Selector: "c", Phase: "InUse"}, ""},
		{"a server does not show the next one", v1alpha1.DKIMStatus{State: v1alpha1.DKIMInUse, Selector: "c", Message: "ns2 lags", Keys: []v1alpha1.DKIMKeyStatus{current, key("n", v1alpha1.RoleNext, nil)}},
			SigningKey{Selector: "c", Next: "n", Phase: "Publishing"}, "ns2 lags"},
		{"caches may lack the next one", v1alpha1.DKIMStatus{State: v1alpha1.DKIMInUse, Selector: "c", Message: "caches", Keys: []v1alpha1.DKIMKeyStatus{current, key("n", v1alpha1.RoleNext, deployable(hours(2)))}},
			SigningKey{Selector: "c", Next: "n", Phase: "WaitingForCaches", Until: hours(2).Time}, "caches"},
		{"an old one is kept", v1alpha1.DKIMStatus{State: v1alpha1.DKIMInUse, Selector: "c", Keys: []v1alpha1.DKIMKeyStatus{current, key("p", v1alpha1.RolePrevious, removable(hours(3), nil))}},
			SigningKey{Selector: "c", Phase: "Retiring", Until: hours(3).Time}, "the record of key p stays until"},
		{"an old one is revoked", v1alpha1.DKIMStatus{State: v1alpha1.DKIMInUse, Selector: "c", Keys: []v1alpha1.DKIMKeyStatus{
			current, key("p", v1alpha1.RolePrevious, removable(hours(7), hours(-1))), key("q", v1alpha1.RolePrevious, removable(hours(4), hours(-2)))}},
			SigningKey{Selector: "c", Phase: "Retiring", Until: hours(4).Time}, "revokes key q"},
		{"there is none yet", v1alpha1.DKIMStatus{State: v1alpha1.DKIMPreparing, Message: "caches", Keys: []v1alpha1.DKIMKeyStatus{key("n", v1alpha1.RoleNext, deployable(hours(1)))}},
			SigningKey{Next: "n", Phase: "Preparing", Until: hours(1).Time}, "caches"},
		{"somebody has to do something", v1alpha1.DKIMStatus{State: v1alpha1.DKIMConflict, Selector: "c", Message: "a record"},
			SigningKey{Selector: "c", Phase: "Conflict", Trouble: true}, "a record"},
		{"it leaves", v1alpha1.DKIMStatus{State: v1alpha1.DKIMRemoving, Message: "mail", RemoveAt: hours(5), Keys: []v1alpha1.DKIMKeyStatus{key("p", v1alpha1.RolePrevious, nil)}},
			SigningKey{Phase: "Removing", Until: hours(5).Time}, "mail"},
	} {
		row.status.Name, row.want.Name = "rsa", "rsa"
		md := &v1alpha1.MailDomain{}
		md.Status.DKIM = []v1alpha1.DKIMStatus{row.status}
		got := SigningKeys(md)
		if len(got) != 1 || !strings.HasPrefix(got[0].Waits, row.waits) && !strings.Contains(got[0].Waits, row.waits) || row.waits == "" && got[0].Waits != "" {
			t.Errorf("%s: %+v", row.reason, got)
			continue
		}
		row.want.Waits = got[0].Waits
		if got[0] != row.want {
			t.Errorf("%s: %+v, want %+v", row.reason, got[0], row.want)
		}
	}
}

// TestSigningKeysOfSpecAndStatus: those of the spec come first, and one that nobody has looked at is told of.
func TestSigningKeysOfSpecAndStatus(t *testing.T) {
	md := &v1alpha1.MailDomain{}
	if keys := SigningKeys(md); len(keys) > 0 {
		t.Errorf("without any: %+v", keys)
	}
	md.Spec.DKIM = &v1alpha1.DKIMSpec{Keys: []v1alpha1.DKIMKeySpec{{Name: "rsa"}, {Name: "ed"}}}
	md.Status.DKIM = []v1alpha1.DKIMStatus{{Name: "old", State: v1alpha1.DKIMRemoving}, {Name: "rsa", State: v1alpha1.DKIMInUse}}
	var got []string
	for _, k := range SigningKeys(md) {
		got = append(got, k.Name+" "+k.Phase)
	}
	if want := []string{"rsa InUse", "ed Unknown", "old Removing"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestPublishedSelectors: what receivers cannot verify by is not among them.
func TestPublishedSelectors(t *testing.T) {
	at := metav1.NewTime(time.Unix(0, 0))
	md := &v1alpha1.MailDomain{}
	md.Status.DKIM = []v1alpha1.DKIMStatus{{Name: "rsa", Selector: "in-use", Keys: []v1alpha1.DKIMKeyStatus{
		{Selector: "in-use", Role: v1alpha1.RoleCurrent, Visibility: v1alpha1.VisibilityRumoured}, {Selector: "known", Role: v1alpha1.RoleNext, Visibility: v1alpha1.VisibilityOmnipresent},
		{Selector: "coming", Role: v1alpha1.RoleNext, Visibility: v1alpha1.VisibilityRumoured}, {Selector: "old", Role: v1alpha1.RolePrevious, Visibility: v1alpha1.VisibilityOmnipresent},
		{Selector: "revoked", Role: v1alpha1.RolePrevious, Visibility: v1alpha1.VisibilityOmnipresent, RevokedAt: &at},
	}}, {Name: "ed"}}
	if got, want := PublishedSelectors(md), []string{"in-use", "known", "old"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

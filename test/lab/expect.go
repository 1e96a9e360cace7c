package lab

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// Condition returns what is missing for a condition to have a status, in words; empty when nothing is.
func Condition(md *v1alpha1.MailDomain, kind string, status metav1.ConditionStatus) string {
	c := meta.FindStatusCondition(md.Status.Conditions, kind)
	switch {
	case c == nil:
		return "no condition " + kind
	case c.Status != status:
		return fmt.Sprintf("condition %s is %s (%s: %s)", kind, c.Status, c.Reason, c.Message)
	}
	return ""
}

// Keys are the keys of a host with a role.
func Keys(md *v1alpha1.MailDomain, host string, role v1alpha1.KeyRole) []v1alpha1.KeyStatus {
	i := slices.IndexFunc(md.Status.MailServers, func(s v1alpha1.MailServerStatus) bool { return s.Hostname == host })
	if i < 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(md.Status.MailServers[i].Keys), func(k v1alpha1.KeyStatus) bool { return k.Role != role })
}

// CurrentKey is the one Current key of a host; empty when there is not exactly one.
func CurrentKey(md *v1alpha1.MailDomain, host string) string {
	keys := Keys(md, host, v1alpha1.RoleCurrent)
	if len(keys) != 1 {
		return ""
	}
	return keys[0].SPKISHA256
}

// Settled returns what is missing for a host to be at rest: one Current key, nothing Previous, and
// a Next key that every cache knows when a standby key is kept. RolloverInProgress lasts until no name server shows an
// old record.
func Settled(md *v1alpha1.MailDomain, host string, standby bool) string {
	if missing := Condition(md, v1alpha1.ConditionReady, metav1.ConditionTrue); missing != "" {
		return missing
	}
	if missing := Condition(md, v1alpha1.ConditionRolloverInProgress, metav1.ConditionFalse); missing != "" {
		return missing
	}
	if n := len(Keys(md, host, v1alpha1.RoleCurrent)); n != 1 {
		return fmt.Sprintf("%d Current keys", n)
	}
	if n := len(Keys(md, host, v1alpha1.RolePrevious)); n != 0 {
		return fmt.Sprintf("%d Previous keys", n)
	}
	next := Keys(md, host, v1alpha1.RoleNext)
	if standby && (len(next) != 1 || next[0].Visibility != v1alpha1.VisibilityOmnipresent) {
		return fmt.Sprintf("no standby key that every cache knows: %+v", next)
	}
	return ""
}

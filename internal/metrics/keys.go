package metrics

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

func keys(to *sink, h host) {
	to.add(float64(countOf(h.status, v1alpha1.RoleCurrent)), string(v1alpha1.RoleCurrent))
	to.addSome(countOf(h.status, v1alpha1.RoleNext), string(v1alpha1.RoleNext))
	to.addSome(countOf(h.status, v1alpha1.RolePrevious), string(v1alpha1.RolePrevious))
}

func countOf(status *v1alpha1.MailServerStatus, role v1alpha1.KeyRole) int {
	n := 0
	for i := range status.Keys {
		if status.Keys[i].Role == role {
			n++
		}
	}
	return n
}

func keysDeployable(to *sink, h host) {
	for i := range h.spec.Certificates {
		name := h.spec.Certificates[i].Name
		to.addTime(deployableOf(h.status, name), name)
	}
}

// deployableOf is when the last of the next keys of a Certificate may be handed out: beside the one that is to come there may be one that
// nothing holds any more.
func deployableOf(status *v1alpha1.MailServerStatus, certificate string) *metav1.Time {
	var last *metav1.Time
	for i := range status.Keys {
		k := &status.Keys[i]
		if k.Certificate == certificate && k.Role == v1alpha1.RoleNext && !k.DeployableAt.IsZero() && (last == nil || last.Before(k.DeployableAt)) {
			last = k.DeployableAt
		}
	}
	return last
}

func certificatesExpire(to *sink, h host) {
	for i := range h.spec.Certificates {
		name := h.spec.Certificates[i].Name
		to.addTime(expiryOf(h.status, name), name)
	}
}

func standbyMissing(to *sink, h host) {
	spec := &h.domain.Spec
	if spec.Suspend || !spec.Rollover.KeepsStandbyKey() || len(h.spec.Certificates) == 0 {
		return
	}
	missing := 0
	for i := range h.spec.Certificates {
		if keyOf(h.status, h.spec.Certificates[i].Name, v1alpha1.RoleNext) == nil {
			missing++
		}
	}
	to.add(float64(missing))
}

// holdEnd is until when reports keep records of the host.
func holdEnd(to *sink, h host) {
	var last *metav1.Time
	for i := range h.status.Keys {
		if held := h.status.Keys[i].HeldUntil; held != nil && (last == nil || last.Before(held)) {
			last = held
		}
	}
	to.addTime(last)
}

func keyOf(status *v1alpha1.MailServerStatus, certificate string, role v1alpha1.KeyRole) *v1alpha1.KeyStatus {
	for i := range status.Keys {
		if k := &status.Keys[i]; k.Certificate == certificate && k.Role == role {
			return k
		}
	}
	return nil
}

// expiryOf is when the first of the certificates of a Certificate runs out that may be served.
func expiryOf(status *v1alpha1.MailServerStatus, certificate string) *metav1.Time {
	var first *metav1.Time
	for i := range status.Keys {
		k := &status.Keys[i]
		if k.Certificate != certificate || k.Role != v1alpha1.RoleCurrent || k.NotAfter.IsZero() {
			continue
		}
		if first == nil || k.NotAfter.Before(first) {
			first = k.NotAfter
		}
	}
	return first
}

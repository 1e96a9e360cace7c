package metrics

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

var roles = []v1alpha1.KeyRole{v1alpha1.RoleNext, v1alpha1.RoleCurrent, v1alpha1.RolePrevious}

// keysOf says what is known of the keys of a host, and whether its certificates last.
func keysOf(md *v1alpha1.MailDomain, server *v1alpha1.MailServer, status *v1alpha1.MailServerStatus, labels []string) []sample {
	count := map[v1alpha1.KeyRole]int{}
	for _, k := range status.Keys {
		count[k.Role]++
	}
	var out []sample
	for _, role := range roles {
		out = append(out, sample{keys, float64(count[role]), with(labels, string(role))})
	}
	missing := 0
	for _, c := range server.Certificates {
		next := keyOf(status, c.Name, v1alpha1.RoleNext)
		if next == nil {
			missing++
		} else {
			out = appendTime(out, keyDeployable, next.DeployableAt, with(labels, c.Name)...)
		}
		out = appendTime(out, certificateExpires, expiryOf(status, c.Name), with(labels, c.Name)...)
	}
	if !md.Spec.Suspend && md.Spec.Rollover.KeepsStandbyKey() && len(server.Certificates) > 0 {
		out = append(out, sample{standbyMissing, float64(missing), labels})
	}
	return appendTime(out, holdEnd, heldUntil(status), labels...)
}

// heldUntil is until when reports keep records of the host.
func heldUntil(status *v1alpha1.MailServerStatus) *metav1.Time {
	var last *metav1.Time
	for _, k := range status.Keys {
		if k.HeldUntil != nil && (last == nil || last.Before(k.HeldUntil)) {
			last = k.HeldUntil
		}
	}
	return last
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
	for _, k := range status.Keys {
		if k.Certificate != certificate || k.Role != v1alpha1.RoleCurrent || k.NotAfter.IsZero() {
			continue
		}
		if first == nil || k.NotAfter.Before(first) {
			first = k.NotAfter
		}
	}
	return first
}

package dashboard

import (
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/statusview"
)

// SigningKey is a key that mail of a domain is signed with.
type SigningKey struct {
	statusview.SigningKey
	// Phase in words, and At until when that lasts.
	Phase string
	At    Instant
}

// signingKeysOf are the keys that mail of a domain is signed with.
func signingKeysOf(md *v1alpha1.MailDomain, now time.Time) []SigningKey {
	var out []SigningKey
	for _, k := range statusview.SigningKeys(md) {
		out = append(out, SigningKey{SigningKey: k, Phase: inWords(k.Phase), At: instant(k.Until, now)})
	}
	return out
}

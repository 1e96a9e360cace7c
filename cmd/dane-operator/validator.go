package main

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dane-operator/dane-operator/controllers"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/resolve"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// maxValidators is how many sets of trust anchors have validators at once.
const maxValidators = 256

// validators makes one validator for each set of trust anchors: all who have the same share what is known of the
// zones above theirs. Nobody else keeps one, so that this bounds them all.
type validators struct {
	options *options
	// ceiling is shared with the zones; nil for none. So are the networks allowed.
	ceiling *zone.Ceiling
	allowed []netip.Prefix
	// trust are the operator's own anchors, which most zones go by.
	trust *controllers.Trust

	mu   sync.Mutex
	made map[string]*validator
	// uses counts up, and orders them.
	uses uint64
}

type validator struct {
	*dnssec.Validator
	// used is when it was given last.
	used uint64
}

// of gives the validator of a set of anchors. Those who hold it longer than it is kept may use it on.
func (v *validators) of(anchors []dnssec.Anchor) zone.Resolver {
	key := setOf(anchors)
	v.mu.Lock()
	defer v.mu.Unlock()
	made, ok := v.made[key]
	if !ok {
		v.room()
		made = &validator{Validator: resolve.Validator(resolve.Options{
			Servers: v.options.resolvers, Anchors: anchors, Now: time.Now, Turn: v.ceiling.Wait, Allowed: v.allowed,
		})}
		v.made[key] = made
	}
	v.uses++
	made.used = v.uses
	return made.Validator
}

// room has the set go that was used least recently, where there are too many, but never the operator's own: whoever
// may create DNSZones can make any number of sets, and most zones would lose what is known. The caller holds the lock.
func (v *validators) room() {
	if v.made == nil {
		v.made = map[string]*validator{}
	}
	if len(v.made) < maxValidators {
		return
	}
	operators, _ := v.trust.Anchors()
	own, oldest := setOf(operators), ""
	for key, made := range v.made {
		if key != own && (oldest == "" || made.used < v.made[oldest].used) {
			oldest = key
		}
	}
	delete(v.made, oldest)
}

// setOf is a text that is the same for the same anchors, in whatever order.
func setOf(anchors []dnssec.Anchor) string {
	var words []string
	for _, ds := range anchors {
		words = append(words, ds.Hdr.Name+" "+dnssec.PresentDS(ds))
	}
	slices.Sort(words)
	return strings.Join(slices.Compact(words), "\n")
}

package delegation_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/internal/dnssec/delegation"
	"github.com/dane-operator/dane-operator/test/servers"
)

// TestWrongDSIsNoticed: somebody puts the DS record of another key into the parent. The resolver fails, so
// that the watch of the other tests would have noticed; and nothing is changed by way of the wrong record,
// since no key that it stands for vouches for a change.
func TestWrongDSIsNoticed(t *testing.T) {
	r := newRig(t, servers.BIND, servers.BIND, 3600)
	r.begin()
	counted, stop := r.watch()
	defer stop()
	r.parent.Admin("delete child.parent.test. DS", "add child.parent.test. 2 DS 1 13 2 "+strings.Repeat("AB", 32))
	servers.Eventually(t, "the resolver fails", func() error {
		if _, _, bad := counted.counts(); bad == 0 {
			return errors.New("every answer was good")
		}
		return nil
	})
	stop()
	published := len(r.history)
	servers.Eventually(t, "the parent's secondary has it", func() error {
		if d := r.step(); d.Reason == delegation.ParentDiffers {
			return errors.New(d.Message)
		}
		return nil
	})
	if r.last.Reason != delegation.NotValidated || len(r.history) != published {
		t.Errorf("%s: %s; DS history %v", r.last.Reason, r.last.Message, r.history)
	}
	if !strings.Contains(counted.worst, "SERVFAIL") {
		t.Errorf("the first bad answer was %s", counted.worst)
	}
}

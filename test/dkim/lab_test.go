package dkim

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/operator"
	"github.com/dane-operator/dane-operator/test/servers"
	"github.com/dane-operator/dane-operator/test/wire"
)

// newLab starts an API server, and the operator.
func newLab(t *testing.T) *lab.Lab {
	t.Helper()
	api := kube.ForTest(t, kube.Options{Dir: t.TempDir()})
	l := &lab.Lab{Cluster: api, Namespace: "mail"}
	must(t, api.EnsureNamespace(t.Context(), l.Namespace))
	process, err := operator.Start(t.Context(), api, operator.Options{Args: lab.OperatorArgs()})
	must(t, err)
	l.Operator = process
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(l.Operator.Tail(40))
		}
	})
	return l
}

// death is what the operator can be killed at: each kind of step that a rotation has.
type death struct{ what, in string }

var deaths = []death{
	{"the next key is made, or becomes the one in use", "secrets/dkim-rsa-dane-dkim"}, {"the next key is made, or becomes the one in use", "secrets/dkim-ed-dane-dkim"},
	{"a record is published, or removed", "UPDATE"}, {"the signer gets a key, or loses one", "secrets/dkim-rsa"}, {"the signer gets a key, or loses one", "secrets/dkim-ed"},
	{"what was decided is stored", "maildomains/example/status"},
}

// is says whether an effect is of this kind.
func (d death) is(effect string) bool {
	_, object, _ := strings.Cut(effect, " ")
	return effect == d.in || object == d.in
}

// killable has every effect of the operator pass through the test: its updates, and its writes to the API server.
func (s *site) killable() {
	s.Helper()
	must(s.T, s.lab.Operator.Stop())
	s.effects = wire.NewEffects(func() error { return s.lab.Operator.Kill() })
	at := netip.AddrPortFrom(s.primary.Addr.Addr(), servers.FreePort(s.T, s.primary.Addr.Addr().String()))
	updates, err := wire.StartDNS(s.primary.Addr.String(), at)
	must(s.T, err)
	s.Cleanup(updates.Stop)
	updates.Effects, s.updates = s.effects, updates.Addr
	user, err := operator.User(s.lab.Cluster)
	must(s.T, err)
	writes, err := wire.StartAPI(user.Config, filepath.Join(s.TempDir(), "kubeconfig"), s.effects)
	must(s.T, err)
	s.Cleanup(writes.Stop)
	s.lab.Operator, err = operator.Beside(s.lab.Cluster, "killed", writes.Kubeconfig, operator.Options{Args: lab.OperatorArgs()})
	must(s.T, err)
	s.Cleanup(func() { _ = s.lab.Operator.Kill() })
}

// timesEach is how often it is killed at each kind of step, in turn before and after it; between two deaths there are
// some effects, or it would get nowhere.
const timesEach, apart = 4, 5

// plan says at which effects it is killed.
func plan() func(effect string) wire.Moment {
	times, since := map[death]int{}, 0
	return func(effect string) wire.Moment {
		since++
		i := slices.IndexFunc(deaths, func(d death) bool { return d.is(effect) })
		if i < 0 || since < apart || times[deaths[i]] == timesEach {
			return wire.Never
		}
		since = 0
		times[deaths[i]]++
		return []wire.Moment{wire.Before, wire.After}[times[deaths[i]]%2]
	}
}

// revive starts the operator again where it was killed.
func (s *site) revive() {
	s.Helper()
	select {
	case k := <-s.effects.Deaths:
		s.killed = append(s.killed, k)
		must(s.T, s.lab.Operator.Start())
	default:
	}
}

// died wants the operator to have been killed at each kind of step, before it and after it.
func (s *site) died() {
	s.Helper()
	for _, d := range deaths {
		n := map[wire.Moment]int{}
		for _, k := range s.killed {
			if d.is(k.Effect) {
				n[k.Moment]++
			}
		}
		if n[wire.Before] == 0 || n[wire.After] == 0 {
			s.Errorf("it was killed %v times where %s (%s); its effects were %v", n, d.what, d.in, s.effects.Names())
		}
	}
}

// throughTest has the updates of a zone pass through the test.
func (s *site) throughTest(z *v1alpha1.DNSZone) { z.Spec.Update.Nameserver = s.updates.String() }

package e2e

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/operator"
	"github.com/dane-operator/dane-operator/test/servers"
	"github.com/dane-operator/dane-operator/test/wire"
)

// watched is a site with an operator of its own, all of whose effects pass through the test: its updates, and
// its writes to the API server.
type watched struct {
	*site
	way     strategy
	effects *wire.Effects
	dns     *wire.DNS
	api     *wire.API
	process *kube.Process
	// want is the picture of a rollover without a crash.
	want string
}

// strategy is how the keys of a watched site are rolled.
type strategy struct {
	name string
	// standby says that a standby key is kept.
	standby bool
	// serving is the Secret that Postfix mounts.
	serving string
	edit    func(*v1alpha1.MailDomain)
	// unsafe says that senders may fail, so that they are not asked.
	unsafe bool
	// seldom says that it is left out in CI.
	seldom bool
}

var strategies = []strategy{
	{name: "Gate with a standby key", standby: true, serving: "mx1-tls"},
	{name: "Gate without a standby key", serving: "mx1-tls", edit: withoutStandby, seldom: true},
	{name: "Stage", serving: "mx1-live", edit: func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.Strategy = v1alpha1.StrategyStage
		md.Spec.MailServers[0].Certificates[0].ServingSecretName = "mx1-live"
	}},
	{name: "Follow", serving: "mx1-tls", unsafe: true, edit: func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.Strategy = v1alpha1.StrategyFollow
		withoutStandby(md)
	}},
}

// withoutSharedOperator stops the operator that all tests share for the length of a test.
func withoutSharedOperator(t *testing.T) {
	t.Helper()
	if err := shared.Operator.Stop(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shared.Operator.Start(); err != nil {
			t.Error(err)
		}
	})
}

// newWatched starts a site whose operator watches its namespace alone.
func newWatched(t *testing.T, way strategy) *watched {
	t.Helper()
	w := &watched{way: way}
	t.Cleanup(w.stop) // after all that a site does at its end
	w.site = newSite(t, servers.BIND, way.serving)
	w.effects = wire.NewEffects(func() error { return w.process.Kill() })
	at := netip.AddrPortFrom(w.primary.Addr.Addr(), servers.FreePort(t, w.primary.Addr.Addr().String()))
	var err error
	w.dns, err = wire.StartDNS(w.primary.Addr.String(), at)
	w.must(err)
	w.dns.Effects = w.effects
	user, err := operator.User(w.lab.Cluster)
	w.must(err)
	w.api, err = wire.StartAPI(user.Config, filepath.Join(t.TempDir(), "kubeconfig"), w.effects)
	w.must(err)
	w.process, err = w.beside(w.lab.Namespace, w.api)
	w.must(err)
	w.lab.Operator = w.process
	return w
}

// beside starts an operator for the site's namespace that comes through a proxy.
func (w *watched) beside(name string, through *wire.API) (*kube.Process, error) {
	args := append([]string{"--namespace", w.lab.Namespace}, lab.OperatorArgs()...)
	return operator.Beside(w.lab.Cluster, name, through.Kubeconfig, operator.Options{Args: args})
}

// another starts an operator that knows nothing of the first, and to which the clock of the API server seems so much behind, and waits
// until it has told of that.
func (w *watched) another(name string, behind time.Duration, tells string) (*kube.Process, *wire.API, *wire.Effects) {
	w.Helper()
	user, err := operator.User(w.lab.Cluster)
	w.must(err)
	effects := wire.NewEffects(nil)
	through, err := wire.StartAPI(user.Config, filepath.Join(w.TempDir(), name), effects)
	w.must(err)
	w.Cleanup(through.Stop)
	through.SetBehind(behind)
	process, err := w.beside(w.lab.Namespace+"-"+name, through)
	w.must(err)
	w.Cleanup(func() { _ = process.Kill() }) // it may have ended by itself, which is told elsewhere
	w.must(w.within(patience, func() error { return unless(through.Reads() > 0, "operator "+name+" reads nothing") }))
	w.must(w.within(patience, func() error {
		return unless(strings.Contains(process.Tail(1000), tells), "operator "+name+" does not tell that its clock is "+tells)
	}))
	return process, through, effects
}

func (w *watched) stop() {
	if w.process != nil {
		if w.Failed() {
			w.Logf("the log of its operator ends with:\n%s", w.process.Tail(30))
			w.Logf("its effects were: %s", strings.Join(w.effects.Names(), ", "))
		}
		_ = w.process.Kill() // it may have ended by itself, which the test has told then
	}
	if w.api != nil {
		w.api.Stop()
	}
	if w.dns != nil {
		w.dns.Stop()
	}
}

// begin makes all objects, and returns when the host is at rest, whatever happens to the operator meanwhile.
func (w *watched) begin(plan wire.Plan) {
	w.Helper()
	w.certificate("selfsigned", nil)
	w.effects.Make(plan)
	w.createZone(func(z *v1alpha1.DNSZone) { z.Spec.Update.Nameserver = w.dns.Addr.String() })
	w.domain(w.way.edit)
	w.drive("")
	w.effects.Make(nil)
	w.revived()
	if !w.way.unsafe {
		w.judges()
	}
}

// renewal renews, and returns how many effects there were by the time that the host is at rest with another
// key.
func (w *watched) renewal(plan wire.Plan) int {
	w.Helper()
	w.effects.Make(plan)
	before := w.startRenewal()
	w.drive(before)
	n := w.effects.Count()
	w.effects.Make(nil)
	w.revived()
	w.settleBeyond(before, w.way.standby)
	return n
}

// drive starts the operator again whenever it was ended, until the host is at rest with another key than
// before.
func (w *watched) drive(before string) {
	w.Helper()
	missing := ""
	for deadline := time.Now().Add(2 * patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if w.revived() {
			continue
		}
		md, err := w.lab.Domain(w.Context(), w.lab.Namespace)
		w.must(err)
		switch missing = lab.Settled(md, mx, w.way.standby); {
		case missing != "":
		case lab.CurrentKey(md, mx) == before:
			missing = "the old key is still in use; " + conditions(md)
		case w.postfix.Served() != lab.CurrentKey(md, mx):
			missing = "Postfix serves another key"
		default:
			return
		}
	}
	w.Fatalf("the host is not at rest: %s", missing)
}

// revived starts the operator again if it was ended, and says so.
func (w *watched) revived() bool {
	w.Helper()
	select {
	case k := <-w.effects.Deaths:
		w.Logf("killed %s effect %d: %s", k.Moment, k.N, k.Effect)
		w.must(w.process.Start())
		return true
	default:
		return false
	}
}

// endsAsWithout wants the rollover to have left what one without a crash leaves.
func (w *watched) endsAsWithout() {
	w.Helper()
	err := w.within(patience, func() error {
		have, err := w.picture()
		if err == nil && have != w.want {
			err = errors.New(differences(w.want, have))
		}
		return err
	})
	if err != nil {
		w.Fatalf("it ended otherwise than without a crash:\n%v", err)
	}
}

// within asks until something holds, and returns what is wrong when that takes too long.
func (w *watched) within(limit time.Duration, holds func() error) error {
	var err error
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(tick) {
		if err = holds(); err == nil {
			return nil
		}
	}
	return err
}

// resyncs is how often an operator at rest is made to look at everything again.
const resyncs = 10

// rests wants no update and no write over ten resyncs: nine times the object changes in what says nothing, and
// at last the operator is started again. It then looks at the zone anew, whose serial is another one by now.
// Before that, status drops what is past, which it does at a look after the caches have forgotten.
func (w *watched) rests() {
	w.Helper()
	w.must(w.within(patience, func() error {
		w.resync(0)
		md, err := w.lab.Domain(w.Context(), w.lab.Namespace)
		w.must(err)
		before := md.Status.DeepCopy()
		withoutPast(&md.Status)
		return unless(equality.Semantic.DeepEqual(*before, md.Status), "status tells of what is past")
	}))
	w.must(w.within(patience, w.calm))
	w.effects.Make(nil)
	for i := 1; i < resyncs; i++ {
		w.resync(i)
	}
	w.hadNone("")
	w.effects.Make(nil)
	reads := w.api.Reads()
	w.must(w.process.Restart())
	w.must(w.within(patience, func() error {
		return unless(w.api.Reads() > reads, "the operator has read nothing since it was started again")
	}))
	time.Sleep(2 * time.Second)
	w.hadNone("PUT dnszones/zone/status")
}

// resync changes the object in what says nothing, and leaves time for a look at it.
func (w *watched) resync(i int) {
	w.Helper()
	w.editDomain(func(md *v1alpha1.MailDomain) {
		md.Annotations = map[string]string{"example.test/resync": fmt.Sprint(w.from, "-", i)}
	})
	time.Sleep(200 * time.Millisecond)
}

// hadNone wants no effects since the last plan was made, but for one that may be.
func (w *watched) hadNone(but string) {
	w.Helper()
	names := w.effects.Names()
	for _, name := range names[len(names)-w.effects.Count():] {
		if name != but {
			w.Errorf("at rest there was an effect: %s", name)
		}
	}
}

// calm returns nil when there was no effect for a while.
func (w *watched) calm() error {
	const while = 3 * time.Second
	w.effects.Make(nil)
	time.Sleep(while)
	if n := w.effects.Count(); n != 0 {
		return fmt.Errorf("%d effects in %s", n, while)
	}
	return nil
}

// remember takes the picture that others are compared with.
func (w *watched) remember() {
	w.Helper()
	w.must(w.within(patience, w.calm))
	w.must(w.within(patience, func() (err error) {
		w.want, err = w.picture()
		return err
	}))
}

// conclude has the senders' say, unless the strategy is known to be unsafe.
func (w *watched) conclude() {
	w.Helper()
	if !w.way.unsafe {
		w.verdict()
	}
}

// Package rights runs the operator with exactly the rights that config/ gives it, through all that it does, and
// reads in the API server's audit log what it asked for.
package rights

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/mail"
	"github.com/dane-operator/dane-operator/test/ns"
	"github.com/dane-operator/dane-operator/test/operator"
)

const (
	namespace = "mail"
	patience  = 2 * time.Minute
	// The hosts: a gated one with a standby key, one with strategy Stage, and one behind a Service.
	gated, staged, behind = "gated.example.test", "staged.example.test", "behind.example.test"
)

// rig is an installation with a zone, its parent, and a mail server for each host.
type rig struct {
	*testing.T
	lab *lab.Lab
	// ports of the mail servers by host.
	ports map[string]int32
}

// TestRights goes through all that the operator does with the cluster, and fails when it was refused anything,
// when it has a right that it does not need, and when it read a Secret that no object names.
// TestChartInstallsWhatConfigInstalls says that the chart gives the same rights.
func TestRights(t *testing.T) {
	r := start(t, operator.Options{})
	r.zones()
	r.eachStrategy()
	r.compromise("gated", gated)
	r.pair()
	r.delegationTried()
	r.deleted("gated")

	asked := r.asked()
	refused, unused := judge(rendered(t), asked)
	if len(refused) > 0 {
		t.Errorf("the operator lacks rights:\n%s", strings.Join(refused, "\n"))
	}
	if len(unused) > 0 {
		t.Errorf("nothing here needs these rights: take them away (controllers/doc.go, config/rbac), or do here what needs them:\n%s", strings.Join(unused, "\n"))
	}
	r.readSecrets(asked)
}

// TestRightsInOneNamespace starts the operator with the rights of config/namespaced, which is not told of any other
// namespace: it does its work, and is refused nothing. TestNamespacedRightsEndAtTheNamespace says where they end.
func TestRightsInOneNamespace(t *testing.T) {
	r := start(t, operator.Options{Namespaced: true})
	r.zones()
	r.eachStrategy()
	r.compromise("gated", gated)
	refused, _ := judge(nil, r.asked())
	if len(refused) > 0 {
		t.Errorf("the operator lacks rights:\n%s", strings.Join(refused, "\n"))
	}
}

// TestRightsToReadSecrets starts the operator with the rights that `rbac.secrets: Read` of the chart leaves. Strategy Follow,
// and Gate without standby key, need no others. A standby key cannot be kept: the conditions say so, and the host is
// published and looked at all the same.
func TestRightsToReadSecrets(t *testing.T) {
	r := start(t, operator.Options{ReadSecrets: true})
	r.zones()
	r.secretsOf("gated", "behind")
	r.create("behind", behind, func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.Strategy = v1alpha1.StrategyFollow
		md.Spec.MailServers[0].Probe.ServiceRef = &v1alpha1.ServiceReference{Name: "postfix"}
	})
	r.settled("behind", behind, false)
	refused, _ := judge(nil, r.asked())
	if len(refused) > 0 {
		t.Errorf("with strategy Follow the operator asks for what it may not do:\n%s", strings.Join(refused, "\n"))
	}

	r.create("gated", gated, nil)
	_, err := r.lab.WaitDomain(t.Context(), "gated", patience, func(md *v1alpha1.MailDomain) string {
		c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionStalled)
		if c == nil || c.Reason != v1alpha1.ReasonWriteRefused || !strings.Contains(c.Message, "Secret mail/gated-dane-standby") {
			return fmt.Sprintf("the condition to tell of the standby key (it is %+v)", c)
		}
		for _, kind := range []string{v1alpha1.ConditionRecordsPublished, v1alpha1.ConditionServersVerified} {
			if !meta.IsStatusConditionTrue(md.Status.Conditions, kind) {
				return kind + " while a write is refused"
			}
		}
		return ""
	})
	r.must(err)
	r.edit("gated", func(md *v1alpha1.MailDomain) { md.Spec.Rollover.StandbyKey = v1alpha1.StandbyDisabled })
	if md := r.settled("gated", gated, false); meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionStalled) != nil {
		t.Error("without a standby key nothing is refused, and the conditions say that it is")
	}
	if refused, _ := judge(nil, r.asked()); len(refused) != 1 {
		t.Errorf("of all that the operator asks for, only the Secret of the standby key is refused: %v", refused)
	}
}

// eachStrategy has the operator bring a host of each strategy to rest.
func (r *rig) eachStrategy() {
	r.Helper()
	r.secretsOf("gated", "staged", "behind")
	r.create("gated", gated, nil)
	r.create("staged", staged, func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.Strategy = v1alpha1.StrategyStage
		md.Spec.MailServers[0].Certificates[0].ServingSecretName = "live"
	})
	r.create("behind", behind, func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.Strategy = v1alpha1.StrategyFollow
		md.Spec.MailServers[0].Probe.ServiceRef = &v1alpha1.ServiceReference{Name: "postfix"}
	})
	r.settled("gated", gated, true)
	r.settled("staged", staged, false)
	r.settled("behind", behind, false)
}

// fewest is how many requests of the operator have to be written down: with fewer the judgement would be one of nothing. An
// idle one renews its lease, and comes to as many in the end.
const fewest = 50

// asked are the requests of the operator until now.
func (r *rig) asked() []kube.Request {
	r.Helper()
	var own []kube.Request
	for range 120 {
		all, err := r.lab.Audited()
		r.must(err)
		own = slices.DeleteFunc(all, func(q kube.Request) bool { return q.User.Name != operator.Name })
		if len(own) >= fewest {
			return own
		}
		time.Sleep(500 * time.Millisecond)
	}
	r.Fatalf("only %d requests were written down", len(own))
	return nil
}

// readSecrets checks which Secrets were read: those that the objects name, by name.
func (r *rig) readSecrets(asked []kube.Request) {
	r.Helper()
	named := []string{
		"zone-tsig", "parent-tsig", "gated-tls", "gated-dane-standby", "staged-tls", "live", "behind-tls",
		"pair-a-dane-standby", "pair-b-dane-standby",
	}
	read := map[string]bool{}
	for _, q := range asked {
		if q.Of == nil || q.Of.Resource != "secrets" || q.Verb != "get" {
			continue
		}
		next := strings.HasPrefix(q.Of.Name, "gated-") // the Secret of cert-manager's next key has a made-up name
		if q.Of.Namespace != namespace || !slices.Contains(named, q.Of.Name) && !next {
			r.Errorf("Secret %s/%s was read: no object names it", q.Of.Namespace, q.Of.Name)
		}
		read[q.Of.Name] = true
	}
	if !read["zone-tsig"] || !read["live"] {
		r.Errorf("only the Secrets %v were read: does the test still see that?", read)
	}
}

// start starts the cluster and the operator, and gives the operator's events time to be written at the end.
func start(t *testing.T, o operator.Options) *rig {
	t.Helper()
	// As with API servers that send no list by way of a watch.
	o.Env = []string{"KUBE_FEATURE_WatchListClient=false"}
	l, err := lab.Start(context.Background(), lab.Options{
		Namespace: namespace, Installed: true, Progress: func(line string) { t.Log(line) }, Operator: o,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(l.Operator.Tail(40))
		}
		_ = l.Stop()
	})
	return &rig{T: t, lab: l, ports: map[string]int32{}}
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// zones makes the zone of the hosts and its parent, which has a DS record too many.
func (r *rig) zones() {
	r.Helper()
	child, parent := r.zone("example.test"), r.zone("test")
	for _, host := range []string{gated, staged, behind} {
		r.must(child.zone.Add(host + ". 60 IN A 127.0.0.1"))
	}
	r.must(child.zone.Add("example.test. 60 IN CDS " + child.zone.DS()))
	r.must(parent.zone.Add("example.test. 60 IN NS ns1.example.test."))
	r.must(parent.zone.Add("example.test. 60 IN DS " + child.zone.DS()))
	r.must(parent.zone.Add("example.test. 60 IN DS 1 13 2 " + strings.Repeat("00", 32)))
	_, err := r.lab.CreateZone(r.Context(), "parent", parent.reach(), lab.Fast)
	r.must(err)
	_, err = r.lab.CreateZone(r.Context(), "zone", child.reach(), lab.Fast, func(z *v1alpha1.DNSZone) {
		z.Spec.DNSSEC.Delegation = &v1alpha1.DelegationSpec{ParentZoneRef: &v1alpha1.ZoneReference{Name: "parent"}}
	})
	r.must(err)
}

// served is a zone and its primary.
type served struct {
	zone *ns.Zone
	addr string
}

func (r *rig) zone(name string) served {
	r.Helper()
	z, err := ns.NewZone(name, "ns1."+name)
	r.must(err)
	primary, err := z.StartPrimary("127.0.0.1:0")
	r.must(err)
	r.Cleanup(primary.Stop)
	return served{z, primary.Addr}
}

func (s served) reach() lab.Zone {
	return lab.Zone{
		Name: strings.TrimSuffix(s.zone.Name, "."), Primary: s.addr, Servers: []string{s.addr},
		TSIGName: s.zone.TSIGName, TSIGSecret: s.zone.TSIGSecret, DS: s.zone.DS(),
	}
}

// secretsOf makes a Certificate and a mail server for each host.
func (r *rig) secretsOf(names ...string) {
	r.Helper()
	r.must(r.lab.Client.Create(r.Context(), kube.SelfSignedIssuer(namespace, "selfsigned")))
	for _, name := range names {
		host := name + ".example.test"
		crt := kube.Certificate(namespace, name, "selfsigned", host)
		crt.Spec.SecretName = name + "-tls"
		r.must(r.lab.Client.Create(r.Context(), crt))
		secret, addr := crt.Spec.SecretName, "127.0.0.1"
		switch host {
		case staged:
			secret = "live"
		case behind:
			addr = ownAddress(r.T)
		}
		server, err := mail.Start(addr+":0", func() ([]byte, []byte) { return r.lab.TLSSecret(context.Background(), secret) }, 200*time.Millisecond)
		r.must(err)
		r.Cleanup(server.Stop)
		_, r.ports[host], err = lab.SplitAddr(server.Addr)
		r.must(err)
		if host == behind {
			r.must(r.lab.PutService(r.Context(), namespace, "postfix", 25, kube.Endpoint{Address: netip.MustParseAddrPort(server.Addr)}))
			r.ports[host] = 25
		}
	}
}

// lent is given to a machine without a private address, for the test.
const lent = "10.213.77.2"

// ownAddress is an address of this machine that is not a loopback one, which an EndpointSlice may not hold.
func ownAddress(t *testing.T) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err == nil && prefix.Addr().Is4() && prefix.Addr().IsPrivate() {
			return prefix.Addr().String()
		}
	}
	if out, err := exec.Command("ip", "addr", "replace", lent+"/32", "dev", "lo").CombinedOutput(); err != nil {
		t.Fatalf("this machine has no private address, and none could be lent to it (as root: ip addr add %s/32 dev lo): %v %s", lent, err, out)
	}
	t.Cleanup(func() { _ = exec.Command("ip", "addr", "del", lent+"/32", "dev", "lo").Run() })
	return lent
}

func (r *rig) create(name, host string, edit func(*v1alpha1.MailDomain)) {
	r.Helper()
	md := r.lab.MailDomain(name, "example.test", host, r.ports[host], lab.Fast, name)
	if edit != nil {
		edit(md)
	}
	r.must(r.lab.Client.Create(r.Context(), md))
}

func (r *rig) settled(name, host string, standby bool) *v1alpha1.MailDomain {
	r.Helper()
	md, err := r.lab.WaitDomain(r.Context(), name, patience, func(md *v1alpha1.MailDomain) string {
		if md.Status.ObservedGeneration != md.Generation {
			return "the operator to see the spec"
		}
		return lab.Settled(md, host, standby)
	})
	r.must(err)
	return md
}

func (r *rig) edit(name string, change func(*v1alpha1.MailDomain)) {
	r.Helper()
	r.eventually(func() string {
		md, err := r.lab.Domain(r.Context(), name)
		r.must(err)
		change(md)
		if err := r.lab.Client.Update(r.Context(), md); err != nil {
			return err.Error()
		}
		return ""
	})
}

// compromise has the operator leave the key in use.
func (r *rig) compromise(name, host string) {
	r.Helper()
	old := lab.CurrentKey(r.settled(name, host, true), host)
	r.edit(name, func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.CompromisedKeys = append(md.Spec.Rollover.CompromisedKeys, v1alpha1.SPKIDigest(old))
	})
	_, err := r.lab.WaitDomain(r.Context(), name, patience, func(md *v1alpha1.MailDomain) string {
		if lab.CurrentKey(md, host) == old {
			return "another key to be in use"
		}
		return lab.Settled(md, host, true)
	})
	r.must(err)
}

// pair makes a host whose two keys come to stand by at once: of two events that are alike but for their text, the
// second is a change of the first.
func (r *rig) pair() {
	r.Helper()
	const name, host = "pair", "pair.example.test"
	for _, crt := range []string{"pair-a", "pair-b"} {
		r.must(r.lab.Client.Create(r.Context(), kube.Certificate(namespace, crt, "selfsigned", host)))
		_, err := r.lab.WaitIssued(r.Context(), namespace, crt, 1)
		r.must(err)
	}
	md := r.lab.MailDomain(name, "example.test", host, 25, lab.Fast, "pair-a", "pair-b")
	md.Spec.MailServers[0].Probe.Mode = v1alpha1.ProbeDisabled
	r.must(r.lab.Client.Create(r.Context(), md))
	_, err := r.lab.WaitDomain(r.Context(), name, patience, func(md *v1alpha1.MailDomain) string {
		if n := len(lab.Keys(md, host, v1alpha1.RoleNext)); n != 2 {
			return fmt.Sprintf("two keys that stand by instead of %d", n)
		}
		return ""
	})
	r.must(err)
}

// delegationTried waits until the operator has tried to take the DS record away that is too many. The name
// server of the kit refuses that.
func (r *rig) delegationTried() {
	r.Helper()
	z := &v1alpha1.DNSZone{}
	r.eventually(func() string {
		r.must(r.lab.Client.Get(r.Context(), types.NamespacedName{Namespace: namespace, Name: "zone"}, z))
		c := meta.FindStatusCondition(z.Status.Conditions, v1alpha1.ConditionDelegationInSync)
		if c == nil || c.Reason != v1alpha1.ReasonDSUpdateFailed {
			return fmt.Sprintf("DelegationInSync is %+v, want an update that failed", c)
		}
		return ""
	})
}

// deleted deletes a MailDomain, whose records and gate go first.
func (r *rig) deleted(name string) {
	r.Helper()
	md, err := r.lab.Domain(r.Context(), name)
	r.must(err)
	r.must(r.lab.Client.Delete(r.Context(), md))
	r.eventually(func() string {
		if _, err := r.lab.Domain(r.Context(), name); err == nil {
			return "MailDomain " + name + " is still there"
		}
		return ""
	})
}

// eventually waits until check returns nothing.
func (r *rig) eventually(check func() string) {
	r.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		missing := check()
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			r.Fatal(missing)
		}
	}
}

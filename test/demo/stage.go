package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/mail"
	"github.com/dane-operator/dane-operator/test/ns"
	"github.com/dane-operator/dane-operator/test/operator"
)

// The names of the objects in manifests/.
const (
	namespace   = "mail"
	zoneName    = "example.test"
	host        = "mx1.example.test"
	domainName  = "example"
	zoneObject  = "example-test"
	certificate = "mx1"
	secretName  = "mx1-tls"
	dkimName    = "rsa"
)

// stage is everything that runs in the demo.
type stage struct {
	view   *view
	lab    *lab.Lab
	values values
	judge  *judge
	step   atomic.Pointer[string]
	stop   []func()
	// resolver is what the operator and the check ask: no other knows the zone.
	resolver *ns.Tree
	// folder has what the policy host of MTA-STS needs; unserved is why there is none, empty where there is one.
	folder   string
	unserved string
}

// newStage starts everything.
func newStage(ctx context.Context, v *view) (*stage, error) {
	s := &stage{view: v, unserved: closed(policyListen())}
	if err := s.start(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stage) start(ctx context.Context) error {
	var err error
	if s.folder, err = os.MkdirTemp("", "dane-operator-demo-"); err != nil {
		return err
	}
	s.stop = append(s.stop, func() { _ = os.RemoveAll(s.folder) })
	if s.resolver, err = ns.StartTree("127.0.0.1:0"); err != nil {
		return err
	}
	s.stop = append(s.stop, s.resolver.Stop)
	s.lab, err = lab.Start(ctx, lab.Options{
		Namespace: namespace, Progress: func(line string) { s.view.log("%s", line) },
		Operator: operator.Options{Args: []string{"--resolvers", s.resolver.Addr}, Env: []string{"SSL_CERT_FILE=" + s.trusted()}},
	})
	if err != nil {
		return err
	}
	s.stop = append(s.stop, func() { _ = s.lab.Stop() })
	return s.startServers(ctx)
}

func (s *stage) close() {
	for i := len(s.stop) - 1; i >= 0; i-- {
		s.stop[i]()
	}
}

// startServers starts the name servers, the mail server and the judging sender.
func (s *stage) startServers(ctx context.Context) error {
	s.view.log("starting a signing primary, two secondaries and a mail server")
	source := func() ([]byte, []byte) { return s.lab.TLSSecret(ctx, secretName) }
	server, err := mail.Start("127.0.0.1:0", source, time.Second)
	if err != nil {
		return err
	}
	s.stop = append(s.stop, server.Stop)
	zone, servers, err := s.startZone()
	if err != nil {
		return err
	}
	_, port, err := lab.SplitAddr(server.Addr)
	if err != nil {
		return err
	}
	s.values = values{
		"PRIMARY": servers[0], "SECONDARY_1": servers[1], "SECONDARY_2": servers[2],
		"TSIG_NAME": strings.TrimSuffix(zone.TSIGName, "."), "TSIG_SECRET": zone.TSIGSecret, "DS": zone.DS(),
		"SMTP_PORT": strconv.Itoa(int(port)), "STANDBY_KEY": string(v1alpha1.StandbyEnabled), "COMPROMISED_KEYS": "",
		"MTA_STS": string(v1alpha1.MTASTSTesting),
	}
	owner := fmt.Sprintf("_%d._tcp.%s.", port, host)
	s.judge = newJudge(owner, host, server.Addr, servers, s.view.log)
	judging, cancel := context.WithCancel(ctx)
	s.stop = append(s.stop, cancel)
	go s.judge.run(judging, 100*time.Millisecond)
	go s.draw(judging)
	return nil
}

// startZone starts the primary and two secondaries, one of them late.
func (s *stage) startZone() (*ns.Zone, []string, error) {
	zone, err := ns.NewZone(zoneName, "ns1."+zoneName, "ns2."+zoneName, "ns3."+zoneName)
	if err != nil {
		return nil, nil, err
	}
	records := []string{host + ". 60 IN A 127.0.0.1"}
	if s.unserved == "" {
		records = append(records, policyHost+". 60 IN A "+policyAddress)
	}
	for _, record := range records {
		if err := zone.Add(record); err != nil {
			return nil, nil, err
		}
	}
	primary, err := zone.StartPrimary("127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	s.resolver.Add(primary)
	servers := []string{primary.Addr}
	for _, delay := range []time.Duration{300 * time.Millisecond, 1500 * time.Millisecond} {
		secondary, err := zone.StartSecondary("127.0.0.1:0", delay)
		if err != nil {
			return nil, nil, err
		}
		servers = append(servers, secondary.Addr)
	}
	return zone, servers, nil
}

// draw keeps the picture up to date.
func (s *stage) draw(ctx context.Context) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		md, err := s.lab.Domain(ctx, domainName)
		if err != nil {
			continue
		}
		zone, err := s.lab.Zone(ctx, zoneObject)
		if err != nil {
			continue
		}
		shot := snapshot{domain: md, zone: zone}
		if step := s.step.Load(); step != nil {
			shot.step = *step
		}
		shot.servers, shot.served, shot.found = s.judge.state()
		s.view.draw(shot)
	}
}

// begin says what follows.
func (s *stage) begin(step string) {
	s.step.Store(&step)
	s.view.log("── %s", step)
}

// act begins one of the acts, each of which has to prove something.
func (s *stage) act(step string) {
	s.begin(step)
	s.judge.begin(actName(step))
}

// play runs the acts. Whatever the judge counts after them belongs to none.
func (s *stage) play(ctx context.Context) error {
	defer s.judge.begin("")
	for _, act := range []func(context.Context) error{s.publication, s.withStandby, s.withoutStandby, s.emergency, s.whole} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

// publication applies what a user would apply, and waits for the records.
func (s *stage) publication(ctx context.Context) error {
	s.act("1. first publication: the records wait until the server presents the certificate")
	if err := s.apply(ctx, "issuer.yaml", "who signs"); err != nil {
		return err
	}
	if err := s.servePolicy(ctx); err != nil {
		return err
	}
	for _, step := range []struct{ file, what string }{
		{"certificate.yaml", "the certificate of the mail server"},
		{"dnszone.yaml", "the zone, and the key to update it with"},
		{"maildomain.yaml", "the mail domain; the operator takes it from here"},
	} {
		if err := s.apply(ctx, step.file, step.what); err != nil {
			return err
		}
	}
	if err := s.settle(ctx, true, ""); err != nil {
		return err
	}
	return s.others(ctx)
}

func (s *stage) withStandby(ctx context.Context) error {
	s.act("2. renewal with a standby key: every cache knows it already, nothing waits")
	return s.renew(ctx, true)
}

func (s *stage) withoutStandby(ctx context.Context) error {
	s.act("3. renewal without a standby key: the request is held until every cache knows the new key")
	if err := s.change(ctx, "STANDBY_KEY", string(v1alpha1.StandbyDisabled), "standbyKey: Disabled"); err != nil {
		return err
	}
	return s.renew(ctx, false)
}

// emergency gives the key in use up.
func (s *stage) emergency(ctx context.Context) error {
	s.act("4. emergency: the standby key is back, and the key in use is declared compromised")
	if err := s.change(ctx, "STANDBY_KEY", string(v1alpha1.StandbyEnabled), "standbyKey: Enabled"); err != nil {
		return err
	}
	if err := s.settle(ctx, true, ""); err != nil {
		return err
	}
	md, err := s.lab.Domain(ctx, domainName)
	if err != nil {
		return err
	}
	key := lab.CurrentKey(md, host)
	s.view.log("waiting until the standby key may be served: on a real host that was weeks ago")
	if _, err := s.lab.WaitDomain(ctx, domainName, 3*time.Minute, deployable); err != nil {
		return err
	}
	if err := s.change(ctx, "COMPROMISED_KEYS", strconv.Quote(key), "compromisedKeys: ["+short(key)+"…]"); err != nil {
		return err
	}
	return s.settle(ctx, true, key)
}

// deployable returns what is missing for the standby key to be served at once.
func deployable(md *v1alpha1.MailDomain) string {
	for _, k := range lab.Keys(md, host, v1alpha1.RoleNext) {
		if k.DeployableAt != nil {
			return "the standby key is not deployable yet"
		}
	}
	return ""
}

// change applies the MailDomain with another value in it.
func (s *stage) change(ctx context.Context, name, value, what string) error {
	s.values[name] = value
	return s.apply(ctx, "maildomain.yaml", what)
}

// renew starts a renewal and waits until the new key is in use and the old one is gone.
func (s *stage) renew(ctx context.Context, standby bool) error {
	md, err := s.lab.Domain(ctx, domainName)
	if err != nil {
		return err
	}
	key := lab.CurrentKey(md, host)
	s.view.log("starting a renewal of Certificate %s, as cmctl renew does", certificate)
	if err := s.lab.Renew(ctx, s.lab.Namespace, certificate); err != nil {
		return err
	}
	return s.settle(ctx, standby, key)
}

// settle waits until the host is at rest with another key than old.
func (s *stage) settle(ctx context.Context, standby bool, old string) error {
	_, err := s.lab.WaitDomain(ctx, domainName, 3*time.Minute, func(md *v1alpha1.MailDomain) string {
		if old != "" && lab.CurrentKey(md, host) == old {
			return "the server still has key " + short(old)
		}
		return lab.Settled(md, host, standby)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", actName(*s.step.Load()), err)
	}
	s.view.log("done")
	return nil
}

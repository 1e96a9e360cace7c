package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/mail"
	"github.com/dane-operator/dane-operator/test/ns"
)

const (
	zoneName    = "example.test"
	host        = "mx1.example.test"
	domainName  = "example"
	certificate = "mx1"
	secretName  = "mx1-tls"
)

// timing of the demo: hours become seconds.
var timing = lab.Timing{TTL: 4, PublishSafety: "2s", RetireSafety: "5s", TTLFloor: "1s", Delay: "0s", Interval: "500ms"}

// stage is everything that runs in the demo.
type stage struct {
	view  *view
	lab   *lab.Lab
	zone  *ns.Zone
	mail  *mail.Server
	judge *judge
	step  atomic.Pointer[string]
	stop  []func()
}

// newStage starts everything.
func newStage(ctx context.Context, v *view) (*stage, error) {
	s := &stage{view: v}
	progress := func(line string) { v.log("%s", line) }
	l, err := lab.Start(ctx, lab.Options{Namespace: "mail", Progress: progress})
	if err != nil {
		return nil, err
	}
	s.lab = l
	s.stop = append(s.stop, func() { _ = l.Stop() })
	if err := s.startServers(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
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
	s.mail = server
	s.stop = append(s.stop, server.Stop)
	zone, servers, err := startZone()
	if err != nil {
		return err
	}
	s.zone = zone
	_, port, err := lab.SplitAddr(server.Addr)
	if err != nil {
		return err
	}
	owner := fmt.Sprintf("_%d._tcp.%s.", port, host)
	s.judge = newJudge(owner, host, server.Addr, servers, s.view.log)
	judging, cancel := context.WithCancel(ctx)
	s.stop = append(s.stop, cancel)
	go s.judge.run(judging, 100*time.Millisecond)
	go s.draw(judging)
	return s.createObjects(ctx, servers, port)
}

// startZone starts the primary and two secondaries, one of them late.
func startZone() (*ns.Zone, []string, error) {
	zone, err := ns.NewZone(zoneName, "ns1."+zoneName, "ns2."+zoneName, "ns3."+zoneName)
	if err != nil {
		return nil, nil, err
	}
	for _, record := range []string{host + ". 60 IN A 127.0.0.1", zoneName + ". 60 IN MX 10 " + host + "."} {
		if err := zone.Add(record); err != nil {
			return nil, nil, err
		}
	}
	primary, err := zone.StartPrimary("127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
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

// createObjects applies what a user would apply.
func (s *stage) createObjects(ctx context.Context, servers []string, port int32) error {
	l := s.lab
	s.view.log("applying an Issuer, a Certificate, a DNSZone and a MailDomain")
	if err := l.Client.Create(ctx, kube.SelfSignedIssuer(l.Namespace, "selfsigned")); err != nil {
		return err
	}
	crt := kube.Certificate(l.Namespace, certificate, "selfsigned", host)
	crt.Spec.SecretName = secretName
	if err := l.Client.Create(ctx, crt); err != nil {
		return err
	}
	zone := lab.Zone{
		Name: zoneName, Primary: servers[0], Servers: servers,
		TSIGName: s.zone.TSIGName, TSIGSecret: s.zone.TSIGSecret, DS: s.zone.DS(),
	}
	if _, err := l.CreateZone(ctx, "example-test", zone, timing); err != nil {
		return err
	}
	return l.Client.Create(ctx, l.MailDomain(domainName, zoneName, host, port, timing, certificate))
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
		shot := snapshot{domain: md}
		if step := s.step.Load(); step != nil {
			shot.step = *step
		}
		shot.servers, shot.served, shot.verdicts = s.judge.state()
		s.view.draw(shot)
	}
}

// begin names the step that follows.
func (s *stage) begin(step string) {
	s.step.Store(&step)
	s.view.log("── %s", step)
}

// play runs the four acts.
func (s *stage) play(ctx context.Context) error {
	s.begin("1. first publication: the records wait until the server presents the certificate")
	if err := s.settle(ctx, true, ""); err != nil {
		return err
	}
	s.begin("2. renewal with a standby key: every cache knows it already, nothing waits")
	if err := s.renew(ctx, true); err != nil {
		return err
	}
	s.begin("3. renewal without a standby key: the request is held until every cache knows the new key")
	if err := s.change(ctx, func(md *v1alpha1.MailDomain) { md.Spec.Rollover.StandbyKey = v1alpha1.StandbyDisabled }); err != nil {
		return err
	}
	if err := s.renew(ctx, false); err != nil {
		return err
	}
	return s.emergency(ctx)
}

// emergency gives the key in use up.
func (s *stage) emergency(ctx context.Context) error {
	s.begin("4. emergency: the standby key is back, and the key in use is declared compromised")
	if err := s.change(ctx, func(md *v1alpha1.MailDomain) { md.Spec.Rollover.StandbyKey = v1alpha1.StandbyEnabled }); err != nil {
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
	s.view.log("key %s is compromised", short(key))
	if err := s.change(ctx, func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.CompromisedKeys = []v1alpha1.SPKIDigest{v1alpha1.SPKIDigest(key)}
	}); err != nil {
		return err
	}
	return s.settle(ctx, true, key)
}

// renew starts a renewal and waits until the new key is in use and the old one is gone.
func (s *stage) renew(ctx context.Context, standby bool) error {
	md, err := s.lab.Domain(ctx, domainName)
	if err != nil {
		return err
	}
	key := lab.CurrentKey(md, host)
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
		return fmt.Errorf("%s: %w", strings.SplitN(*s.step.Load(), ":", 2)[0], err)
	}
	s.view.log("done")
	return nil
}

// change edits the MailDomain.
func (s *stage) change(ctx context.Context, edit func(*v1alpha1.MailDomain)) error {
	for range 20 {
		md, err := s.lab.Domain(ctx, domainName)
		if err != nil {
			return err
		}
		edit(md)
		if err = s.lab.Client.Update(ctx, md); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond) // the operator wrote in between
	}
	return fmt.Errorf("the MailDomain could not be changed")
}

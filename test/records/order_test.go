package records

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/mail"
	"github.com/dane-operator/dane-operator/test/servers"
)

// watcher asks the primary all the time which mail servers the MX records name, and whether mx1 has TLSA records.
type watcher struct {
	mu sync.Mutex
	// bare are the moments at which mx1 was named and had no TLSA records.
	bare int
	// named and held are when it was last seen named, and with records.
	named, held time.Time
	everNamed   bool
}

// watch asks until the test ends. The MX records are asked for first where mx1 comes, and are looked at last where it goes:
// what is seen between the two counts as both.
func (s *site) watch(owner string) *watcher {
	w := &watcher{}
	ctx, cancel := context.WithCancel(s.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			before, err1 := answers(s.primary.Addr, apex, dns.TypeMX)
			records, err2 := answers(s.primary.Addr, owner, dns.TypeTLSA)
			after, err3 := answers(s.primary.Addr, apex, dns.TypeMX)
			if err1 == nil && err2 == nil && err3 == nil {
				w.note(slices.Contains(before, mx1), slices.Contains(after, mx1), len(records) > 0)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	s.Cleanup(func() { cancel(); <-done })
	return w
}

func (w *watcher) note(before, after, records bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if before && after && !records {
		w.bare++
	}
	if before || after {
		w.named, w.everNamed = now, true
	}
	if records {
		w.held = now
	}
}

// A mail server is named in the MX records when its TLSA records stand, and they stay, when it leaves, until no cache names
// it (trap 15). A mail server that is somebody else's gives way to it, and comes back.
func TestOrderOfMailServers(t *testing.T) {
	const ttl = 2 // of the MX records, in seconds: it is kept
	s := &site{T: t}
	s.primary = servers.StartBINDPrimary(t, servers.Options{Grants: grants, Records: []string{
		fmt.Sprintf("@ %d MX 10 old", ttl), "old 60 A 127.0.0.1", "mx1 60 A 127.0.0.1",
	}})
	s.secondary = servers.StartNSDSecondary(t, s.primary, "")
	var err error
	s.lab, err = lab.Start(t.Context(), lab.Options{Namespace: "mail", Dir: t.TempDir(), Progress: func(line string) { t.Log(line) }})
	s.must(err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.lab.Operator.Tail(40))
		}
		_ = s.lab.Stop()
	})
	s.createZone()
	s.must(s.lab.Client.Create(t.Context(), kube.SelfSignedIssuer("mail", "selfsigned")))
	crt := kube.Certificate("mail", "mx1", "selfsigned", "mx1."+domain)
	crt.Spec.SecretName = "mx1-tls"
	s.must(s.lab.Client.Create(t.Context(), crt))
	server, err := mail.Start("127.0.0.1:0", func() ([]byte, []byte) { return s.lab.TLSSecret(context.Background(), "mx1-tls") }, 200*time.Millisecond)
	s.must(err)
	t.Cleanup(server.Stop)
	_, port, err := lab.SplitAddr(server.Addr)
	s.must(err)

	w := s.watch(fmt.Sprintf("_%d._tcp.mx1.%s", port, apex))
	md := s.lab.MailDomain("example", domain, "mx1."+domain, port, lab.Fast, "mx1")
	md.Spec.MX = &v1alpha1.MXSpec{Policy: v1alpha1.MXManage, Adopt: true}
	s.must(s.lab.Client.Create(t.Context(), md))
	s.becomes(map[v1alpha1.MailRecord]v1alpha1.MailRecordState{v1alpha1.RecordMX: v1alpha1.MailRecordPublished})
	s.shows(apex, dns.TypeMX, mx1)

	s.edit(func(spec *v1alpha1.MailDomainSpec) {
		spec.MailServers = []v1alpha1.MailServer{{Hostname: "old." + domain, Probe: v1alpha1.ProbeSpec{Mode: v1alpha1.ProbeDisabled}}}
	})
	_, err = s.lab.WaitDomain(t.Context(), "example", patience, func(md *v1alpha1.MailDomain) string {
		if md.Status.MailServer("mx1."+domain) != nil || len(md.Status.Record(v1alpha1.RecordMX).Leaving) > 0 {
			return fmt.Sprintf("mx1 is still known: %+v", md.Status.Record(v1alpha1.RecordMX))
		}
		return lab.Condition(md, v1alpha1.ConditionMailRecordsPublished, metav1.ConditionTrue)
	})
	s.must(err)
	s.shows(apex, dns.TypeMX, "10 old.example.test.")
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.everNamed || w.bare > 0 {
		t.Errorf("mx1 was named: %t; without TLSA records %d times", w.everNamed, w.bare)
	}
	// They stay for twice the TTL; half of that is left to a machine that is slow to look.
	if stayed := w.held.Sub(w.named); stayed < ttl*time.Second {
		t.Errorf("its TLSA records stayed for %s after it was named last, want twice the TTL of %d seconds", stayed, ttl)
	}
}

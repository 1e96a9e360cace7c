package controllers

import (
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/sendercheck"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

func TestSenderPort(t *testing.T) {
	port := func(n int32, p v1alpha1.Protocol) v1alpha1.MailServerPort {
		return v1alpha1.MailServerPort{Port: n, Protocol: p}
	}
	for _, row := range []struct {
		reason string
		ports  []v1alpha1.MailServerPort
		want   int32
	}{
		{"mail is delivered at 25", []v1alpha1.MailServerPort{port(2525, ""), port(25, "")}, 25},
		{"a lab without port 25", []v1alpha1.MailServerPort{port(993, ""), port(2525, v1alpha1.ProtocolSMTP), port(2526, "")}, 2525},
		{"submission is for users", []v1alpha1.MailServerPort{port(587, ""), port(465, "")}, 0},
		{"no SMTP at all", []v1alpha1.MailServerPort{port(143, ""), port(2525, v1alpha1.ProtocolIMAP)}, 0},
	} {
		if got := senderPort(v1alpha1.MailServer{Ports: row.ports}); got != row.want {
			t.Errorf("%s: port %d, want %d", row.reason, got, row.want)
		}
	}
}

func anchor(t *testing.T, owner string) dnssec.Anchor {
	t.Helper()
	ds, err := dnssec.ParseDS("1 13 2 "+strings.Repeat("00", 32), owner)
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

func TestZoneAbove(t *testing.T) {
	zones := []string{"example.com.", ".", "mail.example.com."}
	for name, want := range map[string]string{
		"example.com": "example.com.", "MX.mail.Example.com.": "mail.example.com.", "notexample.com": ".",
		"_25._tcp.mx.example.com": "example.com.", "": ".",
	} {
		if got := zoneAbove(zones, name); got != want {
			t.Errorf("above %q: %q, want %q", name, got, want)
		}
	}
	if got := zoneAbove(zones[:1], "example.org"); got != "" {
		t.Errorf("above what no zone holds: %q", got)
	}
}

// TestAnchorsForZones: those of the zones go together with the operator's, in one order whatever comes first.
func TestAnchorsForZones(t *testing.T) {
	z := func(anchors ...v1alpha1.TrustAnchor) *v1alpha1.DNSZone {
		z := dnsZone("dns", "z", "example.com")
		z.Spec.DNSSEC.TrustAnchors = anchors
		return &z
	}
	own := v1alpha1.TrustAnchor("1 13 2 " + strings.Repeat("ab", 32))
	above, elsewhere := "com. DS "+own, "test. DS "+own
	w := newSenderWatch(Options{}, nil, nil)
	_, public := w.anchorsFor([]*v1alpha1.DNSZone{nil, z()})
	both, one := w.anchorsFor([]*v1alpha1.DNSZone{z(own), z("not one"), z(above)})
	_, other := w.anchorsFor([]*v1alpha1.DNSZone{z(above, own)})
	if len(both) != 4 || one != other || one == public {
		t.Errorf("%d anchors: %q, %q, %q", len(both), one, other, public)
	}
	if refused, none := w.anchorsFor([]*v1alpha1.DNSZone{z(own, elsewhere), z("not one", above)}); len(refused) != 2 || none != public {
		t.Errorf("anchors that are refused for a zone, and those beside them, count for senders: %q", none)
	}
	private := newSenderWatch(Options{Trust: &Trust{anchors: []dnssec.Anchor{anchor(t, "test.")}}}, nil, nil)
	if got, _ := private.anchorsFor(nil); len(got) != 1 || got[0].Hdr.Name != "test." {
		t.Errorf("the operator's own anchors are to stand alone: %v", got)
	}
}

// TestSoundness tells what every sender meets from what only the operator does.
func TestSoundness(t *testing.T) {
	soa := func(state dnssec.State) dnssec.Result { return dnssec.Result{State: state, Kind: dnssec.Data} }
	none := dnssec.Result{State: dnssec.Secure, Kind: dnssec.NXDomain}
	bogus, silent := dnssec.Result{State: dnssec.Bogus}, dnssec.Result{}
	lost := senderview.Undeliverable
	for _, row := range []struct {
		reason  string
		verdict senderview.Verdict
		zones   []string
		bogus   []string
		blame   dnssec.State
		zone    dnssec.Result
		root    dnssec.Result
		holds   bool
	}{
		{"mail is delivered", senderview.Opportunistic, []string{"."}, nil, dnssec.Insecure, silent, silent, true},
		{"the root is well: the failure is below", lost, []string{"."}, nil, dnssec.Bogus, silent, soa(dnssec.Secure), true},
		{"nobody answers for the root either", lost, []string{"."}, nil, dnssec.Indeterminate, silent, silent, false},
		{"the resolvers leave out signatures", lost, []string{"."}, nil, dnssec.Bogus, silent, bogus, false},
		{"a zone of ours is well: a name in it is not", lost, []string{"example.com.", "."}, nil, dnssec.Bogus, soa(dnssec.Secure), silent, true},
		{"one that is not signed is there", lost, []string{"example.com.", "."}, nil, dnssec.Secure, soa(dnssec.Insecure), silent, true},
		{"a private one is not in the tree that is asked", lost, []string{"example.com.", "."}, nil, dnssec.Secure, none, soa(dnssec.Secure), false},
		{"so its anchor fails", lost, []string{"example.com.", "."}, nil, dnssec.Bogus, bogus, soa(dnssec.Secure), false},
		{"its own servers show it broken too", lost, []string{"example.com.", "."}, []string{"example.com."}, dnssec.Bogus, bogus, soa(dnssec.Secure), true},
		{"it is silent", lost, []string{"example.com.", "."}, nil, dnssec.Indeterminate, silent, soa(dnssec.Secure), false},
		{"no zone is known above the name", lost, nil, nil, dnssec.Indeterminate, silent, soa(dnssec.Secure), false},
	} {
		r := &answers{by: map[string]dnssec.Result{"example.com. SOA": row.zone, ". SOA": row.root}}
		s := newSoundness(senderJob{zones: row.zones, bogus: row.bogus}, asking(r))
		v := senderview.HostView{Verdict: row.verdict, Blame: &senderview.Link{Name: "mx.example.com", State: row.blame}}
		if got := s.holds(t.Context(), v); got != row.holds {
			t.Errorf("%s: holds %t", row.reason, got)
		}
	}
	silentHost := senderview.HostView{Verdict: lost}
	if s := newSoundness(senderJob{}, nil); !s.holds(t.Context(), silentHost) {
		t.Error("what was probed needs no zone")
	}
}

// rr is a record of the certificate with usage 3, selector 1, matching type 1.
func rr(t *testing.T, chain []*x509.Certificate) *dns.TLSA {
	t.Helper()
	records, err := tlsa.Associations(chain, []tlsa.Parameters{{Usage: 3, Selector: 1, MatchingType: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return &dns.TLSA{Usage: 3, Selector: 1, MatchingType: 1, Certificate: strings.ToUpper(records[0].Data)}
}

func TestJudged(t *testing.T) {
	one, two := chainOf(t, 1), chainOf(t, 2)
	shows := func(chain []*x509.Certificate) probe.Result {
		return probe.Result{Outcome: probe.Presented, Chain: chain}
	}
	ends := func(o probe.Outcome) probe.Result {
		return probe.Result{Outcome: o, Message: "it ended with " + string(o)}
	}
	good := []senderview.Record{rr(t, one)}
	unusable := []senderview.Record{{Usage: 1, Selector: 1, MatchingType: 1, Certificate: strings.Repeat("00", 32)}}
	for _, row := range []struct {
		reason  string
		records []senderview.Record
		results []probe.Result
		usable  int
		want    []senderview.Presented
		why     string
	}{
		{"its certificate is that of the record", good, []probe.Result{shows(one), shows(one), ends(probe.NoSuchKeyType)}, 1, []senderview.Presented{senderview.Matched}, ""},
		{"another one is not", good, []probe.Result{shows(two)}, 1, []senderview.Presented{senderview.Mismatched}, ""},
		{"of two key types one is", good, []probe.Result{shows(one), shows(two), shows(one)}, 1, []senderview.Presented{senderview.Matched, senderview.Mismatched}, ""},
		{"no record is usable", unusable, []probe.Result{shows(one)}, 0, []senderview.Presented{senderview.Mismatched}, "usage 0 and 1"},
		{"no STARTTLS", good, []probe.Result{ends(probe.NoTLS)}, 1, []senderview.Presented{senderview.NoTLS}, "it ended with NoTLS"},
		{"no handshake", good, []probe.Result{ends(probe.HandshakeFailed), ends(probe.NoSuchKeyType)}, 1, []senderview.Presented{senderview.NoTLS}, "it ended with HandshakeFailed"},
		{"no connection", good, []probe.Result{ends(probe.Unreachable)}, 1, []senderview.Presented{senderview.Unreachable}, "it ended with Unreachable"},
		{"an address that may not be dialled says nothing", good, []probe.Result{ends(probe.Forbidden)}, 1, nil, ""},
		{"nothing was probed", good, nil, 1, nil, ""},
	} {
		t.Run(row.reason, func(t *testing.T) {
			probes := []endpointProbe{{address: "192.0.2.1", port: 25, results: row.results}, {address: "192.0.2.1", port: 465, results: []probe.Result{shows(two)}}}
			usable, endpoints := sendercheck.Judge(probedOf(probes), 25, []string{"mx1.example.com"}, row.records, paceNow)
			var got []senderview.Presented
			why := ""
			for _, e := range endpoints {
				got, why = append(got, e.Presented), why+e.Reason
				if e.Address != "192.0.2.1" {
					t.Errorf("of %s", e.Address)
				}
			}
			if usable != row.usable || !slices.Equal(got, row.want) || !strings.Contains(why, row.why) || row.why == "" && why != "" {
				t.Errorf("%d usable, %v because %q; want %d, %v", usable, got, why, row.usable, row.want)
			}
		})
	}
}

// TestVouchedForIsNotProbed: old probes of a host whose probes were switched off say nothing any more.
func TestVouchedForIsNotProbed(t *testing.T) {
	all := secured(t)
	obs := newObserver(func(types.NamespacedName) {})
	obs.hosts[senderName] = map[string]*hostObservation{senderMX: {probes: []endpointProbe{
		endpointProbe{address: "192.0.2.1", port: 25, results: []probe.Result{{Outcome: probe.Presented, Chain: chainOf(t, 1)}}}.kept(),
	}}}
	for probed, want := range map[bool]v1alpha1.SenderVerdict{true: v1alpha1.SenderUndeliverable, false: v1alpha1.SenderDANE} {
		job := senderJob{name: senderName, domain: "example.org", targets: []senderTarget{{senderMX, 25, probed}}, zones: []string{"."}}
		if got := job.look(t.Context(), asking(&answers{by: all}), obs, paceClock)[senderMX]; got.Verdict != want {
			t.Errorf("probed %t: %+v, want %s", probed, got, want)
		}
	}
}

// TestReadyTellsOfSenders: only mail that is not delivered makes an object unready, and only where it is sent
// to the host.
func TestReadyTellsOfSenders(t *testing.T) {
	lost := v1alpha1.SenderViewStatus{Verdict: v1alpha1.SenderUndeliverable, Message: "lost"}
	unnamed := lost
	unnamed.NotInMX = true
	silent := []endpointProbe{{port: 25, results: []probe.Result{{Outcome: probe.Unreachable}}}}
	half := append(slices.Clone(silent), endpointProbe{port: 25, results: []probe.Result{{Outcome: probe.NoTLS}}})
	for _, row := range []struct {
		reason  string
		view    *v1alpha1.SenderViewStatus
		probes  []endpointProbe
		status  metav1.ConditionStatus
		message string
	}{
		{"nothing is known", nil, nil, metav1.ConditionTrue, ""},
		{"all that DANE gives", &v1alpha1.SenderViewStatus{Verdict: v1alpha1.SenderDANE, Message: "well"}, nil, metav1.ConditionTrue, ""},
		{"less than that is said", &v1alpha1.SenderViewStatus{Verdict: v1alpha1.SenderOpportunistic, Message: "weak"}, nil, metav1.ConditionTrue, "weak"},
		{"no mail is delivered", &lost, nil, metav1.ConditionFalse, "lost"},
		{"no mail is sent there", &unnamed, nil, metav1.ConditionTrue, ""},
		{"nothing answers the operator", &lost, silent, metav1.ConditionTrue, "lost"},
		{"something answers", &lost, half, metav1.ConditionFalse, "lost"},
	} {
		h := &hostRun{server: host("mx1.example.com", 25), sender: row.view}
		h.view.probes = row.probes
		run := &domainRun{md: &v1alpha1.MailDomain{}, hosts: []*hostRun{h}}
		well := finding{metav1.ConditionTrue, v1alpha1.ReasonPublished, ""}
		ready := readyFinding(run, nil, well, well, sendersFinding(run))
		if ready.status != row.status || ready.message != row.message {
			t.Errorf("%s: %+v", row.reason, ready)
		}
		if want := map[bool]string{true: v1alpha1.ReasonReady, false: v1alpha1.ReasonUndeliverable}[row.status == metav1.ConditionTrue]; ready.reason != want {
			t.Errorf("%s: reason %s, want %s", row.reason, ready.reason, want)
		}
		bad := finding{metav1.ConditionFalse, v1alpha1.ReasonMismatch, "mismatch"}
		if ready := readyFinding(run, nil, well, bad, sendersFinding(run)); ready.reason != v1alpha1.ReasonMismatch {
			t.Errorf("%s: what the operator's own conditions say comes first: %+v", row.reason, ready)
		}
	}
}

func TestMetricsOfSenders(t *testing.T) {
	b := newSenderBed(t)
	b.reconcile()
	verdicts := func() map[string]float64 {
		registry := prometheus.NewRegistry()
		registry.MustRegister(senderCollector{b.r.senders})
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
			t.Errorf("%v %v", problems, err)
		}
		out := map[string]float64{}
		for _, f := range families {
			for _, m := range f.Metric {
				out[f.GetName()+labelText(m)] = m.Gauge.GetValue()
			}
		}
		return out
	}
	if got := verdicts(); len(got) != 5 || got["dane_operator_sender_views Unknown"] != 1 || got["dane_operator_sender_views DANE"] != 0 {
		t.Errorf("before the first look: %v", got)
	}
	b.pass(1)
	if got := verdicts(); got["dane_operator_sender_views DANE"] != 1 || got["dane_operator_sender_views Unknown"] != 0 {
		t.Errorf("after it: %v", got)
	}
	b.r.senders.newResolver = nil
	if got := verdicts(); len(got) != 0 {
		t.Errorf("nobody looks, and yet: %v", got)
	}
}

func paceClock() time.Time { return paceNow }

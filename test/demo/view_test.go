package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// busy is a snapshot with much to say.
func busy() snapshot {
	md := &v1alpha1.MailDomain{}
	md.Status.NextTransition = &v1alpha1.Transition{Action: host + ": key 5bb681067536b21d waits until every name server shows the records of _25._tcp." + host +
		".: 127.0.0.1:5301 shows other records, 127.0.0.1:5302 shows other records"}
	later := metav1.NewTime(time.Now())
	s := v1alpha1.MailServerStatus{Hostname: host}
	for _, digit := range []string{"a", "b", "c"} {
		s.Keys = append(s.Keys, v1alpha1.KeyStatus{SPKISHA256: strings.Repeat(digit, 64), Role: v1alpha1.RoleNext, Visibility: v1alpha1.VisibilityRumoured, DeployableAt: &later, RemovableAt: &later})
	}
	md.Status.MailServers = []v1alpha1.MailServerStatus{s}
	shown := []string{"3 1 1 " + strings.Repeat("a", 64), "3 1 1 " + strings.Repeat("b", 64), "3 1 1 " + strings.Repeat("c", 64)}
	return snapshot{
		step: "3. renewal without a standby key: the request is held until every cache knows the new key", domain: md, served: strings.Repeat("a", 64),
		servers: []serverView{{"primary", "127.0.0.1:5300", shown}, {"secondary 1", "127.0.0.1:5301", shown}, {"secondary 2", "127.0.0.1:5302", shown}},
	}
}

// TestLinesFit: no line is wider than the terminal, or than maxWidth where there is none.
func TestLinesFit(t *testing.T) {
	for _, c := range []struct {
		reason   string
		terminal bool
		width    int
	}{{"no terminal", false, 0}, {"a terminal", true, 100}, {"a narrow terminal", true, 60}} {
		var out bytes.Buffer
		v := &view{out: &out, terminal: c.terminal, width: c.width, start: time.Now()}
		v.log("── %s", busy().step+" "+busy().step)
		v.draw(busy())
		want := c.width
		if want == 0 {
			want = maxWidth
		}
		for _, line := range strings.Split(out.String(), "\n") {
			if len([]rune(line)) > want {
				t.Errorf("%s: a line of %d: %s", c.reason, len([]rune(line)), line)
			}
		}
		for _, text := range []string{"waits for", "secondary 1 shows other records", "cccccccc Next/Rumoured"} {
			if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), text) {
				t.Errorf("%s: %q is missing in\n%s", c.reason, text, &out)
			}
		}
	}
	for _, line := range strings.Split(legend(), "\n") {
		if len([]rune(line)) > maxWidth {
			t.Errorf("a line of the legend has %d: %s", len([]rune(line)), line)
		}
	}
}

// TestTellsWhatChanged, and nothing else.
func TestTellsWhatChanged(t *testing.T) {
	var out bytes.Buffer
	v := &view{out: &out, start: time.Now()}
	v.draw(busy())
	out.Reset()
	v.draw(busy())
	if out.Len() > 0 {
		t.Errorf("nothing changed, and it says\n%s", &out)
	}
	next := busy()
	next.served = strings.Repeat("b", 64)
	v.draw(next)
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "s  presented  bbbbbbbb") {
		t.Errorf("the key that is presented changed, and it says\n%s", got)
	}
}

// TestExpectedFailures: what fails before there is a certificate says that it is expected, and later it does not.
func TestExpectedFailures(t *testing.T) {
	s := busy()
	s.domain.Status.NextTransition.Action = "the first publication waits: the TLS handshake failed"
	if got := s.waiting(); strings.Contains(got, "expected") {
		t.Errorf("with records: %q", got)
	}
	for i := range s.servers {
		s.servers[i].records = nil
	}
	if got := s.waiting(); !strings.Contains(got, "expected") {
		t.Errorf("before the first publication: %q", got)
	}
	s.domain.Status.NextTransition.Action = "the name servers have to be asked"
	if got := s.waiting(); strings.Contains(got, "expected") {
		t.Errorf("nothing failed: %q", got)
	}
}

// TestDNSSECStandsBesideTheRollover: a terminal shows the state of the zone, its keys, how it is entered and until when it is signed, in
// the picture of the rollover; without one it is told when it changes.
func TestDNSSECStandsBesideTheRollover(t *testing.T) {
	until := metav1.NewTime(time.Date(2031, 5, 4, 3, 2, 1, 0, time.Local))
	s := busy()
	s.zone = &v1alpha1.DNSZone{}
	s.zone.Status.DNSSEC = v1alpha1.ZoneDNSSECStatus{
		State: v1alpha1.DNSSECStateSecure, Algorithms: []string{"ED25519"}, Keys: []string{"4711"}, DS: []string{"4711 15 2 AB"}, SignaturesExpire: &until,
	}
	var picture, plain bytes.Buffer
	(&view{out: &picture, terminal: true, width: 200, start: time.Now()}).draw(s)
	said := strings.Join(strings.Fields(picture.String()), " ")
	for _, want := range []string{"keys aaaaaaaa Next/Rumoured", "DNSSEC Secure, ED25519, keys 4711, entered by the DS record of key 4711, signed until 2031-05-04 03:02:01"} {
		if !strings.Contains(said, want) {
			t.Errorf("the picture does not say %q:\n%s", want, &picture)
		}
	}
	v := &view{out: &plain, start: time.Now()}
	v.draw(s)
	plain.Reset()
	s.zone.Status.DNSSEC.State = v1alpha1.DNSSECStateBogus
	s.zone.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionDNSSECSecure, Message: "the parent is to blame"}}
	v.draw(s)
	if got := plain.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "s  DNSSEC     Bogus (the parent is to blame)") {
		t.Errorf("the zone turned bogus, and it says\n%s", got)
	}
}

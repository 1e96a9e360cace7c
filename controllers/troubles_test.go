package controllers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

var sunday = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// trouble is one of a name server, from some minutes after sunday to others; it lasts where the end is 0.
func trouble(subject string, since, until int) v1alpha1.TroubleStatus {
	t := v1alpha1.TroubleStatus{Kind: v1alpha1.TroubleNameserver, Subject: subject, Since: metav1.NewTime(sunday.Add(time.Duration(since) * time.Minute))}
	if until != 0 {
		t.Until = new(metav1.NewTime(sunday.Add(time.Duration(until) * time.Minute)))
	}
	return t
}

func troubleLines(list []v1alpha1.TroubleStatus) string {
	var out []string
	for _, t := range list {
		line := fmt.Sprintf("%s %.0f-", t.Subject, t.Since.Sub(sunday).Minutes())
		if t.Until != nil {
			line += fmt.Sprintf("%.0f", t.Until.Sub(sunday).Minutes())
		}
		out = append(out, line)
	}
	return strings.Join(out, ", ")
}

// TestRemember: troubles begin and end, and what is remembered of them is bounded.
func TestRemember(t *testing.T) {
	many := func(prefix string, n, since, until int) []v1alpha1.TroubleStatus {
		var out []v1alpha1.TroubleStatus
		for i := range n {
			out = append(out, trouble(fmt.Sprintf("%s%02d", prefix, i), since+i, until))
		}
		return out
	}
	type list = []v1alpha1.TroubleStatus
	const now = 100
	for _, c := range []struct {
		why             string
		before, current list
		want            string
	}{
		{"nothing was, nothing is", nil, nil, ""},
		{"one begins", nil, list{trouble("a", 0, 0)}, "a 100-"},
		{"it goes on", list{trouble("a", 20, 0)}, list{trouble("a", 0, 0)}, "a 20-"},
		{"it ends", list{trouble("a", 20, 0)}, nil, "a 20-100"},
		{"it lasted as long as a name server takes to follow", list{trouble("a", now, 0)}, nil, ""},
		{"it comes back", list{trouble("a", 20, 30)}, list{trouble("a", 0, 0)}, "a 20-30, a 100-"},
		{"what is over stays, while nothing changes, however old", list{trouble("a", -20_000, -19_900)}, nil, "a -20000--19900"},
		{"and goes with what changes", list{trouble("a", -20_000, -19_900)}, list{trouble("b", 0, 0)}, "b 100-"},
		{"more than are remembered are over", append(many("x", 9, 10, 50), trouble("y", 60, 0)), nil,
			"x02 12-50, x03 13-50, x04 14-50, x05 15-50, x06 16-50, x07 17-50, x08 18-50, y 60-100"},
		{"more than are remembered begin", list{trouble("a", 20, 30)}, many("x", 9, 0, 0),
			"a 20-30, x00 100-, x01 100-, x02 100-, x03 100-, x04 100-, x05 100-, x06 100-, x07 100-"},
	} {
		got := remember(c.before, c.current, sunday.Add(now*time.Minute))
		if troubleLines(got) != c.want {
			t.Errorf("%s: remembered is %q, want %q", c.why, troubleLines(got), c.want)
		}
		if again := remember(got, c.current, sunday.Add(2*now*time.Minute)); troubleLines(again) != c.want {
			t.Errorf("%s: with nothing new it becomes %q", c.why, troubleLines(again))
		}
	}
}

// TestTroubles: what of a status is a trouble, and what is not.
func TestTroubles(t *testing.T) {
	key := strings.Repeat("1a", 32)
	s := v1alpha1.MailServerStatus{
		Records: []string{"_25._tcp.mx1.example.com. 3600 IN TLSA 3 1 1 aa"},
		Nameservers: []v1alpha1.NameserverSync{
			{Name: "ns1", Address: "192.0.2.1:53", InSync: true}, {Name: "ns3", Address: "192.0.2.3:53", Message: "shows other records"},
			{Address: "192.0.2.4:53", Message: strings.Repeat("ä", 300)},
		},
		Endpoints: []v1alpha1.EndpointStatus{
			{Address: "192.0.2.25", Port: 25, SPKISHA256: key, Verified: true}, {Address: "192.0.2.26", Port: 25, SPKISHA256: key, Message: "no record matches"},
			{Address: "192.0.2.26", Port: 25, SPKISHA256: key, Message: "nor with its other key"},
			{Address: "192.0.2.27", Port: 25, Message: "refused"}, {Address: "192.0.2.28", Port: 25, SPKISHA256: key, Message: notCompared},
		},
		SenderView: &v1alpha1.SenderViewStatus{Verdict: v1alpha1.SenderUndeliverable, Message: "the zone is bogus"},
		Unsafe:     &v1alpha1.UnsafeStatus{Reason: "GateBypassed", Message: "let past"},
	}
	var got []string
	for _, x := range troubles(&s) {
		got = append(got, string(x.Kind)+" "+x.Subject+": "+string([]rune(x.Message)[:min(17, len([]rune(x.Message)))]))
		if n := len([]rune(x.Message)); n > maxTroubleText {
			t.Errorf("%s has %d letters", x.Subject, n)
		}
	}
	want := []string{
		"Nameserver ns3 (192.0.2.3:53): shows other recor", "Nameserver 192.0.2.4:53: äääääääääääääääää",
		"Endpoint 192.0.2.26 port 25: no record matches", "SenderView : the zone is bogus", "Unsafe : let past",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	s.Records, s.SenderView, s.Unsafe, s.Nameservers = nil, &v1alpha1.SenderViewStatus{Verdict: v1alpha1.SenderOpportunistic}, nil, nil
	if got := troubles(&s); len(got) > 0 {
		t.Errorf("without records there is nothing to match: %v", got)
	}
}

package dashboard

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// mixed are hosts of all levels, in no order.
func mixed() []v1alpha1.MailDomain {
	safe, moving, unsafe, unknown, stalled := domain("a", "safe", "e.example"), domain("a", "moving", "d.example"),
		domain("b", "unsafe", "z.example"), domain("b", "unknown", "c.example"), domain("b", "stalled", "b.example")
	set(&moving, condition(v1alpha1.ConditionRolloverInProgress, metav1.ConditionTrue, v1alpha1.ReasonRetiring, "d.example: records stay"))
	unsafe.Status.MailServers[0].Unsafe = &v1alpha1.UnsafeStatus{Message: "past the gate", Until: hours(1)}
	unsafe.Status.NextTransition = &v1alpha1.Transition{Time: hours(1), Action: "z.example: senders may fail until then"}
	unknown.Status = v1alpha1.MailDomainStatus{}
	set(&stalled, condition(v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonZoneNotFound, "no zone"))
	return []v1alpha1.MailDomain{safe, moving, unsafe, unknown, stalled}
}

func names(hosts []Host) string {
	var out []string
	for _, h := range hosts {
		out = append(out, strings.TrimSuffix(h.Name, ".example"))
	}
	return strings.Join(out, " ")
}

// TestWorstFirst: what somebody must look at comes first, whatever it is called.
func TestWorstFirst(t *testing.T) {
	o := NewOverview(mixed(), nil, Filter{Page: 1}, noon)
	if names(o.Pressing) != "z b" || names(o.Others) != "c d e" {
		t.Errorf("pressing are %s, others %s", names(o.Pressing), names(o.Others))
	}
	if o.Level != Unsafe || o.Headline != "1 of 5 hosts is unsafe" || o.Pressing[0].UnsafeUntil.Words != "in 60m" {
		t.Errorf("%s, %q, until %v", o.Level.Word(), o.Headline, o.Pressing[0].UnsafeUntil)
	}
	if o.Pressing[0].Waits != "" || !o.Pressing[0].At.IsZero() {
		t.Errorf("it is said twice until when senders may fail: %+v", o.Pressing[0])
	}
	for i, c := range o.Counts {
		if c.N != 1 || c.Level != Levels()[i] {
			t.Errorf("%s is counted %d times", c.Level.Word(), c.N)
		}
	}
}

func TestHeadline(t *testing.T) {
	for want, counts := range map[string]map[Level]int{
		"There are no mail servers here":                    {},
		"The one host is safe":                              {Moving: 1},
		"All 3 hosts are safe":                              {Moving: 1, Safe: 2},
		"No host is unsafe; 1 of 2 hosts needs attention":   {Attention: 1, Safe: 1},
		"It is not known whether 2 of 1,234 hosts are safe": {Unknown: 2, Attention: 1, Safe: 1231},
		"12 of 10,000,007 hosts are unsafe":                 {Unsafe: 12, Unknown: 3, Safe: 9999992},
	} {
		total := 0
		for _, n := range counts {
			total += n
		}
		if got := headline(counts, total); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestFilter(t *testing.T) {
	for _, row := range []struct{ reason, query, want string }{
		{"everything", "", "z b c d e"},
		{"a host by a part of its name, in any case", "q=Z.EX", "z"},
		{"by its namespace", "q=a", "z b c d e"}, // every name ends in example
		{"by its MailDomain", "q=stalled", "b"},
		{"by its state", "state=moving", "d"},
		{"by both", "state=moving&q=safe", ""},
		{"a state that there is not is none", "state=lost", "z b c d e"},
		{"a page that there is not is the last one", "page=99", "z b c d e"},
		{"no number", "page=x", "z b c d e"},
		{"below the first", "page=-3", "z b c d e"},
	} {
		query, err := url.ParseQuery(row.query)
		if err != nil {
			t.Fatal(err)
		}
		o := NewOverview(mixed(), nil, filterOf(query), noon)
		if got := strings.TrimSpace(names(o.Pressing) + " " + names(o.Others)); got != row.want {
			t.Errorf("%s: %q, want %q", row.reason, got, row.want)
		}
		if o.Headline != "1 of 5 hosts is unsafe" {
			t.Errorf("%s: the headline is about what is filtered: %q", row.reason, o.Headline)
		}
	}
}

// TestManyPages: a page is short whatever there is, its neighbours lead through all of it, and nobody is left out.
func TestManyPages(t *testing.T) {
	domains := many(2_000)
	seen, page := map[string]bool{}, Filter{Page: 1}
	for pages := 1; ; pages++ {
		o := NewOverview(domains, nil, page, noon)
		if len(o.Others) > pageSize {
			t.Fatalf("page %d has %d hosts", page.Page, len(o.Others))
		}
		for _, h := range o.Others {
			seen[h.Name] = true
		}
		if o.After == "" {
			if pages != 20 || o.To != 2_000 {
				t.Errorf("%d pages, the last of which ends at %d", pages, o.To)
			}
			break
		}
		after, err := url.Parse(o.After)
		if err != nil {
			t.Fatal(err)
		}
		page = filterOf(after.Query())
	}
	if len(seen) != 2_000 {
		t.Errorf("%d hosts were on a page", len(seen))
	}
}

// BenchmarkOverview makes the page of an installation as large as any.
func BenchmarkOverview(b *testing.B) {
	domains := many(10_000)
	for b.Loop() {
		NewOverview(domains, nil, Filter{Page: 1}, noon)
	}
}

// TestHostThatHasLeft: a host that is in the spec no more and is cared for still is shown.
func TestHostThatHasLeft(t *testing.T) {
	md := domain("mail", "d", mx1, mx2)
	md.Spec.MailServers = md.Spec.MailServers[:1]
	if got := hostsOf([]v1alpha1.MailDomain{md}, noon); len(got) != 2 {
		t.Errorf("%+v", got)
	}
}

// TestZonesInFront: the overview has the zones that are not healthy, the worst first, and not all of very many.
func TestZonesInFront(t *testing.T) {
	zones := []v1alpha1.DNSZone{zoneFixture("good"), zoneFixture("warned", v1alpha1.ZoneFinding{Severity: v1alpha1.FindingWarning}),
		zoneFixture("bad", v1alpha1.ZoneFinding{Severity: v1alpha1.FindingCritical})}
	o := NewOverview(nil, zones, Filter{Page: 1}, noon)
	if len(o.Zones) != 2 || o.Zones[0].Name != "bad" || o.ZonesUnhealthy != 2 || o.ZonesTotal != 3 {
		t.Errorf("%d of %d: %+v", o.ZonesUnhealthy, o.ZonesTotal, o.Zones)
	}
	for range 50 {
		zones = append(zones, zones[1])
	}
	if o = NewOverview(nil, zones, Filter{Page: 1}, noon); len(o.Zones) != zonesInFront || o.ZonesUnhealthy != 52 {
		t.Errorf("%d of %d", len(o.Zones), o.ZonesUnhealthy)
	}
}

func TestInWords(t *testing.T) {
	for reason, want := range map[string]string{"": "", "WaitingForCaches": "Waiting for caches", "Retiring": "Retiring"} {
		if got := inWords(reason); got != want {
			t.Errorf("%q is %q, want %q", reason, got, want)
		}
	}
}

// TestTimelineShowsNow: the present stands between what has been and what is to come, and once.
func TestTimelineShowsNow(t *testing.T) {
	md := domain("mail", "d", mx1)
	s := &md.Status.MailServers[0]
	s.Keys = []v1alpha1.KeyStatus{{SPKISHA256: strings.Repeat("ab", 32), Certificate: "tls", Role: v1alpha1.RoleNext, Since: hours(-1), DeployableAt: hours(2)}}
	md.Status.NextTransition = &v1alpha1.Transition{Action: mx1 + ": a name server is waited for"}
	set(&md, condition(v1alpha1.ConditionRolloverInProgress, metav1.ConditionTrue, v1alpha1.ReasonWaitingForCaches, mx1+": caches"))
	p, ok := NewHostPage(&md, mx1, noon)
	var states []string
	for _, m := range p.Timeline {
		states = append(states, m.State)
	}
	if want := []string{"done", "now", "next", "open"}; !ok || !slices.Equal(states, want) {
		t.Errorf("%v, want %v", states, want)
	}
	if len(p.Phases) != 4 || !p.Phases[0].Done || !p.Phases[1].Current || p.Phases[2].Done || p.Phases[2].Current {
		t.Errorf("the phases are %+v", p.Phases)
	}
	if _, ok := NewHostPage(&md, "other.example", noon); ok {
		t.Error("there is a page about a host that nobody names")
	}
}

// TestEvidenceThatIsWrongComesFirst.
func TestEvidenceThatIsWrongComesFirst(t *testing.T) {
	md := domain("mail", "d", mx1)
	s := &md.Status.MailServers[0]
	s.Nameservers = []v1alpha1.NameserverSync{{Address: "192.0.2.1:53", InSync: true}, {Address: "192.0.2.2:53", Message: "behind"}}
	s.Endpoints = []v1alpha1.EndpointStatus{{Address: "192.0.2.25", Port: 25, Verified: true}, {Address: "192.0.2.26", Port: 25, Message: "timed out"}, {Address: "192.0.2.27", Port: 25, SPKISHA256: "ab"}}
	p, _ := NewHostPage(&md, mx1, noon)
	if p.Nameservers[0].Message != "behind" || p.Endpoints[0].Class != "bad" || p.Endpoints[1].Class != "open" || p.Endpoints[2].Class != "good" {
		t.Errorf("%+v %+v", p.Nameservers, p.Endpoints)
	}
}

// TestHelp: a reason that stands for trouble is explained by what the documentation says, code apart from words.
func TestHelp(t *testing.T) {
	if help := helpOf(v1alpha1.ReasonGateBypassed); len(help) == 0 {
		t.Error("nothing is said of GateBypassed")
	}
	if help := helpOf(""); help != nil {
		t.Errorf("nothing has the help %+v", help)
	}
	got := blocks("One `word`\nmore.\n\n    indented\n    lines\n\n```\nfenced\n```")
	if len(got) != 3 || got[0].Parts[1] != (Part{true, "word"}) || got[0].Parts[2].Text != " more." ||
		got[1].Parts[0].Text != "indented\nlines" || got[2].Parts[0].Text != "fenced\n" {
		t.Errorf("%+v", got)
	}
}

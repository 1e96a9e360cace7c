package statusview

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// noon is when everything here is looked at.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func hours(n int) *metav1.Time { return &metav1.Time{Time: noon.Add(time.Duration(n) * time.Hour)} }

// rolling is a mail domain with two hosts, one of which changes its key.
func rolling() *v1alpha1.MailDomain {
	md := &v1alpha1.MailDomain{}
	md.Spec.MailServers = []v1alpha1.MailServer{{Hostname: "mx1.example.com"}, {Hostname: "mx2.example.net"}}
	md.Status.MailServers = []v1alpha1.MailServerStatus{{
		Hostname: "mx1.example.com",
		Keys: []v1alpha1.KeyStatus{
			{SPKISHA256: strings.Repeat("1a", 32), Certificate: "mx1", Role: v1alpha1.RoleCurrent, Since: hours(-900)},
			{SPKISHA256: strings.Repeat("2b", 32), Certificate: "mx1", Role: v1alpha1.RoleNext, Since: hours(-2), DeployableAt: hours(1)},
		},
		Versions: []v1alpha1.VersionStatus{{Owner: "_25._tcp.mx1.example.com.", TTL: 3600, FirstSeen: hours(-860), LastSeen: hours(-1)}},
	}}
	return md
}

// TestTimelineOfAWait wants what has no known end to come last, after now.
func TestTimelineOfAWait(t *testing.T) {
	md := rolling()
	md.Status.NextTransition = &v1alpha1.Transition{Action: "mx1.example.com: name server ns2 is waited for"}
	steps := Timeline(md, &md.Status.MailServers[0])
	if last := steps[len(steps)-1]; !last.At.IsZero() || !strings.Contains(last.What, "ns2") {
		t.Errorf("the last step is %+v", last)
	}
	if !slices.IsSortedFunc(steps[:len(steps)-1], func(a, b Step) int { return a.At.Compare(b.At) }) {
		t.Errorf("the steps are not in the order of time: %+v", steps)
	}
	md.Status.NextTransition.Action = "mx2.example.net: something else"
	for _, s := range Timeline(md, &md.Status.MailServers[0]) {
		if s.At.IsZero() {
			t.Errorf("mx1 is said to wait for %s", s.What)
		}
	}
}

// TestTimelineMarksDanger: the instant from which senders may fail is told apart.
func TestTimelineMarksDanger(t *testing.T) {
	md := rolling()
	md.Status.MailServers[0].Unsafe = &v1alpha1.UnsafeStatus{Message: "a key is served", Since: hours(-1), Until: hours(2)}
	var marked []Step
	for _, s := range Timeline(md, &md.Status.MailServers[0]) {
		if s.Unsafe {
			marked = append(marked, s)
		}
	}
	if len(marked) != 1 || !marked[0].At.Equal(hours(-1).Time) || !strings.Contains(marked[0].What, "a key is served") {
		t.Errorf("marked are %+v", marked)
	}
}

func TestNextOf(t *testing.T) {
	for _, row := range []struct {
		reason, action string
		at             *metav1.Time
		waits          string
	}{
		{"its own", "mx1.example.com: caches forget", hours(1), "caches forget"},
		{"that of another host", "mx2.example.net: caches forget", hours(1), ""},
		{"of no host by name", "the zone is not ready", nil, "the zone is not ready"},
	} {
		md := rolling()
		md.Status.NextTransition = &v1alpha1.Transition{Action: row.action, Time: row.at}
		waits, at := NextOf(md, "mx1.example.com")
		if waits != row.waits || at.IsZero() != (row.at == nil || row.waits == "") {
			t.Errorf("%s: %q at %v", row.reason, waits, at)
		}
	}
}

// TestTimelineOfHeldRecords: records that reports of senders hold go when the hold ends.
func TestTimelineOfHeldRecords(t *testing.T) {
	md := rolling()
	md.Status.MailServers[0].Keys = []v1alpha1.KeyStatus{{SPKISHA256: strings.Repeat("ab", 32), Role: v1alpha1.RolePrevious, RemovableAt: hours(-1), HeldUntil: hours(5)}}
	var taken []Step
	for _, s := range Timeline(md, &md.Status.MailServers[0]) {
		if strings.Contains(s.What, "taken out") {
			taken = append(taken, s)
		}
	}
	if len(taken) != 1 || !taken[0].At.Equal(hours(5).Time) || !strings.Contains(taken[0].What, "reports of senders hold") {
		t.Errorf("the records are taken out: %+v", taken)
	}
}

// TestWaits: a wait is told of from its begin to its end, and how much of it is over.
func TestWaits(t *testing.T) {
	host := &v1alpha1.MailServerStatus{
		Keys: []v1alpha1.KeyStatus{
			{SPKISHA256: "aa", Role: v1alpha1.RoleCurrent, Since: hours(-9), DeployableAt: hours(9)},
			{SPKISHA256: "bb", Role: v1alpha1.RoleNext, Since: hours(-3), DeployableAt: hours(1)},
			{SPKISHA256: "cc", Role: v1alpha1.RoleNext, Since: hours(-3), DeployableAt: hours(-1)},
			{SPKISHA256: "dd", Role: v1alpha1.RoleNext, Since: hours(-3)},
			{SPKISHA256: "ee", Role: v1alpha1.RolePrevious, GoneSince: hours(-1), RemovableAt: hours(1)},
			{SPKISHA256: "ff", Role: v1alpha1.RolePrevious, GoneSince: hours(-9), RemovableAt: hours(-1), HeldUntil: hours(1)},
		},
		Unsafe: &v1alpha1.UnsafeStatus{Since: hours(0), Until: hours(5)},
	}
	want := []struct {
		what string
		over float64
	}{
		{"key bb may be handed to servers", 0.75}, {"the records of key ee are taken out", 0.5},
		{"the records of key ff are taken out", 0.9}, {"senders do not fail any more", 0},
	}
	got := Waits(host, noon)
	if len(got) != len(want) {
		t.Fatalf("waits are %+v", got)
	}
	for i, w := range want {
		if got[i].What != w.what || got[i].Over(noon) != w.over {
			t.Errorf("wait %d is %+v, %g of it over; want %+v", i, got[i], got[i].Over(noon), w)
		}
	}
	if late, early := got[0].Over(noon.Add(48*time.Hour)), got[0].Over(noon.Add(-48*time.Hour)); late != 1 || early != 0 {
		t.Errorf("after its end %g of it is over, and before its begin %g", late, early)
	}
}

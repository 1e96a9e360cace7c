package plugin

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// TestMXRecordsComeAfterTLSA: the MX record of a host is no line that changes anything while its TLSA records are not known and
// it does not stand; records of former hosts stay as long. That of somebody else's host is printed.
func TestMXRecordsComeAfterTLSA(t *testing.T) {
	const own, other, former = "10 mx1.example.com.", "10 mx2.example.net.", "30 old.example.com."
	for _, c := range []struct {
		reason     string
		keys       bool
		found      []string
		live, goes []string
		code       int
	}{
		{"nothing is known, and nothing stands", false, nil, []string{other}, nil, 2},
		{"nothing is known, and a former host stands", false, []string{former}, []string{other}, nil, 2},
		{"nothing is known, and the record stands", false, []string{own, former}, []string{own, other}, []string{former}, 2},
		{"nothing is known, and it stands with another preference", false, []string{"20 mx1.example.com."}, []string{own, other}, []string{"20 mx1.example.com."}, 2},
		{"nothing is known, and that of another host has another preference", false, []string{"20 mx2.example.net.", former}, []string{other}, []string{"20 mx2.example.net."}, 2},
		{"nothing is known, and a null MX stands", false, []string{"0 ."}, []string{other}, []string{"0 ."}, 2},
		{"the keys are known", true, []string{former}, []string{own, other}, []string{former}, 0},
	} {
		md := rolling()
		md.Status.DKIM = nil
		md.Status.Records = []v1alpha1.MailRecordStatus{{Record: v1alpha1.RecordMX, Name: "example.com", Type: "MX", State: v1alpha1.MailRecordNotManaged, Found: c.found}}
		if !c.keys {
			md.Status.MailServers[0].Keys = nil
		}
		list := recordList(md, false)
		if code := ExitCode(list.judge()); code != c.code {
			t.Errorf("%s: exit code %d, want %d", c.reason, code, c.code)
		}
		var live, goes []string
		for line := range strings.Lines(written(t, list, "nsupdate")) {
			line = strings.TrimSuffix(line, "\n")
			if data, ok := strings.CutPrefix(line, "update add example.com. 3600 MX "); ok {
				live = append(live, data)
			}
			if data, ok := strings.CutPrefix(line, "update delete example.com. MX "); ok {
				goes = append(goes, data)
			}
		}
		if !slices.Equal(live, c.live) || !slices.Equal(goes, c.goes) {
			t.Errorf("%s: %q comes and %q goes, want %q and %q", c.reason, live, goes, c.live, c.goes)
		}
		zone := written(t, list, "zone")
		if held := !slices.Contains(c.live, own); held != strings.Contains(zone, "\n; example.com.\t3600\tIN\tMX\t"+own+"\n") || held != strings.Contains(zone, "; HELD BACK: the MX records ") {
			t.Errorf("%s: that %s is held back: %t, and the zone file is\n%s", c.reason, own, held, zone)
		}
	}
}

func written(t *testing.T, list published, format string) string {
	t.Helper()
	var out bytes.Buffer
	if err := list.write(&out, format); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestWhatIsMissingIsTold: what has no keys is told of with what it waits for, and with a command that works in any namespace.
func TestWhatIsMissingIsTold(t *testing.T) {
	fresh := rolling()
	fresh.Status = v1alpha1.MailDomainStatus{}
	waiting := rolling()
	waiting.Status.MailServers[0].Keys = nil
	waiting.Status.NextTransition = &v1alpha1.Transition{Action: "mx1.example.com: Certificate mx1 is waited for"}
	failing := rolling()
	failing.Status.MailServers[0].Keys, failing.Status.NextTransition = nil, nil
	failing.Status.Conditions[0].Reason, failing.Status.Conditions[0].Message = v1alpha1.ReasonUnreachable, "the server is not ready"
	for want, md := range map[string]*v1alpha1.MailDomain{
		"the operator has not looked at the MailDomain yet; kubectl dane status example -n mail says more":                   fresh,
		"there are no keys in the status yet (Certificate mx1 is waited for); kubectl dane status example -n mail says more": waiting,
		"there are no keys in the status yet (the server is not ready); kubectl dane status example -n mail says more":       failing,
	} {
		if got := recordList(md, false).Missing; len(got) == 0 || got[0] != "TLSA of mx1.example.com: "+want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestRecordsHeldBackAreFound: the exit code tells of a record that is held back, and of none where all is printed.
func TestRecordsHeldBackAreFound(t *testing.T) {
	md := wholeDomain()
	md.Status.Records = md.Status.Records[:3] // up to that of MTA-STS
	for served, want := range map[bool]int{false: 2, true: 0} {
		if got := ExitCode(recordList(md, served).judge()); got != want {
			t.Errorf("where the policy is served, %t: exit code %d, want %d", served, got, want)
		}
	}
}

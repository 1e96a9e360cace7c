package controllers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/health"
	"github.com/dane-operator/dane-operator/internal/zone"
)

func found(codes ...health.Code) []health.Finding {
	var out []health.Finding
	for _, code := range codes {
		out = append(out, health.Finding{Code: code, Severity: code.Severity(), Server: "ns1", Message: "mend it"})
	}
	return out
}

func TestFindingsInStatus(t *testing.T) {
	cases := []struct {
		reason   string
		state    dnssec.State
		findings []health.Finding
		// secure and inSync are how the conditions begin: status, reason and message.
		secure, inSync string
	}{
		{"nothing is wrong", dnssec.Secure, nil, "True Secure ", "True InSync "},
		{"a notice changes no condition", dnssec.Secure, found(health.RefreshLate), "True Secure ", "True InSync "},
		{"a warning is told", dnssec.Secure, found(health.NSEC3Salt), "True Secure NSEC3Salt at ns1: mend it", "True InSync "},
		{"a warning about servers is told there", dnssec.Secure, found(health.NoTCP), "True Secure ", "True InSync NoTCP at ns1: mend it"},
		{"what is critical is no health", dnssec.Secure, found(health.SignaturesExpiring, health.NoTCP), "False Unhealthy SignaturesExpiring at ns1: mend it", "True InSync NoTCP"},
		{"the state comes first", dnssec.Bogus, found(health.DSMatchesNoKey), "False Bogus why; DSMatchesNoKey at ns1", "True InSync "},
		{"the worst of each code is told, and that there are more", dnssec.Secure,
			append(found(health.SignatureExpired), append(found(health.SignatureExpired), found(health.NSEC3Salt, health.RefreshLate)...)...),
			"False Unhealthy SignatureExpired at ns1: mend it; NSEC3Salt at ns1: mend it; more are in status.dnssec.findings", "True InSync "},
		{"three are told", dnssec.Secure, found(health.DenialUnproven, health.SignatureExpired, health.NSEC3Salt, health.CDSDelete),
			"False Unhealthy DenialUnproven at ns1: mend it; SignatureExpired at ns1: mend it; NSEC3Salt at ns1: mend it", "True InSync "},
		{"and no fourth", dnssec.Secure, found(health.DenialUnproven, health.SignatureExpired, health.NSEC3Salt, health.TLSATooMany, health.NoTCP),
			"False Unhealthy DenialUnproven at ns1: mend it; SignatureExpired at ns1: mend it; NSEC3Salt at ns1: mend it; more are in status.dnssec.findings", "True InSync NoTCP at ns1: mend it"},
		{"insecure", dnssec.Insecure, found(health.ZoneUnsigned), "False Insecure why; ZoneUnsigned", "True InSync "},
	}
	for _, c := range cases {
		b := newZoneBed(t)
		h := b.secureZone("1")
		h.DNSSEC.State, h.Findings = c.state, c.findings
		if c.state != dnssec.Secure {
			h.DNSSEC.Message = "why"
		}
		b.look(h)
		status := b.zone().Status
		for kind, want := range map[string]string{v1alpha1.ConditionDNSSECSecure: c.secure, v1alpha1.ConditionNameserversInSync: c.inSync} {
			got := meta.FindStatusCondition(status.Conditions, kind)
			if text := string(got.Status) + " " + got.Reason + " " + got.Message; !strings.HasPrefix(text, want) || strings.HasSuffix(text, "findings") != strings.HasSuffix(want, "findings") {
				t.Errorf("%s: %s is %q, want %q", c.reason, kind, text, want)
			}
		}
		if len(status.DNSSEC.Findings) != len(c.findings) {
			t.Errorf("%s: %d findings in status", c.reason, len(status.DNSSEC.Findings))
		}
		ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
		if (ready.Status == metav1.ConditionTrue) != strings.HasPrefix(c.secure, "True") {
			t.Errorf("%s: Ready is %s", c.reason, ready.Status)
		}
	}
}

// TestFindingsOutliveARestart: the first looks of a process do not know the owners, and refute nothing of what status
// tells of them; nor is status written for it.
func TestFindingsOutliveARestart(t *testing.T) {
	b := newZoneBed(t)
	expire := b.clock.Now().Add(30 * 24 * time.Hour)
	looked := func(owners int, codes ...health.Code) {
		t.Helper()
		h := b.secureZone("1")
		h.Findings, h.Owners, h.DNSSEC.SignaturesExpire = found(codes...), owners, expire
		b.look(h)
	}
	has := func(reason string, want ...health.Code) {
		t.Helper()
		var got []health.Code
		for _, f := range b.zone().Status.DNSSEC.Findings {
			got = append(got, health.Code(f.Code))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: status has %v, want %v", reason, got, want)
		}
	}
	looked(1, health.DenialUnproven)
	has("before", health.DenialUnproven)
	for _, c := range []struct {
		reason string
		owners int
		end    time.Duration
	}{
		{"the owners become known", 1, zoneBusy},
		{"there are none any more", 0, zoneIdle},
	} {
		b.clock.Step(zoneIdle)
		b.restart()
		puts := b.puts
		looked(0)
		for waited := zoneBusy; waited < c.end; waited += zoneBusy {
			b.clock.Step(zoneBusy)
			looked(0)
		}
		has(c.reason+", by the first looks after a restart", health.DenialUnproven)
		secure := meta.FindStatusCondition(b.zone().Status.Conditions, v1alpha1.ConditionDNSSECSecure)
		if b.puts != puts || secure.Reason != v1alpha1.ReasonUnhealthy {
			t.Errorf("%s: status was written %d times, DNSSECSecure is %s", c.reason, b.puts-puts, secure.Reason)
		}
		b.clock.Step(zoneBusy)
		looked(c.owners, health.NoTCP)
		has(c.reason, health.NoTCP)
		// What a complete look has found stands for the next of them alone.
		b.clock.Step(zoneIdle)
		looked(c.owners, health.DenialUnproven)
		has(c.reason+", later", health.DenialUnproven)
	}
	b.clock.Step(zoneIdle)
	b.restart()
	looked(1, health.NoTCP)
	has("another fault is told beside", health.DenialUnproven, health.NoTCP)
}

func TestCompleteLook(t *testing.T) {
	begun := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		reason          string
		first           time.Time
		after           time.Duration
		owners, waiting int
		want            bool
	}{
		{"the first look knows some owners, or none", time.Time{}, 0, 2, 0, false},
		{"the second knows them", begun, zoneBusy, 2, 0, true},
		{"none is known yet", begun, zoneIdle - time.Second, 0, 0, false},
		{"there is none", begun, zoneIdle, 0, 0, true},
		{"some were not looked at yet", begun, zoneIdle, 3, 1, false},
		{"nor are they in a while", begun, recallFor - time.Second, 3, 1000, false},
		{"there are too many to wait for", begun, recallFor, 3, 1000, true},
	} {
		if got := completeLook(c.first, &zone.Health{At: begun.Add(c.after), Owners: c.owners, OwnersWaiting: c.waiting}); got != c.want {
			t.Errorf("%s: %t", c.reason, got)
		}
	}
}

package controllers

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
)

// TestNotNameable: a mail server is named in MX records once senders with DANE can deliver to it.
func TestNotNameable(t *testing.T) {
	key := func(role v1alpha1.KeyRole, visibility v1alpha1.Visibility) rollover.Decision {
		return rollover.Decision{Published: true, Keys: []rollover.KeyState{{Role: string(role), Visibility: string(visibility)}}}
	}
	ours := func(d rollover.Decision) hostRun { return hostRun{decided: true, decision: d} }
	unsafe := key(v1alpha1.RoleCurrent, v1alpha1.VisibilityOmnipresent)
	unsafe.Unsafe = &rollover.Unsafe{}
	for _, c := range []struct {
		reason string
		h      hostRun
		says   string
	}{
		{"its records are published, and every cache has them", ours(key(v1alpha1.RoleCurrent, v1alpha1.VisibilityOmnipresent)), ""},
		{"a key that waits is nobody's business", ours(key(v1alpha1.RoleNext, v1alpha1.VisibilityRumoured)), ""},
		{"some cache may lack them", ours(key(v1alpha1.RoleCurrent, v1alpha1.VisibilityRumoured)), "caches may not have"},
		{"they are not published", ours(rollover.Decision{}), "not published"},
		{"its certificate does not match what caches have", ours(unsafe), "may not match"},
		{"nothing is decided", hostRun{}, "is not ready"},
		{"it may not be written", hostRun{decided: true, refused: &refusal{"NotGranted", "no grant"}}, "no grant"},
		{"somebody else's, of which nothing is known", hostRun{notManaged: true}, ""},
		{"somebody else's, that senders deliver to", hostRun{notManaged: true, sender: &v1alpha1.SenderViewStatus{Verdict: v1alpha1.SenderOpportunistic}}, ""},
		{"somebody else's, that they do not deliver to", hostRun{notManaged: true, sender: &v1alpha1.SenderViewStatus{Verdict: v1alpha1.SenderUndeliverable, Message: "bogus"}}, "bogus"},
		{"one that is taken out of DNS is not waited for", hostRun{decided: true, removing: true}, ""},
	} {
		c.h.server.Hostname = "mx1.example.com"
		if got := c.h.notNameable(); (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("%s: %q", c.reason, got)
		}
	}
}

// TestNamedByMX: the TLSA records of a server that leaves stay while MX records of ours name it, or caches may hold some
// (trap 15).
func TestNamedByMX(t *testing.T) {
	const left, stays = "mx1.example.com", "mx2.example.com"
	later := metav1.NewTime(paceNow.Add(time.Minute))
	for _, c := range []struct {
		reason   string
		mx       *v1alpha1.MailRecordStatus
		host     string
		deleting bool
		named    bool
	}{
		{"nothing is known of MX records", nil, left, false, false},
		{"ours name it", &v1alpha1.MailRecordStatus{Own: []string{"10 mx1.example.com."}, Found: []string{"10 mx1.example.com."}}, left, false, true},
		{"they are ours, and do not stand", &v1alpha1.MailRecordStatus{Own: []string{"10 mx1.example.com."}}, left, false, false},
		{"somebody else's name it: they are not waited for", &v1alpha1.MailRecordStatus{Found: []string{"10 mx1.example.com."}}, left, false, false},
		{"a server still shows it", &v1alpha1.MailRecordStatus{Leaving: []v1alpha1.LeavingHost{{Hostname: left}}}, left, false, true},
		{"caches may name it", &v1alpha1.MailRecordStatus{Leaving: []v1alpha1.LeavingHost{{Hostname: left, Until: &later}}}, left, false, true},
		{"no cache does any more", &v1alpha1.MailRecordStatus{Leaving: []v1alpha1.LeavingHost{{Hostname: left, Until: &metav1.Time{Time: paceNow}}}}, left, false, false},
		{"another one leaves", &v1alpha1.MailRecordStatus{Leaving: []v1alpha1.LeavingHost{{Hostname: "mx3.example.com"}}}, left, false, false},
		{"one that stays has lost its Certificates: nothing takes it out of the MX records", &v1alpha1.MailRecordStatus{Own: []string{"10 mx2.example.com."}, Found: []string{"10 mx2.example.com."}}, stays, false, false},
		{"with the MailDomain all of them go", &v1alpha1.MailRecordStatus{Own: []string{"10 mx2.example.com."}, Found: []string{"10 mx2.example.com."}}, stays, true, true},
	} {
		md := mailDomain("mail", "example", 0, host(stays, 25))
		md.Spec.Domain = "example.com"
		if c.deleting {
			md.DeletionTimestamp = &later
		}
		if c.mx != nil {
			c.mx.Record = v1alpha1.RecordMX
			md.Status.Records = []v1alpha1.MailRecordStatus{*c.mx}
		}
		got, until := namedByMX(&md, c.host, paceNow)
		if (got != "") != c.named {
			t.Errorf("%s: %q", c.reason, got)
		}
		if ends := c.reason == "caches may name it"; until.Equal(later.Time) != ends || strings.HasSuffix(got, "until "+later.UTC().Format(time.RFC3339)) != ends {
			t.Errorf("%s: it waits until %s: %q", c.reason, until, got)
		}
	}
}

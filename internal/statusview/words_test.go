package statusview

import (
	"slices"
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// TestSenders: the verdict is on senders that look everything up now, and does not hide that others may fail.
func TestSenders(t *testing.T) {
	view := func(v v1alpha1.SenderVerdict) *v1alpha1.SenderViewStatus {
		return &v1alpha1.SenderViewStatus{Verdict: v, Message: "as told."}
	}
	unsafe := &v1alpha1.UnsafeStatus{Message: "past the gate"}
	for _, c := range []struct {
		reason  string
		s       *v1alpha1.MailServerStatus
		want    string
		mayFail bool
	}{
		{"nothing is known", nil, "", false},
		{"it was not looked up", &v1alpha1.MailServerStatus{}, "", false},
		{"all is well", &v1alpha1.MailServerStatus{SenderView: view(v1alpha1.SenderDANE)}, "DANE", false},
		{"a key is served too early", &v1alpha1.MailServerStatus{SenderView: view(v1alpha1.SenderDANE), Unsafe: unsafe}, "DANE, some may fail", true},
		{"and it was not looked up", &v1alpha1.MailServerStatus{Unsafe: unsafe}, "some may fail", true},
		{"nobody delivers anyway", &v1alpha1.MailServerStatus{SenderView: view(v1alpha1.SenderUndeliverable), Unsafe: unsafe}, "Undeliverable", false},
	} {
		if got := Senders(c.s); got != c.want {
			t.Errorf("%s: %q, want %q", c.reason, got, c.want)
		}
		if c.s == nil {
			continue
		}
		if got := SomeMayFail(c.s); got != c.mayFail {
			t.Errorf("%s: some may fail: %t", c.reason, got)
		}
		message := SendersMessage(c.s)
		if (message == "") != (c.s.SenderView == nil) || c.s.SenderView != nil && strings.Contains(message, "may fail.") != c.mayFail || strings.Contains(message, "..") {
			t.Errorf("%s: %q", c.reason, message)
		}
	}
}

// TestVisibilities: each once, in the order in which a key goes through them.
func TestVisibilities(t *testing.T) {
	s := &v1alpha1.MailServerStatus{}
	for _, v := range []v1alpha1.Visibility{v1alpha1.VisibilityUnretentive, v1alpha1.VisibilityRumoured, v1alpha1.VisibilityRumoured} {
		s.Keys = append(s.Keys, v1alpha1.KeyStatus{Visibility: v})
	}
	if got := Visibilities(s); !slices.Equal(got, []v1alpha1.Visibility{v1alpha1.VisibilityRumoured, v1alpha1.VisibilityUnretentive}) {
		t.Errorf("%v", got)
	}
}

// TestPlaceOfAnEndpoint: what is known of no port is told without one, and not with port 0.
func TestPlaceOfAnEndpoint(t *testing.T) {
	for want, e := range map[string]v1alpha1.EndpointStatus{
		"192.0.2.1 port 25": {Address: "192.0.2.1", Port: 25}, "mx1.example.com": {Address: "mx1.example.com"},
	} {
		if got := EndpointPlace(e); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

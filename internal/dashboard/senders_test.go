package dashboard

import (
	"strings"
	"testing"

	"k8s.io/utils/clock"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// TestSendersOfAHostThatIsNotSafe: it is said what senders do that look everything up now, and that others may fail, and
// both stand in the colour of what is not safe; where all is well it says neither.
func TestSendersOfAHostThatIsNotSafe(t *testing.T) {
	unsafe := domain("one", "unsafe", "z.example")
	s := &unsafe.Status.MailServers[0]
	s.Unsafe, s.SenderView.Message = &v1alpha1.UnsafeStatus{Message: "past the gate"}, "Mail is authenticated."
	s.Keys = []v1alpha1.KeyStatus{{SPKISHA256: strings.Repeat("1a", 32), Role: v1alpha1.RoleCurrent, Visibility: v1alpha1.VisibilityRumoured}}
	lost := domain("one", "lost", "y.example")
	lost.Status.MailServers[0].SenderView.Verdict = v1alpha1.SenderUndeliverable
	b := newBed(t, clock.RealClock{}, nil, &unsafe, &lost)
	overview := b.get("/", "all").Body.String()
	for text, want := range map[string]int{
		`<dd class="fails">DANE, some may fail</dd>`: 1, `<dd class="fails">Undeliverable</dd>`: 1, `<td data-label="Senders">DANE</td>`: 2, `>DANE</dd>`: 0,
	} {
		if got := strings.Count(overview, text); got != want {
			t.Errorf("%s stands %d times in the list, want %d", text, got, want)
		}
	}
	host := b.get(hostOf(&unsafe, "z.example", s, noon).Link(), "all").Body.String()
	for _, text := range []string{
		`<span class="fails">DANE, some may fail</span>: Those that look everything up now: Mail is authenticated. Those whose caches hold former answers may fail.`,
		"<dt>Rumoured</dt><dd>Some caches may have the key",
	} {
		if !strings.Contains(host, text) {
			t.Errorf("the page of the host lacks %s", text)
		}
	}
	if strings.Contains(host, "<dt>Omnipresent</dt>") {
		t.Error("a word is explained that is not shown")
	}
}

package dashboard

import (
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// TestSigningKeysOnPage: the page of a host tells of the keys of its domain, and what the next one waits for; what stands
// in DNS is shown as text.
func TestSigningKeysOnPage(t *testing.T) {
	md := domain("mail", "d", mx1)
	if p, _ := NewHostPage(&md, mx1, noon); p.SigningKeys != nil {
		t.Errorf("without keys the page tells of %+v", p.SigningKeys)
	}
	md.Status.DKIM = []v1alpha1.DKIMStatus{
		{Name: "rsa", State: v1alpha1.DKIMInUse, Selector: "rsa-3f9a2b1c77d0", Message: "caches may lack it", Keys: []v1alpha1.DKIMKeyStatus{
			{Selector: "rsa-8d01c2f4a9be", Role: v1alpha1.RoleNext, DeployableAt: hours(2)},
		}},
		{Name: "ed", State: v1alpha1.DKIMConflict, Message: "there stands <b>a record</b>"},
		{Name: "new", State: v1alpha1.DKIMPreparing},
	}
	b := newBed(t, fakeClock(), nil, &md)
	page := b.get("/host?namespace=mail&maildomain=d&host="+mx1, "all").Body.String()
	for _, want := range []string{"rsa-3f9a2b1c77d0", "rsa-8d01c2f4a9be", "Waiting for caches", "caches may lack it", "in 120m", "Conflict", "&lt;b&gt;a record"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not tell %q", want)
		}
	}
	if n := strings.Count(page, `class="fails">`); n != 1 {
		t.Errorf("%d keys are marked, want the one that is in trouble", n)
	}
}

package reportserver

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// TestPolicyCoversStatus: the policy of config/reports keeps the receiver from every field of the status but its own.
func TestPolicyCoversStatus(t *testing.T) {
	text, err := os.ReadFile("../../config/reports/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	status := reflect.TypeFor[v1alpha1.MailDomainStatus]()
	for i := range status.NumField() {
		name, _, _ := strings.Cut(status.Field(i).Tag.Get("json"), ",")
		kept := strings.Contains(string(text), "object.?status.?"+name+" == oldObject.?status.?"+name)
		if want := name != "tlsReports"; kept != want {
			t.Errorf("that status.%s stays as it is: in the policy %v, want %v", name, kept, want)
		}
	}
}

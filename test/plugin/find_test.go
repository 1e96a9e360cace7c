package plugin

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// TestWhatIsElsewhere: what is not in the namespace is said to be in another one, or in several; and where it is nowhere, what lists
// all. With -A one is shown wherever it is, and of several none.
func TestWhatIsElsewhere(t *testing.T) {
	here, there, third := cluster.Namespace(t.Context(), t), cluster.Namespace(t.Context(), t), cluster.Namespace(t.Context(), t)
	apply := func(namespace string) {
		manifest := strings.NewReplacer("name: example,", "name: elsewhere,", "example.com", "elsewhere.example").Replace(mailDomain)
		must(t, cluster.Apply(t.Context(), fmt.Sprintf(manifest, namespace)))
		t.Cleanup(func() { // other tests list those of all namespaces
			md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "elsewhere"}}
			must(t, cluster.Client.Delete(context.Background(), md))
		})
		zone := &v1alpha1.DNSZone{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "elsewhere"},
			Spec: v1alpha1.DNSZoneSpec{Zone: "elsewhere.example", Update: v1alpha1.UpdateSpec{
				Nameserver: "192.0.2.53", TSIGKeyName: "key", TSIGSecretSecretRef: &v1alpha1.SecretKeyReference{Name: "tsig", Key: "secret"},
			}},
		}
		must(t, cluster.Client.Create(t.Context(), zone))
		t.Cleanup(func() { must(t, cluster.Client.Delete(context.Background(), zone)) })
	}
	commands := [][]string{{"status", "elsewhere.example"}, {"records", "elsewhere"}, {"zone", "elsewhere.example"}, {"rollover", "mx1.elsewhere.example", "--dry-run"}}
	fails := func(want ...string) {
		t.Helper()
		for _, args := range commands {
			out, code := dane(t, here, args...)
			if code != 1 {
				t.Errorf("%v: exit code %d", args, code)
			}
			wants(t, out, append(want, "in namespace "+here+" ")...)
		}
	}
	fails("-n names another namespace, and kubectl ", " -A lists those of all")
	apply(there)
	fails("; there is one in namespace " + there + ": add -n " + there + "\n")
	for _, name := range []string{"elsewhere", "elsewhere.example"} {
		if out, code := dane(t, here, "status", name, "-A"); code != 2 || !strings.Contains(out, "MailDomain "+there+"/elsewhere of ") {
			t.Errorf("-A does not find %s, which is not safe yet: exit code %d: %s", name, code, out)
		}
	}
	apply(third)
	fails("; there is one in each of the namespaces ", there, third, ": name one with -n\n")
	if out, code := dane(t, here, "status", "elsewhere", "-A"); code != 1 || !strings.Contains(out, "more than one MailDomain ") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if out, code := dane(t, here, "status", "nowhere", "-A"); code != 1 || !strings.Contains(out, "no MailDomain in any namespace ") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

package samples

import (
	"os"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
)

// shownOn is the only object of a kind in the manifests that a page shows, which an API server takes strictly.
func shownOn(t *testing.T, page string, blocks [][][]byte, into client.Object) {
	t.Helper()
	found := 0
	for _, block := range blocks {
		objects, err := kube.Decode(string(block[1]))
		if err != nil || len(objects) != 1 {
			t.Fatalf("%s: %d objects: %v", page, len(objects), err)
		}
		o := objects[0]
		if err := cluster.EnsureNamespace(t.Context(), o.GetNamespace()); err != nil {
			t.Fatal(err)
		}
		if err := cluster.Client.Create(t.Context(), o.DeepCopy(), client.DryRunAll, client.FieldValidation("Strict")); err != nil {
			t.Errorf("%s: %v in\n%s", page, err, block[1])
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, into); err != nil {
			t.Fatal(err)
		}
		found++
	}
	if found != 1 {
		t.Fatalf("%s has %d of them", page, found)
	}
}

func pageText(t *testing.T, page string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestIngressOfReports: the Ingress of docs/tls-reports.md leads from the address in the record of the page to the Service of the
// receiver.
func TestIngressOfReports(t *testing.T) {
	const page = "tls-reports.md"
	text, service := pageText(t, page), receiversService(t)
	var ingress networkingv1.Ingress
	shownOn(t, page, routes.FindAllSubmatch(text, -1), &ingress)
	rule := ingress.Spec.Rules[0]
	path := rule.HTTP.Paths[0]
	if uri := "rua=https://" + rule.Host + path.Path + "\""; !strings.Contains(string(text), uri) {
		t.Errorf("the record of the page does not have %q", uri)
	}
	to := path.Backend.Service
	if to.Name != service.Name || ingress.Namespace != service.Namespace || to.Port.Name != service.Spec.Ports[0].Name {
		t.Errorf("it leads to %+v in %s, and the Service is %s/%s", to, ingress.Namespace, service.Namespace, service.Name)
	}
	if !slices.Contains(ingress.Spec.TLS[0].Hosts, rule.Host) {
		t.Errorf("the certificate is for %v", ingress.Spec.TLS[0].Hosts)
	}
}

// TestSignerOfThePage: the pod of docs/dkim.md mounts, whole, the Secrets that the MailDomain of the page names, where the settings of
// rspamd look for them, in its namespace.
func TestSignerOfThePage(t *testing.T) {
	const page = "dkim.md"
	text := pageText(t, page)
	var signer [][][]byte
	var md v1alpha1.MailDomain
	for _, block := range yamlBlock.FindAllSubmatch(text, -1) {
		if strings.HasPrefix(string(block[1]), "# signer.yaml\n") {
			signer = append(signer, block)
		} else if err := yaml.UnmarshalStrict(block[1], &md); err != nil {
			t.Fatal(err)
		}
	}
	var deployment appsv1.Deployment
	shownOn(t, page, signer, &deployment)
	pod := deployment.Spec.Template.Spec
	mounted := map[string]string{}
	for _, v := range pod.Volumes {
		for _, m := range pod.Containers[0].VolumeMounts {
			if m.Name == v.Name && v.Secret != nil {
				mounted[v.Secret.SecretName] = m.MountPath
				if m.SubPath != "" || len(v.Secret.Items) > 0 {
					t.Errorf("of Secret %s only a part is mounted", v.Secret.SecretName)
				}
			}
		}
	}
	for _, k := range md.Spec.DKIM.Keys {
		if mounted[k.SecretName] == "" {
			t.Errorf("Secret %s is not mounted: %v", k.SecretName, mounted)
		}
	}
	if at := mounted["dkim-rsa"]; !strings.Contains(string(text), "selector_map = \""+at+"/..data/selectors.map\";") {
		t.Errorf("rspamd does not look in %q", at)
	}
	if deployment.Namespace != md.Namespace || len(md.Spec.DKIM.Keys) != 2 {
		t.Errorf("the pod is in %s, and the MailDomain in %s has %d keys", deployment.Namespace, md.Namespace, len(md.Spec.DKIM.Keys))
	}
}

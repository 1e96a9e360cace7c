package walk

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
)

// TestPages follows the README: it installs by kustomize and makes the objects. Then it follows what the pages on
// migration and on upgrades want typed, and takes the operator out. What comes of a migration is tested in test/cases,
// and Helm's way in in test/chart, with Helm's own engine.
func TestPages(t *testing.T) {
	t.Parallel()
	d := newDesk(t, kube.Options{})
	d.containers["manager"] = func(deployment *appsv1.Deployment) {
		if image := deployment.Spec.Template.Spec.Containers[0].Image; image != "REGISTRY/dane-operator:TAG" {
			d.Errorf("the Deployment has the image %s", image)
		}
	}
	elsewhere := func(string) {} // tested by itself
	d.follow("README.md", instead{
		"git clone": elsewhere, "go install": elsewhere, "make demo": elsewhere, "make test": elsewhere, "make image": elsewhere, "helm install": elsewhere,
		"kubectl -n mail patch md NAME": d.letGo,
	})
	d.run("kubectl apply -f example-com.yaml") // that of the README
	d.run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=mx1.example.com -keyout privkey.pem -out fullchain.pem")
	d.follow("docs/migration.md", nil)
	md := d.domain()
	if md.Spec.TLSA.ForeignRecords != v1alpha1.ForeignRemove {
		t.Errorf("after the migration foreignRecords is %s", md.Spec.TLSA.ForeignRecords)
	}
	d.follow("docs/upgrade.md", instead{"helm upgrade": elsewhere, "kubectl -n mail patch md NAME": d.letGo})
	d.uninstall()
}

// inText are the commands that stand between other words.
var inText = regexp.MustCompile("`((?:kubectl (?:-n|apply)|make uninstall)[^`]*)`")

// uninstall types what the text of the README says, in the end "make uninstall".
func (d *desk) uninstall() {
	d.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	d.must(err)
	root, err := kube.Root()
	d.must(err)
	tried := 0
	for _, found := range inText.FindAllStringSubmatch(strings.Join(strings.Fields(string(text)), " "), -1) {
		tried++
		d.run(strings.Replace(found[1], "make ", "make -s -C "+root+" ", 1))
	}
	if tried < 3 {
		d.Errorf("only %d commands were found in the text: does the test still find them?", tried)
	}
	var left appsv1.DeploymentList
	d.must(d.cluster.Client.List(d.Context(), &left))
	var domains v1alpha1.MailDomainList
	if err := d.cluster.Client.List(d.Context(), &domains); err != nil || len(left.Items) > 0 {
		d.Errorf("make uninstall left %d Deployments; and the CRDs are to stay: %v", len(left.Items), err)
	}
}

// domain reads the MailDomain of the README.
func (d *desk) domain() *v1alpha1.MailDomain {
	d.Helper()
	md := &v1alpha1.MailDomain{}
	d.must(d.cluster.Client.Get(d.Context(), client.ObjectKey{Namespace: "mail", Name: "example-com"}, md))
	return md
}

// letGo is for a MailDomain that was deleted with no operator there.
func (d *desk) letGo(command string) {
	md := d.domain()
	md.Finalizers = []string{v1alpha1.Finalizer}
	d.must(d.cluster.Client.Update(d.Context(), md))
	d.must(d.cluster.Client.Delete(d.Context(), md))
	d.domain() // it waits
	d.run(strings.Replace(command, "NAME", md.Name, 1))
	if err := d.cluster.Client.Get(d.Context(), client.ObjectKeyFromObject(md), md); !apierrors.IsNotFound(err) {
		d.Errorf("after %q the MailDomain is still there: %v", command, err)
	}
}

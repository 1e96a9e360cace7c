package chart

import (
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestPageIsThatOfConfig wants dashboard.enabled to make what config/dashboard has, and nothing of it where it is off.
func TestPageIsThatOfConfig(t *testing.T) {
	plain, _ := like.manifests(t)
	with := like
	with.values = "{image: {tag: latest}, dashboard: {enabled: true}}"
	got, notes := with.manifests(t)
	want := map[string]*unstructured.Unstructured{}
	for _, file := range []string{"auth.yaml", "roles.yaml"} {
		for _, o := range decodeFile(t, filepath.Join(configDir, "dashboard", file)) {
			want[o.GetKind()+" "+o.GetName()] = o
		}
	}
	for key, w := range want {
		g := got[key]
		if g == nil || plain[key] != nil {
			t.Errorf("%s: made %t, and where nobody asked for it %t", key, g != nil, plain[key] != nil)
			continue
		}
		g.SetLabels(nil)
		if !reflect.DeepEqual(g.Object, w.Object) {
			t.Errorf("%s: the chart makes\n%s\nand config/dashboard has\n%s", key, text(t, g), text(t, w))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if plain[key] == nil && want[key] == nil {
			t.Errorf("the chart makes %s, which config/dashboard does not have", key)
		}
	}
	if says := "port-forward deployment/dane-operator 8082"; !strings.Contains(notes, says) {
		t.Errorf("the notes do not say %q:\n%s", says, notes)
	}
	if d := deployment(t, got, "dane-operator"); len(d.Spec.Template.Spec.Containers[0].Ports) != 2 {
		t.Errorf("the ports are %v: that of the page is for nobody but the pod itself", d.Spec.Template.Spec.Containers[0].Ports)
	}
}

// TestPageWithAService follows the page from the Service to the container, and the certificate to the file.
func TestPageWithAService(t *testing.T) {
	objects, notes := release{"x", "mail", "dashboard: {enabled: true, port: 9443, certificateSecret: page-tls, service: {create: true}}"}.manifests(t)
	service := &corev1.Service{}
	into(t, objects["Service x-dane-operator-dashboard"], service)
	d := deployment(t, objects, "x-dane-operator")
	if !maps.Equal(service.Spec.Selector, d.Spec.Selector.MatchLabels) || service.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		t.Errorf("the Service is %+v", service.Spec)
	}
	container := d.Spec.Template.Spec.Containers[0]
	at := slices.IndexFunc(container.Ports, func(p corev1.ContainerPort) bool { return p.Name == service.Spec.Ports[0].TargetPort.String() })
	if at < 0 || container.Ports[at].ContainerPort != 9443 {
		t.Errorf("the Service leads to %v of %v", service.Spec.Ports, container.Ports)
	}
	volumes, mounts := d.Spec.Template.Spec.Volumes, container.VolumeMounts
	if len(volumes) != 1 || len(mounts) != 1 || volumes[0].Secret.SecretName != "page-tls" || mounts[0].Name != volumes[0].Name ||
		!slices.Contains(container.Args, "--dashboard-cert-dir="+mounts[0].MountPath) {
		t.Errorf("the certificate is not where the flag says: %+v %+v %v", volumes, mounts, container.Args)
	}
	if says := "has it at https://localhost:9443."; !strings.Contains(notes, says) {
		t.Errorf("the notes do not say %q:\n%s", says, notes)
	}
}

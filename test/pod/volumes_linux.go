package pod

import (
	"os"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// volumes makes a folder for each volume, and mounts them where the container says.
func (p *Pod) volumes() {
	p.t.Helper()
	for _, v := range p.Spec.Volumes {
		p.volume(v)
	}
	for _, m := range p.container().VolumeMounts {
		if !exists(p.Folder(m.Name)) {
			p.t.Fatalf("%s is to be mounted at %s, and the pod has no such volume", m.Name, m.MountPath)
		}
		p.mount(p.Folder(m.Name), m.MountPath, m.ReadOnly)
	}
}

// volume makes the folder of one. A kubelet gives what can be written to the group of the pod (fsGroup).
func (p *Pod) volume(v corev1.Volume) {
	p.t.Helper()
	folder := p.Folder(v.Name)
	p.must(os.MkdirAll(folder, 0o755)) //nolint:gosec // the user of the pod reads it
	group := -1
	if s := p.Spec.SecurityContext; s != nil && s.FSGroup != nil {
		group = int(*s.FSGroup)
	}
	switch {
	case v.PersistentVolumeClaim != nil:
		p.get(&corev1.PersistentVolumeClaim{}, v.PersistentVolumeClaim.ClaimName)
	case v.EmptyDir != nil:
	case v.Secret != nil:
		secret := &corev1.Secret{}
		p.get(secret, v.Secret.SecretName)
		for name, text := range secret.Data {
			p.file(filepath.Join("volumes", v.Name, name), text, 0o640)
			p.must(os.Chown(filepath.Join(folder, name), 0, group))
		}
		return
	default:
		p.t.Fatalf("volume %s is of a kind that is not known here: %+v", v.Name, v.VolumeSource)
	}
	if group >= 0 {
		p.must(os.Chown(folder, 0, group))
		p.must(os.Chmod(folder, 0o775|os.ModeSetgid))
	}
}

// get reads an object that has to be there.
func (p *Pod) get(object client.Object, name string) {
	p.t.Helper()
	if err := p.cluster.Client.Get(p.t.Context(), types.NamespacedName{Namespace: p.namespace, Name: name}, object); err != nil {
		p.t.Fatalf("a volume of the pod: %v", err)
	}
}

// account mounts the token of the service account, as the API server gives it.
func (p *Pod) account() {
	p.t.Helper()
	if no := p.Spec.AutomountServiceAccountToken; no != nil && !*no {
		return
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: p.Spec.ServiceAccountName}}
	request := &authenticationv1.TokenRequest{}
	if err := p.cluster.Client.SubResource("token").Create(p.t.Context(), account, request); err != nil {
		p.t.Fatalf("the token of the pod's account: %v", err)
	}
	for name, text := range map[string]string{"token": request.Status.Token, "ca.crt": string(p.cluster.Config.CAData), "namespace": p.namespace} {
		p.file(filepath.Join("account", name), []byte(text), 0o644)
	}
	p.must(os.Chmod(filepath.Join(p.dir, "account"), 0o755)) //nolint:gosec // the user of the pod reads it
	p.mount(filepath.Join(p.dir, "account"), accountFolder, true)
}

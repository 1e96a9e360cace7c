package e2e

import (
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// What differs between two rollovers that ended alike.
var (
	instants = regexp.MustCompile(`"?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"?`)
	serials  = regexp.MustCompile(`serialNumber: "?[0-9a-f]+"?`)
)

// picture is all that a rollover leaves behind, in words that do not tell when it was, nor which keys it was
// about: what every name server shows, every Secret, the status and the marks on the objects. Two
// rollovers that ended alike have the same picture. An error says that a server gave none: NSD ends connections
// when it has new records.
func (s *site) picture() (string, error) {
	s.Helper()
	md, err := s.lab.Domain(s.Context(), s.lab.Namespace)
	s.must(err)
	var b strings.Builder
	for i, server := range s.authoritative() {
		shown, err := s.shownBy(server)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "name server %d:\n%s\n", i, shown)
	}
	s.pictureSecrets(&b)
	s.pictureRequests(&b)
	withoutPast(&md.Status)
	status, err := yaml.Marshal(md.Status)
	s.must(err)
	fmt.Fprintf(&b, "finalizers: %v\n%s", md.Finalizers, status)
	text := serials.ReplaceAllString(instants.ReplaceAllString(b.String(), "INSTANT"), "serialNumber: SERIAL")
	for _, k := range md.Status.MailServers[0].Keys {
		text = strings.ReplaceAll(text, k.SPKISHA256, "KEY-"+string(k.Role))
	}
	return sortedLists(text), nil
}

// withoutPast takes out the answers that no server gives any more, and the records that were ours: how long they
// are remembered depends on when there was something else to store.
func withoutPast(status *v1alpha1.MailDomainStatus) {
	for i := range status.MailServers {
		server := &status.MailServers[i]
		server.Versions = slices.DeleteFunc(server.Versions, func(v v1alpha1.VersionStatus) bool { return v.AbsentSince != nil })
		server.OwnRecords = slices.DeleteFunc(server.OwnRecords, func(record string) bool {
			return !slices.ContainsFunc(server.Keys, func(k v1alpha1.KeyStatus) bool { return strings.HasSuffix(record, k.SPKISHA256) })
		})
	}
}

// sortedLists sorts the lines that are TLSA records: their order is that of digests.
func sortedLists(text string) string {
	lines := strings.Split(text, "\n")
	record := func(line string) bool { return strings.Contains(line, "KEY-") && strings.Contains(line, "3 1 1") }
	for from := 0; from < len(lines); from++ {
		to := from
		for to < len(lines) && record(lines[to]) {
			to++
		}
		if to > from {
			slices.Sort(lines[from:to])
			from = to
		}
	}
	return strings.Join(lines, "\n")
}

// pictureSecrets tells of each Secret what it is and whose key is in it.
func (s *site) pictureSecrets(b *strings.Builder) {
	s.Helper()
	var list corev1.SecretList
	s.must(s.lab.Client.List(s.Context(), &list, client.InNamespace(s.lab.Namespace)))
	slices.SortFunc(list.Items, func(x, y corev1.Secret) int { return strings.Compare(x.Name, y.Name) })
	for _, secret := range list.Items {
		fmt.Fprintf(b, "Secret %s %s %v %v", secret.Name, secret.Type, secret.Labels, slices.Sorted(maps.Keys(secret.Data)))
		chain, key := secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]
		if len(chain) > 0 {
			_, err := tls.X509KeyPair(chain, key)
			fmt.Fprintf(b, " chain and key fit: %t", err == nil)
		}
		fmt.Fprintf(b, " %s\n", spkiOf(key))
	}
}

// pictureRequests tells what requests the newest revision of the Certificate took, and the mark on it.
func (s *site) pictureRequests(b *strings.Builder) {
	s.Helper()
	crt := &cmapi.Certificate{}
	s.must(s.lab.Client.Get(s.Context(), types.NamespacedName{Namespace: s.lab.Namespace, Name: "mx1"}, crt))
	fmt.Fprintf(b, "Certificate gated by its MailDomain: %t\n", crt.Annotations[v1alpha1.GateAnnotation] == s.lab.Namespace)
	requests, err := s.lab.RequestsOf(s.Context(), s.lab.Namespace, "mx1")
	s.must(err)
	newest := fmt.Sprint(s.revisionOf("mx1"))
	for i := range requests {
		if requests[i].Annotations[cmapi.CertificateRequestRevisionAnnotationKey] == newest {
			fmt.Fprintf(b, "request of the newest revision, approved: %t\n", isApproved(&requests[i]))
		}
	}
}

// spkiOf names the key of a PEM text as records do; empty when it holds none.
func spkiOf(text []byte) string {
	block, _ := pem.Decode(text)
	if block == nil {
		return ""
	}
	var key any
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		if key, err = x509.ParseECPrivateKey(block.Bytes); err != nil {
			return "unreadable key"
		}
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return "unknown key"
	}
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return "unknown key"
	}
	digest := sha256.Sum256(der)
	return hex.EncodeToString(digest[:])
}

// differences are the lines of two texts that only one of them has.
func differences(want, have string) string {
	a, b := strings.Split(want, "\n"), strings.Split(have, "\n")
	var out []string
	for _, line := range a {
		if !slices.Contains(b, line) {
			out = append(out, "- "+line)
		}
	}
	for _, line := range b {
		if !slices.Contains(a, line) {
			out = append(out, "+ "+line)
		}
	}
	return strings.Join(out, "\n")
}

package dkim

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"
	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
)

// oldSelector is that of somebody who has signed before the operator came.
const oldSelector = "s2024"

// newcomer is a mail domain that signs with a key that the operator did not make, and follows docs/dkim.md.
type newcomer struct {
	*testing.T
	lab     *lab.Lab
	primary *servers.Primary
	key     crypto.Signer
	// env is that of the shell; asked are flags of "kubectl dane check", which asks a resolver of the test.
	env   []string
	asked string
}

func newNewcomer(t *testing.T) *newcomer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	n := &newcomer{T: t, key: private}
	n.primary = servers.StartBINDPrimary(t, servers.Options{
		Zone: domain, Grants: grantsShown(t, servers.BIND, domain),
		Records: []string{
			"@ 60 MX 10 mx1", "mx1 60 A 127.0.0.1",
			oldSelector + `._domainkey 60 TXT "v=DKIM1; k=ed25519; p=` + base64.StdEncoding.EncodeToString(public) + `"`,
		},
	})
	n.lab = newLab(t)
	_, err = n.lab.CreateZone(t.Context(), "zone", lab.Zone{
		Name: domain, Primary: n.primary.Addr.String(), Servers: []string{n.primary.Addr.String()},
		TSIGName: n.primary.TSIGName, TSIGSecret: n.primary.TSIGSecret, DS: n.primary.DS,
	}, lab.Fast)
	must(t, err)
	must(t, n.lab.Client.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.lab.Namespace, Name: "signer"}, StringData: map[string]string{oldSelector + ".key": "of the signer"},
	}))
	must(t, n.lab.Client.Create(t.Context(), &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: n.lab.Namespace, Name: "example-com"}, Spec: v1alpha1.MailDomainSpec{
		Domain:      domain,
		MailServers: []v1alpha1.MailServer{{Hostname: "mx1." + domain, Probe: v1alpha1.ProbeSpec{Mode: v1alpha1.ProbeDisabled}}},
		Rollover:    v1alpha1.RolloverSpec{PublishSafety: "1s"},
	}}))
	n.shell()
	return n
}

// shell has bash find the real kubectl, and the plugin as "make build" makes it.
func (n *newcomer) shell() {
	n.Helper()
	kubectl, err := kube.Program(n.Context(), "kubectl", func(line string) { n.Log(line) })
	must(n.T, err)
	root, err := kube.Root()
	must(n.T, err)
	programs := n.TempDir()
	must(n.T, os.Symlink(kubectl, filepath.Join(programs, "kubectl")))
	build := exec.CommandContext(n.Context(), "go", "build", "-C", root, "-o", programs+"/", "./cmd/kubectl-dane")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		n.Fatalf("build kubectl-dane: %v\n%s", err, out)
	}
	n.env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"), "KUBECONFIG="+n.lab.Kubeconfig, "HOME="+n.TempDir())
	resolver := servers.StartUnbound(n, servers.ResolverOptions{
		Extra: []string{"cache-max-ttl: 0", "cache-max-negative-ttl: 0"}, Stubs: []servers.Stub{servers.StubOf(n.primary)},
	})
	anchors := filepath.Join(programs, "anchors.ds")
	must(n.T, os.WriteFile(anchors, []byte(domain+". IN DS "+n.primary.DS+"\n"), 0o600))
	n.asked = fmt.Sprintf(" --resolvers %s --trust-anchors %s --no-connect", resolver.Addr, anchors)
}

// typed runs a command of the page. Where it is "check", the resolver of the test is asked, and its exit code is about the
// whole domain.
func (n *newcomer) typed(command string) string {
	n.Helper()
	about := strings.HasPrefix(command, "kubectl dane check")
	if about {
		command += n.asked
	}
	cmd := exec.CommandContext(n.Context(), "bash", "-c", command)
	cmd.Env = n.env
	out, err := cmd.CombinedOutput()
	n.Logf("$ %s\n%s", command, out)
	if err != nil && (!about || cmd.ProcessState.ExitCode() == 1) {
		n.Fatalf("%s: %v", command, err)
	}
	return string(out)
}

// existing is the section of docs/dkim.md for those who have a key.
func existing(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/dkim.md")
	must(t, err)
	_, section, found := strings.Cut(string(page), "\n## From a key that you have\n")
	section, _, ended := strings.Cut(section, "\n## ")
	if !found || !ended {
		t.Fatal("docs/dkim.md has no section for those who have a key")
	}
	return section
}

// inSection finds commands on lines of their own, and within the text.
var inSection = regexp.MustCompile("(?m)^ {4,}(kubectl .*)$|`(kubectl [^`]*)`")

// commands are those of the section, in its order.
func commands(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, found := range inSection.FindAllStringSubmatch(existing(t), -1) {
		out = append(out, strings.NewReplacer("example.com", domain, "OLD", oldSelector).Replace(strings.Join(strings.Fields(found[1]+found[2]), " ")))
	}
	return out
}

// shownSpec is spec.dkim of the manifest that docs/dkim.md begins with.
func shownSpec(t *testing.T) *v1alpha1.DKIMSpec {
	t.Helper()
	page, err := os.ReadFile("../../docs/dkim.md")
	must(t, err)
	_, block, _ := strings.Cut(string(page), "\n```yaml\n")
	block, _, _ = strings.Cut(block, "\n```\n")
	md := &v1alpha1.MailDomain{}
	must(t, yaml.UnmarshalStrict([]byte(block), md))
	if md.Name != "example-com" || md.Namespace != "mail" || md.Spec.DKIM == nil || len(md.Spec.DKIM.Keys) != 2 {
		t.Fatalf("docs/dkim.md begins with %+v", md)
	}
	return md.Spec.DKIM
}

// records are the TXT records that a receiver finds now.
func (n *newcomer) records(name string) ([]string, error) {
	reply, err := servers.Ask(n.primary.Addr, name+".", dns.TypeTXT, false)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, rr := range reply.Answer {
		if txt, ok := rr.(*dns.TXT); ok {
			out = append(out, strings.Join(txt.Txt, ""))
		}
	}
	return out, nil
}

// verifies says what a receiver makes of a message now.
func (n *newcomer) verifies(text string) error {
	results, err := msgauth.VerifyWithOptions(strings.NewReader(text), &msgauth.VerifyOptions{LookupTXT: n.records})
	if err != nil || len(results) != 1 {
		return fmt.Errorf("%d signatures: %w", len(results), err)
	}
	return results[0].Err
}

// signsAsBefore signs with the key that was there.
func (n *newcomer) signsAsBefore() string {
	n.Helper()
	var out bytes.Buffer
	must(n.T, msgauth.Sign(&out, strings.NewReader(mailText), &msgauth.SignOptions{Domain: domain, Selector: oldSelector, Signer: n.key}))
	return out.String()
}

// secret reads one.
func (n *newcomer) secret(name string) *corev1.Secret {
	n.Helper()
	s := &corev1.Secret{}
	must(n.T, n.lab.Client.Get(n.Context(), types.NamespacedName{Namespace: n.lab.Namespace, Name: name}, s))
	return s
}

// TestFromAKeyThatYouHave types the steps of docs/dkim.md: mail that the old key signs verifies at each of them, until its
// record is taken out by hand; mail that is signed by the new Secrets verifies from when the page says that they may be used;
// and nothing of the old key is touched.
func TestFromAKeyThatYouHave(t *testing.T) {
	spec, all := shownSpec(t), commands(t)
	const wait, check = "kubectl -n mail wait md/example-com --for=condition=DKIMReady --timeout=", "kubectl dane check " + domain + " "
	if len(all) != 2 || !strings.HasPrefix(all[0], wait) || !strings.HasPrefix(all[1], check) {
		t.Fatalf("the section has the commands %q: does the test still do what it says?", all)
	}
	n := newNewcomer(t)
	before, signed := n.secret("signer"), n.signsAsBefore()
	must(t, n.verifies(signed))

	// Step 1.
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"dkim": spec}})
	must(t, err)
	md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "example-com"}}
	must(t, n.lab.Client.Patch(t.Context(), md, client.RawPatch(types.MergePatchType, patch)))

	// Step 2, and what the page says beside the steps.
	n.typed(all[0])
	must(t, n.verifies(signed))

	if out := n.typed(all[1]); !regexp.MustCompile(`(?m)^DKIM ` + oldSelector + ` +Good `).MatchString(out) {
		t.Errorf("check does not look at the old selector:\n%s", out)
	}

	// Step 3. All signers are started first: rspamd takes its time.
	signers := map[string]signer{}
	for _, key := range spec.Keys {
		signers[key.Name] = n.mounted(key)
	}
	for _, key := range spec.Keys {
		text := n.signed(signers[key.Name])
		if selector := selectorIn(text); !regexp.MustCompile(`^`+key.Name+`-[0-9a-f]{12}$`).MatchString(selector) || selector != string(n.secret(key.SecretName).Data["selector"]) {
			t.Errorf("the header of a message that %s signs names the selector %q", key.SecretName, selector)
		}
		if err := n.verifies(text); err != nil {
			t.Errorf("mail that %s signs: %v", key.SecretName, err)
		}
	}
	must(t, n.verifies(n.signsAsBefore())) // one can go back

	// Step 4.
	n.primary.Admin("delete " + oldSelector + "._domainkey." + domain + ". TXT")
	n.typed(all[0])
	if found, err := n.records(oldSelector + "._domainkey." + domain); err != nil || len(found) > 0 {
		t.Errorf("the old record stands again: %q, %v", found, err)
	}
	if now := n.secret("signer"); now.ResourceVersion != before.ResourceVersion {
		t.Errorf("the Secret of the old key was written: %v", now.ManagedFields)
	}
}

// mounted starts a signer with the settings of the page, which has the Secret of a key mounted.
func (n *newcomer) mounted(key v1alpha1.DKIMKeySpec) signer {
	n.Helper()
	dir := n.TempDir()
	must(n.T, os.Chmod(filepath.Dir(dir), 0o755)) //nolint:gosec // the signers run as other users
	m := &mount{T: n.T, dir: dir}
	m.put(n.secret(key.SecretName).Data)
	return startSigner(n.T, key.Algorithm, dir)
}

// signed is a message that a signer has signed, once it has read all that it reads at its start.
func (n *newcomer) signed(by signer) string {
	n.Helper()
	var err error
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(200 * time.Millisecond) {
		text := ""
		if text, err = by.sign(); err == nil {
			return text
		}
	}
	n.Fatalf("the signer signs nothing: %v", err)
	return ""
}

// startSigner starts the one that reads keys of an algorithm.
func startSigner(t *testing.T, algorithm v1alpha1.DKIMAlgorithm, mounted string) signer {
	t.Helper()
	if algorithm == v1alpha1.DKIMRSA {
		return startOpenDKIM(t, mounted)
	}
	return startRspamd(t, mounted)
}

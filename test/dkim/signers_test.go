package dkim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-milter"

	"github.com/dane-operator/dane-operator/test/kube/child"
	"github.com/dane-operator/dane-operator/test/servers"
)

// header and body are the mail that is signed.
const (
	headerFrom    = "a@example.test"
	headerTo      = "b@example.net"
	headerSubject = "Monday"
	headerDate    = "Sun, 01 Mar 2026 12:00:00 +0000"
	body          = "Hello.\r\n"
)

var mailText = "From: " + headerFrom + "\r\nTo: " + headerTo + "\r\nSubject: " + headerSubject + "\r\nDate: " + headerDate + "\r\n\r\n" + body

// signer is a real signer that reads a mounted Secret.
type signer interface {
	// reload has it read the Secret anew, where it does not by itself.
	reload()
	// sign returns mailText with a signature.
	sign() (string, error)
}

// mount is a folder that a Secret is mounted at, as the kubelet does it: all items change at once, by one link.
type mount struct {
	*testing.T
	dir     string
	version int
}

func (m *mount) put(items map[string][]byte) {
	m.Helper()
	m.version++
	data := fmt.Sprintf("..%d", m.version)
	must(m.T, os.Mkdir(filepath.Join(m.dir, data), 0o755))
	for item, text := range items {
		must(m.T, os.WriteFile(filepath.Join(m.dir, data, item), text, 0o644)) //nolint:gosec // the signers run as other users
	}
	next := filepath.Join(m.dir, "..data_tmp")
	must(m.T, os.Symlink(data, next))
	must(m.T, os.Rename(next, filepath.Join(m.dir, "..data")))
	for item := range items {
		if err := os.Symlink(filepath.Join("..data", item), filepath.Join(m.dir, item)); err != nil && !os.IsExist(err) {
			m.Fatal(err)
		}
	}
	entries, err := os.ReadDir(m.dir)
	must(m.T, err)
	for _, e := range entries {
		if name := e.Name(); !strings.HasPrefix(name, "..") && items[name] == nil {
			must(m.T, os.Remove(filepath.Join(m.dir, name)))
		}
	}
	if m.version > 1 {
		must(m.T, os.RemoveAll(filepath.Join(m.dir, fmt.Sprintf("..%d", m.version-1))))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// daemon starts a program, which ends with the test.
func daemon(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	must(t, err)
	cmd := exec.Command(servers.Find(t, program), args...)
	cmd.Stdout, cmd.Stderr = out, out
	ended, err := child.Start(cmd)
	must(t, err)
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // rspamd ends its workers then
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
		}
		if text, err := os.ReadFile(out.Name()); err == nil && t.Failed() {
			t.Logf("%s: %s", program, text[max(0, len(text)-2000):])
		}
	})
	return cmd
}

// openDKIM is the milter of Debian's package opendkim, with the settings of docs/dkim.md.
type openDKIM struct {
	cmd    *exec.Cmd
	client *milter.Client
}

func startOpenDKIM(t *testing.T, mounted string) *openDKIM {
	t.Helper()
	port := servers.FreePort(t, "127.0.0.1")
	config := filepath.Join(t.TempDir(), "opendkim.conf")
	must(t, os.WriteFile(config, fmt.Appendf(nil, `Mode s
Background no
Socket inet:%d@127.0.0.1
Canonicalization relaxed/simple
BaseDirectory %[2]s
KeyTable file:%[2]s/KeyTable
SigningTable refile:%[2]s/SigningTable
RequireSafeKeys no
Syslog no
`, port, mounted), 0o600))
	address := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String()
	s := &openDKIM{cmd: daemon(t, "opendkim", "-f", "-x", config)}
	s.client = milter.NewClientWithOptions("tcp", address, milter.ClientOptions{
		ReadTimeout: 20 * time.Second, WriteTimeout: 20 * time.Second, ActionMask: milter.OptAddHeader | milter.OptChangeHeader,
	})
	// A signal that came before it listens would end it.
	servers.Eventually(t, "OpenDKIM listens", func() error {
		c, err := net.Dial("tcp", address)
		if err == nil {
			err = c.Close()
		}
		return err
	})
	return s
}

func (s *openDKIM) reload() { _ = s.cmd.Process.Signal(syscall.SIGUSR1) }

func (s *openDKIM) sign() (string, error) {
	session, err := s.client.Session()
	if err != nil {
		return "", err
	}
	defer session.Close()
	for _, step := range []func() (*milter.Action, error){
		func() (*milter.Action, error) { return session.Conn("localhost", milter.FamilyInet, 25, "127.0.0.1") },
		func() (*milter.Action, error) { return session.Helo("localhost") },
		func() (*milter.Action, error) { return session.Mail("<"+headerFrom+">", nil) },
		func() (*milter.Action, error) { return session.Rcpt("<"+headerTo+">", nil) },
		func() (*milter.Action, error) { return session.HeaderField("From", headerFrom) },
		func() (*milter.Action, error) { return session.HeaderField("To", headerTo) },
		func() (*milter.Action, error) { return session.HeaderField("Subject", headerSubject) },
		func() (*milter.Action, error) { return session.HeaderField("Date", headerDate) },
		session.HeaderEnd,
	} {
		if _, err := step(); err != nil {
			return "", err
		}
	}
	changes, _, err := session.BodyReadFrom(strings.NewReader(body))
	if err != nil {
		return "", err
	}
	for _, c := range changes {
		if strings.EqualFold(c.HeaderName, "DKIM-Signature") {
			return "DKIM-Signature: " + unfolded(c.HeaderValue) + "\r\n" + mailText, nil
		}
	}
	return "", fmt.Errorf("the message was not signed: %+v", changes)
}

// unfolded is a header field with the ends of its lines as on the wire.
func unfolded(value string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(value), "\r\n", "\n"), "\n", "\r\n")
}

// rspamd is the filter of Debian's package, with the settings of docs/dkim.md.
type rspamd struct{ url string }

func startRspamd(t *testing.T, mounted string) *rspamd {
	t.Helper()
	dir, port := t.TempDir(), servers.FreePort(t, "127.0.0.1")
	for file, text := range map[string]string{
		"worker-normal.inc":     fmt.Sprintf("bind_socket = \"127.0.0.1:%d\";\ncount = 1;\n", port),
		"worker-proxy.inc":      "enabled = false;\n",
		"worker-controller.inc": "enabled = false;\n",
		"worker-fuzzy.inc":      "enabled = false;\n",
		"options.inc":           "map_watch_interval = 1s;\nmap_file_watch_multiplier = 1.0;\n",
		"dkim_signing.conf": fmt.Sprintf("selector_map = \"%[1]s/..data/selectors.map\";\npath = \"%[1]s/$selector.rspamd\";\nsign_local = true;\nuse_esld = false;\n",
			mounted),
	} {
		must(t, os.MkdirAll(filepath.Join(dir, "local.d"), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "local.d", file), []byte(text), 0o644)) //nolint:gosec // rspamd may run as another user
	}
	t.Cleanup(func() {
		if text, err := os.ReadFile(filepath.Join(dir, "rspamd.log")); err == nil && t.Failed() {
			t.Logf("%s", text[max(0, len(text)-4000):])
		}
	})
	daemon(t, "rspamd", "-f", "-i", "-c", "/etc/rspamd/rspamd.conf", "--var=LOCAL_CONFDIR="+dir, "--var=DBDIR="+dir, "--var=RUNDIR="+dir, "--var=LOGDIR="+dir)
	return &rspamd{url: fmt.Sprintf("http://127.0.0.1:%d/checkv2", port)}
}

func (s *rspamd) reload() {} // it looks at the map by itself

func (s *rspamd) sign() (string, error) {
	request, err := http.NewRequest(http.MethodPost, s.url, strings.NewReader(mailText))
	if err != nil {
		return "", err
	}
	request.Header.Set("IP", "127.0.0.1")
	client := &http.Client{Timeout: 20 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	var found struct {
		Signature string `json:"dkim-signature"`
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&found); err != nil || found.Signature == "" {
		return "", fmt.Errorf("the message was not signed: %w %s", err, text[:min(len(text), 300)])
	}
	return "DKIM-Signature: " + unfolded(found.Signature) + "\r\n" + mailText, nil
}

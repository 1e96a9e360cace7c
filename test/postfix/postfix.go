// Package postfix starts Postfix for tests, from its Debian package: with its files in a folder of its own, as a server,
// as a sender, or both. Postfix wants to be started by root.
package postfix

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/test/kube/child"
)

// Instance is a Postfix with a folder of its own. What it does stands in etc/main.cf and etc/master.cf of that folder,
// which the caller writes before Start.
type Instance struct {
	t    testing.TB
	dir  string
	cmd  *exec.Cmd
	done <-chan struct{}
	// keeper stops Postfix when lifeline is closed.
	keeper   *exec.Cmd
	lifeline io.Closer
}

// New makes the folder, which goes with the test. Postfix's own users may pass through it; through those of
// testing.TB they may not.
func New(t testing.TB) *Instance {
	t.Helper()
	dir, err := os.MkdirTemp("", "postfix-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &Instance{t: t, dir: dir}
	p.must(os.Chmod(dir, 0o755)) //nolint:gosec // Postfix runs under several users
	for _, name := range []string{"etc", "spool", "data"} {
		p.Folder(name)
	}
	p.must(os.Chown(p.File("data"), UserID(t, "postfix"), -1))
	return p
}

// UserID is the number of a user.
func UserID(t testing.TB, name string) int {
	t.Helper()
	owner, err := user.Lookup(name)
	if err != nil {
		t.Fatalf("Postfix: %v", err)
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err != nil {
		t.Fatalf("Postfix: user %s: %v", name, err)
	}
	return uid
}

// File is the path of a file in the folder.
func (p *Instance) File(name string) string { return filepath.Join(p.dir, name) }

// Folder makes a folder in the folder.
func (p *Instance) Folder(name string) {
	p.t.Helper()
	p.must(os.Mkdir(p.File(name), 0o755)) //nolint:gosec // Postfix runs under several users
}

// Write writes a file of the folder.
func (p *Instance) Write(name, text string) {
	p.t.Helper()
	p.must(os.WriteFile(p.File(name), []byte(text), 0o644)) //nolint:gosec // Postfix runs under several users
}

// Common is what every main.cf here begins with: where things are, the log, and a name.
func (p *Instance) Common(hostname string) string {
	return fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/data
maillog_file_prefixes = %[1]s
maillog_file = %[1]s/log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = %[2]s
mydestination =
alias_maps =
smtpd_peername_lookup = no
`, p.dir, hostname)
}

// Log is what Postfix has written to its log.
func (p *Instance) Log() string {
	text, _ := os.ReadFile(p.File("log")) // it is not there before the first line
	return string(text)
}

// Start runs Postfix in the foreground and waits until it takes connections. It ends with the test.
func (p *Instance) Start(at ...netip.AddrPort) {
	p.t.Helper()
	p.run(at, Find(p.t, "postfix"), "-c", p.File("etc"), "start-fg")
}

// StartAsking is Start with a resolver, at port 53, in place of those of the machine: libc knows no other port and no
// other file than /etc/resolv.conf, and a mount namespace gives Postfix one of its own.
func (p *Instance) StartAsking(resolver netip.Addr, at ...netip.AddrPort) {
	p.t.Helper()
	p.Write("resolv.conf", fmt.Sprintf("nameserver %s\noptions edns0 trust-ad timeout:5 attempts:3\n", resolver))
	p.run(at, Find(p.t, "unshare"), "--mount", "sh", "-c", `mount --bind "$0" /etc/resolv.conf && exec "$@"`, p.File("resolv.conf"),
		Find(p.t, "postfix"), "-c", p.File("etc"), "start-fg")
}

func (p *Instance) run(at []netip.AddrPort, program string, args ...string) {
	p.t.Helper()
	p.keep()
	p.t.Cleanup(p.stop)
	p.cmd = exec.Command(program, args...)
	said := &bytes.Buffer{}
	p.cmd.Stdout, p.cmd.Stderr = said, said
	var err error
	p.done, err = child.Start(p.cmd)
	p.must(err)
	for _, addr := range at {
		p.listens(addr, said)
	}
}

// listens waits until Postfix takes connections.
func (p *Instance) listens(at netip.AddrPort, said *bytes.Buffer) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		select {
		case <-p.done:
			p.t.Fatalf("Postfix did not start (it wants to be started by root): %s: %s", p.cmd.ProcessState, said)
		default:
		}
		c, err := net.DialTimeout("tcp", at.String(), time.Second)
		if err == nil {
			_ = c.Close()
			return
		}
	}
	p.t.Fatalf("Postfix does not listen on %s", at)
}

// keep starts what stops Postfix when the pipe that it reads is closed: by stop, or by the kernel when
// the test is killed. What child.Start asks the kernel for is not enough here: that ends the script
// that runs master, and the kernel forgets it for a program that changes its user, as master does.
func (p *Instance) keep() {
	p.t.Helper()
	p.keeper = exec.Command("sh", "-c", `cat; exec "$0" -c "$1" stop`, Find(p.t, "postfix"), p.File("etc"))
	p.keeper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the keyboard is for the test
	var err error
	p.lifeline, err = p.keeper.StdinPipe()
	p.must(err)
	p.must(p.keeper.Start())
}

func (p *Instance) stop() {
	_ = p.lifeline.Close()
	_ = p.keeper.Wait()
	if p.done != nil {
		select {
		case <-p.done:
		case <-time.After(10 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	}
	if p.t.Failed() {
		lines := bytes.Split(bytes.TrimSpace([]byte(p.Log())), []byte("\n"))
		p.t.Logf("the log of Postfix ends with:\n%s", bytes.Join(lines[max(0, len(lines)-20):], []byte("\n")))
	}
}

func (p *Instance) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("Postfix: %v", err)
	}
}

// packages name where a program comes from.
var packages = map[string]string{"postfix": "postfix", "posttls-finger": "postfix", "openssl": "openssl", "unshare": "util-linux"}

// Find returns the path of a program; those of Postfix are not in every user's PATH.
func Find(t testing.TB, program string) string {
	t.Helper()
	for _, name := range []string{program, filepath.Join("/usr/sbin", program)} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("%s is not installed: apt-get install --no-install-recommends %s", program, packages[program])
	return ""
}

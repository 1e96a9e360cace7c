// Package protocols tries the prober on the mail servers that people run, from Debian packages: Dovecot
// for IMAP, POP3 and ManageSieve, Postfix for SMTP and submission. Each keeps its files in a folder
// of its own, listens on free loopback ports, and ends with the test. Both want to be started by root,
// since they give up rights by themselves.
package protocols

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/test/kube/child"
	"github.com/dane-operator/dane-operator/test/servers"
)

// Daemon is a running mail server with a port for each way to talk to it.
type Daemon struct {
	t     testing.TB
	name  string
	dir   string
	ports map[string]netip.AddrPort
	cmd   *exec.Cmd
	done  <-chan struct{}
	// keeper stops the server when lifeline is closed.
	keeper   *exec.Cmd
	lifeline io.Closer
}

// At is where a port listens, by the name that the server's Options give it.
func (d *Daemon) At(port string) netip.AddrPort {
	d.t.Helper()
	at, ok := d.ports[port]
	if !ok {
		d.t.Fatalf("%s has no port %s", d.name, port)
	}
	return at
}

// newDaemon makes a folder that the server's own users may pass through, and finds a port for each name.
func newDaemon(t testing.TB, name, address string, ports ...string) *Daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", name+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the server runs under several users
		t.Fatal(err)
	}
	if address == "" {
		address = "127.0.0.1"
	}
	d := &Daemon{t: t, name: name, dir: dir, ports: map[string]netip.AddrPort{}}
	for _, port := range ports {
		d.ports[port] = netip.AddrPortFrom(netip.MustParseAddr(address), servers.FreePort(t, address))
	}
	return d
}

func (d *Daemon) file(name string) string { return filepath.Join(d.dir, name) }

func (d *Daemon) write(name, text string) {
	d.t.Helper()
	if err := os.WriteFile(d.file(name), []byte(text), 0o644); err != nil { //nolint:gosec // keys of a test
		d.t.Fatal(err)
	}
}

// start runs the server and waits until every port takes connections. What stops it is run however the
// test ends.
func (d *Daemon) start(stop []string, run ...string) {
	d.t.Helper()
	d.keep(stop)
	d.cmd = exec.Command(run[0], run[1:]...)
	said := &bytes.Buffer{}
	d.cmd.Stdout, d.cmd.Stderr = said, said
	var err error
	if d.done, err = child.Start(d.cmd); err != nil {
		d.t.Fatalf("%s: %v", d.name, err)
	}
	d.t.Cleanup(func() {
		d.stop()
		if d.t.Failed() {
			d.t.Logf("the log of %s ends with:\n%s%s", d.name, said, d.tail(40))
		}
	})
	for _, at := range d.ports {
		servers.Eventually(d.t, d.name+" listens", func() error {
			select {
			case <-d.done:
				d.t.Fatalf("%s did not start (it wants to be started by root): %s\n%s", d.name, d.cmd.ProcessState, said)
			default:
			}
			c, err := net.DialTimeout("tcp", at.String(), time.Second)
			if err == nil {
				_ = c.Close()
			}
			return err
		})
	}
}

// keep starts what stops the server when the pipe that it reads is closed: by stop, or by the kernel
// when the test is killed. What child.Start asks the kernel for is forgotten for a program that
// changes its user, as these servers do.
func (d *Daemon) keep(stop []string) {
	d.t.Helper()
	d.keeper = exec.Command("sh", append([]string{"-c", `cat; exec "$@"`, "sh"}, stop...)...)
	d.keeper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the keyboard is for the test
	var err error
	if d.lifeline, err = d.keeper.StdinPipe(); err != nil {
		d.t.Fatal(err)
	}
	if err := d.keeper.Start(); err != nil {
		d.t.Fatal(err)
	}
}

func (d *Daemon) stop() {
	_ = d.lifeline.Close()
	_ = d.keeper.Wait()
	select {
	case <-d.done:
	case <-time.After(10 * time.Second):
		_ = d.cmd.Process.Kill()
		<-d.done
	}
}

func (d *Daemon) tail(lines int) []byte {
	text, err := os.ReadFile(d.file("log"))
	if err != nil {
		return []byte(err.Error())
	}
	all := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return bytes.Join(all[max(0, len(all)-lines):], []byte("\n"))
}

// packages name where a program comes from.
var packages = map[string]string{
	"dovecot": "dovecot-imapd dovecot-pop3d dovecot-managesieved", "doveadm": "dovecot-core", "postfix": "postfix",
}

// find returns the path of a program; those of mail servers are not in every user's PATH.
func find(t testing.TB, program string) string {
	t.Helper()
	for _, name := range []string{program, filepath.Join("/usr/sbin", program)} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("%s is not installed: apt-get install --no-install-recommends %s", program, packages[program])
	return ""
}

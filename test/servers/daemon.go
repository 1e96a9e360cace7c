// Package servers starts real name servers for tests, from Debian packages: BIND as a primary that
// signs, Knot and PowerDNS too; BIND, NSD and Knot as secondaries; unbound as a validating resolver. Each listens on an
// unprivileged loopback port, keeps its files and logs in a folder of the test, and ends with the
// test. No root is needed, but for port 53, where delegations lead to (StartPublic). A server can be stopped, started
// again, and paused in the middle of what it does.
package servers

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/test/kube/child"
)

// Server is a running name server, whatever its make.
type Server interface {
	// Name says which one it is, in messages.
	Name() string
	// Address is where it answers, by UDP and TCP.
	Address() netip.AddrPort
	// Stop ends the program and waits; Start starts it again with the files it had, and waits until
	// it answers.
	Stop()
	Start()
	// Pause stops it in the middle of what it does (SIGSTOP): connections are accepted by the
	// kernel and not answered. Resume lets it go on.
	Pause()
	Resume()
	// LogFile is where it writes what it does.
	LogFile() string
}

// packages that hold the programs.
var packages = map[string]string{
	"named": "bind9", "rndc": "bind9", "nsupdate": "bind9-dnsutils", "dig": "bind9-dnsutils",
	"delv": "bind9-dnsutils", "dnssec-keygen": "bind9-utils", "dnssec-signzone": "bind9-utils", "dnssec-revoke": "bind9-utils", "dnssec-cds": "bind9-utils",
	"nsd": "nsd", "unbound": "unbound", "knotd": "knot", "knotc": "knot", "sqlite3": "sqlite3",
	"named-checkconf": "bind9-utils", "tsig-keygen": "bind9", "keymgr": "knot", "sh": "dash",
	"pdns_server": "pdns-server", "pdns_control": "pdns-server", "pdnsutil": "pdns-server", "prometheus": "prometheus", "chromium": "chromium",
	"opendkim": "opendkim", "rspamd": "rspamd",
}

// Find returns the path of a program. A missing one fails the test and says how to install it.
func Find(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	// Debian keeps daemons where users without root have no PATH.
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		if at := filepath.Join(dir, program); executable(at) {
			return at
		}
	}
	t.Fatalf("%s is not installed: apt-get install --no-install-recommends %s", program, packages[program])
	return ""
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// daemon is one program and what it takes to run it.
type daemon struct {
	t    testing.TB
	name string
	addr netip.AddrPort
	dir  string
	path string
	args []string
	// ready returns nil once the server serves; it is asked until then.
	ready func() error

	mu     sync.Mutex
	cmd    *exec.Cmd
	done   <-chan struct{}
	paused bool
}

// newDaemon gives a daemon a folder and a free port, and ends it with the test.
func newDaemon(t testing.TB, name, program, address string) *daemon {
	t.Helper()
	if address == "" {
		address = "127.0.0.1"
	}
	d := &daemon{t: t, name: name, path: Find(t, program), dir: t.TempDir()}
	addr, err := netip.ParseAddr(address)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	d.addr = netip.AddrPortFrom(addr, FreePort(t, address))
	t.Cleanup(func() {
		d.Stop()
		if t.Failed() {
			t.Logf("the log of %s ends with:\n%s", d.name, d.tail(25))
		}
	})
	return d
}

func (d *daemon) Name() string            { return d.name }
func (d *daemon) Address() netip.AddrPort { return d.addr }
func (d *daemon) LogFile() string         { return filepath.Join(d.dir, "log") }

// file writes a file of the daemon and returns its path.
func (d *daemon) file(name, text string) string {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// Start starts the program and waits until it is ready.
func (d *daemon) Start() {
	d.t.Helper()
	if err := d.launch(); err != nil {
		d.t.Fatalf("start %s: %v", d.name, err)
	}
	Eventually(d.t, d.name+" serves", func() error {
		if !d.running() {
			d.t.Fatalf("%s ended; its log ends with:\n%s", d.name, d.tail(25))
		}
		return d.ready()
	})
}

func (d *daemon) launch() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	log, err := os.OpenFile(d.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the child has a descriptor of its own
	cmd := exec.Command(d.path, d.args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = d.dir, log, log
	// Its group is its own, so that all of its processes can be paused and killed.
	done, err := child.Start(cmd)
	if err != nil {
		return err
	}
	d.cmd, d.done, d.paused = cmd, done, false
	return nil
}

func (d *daemon) running() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cmd == nil {
		return false
	}
	select {
	case <-d.done:
		return false
	default:
		return true
	}
}

// stopTimeout is how long a daemon may take to end before it is killed.
const stopTimeout = 10 * time.Second

// Stop ends the program. To call it again does nothing.
func (d *daemon) Stop() {
	if !d.running() {
		return
	}
	d.Resume()
	d.signal(syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(stopTimeout):
		d.signal(syscall.SIGKILL)
		<-d.done
	}
}

// Pause implements Server. It waits until the kernel has stopped every thread: one that runs on
// another processor may still answer after the signal was sent.
func (d *daemon) Pause() {
	d.signal(syscall.SIGSTOP)
	d.paused = true
	Eventually(d.t, d.name+" is stopped", func() error { return stopped(d.cmd.Process.Pid) })
}

// Resume implements Server.
func (d *daemon) Resume() {
	if d.paused {
		d.signal(syscall.SIGCONT)
		d.paused = false
	}
}

// signal reaches every process of the daemon: NSD has several.
func (d *daemon) signal(sig syscall.Signal) {
	if err := syscall.Kill(-d.cmd.Process.Pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		d.t.Errorf("send %s to %s: %v", sig, d.name, err)
	}
}

func (d *daemon) tail(lines int) string {
	text, err := os.ReadFile(d.LogFile())
	if err != nil {
		return err.Error()
	}
	all := strings.Split(string(bytes.TrimSpace(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// patience is longer than any healthy machine needs, and than a busy one that runs other tests too.
const patience = 2 * time.Minute

// Eventually asks until the condition holds, and fails the test when that takes longer than patience.
func Eventually(t testing.TB, what string, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// run runs a program to its end and returns what it said.
func (d *daemon) run(program string, input string, args ...string) (string, error) {
	cmd := exec.Command(Find(d.t, program), args...)
	cmd.Dir, cmd.Stdin = d.dir, strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w: %s", program, err, bytes.TrimSpace(out))
	}
	return string(out), nil
}

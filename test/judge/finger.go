package judge

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/test/postfix"
)

// FingerOptions say whom posttls-finger checks.
type FingerOptions struct {
	// Resolver validates; it must listen on port 53.
	Resolver netip.AddrPort
	Host     string
	Port     int
	Interval time.Duration
}

// fingerTimeout is how long one check may take: longer than the resolver is asked, by the file that
// StartFinger writes, for the address and the records of a host.
const fingerTimeout = time.Minute

// StartFinger lets posttls-finger, which has Postfix's own DANE code, check a host as a sender with
// security level dane-only does, through a validating resolver.
func StartFinger(t testing.TB, log *Log, o FingerOptions) (stop func()) {
	t.Helper()
	f := NewFinger(t, o.Resolver)
	host := fmt.Sprintf("[%s]:%d", o.Host, o.Port)
	stop = every(o.Interval, func() {
		c := Check{At: time.Now(), Judge: "postfix", Host: o.Host}
		out := f.Says("-c", "-l", "dane-only", "-L", "summary", host)
		c.Class, c.Detail = classify(out), strings.TrimSpace(out)
		log.add(c)
	})
	t.Cleanup(stop)
	return stop
}

// Finger runs posttls-finger.
type Finger struct {
	dir, path, unshare string
}

// NewFinger has posttls-finger look names up through a validating resolver, which must listen on port 53.
//
// The libc resolver knows port 53 and /etc/resolv.conf alone. A mount namespace gives the program a
// file of its own there; a network namespace is not needed, since the resolver has a loopback address
// of its own.
func NewFinger(t testing.TB, resolver netip.AddrPort) *Finger {
	t.Helper()
	if resolver.Port() != 53 {
		t.Fatalf("the resolver %s does not listen on port 53, the only one that libc asks", resolver)
	}
	f := &Finger{dir: t.TempDir(), path: postfix.Find(t, "posttls-finger"), unshare: postfix.Find(t, "unshare")}
	f.write(t, "resolv.conf", fmt.Sprintf("nameserver %s\noptions edns0 trust-ad timeout:5 attempts:3\n", resolver.Addr()))
	// There is no root to be probed: Postfix would wait for it before every check.
	f.write(t, "main.cf", "compatibility_level = 3.6\ninet_protocols = ipv4\ndnssec_probe =\n")
	if out := f.Says("-c", "[127.0.0.1]:1"); strings.Contains(out, "unshare:") || strings.Contains(out, "mount:") {
		t.Fatalf("posttls-finger needs a mount namespace of its own, and this user cannot make one (root can): %s", out)
	}
	return f
}

func (f *Finger) write(t testing.TB, name, text string) {
	t.Helper()
	// posttls-finger gives root's rights away before it reads resolv.conf.
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o644); err != nil { //nolint:gosec // see above
		t.Fatal(err)
	}
}

// Says runs posttls-finger with arguments, and returns what it said; its exit code says nothing.
func (f *Finger) Says(args ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), fingerTimeout)
	defer cancel()
	run := `mount --bind "$0" /etc/resolv.conf && exec "$@"`
	args = append([]string{"--mount", "sh", "-c", run, filepath.Join(f.dir, "resolv.conf"), f.path}, args...)
	cmd := exec.CommandContext(ctx, f.unshare, args...)
	cmd.Env = append(os.Environ(), "MAIL_CONFIG="+f.dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out) + "\n" + err.Error()
	}
	return string(out)
}

// classify reads what posttls-finger says. Only a verified connection counts as good.
func classify(out string) string {
	switch {
	case strings.Contains(out, "TLSA lookup error"):
		return ClassUnreachable
	case strings.Contains(out, "TLSA records found, resorting to"), strings.Contains(out, "all TLSA records unusable"):
		return ClassNoDANE
	case strings.Contains(out, "Verified TLS connection established"):
		return ClassOK
	case strings.Contains(out, "Server certificate not verified"), strings.Contains(out, "Untrusted TLS connection established"),
		strings.Contains(out, "Trusted TLS connection established"), strings.Contains(out, "Anonymous TLS connection established"):
		return ClassMismatch
	default:
		return ClassUnreachable
	}
}

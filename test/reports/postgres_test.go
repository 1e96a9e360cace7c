package reports

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/dane-operator/dane-operator/test/kube"
)

// startPostgres starts a PostgreSQL server of Debian's, which ends with the test, and returns its DSN.
func startPostgres(t *testing.T) string {
	t.Helper()
	programs, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(programs) == 0 {
		t.Fatal("PostgreSQL is not installed: hack/deps.sh installs it")
	}
	bin := filepath.Dir(programs[len(programs)-1])
	// It does not run as root.
	owner, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.ParseUint(owner.Uid, 10, 32)
	gid, _ := strconv.ParseUint(owner.Gid, 10, 32)
	dir, err := os.MkdirTemp("", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		t.Fatal(err)
	}
	as := func(cmd *exec.Cmd) *exec.Cmd {
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, Pdeathsig: syscall.SIGQUIT}
		return cmd
	}
	data := filepath.Join(dir, "data")
	if out, err := as(exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "reports", "-A", "trust", "--no-sync")).CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	_, port, _ := net.SplitHostPort(freeAddress(&rig{T: t}))
	server := as(exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-p", port, "-h", "127.0.0.1", "-k", dir))
	var log strings.Builder
	server.Stderr = &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT)
		_ = server.Wait()
	})
	(&rig{T: t}).until("PostgreSQL answers", func() error {
		out, err := exec.Command(filepath.Join(bin, "pg_isready"), "-h", "127.0.0.1", "-p", port).CombinedOutput()
		return errors.Join(err, wordsOf(out, err))
	})
	return fmt.Sprintf("postgres://reports@127.0.0.1:%s/postgres?sslmode=disable", port)
}

func wordsOf(out []byte, err error) error {
	if err == nil {
		return nil
	}
	return errors.New(string(out))
}

// The tests of the store pass on PostgreSQL, too.
func TestStoreOnPostgres(t *testing.T) {
	root, err := kube.Root()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), "go", "test", "-C", root, "-count=1", "-v", "./internal/tlsrpt/store")
	cmd.Env = append(os.Environ(), "GOWORK=off", "DANE_TEST_POSTGRES="+startPostgres(t))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := strings.Count(string(out), "/PostgreSQL ("); n < 5 {
		t.Errorf("%d tests ran on PostgreSQL:\n%s", n, out)
	}
}

// Two replicas with PostgreSQL keep a report once.
func (r *rig) replicas() {
	t := r.T
	file := filepath.Join(t.TempDir(), "dsn")
	if err := os.WriteFile(file, []byte(startPostgres(t)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	one, two := r.start("one", "--database-dsn-file", file), r.start("two", "--database-dsn-file", file)
	one.post(report("1", "example.com"))
	two.post(report("1", "example.com"))
	one.counts(keptReports(1), knownReports(0))
	two.counts(keptReports(0), knownReports(1))
}

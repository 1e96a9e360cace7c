package child_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/test/kube/child"
)

// role tells the test's own program what to be when the test runs it.
const role = "CHILD_TEST_ROLE"

// The main thread is the one that Go never ends: it is kept for the main goroutine.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	if os.Getenv(role) == "parent" {
		parent()
	}
	os.Exit(m.Run())
}

// parent starts a child from a thread that ends, says which process it is, and waits to be killed.
func parent() {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // without an unlock the thread ends with the goroutine
		cmd := exec.Command("sleep", "600")
		if _, err := child.Start(cmd); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(cmd.Process.Pid)
	}()
	<-ended
	select {}
}

// TestChildEndsWithItsParent kills a program that has a child, and wants the child to be gone: and
// not before, although the thread that asked for it has ended.
func TestChildEndsWithItsParent(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), role+"=parent")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	pid, numErr := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || numErr != nil {
		t.Fatalf("the parent says %q (%v)", line, err)
	}
	for until := time.Now().Add(time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if !runs(t, pid) {
			t.Fatal("the child ended with the thread that asked for it")
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for deadline := time.Now().Add(time.Minute); runs(t, pid); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal("the child outlives its parent")
		}
	}
}

// runs says whether a process runs. One that has ended may wait long for somebody to ask how (Z).
func runs(t *testing.T, pid int) bool {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	_, state, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}

// TestStartTellsOfTheEnd: an error says that nothing runs, and the channel that it has ended.
func TestStartTellsOfTheEnd(t *testing.T) {
	if _, err := child.Start(exec.Command("/nonexistent")); err == nil {
		t.Error("a program that does not exist was started")
	}
	cmd := exec.Command("sh", "-c", "exit 3")
	done, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	<-done
	if code := cmd.ProcessState.ExitCode(); code != 3 {
		t.Errorf("it ended with code %d instead of 3", code)
	}
}

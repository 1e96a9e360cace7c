package kube

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dane-operator/dane-operator/test/kube/child"
)

// Process is a program that runs beside the test and writes what it says to a file. It can be
// killed and started again. Its methods may be called from several goroutines.
type Process struct {
	// Name is used in errors and for the log file.
	Name string
	// LogFile gets standard output and standard error, over all restarts.
	LogFile string

	path string
	args []string
	env  []string

	mu   sync.Mutex
	cmd  *exec.Cmd
	done <-chan struct{}
	// told says that somebody has learned how the program ended.
	told bool
}

// stopTimeout is how long a process may take to end after SIGTERM before it is killed.
const stopTimeout = 30 * time.Second

// StartProcess starts a program with its log in the cluster's folder. Stop of the cluster ends it.
// env is added to the environment of the test.
func (c *Cluster) StartProcess(name, path string, args, env []string) (*Process, error) {
	p := &Process{
		Name: name, LogFile: filepath.Join(c.Dir, name+".log"),
		path: path, args: args, env: append(os.Environ(), env...),
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.children = append(c.children, p)
	return p, nil
}

// Start starts the program again after Kill, Stop or an end of its own. It is an error while it runs.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		return fmt.Errorf("start %s: it is running", p.Name)
	}
	log, err := os.OpenFile(p.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	defer func() { _ = log.Close() }() // the child has a descriptor of its own
	cmd := exec.Command(p.path, p.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, log, log
	done, err := child.Start(cmd)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.cmd, p.done, p.told = cmd, done, false
	return nil
}

// running must be called with the lock held.
func (p *Process) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Running says whether the program runs.
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running()
}

// PID is the number of the process that was started last.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

// ExitCode is what the program that was started last ended with: -1 while it runs, and where a signal ended it.
func (p *Process) ExitCode() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	default:
		return -1
	}
}

// Done is closed when the program that runs now has ended.
func (p *Process) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

// Kill ends the program with SIGKILL, as a crash or a lost machine does, and waits until it is gone.
// It is an error if it had ended by itself before.
func (p *Process) Kill() error { return p.end(syscall.SIGKILL) }

// Stop ends the program with SIGTERM and waits until it is gone. It is an error if it had ended by
// itself before, if it fails at the end, and if it does not end in time and has to be killed. To call
// it again does nothing.
func (p *Process) Stop() error { return p.end(syscall.SIGTERM) }

func (p *Process) end(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told || p.cmd == nil {
		return nil
	}
	p.told = true
	if !p.running() {
		return fmt.Errorf("%s ended by itself: %s; its log ends with:\n%s", p.Name, p.cmd.ProcessState, p.Tail(15))
	}
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end %s: %w", p.Name, err)
	}
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill() // it is gone, or the wait below lasts for ever and says so
		<-p.done
		return fmt.Errorf("%s did not end within %s of SIGTERM; its log ends with:\n%s", p.Name, stopTimeout, p.Tail(15))
	}
	state, _ := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if p.cmd.ProcessState.Success() || state.Signaled() && state.Signal() == sig {
		return nil
	}
	return fmt.Errorf("%s failed at its end: %s; its log ends with:\n%s", p.Name, p.cmd.ProcessState, p.Tail(15))
}

// Restart kills the program and starts it again.
func (p *Process) Restart() error {
	if err := p.Kill(); err != nil {
		return err
	}
	return p.Start()
}

// Tail is the last lines of the log.
func (p *Process) Tail(lines int) string { return tail(p.LogFile, lines) }

func tail(file string, lines int) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(string(bytes.TrimSpace(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

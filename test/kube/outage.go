package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// KillAPIServer ends kube-apiserver with SIGKILL, as the loss of its machine does, and waits until it is gone.
// etcd goes on. StartAPIServer brings another one.
func (c *Cluster) KillAPIServer() error {
	if c.apiServer != nil {
		return c.apiServer.Kill()
	}
	pid, err := c.apiServerPID()
	if err != nil {
		return err
	}
	successor, err := c.successor(pid)
	if err != nil {
		return err
	}
	c.mu.Lock()
	// It ends last: the others write to it at their end.
	c.apiServer, c.children = successor, append([]*Process{successor}, c.children...)
	c.mu.Unlock()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("end kube-apiserver: %w", err)
	}
	for deadline := time.Now().Add(stopTimeout); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return nil
		}
	}
	return fmt.Errorf("kube-apiserver (process %d) did not end within %s of SIGKILL", pid, stopTimeout)
}

// successor is a kube-apiserver, not started yet, with the command line of one that runs: envtest tells it nobody.
func (c *Cluster) successor(pid int) (*Process, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil, fmt.Errorf("read how kube-apiserver was started: %w", err)
	}
	args := strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
	return &Process{Name: "kube-apiserver", LogFile: c.apiServerLog(), env: os.Environ(), path: args[0], args: args[1:]}, nil
}

// StartAPIServer starts kube-apiserver again after KillAPIServer, as it was started, and waits until it answers.
func (c *Cluster) StartAPIServer(ctx context.Context) error {
	if err := c.apiServer.Start(); err != nil {
		return err
	}
	var err error
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if err = c.Client.List(ctx, &corev1.NamespaceList{}); err == nil {
			return nil
		}
	}
	return fmt.Errorf("kube-apiserver does not answer %s after it was started again: %w", startTimeout, err)
}

// PauseAPIServer stops kube-apiserver in the middle of what it does (SIGSTOP): connections stay, and nothing is
// answered. ResumeAPIServer lets it go on.
func (c *Cluster) PauseAPIServer() error { return c.signalAPIServer(syscall.SIGSTOP) }

// ResumeAPIServer ends PauseAPIServer.
func (c *Cluster) ResumeAPIServer() error { return c.signalAPIServer(syscall.SIGCONT) }

func (c *Cluster) signalAPIServer(sig syscall.Signal) error {
	pid, err := c.apiServerPID()
	if err != nil {
		return err
	}
	return syscall.Kill(pid, sig)
}

// apiServerPID finds the process that envtest has started, and tells nobody of: our child with its program.
func (c *Cluster) apiServerPID() (int, error) {
	if c.apiServer != nil {
		return c.apiServer.PID(), nil
	}
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // a file of /proc
		if err != nil {
			continue // it ended meanwhile
		}
		// The name of the program, in brackets, may hold anything; the parent is the second field behind it.
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		if len(fields) < 2 || string(fields[1]) != strconv.Itoa(os.Getpid()) {
			continue
		}
		dir := filepath.Dir(file)
		if program, err := os.Readlink(filepath.Join(dir, "exe")); err == nil && filepath.Base(program) == "kube-apiserver" {
			return strconv.Atoi(filepath.Base(dir))
		}
	}
	return 0, errors.New("kube-apiserver is no child of this program")
}

package kube

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// module is the first line of the go.mod at the root of the checkout.
const module = "module github.com/dane-operator/dane-operator\n"

// Root finds the root of the checkout, upwards from the working directory.
func Root() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the working directory: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), module) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no checkout of dane-operator above %s: run this inside one", start)
		}
	}
}

// Assets returns the folder that holds kube-apiserver and etcd: $KUBEBUILDER_ASSETS when that is
// set, and otherwise the cache that hack/envtest.sh fills, which may take minutes the first time.
func Assets(ctx context.Context, root string, progress func(string)) (string, error) {
	dir := os.Getenv("KUBEBUILDER_ASSETS")
	if dir == "" {
		return runEnvtest(ctx, root, progress)
	}
	for _, program := range []string{"kube-apiserver", "etcd"} {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			return "", fmt.Errorf("KUBEBUILDER_ASSETS is %s, where %s is missing: unset it, or run hack/envtest.sh for a folder that is complete: %w",
				dir, program, err)
		}
	}
	return dir, nil
}

// Program returns the path of a program that hack/envtest.sh builds, such as kubectl, which may take a minute the
// first time.
func Program(ctx context.Context, name string, progress func(string)) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	return runEnvtest(ctx, root, progress, name)
}

// runEnvtest runs hack/envtest.sh, hands on the lines of its progress, and returns the path that it
// prints.
func runEnvtest(ctx context.Context, root string, progress func(string), args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(root, "hack", "envtest.sh"), args...)
	// It removes its lock and ends what it started on SIGTERM.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	var out bytes.Buffer
	cmd.Stdout = &out
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return "", fmt.Errorf("run hack/envtest.sh: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("run hack/envtest.sh: %w", err)
	}
	said := relay(pipe, progress)
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("hack/envtest.sh failed; it said:\n%s: %w", said, err)
	}
	path := strings.TrimSpace(out.String())
	if path == "" {
		return "", errors.New("hack/envtest.sh printed no path")
	}
	return path, nil
}

// relay hands every line of r to progress until r ends, and returns them all.
func relay(r io.Reader, progress func(string)) string {
	var all strings.Builder
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		progress(strings.TrimPrefix(lines.Text(), "envtest: "))
		all.WriteString(lines.Text() + "\n")
	}
	return all.String()
}

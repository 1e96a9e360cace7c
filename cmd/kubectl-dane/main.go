// Command kubectl-dane is the kubectl plugin "kubectl dane": it shows what dane-operator does and waits for, and
// looks at mail domains as senders with DANE do.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/dane-operator/dane-operator/internal/plugin"
)

// completer is the program that kubectl asks to complete what follows "kubectl dane". A link to this one will do.
const completer = "kubectl_complete-dane"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	cmd := plugin.New(streams, time.Now)
	args := os.Args[1:]
	if strings.HasPrefix(filepath.Base(os.Args[0]), completer) {
		args = append([]string{cobra.ShellCompRequestCmd}, args...)
		cmd.SetArgs(args)
	}
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		plugin.PlainUsage(cmd)
	}
	if err := cmd.ExecuteContext(ctx); err != nil {
		if text := err.Error(); text != "" {
			fmt.Fprintln(os.Stderr, "error: "+text)
		}
		stop()
		os.Exit(plugin.ExitCode(err))
	}
}

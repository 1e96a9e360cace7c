package plugin

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/dane-operator/dane-operator/internal/sendercheck"
)

// TestWithoutAClusterItSaysWhatToDo: neither where no cluster is named nor where it gives no answer is the error that of a
// library alone.
func TestWithoutAClusterItSaysWhatToDo(t *testing.T) {
	t.Setenv("KUBECONFIG", os.DevNull)
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("KUBERNETES_MASTER", "")
	for _, c := range []struct {
		want string
		args []string
	}{
		{"no cluster is known: name a kubeconfig with --kubeconfig or in KUBECONFIG", []string{"status"}},
		{"no cluster is known: name a kubeconfig", []string{"zone", "example.com"}},
		{"no cluster is known: name a kubeconfig", []string{"doctor"}},
		{"see that the cluster runs and can be reached from here (kubectl cluster-info)", []string{"status", "--server", "http://127.0.0.1:1"}},
	} {
		if out, err := run(c.args...); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "localhost:8080") {
			t.Errorf("%v: %v, want %q\n%s", c.args, err, c.want, out)
		}
	}
}

// TestPlainUsage: what shells show beside a flag has no marks for the help.
func TestPlainUsage(t *testing.T) {
	root := New(genericiooptions.NewTestIOStreamsDiscard(), time.Now)
	marked := func() (n int) {
		count := func(f *pflag.Flag) { n += strings.Count(f.Usage, "`") }
		var walk func(*cobra.Command)
		walk = func(c *cobra.Command) {
			c.PersistentFlags().VisitAll(count)
			c.Flags().VisitAll(count)
			for _, below := range c.Commands() {
				walk(below)
			}
		}
		walk(root)
		return n
	}
	if marked() == 0 {
		t.Fatal("no flag names its value: the test proves nothing")
	}
	PlainUsage(root)
	if n := marked(); n != 0 {
		t.Errorf("%d marks are left", n)
	}
}

// TestMessagesOfCheckAreWrapped: a verdict whose cause takes many words has lines that can be read.
func TestMessagesOfCheckAreWrapped(t *testing.T) {
	long := strings.Repeat("a cause of several words; ", 20)
	var out bytes.Buffer
	if err := writeReport(&out, sendercheck.Report{Domain: "example.com", Verdict: unknown, Message: long, Hosts: []sendercheck.HostReport{{Host: "mx1", Message: long}}}, ""); err != nil {
		t.Fatal(err)
	}
	tooWide(t, out.String(), pipeWidth)
	if n := strings.Count(strings.Join(strings.Fields(out.String()), " "), strings.TrimSpace(long)); n != 2 {
		t.Errorf("the messages are told %d times:\n%s", n, &out)
	}
}

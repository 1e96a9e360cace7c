package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/dane-operator/dane-operator/internal/plugin"
	"github.com/dane-operator/dane-operator/test/ns"
)

// TestHintsNameThePlugin: who keeps a demo is told how to look at it with the plugin, by commands that there are.
func TestHintsNameThePlugin(t *testing.T) {
	s := &stage{folder: "/folder", resolver: &ns.Tree{Addr: "127.0.0.1:5353"}, values: values{"SMTP_PORT": "2525"}}
	text := hints("/somewhere/kubeconfig", "/somewhere", s.checkLine())
	if !strings.Contains(text, "export KUBECONFIG=/somewhere/kubeconfig\n") || strings.Contains(text, "%!") {
		t.Errorf("the hints are\n%s", text)
	}
	commands := map[string]bool{}
	for _, cmd := range plugin.New(genericiooptions.NewTestIOStreamsDiscard(), time.Now).Commands() {
		commands[cmd.Name()] = true
	}
	found := regexp.MustCompile(`kubectl dane ([a-z]+)`).FindAllStringSubmatch(text, -1)
	for _, want := range []string{
		"check", "doctor", "explain", "plan -f /somewhere/manifests/maildomain.yaml ", "records", "rollover", "status", "zone",
		"--trust-anchors /folder/anchors.ds ", "--resolvers 127.0.0.1:5353 ", "--port 2525 ", "SSL_CERT_FILE=/folder/",
		"annotate md example -n mail mail.dane-operator.io/abandon-records=true\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the hints do not name %q:\n%s", want, text)
		}
	}
	for line := range strings.Lines(text) {
		if _, typed, ok := strings.Cut(line, "kubectl dane "); ok && !strings.Contains(line, "make build") {
			typed, _, _ = strings.Cut(typed, " # ")
			understood(t, strings.Fields(typed))
		}
	}
	for _, f := range found {
		if !commands[f[1]] {
			t.Errorf("there is no command %q", f[1])
		}
	}
}

// understood wants a command to be taken as it is typed: its flags, and how many arguments it has.
func understood(t *testing.T, args []string) {
	t.Helper()
	cmd, rest, err := plugin.New(genericiooptions.NewTestIOStreamsDiscard(), time.Now).Find(args)
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err == nil {
		err = cmd.ValidateArgs(cmd.Flags().Args())
	}
	if err != nil {
		t.Errorf("kubectl dane %s: %v", strings.Join(args, " "), err)
	}
}

// TestNextPage: who has kept a demo is not told to keep one.
func TestNextPage(t *testing.T) {
	for kept, want := range map[bool]bool{true: false, false: true} {
		if got := nextPage(kept); !strings.HasPrefix(got, "next: docs/tutorial.md ") || strings.Contains(got, "DEMO_KEEP") != want {
			t.Errorf("kept %t: %q", kept, got)
		}
	}
}

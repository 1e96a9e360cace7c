package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/dane-operator/dane-operator/internal/plugin"
)

// TestHintsNameThePlugin: who keeps a demo is told how to look at it with the plugin, by commands that there are.
func TestHintsNameThePlugin(t *testing.T) {
	text := hints("/somewhere/kubeconfig", "kubectl dane check example.test")
	if !strings.Contains(text, "export KUBECONFIG=/somewhere/kubeconfig\n") || strings.Contains(text, "%!") {
		t.Errorf("the hints are\n%s", text)
	}
	commands := map[string]bool{}
	for _, cmd := range plugin.New(genericiooptions.NewTestIOStreamsDiscard(), time.Now).Commands() {
		commands[cmd.Name()] = true
	}
	found := regexp.MustCompile(`kubectl dane ([a-z]+)`).FindAllStringSubmatch(text, -1)
	if len(found) < 3 {
		t.Errorf("%d commands of the plugin are named:\n%s", len(found), text)
	}
	for _, f := range found {
		if !commands[f[1]] {
			t.Errorf("there is no command %q", f[1])
		}
	}
}

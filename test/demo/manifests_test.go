package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestManifests: every file is filled in without a rest, and a value that is missing is told of.
func TestManifests(t *testing.T) {
	all := values{
		"PRIMARY": "127.0.0.1:1", "SECONDARY_1": "127.0.0.1:2", "SECONDARY_2": "127.0.0.1:3", "TSIG_NAME": "demo-key",
		"TSIG_SECRET": "c2VjcmV0", "DS": "1 13 2 AB", "SMTP_PORT": "25", "STANDBY_KEY": "Enabled", "COMPROMISED_KEYS": "",
		"MTA_STS": "Testing",
	}
	files, err := manifests.ReadDir("manifests")
	if err != nil || len(files) != 5 {
		t.Fatalf("%d manifests, want 5: %v", len(files), err)
	}
	for _, f := range files {
		text, err := manifest(f.Name(), all)
		if err != nil {
			t.Error(err)
		}
		for number, line := range strings.Split(text, "\n") {
			if code, _, _ := strings.Cut(line, "#"); strings.Contains(code, "$") {
				t.Errorf("%s:%d is not filled in: %s", f.Name(), number+1, line)
			}
		}
	}
	delete(all, "SMTP_PORT")
	if _, err := manifest("maildomain.yaml", all); err == nil || !strings.Contains(fmt.Sprint(err), "${SMTP_PORT}") {
		t.Errorf("want an error that names ${SMTP_PORT}, got %v", err)
	}
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/controllers"
	"github.com/dane-operator/dane-operator/internal/dnssec"
)

func TestValidatorsAreShared(t *testing.T) {
	v := &validators{options: &options{}, trust: controllers.RootTrust()}
	root := dnssec.RootAnchors()
	back := slices.Clone(root)
	slices.Reverse(back)
	if v.of(root) != v.of(back) {
		t.Error("the order of anchors makes another validator")
	}
	if v.of(root) != v.of(append(back, root[0])) {
		t.Error("an anchor that is there twice makes another validator")
	}
	if v.of(root) == v.of(root[:1]) {
		t.Error("other anchors have the same validator")
	}
}

// TestValidatorsAreBounded: those used least recently go, one at a time, and never the operator's own.
func TestValidatorsAreBounded(t *testing.T) {
	v := &validators{options: &options{}, trust: controllers.RootTrust()}
	set := func(i int) []dnssec.Anchor {
		ds, err := dnssec.ParseDS(fmt.Sprintf("%d 13 2 %s", i, strings.Repeat("ab", 32)), "test.")
		if err != nil {
			t.Fatal(err)
		}
		return []dnssec.Anchor{ds}
	}
	kept := func(anchors []dnssec.Anchor) bool { return v.made[setOf(anchors)] != nil }
	operators := v.of(dnssec.RootAnchors()) // used once, before all others
	for i := range 3 * maxValidators {
		v.of(set(i))
		v.of(set(0))
	}
	if n := len(v.made); n != maxValidators {
		t.Errorf("%d validators are kept, want %d", n, maxValidators)
	}
	for _, row := range []struct {
		reason string
		set    []dnssec.Anchor
		kept   bool
	}{
		{"the operator's own", dnssec.RootAnchors(), true},
		{"one that is in use", set(0), true},
		{"the newest", set(3*maxValidators - 1), true},
		{"the oldest for which there is room beside these", set(2*maxValidators + 2), true},
		{"the one before it", set(2*maxValidators + 1), false},
	} {
		if kept(row.set) != row.kept {
			t.Errorf("%s: kept %t", row.reason, kept(row.set))
		}
	}
	if v.of(dnssec.RootAnchors()) != operators {
		t.Error("the operator's own anchors have another validator")
	}
}

func TestTrustOfTheFlag(t *testing.T) {
	trust, err := (&options{}).trust()
	if err != nil {
		t.Fatal(err)
	}
	if anchors, _ := trust.Anchors(); len(anchors) != len(dnssec.RootAnchors()) {
		t.Errorf("without a file: %v", anchors)
	}
	file := filepath.Join(t.TempDir(), "anchors.ds")
	o := &options{trustAnchors: file}
	if _, err := o.trust(); err == nil || !strings.Contains(err.Error(), "--trust-anchors "+file) {
		t.Errorf("without the file: %v", err)
	}
	if err := os.WriteFile(file, []byte(". DS 1 13 2 "+strings.Repeat("ab", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if trust, err = o.trust(); err != nil {
		t.Fatal(err)
	}
	if anchors, _ := trust.Anchors(); len(anchors) != 1 {
		t.Errorf("%v", anchors)
	}
}

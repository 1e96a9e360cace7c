package controllers

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// anchorFile is a file that tests change.
type anchorFile struct {
	mu   sync.Mutex
	text string
	err  error
}

func (f *anchorFile) read() ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return []byte(f.text), f.err
}

func (f *anchorFile) becomes(text string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.text, f.err = text, err
}

func anchorLine(owner, digit string) string {
	return owner + " DS 12345 13 2 " + strings.Repeat(digit, 64) + "\n"
}

func ownersOfAnchors(anchors []dnssec.Anchor) string {
	var out []string
	for _, ds := range anchors {
		out = append(out, ds.Hdr.Name)
	}
	return strings.Join(out, " ")
}

func TestTrustAtStart(t *testing.T) {
	for _, c := range []struct {
		reason, text string
		err          error
		want, says   string
	}{
		{"an anchor of a zone, and the public root's", anchorLine("test.", "a"), nil, "test. . .", ""},
		{"another root takes the place of the public one", anchorLine(".", "a"), nil, ".", ""},
		{"nothing in it", "; none\n", nil, "", "holds no DS or DNSKEY record"},
		{"a line that is no DS record", anchorLine("test.", "a") + "test. DNSKEY 1\n", nil, "", "line 2"},
		{"no file", "", errors.New("open anchors.ds: no such file"), "", "no such file"},
	} {
		f := &anchorFile{text: c.text, err: c.err}
		trust, err := NewTrust(f.read, testclock.NewFakeClock(time.Unix(1e9, 0)))
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", c.reason, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", c.reason, err)
		}
		if anchors, problem := trust.Anchors(); ownersOfAnchors(anchors) != c.want || problem != "" {
			t.Errorf("%s: %v %s", c.reason, anchors, problem)
		}
	}
	if anchors, problem := (*Trust)(nil).Anchors(); anchors != nil || problem != "" {
		t.Errorf("without trust: %v %s", anchors, problem)
	}
	if anchors, _ := RootTrust().Anchors(); ownersOfAnchors(anchors) != ". ." {
		t.Errorf("the root's: %v", anchors)
	}
}

// TestTrustFollowsTheFile: what is good counts, and what is bad leaves what was.
func TestTrustFollowsTheFile(t *testing.T) {
	f := &anchorFile{text: anchorLine(".", "a")}
	trust, err := NewTrust(f.read, testclock.NewFakeClock(time.Unix(1e9, 0)))
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range []struct {
		text    string
		err     error
		changed bool
		want    string
		problem string
	}{
		{anchorLine(".", "a"), nil, false, ".", ""},
		{anchorLine(".", "a") + anchorLine("test.", "b"), nil, true, ". test.", ""},
		{"nonsense", nil, true, ". test.", "line 1"},
		{"nonsense", nil, false, ". test.", "line 1"},
		{"", errors.New("no such file"), true, ". test.", "no such file"},
		{anchorLine(".", "a") + anchorLine("test.", "b"), nil, true, ". test.", ""},
		{anchorLine(".", "c"), nil, true, ".", ""},
	} {
		f.becomes(s.text, s.err)
		changed := trust.look()
		anchors, problem := trust.Anchors()
		if changed != s.changed || ownersOfAnchors(anchors) != s.want || !strings.Contains(problem, s.problem) || (problem == "") != (s.problem == "") {
			t.Errorf("step %d: changed %t, %s, %q", i, changed, ownersOfAnchors(anchors), problem)
		}
	}
}

// TestTrustBeginsAndEnds: anchors of a file that stays as it is count from when they are valid, until they are not; what was
// valid last counts on when nothing is any more.
func TestTrustBeginsAndEnds(t *testing.T) {
	digest := func(tag, from, until string) string {
		return `<KeyDigest id="k` + tag + `" validFrom="` + from + `"` + until + `><KeyTag>` + tag + `</KeyTag><Algorithm>13</Algorithm><DigestType>2</DigestType><Digest>` + strings.Repeat("ab", 32) + `</Digest></KeyDigest>`
	}
	f := &anchorFile{text: "<TrustAnchor><Zone>.</Zone>" +
		digest("1", "2001-01-01T00:00:00Z", ` validUntil="2001-09-09T02:00:00Z"`) + digest("2", "2001-09-09T01:50:00Z", ` validUntil="2001-09-09T02:10:00Z"`) + "</TrustAnchor>"}
	clock := testclock.NewFakeClock(time.Unix(1e9, 0)) // 01:46:40
	trust, err := NewTrust(f.read, clock)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		step    time.Duration
		changed bool
		tags    []uint16
		problem string
	}{
		{0, false, []uint16{1}, ""},
		{5 * time.Minute, true, []uint16{1, 2}, ""},
		{time.Minute, false, []uint16{1, 2}, ""},
		{10 * time.Minute, true, []uint16{2}, ""},
		{10 * time.Minute, true, []uint16{2}, "none is valid now"},
		{time.Minute, false, []uint16{2}, "none is valid now"},
	} {
		clock.Step(s.step)
		changed := trust.look()
		anchors, problem := trust.Anchors()
		var tags []uint16
		for _, ds := range anchors {
			tags = append(tags, ds.KeyTag)
		}
		if changed != s.changed || !slices.Equal(tags, s.tags) || !strings.Contains(problem, s.problem) || (problem == "") != (s.problem == "") {
			t.Errorf("%s: changed %t, %v, %q", clock.Now().UTC(), changed, tags, problem)
		}
	}
}

// TestTrustIsLookedAt follows the file for as long as the operator runs, and no longer.
func TestTrustIsLookedAt(t *testing.T) {
	clock := testclock.NewFakeClock(time.Unix(1e9, 0))
	f := &anchorFile{text: anchorLine(".", "a")}
	trust, err := NewTrust(f.read, clock)
	if err != nil {
		t.Fatal(err)
	}
	changed := make(chan struct{}, 10)
	trust.changed = func() { changed <- struct{}{} }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- trust.Start(ctx) }()
	for !clock.HasWaiters() {
		time.Sleep(time.Millisecond)
	}
	f.becomes(anchorLine(".", "b"), nil)
	clock.Step(trustEvery)
	<-changed
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := RootTrust().Start(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestAnchorsOfAZone: what the DNSZone names goes before what the operator has.
func TestAnchorsOfAZone(t *testing.T) {
	for _, c := range []struct {
		reason, operators string
		own               []string
		want, problem     string
	}{
		{"the operator's", anchorLine("com.", "a"), nil, "com. . .", ""},
		{"the zone's own, and the operator's for others", anchorLine(".", "a"), []string{"12345 13 2 " + strings.Repeat("b", 64)}, "example.com. .", ""},
		{"of a zone above", anchorLine("example.com.", "a"), []string{"com. DS 12345 13 2 " + strings.Repeat("b", 64)}, "com. . .", ""},
		{"of another zone", anchorLine(".", "a"), []string{"org. DS 12345 13 2 " + strings.Repeat("b", 64)}, "", "neither example.com nor a zone above it"},
	} {
		b := newZoneBed(t)
		trust, err := NewTrust((&anchorFile{text: c.operators}).read, b.clock)
		b.must(err)
		b.r.trust = trust
		z := b.zone()
		for _, text := range c.own {
			z.Spec.DNSSEC.TrustAnchors = append(z.Spec.DNSSEC.TrustAnchors, v1alpha1.TrustAnchor(text))
		}
		got, err := b.r.anchorsOf(z)
		var unusable *configError
		if c.problem != "" {
			if !errors.As(err, &unusable) || unusable.reason != v1alpha1.ReasonInvalidSpec || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%s: %v", c.reason, err)
			}
			continue
		}
		if err != nil || ownersOfAnchors(got) != c.want {
			t.Errorf("%s: %s, %v, want %s", c.reason, ownersOfAnchors(got), err, c.want)
		}
	}
}

// TestZoneWithABadAnchorFile: the zones that go by the operator's anchors say what is wrong with the file, go on
// with those before it, and take the new ones when there are.
func TestZoneWithABadAnchorFile(t *testing.T) {
	b := newZoneBed(t)
	f := &anchorFile{text: anchorLine(".", "a")}
	trust, err := NewTrust(f.read, b.clock)
	b.must(err)
	b.r.trust = trust
	b.look(b.secureZone("1"))
	condition := func() *metav1.Condition {
		return meta.FindStatusCondition(b.zone().Status.Conditions, v1alpha1.ConditionDNSSECSecure)
	}
	f.becomes("nonsense", nil)
	trust.look()
	b.reconcile()
	if c := condition(); c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, "--trust-anchors cannot be used") || !strings.Contains(c.Message, "line 1") {
		t.Errorf("%+v", c)
	}
	puts := b.puts
	b.reconcile()
	if n := len(b.clients[0].configs); b.puts != puts || n != 1 {
		t.Errorf("%d writes of status, %d configurations", b.puts-puts, n)
	}
	f.becomes(anchorLine(".", "b"), nil)
	trust.look()
	b.reconcile()
	configs := b.clients[0].configs
	if len(configs) != 2 || dnssec.PresentDS(configs[1].Anchors[0]) == dnssec.PresentDS(configs[0].Anchors[0]) {
		t.Errorf("%d configurations", len(configs))
	}
	b.clients[0].answer(t, zone.Health{At: b.clock.Now(), DNSSEC: zone.ZoneDNSSEC{State: dnssec.Secure}})
	b.reconcile()
	if c := condition(); strings.Contains(c.Message, "--trust-anchors") {
		t.Errorf("%+v", c)
	}
	// What is wrong with the operator's anchors says nothing to a zone with its own.
	f.becomes("nonsense", nil)
	trust.look()
	z := b.zone()
	z.Spec.DNSSEC.TrustAnchors = []v1alpha1.TrustAnchor{v1alpha1.TrustAnchor("12345 13 2 " + strings.Repeat("c", 64))}
	if got := b.r.trustProblem(z); got != "" {
		t.Error(got)
	}
}

// TestTrustOfAMountedConfigMap swaps the folder behind the file, as the kubelet does.
func TestTrustOfAMountedConfigMap(t *testing.T) {
	dir := t.TempDir()
	put := func(version, text string) {
		t.Helper()
		steps := []error{
			os.Mkdir(filepath.Join(dir, version), 0o700),
			os.WriteFile(filepath.Join(dir, version, "anchors.ds"), []byte(text), 0o600),
			os.Symlink(version, filepath.Join(dir, "..next")),
			os.Rename(filepath.Join(dir, "..next"), filepath.Join(dir, "..data")),
		}
		if err := errors.Join(steps...); err != nil {
			t.Fatal(err)
		}
	}
	put("..1", anchorLine(".", "a"))
	file := filepath.Join(dir, "anchors.ds")
	if err := os.Symlink(filepath.Join("..data", "anchors.ds"), file); err != nil {
		t.Fatal(err)
	}
	trust, err := NewTrust(func() ([]byte, error) { return os.ReadFile(file) }, testclock.NewFakeClock(time.Unix(1e9, 0)))
	if err != nil {
		t.Fatal(err)
	}
	put("..2", anchorLine(".", "a")+anchorLine("test.", "b"))
	if changed := trust.look(); !changed {
		t.Error("the new file was not seen")
	}
	if anchors, problem := trust.Anchors(); ownersOfAnchors(anchors) != ". test." || problem != "" {
		t.Errorf("%v %s", anchors, problem)
	}
}

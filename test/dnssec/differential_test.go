// Package dnssec_test compares the validator with delv and unbound, over zones that dnssec-signzone
// signed and that were then broken, on real servers.
package dnssec_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/test/servers"
)

// verdict is what all can say: a resolver's SERVFAIL does not tell bogus from unreachable.
type verdict string

const fails verdict = "fails"

func of(s dnssec.State) verdict {
	if s == dnssec.Secure || s == dnssec.Insecure {
		return verdict(strings.ToLower(string(s)))
	}
	return fails
}

// askUnbound asks the validating resolver.
func (tr *tree) askUnbound(name string, qtype uint16) (verdict, error) {
	m, err := servers.Ask(tr.validating.Addr, name, qtype, true)
	switch {
	case err != nil:
		return "", err
	case m.Rcode == dns.RcodeServerFailure:
		return fails, nil
	case m.AuthenticatedData:
		return "secure", nil
	}
	return "insecure", nil
}

// askDelv has delv validate what the resolver that does not validate gives it.
func (tr *tree) askDelv(t *testing.T, anchors, name string, qtype uint16) (verdict, string) {
	t.Helper()
	cmd := exec.Command(servers.Find(t, "delv"), "@"+tr.plain.Addr.Addr().String(), "-p", fmt.Sprint(tr.plain.Addr.Port()), "-a", anchors, "+root=.", name, dns.TypeToString[qtype])
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	text := string(out)
	switch {
	case strings.Contains(text, "resolution failed"):
		// A denial is a failure to delv, which says how it validates.
		if !strings.Contains(text, "negative response") && !strings.Contains(text, "ncache") {
			return fails, text
		}
		fallthrough
	case strings.Contains(text, "fully validated") || strings.Contains(text, "unsigned answer") || strings.Contains(text, "negative response"):
		if strings.Contains(text, "unsigned answer") || strings.Contains(text, "negative response, unsigned") {
			return "insecure", text
		}
		return "secure", text
	}
	return fails, text
}

// TestDifferential asks for every zone of the table, on every make of server, through the validator
// (iterating, and through a forwarder), delv and unbound. Where delv or unbound says something else, it
// must be explained.
func TestDifferential(t *testing.T) {
	zones := buildZones(t)
	parents := servers.StartStaticBIND(t, zones.tops)
	tally := newTally()
	start := map[string]func(testing.TB, []servers.StaticZone) *servers.Static{"BIND": servers.StartStaticBIND, "NSD": servers.StartStaticNSD}
	for _, name := range makes {
		tr := plant(t, name, zones, parents.Address(), start[name](t, zones.children[name]).Address())
		anchors := filepath.Join(t.TempDir(), "anchors")
		ds := tr.rootDS
		text := fmt.Sprintf("trust-anchors { . static-ds %d %d %d %q; };\n", ds.KeyTag, ds.Algorithm, ds.DigestType, ds.Digest)
		if err := os.WriteFile(anchors, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, b := range table {
			if b.only == "" || b.only == name {
				t.Run(name+"/"+b.label, func(t *testing.T) { tr.compare(t, b, anchors, tally) })
			}
		}
	}
	tally.finish(t)
}

func (tr *tree) compare(t *testing.T, b brokenness, anchors string, tally *tally) {
	t.Helper()
	name := b.question()
	ours := tr.iterating.Lookup(t.Context(), name, b.qtype)
	if of(ours.State) != of(b.want) || b.want == dnssec.Bogus && ours.Cause == nil {
		t.Errorf("%s: %s is %s (%v), want %s", b.why, name, ours.State, ours.Cause, b.want)
	}
	if forwarded := tr.forwarding.Lookup(t.Context(), name, b.qtype); of(forwarded.State) != of(b.want) {
		t.Errorf("%s: through a forwarder %s is %s (%v), want %s", b.why, name, forwarded.State, forwarded.Cause, b.want)
	}
	unbound, err := tr.askUnbound(name, b.qtype)
	if err != nil {
		t.Fatal(err)
	}
	tally.add(t, tr.make, "unbound", b, unbound, "")
	delv, text := tr.askDelv(t, anchors, name, b.qtype)
	tally.add(t, tr.make, "delv", b, delv, text)
}

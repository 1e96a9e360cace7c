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

// judged wants the very state of a result that the table has, and a cause that names what is at fault: the reason,
// the RRset or proof, the zone, and the server that gave it.
func (tr *tree) judged(t *testing.T, b brokenness, got dnssec.Result, own, above string) {
	t.Helper()
	state, why := b.verdict(tr.make)
	if got.State != state {
		t.Errorf("%s: %s is %s (%v), want %s", b.why, got.Name, got.State, got.Cause, state)
		return
	}
	if state == dnssec.Secure {
		if got.Cause != nil {
			t.Errorf("%s: %s is secure, with the cause %v", b.why, got.Name, got.Cause)
		}
		return
	}
	subject, inZone := b.names(why)
	c := got.Cause
	switch {
	case c == nil:
		t.Errorf("%s: %s is %s without a cause", b.why, got.Name, state)
	case c.Reason != why.reason || c.Subject != subject:
		t.Errorf("%s: %s is %s for %s of %q, want %s of %q: %v", b.why, got.Name, state, c.Reason, c.Subject, why.reason, subject, c)
	case state == dnssec.Bogus && c.Zone != inZone:
		t.Errorf("%s: the fault is said to be in the zone %q, and is in %q: %v", b.why, c.Zone, inZone, c)
	case c.Server != own && (state != dnssec.Insecure || c.Server != above):
		t.Errorf("%s: the fault is said to be at the server %q, and is at %q: %v", b.why, c.Server, own, c)
	case c.Detail == "":
		t.Errorf("%s: the cause does not say what is wrong: %+v", b.why, c)
	}
}

func (tr *tree) compare(t *testing.T, b brokenness, anchors string, tally *tally) {
	t.Helper()
	name := b.question()
	// What is insecure may be so by the word of the parent's server.
	own, above := tr.zones[b.zone()].String(), tr.zones[b.parent()+"."].String()
	tr.judged(t, b, tr.iterating.Lookup(t.Context(), name, b.qtype), own, above)
	passedOn := b
	if b.passedOn.reason != "" {
		passedOn.cause = b.passedOn
	}
	tr.judged(t, passedOn, tr.forwarding.Lookup(t.Context(), name, b.qtype), tr.plain.Addr.String(), tr.plain.Addr.String())
	unbound, err := tr.askUnbound(name, b.qtype)
	if err != nil {
		t.Fatal(err)
	}
	tally.add(t, tr.make, "unbound", b, unbound, "")
	delv, text := tr.askDelv(t, anchors, name, b.qtype)
	tally.add(t, tr.make, "delv", b, delv, text)
}

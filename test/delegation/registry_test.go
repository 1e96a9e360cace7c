package delegation_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/servers"
)

// TestForeignParentFollowsKeyRollovers: the parent is somebody else's, and looks at the child when it is told to, and never
// otherwise; what it makes of the child's CDS records is decided by BIND's dnssec-cds. The whole operator is killed once and tells it of each
// change, the signer of the child rolls its key signing key twice, and a validating resolver that is asked ten times a second never fails.
func TestForeignParentFollowsKeyRollovers(t *testing.T) {
	t.Parallel()
	for _, child := range []servers.Make{servers.BIND, servers.Knot} {
		t.Run(string(child), func(t *testing.T) {
			t.Parallel()
			tr := newForeignTree(t, child, &servers.Rolling{Lifetime: 60})
			tr.entered()
			c := tr.cluster()
			c.zone("child", tr.child, tr.childSecondary.Addr, kept)
			counted, stop := tr.watch()
			counted.mustBeSecure()
			defer stop()
			history := [][]string{tr.parentDS()}
			for n := range 2 {
				last := history[n]
				c.follow(tr.rig, "a rollover is through", 10*time.Minute, func(metav1.Condition, v1alpha1.DelegationStatus) bool {
					tr.acts(c)
					now := tr.parentDS()
					return len(now) > 0 && !slices.Equal(now, last) && tr.retired(last)
				})
				if history = append(history, tr.parentDS()); n == 0 {
					c.must(c.Operator.Kill())
					c.must(c.Operator.Start())
				}
			}
			stop()
			t.Logf("DS history %v; behind were found %d times", history, tr.behind)
			if len(counted.marks) < 2 || tr.behind < 2 {
				t.Errorf("the parent changed DS records %d times in two rollovers, and status said %d times since when it was behind", len(counted.marks), tr.behind)
			}
			counted.verdict(t)
		})
	}
}

// entered has the owner of the child hand its first DS records to the parent, and waits until the resolver validates it.
func (tr *foreignTree) entered() {
	tr.Helper()
	servers.Eventually(tr, "the child asks for DS records at all its servers", func() error {
		for _, server := range []servers.Server{tr.child, tr.childSecondary} {
			m, err := servers.Ask(server.Address(), childApex, dns.TypeCDS, false)
			if err != nil {
				return err
			}
			if len(m.Answer) == 0 {
				tr.poke()
				return errors.New("no CDS records at " + server.Name())
			}
		}
		return nil
	})
	tr.parent.Admin(fmt.Sprintf("add %s 2 DS %s", childApex, tr.child.DS))
	tr.parentSecondary.CatchUp()
	tr.validated()
}

// acts does what the parent does that was told of CDS records: it fetches what the child shows, by one of its servers, and takes
// over what dnssec-cds makes of it. Before, status has to say since when the parent has been behind: whoever tells it knows that.
func (tr *foreignTree) acts(c *cluster) {
	tr.Helper()
	for n := range tr.notifications() {
		if _, status := c.condition(); n == 0 && status.BehindSince == nil {
			tr.Errorf("the parent was told, and status does not say since when it has been behind: %+v", status)
		} else if n == 0 {
			tr.behind++
		}
		var child strings.Builder
		for _, qtype := range []uint16{dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY} {
			m, err := servers.Ask(tr.childSecondary.Addr, childApex, qtype, false)
			if err != nil {
				tr.Fatal(err)
			}
			for _, rr := range m.Answer {
				fmt.Fprintln(&child, rr)
			}
		}
		before := tr.parentDS()
		now, err := tr.decided(before, child.String())
		if err != nil {
			tr.Errorf("the parent was told of CDS records that it cannot act on: %v\n%s", err, &child)
			continue
		}
		if slices.Equal(now, before) {
			continue
		}
		commands := []string{"delete " + childApex + " DS"}
		for _, ds := range now {
			commands = append(commands, fmt.Sprintf("add %s 2 DS %s", childApex, ds))
		}
		tr.parent.Admin(commands...)
		tr.counted.mark()
		tr.Logf("the parent was told, and has %v", now)
	}
}

// decided are the DS records that dnssec-cds wants, given those that there are and what the child shows.
func (tr *foreignTree) decided(ds []string, child string) ([]string, error) {
	dir := tr.TempDir()
	entered, shown := filepath.Join(dir, "dsset"), filepath.Join(dir, "child")
	var text strings.Builder
	for _, rdata := range ds {
		fmt.Fprintf(&text, "%s 2 IN DS %s\n", childApex, rdata)
	}
	// The newest signature that was acted on is not kept: how old it may be, the time of the file says.
	err := errors.Join(os.WriteFile(entered, []byte(text.String()), 0o600), os.WriteFile(shown, []byte(child), 0o600), os.Chtimes(entered, time.Time{}, time.Now().Add(-7*24*time.Hour)))
	if err != nil {
		return nil, err
	}
	out, err := exec.Command(servers.Find(tr, "dnssec-cds"), "-d", entered, "-f", shown, childApex).CombinedOutput() //nolint:gosec // what it is given is the test's
	if err != nil {
		return nil, fmt.Errorf("dnssec-cds: %w: %s", err, out)
	}
	var want []string
	for line := range strings.Lines(string(out)) {
		rr, err := dns.NewRR(line)
		if err != nil {
			return nil, fmt.Errorf("dnssec-cds says %q: %w", line, err)
		}
		if of, ok := rr.(*dns.DS); ok {
			want = append(want, presentation(of))
		}
	}
	slices.Sort(want)
	return want, nil
}

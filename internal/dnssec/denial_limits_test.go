package dnssec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestHashesAreLimited(t *testing.T) {
	d := newDenials(t)
	const deep = 40
	for _, c := range []struct {
		reason     string
		iterations uint16
		want       Reason
	}{
		{"a deep name costs little without iterations", 0, ""},
		{"and too much with many", MaxIterations, TooMuchWork},
	} {
		d.nsec3 = nil
		var names []string
		for n := range d.types {
			names = append(names, n)
		}
		d.makeNSEC3With(append(names, "_tcp.mx.example.test.", "wild.example.test."), c.iterations)
		_, err := d.keys().VerifyDenial(strings.Repeat("a.", deep)+"example.test.", dns.TypeTLSA, true, d.authority(d.nsec3...), at)
		if reasonOf(err) != c.want {
			t.Errorf("%s: %v", c.reason, err)
		}
	}
}

// aliased is an answer that leads over so many aliases made from a wildcard to a name so deep, which does not exist:
// each alias needs a proof that no closer name is there, and the end one of its own.
func (d *denials) aliased(aliases, deep int) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion("a1.wild.example.test.", dns.TypeTLSA)
	m.Rcode = dns.RcodeNameError
	end := strings.Repeat("a.", deep) + "example.test."
	for i := range aliases {
		target := fmt.Sprintf("a%d.wild.example.test.", i+2)
		if i == aliases-1 {
			target = end
		}
		set := rrset(d.t, "*.wild.example.test. 60 CNAME "+target)
		sig := d.sign(set)
		set[0].Header().Name = fmt.Sprintf("a%d.wild.example.test.", i+1)
		sig.Hdr.Name = set[0].Header().Name
		m.Answer = append(m.Answer, set[0], sig)
	}
	m.Ns = d.authority(append(rrset(d.t, "example.test. 60 SOA ns. h. 1 2 3 4 60"), d.nsec3...)...)
	return m
}

// TestHashingOfOneAnswerIsLimited: an answer may need many proofs, each of them cheap (CVE-2023-50868).
func TestHashingOfOneAnswerIsLimited(t *testing.T) {
	for _, c := range []struct {
		reason        string
		iterations    uint16
		aliases, deep int
		want          Reason
	}{
		{"many proofs cost little without iterations", 0, 15, 30, ""},
		{"two proofs at the limit", MaxIterations, 1, 8, ""},
		{"many, of which each alone would do", MaxIterations, 12, 8, TooMuchWork},
	} {
		d := newDenials(t)
		d.nsec3 = nil
		d.makeNSEC3With([]string{"example.test.", "*.wild.example.test.", "wild.example.test."}, c.iterations)
		m, keys := d.aliased(c.aliases, c.deep), d.keys()
		r := keys.Judge(m, m.Question[0].Name, dns.TypeTLSA, at)
		if want := map[bool]State{true: Secure, false: Bogus}[c.want == ""]; r.State != want || len(r.Hops) != c.aliases && c.want == "" {
			t.Errorf("%s: judged %s (%v) after %d aliases", c.reason, r.State, r.Cause, len(r.Hops))
		}
		if r.Cause != nil && r.Cause.Reason != c.want {
			t.Errorf("%s: %v", c.reason, r.Cause)
		}
		if err := piecemeal(keys, m); err != nil {
			t.Errorf("%s: one by one: %v", c.reason, err)
		}
		if err := piecemeal(keys.OneAnswer(), m); reasonOf(err) != c.want {
			t.Errorf("%s: as one answer: %v", c.reason, err)
		}
	}
}

// piecemeal checks the pieces of an answer one by one.
func piecemeal(keys *Keys, m *dns.Msg) error {
	name := m.Question[0].Name
	for {
		p, err := ReadPiece(m, name, dns.TypeTLSA, keys.zone)
		if err != nil {
			return err
		}
		if _, err := keys.Check(p, at); err != nil {
			return err
		}
		if p.Kind() != Alias {
			return nil
		}
		name = p.Target()
	}
}

// TestHashingOfOneQuestionIsLimited: the answers on the way to one may come to more than one of them may.
func TestHashingOfOneQuestionIsLimited(t *testing.T) {
	d := newDenials(t)
	d.nsec3 = nil
	d.makeNSEC3With([]string{"example.test."}, MaxIterations)
	_, l, end, busy := newWorld(t).validator().begin(t.Context())
	if busy != nil {
		t.Fatal(busy)
	}
	defer end()
	keys, w := d.keys(), l.work
	proofs := 0
	for ; proofs < 100; proofs++ {
		p, err := keys.proofOf(fmt.Sprintf("a%d.example.test.", proofs), dns.TypeTLSA, d.authority(d.nsec3...), at, w)
		if err != nil {
			t.Fatal(err)
		}
		// The apex was hashed for the first; the name and the wildcard at the apex, which was too, are left.
		if err := p.conclude(p.denies("example.test.", fmt.Sprintf("a%d.example.test.", proofs), dns.TypeTLSA, true)); err != nil {
			if err.Reason != TooMuchWork {
				t.Fatal(err)
			}
			break
		}
	}
	if most := maxQueryHashing/(MaxIterations+1) - 2; proofs != most {
		t.Errorf("%d proofs were made for one question, want %d", proofs, most)
	}
	deep := strings.Repeat("a.", 20) + "example.test."
	p, err := keys.proofOf(deep, dns.TypeTLSA, d.authority(d.nsec3...), at, newQueryWork())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.conclude(p.denies("example.test.", deep, dns.TypeTLSA, true)); err == nil || err.Reason != TooMuchWork {
		t.Errorf("one proof may cost as much as the question: %v", err)
	}
}

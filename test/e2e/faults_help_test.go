package e2e

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/servers"
)

// shownBy are the TLSA records that a name server shows, sorted.
func (s *site) shownBy(server netip.AddrPort) (string, error) {
	m, err := servers.Ask(server, s.owner(), dns.TypeTLSA, false)
	if err != nil {
		return "", err
	}
	var records []string
	for _, rr := range m.Answer {
		if r, ok := rr.(*dns.TLSA); ok {
			records = append(records, fmt.Sprint(r.Usage, r.Selector, r.MatchingType, r.Certificate))
		}
	}
	slices.Sort(records)
	return strings.Join(records, "\n"), nil
}

// allDiffer returns nil when no name server shows what was shown before.
func (s *site) allDiffer(before string) error {
	for _, server := range s.authoritative() {
		shown, err := s.shownBy(server)
		if err != nil {
			return err
		}
		if shown == before {
			return fmt.Errorf("%s shows the records of before", server)
		}
	}
	return nil
}

// changesEverywhere waits until every name server shows other records than before.
func (s *site) changesEverywhere(before string) {
	s.Helper()
	servers.Eventually(s, "every name server shows the new key", func() error { return s.allDiffer(before) })
}

// editDomain changes the MailDomain, again if somebody else did meanwhile.
func (s *site) editDomain(change func(*v1alpha1.MailDomain)) {
	s.Helper()
	servers.Eventually(s, "the MailDomain is changed", func() error {
		md, err := s.lab.Domain(s.Context(), s.lab.Namespace)
		s.must(err)
		change(md)
		return s.lab.Client.Update(s.Context(), md)
	})
}

// editZone changes the DNSZone, again if somebody else did meanwhile.
func (s *site) editZone(change func(*v1alpha1.DNSZone)) {
	s.Helper()
	servers.Eventually(s, "the DNSZone is changed", func() error {
		z := s.zone()
		change(z)
		return s.lab.Client.Update(s.Context(), z)
	})
}

func (s *site) zone() *v1alpha1.DNSZone {
	s.Helper()
	z := &v1alpha1.DNSZone{}
	s.must(s.lab.Client.Get(s.Context(), types.NamespacedName{Namespace: s.lab.Namespace, Name: "zone"}, z))
	return z
}

// says waits until a condition says all of some texts.
func (s *site) says(kind string, texts ...string) *v1alpha1.MailDomain {
	s.Helper()
	return s.wait(func(md *v1alpha1.MailDomain) string {
		c := meta.FindStatusCondition(md.Status.Conditions, kind)
		for _, text := range texts {
			if c == nil || !strings.Contains(c.Reason+": "+c.Message, text) {
				return fmt.Sprintf("%s to say %q; %s", kind, text, conditions(md))
			}
		}
		return ""
	})
}

// staysSafe ends a watch of announcements, and wants that none said that senders may fail.
func (s *site) staysSafe(watch func() []announcement) {
	s.Helper()
	noted := watch()
	if len(noted) == 0 {
		s.Error("RolloverSafe was never seen")
	}
	for _, a := range noted {
		if a.unsafe {
			s.Errorf("RolloverSafe is False at %s with reason %s", a.at.Format(stamp), a.reason)
			return
		}
	}
}

// resolves returns nil when Postfix's resolver finds the address and the records of the host, validated.
func (s *site) resolves() error {
	for name, kind := range map[string]uint16{dns.Fqdn(mx): dns.TypeA, s.owner(): dns.TypeTLSA} {
		m, err := servers.Ask(s.unbound.Addr, name, kind, true)
		switch {
		case err != nil:
			return err
		case len(m.Answer) == 0 || !m.AuthenticatedData:
			return errors.New("no validated answer for " + name + ": " + dns.RcodeToString[m.Rcode])
		}
	}
	return nil
}

// lacks returns an error while the primary shows a record of a key.
func (s *site) lacks(key string) error {
	s.Helper()
	if strings.Contains(s.published(), key) {
		return errors.New("the primary shows a record of key " + key)
	}
	return nil
}

// lastShown waits until the primary shows no records, and returns the last instant at which it was seen
// with some.
func (s *site) lastShown() time.Time {
	s.Helper()
	last := time.Now()
	servers.Eventually(s, "the primary shows no records", func() error {
		at := time.Now()
		if s.published() == "" {
			return nil
		}
		last = at
		return errors.New("it shows records")
	})
	return last
}

package delegation_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/servers"
)

const (
	// keyTTL and dsTTL of the zone, in seconds. That of the keys is longer than every other wait of a rollover here, and a change of
	// keys or of DS records is waited for as long. That of the DS records is short: the operator keeps those that it knows for it.
	keyTTL, dsTTL = 40, 4
	// waitsForKeys and waitsForSignatures are what the condition says of a key that is held back.
	waitsForKeys       = "waits until the change of DNSKEY or DS records, of the zone or of one above it, is over"
	waitsForSignatures = "waits until the zone's signatures are renewed: they run out too soon"
)

// TestOperatorHoldsRollovers: the whole operator, cert-manager, a zone below a real root and a renewed certificate whose records
// every cache has, so that nothing else keeps its key back than what is tried: DS records that have just changed in the parent, a
// key signing key that the signer has just begun to roll, and signatures that run out too soon. The condition says which it is;
// the key is handed to the server by itself when that is over, and not before. A sender that validates never fails.
func TestOperatorHoldsRollovers(t *testing.T) {
	t.Parallel()
	f := &found{T: t, keyTTL: keyTTL}
	f.plant()
	f.parent.Admin(fmt.Sprintf("add %s %d DS %s", defaultApex, dsTTL, f.zone.DS))
	f.install()
	f.apply()
	f.settles("")
	stop := f.sends()
	for _, c := range []struct {
		what string
		hold func(*found)
	}{
		{"DS records that change", (*found).holdsForDS},
		{"keys that change", (*found).holdsForKeys},
		// The last: the TTL that it needs is longer than anybody waits here.
		{"signatures that run out", (*found).holdsForSignatures},
	} {
		if !t.Run(c.what, func(t *testing.T) {
			of := *f
			of.T = t
			c.hold(&of)
		}) {
			break
		}
	}
	if n := stop(); n == 0 {
		t.Error("a sender never met records: that proves nothing")
	} else {
		t.Logf("a sender met records %d times", n)
	}
}

// holdsForDS: the parent has one DS record more. The operator knows the set without it for the TTL of that, and meets the new one
// when it asks the name servers after that.
func (f *found) holdsForDS() {
	f.Helper()
	another := servers.NewKey(f, defaultApex).DS()
	f.holdsFor(keyTTL*time.Second, func() {
		f.parent.Admin(fmt.Sprintf("add %s %d DS %s", defaultApex, dsTTL, another))
		time.Sleep((dsTTL + 1) * time.Second)
	})
	if z, err := f.lab.Zone(f.Context(), "zone"); err != nil || !slices.Contains(z.Status.DNSSEC.DS, another) || len(z.Status.DNSSEC.DS) != 2 {
		f.Errorf("the parent has two DS records, one of them %s, and status says %v (%v)", another, z.Status.DNSSEC.DS, err)
	}
}

// holdsForKeys: Knot begins to roll the key. It shows the new one beside the old one, and goes on only after an hour.
func (f *found) holdsForKeys() {
	f.Helper()
	f.holdsFor(keyTTL*time.Second, func() {
		f.zone.Control("zone-key-rollover", defaultApex, "ksk")
		servers.Eventually(f, "every server shows both keys", func() error { return f.everywhere(dns.TypeDNSKEY, "two keys", two) })
	})
}

// holdsFor asks for a renewal, has something change before the key may be handed over, and wants it to be held back for that, from
// then on for a time at the least. Nobody tells the operator to look at the zone, which it does by itself once in five minutes: it
// has to meet the change in what the name servers show with the records, which it asks them for before it hands over a key.
func (f *found) holdsFor(least time.Duration, change func()) {
	f.Helper()
	old := f.settles("")
	f.changes(func(md *v1alpha1.MailDomain) { md.Spec.Suspend = true })
	f.must(f.lab.Renew(f.Context(), "mail", "mx1"))
	f.says("suspended: ") // of a renewal that was asked for: before that there is no rollover
	began := time.Now()
	change()
	// Another TTL, so that the name servers are asked after the change, however short it is since they were asked before.
	f.changes(func(md *v1alpha1.MailDomain) { md.Spec.Suspend, md.Spec.TLSA.TTL = false, md.Spec.TLSA.TTL+1 })
	f.says(waitsForKeys)
	servers.Eventually(f, "status says since when keys or DS records have been changing", func() error {
		z, err := f.lab.Zone(f.Context(), "zone")
		if err == nil && z.Status.DNSSEC.KeysChangedAt == nil {
			err = fmt.Errorf("it says %+v", z.Status.DNSSEC)
		}
		return err
	})
	f.stillServes(old)
	f.serves(old)
	if took := time.Since(began); took < least {
		f.Errorf("the key was handed over %s after the change began; caches have what was before for %s", took, least)
	} else {
		f.Logf("the key was handed over %s after the change began", took.Round(time.Second))
	}
	f.settles(old)
	if z, err := f.lab.Zone(f.Context(), "zone"); err != nil || z.Status.DNSSEC.KeysChangedAt != nil {
		f.Errorf("the change is over, and status says that it began at %v (%v)", z.Status.DNSSEC.KeysChangedAt, err)
	}
}

// holdsForSignatures: the signer has signed for less time than caches may keep the records twice, and then signs for longer.
func (f *found) holdsForSignatures() {
	f.Helper()
	const ttl = 1800
	old := f.settles("")
	f.zone.SignFor("55m")
	servers.Eventually(f, "every server shows signatures that run out soon", func() error { return f.signedFor(0, 2*ttl*time.Second) })
	// What is written is looked at anew, after the signatures have changed.
	f.changes(func(md *v1alpha1.MailDomain) { md.Spec.TLSA.TTL = ttl })
	servers.Eventually(f, "every server shows the longer TTL", func() error {
		return f.everywhere(dns.TypeTLSA, "TTL", func(set []dns.RR) bool { return len(set) == 2 && set[0].Header().Ttl == ttl })
	})
	f.settles("")
	f.must(f.lab.Renew(f.Context(), "mail", "mx1"))
	f.says(waitsForSignatures)
	f.stillServes(old)
	z, err := f.lab.Zone(f.Context(), "zone")
	f.must(err)
	if z.Status.DNSSEC.State != v1alpha1.DNSSECStateSecure || z.Status.DNSSEC.KeysChangedAt != nil {
		f.Errorf("the zone is to be Secure with keys that do not change, and status says %+v", z.Status.DNSSEC)
	}
	f.zone.SignFor("336h")
	f.serves(old)
	if err := f.signedFor(24*time.Hour, 15*24*time.Hour); err != nil {
		f.Errorf("the key was handed over before every server had the new signatures: %v", err)
	}
}

// changes edits the MailDomain.
func (f *found) changes(edit func(*v1alpha1.MailDomain)) {
	f.Helper()
	servers.Eventually(f, "the MailDomain is changed", func() error {
		md, err := f.lab.Domain(f.Context(), "example")
		f.must(err)
		edit(md)
		return f.lab.Client.Update(f.Context(), md)
	})
}

// says waits until the condition says what the renewed key waits for.
func (f *found) says(what string) {
	f.Helper()
	_, err := f.lab.WaitDomain(f.Context(), "example", time.Minute, func(md *v1alpha1.MailDomain) string {
		c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionRolloverInProgress)
		if c == nil || !strings.Contains(c.Message, what) {
			return fmt.Sprintf("a condition that says %q; it is %+v", what, c)
		}
		return ""
	})
	f.must(err)
}

// stillServes wants the mail server, and the Secret that it has its certificate from, to have the old key.
func (f *found) stillServes(old string) {
	f.Helper()
	if served, err := f.served(); err != nil || served != old {
		f.Errorf("the server has the key %s (%v), want %s as long as the new one is held back", served, err, old)
	}
}

// serves waits until the server has another key.
func (f *found) serves(old string) {
	f.Helper()
	_, err := f.lab.WaitDomain(f.Context(), "example", 4*time.Minute, func(md *v1alpha1.MailDomain) string {
		if served, err := f.served(); err != nil || served == old {
			c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionRolloverInProgress)
			return fmt.Sprintf("another key than %s at the server (%v): %+v", served, err, c)
		}
		return ""
	})
	f.must(err)
}

// everywhere returns an error unless each server's RRset of a type, at the apex or of TLSA at the host, is as wanted.
func (f *found) everywhere(qtype uint16, what string, as func([]dns.RR) bool) error {
	name := defaultApex
	if qtype == dns.TypeTLSA {
		name = f.owner()
	}
	return f.each(name, qtype, func(at netip.AddrPort, m *dns.Msg) error {
		set := slices.DeleteFunc(slices.Clone(m.Answer), func(rr dns.RR) bool { return rr.Header().Rrtype != qtype })
		if !as(set) {
			return fmt.Errorf("%s is to show %s, and shows %v", at, what, set)
		}
		return nil
	})
}

func two(set []dns.RR) bool { return len(set) == 2 }

// signedFor returns an error unless the signature over the TLSA records of each server is good for longer than the one time, and
// for less than the other.
func (f *found) signedFor(more, less time.Duration) error {
	return f.each(f.owner(), dns.TypeTLSA, func(at netip.AddrPort, m *dns.Msg) error {
		for _, rr := range m.Answer {
			if sig, ok := rr.(*dns.RRSIG); ok {
				if left := time.Until(time.Unix(int64(sig.Expiration), 0)); left <= more || left >= less {
					return fmt.Errorf("the signature of %s is good for %s", at, left)
				}
				return nil
			}
		}
		return fmt.Errorf("%s shows no signature: %v", at, m.Answer)
	})
}

// each asks every server of the zone.
func (f *found) each(name string, qtype uint16, judge func(netip.AddrPort, *dns.Msg) error) error {
	var all []error
	for _, at := range f.at {
		m, err := servers.AskWithin(patience, at, name, qtype, false)
		if err == nil {
			err = judge(at, m)
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

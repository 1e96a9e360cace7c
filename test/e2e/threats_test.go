package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/test/attack"
	"github.com/dane-operator/dane-operator/test/servers"
	"github.com/dane-operator/dane-operator/test/wire"
)

// threat is what somebody does who has the network between two mail servers.
type threat struct {
	// word is in the mail that is sent meanwhile, and names the recipient: with open- before it without DANE, and closed-.
	word string
	what string
	// begin begins it.
	begin func(*letters)
	// byDNS has it fail with whoever validates DNSSEC: the one who is deceived without DANE is a sender that does not.
	byDNS bool
	// trusted has the deceived sender log that a CA vouches for the server.
	trusted bool
	// refusal is what a sender with DANE says, and result what it reports (RFC 8460 section 4.3).
	refusal, result string
}

// threats are those of docs/threats.md.
var threats = []threat{
	{
		word: "stripped", what: "STARTTLS is taken out of what the server offers, and all is read along",
		begin:   func(l *letters) { l.path.Lead(l.genuineAt, true) },
		refusal: "TLS is required, but was not offered by host " + lettersMX, result: "starttls-not-supported",
	},
	{
		word: "selfsigned", what: "another server answers, with a certificate of its own making",
		begin:   func(l *letters) { l.path.Lead(l.selfSignedAt, false) },
		refusal: "Server certificate not verified", result: "tlsa-invalid",
	},
	{
		word: "vouched", what: "another server answers, with a certificate for the right name by a CA that the sender trusts",
		begin: func(l *letters) { l.path.Lead(l.vouchedAt, false) }, trusted: true,
		refusal: "Server certificate not verified", result: "tlsa-invalid",
	},
	{
		word: "forged", what: "a forged MX record, which nobody has signed, names another server, whose certificate is in order",
		begin: (*letters).forgeMX, byDNS: true, trusted: true,
		refusal: "type=MX: Host not found, try again", result: "dnssec-invalid",
	},
}

// TestAttacks: whoever stands between two mail servers gets the mail, until the domain has a MailDomain. From then on it
// waits at the sender, nothing of it leaks, and it arrives when the attack is over. What the sender reports of it turns
// up in status.
func TestAttacks(t *testing.T) {
	t.Parallel()
	l := newLetters(t)
	for _, a := range threats {
		t.Run("without DANE: "+a.what, func(t *testing.T) { l.gets(t, a) })
	}
	l.protect()
	l.send("safe")
	l.arrives("safe")
	if !strings.Contains(l.sender.Log(), "Verified TLS connection established to "+lettersMX) {
		t.Error("the sender does not say that it has verified the server")
	}
	records := l.records()
	for _, a := range threats {
		t.Run("with a MailDomain: "+a.what, func(t *testing.T) { l.getsNothing(t, a) })
	}
	for _, a := range threats {
		l.arrives("closed-" + a.word)
	}
	if now := l.records(); now != records {
		t.Errorf("the TLSA records are %s after the attacks, and were %s", now, records)
	}
	l.isTold()
}

// gets wants the attacker to have the mail.
func (l *letters) gets(t *testing.T, a threat) {
	a.begin(l)
	defer l.over()
	sender, word := l.sender, "open-"+a.word
	if a.byDNS {
		sender = l.credulous
	}
	sender.Send(address(word), word)
	servers.Eventually(t, "the attacker has the mail", func() error {
		if l.leaked(word) && delivered(sender, word) {
			return nil
		}
		return fmt.Errorf("it has not leaked; the sender says %v", sender.Attempts(address(word)))
	})
	if trusts := "Trusted TLS connection established to "; a.trusted && !strings.Contains(sender.Log(), trusts) {
		t.Errorf("the log of the sender does not say %q: it takes the certificate for what it is not", trusts)
	}
}

// getsNothing wants a sender with DANE to keep the mail, time and again, and to tell the attacker nothing of it.
func (l *letters) getsNothing(t *testing.T, a threat) {
	a.begin(l)
	defer l.over()
	word := "closed-" + a.word
	l.send(word)
	servers.Eventually(t, "the mail is deferred twice", func() error {
		attempts := l.sender.Attempts(address(word))
		for _, one := range attempts {
			if one.Status != "deferred" || !strings.Contains(one.Reason, a.refusal) {
				t.Fatalf("the sender says %+v, want it deferred, and %q", one, a.refusal)
			}
		}
		if len(attempts) < 2 {
			return fmt.Errorf("there were %d attempts", len(attempts))
		}
		return nil
	})
	if l.leaked(word) {
		t.Error("the attacker knows of the mail")
	}
}

// send hands a mail to the sender with DANE.
func (l *letters) send(word string) { l.sender.Send(address(word), word) }

// arrives wants a mail to be with the right server in the end.
func (l *letters) arrives(word string) {
	l.Helper()
	servers.Eventually(l, "the mail "+word+" is with the right server", func() error {
		if l.genuine.Has(word) && delivered(l.sender, word) {
			return nil
		}
		return fmt.Errorf("the sender says %v", l.sender.Attempts(address(word)))
	})
	if l.leaked(word) {
		l.Errorf("the attacker knows of the mail %s", word)
	}
}

// leaked says whether the attacker knows a word: from the wire, as a mail, or as a recipient that was named to him.
func (l *letters) leaked(word string) bool {
	return l.path.Saw(word) || l.evil.Has(word) || strings.Contains(l.evil.Log(), word)
}

func delivered(s *attack.Sender, word string) bool {
	for _, one := range s.Attempts(address(word)) {
		if one.Status == "sent" {
			return true
		}
	}
	return false
}

// forgeMX answers every question for MX records with one of the attacker's, and waits until the resolvers have
// forgotten the true ones.
func (l *letters) forgeMX() {
	l.dns.Set(wire.Swap{Type: dns.TypeMX, Records: []dns.RR{&dns.MX{
		Hdr: dns.RR_Header{Name: lettersDomain + ".", Rrtype: dns.TypeMX, Class: dns.ClassINET, Ttl: 1}, Preference: 1, Mx: evilMX + ".",
	}}})
	servers.Eventually(l, "one resolver believes the forged MX record, and the other refuses it", func() error {
		believed, err := servers.Ask(l.believing.Addr, lettersDomain, dns.TypeMX, true)
		if err != nil || len(believed.Answer) != 1 || believed.Answer[0].(*dns.MX).Mx != evilMX+"." {
			return fmt.Errorf("the one that does not validate: %v (%w)", believed, errors.Join(err, errNotYet))
		}
		refused, err := servers.Ask(l.validating.Addr, lettersDomain, dns.TypeMX, true)
		if err != nil || refused.Rcode != dns.RcodeServerFailure {
			return fmt.Errorf("the one that validates: %v (%w)", refused, errors.Join(err, errNotYet))
		}
		return nil
	})
}

var errNotYet = errors.New("not yet")

// over ends an attack.
func (l *letters) over() {
	l.path.Lead(l.genuineAt, false)
	l.dns.Set(nil)
	servers.Eventually(l, "the resolver has the true MX record again", func() error {
		m, err := servers.Ask(l.validating.Addr, lettersDomain, dns.TypeMX, true)
		if err != nil || !m.AuthenticatedData || len(m.Answer) == 0 {
			return fmt.Errorf("it answers %v (%w)", m, errors.Join(err, errNotYet))
		}
		return nil
	})
}

func address(word string) string { return word + "@" + lettersDomain }

// counted are the attempts that failed in each attack, as the sender's log has them.
func (l *letters) counted() map[string]int {
	out := map[string]int{}
	for _, a := range threats {
		for _, one := range l.sender.Attempts(address("closed-" + a.word)) {
			if one.Status == "deferred" {
				out[a.result]++
			}
		}
	}
	return out
}

// reportOf is what a sender would send of that after midnight (RFC 8460 section 4.4).
func reportOf(day time.Time, successes int, failures map[string]int) string {
	var details []string
	total := 0
	for result, sessions := range failures {
		total += sessions
		host := fmt.Sprintf(`"receiving-mx-hostname": %q, `, lettersMX)
		if result == "dnssec-invalid" { // no host was found
			host = ""
		}
		details = append(details, fmt.Sprintf(`{"result-type": %q, "sending-mta-ip": "127.0.0.1", %s"failed-session-count": %d}`, result, host, sessions))
	}
	return fmt.Sprintf(`{"organization-name": "Sender", "contact-info": "postmaster@sender.test", "report-id": "attacks@sender.test",
 "date-range": {"start-datetime": %q, "end-datetime": %q},
 "policies": [{"policy": {"policy-type": "tlsa", "policy-domain": %q, "mx-host": [%q]},
  "summary": {"total-successful-session-count": %d, "total-failure-session-count": %d},
  "failure-details": [%s]}]}`,
		day.Truncate(24*time.Hour).Format(time.RFC3339), day.Format(time.RFC3339), lettersDomain, lettersMX, successes, total, strings.Join(details, ", "))
}

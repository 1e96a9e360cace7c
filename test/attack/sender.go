package attack

import (
	"fmt"
	"net/netip"
	"net/smtp"
	"regexp"
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/test/postfix"
	"github.com/dane-operator/dane-operator/test/servers"
)

// SenderOptions say how a Postfix sends.
type SenderOptions struct {
	// Level is smtp_tls_security_level: may, or dane.
	Level string
	// Resolver is asked, at port 53.
	Resolver netip.Addr
	// Authorities are certificates of the CAs that it trusts, in PEM.
	Authorities []byte
}

// Sender is a Postfix that delivers mail as it would on the Internet: by MX records, at port 25. What it cannot deliver
// it tries again every second or two.
type Sender struct {
	*postfix.Instance
	t  testing.TB
	at netip.AddrPort
}

// StartSender starts a Sender.
func StartSender(t testing.TB, hostname string, o SenderOptions) *Sender {
	t.Helper()
	s := &Sender{Instance: postfix.New(t), t: t}
	s.at = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), servers.FreePort(t, "127.0.0.1"))
	s.Write("authorities.pem", string(o.Authorities))
	dns := "enabled"
	if o.Level == "dane" {
		dns = "dnssec"
	}
	// There is no root to be probed, and Postfix would wait for it before it believes the resolver.
	s.Write("etc/main.cf", s.Common(hostname)+fmt.Sprintf(`mynetworks = 127.0.0.1
smtpd_relay_restrictions = permit_mynetworks, reject
smtp_tls_security_level = %s
smtp_dns_support_level = %s
smtp_tls_CAfile = %s
smtp_tls_loglevel = 1
dnssec_probe =
smtp_connection_cache_on_demand = no
smtp_helo_timeout = 5s
default_destination_concurrency_failed_cohort_limit = 0
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
`, o.Level, dns, s.File("authorities.pem")))
	s.Write("etc/master.cf", services+fmt.Sprintf("%s inet n - n - - smtpd\n", s.at))
	s.StartAsking(o.Resolver, s.at)
	return s
}

// Send hands a mail to the sender, which is about a word.
func (s *Sender) Send(to, word string) {
	s.t.Helper()
	message := fmt.Sprintf("From: Alice <alice@sender.test>\r\nTo: <%s>\r\nSubject: %s\r\n\r\nThe word is %s.\r\n", to, word, word)
	if err := smtp.SendMail(s.at.String(), nil, "alice@sender.test", []string{to}, []byte(message)); err != nil {
		s.t.Fatalf("hand a mail to the sender: %v", err)
	}
}

// outcome is what Postfix logs of each attempt.
var outcome = regexp.MustCompile(`to=<([^>]+)>, .*status=(\w+) \((.*)\)`)

// Attempt is one try to deliver a mail.
type Attempt struct {
	// Status is sent, deferred or bounced, and Reason what the sender says of it.
	Status, Reason string
}

// Attempts are those to deliver to an address.
func (s *Sender) Attempts(to string) []Attempt {
	var out []Attempt
	for line := range strings.Lines(s.Log()) {
		if found := outcome.FindStringSubmatch(strings.TrimSpace(line)); found != nil && found[1] == to {
			out = append(out, Attempt{found[2], found[3]})
		}
	}
	return out
}

package harness

import (
	"fmt"
	"net"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/test/servers"
)

// bareTimeout is long: BIND has been seen to stall for 11 s.
const bareTimeout = time.Minute

// maxTries is how often an update that the server fails at is sent again, after retryPause each time.
const (
	maxTries   = 20
	retryPause = 20 * time.Millisecond
)

// bareAlgorithms by their names in the API.
var bareAlgorithms = map[string]string{"HMACSHA256": dns.HmacSHA256, "HMACSHA512": dns.HmacSHA512}

// Bare is the limit to compare with: updates written by hand on one connection, one after the other,
// believed when they are answered NOERROR.
type Bare struct {
	primary *servers.Primary
	conn    net.Conn
	// algorithm and key in the library's spelling.
	algorithm, key string
	// Retries counts updates that were answered SERVFAIL and sent again.
	Retries int
}

// DialBare opens the connection.
func DialBare(p *servers.Primary) (*Bare, error) {
	algorithm, ok := bareAlgorithms[p.TSIGAlgorithm]
	if !ok {
		return nil, fmt.Errorf("the bare limit knows no algorithm %s", p.TSIGAlgorithm)
	}
	conn, err := net.DialTimeout("tcp", p.Addr.String(), bareTimeout)
	if err != nil {
		return nil, err
	}
	return &Bare{primary: p, conn: conn, algorithm: algorithm, key: dns.Fqdn(p.TSIGName)}, nil
}

// Close ends the connection.
func (b *Bare) Close() { _ = b.conn.Close() }

// Update sends one message that gives each owner the records.
func (b *Bare) Update(owners []string, records []tlsa.Record, ttl time.Duration) error {
	m := new(dns.Msg)
	m.SetUpdate(b.primary.Zone)
	m.Compress = true
	for _, owner := range owners {
		header := dns.RR_Header{Name: owner, Rrtype: dns.TypeTLSA, Class: dns.ClassINET, Ttl: uint32(ttl / time.Second)}
		m.RemoveRRset([]dns.RR{&dns.TLSA{Hdr: header}})
		for _, r := range records {
			m.Insert([]dns.RR{&dns.TLSA{Hdr: header, Usage: r.Usage, Selector: r.Selector, MatchingType: r.MatchingType, Certificate: r.Data}})
		}
	}
	for try := 0; ; try++ {
		// Signing takes the message apart.
		reply, err := b.exchange(m.Copy())
		switch {
		case err != nil:
			return err
		case reply.Rcode == dns.RcodeSuccess:
			return nil
		case reply.Rcode != dns.RcodeServerFailure || try == maxTries:
			return fmt.Errorf("%s answers %s to an update", b.primary.Name(), dns.RcodeToString[reply.Rcode])
		}
		// PowerDNS says so when SQLite is busy with something else.
		b.Retries++
		time.Sleep(retryPause)
	}
}

// ReadBack asks for one owner and counts its records.
func (b *Bare) ReadBack(owner string) (int, error) {
	m := new(dns.Msg)
	m.SetQuestion(owner, dns.TypeTLSA)
	m.RecursionDesired = false
	m.SetEdns0(dns.DefaultMsgSize, true)
	reply, err := b.exchange(m)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, rr := range reply.Answer {
		if rr.Header().Rrtype == dns.TypeTLSA {
			n++
		}
	}
	return n, nil
}

// exchange signs a message, sends it and waits for the reply. A dns.Conn must not sign twice, so each
// message has its own around the same socket.
func (b *Bare) exchange(m *dns.Msg) (*dns.Msg, error) {
	c := &dns.Conn{Conn: b.conn, TsigSecret: map[string]string{b.key: b.primary.TSIGSecret}}
	if err := c.SetDeadline(time.Now().Add(bareTimeout)); err != nil {
		return nil, err
	}
	m.SetTsig(b.key, b.algorithm, 300, time.Now().Unix())
	if err := c.WriteMsg(m); err != nil {
		return nil, err
	}
	return c.ReadMsg()
}

package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// judge is a sender that forgets nothing too early: it keeps every TLSA answer that any name server
// gave until its TTL ran out, and checks the key that the mail server presents against all of them.
// It shares no code with the operator.
type judge struct {
	owner, mailServer, sni string
	servers                []string

	mu     sync.Mutex
	cached map[string]time.Time // data of the answer: until when it may be cached
	shown  map[string][]string
	served string
	counts verdicts
	report func(format string, args ...any)
}

func newJudge(owner, sni, mailServer string, servers []string, report func(string, ...any)) *judge {
	return &judge{
		owner: owner, sni: sni, mailServer: mailServer, servers: servers, report: report,
		cached: map[string]time.Time{}, shown: map[string][]string{},
	}
}

// run asks and checks every interval until ctx ends.
func (j *judge) run(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			j.ask()
			j.check()
		}
	}
}

// ask puts the question to every name server and remembers the answers.
func (j *judge) ask() {
	for _, server := range j.servers {
		m := new(dns.Msg).SetQuestion(j.owner, dns.TypeTLSA)
		client := &dns.Client{Net: "tcp", Timeout: time.Second}
		reply, _, err := client.Exchange(m, server)
		if err != nil {
			continue
		}
		var data []string
		ttl := uint32(0)
		for _, rr := range reply.Answer {
			if t, ok := rr.(*dns.TLSA); ok {
				data = append(data, strings.ToLower(t.Certificate))
				ttl = t.Hdr.Ttl
			}
		}
		j.mu.Lock()
		j.shown[server] = data
		if len(data) > 0 {
			j.cached[strings.Join(data, " ")] = time.Now().Add(time.Duration(ttl) * time.Second)
		}
		j.mu.Unlock()
	}
}

// check connects and compares what is presented with every answer that may be cached. The answers
// are taken before the connection, as a sender looks records up before it connects.
func (j *judge) check() {
	answers := j.answers()
	digest, err := presented(j.mailServer, j.sni)
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		j.counts.unreachable++
		j.served = ""
		return
	}
	j.served = digest
	for _, answer := range answers {
		j.counts.checks++
		if !strings.Contains(answer, digest) {
			j.counts.mismatches++
			j.report("MISMATCH: the server presents %s, a cache may hold %s", short(digest), answer)
		}
	}
}

func (j *judge) answers() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []string
	for answer, until := range j.cached {
		if time.Now().After(until) {
			delete(j.cached, answer)
			continue
		}
		out = append(out, answer)
	}
	return out
}

// presented does STARTTLS by hand and returns the SHA-256 of the public key.
func presented(addr, sni string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, 2*time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close() //nolint:errcheck // nothing is lost
	_ = conn.SetDeadline(time.Now().Add(3 * time.Second))
	lines := bufio.NewReader(conn)
	for _, command := range []string{"", "EHLO sender.test\r\n", "STARTTLS\r\n"} {
		if _, err := conn.Write([]byte(command)); err != nil {
			return "", err
		}
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return "", err
			}
			if len(line) > 3 && line[3] == ' ' {
				if line[0] != '2' {
					return "", fmt.Errorf("the server said %q", line)
				}
				break
			}
		}
	}
	secure := tls.Client(conn, &tls.Config{ServerName: sni, InsecureSkipVerify: true}) //nolint:gosec // DANE-EE looks at the key alone
	if err := secure.Handshake(); err != nil {
		return "", err
	}
	sum := sha256.Sum256(secure.ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:]), nil
}

// state is what the view shows of the judge.
func (j *judge) state() ([]serverView, string, verdicts) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []serverView
	for i, server := range j.servers {
		name := "primary"
		if i > 0 {
			name = fmt.Sprintf("secondary %d", i)
		}
		out = append(out, serverView{name: name, records: j.shown[server]})
	}
	return out, j.served, j.counts
}

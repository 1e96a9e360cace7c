package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
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
	found  []tally // the last one is that of the act that is played now
	report func(format string, args ...any)
}

func newJudge(owner, sni, mailServer string, servers []string, report func(string, ...any)) *judge {
	return &judge{
		owner: owner, sni: sni, mailServer: mailServer, servers: servers, report: report,
		cached: map[string]time.Time{}, shown: map[string][]string{}, found: []tally{{}},
	}
}

// begin counts what follows for another act; without a name it counts for none.
func (j *judge) begin(act string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.found = append(j.found, tally{act: act})
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
				data = append(data, fmt.Sprintf("%d %d %d %s", t.Usage, t.Selector, t.MatchingType, strings.ToLower(t.Certificate)))
				ttl = t.Hdr.Ttl
			}
		}
		j.mu.Lock()
		j.shown[server] = data
		if len(data) > 0 {
			j.cached[strings.Join(data, ", ")] = time.Now().Add(time.Duration(ttl) * time.Second)
		}
		j.mu.Unlock()
	}
}

// check connects and compares what is presented with every answer that may be cached. The answers
// are taken before the connection, as a sender looks records up before it connects; one that runs out
// before the server presents its key counts no more, however long a busy machine takes over that.
func (j *judge) check() {
	answers := j.answers()
	digest, err := presented(j.mailServer, j.sni)
	j.mu.Lock()
	defer j.mu.Unlock()
	now := &j.found[len(j.found)-1]
	j.served = digest
	if err != nil {
		// Without an answer in hand a sender wants no certificate, and there is none at first.
		if len(answers) > 0 {
			now.unreachable++
		}
		return
	}
	presentedAt := time.Now()
	before := *now
	for answer, until := range answers {
		if presentedAt.After(until) {
			continue
		}
		now.checks++
		if !matches(answer, digest) {
			now.mismatches++
			j.report("MISMATCH: the server presents %s, a cache may hold %s", short(digest), answer)
		}
	}
	if now.checks > before.checks && now.mismatches == before.mismatches {
		now.verified++
	}
}

// matches says whether an answer has a record of usage 3, selector 1 and matching type 1 for a key: the
// demo publishes no others.
func matches(answer, digest string) bool {
	return slices.Contains(strings.Split(answer, ", "), "3 1 1 "+digest)
}

// answers are those that a cache may hold now, with the instant at which the last one drops them.
func (j *judge) answers() map[string]time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := map[string]time.Time{}
	for answer, until := range j.cached {
		if time.Now().After(until) {
			delete(j.cached, answer)
			continue
		}
		out[answer] = until
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
func (j *judge) state() ([]serverView, string, []tally) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []serverView
	for i, server := range j.servers {
		name := "primary"
		if i > 0 {
			name = fmt.Sprintf("secondary %d", i)
		}
		out = append(out, serverView{name: name, address: server, records: j.shown[server]})
	}
	return out, j.served, slices.Clone(j.found)
}

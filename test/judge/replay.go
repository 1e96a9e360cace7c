package judge

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/smtp"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/test/postfix"
)

// ReplayOptions say whom the cache-replaying sender checks.
type ReplayOptions struct {
	// Servers are all authoritative addresses.
	Servers func() []netip.AddrPort
	// Owner is the TLSA owner name; Host the TLSA base domain; Addr where it is served.
	Owner, Host string
	Addr        netip.AddrPort
	Interval    time.Duration
	// SignatureAlgorithms are openssl's lists of them, each of which makes the server present a chain:
	// with an ECDSA and an RSA key side by side, both are checked. Default: what openssl asks for.
	SignatureAlgorithms []string
}

// StartReplay asks every authoritative server for the TLSA records again and again, keeps each answer
// until its TTL has run out, as the cache of some resolver in the world does, and lets libssl match
// the chain that is served with all of them: for each answer, every combination of usage, selector
// and matching type by itself, as RFC 7671 section 8 wants for clients that know only some.
func StartReplay(t testing.TB, log *Log, o ReplayOptions) (stop func()) {
	t.Helper()
	if len(o.SignatureAlgorithms) == 0 {
		o.SignatureAlgorithms = []string{""}
	}
	r := &replay{o: o, openssl: postfix.Find(t, "openssl"), kept: map[string]time.Time{}, verified: map[string]bool{}, refuted: map[string]string{}}
	stop = every(o.Interval, func() { log.add(r.check()) })
	t.Cleanup(stop)
	return stop
}

type replay struct {
	o       ReplayOptions
	openssl string
	// kept are the answers, one record a line, with the instant at which the last cache drops them.
	kept map[string]time.Time
	// verified are the chains and record sets that libssl has matched; refuted are those that it has not, with what it said.
	verified map[string]bool
	refuted  map[string]string
}

// check makes one check. A mismatch with an answer that ran out meanwhile says nothing, since the
// server may have waited for just that: then the check is made again.
func (r *replay) check() Check {
	for {
		if c, counts := r.look(); counts {
			return c
		}
	}
}

// look is a check that may not count.
func (r *replay) look() (c Check, counts bool) {
	c = Check{At: time.Now(), Judge: "libssl", Host: r.o.Host, Class: ClassOK}
	learned, err := r.learn()
	if err != nil {
		c.Class, c.Detail = ClassUnreachable, err.Error()
		return c, true
	}
	answers := r.answers(learned)
	if len(answers) == 0 {
		c.Class, c.Detail = ClassNoDANE, "no cache holds TLSA records"
		return c, true
	}
	for _, algorithms := range r.o.SignatureAlgorithms {
		if class, detail, counts := r.judge(answers, algorithms); class != ClassOK {
			c.Class, c.Detail = class, detail
			return c, counts
		}
	}
	return c, true
}

// judge matches the chain that some signature algorithms ask for with every answer. What counts is that an answer was kept
// when the chain was presented: openssl may take longer than that, on a busy machine, to say that they do not match.
func (r *replay) judge(answers []string, algorithms string) (class, detail string, counts bool) {
	chain, err := r.served(algorithms)
	if err != nil {
		return ClassUnreachable, err.Error(), true
	}
	presented := time.Now()
	for _, answer := range answers {
		for _, combination := range combinations(answer) {
			if class, detail = r.match(chain.fingerprint, combination, algorithms); class != ClassOK {
				at := presented
				if _, same := r.refuted[pair(chain.fingerprint, combination)]; !same { // a newer chain was presented since
					at = time.Now()
				}
				detail += " | the answer: " + strings.ReplaceAll(answer, "\n", ", ") + " | kept until " + r.kept[answer].Format("15:04:05.000")
				return class, detail, class != ClassMismatch || at.Before(r.kept[answer])
			}
		}
	}
	return ClassOK, "", true
}

// learn asks every server, and returns when it knew the answers. One that does not answer has told nobody anything; it
// is an error if none answers, since a sender would then not know whether there are records. What one server said is
// still in hand when another has been waited for in vain, whatever its TTL.
func (r *replay) learn() (time.Time, error) {
	type told struct {
		answer string
		until  time.Time
		err    error
	}
	servers := r.o.Servers()
	all := make(chan told, len(servers))
	for _, s := range servers {
		go func() {
			answer, ttl, err := ask(s, r.o.Owner)
			all <- told{answer, time.Now().Add(ttl), err}
		}()
	}
	var (
		errs []error
		got  []told
	)
	for range servers {
		if a := <-all; a.err != nil {
			errs = append(errs, a.err)
		} else {
			got = append(got, a)
		}
	}
	now := time.Now()
	for _, a := range got {
		until := later(a.until, now)
		if a.answer != "" && until.After(r.kept[a.answer]) {
			r.kept[a.answer] = until
		}
	}
	if len(errs) == len(servers) {
		return now, fmt.Errorf("no name server answers: %w", errors.Join(errs...))
	}
	return now, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// askTimeout is long: a server on a busy machine is slow, and must not pass for one without records.
const askTimeout = 10 * time.Second

// fetchTimeout is how long a mail server may take to present its chain.
const fetchTimeout = 10 * time.Second

// ask asks one server for the records. Without any the answer is empty.
func ask(server netip.AddrPort, owner string) (answer string, ttl time.Duration, err error) {
	m := new(dns.Msg)
	m.SetQuestion(owner, dns.TypeTLSA)
	m.RecursionDesired = false
	client := &dns.Client{Net: "tcp", Timeout: askTimeout}
	in, _, err := client.Exchange(m, server.String())
	if err != nil {
		return "", 0, err
	}
	if !in.Authoritative {
		return "", 0, fmt.Errorf("%s answers without authority: %s", server, dns.RcodeToString[in.Rcode])
	}
	var lines []string
	for _, rr := range in.Answer {
		if tlsa, ok := rr.(*dns.TLSA); ok {
			lines = append(lines, fmt.Sprintf("%d %d %d %s", tlsa.Usage, tlsa.Selector, tlsa.MatchingType, strings.ToLower(tlsa.Certificate)))
			ttl = max(ttl, time.Duration(rr.Header().Ttl)*time.Second)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n"), ttl, nil
}

// answers are those that a cache may hold at an instant, sorted; older ones are forgotten.
func (r *replay) answers(at time.Time) []string {
	var live []string
	for answer, until := range r.kept {
		if until.Before(at) {
			delete(r.kept, answer)
			continue
		}
		live = append(live, answer)
	}
	slices.Sort(live)
	return live
}

// combinations splits an answer into the records of each usage, selector and matching type.
func combinations(answer string) [][]string {
	by := map[string][]string{}
	var order []string
	for line := range strings.SplitSeq(answer, "\n") {
		key := line[:strings.LastIndexByte(line, ' ')]
		if by[key] == nil {
			order = append(order, key)
		}
		by[key] = append(by[key], line)
	}
	var out [][]string
	for _, key := range order {
		out = append(out, by[key])
	}
	return out
}

// pair names a chain and records.
func pair(fingerprint string, records []string) string {
	return fingerprint + strings.Join(records, "\n")
}

// match lets libssl match the chain that is served with records. What it has said once of a chain
// it need not say again. The chain may change between two handshakes: then the newer one counts.
func (r *replay) match(fingerprint string, records []string, algorithms string) (class, detail string) {
	if r.verified[pair(fingerprint, records)] {
		return ClassOK, ""
	}
	if result, known := r.refuted[pair(fingerprint, records)]; known {
		return ClassMismatch, result
	}
	h, err := r.handshake(records, algorithms)
	if err != nil {
		return ClassUnreachable, err.Error()
	}
	if !h.matched {
		r.refuted[pair(h.fingerprint, records)] = h.result
		return ClassMismatch, h.result
	}
	r.verified[pair(h.fingerprint, records)] = true
	return ClassOK, ""
}

// handshaken is what a handshake showed.
type handshaken struct {
	// fingerprint is the chain that was presented, in PEM.
	fingerprint string
	matched     bool
	result      string
}

var (
	certificates = regexp.MustCompile(`(?s)-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----`)
	verifyLine   = regexp.MustCompile(`(?m)^\s*(Verify return code|Verification error|Verification|verify error): ?.*$`)
)

// handshake connects with the openssl command, as a DANE sender with the given records does, but for that it goes on where
// they do not match, and so tells which chain that was.
func (r *replay) handshake(records []string, algorithms string) (*handshaken, error) {
	args := []string{"s_client", "-starttls", "smtp", "-connect", r.o.Addr.String(), "-servername", r.o.Host, "-showcerts"}
	if algorithms != "" {
		args = append(args, "-sigalgs", algorithms)
	}
	if len(records) > 0 {
		args = append(args, "-dane_tlsa_domain", r.o.Host, "-dane_ee_no_namechecks")
		for _, record := range records {
			args = append(args, "-dane_tlsa_rrdata", record)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), fingerTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.openssl, args...)
	cmd.Stdin = strings.NewReader("QUIT\n")
	out, runErr := cmd.CombinedOutput()
	text := string(out)
	if runErr == nil && !certificates.MatchString(text) {
		return nil, errors.New("openssl s_client showed no certificate: " + lastLine(text))
	}
	h := &handshaken{
		fingerprint: strings.Join(certificates.FindAllString(text, -1), "\n"),
		matched:     strings.Contains(text, "\nVerification: OK") && strings.Contains(text, "DANE TLSA "),
		result:      strings.Join(verifyLine.FindAllString(text, -1), "; "),
	}
	if h.fingerprint == "" && !strings.Contains(text, "verify error") && runErr != nil {
		return nil, fmt.Errorf("openssl s_client: %s (%w)", lastLine(text), runErr)
	}
	return h, nil
}

// served fetches the chain that is served, in the form of handshake. It takes crypto/tls a fraction of the time to, so that
// openssl is started only to match a chain with records that it has not matched it with before. Which signature
// algorithms it asks for openssl alone can say.
func (r *replay) served(algorithms string) (*handshaken, error) {
	if algorithms != "" {
		return r.handshake(nil, algorithms)
	}
	dialer := net.Dialer{Timeout: fetchTimeout}
	conn, err := dialer.Dial("tcp", r.o.Addr.String())
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", r.o.Addr, err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(fetchTimeout)); err != nil {
		return nil, err
	}
	client, err := smtp.NewClient(conn, r.o.Host)
	if err != nil {
		return nil, fmt.Errorf("greet %s: %w", r.o.Addr, err)
	}
	if err := client.StartTLS(&tls.Config{ServerName: r.o.Host, InsecureSkipVerify: true}); err != nil { //nolint:gosec // libssl judges
		return nil, fmt.Errorf("STARTTLS with %s at %s: %w", r.o.Host, r.o.Addr, err)
	}
	state, _ := client.TLSConnectionState()
	var chain []string
	for _, c := range state.PeerCertificates {
		chain = append(chain, strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))))
	}
	return &handshaken{fingerprint: strings.Join(chain, "\n")}, nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

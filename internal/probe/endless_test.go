package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// counted counts what is read from a connection.
type counted struct {
	net.Conn
	read *atomic.Int64
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read.Add(int64(n))
	return n, err
}

// flood says the same again and again, until the client goes.
func flood(p *peer, text string) {
	chunk := bytes.Repeat([]byte(text), 1+1<<14/len(text))
	for {
		if _, err := p.Write(chunk); err != nil {
			return
		}
	}
}

// drip says one octet after the other, and is never done.
func drip(p *peer, text string) {
	for i := 0; ; i++ {
		if _, err := p.Write([]byte{text[i%len(text)]}); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// instead has a server do something else at a stage.
func instead(at stage, does func(*peer)) func(*mail) {
	return func(m *mail) {
		m.at = func(p *peer, now stage) bool {
			if now == at {
				does(p)
			}
			return now == at
		}
	}
}

// oneShort is the time that a probe has of a server that keeps it waiting for ever.
const oneShort = time.Second

// Bounds of what is read. TLS reads a record ahead, and a handshake has a message of at most 256 KiB (crypto/tls).
const (
	withoutTLS  = maxBytes
	withTLSOnce = 512 << 10
)

// TestWhatAServerCosts has servers that never come to an end, in each way and at each stage, and tells what a
// probe of them takes. However long they go on, what is read and what is allocated stays below a bound, and the
// probe ends by itself or with its time.
func TestWhatAServerCosts(t *testing.T) {
	const (
		late   = "the connection stands, and no answer comes in time"
		cipher = tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
	)
	for _, tc := range []struct {
		reason string
		mail   func(*mail)
		// slow servers end with the time of the probe.
		slow bool
		want Outcome
		text string
		// read is the bound of what is read.
		read int64
	}{
		{"a banner without end", instead(atGreeting, func(p *peer) { flood(p, "220-welcome\r\n") }), false, Unreachable, "more than 128 lines", withoutTLS},
		{"a banner of one line without end", instead(atGreeting, func(p *peer) { flood(p, "220 welcome ") }), false, Unreachable, "more than 2048 octets", withoutTLS},
		{"a banner of nothing but ends of lines", instead(atGreeting, func(p *peer) { flood(p, "\r\n") }), false, Unreachable, "does not speak SMTP", withoutTLS},
		{"one octet after the other", instead(atGreeting, func(p *peer) { drip(p, "220-welcome ") }), true, Unreachable, late, withoutTLS},
		{"EHLO answered with 100000 lines", func(m *mail) { m.ehlo = strings.Repeat("250-EXTENSION\r\n", 100_000) + "250 STARTTLS\r\n" }, false, Unreachable, "more than 128 lines", withoutTLS},
		{"EHLO answered with one octet after the other", instead(atEHLO, func(p *peer) { drip(p, "250-X\r\n") }), true, Unreachable, late, withoutTLS},
		{"plain text without end behind the reply to STARTTLS", instead(atSTARTTLS, func(p *peer) { flood(p, "220 go\r\n") }), false, NoTLS, "somebody on the way injects", withoutTLS},
		{"a TLS record of one octet after the other", instead(atHandshake, func(p *peer) { p.say("\x16\x03\x03\x40\x00"); drip(p, "\x02\x00\x3f\xfc") }), true, HandshakeFailed, "did not end in time", withTLSOnce},
		{"empty records without end", instead(atHandshake, func(p *peer) { flood(p, record(22, "")) }), false, HandshakeFailed, "unexpected message", withTLSOnce},
		{"warnings without end", instead(atHandshake, func(p *peer) { flood(p, record(21, "\x01\x5a")) }), false, HandshakeFailed, "too many", withTLSOnce},
		{"changes of the cipher without end", instead(atHandshake, func(p *peer) { flood(p, record(20, "\x01")) }), false, HandshakeFailed, "the TLS handshake failed", withTLSOnce},
		{"a handshake message of 16 MiB", instead(atHandshake, func(p *peer) { flood(p, record(22, "\x02\xff\xff\xff"+strings.Repeat("x", 1000))) }), false, HandshakeFailed, "exceeds maximum", withTLSOnce},
		{"hello after hello", instead(atHandshake, func(p *peer) { flood(p, record(22, "\x02\x00\x00\x02\x03\x03")) }), false, HandshakeFailed, "the TLS handshake failed", withTLSOnce},
		{"a chain of 1000 certificates", func(m *mail) { m.tls = withTLS(longChain(1000)) }, false, HandshakeFailed, "exceeds maximum", withTLSOnce},
		{"as many certificates as TLS takes", func(m *mail) { m.tls = withTLS(longChain(400)) }, false, HandshakeFailed, "more than 16 certificates", withTLSOnce},
		{"SSL and TLS of former times", func(m *mail) { m.tls.MinVersion, m.tls.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, false, HandshakeFailed, "protocol version", withTLSOnce},
		{"within TLS, a banner without end", instead(atSecure, func(p *peer) { flood(p, "250-welcome\r\n") }), false, Presented, "", withTLSOnce},
		{"within TLS, a line without end", instead(atSecure, func(p *peer) { flood(p, "250 welcome ") }), false, Presented, "", withTLSOnce},
		{"within TLS, one octet after the other", instead(atSecure, func(p *peer) { drip(p, "250-X\r\n") }), true, Presented, "", withTLSOnce},
		{"after the farewell, text without end", instead(atQUIT, func(p *peer) { flood(p, "221-bye\r\n") }), false, Presented, "", withTLSOnce},
		{"renegotiation without end", renegotiating(cipher), false, Presented, "", withTLSOnce},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			m := usual()
			tc.mail(&m)
			s := start(t, m.startTLS)
			var read atomic.Int64
			o := Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
				return counted{conn, &read}, err
			}}
			if tc.slow {
				o.Timeout = oneShort
			}
			d := newDialer(o)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			got := d.Probe(context.Background(), s.target())
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			allocated := after.TotalAlloc - before.TotalAlloc
			t.Logf("%s: %d octets read, %d KiB allocated by both sides, %s", got.Outcome, read.Load(), allocated>>10, took.Round(time.Millisecond))
			if got.Outcome != tc.want || !strings.Contains(got.Message, tc.text) || hasControl(got.Message) {
				t.Errorf("got %s: %s", got.Outcome, got.Message)
			}
			if read.Load() > tc.read || allocated > 16<<20 {
				t.Errorf("%d octets were read and %d allocated", read.Load(), allocated)
			}
			nothingLeft(t, d)
		})
	}
}

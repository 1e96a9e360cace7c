package probe

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"net"
	"strings"
	"sync"
)

// This file is a server that asks for renegotiation, which that of crypto/tls cannot: it makes the records
// itself, by the keys of the connection (RFC 5246 sections 6.3 and 7.4.1.1).

// overheard is the server's end of a connection, of which what it sent is kept.
type overheard struct {
	net.Conn
	mu   sync.Mutex
	sent bytes.Buffer
}

func (o *overheard) Write(b []byte) (int, error) {
	o.mu.Lock()
	o.sent.Write(b)
	o.mu.Unlock()
	return o.Conn.Write(b)
}

// renegotiating has a server ask for a new handshake again and again, as soon as TLS stands.
func renegotiating(suite uint16) func(*mail) {
	return func(m *mail) {
		m.at = func(p *peer, now stage) bool {
			if now != atHandshake {
				return false
			}
			var keys bytes.Buffer
			wire := &overheard{Conn: p.Conn}
			config := withTLS(pki().ecdsa)
			config.MinVersion, config.MaxVersion, config.CipherSuites, config.KeyLogWriter = tls.VersionTLS12, tls.VersionTLS12, []uint16{suite}, &keys
			config.SessionTicketsDisabled = true
			if tls.Server(&peer{Conn: wire, reader: p.reader}, config).Handshake() == nil {
				askAnew(p, keys.String(), wire.sent.Bytes())
			}
			return true
		}
	}
}

// askAnew sends HelloRequest until the client goes. The first record under the keys was Finished.
func askAnew(p *peer, keyLog string, sent []byte) {
	fields := strings.Fields(keyLog) // CLIENT_RANDOM, the random, the master secret
	client, _ := hex.DecodeString(fields[1])
	master, _ := hex.DecodeString(fields[2])
	server := sent[5+4+2 : 5+4+2+32] // behind the headers of record and ServerHello, and the version
	block := prf(master, "key expansion", append(bytes.Clone(server), client...), 2*16+2*4)
	aead := must(cipher.NewGCM(must(aes.NewCipher(block[16:32]))))
	salt := block[36:40]
	for seq := uint64(1); ; seq++ {
		if _, err := p.Write(sealed(aead, salt, seq, []byte{0, 0, 0, 0})); err != nil {
			return
		}
	}
}

// sealed is a handshake record under AES-GCM (RFC 5288 section 3).
func sealed(aead cipher.AEAD, salt []byte, seq uint64, body []byte) []byte {
	number := binary.BigEndian.AppendUint64(nil, seq)
	header := []byte{22, 3, 3}
	additional := binary.BigEndian.AppendUint16(append(bytes.Clone(number), header...), uint16(len(body)))
	text := aead.Seal(number, append(bytes.Clone(salt), number...), body, additional)
	return append(binary.BigEndian.AppendUint16(header, uint16(len(text))), text...)
}

// prf is that of TLS 1.2 with SHA-256 (RFC 5246 section 5).
func prf(secret []byte, label string, seed []byte, size int) []byte {
	seed = append([]byte(label), seed...)
	sum := func(parts ...[]byte) []byte {
		h := hmac.New(sha256.New, secret)
		for _, part := range parts {
			h.Write(part)
		}
		return h.Sum(nil)
	}
	var out []byte
	for a := sum(seed); len(out) < size; a = sum(a) {
		out = append(out, sum(a, seed)...)
	}
	return out[:size]
}

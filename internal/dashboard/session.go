package dashboard

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"k8s.io/utils/clock"
)

const (
	// sessionLasts is how long a token that was entered is good for, if it does not expire before.
	sessionLasts = 12 * time.Hour
	// longestCookie is what every browser keeps (RFC 6265 section 6.1), less the attributes.
	longestCookie = 3900
)

// sessions keep the token that somebody entered in a cookie of his browser, sealed with a key that this process alone
// has: neither the browser, and whatever else on the machine is sent its cookies, nor the memory of the operator has it
// in the clear. Nothing is kept here, so that no session has to be counted or forgotten.
type sessions struct {
	seal  cipher.AEAD
	clock clock.PassiveClock
	// secure says that the page is served over TLS.
	secure bool
}

var errTooLong = errors.New("the token is too long for a cookie: enter a shorter one, such as kubectl create token makes, or have it sent as Authorization: Bearer")

func newSessions(random io.Reader, c clock.PassiveClock, secure bool) (*sessions, error) {
	key := make([]byte, 32)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, fmt.Errorf("make the key of sessions: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	return &sessions{seal: seal, clock: c, secure: secure}, err
}

// name of the cookie. With __Host- browsers take it over TLS alone, from no other host, and for every path.
func (s *sessions) name() string {
	if s.secure {
		return "__Host-dane-operator"
	}
	return "dane-operator"
}

func (s *sessions) cookie(value string, age int) *http.Cookie {
	return &http.Cookie{Name: s.name(), Value: value, Path: "/", MaxAge: age, Secure: s.secure, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

// begin makes the cookie that holds a token.
func (s *sessions) begin(token string) (*http.Cookie, error) {
	text := binary.BigEndian.AppendUint64(nil, uint64(s.clock.Now().Unix())) //nolint:gosec // it is after 1970
	value := base64.RawURLEncoding.EncodeToString(s.seal.Seal(nil, nil, append(text, token...), []byte(s.name())))
	if len(value) > longestCookie {
		return nil, errTooLong
	}
	return s.cookie(value, int(sessionLasts/time.Second)), nil
}

// end makes the cookie that takes the one with the token away.
func (s *sessions) end() *http.Cookie { return s.cookie("", -1) }

// token is what the cookie of a request holds; empty without one that this process has sealed and that has not run out.
func (s *sessions) token(r *http.Request) string {
	c, err := r.Cookie(s.name())
	if err != nil {
		return ""
	}
	sealed, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return ""
	}
	text, err := s.seal.Open(nil, nil, sealed, []byte(s.name()))
	if err != nil || len(text) < 8 {
		return ""
	}
	begun := time.Unix(int64(binary.BigEndian.Uint64(text[:8])), 0) //nolint:gosec // we wrote it
	if s.clock.Now().Sub(begun) >= sessionLasts {
		return ""
	}
	return string(text[8:])
}

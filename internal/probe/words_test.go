package probe

import (
	"crypto/tls"
	"strings"
)

// words are what a server of a protocol says: a greeting, and an answer to each command.
type words struct {
	protocol Protocol
	greeting string
	answers  map[string]string
	// begin is the command after which TLS begins. Empty where it stands from the start.
	begin string
	// secure is what the server says of its own accord when TLS stands.
	secure string
	tls    *tls.Config
}

// usualWords are those of common servers.
func usualWords(protocol Protocol) words {
	w := words{protocol: protocol, tls: withTLS(pki().ecdsa)}
	switch protocol {
	case SMTP:
		w.greeting, w.begin = "220 mx1.example.com ESMTP\r\n", "STARTTLS"
		w.answers = map[string]string{"EHLO dane-operator.invalid": "250-mx1\r\n250 STARTTLS\r\n", "STARTTLS": "220 go\r\n", "QUIT": "221 bye\r\n"}
	case IMAP, IMAPS:
		w.greeting, w.begin = "* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ STARTTLS LOGINDISABLED] Dovecot (Debian) ready.\r\n", "a2 STARTTLS"
		w.answers = map[string]string{
			"a1 CAPABILITY": "* CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ STARTTLS LOGINDISABLED\r\na1 OK Pre-login capabilities listed.\r\n",
			"a2 STARTTLS":   "a2 OK Begin TLS negotiation now.\r\n",
			"a3 LOGOUT":     "* BYE Logging out\r\na3 OK Logout completed.\r\n",
		}
	case POP3, POP3S:
		w.greeting, w.begin = "+OK Dovecot (Debian) ready.\r\n", "STLS"
		w.answers = map[string]string{
			"CAPA": "+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nSTLS\r\nSASL PLAIN\r\n.\r\n",
			"STLS": "+OK Begin TLS negotiation now.\r\n",
			"QUIT": "+OK Logging out\r\n",
		}
	case ManageSieve:
		w.greeting, w.begin = sieveCapabilities("\"STARTTLS\"\r\n"), "STARTTLS"
		w.answers = map[string]string{"CAPABILITY": w.greeting, "STARTTLS": "OK \"Begin TLS negotiation now.\"\r\n", "LOGOUT": "OK \"Logout completed.\"\r\n"}
		w.secure = sieveCapabilities("")
	}
	if protocol == IMAPS || protocol == POP3S {
		w.begin = ""
	}
	return w
}

// sieveCapabilities is the greeting of Dovecot's Pigeonhole, with some more lines.
func sieveCapabilities(more string) string {
	return "\"IMPLEMENTATION\" \"Dovecot (Debian) Pigeonhole\"\r\n\"SIEVE\" \"fileinto reject envelope\"\r\n\"NOTIFY\" \"mailto\"\r\n\"SASL\" \"\"\r\n" + more + "\"VERSION\" \"1.0\"\r\nOK \"ready.\"\r\n"
}

// talk is the script. A command that has no answer gets none.
func (w words) talk(p *peer) {
	if w.begin == "" && !w.handshake(p) {
		return
	}
	p.say(w.greeting)
	for {
		heard := p.hear()
		if heard == "" {
			return
		}
		p.say(w.answers[heard])
		if heard == w.begin && leave(w.answers[heard]) && (!w.handshake(p) || w.secure != "" && !say(p, w.secure)) {
			return
		}
	}
}

// leave says whether an answer is one to begin TLS after.
func leave(answer string) bool {
	return !strings.Contains(answer, "NO") && !strings.Contains(answer, "BAD") && !strings.Contains(answer, "-ERR") && !strings.HasPrefix(answer, "4")
}

func say(p *peer, text string) bool {
	p.say(text)
	return true
}

func (w words) handshake(p *peer) bool {
	_, err := p.reader.Peek(1)
	return err == nil && p.secure(w.tls)
}

// targetOf is a probe of a server by a protocol.
func (s *server) targetOf(protocol Protocol) Target {
	target := s.target()
	target.Protocol = protocol
	return target
}

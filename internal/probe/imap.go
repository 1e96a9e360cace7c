package probe

import (
	"fmt"
	"strings"
)

// imapStartTLS is IMAP up to STARTTLS (RFC 9051 section 6.2.1, RFC 3501 section 6.2.1).
func imapStartTLS(t *talk, _ string) error {
	if err := imapGreeting(t); err != nil {
		return err
	}
	reply, err := imapCommand(t, "a1", "CAPABILITY")
	if err != nil {
		return err
	}
	if !reply.ok {
		return said(Unreachable, "the server refuses CAPABILITY", reply.line)
	}
	if !listed(reply.capabilities, "STARTTLS") {
		return &failure{NoTLS, "the server does not offer STARTTLS for IMAP: clients with DANE do not log in"}
	}
	reply, err = imapCommand(t, "a2", "STARTTLS")
	if err != nil {
		return err
	}
	if !reply.ok {
		return said(NoTLS, "the server refuses STARTTLS", reply.line)
	}
	return t.nothingBehind("STARTTLS")
}

// imapGreeting reads the greeting, which is the first line and untagged (RFC 9051 section 7.1). One
// that logs the client in at once leaves no room for STARTTLS, which is for the time before.
func imapGreeting(t *talk) error {
	line, err := t.line()
	if err != nil {
		return err
	}
	mark, rest := cutWord(line)
	status, _ := cutWord(rest)
	switch {
	case mark == "*" && strings.EqualFold(status, "OK"):
		return nil
	case mark == "*" && strings.EqualFold(status, "PREAUTH"):
		return said(NoTLS, "the server logs in whoever connects (PREAUTH), and STARTTLS cannot be said after that", line)
	case mark == "*" && strings.EqualFold(status, "BYE"):
		return said(Unreachable, "the server does not greet", line)
	}
	return said(Unreachable, "the server does not speak IMAP", line)
}

// imapReply is how a server answered a command.
type imapReply struct {
	ok           bool
	capabilities []string
	// line is the tagged one.
	line string
}

// imapCommand sends a command and reads up to its tagged response. What the server says beside it, of
// its own accord, is passed over.
func imapCommand(t *talk, tag, command string) (imapReply, error) {
	var reply imapReply
	if err := t.say(tag + " " + command); err != nil {
		return reply, err
	}
	for range maxLines {
		line, err := t.line()
		if err != nil {
			return reply, err
		}
		mark, rest := cutWord(line)
		switch mark {
		case tag:
			reply.line = line
			reply.ok, err = imapTagged(line, rest)
			return reply, err
		case "*":
			capabilities, err := imapUntagged(t, line, rest)
			if err != nil {
				return reply, err
			}
			reply.capabilities = append(reply.capabilities, capabilities...)
		default:
			return reply, said(Unreachable, fmt.Sprintf("the server does not speak IMAP: it answers %s with something else", command), line)
		}
	}
	return reply, tooManyLines()
}

// imapTagged says whether a command was carried out.
func imapTagged(line, rest string) (bool, error) {
	switch status, _ := cutWord(rest); strings.ToUpper(status) {
	case "OK":
		return true, nil
	case "NO", "BAD":
		return false, nil
	}
	return false, said(Unreachable, "the server does not speak IMAP", line)
}

// imapUntagged reads an untagged response to its end, and returns the capabilities in it. A status
// response ends in free text, in which braces mean nothing.
func imapUntagged(t *talk, line, rest string) ([]string, error) {
	kind, words := cutWord(rest)
	switch strings.ToUpper(kind) {
	case "CAPABILITY":
		return strings.Fields(words), nil
	case "OK", "NO":
		return nil, nil
	case "BAD":
		return nil, said(Unreachable, "the server does not understand", line)
	case "BYE":
		return nil, said(Unreachable, "the server ends the connection", line)
	}
	return nil, imapLiterals(t, line)
}

// imapLiterals passes over the literals of a response, each of which is followed by the next part of it.
func imapLiterals(t *talk, line string) error {
	for range maxLines {
		size, ok := trailingLiteral(line)
		if !ok {
			return nil
		}
		if _, err := t.literal(size); err != nil {
			return err
		}
		var err error
		if line, err = t.line(); err != nil {
			return err
		}
	}
	return tooManyLines()
}

func imapLeave(t *talk, _ string) {
	if t.say("a3 LOGOUT") == nil {
		_, _ = t.line() // BYE
	}
}

func imapsLeave(t *talk, _ string) {
	if imapGreeting(t) == nil {
		imapLeave(t, "")
	}
}
